/* SPDX-License-Identifier: Apache-2.0 */
/* phone_dfa.h - several digit patterns at once as one acyclic table: which of them match the digits
 * read so far? Knows the small regular-expression language of libphonenumber's metadata (digits,
 * \d, [], groups, |, ?, {n}, {n,m}) and refuses anything else. Immutable once built. */
#ifndef ADDRESS_PHONE_DFA_H
#define ADDRESS_PHONE_DFA_H

#include "base/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHONE_DFA_DEPTH 17u /* digits of the longest national number the library accepts */
#define PHONE_DFA_STATES_MAX 200000u
#define PHONE_DFA_NODES_MAX 60000u /* nodes of the automaton of all patterns */
#define PHONE_DFA_DEAD 0u          /* state from which nothing matches any more */
#define PHONE_DFA_START 1u

struct phone_dfa_pattern {
    const char *text;
    uint16_t id; /* told to the verdict callback */
    bool prefix; /* matches whatever begins with it; otherwise the whole input must match */
};

struct phone_dfa {
    uint32_t (*next)[10]; /* owned; next[state][digit] */
    uint64_t *verdict;    /* owned; per state, what the callback said */
    uint32_t n, cap;
};

/* ids: matching patterns after `depth` digits, ascending. Not asked for the dead state, whose
 * verdict is 0. */
typedef uint64_t (*phone_dfa_verdict_fn)(const void *ctx, const uint16_t *ids, uint32_t n_ids,
                                         uint32_t depth);

/* \return 0, CGW_EINVAL for a pattern outside the language, CGW_ELIMIT when a bound was passed,
 * -ENOMEM */
int phone_dfa_init(struct phone_dfa *d, const struct phone_dfa_pattern *patterns, uint32_t n,
                   phone_dfa_verdict_fn verdict, const void *ctx) CGW_NODISCARD;
void phone_dfa_done(struct phone_dfa *d);

/* State after the digits ('0'..'9'), the dead state if there are more than PHONE_DFA_DEPTH. */
static inline uint32_t phone_dfa_run(const struct phone_dfa *d, const char *digits, size_t len)
{
    uint32_t s = PHONE_DFA_START;
    if (len > PHONE_DFA_DEPTH)
        return PHONE_DFA_DEAD;
    for (size_t i = 0; i < len && s; i++)
        s = d->next[s][digits[i] - '0'];
    return s;
}

#endif
