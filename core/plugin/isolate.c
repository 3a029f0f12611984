/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.c - see isolate.h: the life of a plugin's process, seen from the gateway. */
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define FILLS_PER_EVENT 8

static const char *const end_words[END_N] = {
    [END_CRASH] = "crash",       [END_EXIT] = "exit",     [END_HANG] = "hang",
    [END_PROTOCOL] = "protocol", [END_CREATE] = "create", [END_RESTART] = "restart",
};

static const struct metric_family families[] = {
    {"campgw_plugin_child_restarts_total", METRIC_COUNTER,
     "Processes of isolated plugins that ended and were to be replaced, by reason.",
     "channel_instance,reason"},
    {NULL, METRIC_COUNTER, NULL, NULL},
};

void isolate_metrics_register(void)
{
    metrics_register(families);
}

bool isolate_is_own(const char *plugin_name)
{
    static const char *const own[] = {"channel_loopback", "channel_smpp",  "channel_mms",
                                      "channel_ivr",      "channel_email", "channel_task"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (!strcmp(own[i], plugin_name))
            return true;
    return false;
}

/* ---- the end of a process
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void describe_end(struct isolate *s, enum isolate_end *how, int status, const char *why)
{
    char *to = s->status.last_end;
    size_t size = sizeof s->status.last_end;
    (void)pthread_mutex_lock(&s->status_lock);
    if (*how == END_EXIT && WIFSIGNALED(status)) {
        *how = END_CRASH;
        (void)snprintf(to, size, "ended by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    } else if (*how == END_EXIT) {
        (void)snprintf(to, size, "ended with status %d", WEXITSTATUS(status));
    } else {
        (void)snprintf(to, size, "%.90s", why);
    }
    s->status.pid = 0;
    if (!s->draining)
        s->status.restarts++;
    (void)pthread_mutex_unlock(&s->status_lock);
}

static void settle_all(struct isolate *s)
{
    static const char gone[] = "the channel is not running\n";
    char why[160];
    (void)snprintf(why, sizeof why, "no result: the plugin's process %s", s->status.last_end);
    isolate_out_drop(s);
    settle_rest(s->in, why);
    isolate_pending_drop(s);
    for (;;) { /* requests that it held */
        (void)pthread_mutex_lock(&s->in->lock);
        const struct http_node *node = s->in->http;
        while (node && !node->handed)
            node = node->next;
        uint64_t id = node ? node->req.id : 0;
        (void)pthread_mutex_unlock(&s->in->lock);
        if (!node)
            return;
        mail_reply(s->in, id, 503, "text/plain; charset=utf-8", gone, sizeof gone - 1);
    }
}

static void plan_retry(struct isolate *s, enum isolate_end how)
{
    int64_t now = clock_mono_ms();
    if (s->up_since_ms && now - s->up_since_ms > ISOLATE_CALM_MS)
        s->retry_wait_ms = 0;
    if (how == END_RESTART) {
        s->retry_wait_ms = 0;
        s->retry_ms = now;
    } else {
        s->retry_wait_ms = s->retry_wait_ms ? s->retry_wait_ms * 2 : ISOLATE_RETRY_MIN_MS;
        if (s->retry_wait_ms > ISOLATE_RETRY_MAX_MS)
            s->retry_wait_ms = ISOLATE_RETRY_MAX_MS;
        s->retry_ms = now + s->retry_wait_ms;
    }
    s->up_since_ms = 0;
    s->restarting = s->drained_told = false;
}

/* Everything that hung on the process, settled once; then a new one, after a wait. */
void isolate_lost(struct isolate *s, enum isolate_end how, const char *why)
{
    pid_t pid = s->child.pid;
    if (s->phase == ISO_DOWN)
        return;
    if (s->phase == ISO_STOPPING && s->restarting)
        how = END_RESTART;
    s->phase = ISO_DOWN;
    int fds[] = {s->child.main_fd, s->child.media_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        host_table.unwatch_fd(&s->in->pub, fds[i]);
    if (how != END_EXIT && how != END_RESTART)
        (void)kill(pid, SIGKILL);
    /* whoever asks it now sees the end of the socket and lets go of the lock */
    (void)shutdown(s->child.check_fd, SHUT_RDWR);
    isolate_asking_set(s, -1);
    int status = child_end(&s->child, how == END_HANG ? 0 : ISOLATE_STOP_MS);
    describe_end(s, &how, status, how == END_RESTART ? "was restarted" : why);
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        host_table.credit(&s->in->pub, lane, 0);
    frame_reader_done(&s->reader);
    frame_reader_done(&s->media_reader);
    settle_all(s);
    if (!s->draining)
        METRIC_INC("campgw_plugin_child_restarts_total", s->in->name, end_words[how]);
    plan_retry(s, how);
    if (how == END_RESTART)
        log_notice("isolation.restarting", "instance=%s pid=%d", s->in->name, (int)pid);
    else
        log_error("isolation.lost", "instance=%s pid=%d reason=%s next_ms=%u msg=\"%s\"",
                  s->in->name, (int)pid, end_words[how], s->retry_wait_ms, s->status.last_end);
    s->health = (struct cgw_health){0};
    if (s->draining)
        host_table.drained(&s->in->pub);
    else if (s->tick)
        host_table.timer_set(s->tick, s->retry_ms);
}

/* ---- its sockets
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void after_frames(struct isolate *s)
{
    if (!s->drained_told || s->phase != ISO_UP)
        return;
    s->drained_told = false;
    if (s->restarting) {
        s->phase = ISO_STOPPING;
        s->phase_since_ms = clock_mono_ms();
        isolate_send_bare(s, FRAME_STOP);
    } else {
        host_table.drained(&s->in->pub);
    }
}

static int take_all(struct isolate *s)
{
    struct frame f;
    int rc;
    uint16_t generation = s->generation;
    while ((rc = frame_next(&s->reader, true, &f)) > 0) {
        rc = isolate_take(s, &f);
        if (s->phase == ISO_DOWN || s->generation != generation)
            return CGW_ESTATE; /* its reader is gone */
        if (rc < 0)
            break;
    }
    if (rc < 0) {
        char why[80];
        (void)snprintf(why, sizeof why, "broke the protocol (%s)", diag_code_name(rc));
        isolate_lost(s, END_PROTOCOL, why);
    }
    return rc;
}

/* What it wrote before it ended still counts: results that are there are true. */
int isolate_serve(struct isolate *s)
{
    for (int i = 0; i < FILLS_PER_EVENT; i++) {
        int64_t n = frame_fill(&s->reader, s->child.main_fd);
        if (n == -EAGAIN || n == -EINTR)
            break;
        if (n <= 0) {
            isolate_lost(s, END_EXIT, "ended");
            return CGW_ESTATE;
        }
        if (take_all(s) < 0)
            return CGW_ESTATE;
        if (n < (int64_t)FRAME_READ / 4)
            break;
    }
    after_frames(s);
    return 0;
}

static void on_main(void *arg, int fd, uint32_t events)
{
    struct isolate *s = arg;
    (void)fd;
    if (events & CGW_FD_WRITE)
        isolate_flush(s);
    if (events & (CGW_FD_READ | CGW_FD_HANGUP))
        (void)isolate_serve(s);
}

static void on_media(void *arg, int fd, uint32_t events)
{
    struct isolate *s = arg;
    (void)events;
    int rc = isolate_media(s);
    if (rc < 0)
        isolate_lost(s, END_PROTOCOL, "broke the protocol of media");
    else if (rc > 0)
        host_table.unwatch_fd(&s->in->pub, fd);
}

void isolate_watch(struct isolate *s, bool write)
{
    s->watching_write = write;
    (void)host_table.watch_fd(&s->in->pub, s->child.main_fd,
                              CGW_FD_READ | (write ? CGW_FD_WRITE : 0), on_main, s);
}

int isolate_bring_up(struct isolate *s)
{
    int rc = child_spawn(s->in->plugin->path, conf_isolation(s->in->conf), &s->child, &s->why);
    if (rc)
        return rc;
    s->generation++;
    s->documents_before = atomic_load(&s->in->documents);
    s->recalls = 0;
    memset(s->sent, 0, sizeof s->sent);
    memset(s->room, 0, sizeof s->room);
    s->held = false;
    s->phase = ISO_LOADING;
    s->phase_since_ms = s->pong_ms = clock_mono_ms();
    (void)pthread_mutex_lock(&s->status_lock);
    s->status.pid = (int)s->child.pid;
    (void)pthread_mutex_unlock(&s->status_lock);
    isolate_watch(s, false);
    (void)host_table.watch_fd(&s->in->pub, s->child.media_fd, CGW_FD_READ, on_media, s);
    return 0;
}

/* ---- supervision
 * ------------------------------------------------------------------------------------------------------------------------
 */

void isolate_ping(struct isolate *s, int64_t now)
{
    struct buf b;
    if (s->out_bytes > ISOLATE_OUT_MAX)
        return; /* it has enough to read, and is judged by that */
    buf_init(&b, 64);
    size_t at = frame_begin(&b, FRAME_PING);
    frame_i64(&b, clock_utc_ms());
    frame_i64(&b, now);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

static bool overdue(const struct isolate *s, int64_t now)
{
    if (s->phase == ISO_UP || s->phase == ISO_CREATED)
        return s->phase == ISO_UP && now - s->pong_ms > ISOLATE_HANG_MS;
    if (s->phase == ISO_STOPPING)
        return now - s->phase_since_ms > ISOLATE_STOP_MS;
    return now - s->phase_since_ms > ISOLATE_CREATE_MS;
}

/* Its end, or an answer, may lie unread when this thread was late itself: that is the truth, and
 * what it wrote still counts. Only then is it a process that hangs. */
static void give_up_if_hung(struct isolate *s, int64_t now)
{
    if (!overdue(s, now) && !atomic_load(&s->asking.broken))
        return;
    for (int i = 0; i < 2 && s->phase != ISO_DOWN; i++) /* what it wrote, then its end */
        (void)isolate_serve(s);
    if (s->phase == ISO_DOWN)
        return;
    if (overdue(s, now))
        isolate_lost(s, END_HANG, "hung: it did not answer in time");
    else if (atomic_load(&s->asking.broken))
        isolate_lost(s, END_HANG, "hung: a check was not answered in time");
}

static void retry(struct isolate *s)
{
    if (!isolate_bring_up(s))
        return;
    log_error("isolation.lost", "instance=%s reason=spawn msg=\"%s\"", s->in->name, s->why.text);
    plan_retry(s, END_CREATE);
}

void isolate_tick(void *arg)
{
    struct isolate *s = arg;
    int64_t now = clock_mono_ms();
    if (s->phase == ISO_DOWN && !s->draining && s->start_wanted && now >= s->retry_ms)
        retry(s);
    else if (s->phase != ISO_DOWN)
        give_up_if_hung(s, now);
    if (s->phase == ISO_UP && s->restarting && now >= s->restart_until_ms) {
        s->drained_told = true;
        after_frames(s);
    }
    if (s->phase == ISO_UP)
        isolate_ping(s, now);
    int64_t next = now + ISOLATE_PING_MS;
    if (s->phase == ISO_DOWN && s->retry_ms > now && s->retry_ms < next)
        next = s->retry_ms;
    host_table.timer_set(s->tick, next);
}
