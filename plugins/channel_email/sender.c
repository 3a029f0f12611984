/* SPDX-License-Identifier: Apache-2.0 */
/* sender.c - messages on their way: taken, composed, given to a connection when their domain may be
 * served. What became of them: results.c. A message is never kept beyond submit_before; what a
 * domain or the smarthost cannot take now goes back with the moment to come again. See instance.h.
 */
#include "instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_EARLY_MS 100 /* before the drain's deadline */
#define AHEAD_MS 500.0      /* see window_at() */
#define URGENT_SHARE 10     /* one in so many is kept for the urgent lane */

/* A message has a second from its intent to the wire. So beyond those on connections only as many
 * are asked for as connections begin in half of it, at the pace of late: what waits longer would go
 * back for nothing, and what waits when the process is killed is in doubt. Who waits for his domain
 * while a connection is free is in nobody's way. What is kept for the urgent lane does not come off
 * the connections. */
static uint32_t window_at(const struct email_channel *e, double took_ms)
{
    uint32_t connections = e->smtp.connections, urgent = connections / URGENT_SHARE + 1;
    double most = e->n_blocked + connections + urgent + 1 + connections * AHEAD_MS / took_ms;
    return most < e->window ? (uint32_t)most : e->window;
}

static void tell_credit(struct email_channel *e)
{
    /* a smarthost that stands still is not as fast as it was; who is urgent does not wait for it to
     * move again */
    double still = e->n_free ? 0 : (double)(e->host->now_mono_ms() - e->moved_ms);
    bool room = e->up && !e->draining && e->held_bytes < EMAIL_HELD_BYTES;
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        bool urgent = lane == CGW_LANE_URGENT;
        uint32_t window = window_at(e, !urgent && still > e->took_ms ? still : e->took_ms);
        uint32_t reserve = urgent || window < 2 ? 0 : (window + URGENT_SHARE - 1) / URGENT_SHARE;
        uint32_t used = e->n_waiting + e->n_sending + reserve;
        e->host->credit(e->inst, lane, room && window > used ? window - used : 0);
    }
}

/* ---- the bytes of one mail, on the connection's thread ---- */

static size_t read_job(struct smtp_job *s, char *out, size_t room)
{
    struct email_job *j = (struct email_job *)s;
    size_t done = 0;
    if (!s->given) { /* a second try on a fresh connection begins anew */
        j->piece = 0;
        j->offset = 0;
    }
    while (done < room && j->piece < j->mail.n_pieces) {
        const struct compose_piece *p = &j->mail.pieces[j->piece];
        const char *from = p->blob ? p->blob->text.v : j->mail.text.v + p->from;
        size_t len = p->blob ? p->blob->text.n : p->to - p->from;
        size_t n = len - j->offset < room - done ? len - j->offset : room - done;
        if (n)
            memcpy(out + done, from + j->offset, n);
        done += n;
        j->offset += n;
        if (j->offset == len) {
            j->piece++;
            j->offset = 0;
        }
    }
    return done;
}

/* The law's window, not the gateway's hurry: that one ends when the transaction begins. */
static bool may_write(struct smtp_job *s)
{
    const struct email_job *j = (const struct email_job *)s;
    return !j->not_after_utc_ms || j->ch->host->now_utc_ms() <= j->not_after_utc_ms;
}

/* ---- settling ---- */

void email_free_job(struct email_job *j)
{
    for (uint32_t i = 0; i < CGW_PARTS_MAX; i++)
        if (j->blobs[i])
            blobs_put(j->ch->blobs, j->blobs[i]);
    j->ch->held_bytes -= j->mail.text.cap + sizeof *j;
    compose_done(&j->mail);
    free(j);
}

static void settle(struct email_channel *e, uint64_t token, uint32_t result, uint32_t flags,
                   int64_t retry_ms, const char *raw)
{
    struct cgw_result r = {.size = sizeof r,
                           .token = token,
                           .result = result,
                           .flags = flags,
                           .retry_after_ms = retry_ms,
                           .code_space = "smtp.reply",
                           .raw = raw};
    e->host->complete(e->inst, &r, 1);
}

static void give_back(struct email_job *j, uint32_t result, const char *raw)
{
    struct email_channel *e = j->ch;
    j->domain->waiting--;
    settle(e, j->token, result, 0, 0, raw);
    email_free_job(j);
}

void email_give_back_all(struct email_channel *e, const char *why)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct email_job *j = e->waiting[lane], *next;
        e->waiting[lane] = NULL;
        e->waiting_end[lane] = &e->waiting[lane];
        for (; j; j = next) {
            next = j->next;
            give_back(j, CGW_RES_NOT_SENT, why);
        }
    }
    e->n_waiting = 0;
}

/* ---- giving work to connections ---- */

static bool blobs_ready(const struct email_job *j, bool *ret_failed)
{
    for (uint32_t i = 0; i < CGW_PARTS_MAX; i++) {
        if (j->blobs[i] && j->blobs[i]->failed)
            *ret_failed = true;
        if (j->blobs[i] && !j->blobs[i]->ready)
            return false;
    }
    return true;
}

/* What stands in the way of this one: 0 nothing, else when to look again; -1: it has been given
 * back and is gone. */
static int64_t obstacle(struct email_channel *e, struct email_job *j, int64_t now)
{
    bool failed = false;
    if (j->submit_before_ms <= now) {
        give_back(j, CGW_RES_NOT_SENT, "its domain or a connection was not free in time");
        return -1;
    }
    if (!blobs_ready(j, &failed)) {
        if (!failed)
            return now + 1;
        give_back(j, CGW_RES_REFUSED_RETRY, "a medium cannot be read");
        return -1;
    }
    if (!e->n_free)
        return j->submit_before_ms;
    int64_t when = email_domain_take(j->domain, now);
    e->n_blocked += when > 0;
    return when;
}

/* \return false when the last free connection has just taken its leave: it tells when it is back.
 */
static bool begin(struct email_channel *e, struct email_job *j, int64_t now)
{
    j->smtp.bytes = compose_bytes(&j->mail);
    j->begun_ms = now;
    if (!smtp_pool_send(e->pool, &j->smtp)) {
        email_domain_untake(j->domain);
        e->n_free = 0;
        return false;
    }
    j->domain->waiting--;
    e->moved_ms = now;
    e->n_sending++;
    e->n_free--;
    return true;
}

/* Sends what can be sent. \return when to look again, INT64_MAX: when something ends. */
static int64_t pump_lane(struct email_channel *e, uint32_t lane, int64_t now)
{
    struct email_job **at = &e->waiting[lane], *j;
    int64_t again = INT64_MAX;
    while ((j = *at)) {
        struct email_job *next = j->next;
        int64_t when = obstacle(e, j, now);
        if (when == 0 && !begin(e, j, now))
            when = j->submit_before_ms;
        if (when > 0) {
            int64_t first = when < j->submit_before_ms ? when : j->submit_before_ms;
            again = first < again ? first : again;
            at = &j->next;
            continue;
        }
        *at = next;
        e->n_waiting--;
    }
    e->waiting_end[lane] = at;
    return again;
}

static void arm(struct email_channel *e, int64_t again)
{
    int64_t now = e->host->now_mono_ms();
    if (e->probe_at_ms && e->probe_at_ms < again && !e->draining)
        again = e->probe_at_ms;
    if ((e->n_sending || e->probing) && again > now + EMAIL_LOOK_AGAIN_MS)
        again = now + EMAIL_LOOK_AGAIN_MS;
    if (e->draining && e->n_sending && e->deadline_ms < again)
        again = e->deadline_ms > now ? e->deadline_ms : now + 5;
    if (e->timer)
        e->host->timer_set(e->timer, again == INT64_MAX ? 0 : again);
}

static void turn(struct email_channel *e)
{
    int64_t now = e->host->now_mono_ms();
    email_collect(e);
    if (e->draining && e->n_sending && e->deadline_ms <= now)
        smtp_pool_abort(e->pool);
    if (e->probe_at_ms && e->probe_at_ms <= now && !e->probing && !e->draining)
        email_send_probe(e);
    bool more = blobs_step(e->blobs);
    e->n_free = e->pool ? smtp_pool_resting(e->pool) : 0;
    email_collect(e); /* whoever is free now has left his domain */
    e->n_blocked = 0;
    int64_t a = pump_lane(e, CGW_LANE_URGENT, now), b = pump_lane(e, CGW_LANE_BULK, now);
    a = more ? now + 1 : a;
    tell_credit(e);
    arm(e, a < b ? a : b);
    if (e->draining && !e->n_sending && !e->drained) {
        e->drained = true;
        e->host->timer_free(e->timer);
        e->timer = NULL;
        e->host->drained(e->inst);
    }
}

void email_on_timer(void *arg)
{
    turn(arg);
}

static void on_post(void *arg)
{
    struct email_channel *e = arg;
    atomic_store(&e->posted, false);
    if (!e->drained)
        turn(e);
}

/* A connection's thread has ended a job. */
static void on_ended(void *ctx)
{
    struct email_channel *e = ctx;
    if (!atomic_exchange(&e->posted, true) && e->host->post(e->inst, on_post, e) != 0)
        atomic_store(&e->posted, false); /* its queue is full: the timer looks */
}

/* ---- taking ---- */

static const char *envelope(struct email_channel *e, struct email_job *j,
                            const struct cgw_message *m)
{
    char token[EMAIL_TOKEN_LEN + 1], who[EMAIL_WHO_LEN + 1];
    if (e->compose.bounce_domain) {
        email_token_make(&e->key, EMAIL_FOR_BOUNCE, j->id, token);
        email_who_make(&e->key, j->id, m->reference, j->to, who);
        (void)snprintf(j->from, sizeof j->from, "%c+%s-%s@%s", EMAIL_FOR_BOUNCE, token, who,
                       e->compose.bounce_domain);
    } else {
        (void)snprintf(j->from, sizeof j->from, "%s",
                       e->envelope_from                 ? e->envelope_from
                       : m->from.kind == CGW_ADDR_EMAIL ? m->from.text
                                                        : e->compose.from);
    }
    return j->from;
}

static bool take_blobs(struct email_channel *e, struct email_job *j, const struct cgw_message *m)
{
    for (uint32_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].role != CGW_ROLE_MEDIA || !m->parts[i].media)
            continue;
        j->blobs[i] = blobs_get(e->blobs, m->parts[i].media);
        if (!j->blobs[i])
            return false;
    }
    return true;
}

static struct email_job *make_job(struct email_channel *e, const struct cgw_message *m)
{
    struct email_job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    *j = (struct email_job){.ch = e,
                            .token = m->token,
                            .lane = m->lane,
                            .submit_before_ms = m->submit_before_mono_ms,
                            .not_after_utc_ms = m->not_after_utc_ms,
                            .smtp = {.read = read_job, .may_write = may_write}};
    e->held_bytes += sizeof *j;
    email_id_new(&e->key, j->id);
    (void)snprintf(j->to, sizeof j->to, "%.*s", (int)m->to.len, m->to.text);
    j->smtp.to = j->to;
    j->smtp.from = envelope(e, j, m);
    if (take_blobs(e, j, m) &&
        compose(&e->compose, &e->key, j->id, m, j->blobs, e->host->now_utc_ms(), &j->mail) == 0) {
        e->held_bytes += j->mail.text.cap;
        return j;
    }
    email_free_job(j);
    return NULL;
}

static struct email_domain *domain_of(struct email_channel *e, const struct cgw_address *to,
                                      int64_t now)
{
    char name[EMAIL_DOMAIN_LEN];
    size_t n = 0;
    const char *at = memchr(to->text, '@', to->len), *end = to->text + to->len;
    for (at++; at < end && n + 1 < sizeof name; at++)
        name[n++] = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    name[n] = 0;
    return email_domains_get(e->domains, name, now);
}

static void take_one(struct email_channel *e, const struct cgw_message *m, int64_t now)
{
    struct cgw_check judged;
    compose_check(&e->compose, e->host, m, &judged);
    if (m->submit_before_mono_ms <= now) {
        settle(e, m->token, CGW_RES_NOT_SENT, 0, 0, "too late");
        return;
    }
    if (judged.code) {
        e->host->count(e->inst, C_REFUSED, 1);
        settle(e, m->token, CGW_RES_REFUSED, 0, 0, judged.text);
        return;
    }
    struct email_domain *d = domain_of(e, &m->to, now);
    if (!d || email_domain_outlook(d, now) >= m->submit_before_mono_ms) {
        e->host->count(e->inst, C_THROTTLED, 1);
        settle(e, m->token, CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED,
               d ? email_domain_book(d, now) : 1000, "the recipient's domain is being spared");
        return;
    }
    struct email_job *j = make_job(e, m);
    if (!j) {
        settle(e, m->token, CGW_RES_REFUSED_RETRY, 0, 0, "no room to compose it now");
        return;
    }
    j->domain = d;
    d->waiting++;
    *e->waiting_end[m->lane] = j;
    e->waiting_end[m->lane] = &j->next;
    e->n_waiting++;
}

static const struct cgw_message *message_at(const struct cgw_message *msgs, uint32_t i)
{
    return (const struct cgw_message *)(const void *)((const char *)msgs + (size_t)i * msgs->size);
}

uint32_t email_submit(struct email_channel *e, const struct cgw_message *msgs, uint32_t n)
{
    int64_t now = e->host->now_mono_ms();
    uint32_t taken = 0;
    while (taken < n && e->up && !e->draining && e->n_waiting + e->n_sending < e->window &&
           e->held_bytes < EMAIL_HELD_BYTES)
        take_one(e, message_at(msgs, taken++), now);
    turn(e);
    return taken;
}

void email_cancel(struct email_channel *e, const uint64_t *tokens, uint32_t n)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct email_job **at = &e->waiting[lane];
        while (*at) {
            struct email_job *j = *at;
            uint32_t i = 0;
            while (i < n && tokens[i] != j->token)
                i++;
            if (i == n) {
                at = &j->next;
                continue;
            }
            *at = j->next;
            e->n_waiting--;
            give_back(j, CGW_RES_NOT_SENT, "recalled");
        }
        e->waiting_end[lane] = at;
    }
    if (!e->drained)
        turn(e);
}

/* ---- life ---- */

int email_start(struct email_channel *e)
{
    e->pool = smtp_pool_new(&e->smtp, on_ended, e);
    int rc = e->pool ? smtp_pool_start(e->pool) : -ENOMEM;
    if (rc)
        return rc;
    e->took_ms = EMAIL_TOOK_MS;
    e->moved_ms = e->host->now_mono_ms();
    (void)snprintf(e->why, sizeof e->why, "connecting for the first time");
    email_send_probe(e);
    tell_credit(e);
    arm(e, INT64_MAX);
    return 0;
}

void email_drain(struct email_channel *e, int64_t deadline_mono_ms)
{
    e->draining = true;
    e->deadline_ms = deadline_mono_ms - SETTLE_EARLY_MS;
    email_give_back_all(e, "the channel is stopping");
    turn(e);
}

void email_free_jobs(struct email_channel *e)
{
    struct smtp_job *s = e->pool ? smtp_pool_ended(e->pool) : NULL, *next;
    for (; s; s = next) {
        next = s->next;
        if (s != &e->probe)
            email_free_job((struct email_job *)s);
    }
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct email_job *j = e->waiting[lane], *after;
        for (; j; j = after) {
            after = j->next;
            email_free_job(j);
        }
    }
}
