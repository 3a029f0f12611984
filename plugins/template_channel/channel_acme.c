/* SPDX-License-Identifier: Apache-2.0 */
/* channel_acme.c - a small channel: it writes each text as one line to a file descriptor of its
 * own. Replace deliver() by your network's protocol. No lock is needed: every operation runs on the
 * instance's loop thread, check() alone on any. */
#include <cgw/plugin.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct acme {
    const struct cgw_host *host;
    struct cgw_inst *inst;
    uint32_t max_bytes;
    int fd;
    uint64_t serial;
};

static const struct cgw_option options[] = {
    {.key = "file",
     .type = CGW_OPT_STR,
     .default_text = "/dev/null",
     .min = 1,
     .max = 255,
     .help = "where the lines go"},
    {.key = "max_bytes",
     .type = CGW_OPT_INT,
     .default_text = "500",
     .min = 1,
     .max = 4000,
     .unit = "bytes",
     .help = "longest text"},
    {.key = NULL},
};

static int create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag)
{
    struct acme *a = calloc(1, sizeof *a);
    if (!a)
        return CGW_ELIMIT;
    a->host = host;
    a->inst = inst;
    a->max_bytes = (uint32_t)host->conf_int(conf, "max_bytes");
    a->fd = open(host->conf_str(conf, "file"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (a->fd < 0) {
        snprintf(diag->where, sizeof diag->where, "file");
        snprintf(diag->text, sizeof diag->text, "the file cannot be opened for appending");
        free(a);
        return CGW_EINVAL;
    }
    *ret_ch = a;
    return CGW_OK;
}

static int start(void *ch)
{
    struct acme *a = ch;
    a->host->credit(a->inst, CGW_LANE_BULK,
                    90); /* messages that may be handed over; a real peer's free window */
    a->host->credit(a->inst, CGW_LANE_URGENT, 100);
    return CGW_OK;
}

static void check(void *ch, const struct cgw_message *msgs, uint32_t n,
                  struct cgw_check *ret_checks)
{
    const struct acme *a = ch; /* only what create() set: check() runs on any thread */
    for (uint32_t i = 0; i < n; i++) {
        struct cgw_check *c = &ret_checks[i];
        const struct cgw_part *p = msgs[i].parts;
        c->encoding = "utf-8";
        c->segments = 1;
        c->units = p->len;
        if (msgs[i].n_parts != 1 || p->role != CGW_ROLE_TEXT || !p->body || !p->len) {
            c->code = CGW_EINVAL;
            snprintf(c->text, sizeof c->text,
                     "exactly one text part that is not empty is sent here");
        } else if (p->len > a->max_bytes) {
            c->code = CGW_ELIMIT;
            snprintf(c->text, sizeof c->text, "%u bytes are above max_bytes = %u", p->len,
                     a->max_bytes);
        }
    }
}

/* YOUR CODE: hand one message to the network; here it is written at once. \return 0 when it is
 * certain that nothing left. */
static int deliver(struct acme *a, const struct cgw_message *m)
{
    return dprintf(a->fd, "%s %.*s\n", m->to.text, (int)m->parts[0].len, m->parts[0].body) > 0;
}

static uint32_t submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    struct acme *a = ch;
    for (uint32_t i = 0; i < n; i++) {
        char id[32];
        const char *ids[] = {id};
        struct cgw_check verdict = {.size = sizeof verdict};
        struct cgw_result r = {.size = sizeof r,
                               .token = msgs[i].token,
                               .code_space = "acme",
                               .result = CGW_RES_NOT_SENT};
        check(a, &msgs[i], 1, &verdict);
        if (verdict.code) {
            r.result = CGW_RES_REFUSED;
            r.raw = verdict.text;
        } else if (msgs[i].submit_before_mono_ms > a->host->now_mono_ms() && deliver(a, &msgs[i])) {
            snprintf(id, sizeof id, "acme-%llu", (unsigned long long)++a->serial);
            r.result = CGW_RES_ACCEPTED;
            r.provider_ids = ids;
            r.n_ids = r.segments = r.quantity = 1;
        }
        a->host->complete(a->inst, &r, 1); /* exactly once per taken message */
    }
    (void)start(a); /* all slots are free again */
    return n;
}

static void drain(void *ch, int64_t deadline_mono_ms)
{
    struct acme *a = ch;
    (void)deadline_mono_ms; /* nothing is in flight between two calls */
    a->host->drained(a->inst);
}

static void destroy(void *ch)
{
    struct acme *a = ch;
    close(a->fd);
    free(a);
}

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = CGW_CHANNEL_SMS,
    .address_kind = CGW_ADDR_E164,
    .max_parts = 1,
    .role_mask = 1u << CGW_ROLE_TEXT,
    .cost_unit = "message",
    .concurrency_unit = "message",
};
static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = create,
    .start = start,
    .check = check,
    .submit = submit,
    .drain = drain,
    .destroy = destroy,
};
CGW_CHANNEL_PLUGIN(.name = "channel_acme", .version = "0.1", .vendor = "Acme", .options = options,
                   .caps = &caps, .channel = &ops);
