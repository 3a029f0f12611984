/* SPDX-License-Identifier: Apache-2.0 */
/* store_responses.h - what people answered, as the API shows it: by campaign, one by one, and
 * counted by what they said. Rows are written by outcome/ (store_response.c). No address leaves
 * here. */
#ifndef STORE_STORE_RESPONSES_H
#define STORE_STORE_RESPONSES_H

#include "store/store.h"

#define STORE_ANSWERS_MAX 100     /* different answers that are counted one by one */
#define STORE_ANSWER_CHARS_MAX 32 /* longer texts are counted together */

/* Newest first: {id, customer, contact, wave, at, channel, kind, meaning, text, media[]}. wave 0 =
 * all. CGW_ENOTFOUND: no such campaign. */
int store_responses_list(struct db *db, struct store_scope scope, const char *campaign, int wave,
                         const char *cursor, int limit, struct buf *ret, bool *ret_more,
                         char *ret_cursor, size_t cursor_size, struct diag *diag) CGW_NODISCARD;
/* One response by its number (store_ids.h); CGW_ENOTFOUND. */
int store_responses_json(struct db *db, struct store_scope scope, int64_t id, struct buf *ret,
                         struct diag *diag) CGW_NODISCARD;
/* {campaign, responses, answers:[{answer, kind, wave, channel, n}], other}: what was said, letters
 * of one case, most often first. "answer" null: texts that are long, or that retention has taken.
 */
int store_responses_answers(struct db *db, struct store_scope scope, const char *campaign,
                            struct buf *ret, struct diag *diag) CGW_NODISCARD;

#endif
