/* SPDX-License-Identifier: Apache-2.0 */
/* optout.h - does a reply revoke, and what? Pure matching against configured word sets: no I/O, no
 * allocation, no logging. What follows from the answer (do-not-disturb rows, one confirmation) is
 * the outcome writer's. Words: conf/optout.conf, optout_conf.h. Sources: 47 CFR 64.1200(a)(10)
 * (words that always revoke); the 2015 Chinese rules on SMS (easy opt-out by reply). */
#ifndef CONTENT_OPTOUT_H
#define CONTENT_OPTOUT_H

#include "base/cleanup.h"
#include "base/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTOUT_SETS_MAX 64u   /* locales */
#define OPTOUT_WORDS_MAX 256u /* words of one kind in one set */
#define OPTOUT_WORD_MAX 64u   /* bytes of one normalised word or phrase */
#define OPTOUT_LOOK_MAX 4096u /* bytes of a message that are looked at */
#define OPTOUT_WHOLE_MAX                                                                           \
    256u /* bytes of a normalised message that can still be a plain opt-out                        \
          */

/* Stored in response.meaning; numbers are for ever. */
enum optout_kind {
    OPTOUT_NONE = 0,
    OPTOUT_MARKETING = 1, /* the usual stop */
    OPTOUT_ALL = 2,       /* every class but emergency */
    OPTOUT_UNCLEAR =
        3, /* holds a stop word in a longer text: kept for a person to read, not an opt-out */
    OPTOUT_START = 4, /* asks to be contacted again: a hint, never a consent by itself */
    OPTOUT_HELP = 5
};
const char *
optout_kind_word(enum optout_kind k); /* "none", "stop", "stop_all", "unclear", "start", "help" */

enum optout_list {
    OPTOUT_LIST_STOP,
    OPTOUT_LIST_ALL,
    OPTOUT_LIST_START,
    OPTOUT_LIST_HELP,
    OPTOUT_LIST_POLITE,
    OPTOUT_LISTS
};

struct optout_set { /* one locale */
    char locale[16];
    char **words[OPTOUT_LISTS]; /* owned; each normalised by optout_normalise(), longest first */
    uint32_t n[OPTOUT_LISTS];
};
struct optout_sets {
    struct optout_set *set; /* owned */
    uint32_t n;
};

struct optout_hit {
    enum optout_kind kind;
    const char *locale; /* set that decided, borrowed from the sets; "" for NONE */
    const char *word;   /* word that decided, borrowed from the sets; "" for NONE */
};

/* Match one reply (UTF-8; broken bytes count as blanks) against all sets.
 * A plain opt-out is a message that holds stop words and polite words only ("STOP", "please
 * unsubscribe, thanks", "退订，谢谢"); words of one character count only when they are the whole
 * message. Contradictions (START and STOP) are unclear. */
void optout_match(const struct optout_sets *sets, const char *text, size_t len,
                  struct optout_hit *ret);
/* Would a reply of just this word be an opt-out? Such a word cannot be a campaign's keyword. */
bool optout_is_word(const struct optout_sets *sets, const char *word, size_t len);

/* Case, width, zero-width characters, punctuation, quotes, emoji and blanks levelled; out is
 * NUL-terminated. \return bytes written without the NUL; what does not fit is cut at a character,
 * and *ret_cut says so (may be NULL) */
size_t optout_normalise(const char *text, size_t len, char *out, size_t out_size, bool *ret_cut);

/* Build sets. optout_add takes a word as written. */
int optout_set_new(struct optout_sets *sets, const char *locale, struct optout_set **ret,
                   struct diag *diag) CGW_NODISCARD;
int optout_add(struct optout_set *set, enum optout_list list, const char *word,
               struct diag *diag) CGW_NODISCARD;
void optout_sets_done(struct optout_sets *sets);

#endif
