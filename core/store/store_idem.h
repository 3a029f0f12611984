/* SPDX-License-Identifier: Apache-2.0 */
/* store_idem.h - table idempotency: the answer of a request, kept in the transaction of its effect;
 * and the two kinds of transaction a request runs in. Source:
 * draft-ietf-httpapi-idempotency-key-header-07. */
#ifndef STORE_STORE_IDEM_H
#define STORE_STORE_IDEM_H

#include "store/store.h"

#define STORE_IDEM_ANSWER_MAX (1u << 20) /* bytes of a stored answer */

enum store_idem { STORE_IDEM_NEW, STORE_IDEM_REPLAY, STORE_IDEM_OTHER_BODY, STORE_IDEM_RUNNING };

/* Inside a transaction: takes the key (an advisory lock until its end) and looks for a stored
 * answer younger than the retention. REPLAY: ret_status and ret_answer are set. RUNNING: another
 * transaction holds the key right now. */
int store_idem_take(struct db *db, const char *owner, const char *key,
                    const unsigned char fingerprint[32], enum store_idem *ret, int *ret_status,
                    struct buf *ret_answer, struct diag *diag) CGW_NODISCARD;
/* Same transaction, before its commit. */
int store_idem_save(struct db *db, const char *owner, const char *key,
                    const unsigned char fingerprint[32], int status, const char *answer, size_t len,
                    struct diag *diag) CGW_NODISCARD;
/* Removes expired rows, at most `limit`; for the hourly maintenance. */
int store_idem_expire(struct db *db, int limit, int64_t *ret_rows, struct diag *diag) CGW_NODISCARD;

/* BEGIN with one snapshot, read only: every list and document of an answer is of the same moment.
 */
int store_begin_read(struct db *db, struct diag *diag) CGW_NODISCARD;
/* Cheapest round trip: is the connection alive? */
int store_ping(struct db *db, struct diag *diag) CGW_NODISCARD;

#endif
