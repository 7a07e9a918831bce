/* A service shard with nothing but admin/, in a folder of its own, and clients for it. */
#ifndef EPC_ADMIN_HARNESS_H
#define EPC_ADMIN_HARNESS_H

#include "admin/admin.h"

struct harness {
    struct epc_shard *sh;
    struct epc_admin *admin;
    struct epc_cfg_admin cfg;
    uint16_t port;
    char folder[64], path[96];
    enum epc_err result;
    const char *_Atomic unhealthy;
    struct epc_admin_reply *held; /* by the command `hold`; the shard's thread only */
};

void harness_folder(struct harness *h);   /**< makes folder, sets path */
void harness_start(struct harness *h);    /**< sets result */
void harness_stop(struct harness *h);
void harness_clear(struct harness *h);    /**< the folder must be empty by now */
int harness_setup(void **state);          /**< all of it, for cmocka */
int harness_teardown(void **state);

int dial_tcp(uint16_t port);
int dial_unix(const char *path);
void say(int fd, const char *text);
/** Read as many octets as @p text has; they must be it. */
void expect(int fd, const char *text);
void expect_end(int fd); /**< the peer closes and says nothing more */

#endif
