/* SPDX-License-Identifier: Apache-2.0 */
/* mini_host.c - see mini_host.h. */
#include "mini_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_us(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t mini_mono_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

static int64_t utc_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

void mini_violation(struct cgw_inst *in, const char *what, uint64_t token)
{
    if (in->violations++ == 0)
        (void)snprintf(in->violation, sizeof in->violation, "%s (token %llu)", what,
                       (unsigned long long)token);
}

static int64_t call_begin(void)
{
    return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

static void call_end(struct cgw_inst *in, int64_t began_us)
{
    int64_t took_us = clock_us(CLOCK_THREAD_CPUTIME_ID) - began_us;
    if (took_us > in->longest_us) {
        in->second_us = in->longest_us;
        in->longest_us = took_us;
    } else if (took_us > in->second_us) {
        in->second_us = took_us;
    }
}

/* ---- services ---- */

static void h_log(struct cgw_inst *in, uint32_t level, const char *event, const char *kv)
{
    if (in->verbose)
        (void)fprintf(stderr, "# %lld L%u %s %s\n", (long long)(mini_mono_ms() % 1000000), level,
                      event, kv);
}

static void h_mask(const char *address, char *out, size_t size)
{
    (void)snprintf(out, size, "%.6s***", address);
}

static void h_count(struct cgw_inst *in, uint32_t counter, uint64_t n)
{
    if (counter < 64)
        in->counters[counter] += n;
    else
        mini_violation(in, "counter out of range", counter);
}

struct cgw_conf {
    struct cgw_inst *in;
};

static const char *option_text(const struct cgw_conf *conf, const char *key)
{
    size_t len = strlen(key);
    for (const char *const *o = conf->in->options; *o; o++)
        if (strncmp(*o, key, len) == 0 && (*o)[len] == '=')
            return *o + len + 1;
    for (const struct cgw_option *s = conf->in->desc->options; s->key; s++)
        if (strcmp(s->key, key) == 0)
            return s->default_text;
    mini_violation(conf->in, key, 0);
    return NULL;
}

static int64_t h_conf_int(const struct cgw_conf *conf, const char *key)
{
    const char *s = option_text(conf, key);
    if (!s || strcmp(s, "false") == 0)
        return 0;
    return strcmp(s, "true") == 0 ? 1 : strtoll(s, NULL, 10);
}

static const char *h_conf_str(const struct cgw_conf *conf, const char *key)
{
    return option_text(conf, key);
}

static uint32_t h_conf_count(const struct cgw_conf *conf, const char *key)
{
    const char *s = option_text(conf, key);
    uint32_t n = s && *s ? 1 : 0;
    for (; s && *s; s++)
        n += *s == ',';
    return n;
}

static const char *h_conf_item(const struct cgw_conf *conf, const char *key, uint32_t i)
{
    static char item[4][600];
    static uint32_t turn;
    const char *s = option_text(conf, key);
    while (s && i-- > 0 && (s = strchr(s, ',')))
        s++;
    char *to = item[turn++ % 4];
    (void)snprintf(to, sizeof item[0], "%.*s", s ? (int)strcspn(s, ",") : 0, s ? s : "");
    return to;
}

static const char *h_inst_name(const struct cgw_inst *in)
{
    (void)in;
    return "mini";
}

static void h_credit(struct cgw_inst *in, uint32_t lane, uint32_t n)
{
    in->credit[lane] = n;
}

static void h_complete(struct cgw_inst *in, const struct cgw_result *results, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct cgw_result *r = &results[i];
        struct mini_token *t = r->token < MINI_TOKENS ? &in->tokens[r->token] : NULL;
        if (!t || t->state != 1) {
            mini_violation(in, t && t->state == 2 ? "completed twice" : "completed but never taken",
                           r->token);
            continue;
        }
        if (in->n_drained > 0)
            mini_violation(in, "completed after drained", r->token);
        if (r->size != sizeof *r || r->result < CGW_RES_ACCEPTED || r->result > CGW_RES_UNKNOWN)
            mini_violation(in, "malformed result", r->token);
        t->state = 2;
        t->result = (uint8_t)r->result;
        t->flags = r->flags;
        t->code = r->code;
        t->n_ids = r->n_ids;
        t->segments = r->segments;
        t->at_ms = mini_mono_ms();
        in->n_completed++;
        in->result_count[r->result]++;
        if (in->hooks.complete)
            in->hooks.complete(in->hooks.ctx, r->token, r);
    }
}

static void keep_ack(struct cgw_inst *in, uint64_t ack)
{
    if (ack == 0)
        return;
    if (in->n_acks == MINI_ACKS)
        mini_violation(in, "too many acks", ack);
    else
        in->acks[in->n_acks++] = ack;
}

static uint32_t h_receipt(struct cgw_inst *in, const struct cgw_receipt *items, uint32_t n)
{
    if (in->full)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        in->n_receipts++;
        keep_ack(in, items[i].ack);
        if (in->hooks.receipt)
            in->hooks.receipt(in->hooks.ctx, &items[i]);
    }
    return n;
}

static uint32_t h_inbound(struct cgw_inst *in, const struct cgw_inbound *items, uint32_t n)
{
    if (in->full)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        in->n_inbound++;
        keep_ack(in, items[i].ack);
        if (in->hooks.inbound)
            in->hooks.inbound(in->hooks.ctx, &items[i]);
    }
    return n;
}

static void h_drained(struct cgw_inst *in)
{
    in->n_drained++;
    if (in->n_completed != in->n_taken)
        mini_violation(in, "drained with messages not completed", in->n_taken - in->n_completed);
}

static struct cgw_timer *h_timer_new(struct cgw_inst *in, cgw_timer_cb cb, void *arg)
{
    for (size_t i = 0; i < sizeof in->timers / sizeof in->timers[0]; i++)
        if (!in->timers[i].used) {
            in->timers[i] = (struct cgw_timer){.inst = in, .cb = cb, .arg = arg, .used = true};
            return &in->timers[i];
        }
    return NULL;
}

static void h_timer_set(struct cgw_timer *t, int64_t at_ms)
{
    t->at_ms = at_ms;
}

static void h_timer_free(struct cgw_timer *t)
{
    if (t)
        t->used = false;
}

static int h_watch_fd(struct cgw_inst *in, int fd, uint32_t events, cgw_fd_cb cb, void *arg)
{
    struct mini_watch *w = &in->watches[fd];
    struct epoll_event ev = {.data.fd = fd};
    ev.events = (events & CGW_FD_READ ? (uint32_t)EPOLLIN : 0) |
                (events & CGW_FD_WRITE ? (uint32_t)EPOLLOUT : 0);
    if (epoll_ctl(in->epoll_fd, w->used ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) != 0)
        return -errno;
    *w = (struct mini_watch){cb, arg, true};
    return 0;
}

static void h_unwatch_fd(struct cgw_inst *in, int fd)
{
    if (epoll_ctl(in->epoll_fd, EPOLL_CTL_DEL, fd, NULL) != 0)
        mini_violation(in, "unwatched a descriptor that was closed or never watched", (uint64_t)fd);
    in->watches[fd].used = false;
}

static int h_post(struct cgw_inst *in, cgw_timer_cb cb, void *arg)
{
    if (in->n_posts == sizeof in->posts / sizeof in->posts[0])
        return CGW_EBUSY;
    in->posts[in->n_posts].cb = cb;
    in->posts[in->n_posts++].arg = arg;
    return 0;
}

static int h_address_normalise(uint32_t kind, const char *text, const char *region, char *out,
                               size_t size)
{
    const char *digits = text[0] == '+' ? text + 1 : text;
    (void)region;
    if (kind != CGW_ADDR_E164 || strlen(digits) < 8 || strlen(digits) > 15 ||
        strspn(digits, "0123456789") != strlen(digits))
        return CGW_EINVAL;
    (void)snprintf(out, size, "+%s", digits);
    return 0;
}

/* ---- shared media ---- */

static struct {
    uint64_t handle;
    const char *data;
    size_t len;
} media[8];

void mini_media(uint64_t handle, const char *data, size_t len)
{
    size_t i = 0;
    while (i < 7 && media[i].handle && media[i].handle != handle)
        i++;
    media[i].handle = handle;
    media[i].data = data;
    media[i].len = len;
}

static int64_t h_media_size(uint64_t handle)
{
    for (size_t i = 0; i < 8; i++)
        if (handle && media[i].handle == handle)
            return (int64_t)media[i].len;
    return CGW_ENOTFOUND;
}

/* In small bites, so that whoever reads once only is found out. */
static int64_t h_media_read(uint64_t handle, int64_t offset, void *out, size_t n)
{
    for (size_t i = 0; i < 8; i++)
        if (handle && media[i].handle == handle) {
            size_t left = media[i].len - (size_t)offset;
            size_t take = left < n ? left : n;
            take = take > 10000 ? 10000 : take;
            memcpy(out, media[i].data + offset, take);
            return (int64_t)take;
        }
    return CGW_ENOTFOUND;
}

static void h_reply(struct cgw_inst *in, uint64_t request, uint32_t status, const char *type,
                    const char *body, uint32_t len)
{
    (void)type;
    if (in->hooks.reply)
        in->hooks.reply(in->hooks.ctx, request, status, body, len);
}

static const struct cgw_host mini_table = {
    .size = sizeof mini_table,
    .abi_minor = CGW_ABI_MINOR,
    .now_mono_ms = mini_mono_ms,
    .now_utc_ms = utc_ms,
    .log = h_log,
    .mask = h_mask,
    .count = h_count,
    .conf_int = h_conf_int,
    .conf_str = h_conf_str,
    .conf_count = h_conf_count,
    .conf_item = h_conf_item,
    .inst_name = h_inst_name,
    .credit = h_credit,
    .complete = h_complete,
    .receipt = h_receipt,
    .inbound = h_inbound,
    .drained = h_drained,
    .timer_new = h_timer_new,
    .timer_set = h_timer_set,
    .timer_free = h_timer_free,
    .watch_fd = h_watch_fd,
    .unwatch_fd = h_unwatch_fd,
    .post = h_post,
    .address_normalise = h_address_normalise,
    .media_size = h_media_size,
    .media_read = h_media_read,
    .reply = h_reply,
};

/* ---- driving ---- */

int mini_create(struct cgw_inst *in, const struct cgw_plugin_desc *desc, const char *const *options,
                struct cgw_diag *diag)
{
    memset(in, 0, sizeof *in);
    in->verbose = getenv("MINI_VERBOSE") != NULL;
    in->desc = desc;
    in->options = options;
    in->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    in->tokens = calloc(MINI_TOKENS, sizeof *in->tokens);
    *diag = (struct cgw_diag){.size = sizeof *diag};
    if (in->epoll_fd < 0 || !in->tokens)
        return -ENOMEM;
    struct cgw_conf conf = {.in = in};
    int rc = desc->channel->create(&mini_table, in, &conf, &in->ch, diag);
    in->options = NULL; /* reading options later would crash, as it should */
    return rc;
}

uint32_t mini_submit(struct cgw_inst *in, const struct cgw_message *msgs, uint32_t n)
{
    uint32_t lane = n > 0 ? msgs[0].lane : 0;
    for (uint32_t i = 0; i < n; i++) {
        in->tokens[msgs[i].token] = (struct mini_token){.state = 1, .lane = (uint8_t)msgs[i].lane};
        in->n_taken++;
    }
    in->credit[lane] -= n;
    int64_t began_us = call_begin();
    uint32_t taken = in->desc->channel->submit(in->ch, msgs, n);
    call_end(in, began_us);
    for (uint32_t i = taken; i < n; i++) {
        if (in->tokens[msgs[i].token].state != 1)
            mini_violation(in, "completed without being taken", msgs[i].token);
        in->tokens[msgs[i].token].state = 0;
        in->n_taken--;
    }
    return taken;
}

static void run_posts(struct cgw_inst *in)
{
    while (in->n_posts > 0) {
        cgw_timer_cb cb = in->posts[0].cb;
        void *arg = in->posts[0].arg;
        memmove(in->posts, in->posts + 1, --in->n_posts * sizeof in->posts[0]);
        cb(arg);
    }
}

static int64_t run_timers(struct cgw_inst *in)
{
    int64_t now_ms = mini_mono_ms(), next_ms = INT64_MAX;
    for (size_t i = 0; i < sizeof in->timers / sizeof in->timers[0]; i++) {
        struct cgw_timer *t = &in->timers[i];
        if (t->used && t->at_ms != 0 && t->at_ms <= now_ms) {
            int64_t began_us = call_begin();
            t->at_ms = 0;
            t->cb(t->arg);
            call_end(in, began_us);
        }
    }
    for (size_t i = 0; i < sizeof in->timers / sizeof in->timers[0]; i++)
        if (in->timers[i].used && in->timers[i].at_ms != 0 && in->timers[i].at_ms < next_ms)
            next_ms = in->timers[i].at_ms;
    return next_ms;
}

static void give_stored(struct cgw_inst *in)
{
    if (in->n_acks == 0 || in->keep_acks)
        return;
    uint32_t n = in->n_acks;
    in->n_acks = 0;
    int64_t began_us = call_begin();
    in->desc->channel->stored(in->ch, in->acks, n);
    call_end(in, began_us);
}

static void one_event(struct cgw_inst *in, const struct epoll_event *ev)
{
    struct mini_watch w = in->watches[ev->data.fd];
    uint32_t events = (ev->events & (uint32_t)EPOLLIN ? CGW_FD_READ : 0) |
                      (ev->events & (uint32_t)EPOLLOUT ? CGW_FD_WRITE : 0) |
                      (ev->events & ((uint32_t)EPOLLHUP | (uint32_t)EPOLLERR) ? CGW_FD_HANGUP : 0);
    if (!w.used)
        return;
    int64_t began_us = call_begin();
    w.cb(w.arg, ev->data.fd, events);
    call_end(in, began_us);
}

void mini_turn(struct cgw_inst *in, int64_t wait_ms)
{
    struct epoll_event events[16];
    run_posts(in);
    int64_t next_ms = run_timers(in), now_ms = mini_mono_ms();
    give_stored(in);
    if (in->n_posts > 0 || next_ms <= now_ms)
        wait_ms = 0;
    else if (next_ms - now_ms < wait_ms)
        wait_ms = next_ms - now_ms;
    int n = epoll_wait(in->epoll_fd, events, 16, (int)wait_ms);
    for (int i = 0; i < n; i++)
        one_event(in, &events[i]);
}

bool mini_run(struct cgw_inst *in, bool (*is_done)(struct cgw_inst *in, void *ctx), void *ctx,
              int64_t limit_ms)
{
    int64_t until_ms = mini_mono_ms() + limit_ms;
    while (!is_done(in, ctx)) {
        if (mini_mono_ms() > until_ms)
            return false;
        mini_turn(in, 50);
    }
    return true;
}

void mini_destroy(struct cgw_inst *in)
{
    if (in->ch)
        in->desc->channel->destroy(in->ch);
    for (size_t i = 0; i < sizeof in->timers / sizeof in->timers[0]; i++)
        if (in->timers[i].used)
            mini_violation(in, "a timer was not freed", i);
    for (size_t i = 0; i < sizeof in->watches / sizeof in->watches[0]; i++)
        if (in->watches[i].used)
            mini_violation(in, "a descriptor was not unwatched", i);
    in->ch = NULL;
    free(in->tokens);
    in->tokens = NULL;
    (void)close(in->epoll_fd);
}
