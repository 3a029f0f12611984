/* SPDX-License-Identifier: Apache-2.0 */
/* mms_bench.c - see mms_bench.h. */
#include "mms_bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 4 /* whether 400 messages go in good time the plain build judges */
#else
#define SLOWER 1
#endif
#define POST_ID 1u /* below every id of the listener */

static char image[30000];

void mms_opt(struct mms_bench *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(b->words[b->n_options], sizeof b->words[0], fmt, ap);
    va_end(ap);
    b->options[b->n_options] = b->words[b->n_options];
    b->options[++b->n_options] = NULL;
}

/* ---- hooks ---- */

static void keep(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

static void on_complete(void *ctx, uint64_t token, const struct cgw_result *r)
{
    struct mms_bench *b = ctx;
    b->last = *r;
    keep(b->last_raw, sizeof b->last_raw, r->raw);
    keep(b->last_space, sizeof b->last_space, r->code_space);
    keep(b->last_id, sizeof b->last_id, r->n_ids ? r->provider_ids[0] : "");
    b->by_result[r->result]++;
    if (r->result == CGW_RES_NOT_SENT || r->result == CGW_RES_REFUSED_RETRY) {
        b->again[b->n_again++] = b->logical[token];
        b->retries++;
    } else {
        b->settled++;
    }
}

static void on_receipt(void *ctx, const struct cgw_receipt *r)
{
    struct mms_bench *b = ctx;
    b->receipt = *r;
    keep(b->receipt_id, sizeof b->receipt_id, r->provider_id);
    keep(b->receipt_person, sizeof b->receipt_person, r->person.kind ? r->person.text : "");
    keep(b->receipt_raw, sizeof b->receipt_raw, r->raw);
}

static void on_inbound(void *ctx, const struct cgw_inbound *m)
{
    struct mms_bench *b = ctx;
    b->inbound = *m;
    keep(b->in_from, sizeof b->in_from, m->from.kind ? m->from.text : "");
    keep(b->in_to, sizeof b->in_to, m->to.kind ? m->to.text : "");
    keep(b->in_provider, sizeof b->in_provider, m->provider_id);
    keep(b->in_peer, sizeof b->in_peer, m->peer_id);
    b->in_text[0] = b->in_subject[0] = '\0';
    b->in_media = 0;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct cgw_part *p = &m->parts[i];
        size_t at = strlen(b->in_text);
        if (p->role == CGW_ROLE_TEXT)
            (void)snprintf(b->in_text + at, sizeof b->in_text - at, "%.*s", (int)p->len, p->body);
        else if (p->role == CGW_ROLE_SUBJECT)
            (void)snprintf(b->in_subject, sizeof b->in_subject, "%.*s", (int)p->len, p->body);
        else
            b->in_media += p->len;
    }
}

static void on_reply(void *ctx, uint64_t request, uint32_t status, const char *body, uint32_t len)
{
    struct mms_bench *b = ctx;
    b->reply_status = status;
    (void)snprintf(b->reply, sizeof b->reply, "%.*s", (int)len, body);
    b->n_replies++;
    if (request != POST_ID)
        cb_reply(&b->cb, request, status, body, len);
}

/* ---- life ---- */

const char *mms_simulator(void)
{
    const char *program = getenv("CAMPGW_MMSCSIM");
    return program && *program ? program : "tests/sim/mmscsim";
}

int mms_bench_open(struct mms_bench *b, const char *const *sim_args)
{
    const char *args[40] = {"--callback", NULL};
    char url[80];
    uint32_t n = 2;
    memset(b, 0, sizeof *b);
    b->next_token = 1;
    b->batch = 100;
    b->submit_for_ms = 20000;
    b->valid_for_ms = 7200000;
    b->again = calloc(MINI_TOKENS, sizeof *b->again);
    b->logical = calloc(MINI_TOKENS, sizeof *b->logical);
    int rc = !b->again || !b->logical ? -1 : cb_open(&b->cb);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", b->cb.port);
    args[1] = url;
    for (; sim_args && *sim_args && n < 38; sim_args++)
        args[n++] = *sim_args;
    if (!rc)
        rc = sim_peer_start_as(&b->sim, mms_simulator(), args);
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (char)(i * 131 + 7);
    memcpy(image, "\xff\xd8\xff\xe0", 4);
    mini_media(MMS_IMAGE, image, sizeof image);
    mms_opt(b, "url=http://127.0.0.1:%u/mm7", b->sim.port);
    mms_opt(b, "vaspid=campgw");
    mms_opt(b, "vasid=news");
    mms_opt(b, "default_sender=12345");
    mms_opt(b, "reconnect_min_ms=20");
    mms_opt(b, "reconnect_max_ms=100");
    mms_opt(b, "throttle_min_ms=10");
    return rc;
}

int mms_bench_start(struct mms_bench *b, struct cgw_diag *diag)
{
    int rc = mini_create(&b->in, &cgw_plugin, b->options, diag);
    b->in.hooks = (struct mini_hooks){b, on_complete, on_receipt, on_inbound, on_reply};
    if (rc)
        return rc;
    b->up = true;
    return b->in.desc->channel->start(b->in.ch);
}

void mms_bench_close(struct mms_bench *b)
{
    if (b->in.desc)
        mini_destroy(&b->in);
    cb_close(&b->cb);
    sim_peer_stop(&b->sim);
    free(b->again);
    free(b->logical);
}

/* ---- traffic ---- */

static uint32_t make(struct mms_bench *b, uint32_t which, struct cgw_message *m,
                     struct cgw_part *parts, char *text, char *to)
{
    uint32_t n = 0;
    int len = snprintf(text, 120, "#%u Hello, your new tariff is ready.", which);
    (void)snprintf(to, 16, "+8613%09u", which);
    if (b->with_media)
        parts[n++] = (struct cgw_part){
            .role = CGW_ROLE_MEDIA, .mime = "image/jpeg", .name = "offer.jpg", .media = MMS_IMAGE};
    parts[n++] = (struct cgw_part){.role = CGW_ROLE_TEXT,
                                   .len = (uint32_t)len,
                                   .mime = "text/plain; charset=utf-8",
                                   .body = text};
    if (b->subject)
        parts[n++] = (struct cgw_part){
            .role = CGW_ROLE_SUBJECT, .len = (uint32_t)strlen(b->subject), .body = b->subject};
    if (b->header)
        parts[n++] = (struct cgw_part){
            .role = CGW_ROLE_HEADER, .len = (uint32_t)strlen(b->header), .body = b->header};
    *m = (struct cgw_message){
        .size = sizeof *m,
        .token = b->next_token,
        .lane = b->lane,
        .channel = CGW_CHANNEL_MMS,
        .contact_class = CGW_CLASS_MARKETING,
        .to = {CGW_ADDR_E164, (uint32_t)strlen(to), to},
        .submit_before_mono_ms = mini_mono_ms() + b->submit_for_ms,
        .want_receipt = 1,
        .n_parts = n,
        .parts = parts,
        .reference = which % 65535 + 1,
        .group = 77,
    };
    return n;
}

static int64_t utc_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void feed(struct mms_bench *b)
{
    static struct cgw_message msgs[256];
    static struct cgw_part parts[256][4];
    static char texts[256][120], to[256][16];
    uint32_t n = 0, which[256], want = b->n_again + b->total - b->given;
    int64_t not_after = utc_ms() + b->valid_for_ms;
    while (n < want && n < b->in.credit[b->lane] && n < b->batch && n < 256 &&
           b->next_token < MINI_TOKENS) {
        which[n] = n < b->n_again ? b->again[b->n_again - 1 - n] : b->given + n - b->n_again;
        (void)make(b, which[n], &msgs[n], parts[n], texts[n], to[n]);
        msgs[n].not_after_utc_ms = not_after;
        b->logical[b->next_token++] = which[n];
        n++;
    }
    if (n == 0)
        return;
    uint32_t repeats = n < b->n_again ? n : b->n_again;
    b->n_again -= repeats;
    b->given += n - repeats;
    uint32_t taken = mini_submit(&b->in, msgs, n);
    for (uint32_t i = taken; i < n; i++)
        b->again[b->n_again++] = which[i];
    memset(texts, 'X', sizeof texts); /* borrowed until submit returned, no longer */
    memset(to, 'X', sizeof to);
    memset(parts, 0x55, sizeof parts);
}

void mms_turn(struct mms_bench *b)
{
    cb_turn(&b->cb, &b->in);
    feed(b);
    mini_turn(&b->in, b->given < b->total || b->n_again ? 1 : 5);
}

bool mms_wait(struct mms_bench *b, const uint32_t *figure, uint32_t want, int64_t limit_ms)
{
    int64_t until = mini_mono_ms() + limit_ms + MMS_PAUSES_MS;
    while (*figure < want && mini_mono_ms() < until)
        mms_turn(b);
    return *figure >= want;
}

int64_t mms_wait_stat(struct mms_bench *b, const char *after, const char *key, int64_t want)
{
    int64_t until = mini_mono_ms() + MMS_PAUSES_MS, n;
    for (;;) {
        (void)sim_peer_ask(&b->sim, "stats");
        n = sim_peer_number(&b->sim, after, key);
        if (n >= want || mini_mono_ms() >= until)
            return n;
        mms_turn(b);
    }
}

void mms_turn_for(struct mms_bench *b, int64_t ms)
{
    for (int64_t until = mini_mono_ms() + ms; mini_mono_ms() < until;)
        mms_turn(b);
}

bool mms_send(struct mms_bench *b, uint32_t total, int64_t limit_ms)
{
    b->total += total;
    return mms_wait(b, &b->settled, b->total, limit_ms * SLOWER);
}

void mms_post(struct mms_bench *b, const char *content_type, const char *body, size_t len)
{
    static const char *const none[] = {NULL};
    char *copy = malloc(len + 1); /* exact: reading past the end is seen */
    memcpy(copy, body, len);
    copy[len] = '\0';
    struct cgw_http_request req = {.size = sizeof req,
                                   .id = POST_ID,
                                   .method = "POST",
                                   .path = "/mm7",
                                   .query = "",
                                   .content_type = content_type,
                                   .body = copy,
                                   .body_len = (uint32_t)len,
                                   .headers = none};
    b->reply_status = 0;
    b->in.desc->routes[0].handler(b->in.ch, &req);
    free(copy);
}

bool mms_drain(struct mms_bench *b, int64_t within_ms)
{
    b->total = b->given;
    b->n_again = 0;
    b->in.desc->channel->drain(b->in.ch, mini_mono_ms() + within_ms);
    return mms_wait(b, &b->in.n_drained, 1, within_ms);
}
