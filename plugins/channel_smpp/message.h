/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - one message taken from the gateway: its encoded text, the fate of its parts, and what
 * the parts mean together. Pure but for malloc. Must not send or call the host. Rules of
 * aggregation: README.md, "What becomes of a message". */
#ifndef SMPP_MESSAGE_H
#define SMPP_MESSAGE_H

#include "options.h"

#include <sys/queue.h>

enum smpp_part_state {
    SMPP_PART_TODO,
    SMPP_PART_WRITTEN, /* at least one octet may have reached the peer */
    SMPP_PART_OK,
    SMPP_PART_LATER,   /* refused for now */
    SMPP_PART_REFUSED, /* refused for good */
    SMPP_PART_UNKNOWN  /* written, no answer */
};

struct smpp_msg_part {
    enum smpp_part_state state;
    uint32_t status; /* command_status of LATER and REFUSED */
    char *id;        /* owned; OK: normal form, NULL when the peer named none */
    char *peer_id;   /* owned; as the peer wrote it, NULL = as id */
};

/* Which list of its link holds it. */
enum smpp_msg_place { SMPP_AT_NONE, SMPP_AT_QUEUE, SMPP_AT_FLYING, SMPP_AT_WAITING };

struct smpp_msg {
    TAILQ_ENTRY(smpp_msg) link;
    enum smpp_msg_place place;
    uint64_t token;
    uint32_t lane;
    int64_t submit_before_mono_ms, not_after_utc_ms;
    int64_t retry_at_ms; /* at WAITING */
    bool want_receipt;
    struct smpp_addr source, destination;
    char service_type[SMPP_SERVICE_TYPE_MAX + 1];
    uint8_t data_coding;
    uint16_t reference; /* of its parts */
    uint16_t user_ref;  /* user_message_reference, 0 = none */
    struct smpp_segments plan;
    uint8_t *octets;             /* owned */
    uint32_t accepted, written;  /* parts in state OK; parts in state WRITTEN */
    uint32_t todo;               /* first part that may be in state TODO */
    int64_t retry_after_ms;      /* longest pause the refusals for now asked for */
    bool throttled;              /* one of them was throttling */
    uint32_t tries_max, tries;   /* rounds that the refusals allow, 0 = any; rounds so far */
    int32_t own_code;            /* CGW_E*: we cannot write it, 0 = we can */
    char raw[96];                /* the peer's words of the refusal, or ours */
    struct smpp_msg_part *parts; /* owned, plan.n of them */
};
TAILQ_HEAD(smpp_msgs, smpp_msg);

/* What can be said without sending: coding, segments, addresses. Any thread. */
struct smpp_shape {
    struct smpp_choice choice;
    struct smpp_segments plan;
    struct smpp_addr source, destination;
};
/* \return 0, CGW_EINVAL or CGW_ELIMIT with diag. */
int smpp_shape_of(const struct smpp_options *o, const struct cgw_message *m, struct smpp_shape *ret,
                  struct cgw_diag *diag);

/* \return 0 and *ret_msg, CGW_EINVAL/CGW_ELIMIT with diag, -ENOMEM. */
int smpp_msg_new(const struct smpp_options *o, struct smpp_refs *refs, const struct cgw_message *m,
                 struct smpp_msg **ret_msg, struct cgw_diag *diag);
struct smpp_msg *smpp_msg_free(struct smpp_msg *m);

/* The next part that may be written now, -1 none: a refusal or silence stops the rest. */
int smpp_msg_next_part(struct smpp_msg *m);
void smpp_msg_wrote(struct smpp_msg *m, uint32_t part);
void smpp_msg_unwrote(struct smpp_msg *m, uint32_t part); /* it did not go out after all */
/* What became of a written part. id: normal form or ""; peer_id: as the peer wrote it. */
void smpp_msg_part_ok(struct smpp_msg *m, uint32_t part, const char *id, const char *peer_id);
void smpp_msg_part_refused(struct smpp_msg *m, uint32_t part, uint32_t status,
                           const struct smpp_verdict *v, const char *raw);
void smpp_msg_part_unknown(struct smpp_msg *m, uint32_t part);
void smpp_msg_retry(struct smpp_msg *m); /* parts refused for now may be written again */

enum smpp_fate {
    SMPP_FATE_MORE,  /* parts left to write */
    SMPP_FATE_WAIT,  /* answers are missing */
    SMPP_FATE_AGAIN, /* some parts accepted, others refused for now: try those again at
                        retry_after_ms */
    SMPP_FATE_DONE   /* smpp_msg_result() says what */
};
enum smpp_fate smpp_msg_fate(const struct smpp_msg *m);
/* Fill result, flags, codes, ids (at most max_ids, borrowed from m; peer_ids alike) as things
 * stand. Parts without answer make it UNKNOWN. */
void smpp_msg_result(const struct smpp_msg *m, struct cgw_result *ret, const char **ids,
                     const char **peer_ids, uint32_t max_ids);

/* SMPP submit of one part. scratch as in smpp_segment_fill(). */
int smpp_msg_submit(const struct smpp_options *o, const struct smpp_msg *m, uint32_t part,
                    const char *validity, uint8_t scratch[SMPP_SEGMENT_SCRATCH],
                    struct smpp_submit *ret);

#define SMPP_CODE_SPACE "smpp34.command_status"
#define SMPP_OWN_SPACE "channel_smpp" /* codes of this plugin: CGW_E* */

#endif
