/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - the messages an instance knows: token → where it is. Open addressing, at most `max`
 * entries; remembers lately finished tokens so that a second completion can be told from an unknown
 * one. Not locked: the instance's lock guards it. */
#ifndef PLUGIN_TOKENS_H
#define PLUGIN_TOKENS_H

#include "base/cleanup.h"
#include <stdbool.h>
#include <stdint.h>

#define TOKENS_RECENT 4096u /* finished tokens remembered, power of two */

enum token_state { TOKEN_ABSENT, TOKEN_WAITING, TOKEN_TAKEN };

struct token_slot {
    uint64_t token;
    uint32_t state;
    uint32_t lane;
};

struct tokens {
    struct token_slot *slots; /* owned; cap is a power of two, at most half full */
    uint32_t cap, n, max;
    uint64_t recent[TOKENS_RECENT];
};

int tokens_init(struct tokens *t, uint32_t max) CGW_NODISCARD;
void tokens_done(struct tokens *t);
/* 0, CGW_EEXISTS, CGW_ELIMIT, -ENOMEM */
int tokens_add(struct tokens *t, uint64_t token, uint32_t lane) CGW_NODISCARD; /* as WAITING */
struct token_slot *tokens_find(struct tokens *t, uint64_t token);              /* NULL = absent */
bool tokens_finish(struct tokens *t, uint64_t token); /* removes; false = absent */
bool tokens_was_finished(const struct tokens *t, uint64_t token);
/* Any entry in that state, NULL = none. Starts at *cursor and moves it. */
struct token_slot *tokens_next(struct tokens *t, enum token_state state, uint32_t *cursor);

#endif
