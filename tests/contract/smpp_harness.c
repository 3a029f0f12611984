/* SPDX-License-Identifier: Apache-2.0 */
/* smpp_harness.c - runs channel_smpp in this process against the SMSC simulator and checks the
 * promises of cgw/channel.h under every fault the simulator knows. TAP on stdout; exits 1 when a
 * check failed. Must not use the real gateway's host. Environment: CAMPGW_SMSCSIM (simulator),
 * srcdir (for tls_front.py), MINI_VERBOSE (log), argument: run only cases with that name. */
#include "mini_host.h"
#include "sim_peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 40
#define IDS_MAX 65536u

/* ---- TAP ---- */

static int n_checks, n_failed;
static const char *case_name;

static bool check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool check(bool ok, const char *fmt, ...)
{
    va_list ap;
    printf("%s %d - %s: ", ok ? "ok" : "not ok", ++n_checks, case_name);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    (void)fflush(stdout);
    n_failed += !ok;
    return ok;
}

/* ---- one bench: simulator, plugin, traffic ---- */

struct bench {
    struct sim_peer sim;
    struct cgw_inst in;
    bool up;
    char words[OPTIONS_MAX][160];
    const char *options[OPTIONS_MAX + 1];
    uint32_t n_options;
    uint64_t next_token;
    uint32_t total, sent; /* logical messages to send; handed over at least once */
    uint32_t *again;      /* logical messages to offer again */
    uint32_t n_again;
    uint32_t *logical; /* of a token */
    uint8_t *settled;  /* of a logical message: times it came to an end */
    uint32_t settled_n, retries;
    uint32_t long_every; /* each n-th message is long, 0 none */
    const char *text;    /* instead of the usual one */
    uint32_t lane, batch;
    int64_t submit_for_ms; /* submit_before from now */
    bool want_receipt;
    char (*ids)[CGW_PROVIDER_ID_MAX];      /* accepted ids, in order */
    char peer_ids[4][CGW_PROVIDER_ID_MAX]; /* of the first, as the peer spells them */
    char last_id[CGW_PROVIDER_ID_MAX];     /* of the last receipt */
    uint64_t last_reference;
    uint32_t last_result; /* likewise */
    uint32_t receipts_whole;
    uint32_t n_ids;
    uint32_t receipts_final, receipts_other, receipts_strange;
    char reply[2048], reply_from[80], reply_to[80];
    uint32_t reply_from_kind;
};

static void opt(struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void opt(struct bench *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(b->words[b->n_options], sizeof b->words[0], fmt, ap);
    va_end(ap);
    b->options[b->n_options] = b->words[b->n_options];
    b->options[++b->n_options] = NULL;
}

static void on_complete(void *ctx, uint64_t token, const struct cgw_result *r)
{
    struct bench *b = ctx;
    uint32_t m = b->logical[token];
    for (uint32_t i = 0; i < r->n_ids && b->n_ids < IDS_MAX; i++) {
        const char *peer = r->peer_ids && r->peer_ids[i] ? r->peer_ids[i] : r->provider_ids[i];
        if (b->n_ids < 4)
            (void)snprintf(b->peer_ids[b->n_ids], CGW_PROVIDER_ID_MAX, "%s", peer);
        (void)snprintf(b->ids[b->n_ids++], CGW_PROVIDER_ID_MAX, "%s", r->provider_ids[i]);
    }
    if (r->result == CGW_RES_NOT_SENT || r->result == CGW_RES_REFUSED_RETRY) {
        b->again[b->n_again++] = m; /* what the gateway does: nothing was sent, offer it again */
        b->retries++;
    } else {
        b->settled[m]++;
        b->settled_n++;
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void on_receipt(void *ctx, const struct cgw_receipt *r)
{
    struct bench *b = ctx;
    (void)snprintf(b->last_id, sizeof b->last_id, "%s", r->provider_id);
    b->last_reference = r->reference;
    b->last_result = r->result;
    b->receipts_whole += !!(r->flags & CGW_RESF_WHOLE);
    if (r->result == CGW_RES_ENROUTE || r->result == CGW_RES_NOT_RECALLED)
        b->receipts_other++;
    else
        b->receipts_final++;
    if (r->provider_id[0] == '\0' || r->arrived_utc_ms == 0 || r->person.kind != CGW_ADDR_E164)
        b->receipts_strange++;
}

static void on_inbound(void *ctx, const struct cgw_inbound *m)
{
    struct bench *b = ctx;
    (void)snprintf(b->reply, sizeof b->reply, "%.*s", m->n_parts ? (int)m->parts[0].len : 0,
                   m->n_parts ? m->parts[0].body : "");
    (void)snprintf(b->reply_from, sizeof b->reply_from, "%s", m->from.text);
    (void)snprintf(b->reply_to, sizeof b->reply_to, "%s", m->to.text);
    b->reply_from_kind = m->from.kind;
}

/* sim_args: switches of the simulator, NULL ends. Options of the plugin are added with opt() before
 * up(). */
static bool bench_open(struct bench *b, const char *const *sim_args)
{
    memset(b, 0, sizeof *b);
    b->next_token = 1;
    b->batch = 100;
    b->submit_for_ms = 60000;
    b->again = calloc(MINI_TOKENS, sizeof *b->again);
    b->logical = calloc(MINI_TOKENS, sizeof *b->logical);
    b->settled = calloc(MINI_TOKENS, 1);
    b->ids = calloc(IDS_MAX, sizeof *b->ids);
    int rc = sim_peer_start(&b->sim, sim_args);
    if (!check(rc == 0 && b->again && b->logical && b->settled && b->ids,
               "the simulator starts (%d)", rc))
        return false;
    opt(b, "host=127.0.0.1");
    opt(b, "port=%u", b->sim.port);
    opt(b, "system_id=campgw");
    opt(b, "password=secret");
    opt(b, "default_sender=12345");
    opt(b, "validity=relative");
    opt(b, "reconnect_min_ms=20");
    opt(b, "reconnect_max_ms=200");
    opt(b, "ramp_ms=0");
    return true;
}

static bool bench_start(struct bench *b)
{
    struct cgw_diag diag;
    int rc = mini_create(&b->in, &cgw_plugin, b->options, &diag);
    b->in.hooks = (struct mini_hooks){b, on_complete, on_receipt, on_inbound, NULL};
    if (!check(rc == 0, "the plugin takes its options (%d %s %s)", rc, diag.where, diag.text))
        return false;
    b->up = true;
    return check(b->in.desc->channel->start(b->in.ch) == 0, "start() returns 0");
}

static uint32_t links_up(struct cgw_inst *in)
{
    struct cgw_health h = {.size = sizeof h};
    in->desc->channel->health(in->ch, &h);
    return h.links_up;
}

static bool all_up(struct cgw_inst *in, void *ctx)
{
    return links_up(in) == *(uint32_t *)ctx;
}

static bool bench_up(struct bench *b, uint32_t links)
{
    return bench_start(b) &&
           check(mini_run(&b->in, all_up, &links, 10000), "%u links are bound", links);
}

static void make_text(const struct bench *b, uint32_t m, char *text, size_t size)
{
    if (b->text)
        (void)snprintf(text, size, "#%u %s", m, b->text);
    else if (b->long_every && m % b->long_every == 0)
        (void)snprintf(text, size, "#%u %0300d and the end", m, 0);
    else
        (void)snprintf(text, size, "#%u Hello, your new tariff is ready.", m);
}

/* Offer messages against the credit, as the gateway does. */
static void feed(struct bench *b)
{
    static char texts[256][2048], to[256][16];
    struct cgw_message msgs[256];
    struct cgw_part parts[256];
    uint32_t n = 0, want = b->n_again + b->total - b->sent;
    int64_t credit = b->in.credit[b->lane];
    while (n < want && n < credit && n < b->batch && b->next_token < MINI_TOKENS) {
        uint32_t m = b->n_again > 0 ? b->again[--b->n_again] : b->sent++;
        make_text(b, m, texts[n], sizeof texts[n]);
        (void)snprintf(to[n], sizeof to[n], "+4917%08u", m);
        parts[n] = (struct cgw_part){.role = CGW_ROLE_TEXT,
                                     .len = (uint32_t)strlen(texts[n]),
                                     .mime = "text/plain; charset=utf-8",
                                     .body = texts[n]};
        b->logical[b->next_token] = m;
        msgs[n] = (struct cgw_message){
            .size = sizeof msgs[n],
            .lane = b->lane,
            .token = b->next_token++,
            .channel = CGW_CHANNEL_SMS,
            .contact_class = CGW_CLASS_MARKETING,
            .to = {CGW_ADDR_E164, (uint32_t)strlen(to[n]), to[n]},
            .submit_before_mono_ms = mini_mono_ms() + b->submit_for_ms,
            .want_receipt = b->want_receipt,
            .n_parts = 1,
            .parts = &parts[n],
            .reference = 4711,
        };
        n++;
    }
    uint32_t taken = n > 0 ? mini_submit(&b->in, msgs, n) : 0;
    for (uint32_t i = taken; i < n; i++)
        b->again[b->n_again++] = b->logical[msgs[i].token];
}

static bool settled(struct cgw_inst *in, void *ctx)
{
    struct bench *b = ctx;
    if (b->settled_n < b->total)
        feed(b);
    (void)in;
    return b->settled_n >= b->total && b->in.n_completed == b->in.n_taken;
}

static bool all_completed(struct cgw_inst *in, void *ctx)
{
    (void)ctx;
    return in->n_completed == in->n_taken;
}

/* Send total messages and wait until each has come to an end. */
static bool send_all(struct bench *b, uint32_t total, int64_t limit_ms)
{
    b->total += total;
    bool ok = mini_run(&b->in, settled, b, limit_ms);
    uint32_t twice = 0;
    if (!ok) {
        struct cgw_health h = {.size = sizeof h};
        b->in.desc->channel->health(b->in.ch, &h);
        printf("# stuck: taken %u completed %u waiting %u credit %lld/%lld links %u/%u window "
               "%u/%u %s\n",
               b->in.n_taken, b->in.n_completed, b->n_again + b->total - b->sent,
               (long long)b->in.credit[0], (long long)b->in.credit[1], h.links_up, h.links,
               h.window_used, h.window, h.text);
    }
    for (uint32_t m = 0; m < b->total; m++)
        twice += b->settled[m] > 1;
    return check(ok && twice == 0,
                 "%u of %u messages came to an end once, %u more than once, %u times offered again",
                 b->settled_n, b->total, twice, b->retries);
}

static bool drained(struct cgw_inst *in, void *ctx)
{
    (void)ctx;
    return in->n_drained > 0;
}

static void bench_close(struct bench *b)
{
    if (b->up) {
        if (b->in.n_drained == 0) {
            b->in.desc->channel->drain(b->in.ch, mini_mono_ms() + 5000);
            check(mini_run(&b->in, drained, NULL, 6000), "drain ends");
        }
        mini_destroy(&b->in);
        check(b->in.violations == 0, "the contract is kept (%u violations; first: %s)",
              b->in.violations, b->in.violation);
        printf("# longest call %lld us, results: accepted %u not_sent %u retry %u refused %u "
               "failed %u unknown %u\n",
               (long long)b->in.longest_us, b->in.result_count[CGW_RES_ACCEPTED],
               b->in.result_count[CGW_RES_NOT_SENT], b->in.result_count[CGW_RES_REFUSED_RETRY],
               b->in.result_count[CGW_RES_REFUSED], b->in.result_count[CGW_RES_FAILED],
               b->in.result_count[CGW_RES_UNKNOWN]);
    }
    sim_peer_stop(&b->sim);
    free(b->again);
    free(b->logical);
    free(b->settled);
    free(b->ids);
}

static void no_complaints(struct bench *b)
{
    int64_t total = sim_peer_stat(&b->sim, "complaints_total");
    const char *list = strstr(b->sim.answer, "\"complaints\":");
    check(total == 0, "the simulator has no complaint %.300s", total != 0 && list ? list : "");
}

/* ---- waiting: what must come is waited for, however slow the machine; time is let pass only to
 * see that nothing more comes ---- */

#define WAIT_MS 10000

static void run_for(struct bench *b, int64_t ms)
{
    int64_t until_ms = mini_mono_ms() + ms, left_ms = ms;
    do { /* one turn at least; a negative wait would have no end */
        mini_turn(&b->in, left_ms);
        left_ms = until_ms - mini_mono_ms();
    } while (left_ms > 0);
}

struct reach {
    const uint32_t *n;
    uint32_t want;
};

static bool reached(struct cgw_inst *in, void *ctx)
{
    const struct reach *r = ctx;
    (void)in;
    return *r->n >= r->want;
}

/* Until one of our own figures is at least `want`; the check behind it judges. */
static void wait_n(struct bench *b, const uint32_t *n, uint32_t want)
{
    struct reach r = {n, want};
    (void)mini_run(&b->in, reached, &r, WAIT_MS);
}

/* The same for a figure of the simulator. \return the figure. */
static int64_t wait_stat(struct bench *b, const char *key, int64_t want)
{
    int64_t until_ms = mini_mono_ms() + WAIT_MS, n;
    while ((n = sim_peer_stat(&b->sim, key)) < want && mini_mono_ms() < until_ms)
        mini_turn(&b->in, 5);
    return n;
}

/* ---- cases ---- */

static void case_basics(struct bench *b)
{
    if (!bench_open(b, NULL) || !bench_up(b, 1))
        return;
    send_all(b, 50, 10000);
    check(b->in.result_count[CGW_RES_ACCEPTED] == 50 && b->n_ids == 50, "50 accepted with %u ids",
          b->n_ids);
    b->in.desc->channel->drain(b->in.ch, mini_mono_ms() + 5000);
    check(mini_run(&b->in, drained, NULL, 6000), "drained");
    check(sim_peer_stat(&b->sim, "unbinds") == 1, "one unbind");
    check(sim_peer_number(&b->sim, NULL, "closed_without_unbind") == 0,
          "no link was closed without unbind");
    no_complaints(b);
}

static void case_long_messages(struct bench *b)
{
    static const char *const splits[] = {"udh8", "udh16", "sar", "payload"};
    static const char *const texts[] = {
        "{[~]} 100 \xe2\x82\xac @ \xc3\xa4\xc3\xb6\xc3\xbc {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} "
        "{[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} "
        "{[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} {[~]} "
        "{[~]} {[~]} {[~]} {[~]} {[~]} end",
        "\xe4\xbd\xa0\xe5\xa5\xbd "
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f"
        "\x98\x80"
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f"
        "\x98\x80\xf0\x9f\x98\x80"
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f"
        "\x98\x80\xf0\x9f\x98\x80"
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f"
        "\x98\x80\xf0\x9f\x98\x80"
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f"
        "\x98\x80\xf0\x9f\x98\x80"};
    for (size_t s = 0; s < sizeof splits / sizeof splits[0]; s++) {
        if (!bench_open(b, NULL))
            return;
        opt(b, "long_message=%s", splits[s]);
        opt(b, "binds=2");
        if (bench_up(b, 2)) {
            for (size_t t = 0; t < 2; t++) {
                b->text = texts[t];
                send_all(b, 20, 10000);
            }
            check(b->in.result_count[CGW_RES_ACCEPTED] == 40, "%s: 40 accepted", splits[s]);
            check(sim_peer_stat(&b->sim, "unique") == 40, "%s: 40 whole messages arrived",
                  splits[s]);
            check(sim_peer_number(&b->sim, NULL, "incomplete") == 0, "%s: none incomplete",
                  splits[s]);
            no_complaints(b);
        }
        if (s + 1 < sizeof splits / sizeof splits[0]) {
            bench_close(b);
            memset(b, 0, sizeof *b);
        }
    }
}

static void case_storm(struct bench *b)
{
    static const char *const args[] = {"--throttle-permille",
                                       "20",
                                       "--error-permille",
                                       "10",
                                       "--error-list",
                                       "0x08:1,0x0B:2,0x45:1",
                                       "--nack-permille",
                                       "100",
                                       "--delay-max-ms",
                                       "20",
                                       "--reorder-permille",
                                       "100",
                                       "--drop-every-submits",
                                       "4000",
                                       "--response-tlv",
                                       "1",
                                       NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "binds=2");
    opt(b, "window=100");
    opt(b, "throttle_min_ms=20");
    b->long_every = 10;
    if (!bench_up(b, 2))
        return;
    send_all(b, 20000, 120000);
    uint32_t accepted = b->in.result_count[CGW_RES_ACCEPTED],
             unknown = b->in.result_count[CGW_RES_UNKNOWN];
    int64_t unique = sim_peer_stat(&b->sim, "unique"),
            drops = sim_peer_number(&b->sim, NULL, "drops");
    check(drops >= 3, "%lld connections were cut in the middle of a PDU", (long long)drops);
    check(unique >= accepted &&
              unique <= (int64_t)accepted + unknown + b->in.result_count[CGW_RES_FAILED],
          "accepted %u <= arrived %lld <= accepted + unknown %u + torn %u", accepted,
          (long long)unique, unknown, b->in.result_count[CGW_RES_FAILED]);
    check(unknown <= (uint32_t)drops * 100, "unknown %u is at most a window for each cut", unknown);
    check(sim_peer_number(&b->sim, NULL, "duplicate_taken") == 0, "nobody got a message twice");
    no_complaints(b);
}

struct receipt_form {
    const char *sim[12]; /* switches of the simulator */
    const char *opts[3];
};

static bool receipts_in(struct cgw_inst *in, void *ctx)
{
    struct bench *b = ctx;
    (void)in;
    return b->receipts_final >= b->n_ids && b->in.n_acks == 0;
}

static uint32_t n_matched, n_unmatched;
static char (*receipt_ids)[CGW_PROVIDER_ID_MAX];
static uint32_t n_receipt_ids;

static void keep_receipt(void *ctx, const struct cgw_receipt *r)
{
    on_receipt(ctx, r);
    if (n_receipt_ids < IDS_MAX)
        (void)snprintf(receipt_ids[n_receipt_ids++], CGW_PROVIDER_ID_MAX, "%s", r->provider_id);
}

/* Every receipt names an id that was given at acceptance. */
static void match_receipts(struct bench *b)
{
    qsort(b->ids, b->n_ids, sizeof b->ids[0], by_text);
    n_matched = n_unmatched = 0;
    for (uint32_t i = 0; i < n_receipt_ids; i++)
        if (bsearch(receipt_ids[i], b->ids, b->n_ids, sizeof b->ids[0], by_text))
            n_matched++;
        else
            n_unmatched++;
}

static void case_receipts(struct bench *b)
{
    static const struct receipt_form forms[] = {
        {{"--receipt-form", "tlv", NULL}, {"id_resp=hex", "id_receipt=hex", NULL}},
        {{"--receipt-form", "text", "--receipt-id-base", "10", "--receipt-id-pad", "10", NULL},
         {"id_resp=hex", "id_receipt=dec", NULL}},
        {{"--receipt-form", "both", "--receipt-early-permille", "300",
          "--receipt-duplicate-permille", "0", NULL},
         {NULL}},
        {{"--receipt-form", "payload", "--id-base", "10", "--receipt-id-upper", "1", NULL},
         {"id_resp=dec", "id_receipt=hex", NULL}},
        {{"--receipt-form", "data", "--receipt-intermediate-permille", "500", NULL},
         {"intermediate=true", NULL}},
        {{"--receipt-form", "text", "--receipt-esm0-permille", "1000", "--id-prefix", "ab-", NULL},
         {NULL}},
    };
    receipt_ids = calloc(IDS_MAX, sizeof *receipt_ids);
    for (size_t f = 0; receipt_ids && f < sizeof forms / sizeof forms[0]; f++) {
        if (!bench_open(b, forms[f].sim))
            return;
        for (const char *const *o = forms[f].opts; *o; o++)
            opt(b, "%s", *o);
        opt(b, f % 2 ? "bind_mode=txrx" : "bind_mode=trx");
        b->want_receipt = true;
        b->long_every = 5;
        n_receipt_ids = 0;
        if (bench_up(b, f % 2 ? 2 : 1)) {
            b->in.hooks.receipt = keep_receipt;
            send_all(b, 300, 20000);
            check(mini_run(&b->in, receipts_in, b, 10000), "form %zu: %u receipts for %u ids", f,
                  b->receipts_final, b->n_ids);
            match_receipts(b);
            check(n_unmatched == 0, "form %zu: %u receipts matched, %u did not", f, n_matched,
                  n_unmatched);
            check(b->receipts_strange == 0, "form %zu: each names id, person and time", f);
            for (int64_t until = mini_mono_ms() + WAIT_MS;
                 sim_peer_stat(&b->sim, "unacked") != 0 && mini_mono_ms() < until;)
                mini_turn(&b->in, 5);
            check(sim_peer_stat(&b->sim, "unacked") == 0, "form %zu: every receipt was answered",
                  f);
            no_complaints(b);
        }
        if (f + 1 < sizeof forms / sizeof forms[0]) {
            bench_close(b);
            memset(b, 0, sizeof *b);
        }
    }
    free(receipt_ids);
}

static void case_answer_when_stored(struct bench *b)
{
    static const char *const args[] = {"--redeliver-ms", "20", NULL};
    if (!bench_open(b, args) || (b->want_receipt = true, !bench_up(b, 1)))
        return;
    b->in.keep_acks = true;
    send_all(b, 5, 5000);
    wait_n(b, &b->receipts_final, 5);
    run_for(b, 200);
    check(b->receipts_final == 5 && sim_peer_stat(&b->sim, "receipts_acked") == 0,
          "%u receipts, none answered before it is stored", b->receipts_final);
    b->in.keep_acks = false;
    check(wait_stat(b, "receipts_acked", 5) == 5, "all answered afterwards");
    b->in.full = true;
    send_all(b, 5, 5000);
    check(wait_stat(b, "deliveries_again", 1) > 0, "a full gateway pushes back");
    b->in.full = false;
    check(wait_stat(b, "receipts_acked", 10) == 10 && b->receipts_final == 10,
          "and gets them later, %u in all", b->receipts_final);
    b->in.keep_acks = true;
    send_all(b, 1, 5000);
    wait_n(b, &b->receipts_final, 11);
    (void)sim_peer_ask(&b->sim, "drop all");
    wait_n(b, &b->receipts_final, 12);
    b->in.keep_acks = false;
    (void)wait_stat(b, "receipts_acked", 11);
    run_for(b, 300);
    check(b->receipts_final == 12 && sim_peer_stat(&b->sim, "receipts_acked") == 11,
          "a lost link: delivered again (%u), answered once", b->receipts_final);
}

static bool has_answer(struct cgw_inst *in, void *ctx)
{
    (void)in;
    return sim_peer_has_answer(ctx);
}

static void one_reply(struct bench *b, const char *command, const char *text)
{
    char line[900];
    b->reply[0] = '\0';
    (void)snprintf(line, sizeof line, "mo %s 491711234567 12345 %s", command, text);
    (void)sim_peer_send(&b->sim, line);
    bool answered = mini_run(&b->in, has_answer, &b->sim, 8000);
    const char *answer = answered ? sim_peer_read(&b->sim) : "(none)";
    check(answered && strstr(answer, "\"ok\":true") != NULL,
          "the SMSC gets its answer to: %.20s %s", text, command);
    check(strcmp(b->reply, text) == 0 && strcmp(b->reply_from, "+491711234567") == 0 &&
              strcmp(b->reply_to, "12345") == 0,
          "the text arrives whole, from %s to %s (%zu of %zu octets)", b->reply_from, b->reply_to,
          strlen(b->reply), strlen(text));
}

static void case_replies(struct bench *b)
{
    static const char long_text[] = "This reply is longer than one message can be, so that the "
                                    "phone sends it in several parts, which may "
                                    "overtake each other on the way and have to be put together "
                                    "again before anybody can read them. Yes.";
    static const char long_cjk[] =
        "\xe9\x80\x80\xe8\xae\xa2 "
        "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd"
        "0123456789012345678901234567890123456789012345678901234567890123456789 \xf0\x9f\x98\x80 "
        "end";
    if (!bench_open(b, NULL))
        return;
    opt(b, "mo_part_hold_ms=50");
    if (!bench_up(b, 1))
        return;
    one_reply(b, "", "STOP");
    one_reply(b, "", "\xe9\x80\x80\xe8\xae\xa2");
    one_reply(b, "", "a@{\xe2\x82\xac}");
    one_reply(b, "form=udh8 order=reverse", long_text);
    one_reply(b, "form=udh16", long_cjk);
    one_reply(b, "form=sar order=shuffle", long_text);
    one_reply(b, "form=payload", long_cjk);
    (void)sim_peer_ask(&b->sim, "set deliver_window 1");
    one_reply(b, "form=udh16 order=reverse", long_text);
    uint32_t before = b->in.n_inbound;
    one_reply(b, "dup=1", "once only");
    run_for(b, 100);
    check(b->in.n_inbound == before + 1, "a repeated reply is passed on once");
    no_complaints(b);
}

static bool speaks_of_the_certificate(struct cgw_inst *in, void *ctx)
{
    struct cgw_health *h = ctx;
    in->desc->channel->health(in->ch, h);
    return strstr(h->text, "certificate") != NULL;
}

static void case_tls(struct bench *b)
{
    struct cgw_health h = {.size = sizeof h};
    if (!bench_open(b, NULL))
        return;
    if (!check(sim_peer_tls(&b->sim, "smsc.example") == 0, "the TLS front starts"))
        return;
    opt(b, "tls=true");
    opt(b, "tls_ca=%s/cert.pem", b->sim.dir);
    opt(b, "tls_name=smsc.example");
    (void)snprintf(b->words[1], sizeof b->words[1], "port=%u", b->sim.tls_port);
    opt(b, "window=100");
    b->long_every = 7;
    if (!bench_up(b, 1))
        return;
    send_all(b, 2000, 20000);
    check(b->in.result_count[CGW_RES_ACCEPTED] == 2000, "2000 accepted through TLS");
    no_complaints(b);
    struct sim_peer kept = b->sim;
    b->in.desc->channel->drain(b->in.ch, mini_mono_ms() + 5000);
    check(mini_run(&b->in, drained, NULL, 6000), "drained");
    mini_destroy(&b->in);
    b->up = false;
    (void)snprintf(b->words[b->n_options - 2], sizeof b->words[0], "tls_name=other.example");
    if (!bench_start(b))
        return;
    check(mini_run(&b->in, speaks_of_the_certificate, &h, WAIT_MS) && h.up == 0,
          "another name is refused: %s", h.text);
    b->sim = kept;
}

static void case_awkward_peer(struct bench *b)
{
    static const char *const args[] = {"--one-byte-writes",
                                       "1",
                                       "--enquire-unbound",
                                       "1",
                                       "--enquire-ms",
                                       "50",
                                       "--bind-delay-ms",
                                       "100",
                                       "--error-permille",
                                       "100",
                                       "--error-body-permille",
                                       "500",
                                       "--id-pad",
                                       "20",
                                       NULL};
    if (!bench_open(b, args) || (b->want_receipt = true, !bench_up(b, 1)))
        return;
    send_all(b, 300, 30000);
    check(mini_run(&b->in, receipts_in, b, WAIT_MS), "receipts byte by byte too");
    no_complaints(b);
}

static void case_garbage(struct bench *b)
{
    static const char *const args[] = {"--garbage-permille",
                                       "30",
                                       "--garbage-kind",
                                       "tlvs:4,unknown:4,no-nul:4,short:1,zero:1,huge:1",
                                       "--delay-max-ms",
                                       "5",
                                       NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "binds=2");
    opt(b, "response_timeout_ms=1500");
    opt(b, "enquire_link_ms=500");
    opt(b, "enquire_timeout_ms=500");
    if (!bench_up(b, 2))
        return;
    send_all(b, 1000, 60000);
    check(sim_peer_stat(&b->sim, "garbage") > 5, "%lld pieces of garbage survived",
          (long long)sim_peer_stat(&b->sim, "garbage"));
    check(sim_peer_number(&b->sim, NULL, "duplicate_taken") == 0, "nobody got a message twice");
}

static uint32_t counter(const struct bench *b, const char *name)
{
    for (uint32_t i = 0; b->in.desc->counters[i].name; i++)
        if (strcmp(b->in.desc->counters[i].name, name) == 0)
            return (uint32_t)b->in.counters[i];
    return 0;
}

static void case_silent(struct bench *b)
{
    if (!bench_open(b, NULL))
        return;
    /* a simulator that is held up for two seconds is not silent, and the link goes before the
     * answers are given up */
    opt(b, "enquire_link_ms=500");
    opt(b, "enquire_timeout_ms=3000");
    opt(b, "response_timeout_ms=20000");
    opt(b, "bind_timeout_ms=300");
    if (!bench_up(b, 1))
        return;
    send_all(b, 5, 5000);
    (void)sim_peer_ask(&b->sim, "silent on");
    b->total += 3;
    feed(b);
    wait_n(b, &b->in.result_count[CGW_RES_UNKNOWN], 3);
    check(b->in.result_count[CGW_RES_UNKNOWN] == 3, "written without an answer: unknown (%u)",
          b->in.result_count[CGW_RES_UNKNOWN]);
    check(links_up(&b->in) == 0, "the dead link was given up");
    uint32_t timeouts = counter(b, "smpp_enquire_timeouts");
    check(timeouts == 1, "one enquire_link without answer was counted (%u)", timeouts);
    (void)sim_peer_ask(&b->sim, "silent off");
    uint32_t one = 1;
    check(mini_run(&b->in, all_up, &one, WAIT_MS), "and comes back");
    send_all(b, 5, 5000);
}

/* What may come and means nothing to us: a generic_nack that names no PDU, answers to what was
 * never asked, alert_notification, outbind. */
static void case_stray(struct bench *b)
{
    static const char *const stray[] = {
        "raw 00000010800000000000000300000000",
        "raw 0000001180000004000000007ffffff000",
        "raw 0000001080000015000000007ffffff1",
        "raw 0000001080000006000000007ffffff2",
        "raw 00000016000001020000000000000005000000000000",
        "raw 000000120000000b00000000000000060000",
    };
    static const char *const args[] = {"--delay-max-ms", "10", NULL};
    if (!bench_open(b, args) || !bench_up(b, 1))
        return;
    b->total = 300;
    for (size_t i = 0; i < 30; i++) {
        feed(b);
        (void)sim_peer_ask(&b->sim, "%s", stray[i % (sizeof stray / sizeof stray[0])]);
        mini_turn(&b->in, 5);
    }
    send_all(b, 0, 10000);
    for (int64_t until_ms = mini_mono_ms() + WAIT_MS;
         counter(b, "smpp_responses_unmatched") < 20 && mini_mono_ms() < until_ms;)
        mini_turn(&b->in, 5); /* the last of them may be on its way */
    check(b->in.result_count[CGW_RES_ACCEPTED] == 300, "all were accepted");
    check(sim_peer_stat(&b->sim, "unique") == 300, "each once");
    check(sim_peer_number(&b->sim, NULL, "binds") == 1, "over one link all the time");
    check(counter(b, "smpp_responses_unmatched") == 20, "20 answers to nothing were counted (%u)",
          counter(b, "smpp_responses_unmatched"));
    no_complaints(b);
}

static void case_swallowed_answers(struct bench *b)
{
    static const char *const args[] = {"--drop-answer-permille", "100", NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "response_timeout_ms=300");
    b->long_every = 3;
    if (!bench_up(b, 1))
        return;
    send_all(b, 100, 30000);
    check(b->in.result_count[CGW_RES_UNKNOWN] > 0, "%u unknown",
          b->in.result_count[CGW_RES_UNKNOWN]);
    check(sim_peer_stat(&b->sim, "duplicate_taken") == 0, "none was sent again");
    no_complaints(b);
}

static void case_refused_bind(struct bench *b)
{
    struct cgw_health h = {.size = sizeof h};
    if (!bench_open(b, NULL))
        return;
    opt(b, "bind_refused_ms=4000"); /* longer than a pause of the machine and what follows */
    (void)sim_peer_ask(&b->sim, "set refuse_bind 0x0E");
    if (!bench_start(b))
        return;
    (void)wait_stat(b, "binds_refused", 1);
    run_for(b, 300);
    b->in.desc->channel->health(b->in.ch, &h);
    check(h.up == 0 && strstr(h.text, "ESME_RINVPASWD") != NULL && !strstr(h.text, "secret"),
          "health says why: %s", h.text);
    check(sim_peer_stat(&b->sim, "binds_refused") == 1,
          "a wrong password is not tried again at once");
    check(b->in.credit[CGW_LANE_BULK] == 0, "no credit without a bind");
    (void)sim_peer_ask(&b->sim, "set refuse_bind 0x05");
    (void)wait_stat(b, "binds_refused", 2);
    int64_t from_ms = mini_mono_ms();
    (void)wait_stat(b, "binds_refused", 3);
    int64_t took_ms = mini_mono_ms() - from_ms;
    check(took_ms < 3500, "another session still up: tried again soon (%lld ms)",
          (long long)took_ms);
    (void)sim_peer_ask(&b->sim, "set refuse_bind 0");
    uint32_t one = 1;
    check(mini_run(&b->in, all_up, &one, WAIT_MS), "bound in the end");
    send_all(b, 5, 5000);
}

static void case_peer_unbinds(struct bench *b)
{
    static const char *const args[] = {"--delay-min-ms", "5", "--delay-max-ms", "20", NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "binds=2");
    if (!bench_up(b, 2))
        return;
    b->total = 500;
    for (int i = 0; i < 4; i++) {
        int64_t until_ms = mini_mono_ms() + 60;
        while (mini_mono_ms() < until_ms) {
            feed(b);
            mini_turn(&b->in, 5);
        }
        (void)sim_peer_ask(&b->sim, "unbind");
    }
    send_all(b, 0, 20000);
    check(sim_peer_stat(&b->sim, "duplicate_taken") == 0, "nobody got a message twice");
    uint32_t two = 2;
    check(mini_run(&b->in, all_up, &two, WAIT_MS), "both links came back");
    no_complaints(b);
}

static void case_drain(struct bench *b)
{
    static const char *const args[] = {"--delay-min-ms", "100", "--delay-max-ms", "200", NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "window=20");
    b->long_every = 2;
    if (!bench_up(b, 1))
        return;
    b->total = 60;
    for (int i = 0; i < 5; i++) {
        feed(b);
        mini_turn(&b->in, 5);
    }
    int64_t began_ms = mini_mono_ms();
    b->in.desc->channel->drain(b->in.ch, began_ms + WAIT_MS);
    uint32_t before = b->in.n_taken;
    b->in.credit[CGW_LANE_BULK] = 5;
    feed(b);
    check(b->in.n_taken == before, "nothing is taken while draining");
    check(mini_run(&b->in, drained, NULL, WAIT_MS + 1000), "drained after %lld ms",
          (long long)(mini_mono_ms() - began_ms));
    check(b->in.n_completed == b->in.n_taken && b->in.n_taken > 0, "%u taken, %u completed",
          b->in.n_taken, b->in.n_completed);
    check(b->in.result_count[CGW_RES_UNKNOWN] == 0 && b->in.result_count[CGW_RES_ACCEPTED] > 0,
          "the answers were awaited");
    check(sim_peer_stat(&b->sim, "unbinds") == 1, "unbound politely");
}

static void case_drain_silent(struct bench *b)
{
    if (!bench_open(b, NULL) || !bench_up(b, 1))
        return;
    (void)sim_peer_ask(&b->sim, "silent on");
    b->total = 8;
    feed(b);
    run_for(b, 50);
    int64_t began_ms = mini_mono_ms();
    b->in.desc->channel->drain(b->in.ch, began_ms + 500);
    /* an answer would be awaited for a minute */
    check(mini_run(&b->in, drained, NULL, 8000) && mini_mono_ms() - began_ms < 8000,
          "drained after %lld ms of 500", (long long)(mini_mono_ms() - began_ms));
    check(b->in.result_count[CGW_RES_UNKNOWN] == 8, "written and unanswered: unknown (%u)",
          b->in.result_count[CGW_RES_UNKNOWN]);
}

static void case_urgent_lane(struct bench *b)
{
    /* no answer comes before all are written, though the machine pauses for two seconds */
    static const char *const args[] = {"--delay-min-ms", "5000", "--delay-max-ms", "5000", NULL};
    if (!bench_open(b, args) || !bench_up(b, 1))
        return;
    check(b->in.credit[CGW_LANE_BULK] == 9 && b->in.credit[CGW_LANE_URGENT] == 10,
          "a window of 10: bulk may use %lld, urgent %lld", (long long)b->in.credit[CGW_LANE_BULK],
          (long long)b->in.credit[CGW_LANE_URGENT]);
    b->total = 9;
    feed(b);
    run_for(b, 20);
    check(b->in.credit[CGW_LANE_BULK] == 0 && b->in.credit[CGW_LANE_URGENT] == 1,
          "bulk is full, one slot is left for urgent");
    b->lane = CGW_LANE_URGENT;
    b->total++;
    feed(b);
    check(wait_stat(b, "submits", 10) == 10 && b->in.n_completed == 0,
          "the urgent one did not wait for a second window");
    send_all(b, 0, WAIT_MS);
}

static void case_throttled_peer(struct bench *b)
{
    static const char *const args[] = {"--max-rate", "200", NULL};
    struct cgw_health h = {.size = sizeof h};
    if (!bench_open(b, args))
        return;
    opt(b, "window=50");
    if (!bench_up(b, 1))
        return;
    b->total = 1500;
    run_for(b, 1);
    for (int64_t until_ms = mini_mono_ms() + WAIT_MS;
         !strstr(h.text, "throttled") && mini_mono_ms() < until_ms;) {
        feed(b);
        mini_turn(&b->in, 5);
        b->in.desc->channel->health(b->in.ch, &h);
    }
    check(strstr(h.text, "throttled") != NULL, "health says so: %s", h.text);
    send_all(b, 0, 60000);
    int64_t throttled = sim_peer_stat(&b->sim, "throttled");
    check(b->in.result_count[CGW_RES_ACCEPTED] == 1500, "all were accepted in the end");
    check(throttled * 4 < 1500, "throttled %lld times for 1500 messages", (long long)throttled);
    int64_t span_ms = sim_peer_number(&b->sim, NULL, "last_submit_ms") -
                      sim_peer_number(&b->sim, NULL, "first_submit_ms");
    check(span_ms < 16000, "at 200/s they need 7.5 s: took %lld ms", (long long)span_ms);
}

static void case_rate(struct bench *b)
{
    if (!bench_open(b, NULL))
        return;
    opt(b, "rate=100");
    opt(b, "window=500");
    b->long_every = 1; /* three parts each: 150 parts */
    if (!bench_up(b, 1))
        return;
    /* by our clock: a simulator that was held up reads what waited in one go */
    int64_t began_ms = mini_mono_ms();
    send_all(b, 50, 20000);
    int64_t took_ms = mini_mono_ms() - began_ms, submits = sim_peer_stat(&b->sim, "submits");
    check(submits >= 100 && took_ms >= submits * 10 - 150 && took_ms < submits * 10 * 2 + 5000,
          "%lld parts at 100/s took %lld ms", (long long)submits, (long long)took_ms);
}

static void case_blocked_peer(struct bench *b)
{
    if (!bench_open(b, NULL))
        return;
    opt(b, "window=10000");
    opt(b, "long_message=payload");
    opt(b, "max_segments=20");
    b->text = "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
              "4567890123456789"
              "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
              "4567890123456789"
              "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
              "4567890123456789"
              "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
              "4567890123456789"
              "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
              "4567890123456789";
    b->submit_for_ms = 700;
    b->batch = 256;
    if (!bench_up(b, 1))
        return;
    (void)sim_peer_ask(&b->sim, "pause-reading on");
    b->total = 20000;
    for (int i = 0; i < 100; i++)
        feed(b);
    run_for(b, 300);
    /* on a slow machine the first deadlines have passed by now; what was written waits in any case
     */
    check(b->in.n_taken > 5000 && b->in.n_completed == b->in.result_count[CGW_RES_NOT_SENT],
          "%u taken, the peer's TCP is blocked", b->in.n_taken);
    run_for(b, 800);
    uint32_t not_sent = b->in.result_count[CGW_RES_NOT_SENT];
    check(not_sent > 0, "what did not reach the kernel in time was not sent: %u", not_sent);
    b->n_again = 0;
    b->sent = b->total; /* do not offer again: what was not sent must not arrive */
    (void)sim_peer_ask(&b->sim, "pause-reading off");
    check(mini_run(&b->in, all_completed, b, 20000), "all %u settled", b->in.n_taken);
    check(sim_peer_stat(&b->sim, "submits") ==
              (int64_t)b->in.n_taken - b->in.result_count[CGW_RES_NOT_SENT],
          "written %lld + not sent %u = taken %u", (long long)sim_peer_stat(&b->sim, "submits"),
          b->in.result_count[CGW_RES_NOT_SENT], b->in.n_taken);
    no_complaints(b);
}

static void case_time_and_recall(struct bench *b)
{
    static const char *const args[] = {"--delay-min-ms", "150", "--delay-max-ms", "150", NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "window=2");
    opt(b, "urgent_percent=0");
    if (!bench_up(b, 1))
        return;
    b->submit_for_ms = -1;
    b->total = 1;
    feed(b);
    wait_n(b, &b->in.result_count[CGW_RES_NOT_SENT], 1);
    check(b->in.result_count[CGW_RES_NOT_SENT] == 1 && sim_peer_stat(&b->sim, "submits") == 0,
          "too late: not sent");
    b->n_again = 0;
    b->submit_for_ms = 60000;
    b->in.credit[CGW_LANE_BULK] = 4; /* as if committed before the credit shrank */
    b->total = b->sent + 4;
    uint64_t first = b->next_token;
    feed(b);
    check(b->in.n_taken == 5, "a window of queued messages beyond the window is kept");
    uint64_t all[4] = {first + 3, first + 2, first + 1, first};
    b->in.desc->channel->cancel(b->in.ch, all, 4);
    check(b->in.result_count[CGW_RES_NOT_SENT] == 3, "recalled what was not written (%u)",
          b->in.result_count[CGW_RES_NOT_SENT] - 1);
    wait_n(b, &b->in.result_count[CGW_RES_ACCEPTED], 2);
    check(b->in.result_count[CGW_RES_ACCEPTED] == 2, "the written ones were accepted");
}

/* The SMSC knows an id in its own spelling only; the gateway knows its normal form. */
static void case_query(struct bench *b)
{
    static const char *const args[] = {"--id-upper",         "1", "--id-pad", "12",
                                       "--receipt-permille", "0", NULL};
    if (!bench_open(b, args))
        return;
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 3, 5000);
    struct cgw_ask asks[4];
    (void)snprintf(b->peer_ids[3], sizeof b->peer_ids[3], "%s", b->ids[0]);
    for (int i = 0; i < 4; i++)
        asks[i] = (struct cgw_ask){.size = sizeof asks[i],
                                   .peer_id = b->peer_ids[i],
                                   .from = {CGW_ADDR_SHORTCODE, 5, "10690"}};
    b->in.desc->channel->query(b->in.ch, asks, 3);
    wait_n(b, &b->in.n_receipts, 3);
    run_for(b, 200);
    check(b->in.n_receipts == 3, "3 known messages answered as receipts (%u)", b->in.n_receipts);
    check(!strcmp(b->last_id, b->ids[2]), "the answer names %s in normal form (%s)", b->ids[2],
          b->last_id);
    b->in.desc->channel->query(b->in.ch, asks + 3, 1);
    run_for(b, 200);
    check(b->in.n_receipts == 3, "the normal form is no id to the SMSC");
    no_complaints(b);
}

/* cancel_sm by the SMSC's own spelling; its answers are receipts, and a late one is no end. */
static void recall_with(struct bench *b, bool allowed)
{
    struct cgw_ask asks[4];
    for (int i = 0; i < 4; i++)
        asks[i] = (struct cgw_ask){.size = sizeof asks[i],
                                   .peer_id = i == 3 ? "" : b->peer_ids[i],
                                   .from = {CGW_ADDR_SHORTCODE, 5, "10690"}};
    uint32_t (*recall)(void *, const struct cgw_ask *, uint32_t) = b->in.desc->channel->recall;
    check(recall(b->in.ch, asks, 4) == 4, "all are taken");
    wait_n(b, &b->in.n_receipts, allowed ? 3 : 0);
    run_for(b, 200);
    check(b->in.n_receipts == (allowed ? 3u : 0u) &&
              sim_peer_stat(&b->sim, "cancels_good") == (allowed ? 3 : 0),
          "3 are taken back with the option, none without it (%u)", b->in.n_receipts);
    if (!allowed)
        return;
    check(b->receipts_final == 3 && !strcmp(b->last_id, b->ids[2]) &&
              b->last_result == CGW_RES_RECALLED,
          "the answer names %s in normal form (%s) and is final", b->ids[2], b->last_id);
    check(recall(b->in.ch, asks, 1) == 1, "once more");
    wait_n(b, &b->in.n_receipts, 4);
    check(b->in.n_receipts == 4 && b->last_result == CGW_RES_NOT_RECALLED,
          "what the SMSC does not take back is said, and is no end");
    no_complaints(b);
}

static void case_recall(struct bench *b)
{
    static const char *const args[] = {"--id-upper",
                                       "1",
                                       "--id-pad",
                                       "12",
                                       "--receipt-delay-min-ms",
                                       "60000",
                                       "--receipt-delay-max-ms",
                                       "60000",
                                       NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "cancel=true");
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 3, 5000);
    recall_with(b, true);
}

static void case_recall_not_allowed(struct bench *b)
{
    static const char *const args[] = {"--receipt-delay-min-ms", "60000", "--receipt-delay-max-ms",
                                       "60000", NULL};
    if (!bench_open(b, args))
        return;
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 3, 5000);
    recall_with(b, false);
}

/* One receipt speaks for all parts, but the answer to cancel_sm for the part that it named. */
static void case_recall_of_parts(struct bench *b)
{
    static const char *const args[] = {"--receipt-delay-min-ms", "60000", "--receipt-delay-max-ms",
                                       "60000", NULL};
    struct cgw_ask asks[4];
    if (!bench_open(b, args))
        return;
    opt(b, "cancel=true");
    opt(b, "receipts_per=message");
    b->want_receipt = true;
    b->long_every = 1;
    if (!bench_up(b, 1))
        return;
    send_all(b, 1, 5000);
    check(b->n_ids == 3, "a message of %u parts", b->n_ids);
    for (int i = 0; i < 4; i++) /* the first once more: it is too late for that one */
        asks[i] = (struct cgw_ask){.size = sizeof asks[i],
                                   .peer_id = b->peer_ids[i % 3],
                                   .from = {CGW_ADDR_SHORTCODE, 5, "10690"}};
    check(b->in.desc->channel->recall(b->in.ch, asks, 3) == 3, "all are taken");
    wait_n(b, &b->receipts_final, 3);
    check(b->in.desc->channel->recall(b->in.ch, asks + 3, 1) == 1, "one is asked about again");
    wait_n(b, &b->receipts_other, 1);
    check(b->receipts_final == 3 && b->receipts_other == 1 &&
              b->last_result == CGW_RES_NOT_RECALLED && !strcmp(b->last_id, b->ids[0]),
          "3 are taken back, then the first is too late");
    check(b->receipts_whole == 0, "no answer speaks for the whole message (%u do)",
          b->receipts_whole);
    no_complaints(b);
}

/* What waited here for a bind would only be late. */
static void case_recall_without_a_link(struct bench *b)
{
    struct cgw_ask one = {
        .size = sizeof one, .peer_id = "1", .from = {CGW_ADDR_SHORTCODE, 5, "10690"}};
    uint32_t links = 1;
    if (!bench_open(b, NULL))
        return;
    opt(b, "cancel=true");
    if (!bench_start(b))
        return;
    check(b->in.desc->channel->recall(b->in.ch, &one, 1) == 0, "nothing is taken before the bind");
    check(mini_run(&b->in, all_up, &links, 10000), "%u links are bound", links);
    check(b->in.desc->channel->recall(b->in.ch, &one, 1) == 1, "then it is");
}

/* What the SMSC cannot do now is asked again by the gateway; what it will not do is said. */
static void case_recall_refused(struct bench *b)
{
    static const char *const args[] = {"--receipt-delay-min-ms", "60000", "--receipt-delay-max-ms",
                                       "60000", NULL};
    static const struct {
        const char *status;
        uint32_t receipts;
    } said[] = {{"0x8", 0},  {"0x64", 0}, {"0xfe", 0}, {"0x102", 0}, {"0x4", 0},
                {"0x11", 1}, {"0x45", 2}, {"0xff", 3}, {"0x4ff", 4}};
    if (!bench_open(b, args))
        return;
    opt(b, "cancel=true");
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 1, 5000);
    struct cgw_ask one = {
        .size = sizeof one, .peer_id = b->peer_ids[0], .from = {CGW_ADDR_SHORTCODE, 5, "10690"}};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        (void)sim_peer_ask(&b->sim, "set cancel_status %s", said[i].status);
        check(b->in.desc->channel->recall(b->in.ch, &one, 1) == 1, "asked");
        (void)wait_stat(b, "cancels", (int64_t)i + 1);
        wait_n(b, &b->receipts_other, said[i].receipts);
        run_for(b, 100);
        check(sim_peer_stat(&b->sim, "cancels") == (int64_t)i + 1 &&
                  b->receipts_other == said[i].receipts && b->receipts_final == 0,
              "%s: %u refusals are said (%u)", said[i].status, said[i].receipts, b->receipts_other);
    }
    no_complaints(b);
}

/* Half of the rate is theirs: bulk behind them still moves, and nothing is beyond the rate. */
static void case_recall_shares_the_rate(struct bench *b)
{
    static const char *const args[] = {"--receipt-delay-min-ms", "60000", "--receipt-delay-max-ms",
                                       "60000", NULL};
    struct cgw_ask asks[40];
    if (!bench_open(b, args))
        return;
    opt(b, "cancel=true");
    opt(b, "rate=100");
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 40, 10000);
    for (int i = 0; i < 40; i++)
        asks[i] = (struct cgw_ask){
            .size = sizeof asks[i], .peer_id = b->ids[i], .from = {CGW_ADDR_SHORTCODE, 5, "10690"}};
    check(b->in.desc->channel->recall(b->in.ch, asks, 40) == 40, "40 wait");
    int64_t began = mini_mono_ms();
    send_all(b, 20, 10000);
    int64_t took = mini_mono_ms() - began, good = sim_peer_stat(&b->sim, "cancels_good");
    check(took >= 250, "20 messages beside them share the rate (%lld ms)", (long long)took);
    check(good >= 10 && good <= 4 + took * 55 / 1000, /* half the rate, and what a pause saved */
          "%lld of the 40 went in that time: about as many", (long long)good);
    (void)wait_stat(b, "cancels_good", 40);
    run_for(b, 300);
    check(sim_peer_stat(&b->sim, "cancels_good") == 40 &&
              sim_peer_stat(&b->sim, "cancels_repeated") == 0,
          "each once");
    no_complaints(b);
}

/* Receipts whose parameter spells the id as the answer did, while their text does not. */
static void case_receipt_spelling(struct bench *b)
{
    static const char *const args[] = {"--receipt-form",
                                       "both",
                                       "--receipt-tlv-as-answer",
                                       "1",
                                       "--receipt-id-base",
                                       "10",
                                       "--id-start",
                                       "305419896", /* 0x12345678: digits only */
                                       NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "id_resp=hex");
    opt(b, "id_receipt=dec");
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 1, 5000);
    check(mini_run(&b->in, receipts_in, b, 5000), "its receipt came");
    check(!strcmp(b->last_id, b->ids[0]), "it names the id of the answer: %s, %s", b->ids[0],
          b->last_id);
}

static void case_user_reference(struct bench *b)
{
    static const char *const args[] = {"--receipt-reference", "1", NULL};
    if (!bench_open(b, args))
        return;
    opt(b, "user_reference=true");
    b->want_receipt = true;
    if (!bench_up(b, 1))
        return;
    send_all(b, 1, 5000);
    check(mini_run(&b->in, receipts_in, b, 5000), "its receipt came");
    check(b->last_reference == 4711, "it echoes our reference: %llu",
          (unsigned long long)b->last_reference);
    no_complaints(b);
}

static void case_check(struct bench *b)
{
    static const struct {
        const char *text, *encoding;
        uint32_t segments;
        int32_t code;
    } cases[] = {
        {"Hello", "gsm7", 1, 0},
        {"\xe9\x80\x80\xe8\xae\xa2", "ucs2", 1, 0},
        {"", "gsm7", 1, 0},
        {"\xff", "", 0, CGW_EINVAL},
    };
    if (!bench_open(b, NULL))
        return;
    opt(b, "max_segments=2");
    struct cgw_diag diag;
    if (!check(mini_create(&b->in, &cgw_plugin, b->options, &diag) == 0, "created"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cgw_part part = {.role = CGW_ROLE_TEXT,
                                .len = (uint32_t)strlen(cases[i].text),
                                .mime = "text/plain",
                                .body = cases[i].text};
        struct cgw_message m = {.size = sizeof m,
                                .to = {CGW_ADDR_E164, 12, "+49171123456"},
                                .n_parts = 1,
                                .parts = &part};
        struct cgw_check c = {.size = sizeof c};
        b->in.desc->channel->check(b->in.ch, &m, 1, &c);
        check(c.code == cases[i].code && c.segments == cases[i].segments &&
                  strcmp(c.encoding, cases[i].encoding) == 0,
              "text %zu: code %d, %u segments, %s %s", i, c.code, c.segments, c.encoding, c.text);
    }
    char text[400];
    memset(text, 'x', sizeof text);
    struct cgw_part part = {
        .role = CGW_ROLE_TEXT, .len = sizeof text, .mime = "text/plain", .body = text};
    struct cgw_message m = {
        .size = sizeof m, .to = {CGW_ADDR_E164, 12, "+49171123456"}, .n_parts = 1, .parts = &part};
    struct cgw_check c = {.size = sizeof c};
    b->in.desc->channel->check(b->in.ch, &m, 1, &c);
    check(c.code == CGW_ELIMIT && strstr(c.text, "max_segments") != NULL, "too long: %s", c.text);
    m.to = (struct cgw_address){CGW_ADDR_EMAIL, 5, "a@b.c"};
    part.len = 5;
    b->in.desc->channel->check(b->in.ch, &m, 1, &c);
    check(c.code == CGW_EINVAL && c.text[0] != '\0', "no number: %s", c.text);
    mini_destroy(&b->in);
}

static void case_bad_options(struct bench *b)
{
    static const char *const bad[][3] = {
        {"password=longer-than-8", "password", "8"},
        {"system_id=sixteen-chars-12", "system_id", "15"},
        {"sender_type=9/9/9", "sender_type", "TON"},
        {"encodings=gsm,utf9", "encodings", "ucs2"},
        {"retry=0x61=sometimes", "retry", ""},
        {"tlvs=0x1400=zz", "tlvs", ""},
        {"reconnect_max_ms=5", "reconnect_max_ms", "below"},
        {"tls_key=/nonexistent", "tls_key", "tls_cert"},
        {"default_sender=this name is too long", "default_sender", ""},
        {"validity_max_ms=60", "validity_max_ms", ""},
    };
    if (!bench_open(b, NULL))
        return;
    uint32_t n = b->n_options;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cgw_diag diag;
        b->n_options = n;
        for (uint32_t k = 0; k < n; k++) /* the first one counts */
            if (strncmp(b->words[k], bad[i][0], strcspn(bad[i][0], "=") + 1) == 0)
                b->options[k] = "unused=1";
        opt(b, "%s", bad[i][0]);
        int rc = mini_create(&b->in, &cgw_plugin, b->options, &diag);
        check(rc == CGW_EINVAL && strcmp(diag.where, bad[i][1]) == 0 &&
                  strstr(diag.text, bad[i][2]) && diag.text[0] != '\0' &&
                  !strstr(diag.text, "longer-than-8"),
              "%s: %s %s", bad[i][0], diag.where, diag.text);
        mini_destroy(&b->in);
        for (uint32_t k = 0; k < n; k++)
            b->options[k] = b->words[k];
    }
}

/* ---- main ---- */

static const struct {
    const char *name;
    void (*run)(struct bench *b);
} cases[] = {
    {"basics", case_basics},
    {"bad_options", case_bad_options},
    {"check", case_check},
    {"long_messages", case_long_messages},
    {"receipts", case_receipts},
    {"answer_when_stored", case_answer_when_stored},
    {"replies", case_replies},
    {"tls", case_tls},
    {"awkward_peer", case_awkward_peer},
    {"garbage", case_garbage},
    {"silent", case_silent},
    {"stray", case_stray},
    {"swallowed_answers", case_swallowed_answers},
    {"refused_bind", case_refused_bind},
    {"peer_unbinds", case_peer_unbinds},
    {"drain", case_drain},
    {"drain_silent", case_drain_silent},
    {"urgent_lane", case_urgent_lane},
    {"throttled_peer", case_throttled_peer},
    {"rate", case_rate},
    {"blocked_peer", case_blocked_peer},
    {"time_and_recall", case_time_and_recall},
    {"query", case_query},
    {"recall", case_recall},
    {"recall_not_allowed", case_recall_not_allowed},
    {"recall_without_a_link", case_recall_without_a_link},
    {"recall_refused", case_recall_refused},
    {"recall_of_parts", case_recall_of_parts},
    {"recall_shares_the_rate", case_recall_shares_the_rate},
    {"receipt_spelling", case_receipt_spelling},
    {"user_reference", case_user_reference},
    {"storm", case_storm},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench *b = calloc(1, sizeof *b);
        if (!b)
            return 1;
        case_name = cases[i].name;
        if (argc < 2 || strcmp(argv[1], case_name) == 0) {
            cases[i].run(b);
            bench_close(b);
        }
        free(b);
    }
    printf("1..%d\n", n_checks);
    return n_failed > 0 || n_checks == 0;
}
