/* SPDX-License-Identifier: Apache-2.0 */
/* channel_task.c - contacts that people make: a call centre, a shop, field staff. A message becomes
 * a task: its document is kept by the gateway with the accept, agents' systems pull it from the
 * gateway's own interface and report there. So this channel has no peer, no socket and no state but
 * two numbers: what it has accepted, and what the gateway last counted. Source: cgw/channel.h. */
#include "cgw/plugin.h"
#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WINDOW_MAX 4096
#define BATCH 32u
#define NAME_BYTES 16 /* random, so that nobody guesses the name of another's task */

enum counter { C_ACCEPTED, C_REFUSED };

struct task_channel {
    const struct cgw_host *host;
    struct cgw_inst *inst;
    uint64_t window, per_day, per_month, open_max; /* 0 = no limit, but window */
    uint64_t given;                                /* accepts of this object */
    struct cgw_tally tally;                        /* size 0: nothing told yet */
    uint64_t included_before;                      /* accepts of an earlier object, as first told */
    int draining;
};

static const struct cgw_option options[] = {
    {.key = "window",
     .type = CGW_OPT_INT,
     .default_text = "500",
     .min = 1,
     .max = WINDOW_MAX,
     .unit = "tasks",
     .help = "tasks accepted and not yet stored at once"},
    {.key = "capacity_day",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000000000,
     .unit = "tasks",
     .help = "tasks that these agents take in one day of `zone`; 0 = no limit"},
    {.key = "capacity_month",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000000000,
     .unit = "tasks",
     .help = "tasks that these agents take in one month of `zone`; 0 = no limit"},
    {.key = "open_max",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000000000,
     .unit = "tasks",
     .help = "tasks waiting for an outcome at once; 0 = no limit"},
    {.key = "zone",
     .type = CGW_OPT_STR,
     .default_text = "UTC",
     .min = 1,
     .max = 64,
     .help = "IANA time zone of the days and months of the capacity"},
    {0},
};

static const struct cgw_counter counters[] = {
    [C_ACCEPTED] = {"task_accepted", "tasks", "Tasks made."},
    [C_REFUSED] = {"task_refused", "messages",
                   "Messages that make no task: nothing to say, or too large a document."},
    {0},
};

/* ---- capacity ---------------------------------------------------------------------------------
 */
static uint64_t pending(const struct task_channel *t)
{
    uint64_t seen = t->tally.included - t->included_before;
    return t->given > seen ? t->given - seen : 0;
}

static uint64_t left(uint64_t limit, uint64_t used)
{
    return !limit ? UINT64_MAX : limit > used ? limit - used : 0;
}

/* How many more tasks may be made now. Before the gateway has told what is durable, a limit cannot
 * be kept, so nothing is taken. */
static uint64_t room(const struct task_channel *t)
{
    int limited = t->per_day || t->per_month || t->open_max;
    if (t->draining || (limited && !t->tally.size))
        return 0;
    uint64_t on_top = pending(t);
    uint64_t least = t->tally.size ? left(t->window, on_top) : t->window;
    const uint64_t others[] = {left(t->per_day, t->tally.day + on_top),
                               left(t->per_month, t->tally.month + on_top),
                               left(t->open_max, t->tally.open + on_top)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        least = others[i] < least ? others[i] : least;
    return least;
}

static void tell_credit(struct task_channel *t)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        t->host->credit(t->inst, lane, (uint32_t)room(t));
}

static void tally(void *ch, const struct cgw_tally *told)
{
    struct task_channel *t = ch;
    if (!t->tally.size && !t->given)
        t->included_before = told->included;
    t->tally = *told;
    t->tally.size = sizeof t->tally;
    tell_credit(t);
}

/* ---- operations -------------------------------------------------------------------------------
 */
static int create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag)
{
    (void)diag;
    struct task_channel *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    *t = (struct task_channel){.host = host,
                               .inst = inst,
                               .window = (uint64_t)host->conf_int(conf, "window"),
                               .per_day = (uint64_t)host->conf_int(conf, "capacity_day"),
                               .per_month = (uint64_t)host->conf_int(conf, "capacity_month"),
                               .open_max = (uint64_t)host->conf_int(conf, "open_max")};
    *ret_ch = t;
    return 0;
}

static int start(void *ch)
{
    tell_credit(ch);
    return 0;
}

static void destroy(void *ch)
{
    free(ch);
}

static int32_t judge(const struct cgw_message *m, struct cgw_check *c)
{
    int says = 0;
    for (uint32_t i = 0; i < m->n_parts; i++)
        says |= (m->parts[i].role == CGW_ROLE_TEXT || m->parts[i].role == CGW_ROLE_FLOW) &&
                m->parts[i].len;
    if (!says || !m->to.len) {
        (void)snprintf(c->text, sizeof c->text, "%s",
                       m->to.len ? "a task needs a script (flow) or a text"
                                 : "the message has no recipient");
        return CGW_EINVAL;
    }
    size_t n = document_make(m, "00000000000000000000000000000000", NULL);
    c->units = (uint32_t)n;
    if (n <= CGW_DOCUMENT_MAX)
        return CGW_OK;
    (void)snprintf(c->text, sizeof c->text, "a document of %zu bytes; at most %u are kept", n,
                   CGW_DOCUMENT_MAX);
    return CGW_ELIMIT;
}

static void check(void *ch, const struct cgw_message *msgs, uint32_t n,
                  struct cgw_check *ret_checks)
{
    (void)ch;
    for (uint32_t i = 0; i < n; i++) {
        ret_checks[i] =
            (struct cgw_check){.size = sizeof ret_checks[i], .encoding = "json", .segments = 1};
        ret_checks[i].code = judge(&msgs[i], &ret_checks[i]);
    }
}

struct made {
    char name[2 * NAME_BYTES + 1];
    const char *ids[1];
    struct cgw_check why; /* a task that cannot be made */
    char *document;       /* owned */
};

static int new_name(struct made *d)
{
    unsigned char bytes[NAME_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return -1;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(d->name + 2 * i, 3, "%02x", bytes[i]);
    d->ids[0] = d->name;
    return 0;
}

/* The one result of this message. */
static void make(struct task_channel *t, const struct cgw_message *m, struct made *d,
                 struct cgw_result *r)
{
    *r = (struct cgw_result){.size = sizeof *r,
                             .result = CGW_RES_NOT_SENT,
                             .token = m->token,
                             .code_space = "task",
                             .segments = 1,
                             .quantity = 1};
    d->document = NULL;
    if (m->submit_before_mono_ms <= t->host->now_mono_ms() || new_name(d) < 0)
        return;
    int32_t rc = judge(m, &d->why);
    if (rc) {
        r->result = CGW_RES_REFUSED;
        r->code = rc == CGW_ELIMIT ? 1 : 2;
        r->raw = d->why.text;
        t->host->count(t->inst, C_REFUSED, 1);
        return;
    }
    size_t n = document_make(m, d->name, NULL);
    if (!(d->document = malloc(n)))
        return;
    (void)document_make(m, d->name, d->document);
    r->result = CGW_RES_ACCEPTED;
    r->provider_ids = d->ids;
    r->n_ids = 1;
    r->document = d->document;
    r->document_len = (uint32_t)n;
    t->given++;
    t->host->count(t->inst, C_ACCEPTED, 1);
}

static uint32_t submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    struct task_channel *t = ch;
    uint32_t taken = 0;
    while (taken < n && room(t)) {
        struct made made[BATCH];
        struct cgw_result results[BATCH];
        uint32_t k = 0;
        while (k < BATCH && taken < n && room(t)) {
            make(t, &msgs[taken++], &made[k], &results[k]);
            k++;
        }
        t->host->complete(t->inst, results, k);
        while (k)
            free(made[--k].document);
    }
    tell_credit(t);
    return taken;
}

/* Nothing is reported over this channel: agents report to the gateway itself. */
static void stored(void *ch, const uint64_t *acks, uint32_t n)
{
    (void)ch;
    (void)acks;
    (void)n;
}

static void health(void *ch, struct cgw_health *ret)
{
    const struct task_channel *t = ch;
    const struct {
        const char *what;
        uint64_t limit, used;
    } limits[] = {{"of the day", t->per_day, t->tally.day + pending(t)},
                  {"of the month", t->per_month, t->tally.month + pending(t)},
                  {"for open tasks", t->open_max, t->tally.open + pending(t)}};
    ret->up = !t->draining;
    ret->links = ret->links_up = 1;
    ret->window = (uint32_t)t->window;
    ret->window_used = t->tally.size ? (uint32_t)pending(t) : 0;
    (void)snprintf(ret->text, sizeof ret->text, "%s",
                   t->draining ? "draining" : "agents pull: no peer needed");
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i].limit && limits[i].used >= limits[i].limit)
            (void)snprintf(ret->text, sizeof ret->text, "capacity %s is used: %llu of %llu",
                           limits[i].what, (unsigned long long)limits[i].used,
                           (unsigned long long)limits[i].limit);
}

/* Every message was settled inside submit(). */
static void drain(void *ch, int64_t deadline_mono_ms)
{
    struct task_channel *t = ch;
    (void)deadline_mono_ms;
    t->draining = 1;
    tell_credit(t);
    t->host->drained(t->inst);
}

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = CGW_CHANNEL_TASK,
    .address_kind = CGW_ADDR_E164,
    .max_parts = 3,
    .role_mask = 1u << CGW_ROLE_TEXT | 1u << CGW_ROLE_SUBJECT | 1u << CGW_ROLE_FLOW,
    .receipts = 1,
    .replies = 1,
    .cost_unit = "task",
    .concurrency_unit = "open task",
    .pulled = 1,
};

static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = create,
    .start = start,
    .check = check,
    .submit = submit,
    .stored = stored,
    .health = health,
    .drain = drain,
    .destroy = destroy,
    .tally = tally,
};

CGW_CHANNEL_PLUGIN(.name = "channel_task", .version = "1.0", .vendor = "campgw", .options = options,
                   .counters = counters, .caps = &caps, .channel = &ops);
