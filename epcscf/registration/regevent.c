/* The eP-CSCF's own subscription to the reg event package of each IMPI (TS 24.229 5.2.3, RFC 3680). */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

enum epc_err reg_subs_init(struct epc_reg *r)
{
    (void)r;
    return EPC_OK;
}
void reg_sub_update(struct roll_user *u)
{
    (void)u;
}
void reg_sub_free(struct roll_user *u)
{
    (void)u;
}
