/* One of several processes that borrow identities from one pool, as fast as they can, until they are
 * killed:
 *     pool_worker DATABASE LIFE-S
 * A line for each identity that was lent, once it was: "IMPI HOLDER-ID NOW END". */
#include "wwsf/store.h"

#include <stdlib.h>
#include <unistd.h>

enum { SESSIONS = 3 };

struct slot {
    char id[EPC_SESSION_ID_LEN + 1];
    bool in;
};

static void told(const struct epc_user *u, const struct slot *s, const struct epc_lease *l)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s %llu %llu\n", u->impi, s->id, (unsigned long long)l->now_s,
                     (unsigned long long)l->now_s + l->life_s);
    /* One write: a line is there whole or not at all. */
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        exit(1);
}

static enum epc_err step(struct epc_store *s, struct slot *slot, uint32_t life_s, unsigned what)
{
    struct epc_lease l = {epc_wall_s(), life_s, 0};
    struct epc_user u = {0};
    uint64_t wait_s;
    char *impi = NULL;
    if (slot->in && what % 3 == 0) {
        slot->in = false;
        enum epc_err err = epc_store_logout(s, epc_str_c(slot->id), "https://a", l.now_s, false, &impi);
        free(impi);
        return err;
    }
    enum epc_err err = slot->in ? epc_store_refresh(s, epc_str_c(slot->id), "https://a", &l, &u, &wait_s)
                                : epc_store_login(s, EPC_STR_NULL, "https://a", &l, slot->id, &u, &wait_s);
    if (err == EPC_OK) {
        slot->in = true;
        told(&u, slot, &l);
    }
    epc_user_clear(&u);
    return err == EPC_ELIMIT || err == EPC_EAGAIN ? EPC_OK : err;
}

int main(int argc, char **argv)
{
    struct epc_store *s = NULL;
    struct slot slots[SESSIONS] = {{.in = false}};
    if (argc != 3 || epc_store_open(&s, argv[1]) != EPC_OK)
        return 64;
    uint32_t life_s = (uint32_t)atoi(argv[2]);
    for (;;) {
        unsigned char dice[2];
        epc_random(dice, sizeof dice);
        enum epc_err err = step(s, &slots[dice[0] % SESSIONS], life_s, dice[1]);
        if (err != EPC_OK) {
            fprintf(stderr, "%s\n", epc_err_name(err));
            return 1;
        }
    }
}
