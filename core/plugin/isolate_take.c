/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_take.c - from the process of a plugin, which may be hostile: one function per frame. Each
 * reads its frame to the end before it does anything; what cannot be read, passes a bound or comes
 * out of turn ends the process. What was read goes through the same doors as a plugin's calls do,
 * so tokens that it does not hold and ids that are too long are dropped there. */
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "plugin/frame_items.h"
#include "plugin/inside.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define IDS_ROOM (4u * ITEM_IDS)
#define RETRY_PENDING_MS 10
#define ACK_BITS 48

/* ---- beginning
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void map_counters(struct isolate *s, const struct described *d)
{
    const struct plugin *p = s->in->plugin;
    for (uint32_t i = 0; i < PLUGIN_COUNTERS_MAX; i++) {
        s->counter_map[i] = -1;
        for (uint32_t k = 0; i < d->n_counters && k < p->n_counters; k++)
            if (!strcmp(p->desc.counters[k].name, d->counters[i].name))
                s->counter_map[i] = (int16_t)k;
    }
}

/* The file may be newer than the one described when the gateway started: same plugin, same channel.
 */
static int same_plugin(struct isolate *s, const struct described *d)
{
    const struct plugin *p = s->in->plugin;
    if (!strcmp(d->name, p->desc.name) && d->caps.channel == p->caps.channel &&
        d->caps.address_kind == p->caps.address_kind)
        return 0;
    return diag_set(&s->why, CGW_EVERSION, "",
                    "%s is now plugin %.60s for another channel or kind of address; that needs a "
                    "restart of the gateway",
                    p->path, d->name);
}

static void send_config(struct isolate *s)
{
    struct buf b;
    buf_init(&b, FRAME_MAX);
    size_t at = frame_begin(&b, FRAME_CONFIG);
    frame_text(&b, s->in->name);
    frame_u32(&b, (uint32_t)log_level_get());
    frame_i64(&b, clock_utc_ms());
    frame_i64(&b, clock_mono_ms());
    values_put(&b, s->in->conf);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

static void to_phase(struct isolate *s, enum isolate_phase phase)
{
    s->phase = phase;
    s->phase_since_ms = s->pong_ms = clock_mono_ms();
}

static int take_described(struct isolate *s, struct frame *f)
{
    struct described *d = NULL;
    uint32_t abi = frame_get_count(f, 1000);
    if (s->phase != ISO_LOADING || f->bad || plugin_get(f, &d))
        return CGW_EINVAL;
    f->at = f->end;
    int rc = same_plugin(s, d);
    if (!rc) {
        map_counters(s, d);
        (void)pthread_mutex_lock(&s->status_lock);
        s->status.landlock = (int)abi;
        (void)snprintf(s->status.version, sizeof s->status.version, "%s", d->version);
        (void)pthread_mutex_unlock(&s->status_lock);
        to_phase(s, ISO_CREATING);
        send_config(s);
    }
    (void)described_free(d);
    if (rc)
        isolate_lost(s, END_CREATE, s->why.text);
    return 0;
}

static int get_said(struct frame *f, struct diag *d)
{
    int rc = (int32_t)frame_get_u32(f);
    const char *where = frame_get_word(f, sizeof d->where - 1);
    const char *text = frame_get_word(f, sizeof d->text - 1);
    if (!frame_done(f))
        return 1;
    return rc ? diag_set(d, rc < 0 ? rc : CGW_EINVAL, where, "%s", text) : 0;
}

static int take_refused(struct isolate *s, struct frame *f)
{
    int rc = get_said(f, &s->why);
    if (s->phase != ISO_LOADING || rc >= 0)
        return CGW_EINVAL;
    isolate_lost(s, END_CREATE, s->why.text);
    return 0;
}

static void send_start(struct isolate *s)
{
    to_phase(s, ISO_STARTING);
    isolate_send_bare(s, FRAME_START);
}

static int take_created(struct isolate *s, struct frame *f)
{
    int rc = get_said(f, &s->why);
    if (s->phase != ISO_CREATING || rc > 0)
        return CGW_EINVAL;
    if (rc) {
        isolate_lost(s, END_CREATE, s->why.text);
        return 0;
    }
    to_phase(s, ISO_CREATED);
    isolate_asking_set(s, s->child.check_fd);
    if (s->start_wanted)
        send_start(s);
    return 0;
}

static int take_started(struct isolate *s, struct frame *f)
{
    int rc = get_said(f, &s->why);
    if (s->phase != ISO_STARTING || rc > 0)
        return CGW_EINVAL;
    if (rc) {
        isolate_lost(s, END_CREATE, s->why.text);
        return 0;
    }
    to_phase(s, ISO_UP);
    s->up_since_ms = clock_mono_ms();
    log_info("isolation.up", "instance=%s pid=%d version=%s landlock=%d", s->in->name,
             (int)s->child.pid, s->status.version, s->status.landlock);
    return 0;
}

/* ---- messages
 * ------------------------------------------------------------------------------------------------------------------------
 */

/* Its figure is of the moment when it had seen so many; what was sent since has used some of it. */
static int take_credit(struct isolate *s, struct frame *f)
{
    uint32_t lane = frame_get_count(f, CGW_LANES - 1), n = frame_get_u32(f);
    uint32_t seen = frame_get_u32(f);
    if (!frame_done(f) || s->phase < ISO_STARTING)
        return CGW_EINVAL;
    uint32_t since = s->sent[lane] - seen;
    if (since > INSTANCE_INFLIGHT)
        return CGW_EINVAL; /* more than was ever sent */
    s->room[lane] = n > since ? n - since : 0;
    if (s->phase != ISO_STOPPING && !s->restarting)
        host_table.credit(&s->in->pub, lane, s->room[lane]);
    return 0;
}

static int take_complete(struct isolate *s, struct frame *f)
{
    struct cgw_result results[FRAME_RESULTS_MAX];
    const char *ids[IDS_ROOM];
    uint32_t n = frame_get_count(f, FRAME_RESULTS_MAX), k = 0, used = 0;
    if (s->phase < ISO_CREATED)
        return CGW_EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        used += item_get_result(f, &results[k++], ids + used);
        if (f->bad)
            return CGW_EINVAL;
        if (IDS_ROOM - used < ITEM_IDS || i + 1 == n) {
            settle_results(s->in, results, k);
            k = used = 0;
        }
    }
    return 0;
}

/* ---- receipts and inbound
 * ------------------------------------------------------------------------------------------------------------------------
 */

static uint64_t own_ack(const struct isolate *s, uint64_t ack)
{
    return ack ? (uint64_t)s->generation << ACK_BITS | ack : 0;
}

/* Tells the process that so many more may come, and whether any may: while something waits here, it
 * refuses more, so that the peers repeat. */
static void send_taken(struct isolate *s, uint32_t n, size_t bytes, bool hold)
{
    struct buf b;
    if ((!n && hold == s->held) || s->phase < ISO_CREATED)
        return;
    s->held = hold;
    buf_init(&b, 64);
    size_t at = frame_begin(&b, FRAME_TAKEN);
    frame_u32(&b, n);
    frame_u32(&b, (uint32_t)bytes);
    frame_u32(&b, hold);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

static int offer_receipts(struct isolate *s, struct frame *f, uint32_t skip, uint32_t *ret_n,
                          uint32_t *ret_taken)
{
    struct cgw_receipt items[FRAME_RESULTS_MAX];
    uint32_t n = frame_get_count(f, FRAME_RESULTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        item_get_receipt(f, &items[i]);
        if (items[i].ack >> ACK_BITS)
            f->bad = true;
        items[i].ack = own_ack(s, items[i].ack);
    }
    if (!frame_done(f) || !n || skip > n)
        return CGW_EINVAL;
    *ret_n = n;
    *ret_taken = skip + settle_receipts(s->in, items + skip, n - skip);
    for (uint32_t i = skip; i < *ret_taken; i++)
        if (items[i].result == CGW_RES_RECALLED || items[i].result == CGW_RES_NOT_RECALLED) {
            s->recalls -= s->recalls > 0;
            s->recalled_ms = clock_mono_ms();
        }
    return 0;
}

static int offer_inbound(struct isolate *s, struct frame *f, uint32_t *ret_taken, size_t *ret_bytes)
{
    struct cgw_inbound m;
    struct cgw_part parts[CGW_PARTS_MAX];
    item_get_inbound(f, &m, parts);
    if (!frame_done(f) || m.ack >> ACK_BITS)
        return CGW_EINVAL;
    m.ack = own_ack(s, m.ack);
    for (uint32_t i = 0; i < m.n_parts; i++)
        *ret_bytes += parts[i].len;
    *ret_taken = settle_inbound(s->in, &m, 1);
    return 0;
}

/* Offers what one frame holds. \return 1 = all was taken, 0 = some is left, negative. */
static int offer(struct isolate *s, struct frame f, uint32_t *skip)
{
    uint32_t n = 1, taken = 0;
    size_t bytes = 0;
    int rc = f.type == FRAME_RECEIPT ? offer_receipts(s, &f, *skip, &n, &taken)
                                     : offer_inbound(s, &f, &taken, &bytes);
    if (rc)
        return rc;
    bool last = !s->pending || !s->pending->next;
    send_taken(s, taken - *skip, taken ? bytes : 0, taken < n || !last);
    *skip = taken;
    return taken == n;
}

static int keep(struct isolate *s, const struct frame *f, uint32_t skip)
{
    size_t len = (size_t)(f->end - f->at);
    struct pending *p;
    /* The window that was given; a frame has at least one item. */
    if (s->pending_items >= INSIDE_WINDOW ||
        s->pending_bytes + len > (size_t)INSIDE_WINDOW_BYTES + FRAME_MAX)
        return CGW_ELIMIT;
    if (!(p = malloc(sizeof *p + len)))
        return -ENOMEM;
    *p = (struct pending){.type = f->type, .skip = skip, .len = len};
    memcpy(p->data, f->at, len);
    *s->pending_end = p;
    s->pending_end = &p->next;
    s->pending_items++;
    s->pending_bytes += len;
    host_table.timer_set(s->retry_pending, clock_mono_ms() + RETRY_PENDING_MS);
    return 0;
}

static int take_items(struct isolate *s, struct frame *f)
{
    uint32_t skip = 0;
    if (s->phase < ISO_CREATED)
        return CGW_EINVAL;
    int rc = s->pending ? 0 : offer(s, *f, &skip);
    if (s->phase < ISO_CREATED)
        return 0; /* telling it found it gone, and the frame with it */
    if (!rc)
        rc = keep(s, f, skip);
    f->at = f->end;
    return rc < 0 ? rc : 0;
}

static void pop_pending(struct isolate *s)
{
    struct pending *p = s->pending;
    s->pending_items--;
    s->pending_bytes -= p->len;
    if (!(s->pending = p->next))
        s->pending_end = &s->pending;
    explicit_bzero(p->data, p->len);
    free(p);
}

void isolate_pending_offer(void *arg)
{
    struct isolate *s = arg;
    int rc = 1;
    while (s->pending && rc > 0) {
        struct pending *p = s->pending;
        rc = offer(s, (struct frame){.type = p->type, .at = p->data, .end = p->data + p->len},
                   &p->skip);
        if (s->pending != p)
            return; /* sending found the process gone, and with it what it had said */
        if (rc)
            pop_pending(s);
    }
    if (rc < 0)
        isolate_lost(s, END_PROTOCOL, "a receipt or inbound could not be read");
    else if (s->pending)
        host_table.timer_set(s->retry_pending, clock_mono_ms() + RETRY_PENDING_MS);
}

void isolate_pending_drop(struct isolate *s)
{
    while (s->pending)
        pop_pending(s);
}

/* ---- the rest
 * ------------------------------------------------------------------------------------------------------------------------
 */

static int take_reply(struct isolate *s, struct frame *f)
{
    uint32_t len = 0;
    uint64_t id = frame_get_u64(f);
    uint32_t status = frame_get_u32(f);
    const char *type = frame_get_text(f, CGW_RAW_MAX);
    const char *body = frame_get_bytes(f, CGW_BODY_MAX * 4, &len);
    if (!frame_done(f))
        return CGW_EINVAL;
    mail_reply(s->in, id, status, type, body, len);
    return 0;
}

/* What the plugin did wrong was seen where it runs. */
static void take_faults(struct isolate *s, struct frame *f)
{
    for (uint32_t i = 0; i < FAULTS_N; i++)
        inst_add_fault(s->in, i, frame_get_u64(f));
    int64_t slowest_us = frame_get_i64(f);
    if (slowest_us > atomic_load(&s->in->slowest_op_us))
        atomic_store(&s->in->slowest_op_us, slowest_us);
}

static int take_count(struct isolate *s, struct frame *f)
{
    take_faults(s, f);
    uint32_t n = frame_get_count(f, PLUGIN_COUNTERS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t counter = frame_get_count(f, PLUGIN_COUNTERS_MAX - 1);
        uint64_t more = frame_get_u64(f);
        if (!f->bad && s->counter_map[counter] >= 0)
            host_table.count(&s->in->pub, (uint32_t)s->counter_map[counter], more);
    }
    return 0;
}

static bool event_ok(const char *event)
{
    return *event && event[strspn(event, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == 0;
}

static int take_log(struct isolate *s, struct frame *f)
{
    uint32_t level = frame_get_count(f, LOG_L_DEBUG);
    const char *event = frame_get_word(f, ITEM_EVENT_MAX);
    const char *text = frame_get_word(f, ITEM_LINE_MAX);
    if (!frame_done(f))
        return CGW_EINVAL;
    int64_t second = clock_mono_ms() / 1000;
    if (second != s->log_second) {
        if (s->logs_dropped)
            log_warning("isolation.log.dropped", "instance=%s lines=%u limit_per_s=%u", s->in->name,
                        s->logs_dropped, ISOLATE_LOGS_PER_S);
        s->log_second = second;
        s->logs = s->logs_dropped = 0;
    }
    if (s->logs++ >= ISOLATE_LOGS_PER_S)
        s->logs_dropped++;
    else
        host_table.log(&s->in->pub, level < LOG_L_ERROR ? LOG_L_ERROR : level,
                       event_ok(event) ? event : "plugin.log", text);
    return 0;
}

static int take_pong(struct isolate *s, struct frame *f)
{
    struct cgw_health h;
    item_get_health(f, &h);
    if (!frame_done(f) || s->phase < ISO_STARTING)
        return CGW_EINVAL;
    h.up = h.up != 0;
    s->health = h;
    s->pong_ms = clock_mono_ms();
    return 0;
}

static int take_drained(struct isolate *s, struct frame *f)
{
    if (!frame_done(f) || (!s->draining && !s->restarting))
        return CGW_EINVAL;
    s->drained_told = true;
    return 0;
}

int isolate_take(struct isolate *s, struct frame *f)
{
    static int (*const takes[FRAME_TYPES])(struct isolate *, struct frame *) = {
        [FRAME_DESCRIBED] = take_described,
        [FRAME_REFUSED] = take_refused,
        [FRAME_CREATED] = take_created,
        [FRAME_STARTED] = take_started,
        [FRAME_CREDIT] = take_credit,
        [FRAME_COMPLETE] = take_complete,
        [FRAME_RECEIPT] = take_items,
        [FRAME_INBOUND] = take_items,
        [FRAME_REPLY] = take_reply,
        [FRAME_COUNT] = take_count,
        [FRAME_LOG] = take_log,
        [FRAME_PONG] = take_pong,
        [FRAME_DRAINED] = take_drained,
    };
    if (!takes[f->type])
        return CGW_EINVAL; /* belongs on another socket */
    int rc = takes[f->type](s, f);
    return rc ? rc : frame_done(f) ? 0 : CGW_EINVAL;
}

/* ---- media: asked for on a socket of their own
 * ------------------------------------------------------------------------------------------------------------------------
 */

static bool may_read(const struct isolate *s, uint64_t media)
{
    for (uint32_t i = 0; media && i < ISOLATE_MEDIA_KNOWN; i++)
        if (s->media[i] == media)
            return true;
    return false;
}

static int answer_media(struct isolate *s, struct frame *f)
{
    static _Thread_local char room[FRAME_MEDIA_MAX];
    uint64_t media = frame_get_u64(f);
    bool read = frame_get_count(f, 1);
    int64_t offset = frame_get_i64(f), got = CGW_EDENIED;
    uint32_t want = frame_get_count(f, FRAME_MEDIA_MAX);
    if (f->type != FRAME_MEDIA || !frame_done(f) || offset < 0)
        return CGW_EINVAL;
    if (may_read(s, media))
        got =
            read ? host_table.media_read(media, offset, room, want) : host_table.media_size(media);
    struct buf b;
    buf_init(&b, FRAME_MEDIA_MAX + 256);
    size_t at = frame_begin(&b, FRAME_MEDIA_ANSWER);
    frame_i64(&b, got);
    frame_bytes(&b, room, read && got > 0 ? (uint32_t)got : 0);
    frame_end(&b, at);
    /* It waits for each answer, so there is room for one; who asks without reading is cut off. */
    ssize_t n = send(s->child.media_fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    int rc = n == (ssize_t)b.len ? 0 : CGW_ELIMIT;
    buf_done(&b);
    return rc;
}

int isolate_media(struct isolate *s)
{
    struct frame f;
    int rc;
    int64_t n = frame_fill(&s->media_reader, s->child.media_fd);
    if (n == -EAGAIN || n == -EINTR)
        return 0;
    if (n <= 0)
        return 1; /* the main socket tells what happened */
    while ((rc = frame_next(&s->media_reader, true, &f)) > 0)
        if ((rc = answer_media(s, &f)) < 0)
            break;
    return rc;
}
