/* SPDX-License-Identifier: Apache-2.0 */
/* instance_settle.c - what comes back from a plugin: results exactly once per token, receipts and
 * inbound with bounded acks. Any thread. What a plugin passes is cut to the stated limits here, so
 * nothing behind the sink needs to trust it. */
#include "plugin/host_int.h"

#include "base/clock.h"
#include "base/log.h"
#include <string.h>

#define BATCH 32u

_Static_assert(sizeof(struct cgw_result) >= RESULT_SIZE_FIRST, "members are only appended");
_Static_assert(sizeof(struct cgw_receipt) >= RECEIPT_SIZE_FIRST, "members are only appended");
_Static_assert(sizeof(struct cgw_inbound) >= INBOUND_SIZE_FIRST, "members are only appended");

static const void *item_at(const void *items, uint32_t stride, uint32_t i)
{
    return (const char *)items + (size_t)stride * i;
}

/* A plugin built with older headers hands over shorter items; the first one's size is the stride of
 * the array. */
static uint32_t stride_of(const void *items, uint32_t first, size_t own)
{
    uint32_t size;
    memcpy(&size, items, sizeof size);
    return size >= first && size < 4096 ? size : (uint32_t)own;
}

static void copy_item(void *to, size_t to_size, const void *from, uint32_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    uint32_t size = (uint32_t)to_size;
    memcpy(to, &size, sizeof size);
}

/* Points *text at a cut copy in buf when it is too long. */
static bool cut(const char **text, char *buf, size_t size)
{
    if (!*text || strnlen(*text, size) < size)
        return false;
    memcpy(buf, *text, size - 1);
    buf[size - 1] = 0;
    *text = buf;
    return true;
}

static void bad(struct plugin_instance *in)
{
    inst_count(in, &in->bad_results, "campgw_plugin_bad_results_total");
}

/* ---- results
 * -------------------------------------------------------------------------------------------------------------------
 */

static void tidy_result(struct plugin_instance *in, struct cgw_result *r, char *raw)
{
    (void)cut(&r->raw, raw, CGW_RAW_MAX);
    if (r->result < CGW_RES_ACCEPTED || r->result > CGW_RES_UNKNOWN) {
        bad(in); /* the message left our hands and nobody knows more */
        r->result = CGW_RES_UNKNOWN;
        r->flags |= CGW_RESF_ASSUMED;
    }
    if (r->n_ids > CGW_SEGMENTS_MAX || (r->n_ids && !r->provider_ids)) {
        bad(in);
        r->n_ids = r->provider_ids ? CGW_SEGMENTS_MAX : 0;
    }
    for (uint32_t i = 0; i < r->n_ids; i++)
        if (!r->provider_ids[i] ||
            strnlen(r->provider_ids[i], CGW_PROVIDER_ID_MAX) == CGW_PROVIDER_ID_MAX) {
            bad(in);
            r->n_ids = i; /* ids before it are good */
        }
    if (r->document_len > CGW_DOCUMENT_MAX || (r->document_len && !r->document)) {
        bad(in); /* cut JSON is none */
        r->document_len = 0;
    }
    if (!r->document_len)
        r->document = NULL;
    if (!r->n_ids)
        r->provider_ids = r->peer_ids = NULL;
    if (!r->code_space)
        r->code_space = "";
}

/* Why a completion is dropped, or NULL when it counts. Locked. */
static const char *claim(struct plugin_instance *in, uint64_t token)
{
    const struct token_slot *s = tokens_find(&in->tokens, token);
    if (s && s->state == TOKEN_TAKEN) {
        (void)tokens_finish(&in->tokens, token);
        (void)atomic_fetch_sub(&in->taken, 1);
        return NULL;
    }
    if (inst_state(in) == INSTANCE_DRAINED)
        return "late";
    return !s && tokens_was_finished(&in->tokens, token) ? "double" : "unknown";
}

static void dropped(struct plugin_instance *in, const char *why)
{
    if (why[0] == 'l')
        inst_count(in, &in->late_completions, "campgw_plugin_late_completions_total");
    else if (why[0] == 'd')
        inst_count(in, &in->double_completions, "campgw_plugin_double_completions_total");
    else
        inst_count(in, &in->unknown_tokens, "campgw_plugin_unknown_tokens_total");
    log_debug("plugin.completion.dropped", "instance=%s why=%s", in->name, why);
}

static void settle_batch(struct plugin_instance *in, const void *results, uint32_t stride,
                         uint32_t n)
{
    struct cgw_result good[BATCH];
    char raw[BATCH][CGW_RAW_MAX];
    const char *drop[BATCH];
    uint32_t k = 0, n_drop = 0;
    (void)pthread_mutex_lock(&in->lock);
    for (uint32_t i = 0; i < n; i++) {
        copy_item(&good[k], sizeof good[k], item_at(results, stride, i), stride);
        const char *why = claim(in, good[k].token);
        if (why)
            drop[n_drop++] = why;
        else
            k++;
    }
    (void)pthread_mutex_unlock(&in->lock);
    for (uint32_t i = 0; i < n_drop; i++)
        dropped(in, drop[i]);
    uint32_t documents = 0;
    for (uint32_t i = 0; i < k; i++) {
        tidy_result(in, &good[i], raw[i]);
        documents += good[i].result == CGW_RES_ACCEPTED && good[i].document;
    }
    if (!k)
        return;
    (void)atomic_fetch_add(&in->documents, documents);
    (void)atomic_fetch_add(&in->completed, k);
    in->sink.complete(in->sink.ctx, in, good, k);
}

void settle_results(struct plugin_instance *in, const struct cgw_result *results, uint32_t n)
{
    if (!n || !results)
        return;
    uint32_t stride = stride_of(results, RESULT_SIZE_FIRST, sizeof *results);
    for (uint32_t i = 0; i < n; i += BATCH)
        settle_batch(in, item_at(results, stride, i), stride, n - i < BATCH ? n - i : BATCH);
    atomic_store(&in->offer, true); /* a window slot came free */
    if (!loop_is_self(in->loop))
        loop_wake(in->loop);
}

/* The token is already out of the table. */
void settle_by_host(struct plugin_instance *in, uint64_t token, uint32_t result, uint32_t flags,
                    const char *why)
{
    struct cgw_result r = {.size = sizeof r,
                           .result = result,
                           .token = token,
                           .flags = flags,
                           .code_space = "campgw.host",
                           .raw = why};
    (void)atomic_fetch_add(&in->completed, 1);
    if (result == CGW_RES_NOT_SENT)
        (void)atomic_fetch_add(&in->not_sent_by_host, 1);
    else
        (void)atomic_fetch_add(&in->unknown_by_host, 1);
    in->sink.complete(in->sink.ctx, in, &r, 1);
}

void settle_rest(struct plugin_instance *in, const char *why)
{
    uint32_t cursor = 0;
    bool pulled = in->plugin->caps.pulled; /* without its accept nobody can read of it */
    for (;;) {
        (void)pthread_mutex_lock(&in->lock);
        const struct token_slot *s = tokens_next(&in->tokens, TOKEN_TAKEN, &cursor);
        uint64_t token = s ? s->token : 0;
        bool found = s != NULL;
        if (found) {
            (void)tokens_finish(&in->tokens, token);
            (void)atomic_fetch_sub(&in->taken, 1);
        }
        (void)pthread_mutex_unlock(&in->lock);
        if (!found)
            return;
        settle_by_host(in, token, pulled ? CGW_RES_NOT_SENT : CGW_RES_UNKNOWN,
                       pulled ? 0 : CGW_RESF_ASSUMED, why);
    }
}

/* ---- receipts and inbound
 * ----------------------------------------------------------------------------------------------------
 */

/* Reserves room for the acks of a prefix; what is not taken gives it back. */
static uint32_t reserve_acks(struct plugin_instance *in, uint32_t n)
{
    uint32_t had = atomic_load(&in->acks_outstanding), room;
    do {
        room = INSTANCE_ACKS - had;
        if (room > n)
            room = n;
    } while (room && !atomic_compare_exchange_weak(&in->acks_outstanding, &had, had + room));
    return room;
}

/* `room` slots were reserved; only taken items that want an ack keep theirs. */
static void settle_acks(struct plugin_instance *in, uint32_t room, uint32_t kept)
{
    (void)atomic_fetch_sub(&in->acks_outstanding, room - kept);
}

static void tidy_receipt(struct plugin_instance *in, struct cgw_receipt *r, char *raw, char *id)
{
    static const char empty[] = "";
    (void)cut(&r->raw, raw, CGW_RAW_MAX);
    if (!r->provider_id)
        r->provider_id = empty;
    if (cut(&r->provider_id, id, CGW_PROVIDER_ID_MAX) || !r->result ||
        r->result > CGW_RES_NOT_RECALLED)
        bad(in);
    if (!r->result || r->result > CGW_RES_NOT_RECALLED)
        r->result = CGW_RES_UNKNOWN;
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        if (r->also[i] && strnlen(r->also[i], CGW_PROVIDER_ID_MAX) == CGW_PROVIDER_ID_MAX) {
            bad(in);
            r->also[i] = NULL;
        }
    if (!r->code_space)
        r->code_space = empty;
    if (!r->arrived_utc_ms)
        r->arrived_utc_ms = clock_utc_ms();
}

static uint32_t receipt_batch(struct plugin_instance *in, const void *items, uint32_t stride,
                              uint32_t n)
{
    struct cgw_receipt good[BATCH];
    char raw[BATCH][CGW_RAW_MAX], id[BATCH][CGW_PROVIDER_ID_MAX];
    uint32_t room = reserve_acks(in, n), kept = 0;
    if (!room)
        return 0;
    for (uint32_t i = 0; i < room; i++) {
        copy_item(&good[i], sizeof good[i], item_at(items, stride, i), stride);
        tidy_receipt(in, &good[i], raw[i], id[i]);
    }
    uint32_t taken = in->sink.receipt(in->sink.ctx, in, good, room);
    if (taken > room)
        taken = room;
    for (uint32_t i = 0; i < taken; i++)
        kept += good[i].ack != 0;
    settle_acks(in, room, kept);
    (void)atomic_fetch_add(&in->receipts, taken);
    return taken;
}

uint32_t settle_receipts(struct plugin_instance *in, const struct cgw_receipt *items, uint32_t n)
{
    uint32_t taken = 0;
    if (!n || !items)
        return 0;
    uint32_t stride = stride_of(items, RECEIPT_SIZE_FIRST, sizeof *items);
    while (taken < n) {
        uint32_t want = n - taken < BATCH ? n - taken : BATCH;
        uint32_t got = receipt_batch(in, item_at(items, stride, taken), stride, want);
        taken += got;
        if (got < want)
            break;
    }
    return taken;
}

static void tidy_inbound(struct plugin_instance *in, struct cgw_inbound *m, struct cgw_part *parts)
{
    if (m->n_parts > CGW_PARTS_MAX || !m->parts) {
        if (m->n_parts)
            bad(in);
        m->n_parts = m->parts ? CGW_PARTS_MAX : 0;
    }
    for (uint32_t i = 0; i < m->n_parts; i++) {
        parts[i] = m->parts[i];
        if (parts[i].len > CGW_BODY_MAX || (!parts[i].body && parts[i].len)) {
            bad(in);
            parts[i].len = parts[i].body ? CGW_BODY_MAX : 0;
        }
    }
    m->parts = parts;
    if (!m->arrived_utc_ms)
        m->arrived_utc_ms = clock_utc_ms();
}

/* One at a time: inbound is people writing, not a bulk path, and parts need room. */
uint32_t settle_inbound(struct plugin_instance *in, const struct cgw_inbound *items, uint32_t n)
{
    uint32_t taken = 0;
    if (!n || !items)
        return 0;
    uint32_t stride = stride_of(items, INBOUND_SIZE_FIRST, sizeof *items);
    for (; taken < n && reserve_acks(in, 1); taken++) {
        struct cgw_inbound m;
        struct cgw_part parts[CGW_PARTS_MAX];
        copy_item(&m, sizeof m, item_at(items, stride, taken), stride);
        tidy_inbound(in, &m, parts);
        uint32_t got = in->sink.inbound(in->sink.ctx, in, &m, 1);
        settle_acks(in, 1, got && m.ack ? 1 : 0);
        if (!got)
            break;
    }
    (void)atomic_fetch_add(&in->inbound, taken);
    return taken;
}
