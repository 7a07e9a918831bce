"""The lab: the peers of the eP-CSCF on loopback, each with its own start, readiness check and stop."""
