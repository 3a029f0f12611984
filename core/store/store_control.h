/* SPDX-License-Identifier: Apache-2.0 */
/* store_control.h - what dispatch needs to know beside the work itself: running waves, routes, the
 * switch. One immutable snapshot. */
#ifndef STORE_STORE_CONTROL_H
#define STORE_STORE_CONTROL_H

#include "store/store.h"
#include "store/store_media.h"

#define CONTROL_WAVES_MAX 4096
#define CONTROL_ROUTES_MAX 512

struct wave_info {
    int32_t wave_id, campaign_id, set_id, partner_id;
    int32_t partner_rate; /* messages per second of all its campaigns together, 0 = no limit */
    char campaign[40];    /* public id */
    char plugin[64];
    uint8_t contact_class, channel, lane;
    int16_t purpose;
    bool cancelled; /* everything left is held: campaign.cancelled */
    bool sending;   /* may have chunks; false: only results and late retries are waited for */
    int64_t not_before_ms, not_after_ms, validity_ms;
    const char *content; /* JSON */
    uint32_t content_len;
    const char **fields; /* in the order of the set's params */
    uint32_t n_fields;
    const char **routes; /* public ids the wave is restricted to; 0 = any */
    uint32_t n_routes;
    int32_t version;               /* of the campaign row: content changes with it */
    struct store_media_ref *media; /* that the content names */
    uint32_t n_media;
};
struct route_info {
    int32_t route_id, partner_id, rate, priority, weight;
    char public_id[40], name[80], instance[48], sender[64], service_code[64];
    uint8_t channel, sender_kind;
    bool active, receipts, paused[2]; /* per lane */
    uint32_t class_mask;
    int16_t max_segments, max_tries;
    const char **prefixes, **regions;
    uint32_t n_prefixes, n_regions;
};
struct control {
    int refs;     /* owner: dispatch/control.c */
    bool running; /* dispatch switch */
    struct wave_info *waves;
    uint32_t n_waves;
    struct route_info *routes;
    uint32_t n_routes;
    struct arena arena;
};
int store_control_load(struct db *db, struct control **ret, struct diag *diag) CGW_NODISCARD;
void control_free(struct control *c);
const struct wave_info *control_wave(const struct control *c, int32_t wave_id);
const struct route_info *control_route(const struct control *c, int32_t route_id);

#endif
