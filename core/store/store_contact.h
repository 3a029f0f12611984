/* SPDX-License-Identifier: Apache-2.0 */
/* store_contact.h - the contact log as people read it: filtered rows, one contact with everything
 * known of it, derived states. Read only. Numbers and e-mail addresses never leave through here.
 * Contacts whose whole chunk waits for its first decision have no row yet: a campaign's progress
 * tells of them, and store_contact_json() finds them by id. */
#ifndef STORE_STORE_CONTACT_H
#define STORE_STORE_CONTACT_H

#include "store/store.h"

/* Derived, never stored: waiting held reserved intended accepted delivered failed expired recalled
 * in_doubt unknown */
#define STORE_CONTACT_STATES                                                                       \
    "waiting|held|reserved|intended|accepted|delivered|failed|expired|recalled|in_doubt|unknown"
#define STORE_CONTACT_SCAN_MAX                                                                     \
    20000 /* rows one page looks at before it ends short, with more to come */

struct store_contact_filter {
    int64_t customer_id;  /* 0 any */
    const int32_t *waves; /* of the campaign; NULL any */
    size_t n_waves;
    int verdict, reason;    /* -1 any */
    const char *state;      /* NULL any */
    int64_t from_ms, to_ms; /* of the latest decision, [from, to); INT64_MIN open */
};
/* Waves of a campaign in the scope. ret has room for max; CGW_ENOTFOUND; CGW_ELIMIT. */
int store_contact_waves(struct db *db, struct store_scope scope, const char *campaign, int32_t *ret,
                        size_t max, size_t *ret_n, struct diag *diag) CGW_NODISCARD;

struct store_contact_row { /* texts borrowed until the callback returns; "" = none */
    int64_t contact_id, customer_id;
    int verdict, reason, wave_no, attempt,
        rules_version; /* verdict 1 ALLOW, 2 DEFER, 3 DENY as it stands now */
    const char *campaign, *channel, *contact_class, *state, *rule, *decided_at, *until;
};
typedef int (*store_contact_fn)(
    void *ctx, const struct store_contact_row *row); /* non-zero stops with that code */

/* Newest contact of each part first, part after part. cursor "" = from the start; limit 0 = all of
 * it. A page may be short and still have more (STORE_CONTACT_SCAN_MAX). Either a customer or waves
 * must be given. */
int store_contact_scan(struct db *db, struct store_scope scope,
                       const struct store_contact_filter *f, const char *cursor, int limit,
                       store_contact_fn fn, void *ctx, bool *ret_more, char *ret_cursor,
                       size_t cursor_size, struct diag *diag) CGW_NODISCARD;

/* Why: decisions, intents, submits, events, responses, and what it waits for. lang: "zh…" or
 * anything. CGW_ENOTFOUND outside the scope. */
int store_contact_json(struct db *db, struct store_scope scope, int64_t contact_id,
                       const char *lang, struct buf *ret, struct diag *diag) CGW_NODISCARD;

/* Public id of the rule behind a reason: dnd_…, cap_…, cal_…; "" when there is none. */
int store_rule_name(struct db *db, int reason, int32_t rule_id, char ret[40],
                    struct diag *diag) CGW_NODISCARD;

/* What is known of where a customer may be: zone, region and number (for candidate zones), "" = not
 * known. The number stays inside. */
struct store_whereabouts {
    char zone[64], region[16], msisdn[32];
};
int store_whereabouts(struct db *db, int64_t customer_id, struct store_whereabouts *ret,
                      struct diag *diag) CGW_NODISCARD;

#endif
