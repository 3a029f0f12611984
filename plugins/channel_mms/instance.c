/* SPDX-License-Identifier: Apache-2.0 */
/* instance.c - life of one account: create, start, credit, pauses, health, drain, destroy. */
#include "instance.h"

#include "mime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SWEEP_MS 100 /* how late a time-out of ours may be noticed */

void mms_count(struct mms_channel *ch, enum mms_counter c)
{
    ch->host->count(ch->inst, c, 1);
}

/* <id> and "id" are the same id (RFC 2822 habits). */
void mms_id_normal(char *id)
{
    size_t n = strlen(id);
    bool wrapped =
        n > 2 && ((id[0] == '<' && id[n - 1] == '>') || (id[0] == '"' && id[n - 1] == '"'));
    if (wrapped) {
        memmove(id, id + 1, n - 2);
        id[n - 2] = '\0';
    }
}

/* ---- create, destroy ---- */

static void release(struct mms_channel *ch)
{
    uint32_t n = ch->slots ? ch->o.window + MMS_SIDE_SLOTS : 0;
    for (uint32_t i = 0; i < n; i++) {
        mms_call_done(&ch->slots[i].call);
        mms_body_done(&ch->slots[i].body);
    }
    mms_http_free(ch->http);
    mms_media_done(&ch->media);
    mms_known_done(&ch->known);
    mms_xw_done(&ch->xw);
    free(ch->slots);
    free(ch->held);
    free(ch->cancels);
    memset(ch, 0, sizeof *ch); /* it held a password */
    free(ch);
}

/* Nobody who writes a text can guess the boundary, so none can end a part early. */
static int draw_names(struct mms_channel *ch)
{
    uint64_t r[3];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return CGW_ESTATE;
    ch->nonce = r[2];
    (void)snprintf(ch->boundary, sizeof ch->boundary, "mm7-%016llx%016llx",
                   (unsigned long long)r[0], (unsigned long long)r[1]);
    return 0;
}

static void on_timer(void *arg);

static int open_parts(struct mms_channel *ch, struct cgw_diag *diag)
{
    char type[160];
    uint32_t n = ch->o.window + MMS_SIDE_SLOTS;
    ch->slots = calloc(n, sizeof *ch->slots);
    ch->held = calloc(MMS_HELD_MAX, sizeof *ch->held);
    ch->cancels = calloc(MMS_CANCELS_MAX, sizeof *ch->cancels);
    ch->timer = ch->host->timer_new(ch->inst, on_timer, ch);
    if (!ch->slots || !ch->held || !ch->cancels || !ch->timer || mms_known_init(&ch->known) ||
        draw_names(ch)) {
        (void)snprintf(diag->text, sizeof diag->text, "no memory for the account");
        return CGW_ESTATE;
    }
    for (uint32_t i = 0; i < n; i++)
        ch->slots[i].ch = ch;
    mms_body_type(ch->boundary, type, sizeof type);
    return mms_http_new(&ch->o, ch->host, ch->inst, type, mms_slot_done, ch, &ch->http, diag);
}

int mms_op_create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag)
{
    struct mms_channel *ch = calloc(1, sizeof *ch);
    if (!ch)
        return -ENOMEM;
    mms_xml_global();
    mms_mime_global();
    ch->host = host;
    ch->inst = inst;
    int rc = mms_options_read(&ch->o, host, conf, diag);
    if (!rc && (rc = mms_http_global()))
        (void)snprintf(diag->text, sizeof diag->text, "libcurl does not start");
    if (!rc)
        rc = open_parts(ch, diag);
    if (rc) {
        release(ch);
        return rc;
    }
    int64_t now = host->now_mono_ms();
    mms_bucket_init(&ch->bucket, ch->o.rate, now);
    mms_bucket_init(&ch->recall_bucket, (ch->o.rate + 1) / 2, now);
    mms_pace_init(&ch->pace, ch->o.window, ch->o.throttle_min_ms, ch->o.throttle_max_ms);
    ch->backoff_ms = ch->o.reconnect_min_ms;
    ch->since_utc_ms = host->now_utc_ms();
    *ret_ch = ch;
    return 0;
}

int mms_op_start(void *arg)
{
    struct mms_channel *ch = arg;
    ch->started = true;
    mms_credit(ch);
    return 0;
}

void mms_op_destroy(void *arg)
{
    release(arg);
}

/* ---- how many may come ---- */

static uint32_t free_slots(struct mms_channel *ch, uint32_t lane, int64_t now_ms)
{
    uint32_t limit = ch->pace.limit < ch->o.window ? ch->pace.limit : ch->o.window;
    uint32_t keep =
        lane == CGW_LANE_URGENT || limit < 2 ? 0 : (limit * ch->o.urgent_percent + 99) / 100;
    if (!ch->started || ch->draining || now_ms < ch->pace.until_ms || now_ms < ch->down_until_ms ||
        limit <= ch->n_used + keep)
        return 0;
    int64_t has = mms_bucket_has(&ch->bucket, now_ms);
    uint32_t n = limit - ch->n_used - keep;
    return has < n ? (uint32_t)has : n;
}

void mms_credit(struct mms_channel *ch)
{
    int64_t now = ch->host->now_mono_ms();
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        ch->credit[lane] = free_slots(ch, lane, now);
        ch->host->credit(ch->inst, lane, ch->credit[lane]);
    }
    mms_arm(ch);
}

/* ---- up and down ---- */

void mms_up(struct mms_channel *ch)
{
    if (!ch->down)
        return;
    ch->down = false;
    ch->down_until_ms = 0;
    ch->backoff_ms = ch->o.reconnect_min_ms;
    ch->since_utc_ms = ch->host->now_utc_ms();
    ch->trouble[0] = '\0';
    ch->host->log(ch->inst, CGW_LOG_INFO, "channel.mms.up", "");
}

/* wait_ms 0: the next step of the back-off. Complains once, and says when it is over. */
void mms_down(struct mms_channel *ch, int64_t wait_ms, const char *why)
{
    int64_t now = ch->host->now_mono_ms();
    char kv[CGW_DIAG_MAX + 40];
    if (now < ch->down_until_ms)
        return; /* others of the same window */
    if (wait_ms == 0) {
        wait_ms = ch->backoff_ms;
        ch->backoff_ms = ch->backoff_ms * 2 < ch->o.reconnect_max_ms ? ch->backoff_ms * 2
                                                                     : ch->o.reconnect_max_ms;
    }
    ch->down_until_ms = now + wait_ms;
    mms_pace_probe(&ch->pace);
    if (!ch->down) {
        ch->down = true;
        ch->since_utc_ms = ch->host->now_utc_ms();
        (void)snprintf(kv, sizeof kv, "next_ms=%lld msg=\"%.200s\"", (long long)wait_ms, why);
        ch->host->log(ch->inst, CGW_LOG_ERROR, "channel.mms.down", kv);
    }
    (void)snprintf(ch->trouble, sizeof ch->trouble, "%s", why);
}

void mms_op_health(void *arg, struct cgw_health *ret)
{
    struct mms_channel *ch = arg;
    bool up = ch->started && !ch->draining && !ch->down;
    *ret = (struct cgw_health){.size = sizeof *ret,
                               .up = up,
                               .links_up = up,
                               .links = 1,
                               .window_used = ch->n_used,
                               .window = ch->o.window,
                               .since_utc_ms = ch->since_utc_ms};
    if (!up)
        (void)snprintf(ret->text, sizeof ret->text, "%s",
                       ch->draining     ? "draining"
                       : ch->trouble[0] ? ch->trouble
                                        : "not started");
}

/* ---- time ---- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void mms_arm(struct mms_channel *ch)
{
    int64_t now = ch->host->now_mono_ms(), at = INT64_MAX;
    if (ch->drained)
        return;
    if (ch->n_used + ch->n_side_used)
        at = now + SWEEP_MS;
    if (ch->pace.until_ms > now)
        at = sooner(at, ch->pace.until_ms);
    if (ch->down_until_ms > now)
        at = sooner(at, ch->down_until_ms);
    if (!ch->draining && ch->o.rate) {
        int64_t wait = mms_bucket_wait_ms(&ch->bucket, now);
        at = wait ? sooner(at, now + wait) : at;
    }
    at = sooner(at, mms_early_next(ch));
    if (ch->draining)
        at = sooner(at, ch->drain_ms);
    ch->host->timer_set(ch->timer, at == INT64_MAX ? 0 : at > now ? at : now + 1);
}

/* What waits for its connection past its time is not sent: libcurl would go on trying. */
static void sweep(struct mms_channel *ch, int64_t now_ms)
{
    for (uint32_t i = 0; i < ch->o.window && ch->n_used; i++) {
        struct mms_slot *s = &ch->slots[i];
        if (s->used && s->call.active && !s->call.wrote && s->call.before_ms &&
            now_ms > s->call.before_ms)
            mms_http_abort(ch->http, &s->call, "its time passed before it could be sent");
    }
}

static void give_up(struct mms_channel *ch)
{
    for (uint32_t i = 0; i < ch->o.window + MMS_SIDE_SLOTS; i++)
        if (ch->slots[i].used)
            mms_http_abort(ch->http, &ch->slots[i].call, "the gateway stops");
    mms_early_expire(ch, true);
    mms_held_refuse(ch);
}

static void on_timer(void *arg)
{
    struct mms_channel *ch = arg;
    int64_t now = ch->host->now_mono_ms();
    sweep(ch, now);
    mms_early_expire(ch, false);
    if (ch->draining && now >= ch->drain_ms)
        give_up(ch);
    mms_try_drained(ch);
    if (!ch->drained)
        mms_credit(ch);
}

/* ---- the end ---- */

void mms_try_drained(struct mms_channel *ch)
{
    if (!ch->draining || ch->drained || ch->n_used || ch->n_side_used || ch->n_held)
        return;
    ch->drained = true;
    mms_http_close(ch->http);
    ch->host->timer_free(ch->timer);
    ch->host->drained(ch->inst);
}

void mms_op_drain(void *arg, int64_t deadline_mono_ms)
{
    struct mms_channel *ch = arg;
    if (ch->draining)
        return;
    ch->draining = true;
    ch->drain_ms = deadline_mono_ms;
    ch->n_cancels = 0;
    mms_credit(ch);
    if (ch->host->now_mono_ms() >= deadline_mono_ms)
        give_up(ch);
    mms_try_drained(ch);
}
