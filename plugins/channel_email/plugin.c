/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - channel_email's descriptor and table of operations; each leads into the file that does
 * it (instance.h). Source: cgw/channel.h. */
#include "instance.h"

#include "mime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cgw_counter counters[] = {
    [C_SENT] = {"email_sent", "messages", "Mails that the smarthost took."},
    [C_REFUSED] = {"email_refused", "messages", "Mails refused by the smarthost or not sendable."},
    [C_THROTTLED] = {"email_throttled", "messages",
                     "Mails put off: a domain's limit, or an answer 421 or 4.7.x."},
    [C_UNSURE] = {"email_unsure", "messages", "Connections lost between final dot and answer."},
    [C_CONNECTIONS] = {"email_connections", "connections", "Connections opened."},
    [C_BOUNCE_HARD] = {"email_bounces_hard", "bounces", "Bounces: the address does not exist."},
    [C_BOUNCE_SOFT] = {"email_bounces_soft", "bounces", "Bounces: not reached this time."},
    [C_BOUNCE_OTHER] = {"email_bounces_other", "bounces",
                        "Bounces by policy, content or system: nothing about the address."},
    [C_DELAYED] = {"email_delayed", "reports", "Reports that delivery is delayed or passed on."},
    [C_DELIVERED] = {"email_delivered", "reports", "Reports of delivery."},
    [C_COMPLAINTS] = {"email_complaints", "reports", "Complaints (ARF)."},
    [C_OPTOUTS] = {"email_optouts", "requests", "One-click, mailed and reported opt-outs."},
    [C_REPLIES] = {"email_replies", "mails", "Answers of people."},
    [C_AUTOMATIC] = {"email_automatic", "mails", "Automatic answers, ignored."},
    [C_FOREIGN] = {"email_foreign", "reports", "Reports about no message of ours, ignored."},
    [C_UNREADABLE] = {"email_unreadable", "mails", "Mails that could not be read, ignored."},
    [C_FORGED] = {"email_forged", "tokens", "Links and addresses whose proof is wrong."},
    {0},
};

static void destroy(void *ch)
{
    struct email_channel *e = ch;
    if (e->pool)
        smtp_pool_stop(e->pool);
    email_free_jobs(e);
    smtp_pool_free(e->pool);
    if (e->blobs)
        blobs_done(e->blobs);
    free(e->blobs);
    email_domains_free(e->domains);
    free(e->words);
    free(e);
}

static int create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag)
{
    struct email_channel *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->host = host;
    e->inst = inst;
    e->backoff_ms = EMAIL_ROUTE_BACKOFF_FIRST_MS;
    e->since_utc_ms = host->now_utc_ms();
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        e->waiting_end[lane] = &e->waiting[lane];
    mime_init();
    e->domains = email_domains_new();
    e->blobs = calloc(1, sizeof *e->blobs);
    int rc = e->domains && e->blobs ? email_options_read(e, conf, diag) : -ENOMEM;
    if (!rc && !(e->timer = host->timer_new(inst, email_on_timer, e)))
        rc = -ENOMEM;
    if (rc) {
        destroy(e);
        return rc;
    }
    e->blobs->host = host;
    *ret_ch = e;
    return 0;
}

static int start(void *ch)
{
    return email_start(ch);
}

static void check(void *ch, const struct cgw_message *msgs, uint32_t n,
                  struct cgw_check *ret_checks)
{
    const struct email_channel *e = ch;
    for (uint32_t i = 0; i < n; i++)
        compose_check(&e->compose, e->host, &msgs[i], &ret_checks[i]);
}

static uint32_t submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    return email_submit(ch, msgs, n);
}

static void stored(void *ch, const uint64_t *acks, uint32_t n)
{
    email_stored(ch, acks, n);
}

static void cancel(void *ch, const uint64_t *tokens, uint32_t n)
{
    email_cancel(ch, tokens, n);
}

static void health(void *ch, struct cgw_health *ret)
{
    struct email_channel *e = ch;
    ret->up = e->up && !e->draining;
    ret->links = e->smtp.connections;
    ret->links_up = e->pool ? smtp_pool_open(e->pool) : 0;
    ret->window = e->window;
    ret->window_used = e->n_waiting + e->n_sending;
    ret->since_utc_ms = e->since_utc_ms;
    (void)snprintf(ret->text, sizeof ret->text, "%s",
                   e->draining ? "draining"
                   : e->up     ? "the smarthost answers"
                   : e->why[0] ? e->why
                               : "not started");
}

static void drain(void *ch, int64_t deadline_mono_ms)
{
    email_drain(ch, deadline_mono_ms);
}

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = CGW_CHANNEL_EMAIL,
    .address_kind = CGW_ADDR_EMAIL,
    .max_parts = CGW_PARTS_MAX,
    .role_mask = 1u << CGW_ROLE_TEXT | 1u << CGW_ROLE_HTML | 1u << CGW_ROLE_SUBJECT |
                 1u << CGW_ROLE_HEADER | 1u << CGW_ROLE_MEDIA,
    .receipts = 1,
    .replies = 1,
    .cost_unit = "message",
    .concurrency_unit = "connection",
};

static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = create,
    .start = start,
    .check = check,
    .submit = submit,
    .stored = stored,
    .cancel = cancel,
    .health = health,
    .drain = drain,
    .destroy = destroy,
};

CGW_CHANNEL_PLUGIN(.flags = CGW_F_OWN_THREADS, .name = "channel_email", .version = "1.0",
                   .vendor = "campgw", .options = email_options, .counters = counters,
                   .caps = &caps, .routes = email_routes, .channel = &ops);
