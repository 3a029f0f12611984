/* SPDX-License-Identifier: Apache-2.0 */
/* instance_submit.c - messages on their way in: copied on the dispatcher's thread, offered to
 * submit() on the loop, urgent lane first, in order within a lane; what is not taken by
 * submit_before_mono_ms goes back as NOT_SENT. Decides nothing about people. */
#include "plugin/host_int.h"

#include "base/clock.h"
#include <errno.h>
#include <string.h>

#define ROUNDS 8 /* submit() calls per lane and turn, so that instances on one loop take turns */

/* ---- message memory
 * ----------------------------------------------------------------------------------------------------------
 */

static void *plain_alloc(size_t n)
{
    return malloc(n);
}
static void wipe_and_free(void *p, size_t n)
{
    explicit_bzero(p, n);
    free(p);
}
struct host_message_memory host_message_memory = {plain_alloc, wipe_and_free};

void queue_init(struct msg_queue *q)
{
    q->head = NULL;
    q->end = &q->head;
}

static void queue_put(struct msg_queue *q, struct msg_node *node)
{
    node->next = NULL;
    *q->end = node;
    q->end = &node->next;
}

static struct msg_node *queue_pop(struct msg_queue *q)
{
    struct msg_node *node = q->head;
    if (node && !(q->head = node->next))
        q->end = &q->head;
    return node;
}

static void queue_splice(struct msg_queue *to, struct msg_queue *from)
{
    if (!from->head)
        return;
    *to->end = from->head;
    to->end = from->end;
    queue_init(from);
}

/* ---- copying
 * ----------------------------------------------------------------------------------------------------------------------
 */

/* Bytes of a copy, 0 = the message breaks a limit of cgw/types.h. */
static size_t room_of(const struct cgw_message *m)
{
    if (m->lane >= CGW_LANES || !m->n_parts || m->n_parts > CGW_PARTS_MAX || !m->parts)
        return 0;
    size_t n = sizeof(struct msg_node) + m->n_parts * sizeof(struct cgw_part);
    n += (size_t)m->to.len + 1 + m->from.len + 1 + text_room(m->service_code);
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct cgw_part *p = &m->parts[i];
        if (p->len > CGW_BODY_MAX)
            return 0;
        n += text_room(p->mime) + text_room(p->name) + (p->media ? 0 : (size_t)p->len + 1);
    }
    return n;
}

static char *put_bytes(char **at, const char *s, size_t len)
{
    char *to = *at;
    if (len)
        memcpy(to, s, len);
    to[len] = 0;
    *at += len + 1;
    return to;
}

static struct msg_node *copy_message(const struct cgw_message *m)
{
    size_t room = room_of(m);
    struct msg_node *node = room ? host_message_memory.alloc(room) : NULL;
    if (!node)
        return NULL;
    *node = (struct msg_node){.bytes = room, .msg = *m};
    struct cgw_part *parts = (struct cgw_part *)(void *)(node + 1);
    char *at = (char *)(parts + m->n_parts);
    node->msg.size = sizeof node->msg;
    node->msg.to.text = put_bytes(&at, m->to.text, m->to.text ? m->to.len : 0);
    node->msg.from.text = put_bytes(&at, m->from.text, m->from.text ? m->from.len : 0);
    node->msg.service_code = put_text(&at, m->service_code);
    for (uint32_t i = 0; i < m->n_parts; i++) {
        parts[i] = m->parts[i];
        parts[i].mime = put_text(&at, m->parts[i].mime);
        parts[i].name = put_text(&at, m->parts[i].name);
        parts[i].body = m->parts[i].media ? NULL
                                          : put_bytes(&at, m->parts[i].body,
                                                      m->parts[i].body ? m->parts[i].len : 0);
    }
    node->msg.parts = parts;
    return node;
}

static void node_free(struct msg_node *node)
{
    host_message_memory.release(node, node->bytes);
}

/* ---- credit
 * ------------------------------------------------------------------------------------------------------------------------
 */

void submit_credit(struct plugin_instance *in, uint32_t lane, uint32_t n)
{
    if (lane >= CGW_LANES)
        return;
    uint32_t cut = n > INSTANCE_RING ? INSTANCE_RING : n;
    if (inst_state(in) > INSTANCE_RUNNING)
        cut = 0;
    uint32_t before = atomic_exchange(&in->told[lane], cut);
    in->told_in_submit[lane] = true;
    if (cut > before) {
        atomic_store(&in->offer, true);
        if (in->sink.credit_changed)
            in->sink.credit_changed(in->sink.ctx, in);
    }
}

uint32_t instance_credit(const struct plugin_instance *inst, uint32_t lane)
{
    if (lane >= CGW_LANES || inst_state(inst) != INSTANCE_RUNNING)
        return 0;
    uint32_t told = atomic_load(&inst->told[lane]);
    uint32_t owed = atomic_load(&inst->waiting[lane]) + atomic_load(&inst->reserved[lane]);
    return told > owed ? told - owed : 0;
}

uint32_t instance_reserve(struct plugin_instance *inst, uint32_t lane, uint32_t want)
{
    (void)pthread_mutex_lock(&inst->lock);
    uint32_t got = instance_credit(inst, lane);
    if (got > want)
        got = want;
    if (got)
        (void)atomic_fetch_add(&inst->reserved[lane], got);
    (void)pthread_mutex_unlock(&inst->lock);
    return got;
}

static void unreserve_locked(struct plugin_instance *in, uint32_t lane, uint32_t n)
{
    uint32_t had = atomic_load(&in->reserved[lane]);
    atomic_store(&in->reserved[lane], had > n ? had - n : 0);
}

void instance_unreserve(struct plugin_instance *inst, uint32_t lane, uint32_t n)
{
    if (lane >= CGW_LANES)
        return;
    (void)pthread_mutex_lock(&inst->lock);
    unreserve_locked(inst, lane, n);
    (void)pthread_mutex_unlock(&inst->lock);
}

/* ---- handing over
 * ------------------------------------------------------------------------------------------------------------------
 */

static bool enter_locked(struct plugin_instance *in, struct msg_node *node, bool reserved)
{
    uint32_t lane = node->msg.lane;
    uint32_t owed =
        atomic_load(&in->waiting[lane]) + (reserved ? 0 : atomic_load(&in->reserved[lane]));
    if (inst_state(in) != INSTANCE_RUNNING || owed >= INSTANCE_RING ||
        node->bytes > INSTANCE_RING_BYTES - in->bytes)
        return false;
    if (tokens_add(&in->tokens, node->msg.token, lane))
        return false;
    if (reserved)
        unreserve_locked(in, lane, 1);
    in->bytes += node->bytes;
    (void)atomic_fetch_add(&in->waiting[lane], 1);
    queue_put(&in->incoming[lane], node);
    return true;
}

static uint32_t submit(struct plugin_instance *in, const struct cgw_message *msgs, uint32_t n,
                       bool reserved)
{
    uint32_t taken = 0;
    for (; taken < n; taken++) {
        struct msg_node *node = copy_message(&msgs[taken]);
        if (!node)
            break;
        (void)pthread_mutex_lock(&in->lock);
        bool entered = enter_locked(in, node, reserved);
        (void)pthread_mutex_unlock(&in->lock);
        if (!entered) {
            node_free(node);
            break;
        }
    }
    (void)atomic_fetch_add(&in->submitted, taken);
    if (taken)
        inst_wake(in);
    return taken;
}

uint32_t instance_submit(struct plugin_instance *inst, const struct cgw_message *msgs, uint32_t n)
{
    return submit(inst, msgs, n, false);
}

uint32_t instance_submit_reserved(struct plugin_instance *inst, const struct cgw_message *msgs,
                                  uint32_t n)
{
    return submit(inst, msgs, n, true);
}

/* ---- the loop's half
 * ------------------------------------------------------------------------------------------------------------------
 */

/* The node leaves the queue; its token must be out of the table or with the plugin. */
static void forget_node(struct plugin_instance *in, struct msg_node *node)
{
    (void)atomic_fetch_sub(&in->waiting[node->msg.lane], 1);
    (void)pthread_mutex_lock(&in->lock);
    in->bytes -= node->bytes;
    (void)pthread_mutex_unlock(&in->lock);
    node_free(node);
}

static void give_back(struct plugin_instance *in, struct msg_node *node, const char *why)
{
    uint64_t token = node->msg.token;
    (void)pthread_mutex_lock(&in->lock);
    bool mine = tokens_finish(&in->tokens, token);
    (void)pthread_mutex_unlock(&in->lock);
    forget_node(in, node);
    if (mine)
        settle_by_host(in, token, CGW_RES_NOT_SENT, 0, why);
}

static void fetch_incoming(struct plugin_instance *in)
{
    (void)pthread_mutex_lock(&in->lock);
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        for (const struct msg_node *node = in->incoming[lane].head; node; node = node->next)
            if (node->msg.submit_before_mono_ms < in->next_expiry_ms)
                in->next_expiry_ms = node->msg.submit_before_mono_ms;
        if (in->incoming[lane].head)
            in->reoffer_ms = 0;
        queue_splice(&in->queue[lane], &in->incoming[lane]);
    }
    (void)pthread_mutex_unlock(&in->lock);
}

/* Takes out of the queues what `leaves` names and gives it back. */
static void sweep(struct plugin_instance *in, bool (*leaves)(const struct msg_node *, const void *),
                  const void *arg, const char *why)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct msg_queue keep;
        struct msg_node *node;
        queue_init(&keep);
        while ((node = queue_pop(&in->queue[lane]))) {
            if (leaves(node, arg))
                give_back(in, node, why);
            else
                queue_put(&keep, node);
        }
        queue_splice(&in->queue[lane], &keep);
    }
}

static bool is_expired(const struct msg_node *node, const void *now_ms)
{
    return node->msg.submit_before_mono_ms <= *(const int64_t *)now_ms;
}

static bool is_recalled(const struct msg_node *node, const void *sorted)
{
    const struct u64_list *l = sorted;
    uint32_t lo = 0, hi = l->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (l->v[mid] < node->msg.token)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < l->n && l->v[lo] == node->msg.token;
}

static bool always(const struct msg_node *node, const void *arg)
{
    (void)node;
    (void)arg;
    return true;
}

static void expire(struct plugin_instance *in)
{
    int64_t now = clock_mono_ms();
    if (now < in->next_expiry_ms)
        return;
    sweep(in, is_expired, &now, "not taken by the channel in time");
    in->next_expiry_ms = INT64_MAX;
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        for (const struct msg_node *node = in->queue[lane].head; node; node = node->next)
            if (node->msg.submit_before_mono_ms < in->next_expiry_ms)
                in->next_expiry_ms = node->msg.submit_before_mono_ms;
}

void submit_give_back(struct plugin_instance *in)
{
    fetch_incoming(in);
    sweep(in, always, NULL, "the channel is draining");
}

void submit_recall(struct plugin_instance *in, const struct u64_list *sorted)
{
    fetch_incoming(in);
    sweep(in, is_recalled, sorted, "recalled");
}

/* The plugin may complete a message while submit() still runs, so all offered ones count as taken
 * during the call. */
static void mark_offered(struct plugin_instance *in, const struct cgw_message *msgs, uint32_t n)
{
    (void)pthread_mutex_lock(&in->lock);
    for (uint32_t i = 0; i < n; i++) {
        struct token_slot *s = tokens_find(&in->tokens, msgs[i].token);
        if (s && s->state == TOKEN_WAITING) {
            s->state = TOKEN_TAKEN;
            (void)atomic_fetch_add(&in->taken, 1);
        }
    }
    (void)pthread_mutex_unlock(&in->lock);
}

/* A message behind the taken prefix goes on waiting; one that the plugin completed though it did
 * not take it is settled all the same: it must not be offered twice. */
static void unmark_rest(struct plugin_instance *in, struct msg_queue *rest)
{
    struct msg_queue keep;
    struct msg_node *node;
    queue_init(&keep);
    while ((node = queue_pop(rest))) {
        (void)pthread_mutex_lock(&in->lock);
        struct token_slot *s = tokens_find(&in->tokens, node->msg.token);
        if (s) {
            s->state = TOKEN_WAITING;
            (void)atomic_fetch_sub(&in->taken, 1);
        }
        (void)pthread_mutex_unlock(&in->lock);
        if (s) {
            queue_put(&keep, node);
        } else {
            inst_count(in, &in->bad_results, "campgw_plugin_bad_results_total");
            forget_node(in, node);
        }
    }
    *rest = keep;
    if (!rest->head)
        queue_init(rest);
}

/* A figure told inside submit() already counts what was taken; otherwise the former one shrinks by
 * it. */
static void shrink_credit(struct plugin_instance *in, uint32_t lane, uint32_t taken)
{
    if (in->told_in_submit[lane] || !taken)
        return;
    uint32_t had = atomic_load(&in->told[lane]);
    atomic_store(&in->told[lane], had > taken ? had - taken : 0);
}

static uint32_t call_submit(struct plugin_instance *in, struct cgw_message *msgs, uint32_t n,
                            uint32_t lane)
{
    in->told_in_submit[lane] = false;
    mark_offered(in, msgs, n);
    inst_enter(in, "submit");
    uint32_t taken = in->plugin->channel.submit(in->ch, msgs, n);
    inst_leave(in);
    if (taken > n)
        taken = n;
    return taken;
}

/* One submit() call for a lane. \return whether the whole batch was taken and more waits. */
static bool offer_batch(struct plugin_instance *in, uint32_t lane)
{
    struct msg_queue batch;
    struct msg_node *node;
    uint32_t n = 0;
    size_t bytes = INSTANCE_BATCH * sizeof(struct cgw_message);
    struct cgw_message *msgs = in->queue[lane].head ? host_message_memory.alloc(bytes) : NULL;
    if (!msgs)
        return false;
    queue_init(&batch);
    while (n < INSTANCE_BATCH && (node = queue_pop(&in->queue[lane]))) {
        msgs[n++] = node->msg;
        queue_put(&batch, node);
    }
    uint32_t taken = call_submit(in, msgs, n, lane);
    host_message_memory.release(msgs, bytes);
    shrink_credit(in, lane, taken);
    for (uint32_t i = 0; i < taken && (node = queue_pop(&batch)); i++)
        forget_node(in, node);
    struct msg_queue rest;
    queue_init(&rest);
    queue_splice(&rest, &batch);
    unmark_rest(in, &rest);
    struct msg_queue tail;
    queue_init(&tail);
    queue_splice(&tail, &rest);
    queue_splice(&tail, &in->queue[lane]);
    queue_splice(&in->queue[lane], &tail);
    return taken == n && in->queue[lane].head;
}

static bool offer(struct plugin_instance *in)
{
    bool more = false;
    for (int round = 0; round < ROUNDS; round++) {
        bool urgent = offer_batch(in, CGW_LANE_URGENT);
        more = offer_batch(in, CGW_LANE_BULK) || urgent;
        if (!more)
            break;
    }
    return more;
}

static int next_turn(const struct plugin_instance *in, int64_t now)
{
    if (!in->queue[CGW_LANE_URGENT].head && !in->queue[CGW_LANE_BULK].head)
        return -1;
    int64_t at = in->reoffer_ms < in->next_expiry_ms ? in->reoffer_ms : in->next_expiry_ms;
    return at <= now ? 0 : (int)(at - now);
}

int submit_turn(struct plugin_instance *in)
{
    fetch_incoming(in);
    expire(in);
    if (inst_state(in) != INSTANCE_RUNNING)
        return -1;
    int64_t now = clock_mono_ms();
    if (atomic_exchange(&in->offer, false) || now >= in->reoffer_ms)
        in->reoffer_ms = offer(in) ? 0 : clock_mono_ms() + INSTANCE_REOFFER_MS;
    return next_turn(in, clock_mono_ms());
}
