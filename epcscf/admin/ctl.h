/* epcscfctl's own commands: see the table in epcscfctl.c. Each returns the exit status. */
#ifndef EPC_ADMIN_CTL_H
#define EPC_ADMIN_CTL_H

/** dict show|list|tree|check|export: ctl_dict.c. */
int ctl_dict(int argc, char **argv);
/** replay FILE...: ctl_replay.c. */
int ctl_replay(int argc, char **argv);

#endif
