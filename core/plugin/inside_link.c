/* SPDX-License-Identifier: Apache-2.0 */
/* inside_link.c - out of the plugin's process: results, receipts, inbound, replies, credit,
 * counters and log lines, collected in one buffer and written once per turn of the loop. Any thread
 * puts into it, only the loop writes. */
#include "plugin/inside.h"

#include "base/log.h"
#include "plugin/frame_items.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct inside inside = {.lock = PTHREAD_MUTEX_INITIALIZER};

size_t inside_begin(enum frame_type type)
{
    (void)pthread_mutex_lock(&inside.lock);
    return frame_begin(&inside.out, type);
}

void inside_end(size_t at)
{
    frame_end(&inside.out, at);
    bool wake = inside.attached && !loop_is_self(inside.in->loop);
    if (inside.out.failed)
        _exit(1); /* out of memory: the gateway settles what is open */
    (void)pthread_mutex_unlock(&inside.lock);
    if (wake)
        loop_wake(inside.in->loop);
}

/* ---- what the instance gives
 * ------------------------------------------------------------------------------------------------------------
 */

static void on_complete(void *ctx, struct plugin_instance *in, const struct cgw_result *results,
                        uint32_t n)
{
    (void)ctx;
    (void)in;
    for (uint32_t i = 0; i < n; i += FRAME_RESULTS_MAX) {
        uint32_t k = n - i < FRAME_RESULTS_MAX ? n - i : FRAME_RESULTS_MAX;
        size_t at = inside_begin(FRAME_COMPLETE);
        frame_u32(&inside.out, k);
        for (uint32_t j = 0; j < k; j++)
            item_put_result(&inside.out, &results[i + j]);
        inside_end(at);
    }
}

/* The gateway hears of slots, not of the plugin's own names. Locked; false = none is free. */
static bool name_ack(uint64_t *ack)
{
    if (!*ack)
        return true;
    if (!inside.n_free_acks)
        return false;
    uint32_t slot = inside.free_acks[--inside.n_free_acks];
    inside.acks[slot] = *ack;
    *ack = (uint64_t)slot + 1;
    return true;
}

static uint32_t on_receipt(void *ctx, struct plugin_instance *in, const struct cgw_receipt *items,
                           uint32_t n)
{
    uint32_t taken = 0;
    (void)ctx;
    (void)in;
    size_t at = inside_begin(FRAME_RECEIPT), count_at = inside.out.len;
    frame_u32(&inside.out, 0);
    for (; taken < n && taken < FRAME_RESULTS_MAX && inside.window && !inside.hold; taken++) {
        struct cgw_receipt r = items[taken];
        if (!name_ack(&r.ack))
            break;
        item_put_receipt(&inside.out, &r);
        inside.window--;
    }
    if (taken && !inside.out.failed)
        memcpy(inside.out.data + count_at, &taken, sizeof taken);
    if (!taken)
        inside.out.len = at;
    if (taken)
        inside_end(at);
    else
        (void)pthread_mutex_unlock(&inside.lock);
    return taken;
}

static size_t bytes_of(const struct cgw_inbound *m)
{
    size_t n = 0;
    for (uint32_t i = 0; i < m->n_parts; i++)
        n += m->parts[i].len;
    return n;
}

/* The instance gives one at a time. */
static uint32_t on_inbound(void *ctx, struct plugin_instance *in, const struct cgw_inbound *items,
                           uint32_t n)
{
    struct cgw_inbound m = items[0];
    size_t bytes = bytes_of(&m);
    (void)ctx;
    (void)in;
    (void)n;
    size_t at = inside_begin(FRAME_INBOUND);
    if (inside.hold || !inside.window || inside.window_bytes < bytes || !name_ack(&m.ack)) {
        inside.out.len = at;
        (void)pthread_mutex_unlock(&inside.lock);
        return 0;
    }
    inside.window--;
    inside.window_bytes -= bytes;
    item_put_inbound(&inside.out, &m);
    inside_end(at);
    return 1;
}

static void on_reply(void *ctx, struct plugin_instance *in, uint64_t request_id, uint32_t status,
                     const char *content_type, const char *body, uint32_t len)
{
    (void)ctx;
    (void)in;
    bool fits = len <= CGW_BODY_MAX * 4;
    size_t at = inside_begin(FRAME_REPLY);
    frame_u64(&inside.out, request_id);
    frame_u32(&inside.out, fits ? status : 500);
    frame_cut(&inside.out, content_type, CGW_RAW_MAX);
    frame_bytes(&inside.out, body, fits ? len : 0);
    inside_end(at);
}

const struct instance_sink inside_sink = {
    .complete = on_complete, .receipt = on_receipt, .inbound = on_inbound, .reply = on_reply};

/* The gateway names the instance itself. */
void inside_log(enum log_level level, const char *event, const char *text)
{
    char own[96];
    int n = inside.in ? snprintf(own, sizeof own, "instance=%s ", inside.in->name) : 0;
    if (n > 0 && !strncmp(text, own, (size_t)n))
        text += n;
    size_t at = inside_begin(FRAME_LOG);
    if (inside.out.len - inside.written > INSIDE_LOG_BYTES) {
        inside.out.len = at;
        (void)pthread_mutex_unlock(&inside.lock);
        return;
    }
    frame_u32(&inside.out, (uint32_t)level);
    frame_cut(&inside.out, event, ITEM_EVENT_MAX);
    frame_cut(&inside.out, text, ITEM_LINE_MAX);
    inside_end(at);
}

void inside_said(enum frame_type type, int rc, const struct diag *d)
{
    size_t at = inside_begin(type);
    frame_u32(&inside.out, (uint32_t)rc);
    frame_text(&inside.out, rc ? d->where : "");
    frame_text(&inside.out, rc ? d->text : "");
    inside_end(at);
}

/* ---- writing
 * ------------------------------------------------------------------------------------------------------------------------
 */

/* Locked. \return 0, -EAGAIN, -errno. */
static int write_some(void)
{
    struct buf *b = &inside.out;
    while (inside.written < b->len) {
        ssize_t n = send(INSIDE_MAIN_FD, b->data + inside.written, b->len - inside.written,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        inside.written += (size_t)n;
    }
    buf_reset(b);
    inside.written = 0;
    return 0;
}

int inside_flush_all(void)
{
    int rc;
    do {
        struct pollfd p = {.fd = INSIDE_MAIN_FD, .events = POLLOUT};
        (void)poll(&p, 1, 1000);
        (void)pthread_mutex_lock(&inside.lock);
        rc = write_some();
        (void)pthread_mutex_unlock(&inside.lock);
    } while (rc == -EAGAIN || rc == -EINTR);
    return rc;
}

/* Credit is told when the gateway's own sum (the last figure less what it sent since) is wrong. */
static void tell_credit(void)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        uint32_t now = instance_credit(inside.in, lane);
        if (now == inside.credit[lane])
            continue;
        inside.credit[lane] = now;
        size_t at = inside_begin(FRAME_CREDIT);
        frame_u32(&inside.out, lane);
        frame_u32(&inside.out, now);
        frame_u32(&inside.out, inside.seen[lane]);
        inside_end(at);
    }
}

static bool counts_changed(uint32_t *ret_n)
{
    bool faults = false;
    *ret_n = 0;
    for (uint32_t i = 0; i < inside.plugin->n_counters; i++)
        *ret_n += instance_counter(inside.in, i) != inside.counts[i];
    for (uint32_t f = 0; f < FAULTS_N; f++)
        faults = faults || inst_fault(inside.in, f) != inside.faults[f];
    return faults || *ret_n;
}

static void tell_counts(void)
{
    uint32_t n;
    if (!counts_changed(&n))
        return;
    size_t at = inside_begin(FRAME_COUNT);
    for (uint32_t f = 0; f < FAULTS_N; f++) {
        uint64_t now = inst_fault(inside.in, f);
        frame_u64(&inside.out, now - inside.faults[f]);
        inside.faults[f] = now;
    }
    frame_i64(&inside.out, atomic_load(&inside.in->slowest_op_us));
    frame_u32(&inside.out, n);
    for (uint32_t i = 0; i < inside.plugin->n_counters && n; i++) {
        uint64_t now = instance_counter(inside.in, i);
        if (now == inside.counts[i])
            continue;
        frame_u32(&inside.out, i);
        frame_u64(&inside.out, now - inside.counts[i]);
        inside.counts[i] = now;
        n--;
    }
    inside_end(at);
}

static void tell_drained(void)
{
    if (!inside.drain_asked || inside.drained_told || inst_state(inside.in) != INSTANCE_DRAINED)
        return;
    inside.drained_told = true;
    inside_end(inside_begin(FRAME_DRAINED));
}

static void on_main(void *arg, int fd, uint32_t events);

static int turn(void *arg)
{
    (void)arg;
    tell_credit();
    tell_counts();
    tell_drained();
    (void)pthread_mutex_lock(&inside.lock);
    int rc = write_some();
    (void)pthread_mutex_unlock(&inside.lock);
    bool more = rc == -EAGAIN;
    if (more != inside.watching) {
        inside.watching = more;
        if (loop_watch(inside.in->loop, INSIDE_MAIN_FD, CGW_FD_READ | (more ? CGW_FD_WRITE : 0),
                       on_main, NULL, inside.in))
            _exit(1);
    }
    return -1;
}

/* ---- reading
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void on_main(void *arg, int fd, uint32_t events)
{
    (void)arg;
    if (!(events & (CGW_FD_READ | CGW_FD_HANGUP)))
        return;
    int64_t n = frame_fill(&inside.reader, fd);
    struct frame f;
    int rc;
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n <= 0)
        _exit(0); /* the gateway is gone, or gave this process up */
    while ((rc = frame_next(&inside.reader, false, &f)) > 0)
        if (inside_take(&f) < 0)
            _exit(1);
    if (rc < 0)
        _exit(1);
}

static void attach(void *arg)
{
    int *rc = arg;
    *rc = loop_attach(inside.in->loop, turn, &inside);
    if (!*rc)
        *rc = loop_watch(inside.in->loop, INSIDE_MAIN_FD, CGW_FD_READ, on_main, NULL, inside.in);
}

void inside_wakes(bool on)
{
    (void)pthread_mutex_lock(&inside.lock); /* threads of the plugin look at it */
    inside.attached = on;
    (void)pthread_mutex_unlock(&inside.lock);
}

int inside_attach(void)
{
    int rc = 0;
    inside_wakes(true);
    loop_call(inside.in->loop, attach, &rc);
    return rc;
}
