/* SPDX-License-Identifier: Apache-2.0 */
/* routing.c - which route carries a contact: channel, class, partner, region, prefix, then
 * priority, then weight. Failover to the next priority happens here, before the intent, never after
 * it. */
#include "dispatch/dispatch_int.h"

#include <string.h>

static bool in_list(const char *word, const char **list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(word, list[i]))
            return true;
    return n == 0;
}

static bool prefix_fits(const struct route_info *r, const char *address)
{
    for (uint32_t i = 0; i < r->n_prefixes; i++)
        if (!strncmp(address, r->prefixes[i], strlen(r->prefixes[i])))
            return true;
    return r->n_prefixes == 0;
}

static bool serves(const struct route_info *r, const struct wave_info *w)
{
    return r->channel == w->channel && (r->partner_id == 0 || r->partner_id == w->partner_id) &&
           (r->class_mask == 0 || (r->class_mask >> w->contact_class & 1)) &&
           in_list(r->public_id, w->routes, w->n_routes);
}

/* Pauses end: they are no reason to hold a contact for good. */
static bool is_open(const struct route_info *r, const struct wave_info *w)
{
    return r->active && !r->paused[w->lane];
}

static bool is_up(const struct registry *reg, const struct route_info *r, int lane)
{
    struct plugin_instance *inst = registry_find(reg, r->instance);
    if (!inst)
        return false;
    struct instance_stats s;
    instance_stats(inst, &s);
    /* an instance that is down tells no credit at all; one that is merely full has messages taken
     */
    return s.state == INSTANCE_RUNNING && (s.told[lane] > 0 || s.taken > 0);
}

bool routing_can_go(const struct control *c, const struct registry *reg, const struct wave_info *w)
{
    bool any = false;
    for (uint32_t i = 0; i < c->n_routes; i++) {
        const struct route_info *r = &c->routes[i];
        if (!serves(r, w) || !registry_find(reg, r->instance))
            continue;
        any = true;
        if (is_open(r, w) && is_up(reg, r, w->lane))
            return true;
    }
    return !any; /* without any route the decision says so */
}

static const struct route_info *best_of(const struct control *c, const struct registry *reg,
                                        const struct wave_info *w, const struct contact_row *row,
                                        bool open, bool up)
{
    const struct route_info *best = NULL;
    uint64_t best_score = 0;
    for (uint32_t i = 0; i < c->n_routes; i++) { /* sorted by priority */
        const struct route_info *r = &c->routes[i];
        if (best && r->priority > best->priority)
            break;
        if (!serves(r, w) || !prefix_fits(r, row->address) || (open && !is_open(r, w)) ||
            !registry_find(reg, r->instance) || (up && !is_up(reg, r, w->lane)))
            continue;
        /* equal priorities share by weight; the same person keeps the same route while the table
         * stays */
        uint64_t h =
            ((uint64_t)row->customer_id ^ (uint64_t)r->route_id * UINT64_C(0x9e3779b97f4a7c15)) *
            UINT64_C(0xff51afd7ed558ccd);
        uint64_t score = (h >> 40) * (uint64_t)(r->weight > 0 ? r->weight : 1) + 1;
        if (!best || score > best_score) {
            best = r;
            best_score = score;
        }
    }
    return best;
}

const struct route_info *routing_choose(const struct control *c, const struct registry *reg,
                                        const struct wave_info *w, const struct contact_row *row,
                                        bool up)
{
    const struct route_info *r = best_of(c, reg, w, row, true, up);
    return r || up ? r : best_of(c, reg, w, row, false, false);
}

void routing_sender(const struct route_info *r, struct cgw_address *ret)
{
    *ret = (struct cgw_address){
        .kind = r->sender_kind, .len = (uint32_t)strlen(r->sender), .text = r->sender};
    if (!r->sender[0])
        ret->kind = 0;
}
