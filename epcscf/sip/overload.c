#include "sip/overload.h"

#include <string.h>

enum { SHARE_FULL = 1000, SHARE_LEAST = 50, ROUND_LONG = 4, ROUND_SHORT = 3 }; /* rounds: in delay_ms */

void epc_overload_init(struct epc_overload *o, uint32_t delay_ms, uint32_t interval_ms, uint64_t now_ms)
{
    memset(o, 0, sizeof *o);
    o->delay_ms = delay_ms;
    o->interval_ms = interval_ms;
    o->round_ms = o->last_ms = o->good_ms = now_ms;
    o->refused = o->refused_before = -1;
    o->share = SHARE_FULL;
}

/* Down fast and up slowly, as with any queue that is shared with others. */
static void share_out(struct epc_overload *o)
{
    uint64_t length = o->last_ms - o->round_ms;
    if (length > (uint64_t)o->delay_ms * ROUND_LONG)
        o->share = o->share * 3 / 4;
    else if (length < (uint64_t)o->delay_ms * ROUND_SHORT)
        o->share = o->share * 9 / 8;
    o->share = o->share < SHARE_LEAST ? SHARE_LEAST : o->share > SHARE_FULL ? SHARE_FULL : o->share;
}

/* The round before is over: was it short, or was there a pause after it? */
static void begin_round(struct epc_overload *o, uint64_t looked_ms)
{
    if (o->last_ms < o->round_ms + o->delay_ms || looked_ms > o->last_ms + o->delay_ms / 2)
        o->good_ms = looked_ms;
    share_out(o);
    o->refused_before = o->refused;
    o->refused = -1;
    o->round_ms = looked_ms;
}

bool epc_overload_look(struct epc_overload *o, uint64_t looked_ms, uint64_t now_ms)
{
    if (looked_ms > now_ms)
        looked_ms = now_ms;
    if (looked_ms != o->round_ms)
        begin_round(o, looked_ms);
    o->last_ms = now_ms;
    if (!o->on && o->delay_ms && now_ms >= o->round_ms + o->delay_ms && now_ms >= o->good_ms + o->interval_ms) {
        o->on = true;
        o->refused_ms = now_ms;
    }
    return o->on;
}

/* How old a round must be, for what is worth so much to be refused. */
static uint64_t age_of(const struct epc_overload *o, enum epc_worth worth)
{
    uint64_t delays2 = worth == EPC_WORTH_EARLY ? 1 : 2 * (uint64_t)worth;
    return o->delay_ms * delays2 * o->share / SHARE_FULL / 2;
}

bool epc_overload_refuses(struct epc_overload *o, enum epc_worth worth, uint64_t now_ms)
{
    if (!o->on || worth == EPC_WORTH_KEEP)
        return false;
    uint64_t age = now_ms > o->round_ms ? now_ms - o->round_ms : 0;
    if (age < age_of(o, worth) && (int)worth >= o->refused_before)
        return false;
    if (o->refused < (int)worth)
        o->refused = (int)worth;
    o->refused_ms = now_ms;
    return true;
}

void epc_overload_refused(struct epc_overload *o, uint64_t now_ms)
{
    o->refused_ms = now_ms;
}

bool epc_overload_has_room(const struct epc_overload *o, uint64_t looked_ms, uint64_t now_ms)
{
    uint64_t least = o->delay_ms / ROUND_LONG;
    bool quiet = now_ms >= o->last_ms + least;
    return now_ms <= looked_ms + least && (quiet || o->last_ms <= o->round_ms + least);
}

bool epc_overload_over(struct epc_overload *o, uint64_t now_ms)
{
    if (o->on && now_ms >= o->refused_ms + o->interval_ms) {
        o->on = false;
        o->good_ms = now_ms;
        o->refused = o->refused_before = -1;
        return true;
    }
    return false;
}
