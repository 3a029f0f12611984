/* SPDX-License-Identifier: Apache-2.0 */
/* store_campaign.h - tables campaign and wave as the API sees them: documents, the table of states
 * and actions, progress, funnel. Planning and sending move the same rows (store_plan.c): every
 * statement here names the state it starts from or holds the row's lock. Campaigns of the system
 * itself (opt-out confirmations) are not shown. */
#ifndef STORE_STORE_CAMPAIGN_H
#define STORE_STORE_CAMPAIGN_H

#include "store/store.h"
#include "store/store_media.h"

#define STORE_WAVES_MAX 8u
#define STORE_WAVE_ROUTES_MAX 32u

/* ---- states and actions ---------------------------------------------------------------------- */
/* Order = order of the CHECK on campaign.state; a test compares the two. */
enum campaign_state {
    CAMPAIGN_DRAFT,
    CAMPAIGN_IN_REVIEW,
    CAMPAIGN_APPROVED,
    CAMPAIGN_SCHEDULED,
    CAMPAIGN_RUNNING,
    CAMPAIGN_PAUSED,
    CAMPAIGN_FINISHING,
    CAMPAIGN_COMPLETED,
    CAMPAIGN_CANCELLED,
    CAMPAIGN_STATES
};
const char *campaign_state_word(enum campaign_state s);
int campaign_state_of(const char *word); /* -1 unknown */

struct campaign_action {
    const char *verb;
    uint32_t from; /* bits of enum campaign_state in which it is legal */
    uint32_t
        in_effect; /* bits in which it has happened already: again is fine and changes nothing */
    enum campaign_state to;
};
enum campaign_verb {
    CAMPAIGN_SCHEDULE,
    CAMPAIGN_START,
    CAMPAIGN_PAUSE,
    CAMPAIGN_RESUME,
    CAMPAIGN_CANCEL,
    CAMPAIGN_VERBS
};
extern const struct campaign_action campaign_actions[CAMPAIGN_VERBS];
#define CAMPAIGN_CHANGEABLE (1u << CAMPAIGN_DRAFT | 1u << CAMPAIGN_SCHEDULED)
/* ["start","cancel"] of a state */
void campaign_actions_json(enum campaign_state s, struct buf *out);

/* ---- values ---------------------------------------------------------------------------------- */
struct store_wave_values {
    uint8_t channel;
    const char *content; /* JSON object */
    size_t content_len;
    const char *routes[STORE_WAVE_ROUTES_MAX];
    size_t n_routes;
    int64_t validity_ms; /* 0 = the network's own */
    /* when it begins: the later of both. INT64_MIN none; since the campaign's start, 0 none */
    int64_t not_before_ms, after_ms;
    const struct store_media_ref *media; /* that the content names, each once */
    uint32_t n_media;
};
struct store_campaign_values { /* texts borrowed */
    const char *name, *plugin, *keyword;
    uint8_t contact_class;
    int16_t purpose;
    int32_t audience_id;                 /* 0 none yet */
    int64_t not_before_ms, not_after_ms; /* INT64_MIN none */
    struct store_wave_values waves[STORE_WAVES_MAX];
    uint32_t n_waves;
};
struct store_campaign { /* a locked row */
    int32_t campaign_id, partner_id, audience_id;
    int64_t version, not_before_ms, not_after_ms; /* times: INT64_MIN none */
    enum campaign_state state;
    uint8_t contact_class;
    char public_id[40];
};

/* ---- rows ------------------------------------------------------------------------------------ */
int store_campaign_create(struct db *db, const struct store_actor *who,
                          const struct store_campaign_values *v, char ret_public_id[40],
                          struct diag *diag) CGW_NODISCARD;
/* Locks the row for the caller's transaction. CGW_ENOTFOUND outside the scope. */
int store_campaign_lock(struct db *db, struct store_scope scope, const char *public_id,
                        struct store_campaign *ret, struct diag *diag) CGW_NODISCARD;
/* The members that a client may write, as it would write them: what a merge patch is applied to. */
int store_campaign_input(struct db *db, int32_t campaign_id, struct buf *ret,
                         struct diag *diag) CGW_NODISCARD;
/* Everything is written; waves are replaced. Not started ones only (the caller has locked the row
 * and looked at its state). */
int store_campaign_update(struct db *db, const struct store_actor *who,
                          const struct store_campaign *c, const struct store_campaign_values *v,
                          struct diag *diag) CGW_NODISCARD;
/* A draft that never sent. */
int store_campaign_delete(struct db *db, const struct store_actor *who,
                          const struct store_campaign *c, struct diag *diag) CGW_NODISCARD;
/* The action on a locked row whose state allows it. set_id: of the audience, fixed for the waves by
 * schedule and start; else 0. */
int store_campaign_act(struct db *db, const struct store_actor *who, const struct store_campaign *c,
                       enum campaign_verb verb, int32_t set_id, struct diag *diag) CGW_NODISCARD;

/* ---- documents ------------------------------------------------------------------------------- */
/* What only this node knows: channel instances that are down, and the time with the tests' shift.
 */
struct store_live {
    int64_t now_ms;
    const char *const *down; /* instance names */
    size_t n_down;
};
int store_campaign_json(struct db *db, struct store_scope scope, const char *public_id,
                        const struct store_live *live, int64_t *ret_version, struct buf *ret,
                        struct diag *diag) CGW_NODISCARD;
/* Newest first, without progress; state NULL = all. */
int store_campaign_list(struct db *db, struct store_scope scope, const char *state,
                        const char *cursor, int limit, struct buf *ret, bool *ret_more,
                        char *ret_cursor, size_t cursor_size, struct diag *diag) CGW_NODISCARD;
int store_campaign_progress(struct db *db, struct store_scope scope, const char *public_id,
                            const struct store_live *live, struct buf *ret,
                            struct diag *diag) CGW_NODISCARD;
#define FUNNEL_BY_WAVE 1u
#define FUNNEL_BY_CHANNEL 2u
/* People by stage, in the order in which policy checks. Nested: each stage up to after_calendar is
 * the one before less its holds; after_calendar = submitted + waiting + holds of content and
 * campaign. */
int store_campaign_funnel(struct db *db, struct store_scope scope, const char *public_id,
                          unsigned by, struct buf *ret, struct diag *diag) CGW_NODISCARD;

/* ---- what a campaign refers to --------------------------------------------------------------- */
int store_purpose_find(struct db *db, const char *name, int16_t *ret,
                       struct diag *diag) CGW_NODISCARD; /* CGW_ENOTFOUND names those there are */

struct store_campaign_audience {
    int32_t audience_id, set_id; /* set_id 0: nothing uploaded */
    bool ready, archived;
    int64_t n_rows;
    uint32_t channel_mask;
    const char **fields; /* in the arena */
    uint32_t n_fields;
    char public_id[40];
};
/* By public id (of this partner; partner 0: anybody's) or, when that is NULL, by number. lock:
 * nobody replaces its rows meanwhile. */
int store_campaign_audience(struct db *db, int32_t partner_id, const char *public_id,
                            int32_t audience_id, bool lock, struct arena *a,
                            struct store_campaign_audience *ret, struct diag *diag) CGW_NODISCARD;

struct store_campaign_routes {
    const char *instances[64]; /* of the routes that fit, each once, in the arena */
    uint32_t n_instances, n_routes;
    int16_t max_segments; /* of the route with the least room */
    char tightest[80];    /* its name */
    int wrong;            /* index of the named route that does not fit, -1 none */
    const char *why;      /* static */
};
/* Routes that may carry the wave: the named ones, or all of the channel, class and partner. */
int store_campaign_routes(struct db *db, int32_t partner_id, uint32_t contact_class,
                          const struct store_wave_values *w, struct arena *a,
                          struct store_campaign_routes *ret, struct diag *diag) CGW_NODISCARD;

#endif
