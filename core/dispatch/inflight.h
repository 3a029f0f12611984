/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.h - the messages that a channel holds: token → contact. Fixed size; a slot is free again
 * only after its outcome is durable, so the outcome writer always has room. Tokens carry a
 * generation: a stale one finds nothing. Any thread. */
#ifndef DISPATCH_INFLIGHT_H
#define DISPATCH_INFLIGHT_H

#include "outcome/outcome.h"

struct inflight;
struct inflight *inflight_new(uint32_t slots);
void inflight_free(struct inflight *t);
uint32_t inflight_room(struct inflight *t);
/* Fills token of the contact; false when full. */
bool inflight_add(struct inflight *t, struct outcome_contact *c);
/* Copy out; false for a stale token. The slot stays taken. */
bool inflight_get(struct inflight *t, uint64_t token, struct outcome_contact *ret);
void inflight_release(struct inflight *t, uint64_t token);
uint32_t inflight_used(struct inflight *t);

#endif
