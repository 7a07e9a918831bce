/* Checker of OpenMetrics 1.0 text, for what epcscf prints: families of one sample without labels. */
#ifndef EPC_OPENMETRICS_H
#define EPC_OPENMETRICS_H

/** Check @p text (written to). @return the number of families; -1 and @p why at the first fault */
int openmetrics_check(char *text, const char **why);

#endif
