/* SPDX-License-Identifier: Apache-2.0 */
/* channel_loopback.c - a channel without a peer: takes every message of every part role and answers
 * by itself, as its options say. For trying campaigns, for tests of the core and as the smallest
 * complete channel. It never opens a socket. Source: cgw/channel.h. */
#include "cgw/plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Tests build it once more for every kind of channel: tests/fixtures/plugins. */
#ifndef LOOPBACK_CHANNEL
#define LOOPBACK_CHANNEL CGW_CHANNEL_SMS
#define LOOPBACK_NAME "channel_loopback"
#endif

#define WINDOW_MAX 4096
#define RECEIPTS_MAX                                                                               \
    65536u /* receipts waiting for their time; beyond it submit() takes nothing                    \
            */
#define BATCH 64u
#define REPEAT_MS 50 /* receipts that were not taken are offered again after this */
#define INBOUND_MAX (CGW_BODY_MAX + 4096u)

enum counter { C_MESSAGES, C_REFUSED, C_RECEIPTS, C_INBOUND };

/* Something that falls due; both rings have a constant delay, so first in is first due. */
struct due {
    uint64_t token;
    int64_t at_mono_ms;
    uint32_t result, want_receipt;
};
struct due_ring {
    struct due *v;
    uint32_t cap, head, n;
};

struct loopback {
    const struct cgw_host *host;
    struct cgw_inst *inst;
    uint32_t window, urgent_reserve;
    int64_t delay_ms, receipt_ms, retry_after_ms;
    uint64_t seed;
    uint32_t refuse, retry, unknown, fail; /* per mille, cumulated in that order */
    int record_fd;
    int draining;
    struct due_ring flight, receipts;
    struct cgw_timer *timer;
};

static const struct cgw_option options[] = {
    {.key = "window",
     .type = CGW_OPT_INT,
     .default_text = "100",
     .min = 1,
     .max = WINDOW_MAX,
     .unit = "messages",
     .help = "messages in flight at once; a tenth is kept for the urgent lane"},
    {.key = "delay_ms",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 60000,
     .unit = "ms",
     .help = "time from submit to its result"},
    {.key = "receipt_ms",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = -1,
     .max = 3600000,
     .unit = "ms",
     .help = "time from ACCEPTED to the receipt; -1 = no receipts"},
    {.key = "refuse_per_mille",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000,
     .help = "messages REFUSED for good"},
    {.key = "retry_per_mille",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000,
     .help = "messages REFUSED_RETRY"},
    {.key = "unknown_per_mille",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000,
     .help = "messages UNKNOWN"},
    {.key = "fail_per_mille",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 1000,
     .help =
         "messages accepted whose receipt says FAILED (the result itself when no receipt is sent)"},
    {.key = "retry_after_ms",
     .type = CGW_OPT_INT,
     .default_text = "0",
     .min = 0,
     .max = 3600000,
     .unit = "ms",
     .help = "told with REFUSED_RETRY; 0 = leave it to the core"},
    {.key = "seed",
     .type = CGW_OPT_INT,
     .default_text = "1",
     .min = 0,
     .max = INT64_MAX,
     .help = "same seed and same token give the same answer"},
    {.key = "record",
     .type = CGW_OPT_STR,
     .min = 1,
     .max = 1024,
     .help = "file to append one line per message to: recipient, part roles, bytes; holds numbers "
             "in the clear"},
    {0},
};

static const struct cgw_counter counters[] = {
    [C_MESSAGES] = {"loopback_messages", "messages", "Messages taken."},
    [C_REFUSED] = {"loopback_refused", "messages",
                   "Messages refused or answered unknown by option."},
    [C_RECEIPTS] = {"loopback_receipts", "receipts", "Receipts passed on."},
    [C_INBOUND] = {"loopback_inbound", "messages",
                   "Inbound messages taken from the callback route."},
    {0},
};

/* ---- rings
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static int ring_open(struct due_ring *r, uint32_t cap)
{
    r->v = calloc(cap, sizeof *r->v);
    r->cap = cap;
    return r->v ? 0 : -ENOMEM;
}

static void ring_put(struct due_ring *r, struct due d)
{
    r->v[(r->head + r->n++) % r->cap] = d;
}

static const struct due *ring_peek(const struct due_ring *r, uint32_t i)
{
    return i < r->n ? &r->v[(r->head + i) % r->cap] : NULL;
}

static void ring_drop(struct due_ring *r, uint32_t n)
{
    r->head = (r->head + n) % r->cap;
    r->n -= n;
}

/* ---- what happens to a message
 * -------------------------------------------------------------------------------------------------------------
 */

/* splitmix64: one number in 0..999 per seed and token. */
static uint32_t draw(uint64_t seed, uint64_t token)
{
    uint64_t x = token + seed * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((x ^ x >> 31) % 1000);
}

static uint32_t result_of(const struct loopback *lb, uint64_t token)
{
    uint32_t n = draw(lb->seed, token);
    return n < lb->refuse    ? CGW_RES_REFUSED
           : n < lb->retry   ? CGW_RES_REFUSED_RETRY
           : n < lb->unknown ? CGW_RES_UNKNOWN
           : n < lb->fail    ? CGW_RES_FAILED
                             : CGW_RES_ACCEPTED;
}

static void id_of(uint64_t token, char *out, size_t size)
{
    (void)snprintf(out, size, "lb-%016llx", (unsigned long long)token);
}

static uint32_t free_slots(const struct loopback *lb, uint32_t lane)
{
    uint32_t keep = lane == CGW_LANE_URGENT ? 0 : lb->urgent_reserve;
    uint32_t used = lb->flight.n + keep;
    if (lb->draining || lb->receipts.n + lb->flight.n >= RECEIPTS_MAX)
        return 0;
    return lb->window > used ? lb->window - used : 0;
}

static void tell_credit(struct loopback *lb)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        lb->host->credit(lb->inst, lane, free_slots(lb, lane));
}

static void arm(struct loopback *lb)
{
    const struct due *a = ring_peek(&lb->flight, 0), *b = ring_peek(&lb->receipts, 0);
    int64_t at = a && (!b || a->at_mono_ms < b->at_mono_ms) ? a->at_mono_ms : b ? b->at_mono_ms : 0;
    lb->host->timer_set(lb->timer, at);
}

static void complete_one(struct loopback *lb, const struct due *d, struct cgw_result *r, char *id,
                         const char **ids)
{
    int receipt = d->want_receipt && lb->receipt_ms >= 0;
    uint32_t result = d->result == CGW_RES_FAILED && receipt ? CGW_RES_ACCEPTED : d->result;
    *r = (struct cgw_result){.size = sizeof *r,
                             .result = result,
                             .token = d->token,
                             .code_space = "loopback",
                             .segments = 1,
                             .quantity = 1};
    if (result == CGW_RES_REFUSED_RETRY)
        r->retry_after_ms = lb->retry_after_ms;
    if (result == CGW_RES_REFUSED || result == CGW_RES_REFUSED_RETRY)
        r->code = 1;
    if (result != CGW_RES_ACCEPTED) {
        lb->host->count(lb->inst, C_REFUSED, 1);
        return;
    }
    id_of(d->token, id, CGW_PROVIDER_ID_MAX);
    *ids = id;
    r->provider_ids = ids;
    r->n_ids = 1;
    if (receipt)
        ring_put(&lb->receipts,
                 (struct due){d->token, lb->host->now_mono_ms() + lb->receipt_ms,
                              d->result == CGW_RES_FAILED ? CGW_RES_FAILED : CGW_RES_DELIVERED, 0});
}

static void complete_due(struct loopback *lb, int64_t now_ms)
{
    struct cgw_result results[BATCH];
    char id[BATCH][CGW_PROVIDER_ID_MAX];
    const char *ids[BATCH];
    const struct due *d;
    do {
        uint32_t n = 0;
        while (n < BATCH && (d = ring_peek(&lb->flight, n)) && d->at_mono_ms <= now_ms) {
            complete_one(lb, d, &results[n], id[n], &ids[n]);
            n++;
        }
        if (!n)
            return;
        ring_drop(&lb->flight, n);
        lb->host->complete(lb->inst, results, n);
    } while (1);
}

/* \return 0 when the host took all that was due. */
static int receipts_due(struct loopback *lb, int64_t now_ms)
{
    struct cgw_receipt items[BATCH];
    char id[BATCH][CGW_PROVIDER_ID_MAX];
    const struct due *d;
    for (;;) {
        uint32_t n = 0;
        while (n < BATCH && (d = ring_peek(&lb->receipts, n)) && d->at_mono_ms <= now_ms) {
            id_of(d->token, id[n], sizeof id[n]);
            items[n] = (struct cgw_receipt){.size = sizeof items[n],
                                            .result = d->result,
                                            .flags = CGW_RESF_WHOLE,
                                            .provider_id = id[n],
                                            .code_space = "loopback",
                                            .quantity = 1,
                                            .arrived_utc_ms = lb->host->now_utc_ms()};
            n++;
        }
        if (!n)
            return 0;
        uint32_t taken = lb->host->receipt(lb->inst, items, n);
        ring_drop(&lb->receipts, taken);
        lb->host->count(lb->inst, C_RECEIPTS, taken);
        if (taken < n)
            return 1;
    }
}

static void on_timer(void *arg)
{
    struct loopback *lb = arg;
    int64_t now = lb->host->now_mono_ms();
    complete_due(lb, now);
    int refused = receipts_due(lb, lb->host->now_mono_ms());
    tell_credit(lb);
    if (refused)
        lb->host->timer_set(lb->timer, now + REPEAT_MS);
    else
        arm(lb);
}

/* ---- record file
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static void record(const struct loopback *lb, const struct cgw_message *m)
{
    static const char *const roles[] = {"?", "text", "html", "subject", "header", "media", "flow"};
    char line[1024];
    size_t n = (size_t)snprintf(line, sizeof line, "%.320s ", m->to.text);
    unsigned long long bytes = 0;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        uint32_t role = m->parts[i].role <= CGW_ROLE_FLOW ? m->parts[i].role : 0;
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", i ? "," : "", roles[role]);
        int64_t media = m->parts[i].media ? lb->host->media_size(m->parts[i].media) : 0;
        bytes += m->parts[i].len + (unsigned long long)(media > 0 ? media : 0);
    }
    n += (size_t)snprintf(line + n, sizeof line - n, " %llu\n", bytes);
    ssize_t w =
        write(lb->record_fd, line, n); /* one write per line: several instances may share a file */
    (void)w;
}

/* ---- operations
 * ----------------------------------------------------------------------------------------------------------------------------------
 */

static void destroy(void *ch)
{
    struct loopback *lb = ch;
    if (lb->record_fd >= 0)
        (void)close(lb->record_fd);
    free(lb->flight.v);
    free(lb->receipts.v);
    free(lb);
}

static int complain(struct cgw_diag *diag, const char *where, const char *text, const char *arg)
{
    diag->code = CGW_EINVAL;
    (void)snprintf(diag->where, sizeof diag->where, "%s", where);
    (void)snprintf(diag->text, sizeof diag->text, "%s%s", text, arg);
    return CGW_EINVAL;
}

static int read_options(struct loopback *lb, const struct cgw_conf *conf, struct cgw_diag *diag)
{
    const struct cgw_host *h = lb->host;
    lb->window = (uint32_t)h->conf_int(conf, "window");
    lb->urgent_reserve = lb->window > 1 ? (lb->window + 9) / 10 : 0;
    lb->delay_ms = h->conf_int(conf, "delay_ms");
    lb->receipt_ms = h->conf_int(conf, "receipt_ms");
    lb->retry_after_ms = h->conf_int(conf, "retry_after_ms");
    lb->seed = (uint64_t)h->conf_int(conf, "seed");
    lb->refuse = (uint32_t)h->conf_int(conf, "refuse_per_mille");
    lb->retry = lb->refuse + (uint32_t)h->conf_int(conf, "retry_per_mille");
    lb->unknown = lb->retry + (uint32_t)h->conf_int(conf, "unknown_per_mille");
    lb->fail = lb->unknown + (uint32_t)h->conf_int(conf, "fail_per_mille");
    if (lb->fail > 1000)
        return complain(diag, "fail_per_mille",
                        "refuse, retry, unknown and fail add up to more than 1000 per mille", "");
    const char *path = h->conf_str(conf, "record");
    if (path) {
        lb->record_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (lb->record_fd < 0)
            return complain(diag, "record",
                            "the file cannot be opened for appending: ", strerror(errno));
    }
    return 0;
}

static int create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag)
{
    struct loopback *lb = calloc(1, sizeof *lb);
    if (!lb)
        return -ENOMEM;
    *lb = (struct loopback){.host = host, .inst = inst, .record_fd = -1};
    int rc = read_options(lb, conf, diag);
    if (!rc && (ring_open(&lb->flight, lb->window) || ring_open(&lb->receipts, RECEIPTS_MAX)))
        rc = -ENOMEM;
    if (!rc && !(lb->timer = host->timer_new(inst, on_timer, lb)))
        rc = -ENOMEM;
    if (rc) {
        destroy(lb);
        return rc;
    }
    *ret_ch = lb;
    return 0;
}

static int start(void *ch)
{
    tell_credit(ch);
    return 0;
}

static int32_t judge(const struct cgw_message *m, const char **why)
{
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct cgw_part *p = &m->parts[i];
        *why = "a part has no role of this gateway";
        if (p->role < CGW_ROLE_TEXT || p->role > CGW_ROLE_FLOW)
            return CGW_EINVAL;
        *why = "a header holds CR, LF or NUL";
        if (p->role == CGW_ROLE_HEADER && p->len &&
            (memchr(p->body, '\r', p->len) || memchr(p->body, '\n', p->len) ||
             memchr(p->body, 0, p->len)))
            return CGW_EINVAL;
    }
    *why = m->to.len ? "the message has no part" : "the message has no recipient";
    return m->n_parts && m->to.len ? CGW_OK : CGW_EINVAL;
}

static void check(void *ch, const struct cgw_message *msgs, uint32_t n,
                  struct cgw_check *ret_checks)
{
    (void)ch;
    for (uint32_t i = 0; i < n; i++) {
        struct cgw_check *c = &ret_checks[i];
        const char *why = "";
        *c = (struct cgw_check){.size = sizeof *c, .encoding = "utf-8", .segments = 1};
        c->code = judge(&msgs[i], &why);
        for (uint32_t k = 0; k < msgs[i].n_parts; k++)
            c->units += msgs[i].parts[k].len;
        if (c->code)
            (void)snprintf(c->text, sizeof c->text, "%s", why);
    }
}

static uint32_t submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    struct loopback *lb = ch;
    int64_t now = lb->host->now_mono_ms();
    uint32_t taken = 0;
    const char *why;
    for (; taken < n && free_slots(lb, msgs[taken].lane); taken++) {
        const struct cgw_message *m = &msgs[taken];
        struct due d = {m->token, now + lb->delay_ms, result_of(lb, m->token), m->want_receipt};
        if (m->submit_before_mono_ms <= now) {
            d.at_mono_ms = now;
            d.result = CGW_RES_NOT_SENT;
        } else if (judge(m, &why)) { /* what check() refuses is not sent by another way */
            d.result = CGW_RES_REFUSED;
        } else if (lb->record_fd >= 0 && d.result != CGW_RES_REFUSED &&
                   d.result != CGW_RES_REFUSED_RETRY) {
            record(lb, m);
        }
        ring_put(&lb->flight, d);
    }
    lb->host->count(lb->inst, C_MESSAGES, taken);
    if (!lb->delay_ms)
        complete_due(lb, now);
    tell_credit(lb);
    arm(lb);
    return taken;
}

static void stored(void *ch, const uint64_t *acks, uint32_t n)
{
    struct loopback *lb = ch;
    static const char ok[] = "stored\n";
    for (uint32_t i = 0; i < n; i++) /* only inbound asks for acks: its ack is the request */
        lb->host->reply(lb->inst, acks[i], 200, "text/plain; charset=utf-8", ok, sizeof ok - 1);
}

static void query(void *ch, const struct cgw_ask *asks, uint32_t n)
{
    struct loopback *lb = ch;
    for (uint32_t i = 0; i < n; i++) {
        unsigned long long token;
        if (sscanf(asks[i].peer_id, "lb-%16llx", &token) != 1)
            continue;
        struct cgw_receipt r = {.size = sizeof r,
                                .flags = CGW_RESF_WHOLE,
                                .provider_id = asks[i].peer_id,
                                .code_space = "loopback",
                                .quantity = 1,
                                .arrived_utc_ms = lb->host->now_utc_ms()};
        r.result = result_of(lb, token) == CGW_RES_FAILED ? CGW_RES_FAILED : CGW_RES_DELIVERED;
        (void)lb->host->receipt(lb->inst, &r, 1); /* whoever asked will ask again */
    }
}

static void health(void *ch, struct cgw_health *ret)
{
    const struct loopback *lb = ch;
    ret->up = !lb->draining;
    ret->links = ret->links_up = 1;
    ret->window = lb->window;
    ret->window_used = lb->flight.n;
    (void)snprintf(ret->text, sizeof ret->text, "%s", lb->draining ? "draining" : "no peer needed");
}

/* All answers are known beforehand, so nothing needs the time until the deadline. */
static void drain(void *ch, int64_t deadline_mono_ms)
{
    struct loopback *lb = ch;
    (void)deadline_mono_ms;
    lb->draining = 1;
    complete_due(lb, INT64_MAX);
    (void)receipts_due(lb, INT64_MAX);
    lb->host->timer_set(lb->timer, 0);
    tell_credit(lb);
    lb->host->drained(lb->inst);
}

/* ---- POST /inbound: "from to text", kind in the query; "media=image/png" instead: behind the
 * first line of the text stands a media of that type
 * ------------------------------------------------------------------------------------------ */

static uint32_t kind_of(const char *q)
{
    static const struct {
        const char *query;
        uint32_t kind;
    } kinds[] = {
        {"", CGW_IN_TEXT},
        {"kind=text", CGW_IN_TEXT},
        {"kind=keys", CGW_IN_KEYS},
        {"kind=optout", CGW_IN_OPTOUT},
        {"kind=complaint", CGW_IN_COMPLAINT},
        {"kind=bounce", CGW_IN_BOUNCE},
        {"kind=click", CGW_IN_CLICK},
        {"kind=task", CGW_IN_TASK},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(q, kinds[i].query))
            return kinds[i].kind;
    return 0;
}

static const char *word(const char *s, const char *end, struct cgw_address *ret)
{
    const char *from = s;
    while (s < end && *s != ' ')
        s++;
    ret->text = from;
    ret->len = (uint32_t)(s - from);
    return s < end ? s + 1 : s;
}

static uint32_t kind_of_address(const struct cgw_address *a)
{
    return memchr(a->text, '@', a->len)  ? CGW_ADDR_EMAIL
           : a->len && a->text[0] == '+' ? CGW_ADDR_E164
                                         : CGW_ADDR_SHORTCODE;
}

static void answer(struct loopback *lb, const struct cgw_http_request *req, uint32_t status,
                   const char *text)
{
    lb->host->reply(lb->inst, req->id, status, "text/plain; charset=utf-8", text,
                    (uint32_t)strlen(text));
}

static void on_inbound(void *ch, const struct cgw_http_request *req)
{
    struct loopback *lb = ch;
    char from[321], to[321]; /* the longest addr-spec has 320 bytes: NUL-terminated copies for the
                                contract's courtesy */
    const char *end = req->body + req->body_len;
    const char *mime = strncmp(req->query, "media=", 6) ? NULL : req->query + 6;
    struct cgw_inbound in = {.size = sizeof in,
                             .kind = mime ? CGW_IN_TEXT : kind_of(req->query),
                             .n_parts = 1,
                             .arrived_utc_ms = lb->host->now_utc_ms(),
                             .ack = req->id};
    const char *text = word(word(req->body, end, &in.from), end, &in.to);
    if (!in.kind || !in.from.len || !in.to.len || in.from.len >= sizeof from ||
        in.to.len >= sizeof to) {
        answer(lb, req, 400,
               "write: from, a blank, to, a blank, the text; the query may name one kind, as "
               "kind=keys\n");
        return;
    }
    (void)snprintf(from, sizeof from, "%.*s", (int)in.from.len, in.from.text);
    (void)snprintf(to, sizeof to, "%.*s", (int)in.to.len, in.to.text);
    in.from.kind = kind_of_address(&in.from);
    in.to.kind = kind_of_address(&in.to);
    in.from.text = from;
    in.to.text = to;
    const char *line = mime && text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;
    struct cgw_part parts[2] = {{.role = CGW_ROLE_TEXT,
                                 .len = (uint32_t)((line ? line : end) - text),
                                 .mime = "text/plain; charset=utf-8",
                                 .body = text}};
    if (line && line + 1 < end)
        parts[in.n_parts++] = (struct cgw_part){.role = CGW_ROLE_MEDIA,
                                                .len = (uint32_t)(end - line - 1),
                                                .mime = mime,
                                                .name = "sent",
                                                .body = line + 1};
    in.parts = parts;
    if (!lb->host->inbound(lb->inst, &in, 1))
        answer(lb, req, 503, "not now, send it again\n");
    else
        lb->host->count(lb->inst, C_INBOUND, 1); /* answered by stored() */
}

static const struct cgw_http_route routes[] = {
    {.method = "POST",
     .path = "/inbound",
     .auth = CGW_HTTP_AUTH_NONE,
     .max_body = INBOUND_MAX,
     .handler = on_inbound},
    {0},
};

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = LOOPBACK_CHANNEL,
    .address_kind = CGW_ADDR_E164,
    .max_parts = CGW_PARTS_MAX,
    .role_mask = 1u << CGW_ROLE_TEXT | 1u << CGW_ROLE_HTML | 1u << CGW_ROLE_SUBJECT |
                 1u << CGW_ROLE_HEADER | 1u << CGW_ROLE_MEDIA | 1u << CGW_ROLE_FLOW,
    .receipts = 1,
    .replies = 1,
    .cost_unit = "message",
    .concurrency_unit = "window slot",
};

static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = create,
    .start = start,
    .check = check,
    .submit = submit,
    .stored = stored,
    .query = query,
    .health = health,
    .drain = drain,
    .destroy = destroy,
};

CGW_CHANNEL_PLUGIN(.name = LOOPBACK_NAME, .version = "1.0", .vendor = "campgw", .options = options,
                   .counters = counters, .caps = &caps, .routes = routes, .channel = &ops);
