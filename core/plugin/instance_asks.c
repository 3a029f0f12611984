/* SPDX-License-Identifier: Apache-2.0 */
/* instance_asks.c - questions about accepted messages that wait for an instance's loop: query(),
 * what became of them, and recall(), take them back. Both are wishes: what has no room, or is left
 * when the instance stops, is asked again by whoever asked. */
#include "plugin/host_int.h"

#include "base/clock.h"
#include <string.h>

#define QUERIES_PER_CALL 64u

/* ---- queries
 * ------------------------------------------------------------------------------------------------------------------------
 */

static bool copy_ask(struct cgw_ask *to, const struct cgw_ask *from)
{
    size_t id = strnlen(from->peer_id, CGW_PROVIDER_ID_MAX - 1),
           len = from->from.kind && from->from.text ? from->from.len : 0;
    char *text = calloc(1, id + len + 2);
    if (!text)
        return false;
    memcpy(text, from->peer_id, id);
    if (len)
        memcpy(text + id + 1, from->from.text, len);
    *to = (struct cgw_ask){.size = sizeof *to,
                           .peer_id = text,
                           .from = {len ? from->from.kind : 0, (uint32_t)len, text + id + 1}};
    return true;
}

static void free_asks(struct ask_list *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        free((char *)(uintptr_t)l->v[i].peer_id);
    free(l->v);
    *l = (struct ask_list){0};
}

static bool waits_in(const struct ask_list *l, const char *peer_id)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (!strcmp(l->v[i].peer_id, peer_id))
            return true;
    return false;
}

/* once: who waits already is put, and waits once. */
static uint32_t put_asks(struct plugin_instance *inst, struct ask_list *l, uint32_t max, bool once,
                         const struct cgw_ask *asks, uint32_t n)
{
    uint32_t put = 0;
    (void)pthread_mutex_lock(&inst->lock);
    if (!l->v)
        *l = (struct ask_list){.v = calloc(max, sizeof *l->v)};
    for (; l->v && put < n; put++) {
        if (once && waits_in(l, asks[put].peer_id))
            continue;
        if (l->n == max || !copy_ask(&l->v[l->n], &asks[put]))
            break;
        l->n++;
    }
    (void)pthread_mutex_unlock(&inst->lock);
    inst_wake(inst);
    return put;
}

uint32_t instance_query(struct plugin_instance *inst, const struct cgw_ask *asks, uint32_t n)
{
    if (!inst->plugin->channel.query || inst_state(inst) != INSTANCE_RUNNING)
        return 0;
    return put_asks(inst, &inst->queries, INSTANCE_QUERIES, false, asks, n);
}

static void turn_queries(struct plugin_instance *in)
{
    (void)pthread_mutex_lock(&in->lock);
    struct ask_list l = in->queries;
    in->queries = (struct ask_list){0};
    (void)pthread_mutex_unlock(&in->lock);
    for (uint32_t i = 0; i < l.n; i += QUERIES_PER_CALL) {
        inst_enter(in, "query");
        in->plugin->channel.query(in->ch, l.v + i,
                                  l.n - i < QUERIES_PER_CALL ? l.n - i : QUERIES_PER_CALL);
        inst_leave(in);
    }
    free_asks(&l);
}

/* ---- recalls
 * ------------------------------------------------------------------------------------------------------------------------
 */

int instance_recall(struct plugin_instance *inst, const struct cgw_ask *asks, uint32_t n)
{
    if (!inst->plugin->channel.recall || conf_is_off(inst->conf, CONF_CANCEL) ||
        inst_state(inst) != INSTANCE_RUNNING)
        return CGW_ESTATE;
    return (int)put_asks(inst, &inst->recalls, INSTANCE_RECALLS, true, asks, n);
}

/* The first ones, borrowed: others only append, and free nothing. */
static uint32_t peek_recalls(struct plugin_instance *in, struct cgw_ask *ret, uint32_t max)
{
    (void)pthread_mutex_lock(&in->lock);
    uint32_t n = in->recalls.n < max ? in->recalls.n : max;
    if (n)
        memcpy(ret, in->recalls.v, n * sizeof *ret);
    (void)pthread_mutex_unlock(&in->lock);
    return n;
}

static void drop_recalls(struct plugin_instance *in, uint32_t n)
{
    (void)pthread_mutex_lock(&in->lock);
    struct ask_list *l = &in->recalls;
    for (uint32_t i = 0; i < n; i++)
        free((char *)(uintptr_t)l->v[i].peer_id);
    l->n -= n;
    memmove(l->v, l->v + n, l->n * sizeof *l->v);
    (void)pthread_mutex_unlock(&in->lock);
}

/* One call a turn, so that messages and receipts go in between. */
static void turn_recalls(struct plugin_instance *in)
{
    struct cgw_ask asks[QUERIES_PER_CALL];
    if (inst_state(in) != INSTANCE_RUNNING || clock_mono_ms() < in->recall_ms)
        return;
    uint32_t n = peek_recalls(in, asks, QUERIES_PER_CALL);
    if (!n)
        return;
    inst_enter(in, "recall");
    uint32_t taken = in->plugin->channel.recall(in->ch, asks, n);
    inst_leave(in);
    drop_recalls(in, taken < n ? taken : n);
    in->recall_ms = taken < n ? clock_mono_ms() + INSTANCE_REOFFER_MS : 0;
}

int asks_wait(struct plugin_instance *in)
{
    (void)pthread_mutex_lock(&in->lock);
    uint32_t n = in->recalls.n;
    (void)pthread_mutex_unlock(&in->lock);
    if (!n || inst_state(in) != INSTANCE_RUNNING)
        return -1;
    int64_t left_ms = in->recall_ms - clock_mono_ms();
    return left_ms > 0 ? (int)left_ms : 0;
}

/* ---- together
 * --------------------------------------------------------------------------------------------------------------------------------
 */

void asks_turn(struct plugin_instance *in)
{
    turn_queries(in);
    turn_recalls(in);
}

void asks_done(struct plugin_instance *in)
{
    free_asks(&in->queries);
    free_asks(&in->recalls);
}
