/* epcscfctl's own commands: see the table in epcscfctl.c. Each returns the exit status. */
#ifndef EPC_ADMIN_CTL_H
#define EPC_ADMIN_CTL_H

#include <stdbool.h>

/** dict show|list|tree|check|export: ctl_dict.c. */
int ctl_dict(int argc, char **argv);
/** replay FILE...: ctl_replay.c. */
int ctl_replay(int argc, char **argv);

/** rx explain --sdp: ctl_rx.c. Other `rx` commands are the daemon's. */
int ctl_rx_preview(int argc, char **argv);
bool ctl_rx_is_preview(int argc, char **argv);

#endif
