/* SPDX-License-Identifier: Apache-2.0 */
/* inside_take.c - into the plugin's process: one function per frame of the gateway, each a call of
 * the ordinary instance. Loop only. */
#include "plugin/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "plugin/frame_items.h"
#include <string.h>

/* A message that the instance could not take: certain, nothing left. */
static void not_sent(const struct cgw_message *m)
{
    struct cgw_result r = {.size = sizeof r,
                           .result = CGW_RES_NOT_SENT,
                           .token = m->token,
                           .code_space = "campgw.host",
                           .raw = "the plugin's process had no room"};
    inside_sink.complete(NULL, inside.in, &r, 1);
}

static void take_submit(struct frame *f)
{
    static struct cgw_message msgs[FRAME_MESSAGES_MAX];
    static struct cgw_part parts[ITEM_PARTS];
    uint32_t n = frame_get_count(f, FRAME_MESSAGES_MAX), used = 0;
    for (uint32_t i = 0; i < n; i++)
        used += item_get_message(f, &msgs[i], parts + used, ITEM_PARTS - used);
    if (!frame_done(f))
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t lane = msgs[i].lane < CGW_LANES ? msgs[i].lane : 0;
        inside.seen[lane]++;
        if (inside.credit[lane])
            inside.credit[lane]--; /* the gateway counts it too */
    }
    for (uint32_t i = instance_submit(inside.in, msgs, n); i < n; i++)
        not_sent(&msgs[i]);
}

static uint32_t get_numbers(struct frame *f, uint64_t *v)
{
    uint32_t n = frame_get_count(f, FRAME_ITEMS_MAX);
    for (uint32_t i = 0; i < n; i++)
        v[i] = frame_get_u64(f);
    return frame_done(f) ? n : 0;
}

static void take_stored(struct frame *f)
{
    static uint64_t v[FRAME_ITEMS_MAX];
    uint32_t n = get_numbers(f, v), k = 0;
    (void)pthread_mutex_lock(&inside.lock);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t slot = v[i] - 1;
        if (slot >= INSTANCE_ACKS || !inside.acks[slot])
            continue;
        v[k++] = inside.acks[slot];
        inside.acks[slot] = 0;
        inside.free_acks[inside.n_free_acks++] = (uint32_t)slot;
    }
    (void)pthread_mutex_unlock(&inside.lock);
    if (k)
        instance_stored(inside.in, v, k);
}

static void take_cancel(struct frame *f)
{
    static uint64_t v[FRAME_ITEMS_MAX];
    uint32_t n = get_numbers(f, v);
    if (n)
        instance_cancel(inside.in, v, n);
}

static uint32_t get_asks(struct frame *f, struct cgw_ask *ret)
{
    uint32_t n = frame_get_count(f, FRAME_MESSAGES_MAX);
    for (uint32_t i = 0; i < n; i++)
        item_get_ask(f, &ret[i]);
    return frame_done(f) ? n : 0;
}

static void take_query(struct frame *f)
{
    static struct cgw_ask asks[FRAME_MESSAGES_MAX];
    uint32_t n = get_asks(f, asks);
    if (n)
        (void)instance_query(inside.in, asks, n);
}

static void take_recall(struct frame *f)
{
    static struct cgw_ask asks[FRAME_MESSAGES_MAX];
    uint32_t n = get_asks(f, asks);
    if (n)
        (void)instance_recall(inside.in, asks, n);
}

/* By method and path, not by number: the file may be newer than what the gateway has read of it. */
static void take_http(struct frame *f)
{
    static const char *headers[ITEM_HEADERS_MAX + 1];
    static const char busy[] = "the channel cannot take this now\n";
    struct cgw_http_request r;
    item_get_request(f, &r, headers);
    if (!frame_done(f))
        return;
    int route = instance_route(inside.in, r.method, r.path);
    int rc = route < 0 ? CGW_ENOTFOUND : instance_http(inside.in, (uint32_t)route, &r);
    if (rc)
        inside_sink.reply(NULL, inside.in, r.id, rc == CGW_ENOTFOUND ? 404 : 503,
                          "text/plain; charset=utf-8", busy, sizeof busy - 1);
}

static void take_tally(struct frame *f)
{
    struct cgw_tally t;
    item_get_tally(f, &t);
    if (frame_done(f))
        instance_tally(inside.in, &t);
}

static void take_ping(struct frame *f)
{
    int64_t utc = frame_get_i64(f), mono = frame_get_i64(f);
    if (!frame_done(f))
        return;
    clock_set_utc(utc + clock_mono_ms() - mono);
    struct cgw_health h = {.size = sizeof h};
    health_now(inside.in, &h);
    size_t at = inside_begin(FRAME_PONG);
    item_put_health(&inside.out, &h);
    inside_end(at);
}

static void take_start(struct frame *f)
{
    struct diag d = {0};
    if (frame_done(f))
        inside_said(FRAME_STARTED, instance_start(inside.in, &d), &d);
}

static void take_drain(struct frame *f)
{
    int64_t deadline = frame_get_i64(f);
    if (!frame_done(f))
        return;
    inside.drain_asked = true;
    instance_drain(inside.in, deadline);
}

static void take_stop(struct frame *f)
{
    uint64_t one = 1;
    if (!frame_done(f))
        return;
    ssize_t w = write(inside.stop_fd, &one, sizeof one);
    (void)w; /* main reads it once */
}

static void take_taken(struct frame *f)
{
    uint32_t n = frame_get_count(f, INSIDE_WINDOW), bytes = frame_get_count(f, INSIDE_WINDOW_BYTES);
    bool hold = frame_get_count(f, 1);
    if (!frame_done(f))
        return;
    (void)pthread_mutex_lock(&inside.lock);
    inside.hold = hold;
    inside.window += n;
    inside.window_bytes += bytes;
    (void)pthread_mutex_unlock(&inside.lock);
}

int inside_take(struct frame *f)
{
    static void (*const takes[FRAME_TYPES])(struct frame *) = {
        [FRAME_START] = take_start,   [FRAME_SUBMIT] = take_submit, [FRAME_STORED] = take_stored,
        [FRAME_CANCEL] = take_cancel, [FRAME_QUERY] = take_query,   [FRAME_HTTP] = take_http,
        [FRAME_PING] = take_ping,     [FRAME_DRAIN] = take_drain,   [FRAME_STOP] = take_stop,
        [FRAME_TAKEN] = take_taken,   [FRAME_TALLY] = take_tally,   [FRAME_RECALL] = take_recall,
    };
    if (!takes[f->type])
        return CGW_EINVAL;
    takes[f->type](f);
    return frame_done(f) ? 0 : CGW_EINVAL;
}
