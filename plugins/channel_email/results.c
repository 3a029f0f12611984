/* SPDX-License-Identifier: Apache-2.0 */
/* results.c - what became of messages given to a connection, and what that says about the route:
 * up, or down and probed until the smarthost answers again. See instance.h. */
#include "instance.h"

#include "classify.h"

#include <stdio.h>
#include <string.h>

/* ---- the route as a whole ---- */

static void route_down(struct email_channel *e, const char *why)
{
    int64_t now = e->host->now_mono_ms();
    if (e->up || !e->why[0]) {
        char kv[CGW_DIAG_MAX + 40];
        (void)snprintf(kv, sizeof kv, "next_ms=%lld msg=\"%.200s\"", (long long)e->backoff_ms, why);
        e->host->log(e->inst, CGW_LOG_WARNING, "email.route.down", kv);
        e->since_utc_ms = e->host->now_utc_ms();
    }
    e->up = false;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
    if (e->probe_at_ms <= now) {
        e->probe_at_ms = now + e->backoff_ms;
        e->backoff_ms = e->backoff_ms * 2 > EMAIL_ROUTE_BACKOFF_MAX_MS ? EMAIL_ROUTE_BACKOFF_MAX_MS
                                                                       : e->backoff_ms * 2;
    }
    email_give_back_all(e, why);
}

static void route_up(struct email_channel *e)
{
    if (!e->up) {
        e->host->log(e->inst, CGW_LOG_INFO, "email.route.up", "");
        e->since_utc_ms = e->host->now_utc_ms();
    }
    e->up = true;
    e->probe_at_ms = 0;
    e->why[0] = 0;
}

void email_send_probe(struct email_channel *e)
{
    e->probe = (struct smtp_job){0};
    e->probing = smtp_pool_send(e->pool, &e->probe);
    e->probe_at_ms = e->probing ? 0 : e->host->now_mono_ms() + EMAIL_LOOK_AGAIN_MS;
}

/* ---- results ---- */

/* What the peer said, as code and code space. */
static void spell_code(struct cgw_result *r, const struct smtp_job *s)
{
    struct email_status st;
    size_t len = strlen(s->line);
    r->code = s->code;
    r->code_space = "smtp.reply";
    if (len > 4 && s->line[4] == s->line[0] && email_status_find(s->line + 4, len - 4, &st)) {
        r->code = email_status_code(&st);
        r->code_space = "smtp.enhanced";
    }
}

static void refused(struct email_channel *e, struct email_job *j, struct cgw_result *r)
{
    struct email_verdict v = email_refusal(j->smtp.stage, j->smtp.code, j->smtp.line);
    int64_t now = e->host->now_mono_ms();
    r->result = v.result;
    r->flags = v.flags;
    r->sub = v.sub;
    if (v.slow == EMAIL_SCOPE_DOMAIN)
        email_domain_spare(j->domain, now);
    if (v.slow == EMAIL_SCOPE_ROUTE)
        route_down(e, j->smtp.line);
    if (v.flags & CGW_RESF_THROTTLED)
        r->retry_after_ms =
            v.slow == EMAIL_SCOPE_ROUTE ? e->probe_at_ms - now : email_domain_book(j->domain, now);
    if (r->result == CGW_RES_REFUSED_RETRY && r->retry_after_ms < 0)
        r->retry_after_ms = 0;
    e->host->count(e->inst, v.flags & CGW_RESF_THROTTLED ? C_THROTTLED : C_REFUSED, 1);
}

static void ended_one(struct email_channel *e, struct email_job *j)
{
    char peer[EMAIL_ID_LEN + 220];
    const char *id = j->id, *spelt = peer;
    struct cgw_result r = {.size = sizeof r, .token = j->token, .raw = j->smtp.line};
    spell_code(&r, &j->smtp);
    switch (j->smtp.end) {
    case SMTP_TAKEN:
        (void)snprintf(peer, sizeof peer, "<%s@%s>", j->id, e->compose.message_id_domain);
        r.result = CGW_RES_ACCEPTED;
        r.n_ids = r.segments = r.quantity = 1;
        r.provider_ids = &id;
        r.peer_ids = strlen(peer) < CGW_PROVIDER_ID_MAX ? &spelt : NULL;
        e->backoff_ms = EMAIL_ROUTE_BACKOFF_FIRST_MS;
        e->host->count(e->inst, C_SENT, 1);
        break;
    case SMTP_REFUSED:
        refused(e, j, &r);
        break;
    case SMTP_UNSENT:
        r.result = CGW_RES_NOT_SENT;
        r.raw = j->smtp.why;
        if (j->smtp.stage == EMAIL_CONNECT && !e->draining)
            route_down(e, j->smtp.code >= 400 ? j->smtp.line : j->smtp.why);
        break;
    case SMTP_UNSURE:
        r.result = CGW_RES_UNKNOWN;
        r.raw = j->smtp.why;
        e->host->count(e->inst, C_UNSURE, 1);
        break;
    }
    int64_t now = e->host->now_mono_ms(), took = now - j->begun_ms;
    if (j->smtp.end == SMTP_TAKEN || (double)took > e->took_ms) /* a quick no opens no window */
        e->took_ms = email_took(e->took_ms, took);
    e->moved_ms = now;
    email_domain_done(j->domain, j->smtp.end == SMTP_TAKEN, took, now);
    e->host->complete(e->inst, &r, 1);
    e->n_sending--;
    email_free_job(j);
}

void email_collect(struct email_channel *e)
{
    struct smtp_job *s = e->pool ? smtp_pool_ended(e->pool) : NULL, *next;
    for (; s; s = next) {
        next = s->next;
        if (s->connects)
            e->host->count(e->inst, C_CONNECTIONS, s->connects);
        if (s != &e->probe) {
            ended_one(e, (struct email_job *)s);
            continue;
        }
        e->probing = false;
        if (s->end == SMTP_TAKEN)
            route_up(e);
        else
            route_down(e, s->code >= 400 ? s->line : s->why);
    }
}
