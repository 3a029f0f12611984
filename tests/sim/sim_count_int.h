/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_count_int.h - what sim_count.c and sim_assembly.c share. Nobody else includes it.
 * sim_count.c owns keys; sim_assembly.c owns messages in parts and reports differences to keys.
 */
#ifndef SIM_COUNT_INT_H
#define SIM_COUNT_INT_H

#include "sim_count.h"

#define SIM_NO_KEY UINT32_MAX

#define SIM_K_MARKER 0x01  /* value is the number after '#' */
#define SIM_K_PARTIAL 0x02 /* some part was never seen: value is made from the others */
#define SIM_K_TOUCHED 0x04 /* at least a part was accepted or is ambiguous */

struct sim_key {
    uint64_t value;
    int64_t first_ms;
    int64_t last_ms;
    uint32_t accepted, refused, ambiguous, taken;
    uint16_t parts, seen;
    uint8_t flags;
    char dest[SIM_ADDR_CAP];
};

/* Copies of one long message, in whole messages but for refused, which counts submits. */
struct sim_copies {
    uint32_t accepted, refused, ambiguous, taken;
};

struct sim_part {
    uint64_t hash;
    uint64_t was;  /* the same part of the message that had this reference before */
    uint8_t *text; /* until the message is complete */
    uint16_t len;
    bool seen;
    uint16_t ok, ambiguous, taken;
};

struct sim_assembly {
    struct sim_assembly *chain;         /* same bucket */
    struct sim_assembly *older, *newer; /* by last activity */
    uint32_t account;
    uint32_t key; /* SIM_NO_KEY until every part has been seen */
    uint32_t refs;
    bool linked; /* found by reference; else it only waits for its refs */
    bool echo;   /* only parts that the finished predecessor had too: sent again, no new message */
    bool two_octets;
    struct sim_concat concat; /* part unused */
    char src[SIM_ADDR_CAP], dst[SIM_ADDR_CAP];
    uint64_t taken_session;
    uint64_t first_id;
    int64_t first_ms, last_ms;
    uint32_t refused;
    uint32_t seen;
    struct sim_copies counted; /* what the key has been told */
    struct sim_part part[];
};

#define SIM_BUCKETS (1u << 18)

struct sim_age {
    struct sim_assembly *oldest, *newest;
};

struct sim_assemblies {
    struct sim_assembly **bucket;
    struct sim_age live, detached;
    uint32_t n;
    uint64_t incomplete; /* archived with a part taken and a part missing */
};

#define SIM_CHUNK 65536u

struct sim_count {
    struct sim_key *chunk[SIM_KEYS_MAX / SIM_CHUNK];
    uint32_t n_keys;
    uint32_t *index; /* key number + 1; 0 = free */
    uint32_t index_cap;
    uint64_t overflow;
    uint32_t epoch;
    struct sim_assemblies parts;
};

struct sim_key *sim_key_at(const struct sim_count *count, uint32_t key);
uint32_t sim_key_find(struct sim_count *count, const char *dest, uint8_t flags, uint64_t value,
                      uint16_t parts, int64_t epoch_ms);

struct sim_ref sim_assembly_submit(struct sim_count *count, uint32_t account, uint64_t session,
                                   const struct sim_sm *sm, int64_t epoch_ms,
                                   struct sim_noticed *ret_noticed);
bool sim_assembly_take(struct sim_count *count, struct sim_ref ref, uint64_t session);
void sim_assembly_settle(struct sim_count *count, struct sim_ref ref, enum sim_verdict verdict);
void sim_assembly_reset(struct sim_count *count);
/* The line an assembly without a key would have. */
void sim_assembly_as_key(const struct sim_assembly *a, struct sim_key *ret_key);
/* A part was taken and another never was, and it is no echo. */
bool sim_assembly_incomplete(const struct sim_assembly *a);

#endif
