/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_count.h - the independent judge: who was sent what, how often, and with which answer.
 * Puts parts together, names each whole message by destination and key, and counts its copies.
 * Knows neither sessions nor faults; the caller says what happened to each submit.
 *
 * The key is the number after the first '#' that a digit follows (at most 18 digits), else FNV-1a
 * over the octets of the whole text without user data headers.
 */
#ifndef SIM_COUNT_H
#define SIM_COUNT_H

#include <stdio.h>

#include "sim_codec.h"

#define SIM_KEYS_MAX 4194304u     /* 72 octets each; above: counted as overflow, not kept */
#define SIM_ASSEMBLY_MAX 1048576u /* messages with parts remembered; the oldest are archived */

enum sim_verdict { SIM_ACCEPTED_OK, SIM_REFUSED_STATUS, SIM_AMBIGUOUS };

struct sim_assembly;

/* One submit waiting for its verdict. Settle each exactly once. */
struct sim_ref {
    uint32_t epoch; /* refs from before a reset are ignored; 0 = none */
    uint32_t key;
    struct sim_assembly *assembly;
    uint8_t part;
};

/* What the caller may want to complain about. */
struct sim_noticed {
    bool ref_reused;
    uint64_t other_session; /* another part was taken there, 0 = no */
};

struct sim_counted {
    uint64_t keys, unique, accepted, ambiguous, refused_only, duplicate, duplicate_taken;
    uint64_t incomplete, overflow;
};

struct sim_count *sim_count_new(void);
struct sim_count *sim_count_free(struct sim_count *count); /* NULL */
void sim_count_reset(struct sim_count *count);

struct sim_ref sim_count_submit(struct sim_count *count, uint32_t account, uint64_t session,
                                const struct sim_sm *sm, int64_t epoch_ms,
                                struct sim_noticed *ret_noticed);
/* The simulator took the message. True when this part completed a copy of the whole message. */
bool sim_count_take(struct sim_count *count, struct sim_ref ref, uint64_t session);
void sim_count_settle(struct sim_count *count, struct sim_ref ref, enum sim_verdict verdict);
/* First message id of a long message, kept for receipts per message: sets it when it is 0. */
uint64_t sim_count_first_id(struct sim_ref ref, uint64_t id);

void sim_count_stats(const struct sim_count *count, struct sim_counted *ret_counted);
/* dest key accepted refused ambiguous parts first_ms last_ms taken seen, tab separated. */
int sim_count_dump(const struct sim_count *count, FILE *out);
/* Each destination that got a part with an accepted or ambiguous answer, once. */
int sim_count_dests(const struct sim_count *count, FILE *out, uint64_t *ret_lines);

/* For tests: what a text is called. Returns true when it is a marker. */
bool sim_count_key(const uint8_t *text, size_t len, bool two_octets, uint64_t *ret_value);

#endif
