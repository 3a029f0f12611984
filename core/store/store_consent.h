/* SPDX-License-Identifier: Apache-2.0 */
/* store_consent.h - tables consent (what holds now), consent_event (everything ever said, append
 * only) and purpose. Which statement holds: the one with the later `at`; a withdrawal wins a tie; a
 * withdrawal for all channels also ends earlier grants for single channels. Statements may arrive
 * in any order. */
#ifndef STORE_STORE_CONSENT_H
#define STORE_STORE_CONSENT_H

#include "store/store.h"

#define STORE_CONSENT_BATCH_MAX 100000 /* statements of one request */
#define STORE_CONSENT_GRANT 1
#define STORE_CONSENT_WITHDRAW 2

struct store_consent_row {
    int64_t line, key, alt;
    const char *address; /* normal form; "" with a known customer id (alt = 0) */
    const char *purpose; /* name; made when it is new */
    int16_t channel;     /* CGW_CHANNEL_*, 0 = all */
    int16_t state;       /* STORE_CONSENT_* */
    const char *source, *evidence;
    int64_t at_utc_ms, expires_utc_ms; /* INT64_MIN: now / never */
};
struct store_consent_counts {
    int64_t granted, withdrawn; /* statements recorded */
    int64_t outdated;           /* of them: superseded by a later statement, kept as event only */
};
struct store_consents {
    struct db *db; /* borrowed */
    struct db_copy copy;
    bool open;
};
/* Inside the caller's transaction: open, put ..., close. Rows wait in memory, so that other queries
 * may run meanwhile. ret_parts: for store_facts_touch() as the last statement. */
int store_consents_open(struct db *db, struct store_consents *c, struct diag *diag) CGW_NODISCARD;
int store_consents_put(struct store_consents *c, const struct store_consent_row *row,
                       struct diag *diag) CGW_NODISCARD;
int store_consents_close(struct store_consents *c, bool ok, const struct store_actor *who,
                         struct store_consent_counts *ret, uint64_t *ret_parts,
                         struct diag *diag) CGW_NODISCARD;

/* JSON objects joined by commas: what holds now, or (history) every statement, newest first. */
int store_consent_list(struct db *db, int64_t customer_id, bool history, const char *cursor,
                       int limit, struct buf *ret, bool *ret_more, char *ret_cursor,
                       size_t cursor_size, struct diag *diag) CGW_NODISCARD;

#endif
