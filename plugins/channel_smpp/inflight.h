/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.h - the window of one bind: which sequence number stands for what we wrote and have no
 * answer to. Must not own what the entries point to. Source: SMPP v3.4 issue 1.2, 2.5.1 and 3.2
 * (sequence_number 1..0x7FFFFFFF). */
#ifndef SMPP_INFLIGHT_H
#define SMPP_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define SMPP_WINDOW_MAX 10000u /* parts per bind */
#define SMPP_CONTROL_MAX                                                                           \
    64u /* binds, enquire_links, unbinds, queries and recalls beside the parts */

enum smpp_slot_kind {
    SMPP_SLOT_FREE,
    SMPP_SLOT_PART,
    SMPP_SLOT_QUERY,
    SMPP_SLOT_RECALL,
    SMPP_SLOT_ENQUIRE,
    SMPP_SLOT_BIND,
    SMPP_SLOT_UNBIND
};

struct smpp_slot {
    uint32_t seq;
    enum smpp_slot_kind kind;
    uint32_t
        part; /* SMPP_SLOT_PART: index in the message; SMPP_SLOT_QUERY: index in the bind's list */
    uint32_t older, newer;
    int64_t written_ms;
    void *owner; /* borrowed */
};

struct smpp_inflight {
    struct smpp_slot *slots; /* owned; index = seq & mask */
    uint32_t mask, window;
    uint32_t last_seq;
    uint32_t parts, control; /* entries in use */
    uint32_t oldest, newest; /* list of parts and queries in order of writing */
};

int smpp_inflight_init(struct smpp_inflight *f, uint32_t window)
    __attribute__((warn_unused_result));
void smpp_inflight_done(struct smpp_inflight *f);
void smpp_inflight_clear(struct smpp_inflight *f); /* forget all; sequence numbers go on */
/* \return the sequence number, or 0 when the window (parts) or the control room is full. */
uint32_t smpp_inflight_add(struct smpp_inflight *f, enum smpp_slot_kind kind, void *owner,
                           uint32_t part, int64_t now_ms);
/* Remove the entry of seq. \return false when there is none: late or never ours. */
bool smpp_inflight_take(struct smpp_inflight *f, uint32_t seq, struct smpp_slot *ret_slot);
const struct smpp_slot *smpp_inflight_find(const struct smpp_inflight *f, uint32_t seq);
/* The part or query that waits longest, NULL when none. */
const struct smpp_slot *smpp_inflight_oldest(const struct smpp_inflight *f);

#endif
