/* SPDX-License-Identifier: Apache-2.0 */
/* word.h - the words of public numbers, and "did you mean": the known word that a mistyped one was
 * meant to be. */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include <stdint.h>

/* CGW_CHANNEL_*, CGW_CLASS_*: as in HTTP, metrics and SQL (SQL_CHANNEL, SQL_CLASS); "" for none. */
const char *channel_word(uint32_t channel);
const char *class_word(uint32_t contact_class);
/* CGW_SUB_*, as SQL_SUB; "" for none. */
const char *sub_word(uint32_t sub);

/* The one of candidate and best that is nearer to word, or NULL when neither is close: at most a
 * third of its letters and one more may differ; case counts nothing. To be called with each known
 * word, first with best = NULL. */
const char *word_nearer(const char *word, const char *candidate, const char *best);

#endif
