/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.c - the callback routes: POST /report takes one mail as it came (message/rfc822), GET and
 * POST /u are the link to unsubscribe. A peer hears 200 only when what it brought is stored, and
 * 503 when it cannot be taken now. Source: RFC 8058 (one-click). */
#include "instance.h"

#include "mime.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

#define REPORT_BYTES (CGW_BODY_MAX * 4u)
#define PAGE_TYPE "text/html; charset=utf-8"
#define TEXT_TYPE "text/plain; charset=utf-8"

static const char page_ask[] =
    "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">"
    "<title>Unsubscribe</title><p>You will get no more of these mails.</p>"
    "<form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">"
    "<button>Unsubscribe</button></form></html>\n";
static const char page_done[] =
    "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>Unsubscribed</title>"
    "<p>You are unsubscribed.</p></html>\n";

static void answer(struct email_channel *e, uint64_t request, uint32_t status, const char *type,
                   const char *body)
{
    e->host->reply(e->inst, request, status, type, body, (uint32_t)strlen(body));
}

/* An ack is the request with the form of its answer. */
static uint64_t ack_of(uint64_t request, bool page)
{
    return request << 1 | page;
}

void email_stored(struct email_channel *e, const uint64_t *acks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (acks[i] & 1)
            answer(e, acks[i] >> 1, 200, PAGE_TYPE, page_done);
        else
            answer(e, acks[i] >> 1, 200, TEXT_TYPE, "stored\n");
}

/* ---- what came ---- */

static struct cgw_address mailbox(const char *text)
{
    return (struct cgw_address){
        .kind = *text ? CGW_ADDR_EMAIL : 0, .len = (uint32_t)strlen(text), .text = text};
}

/* Names the person only where our own address agrees: what a bounce says may be a forwarder's. */
static bool pass_receipt(struct email_channel *e, const struct report *r, uint64_t request)
{
    struct cgw_receipt item = {.size = sizeof item,
                               .result = r->result,
                               .flags = CGW_RESF_WHOLE,
                               .sub = r->sub,
                               .provider_id = r->id,
                               .reference = r->sealed ? r->reference : 0,
                               .person = mailbox(r->sealed ? r->person : ""),
                               .code = email_status_code(&r->status),
                               .code_space = "smtp.enhanced",
                               .raw = r->raw,
                               .quantity = 1,
                               .arrived_utc_ms = e->host->now_utc_ms(),
                               .ack = ack_of(request, false)};
    return e->host->receipt(e->inst, &item, 1) == 1;
}

/* person may be wrong or missing when the message is known: then it alone says who, unless the
 * person stands in what we sealed ourselves. */
static bool pass_inbound(struct email_channel *e, uint32_t kind, const struct report *r,
                         const struct cgw_part *parts, uint32_t n_parts, const char *peer_id,
                         uint64_t ack)
{
    bool known = r->id[0] != 0;
    struct cgw_inbound item = {
        .size = sizeof item,
        .kind = kind,
        .from = known && kind != CGW_IN_TEXT && !r->sealed ? mailbox("") : mailbox(r->person),
        .to = mailbox(e->compose.from ? e->compose.from : ""),
        .n_parts = n_parts,
        .parts = parts,
        .sub = kind == CGW_IN_COMPLAINT ? CGW_SUB_COMPLAINT : 0,
        .peer_id = peer_id,
        .arrived_utc_ms = e->host->now_utc_ms(),
        .ack = ack,
        .provider_id = known ? r->id : NULL};
    return e->host->inbound(e->inst, &item, 1) == 1;
}

static bool pass_complaint(struct email_channel *e, const struct report *r, uint64_t request)
{
    struct cgw_part part = {
        .role = CGW_ROLE_TEXT, .len = (uint32_t)strlen(r->raw), .mime = TEXT_TYPE, .body = r->raw};
    return pass_inbound(e, r->kind == REPORT_LEAVE ? CGW_IN_OPTOUT : CGW_IN_COMPLAINT, r, &part, 1,
                        NULL, ack_of(request, false));
}

static bool pass_reply(struct email_channel *e, const struct report *r, const struct mime_mail *m,
                       uint64_t request)
{
    static const char empty[] = "";
    char *words = malloc(REPORT_TEXT_MAX);
    char peer[CGW_PROVIDER_ID_MAX];
    const char *message_id = mime_field(m, "Message-ID");
    if (!words)
        return false;
    size_t len = report_own_words(r->text, words, REPORT_TEXT_MAX);
    const char *subject = r->subject ? r->subject : empty;
    size_t subject_len = strlen(subject) < 900 ? strlen(subject) : 0;
    struct cgw_part parts[] = {
        {.role = CGW_ROLE_TEXT, .len = (uint32_t)len, .mime = TEXT_TYPE, .body = words},
        {.role = CGW_ROLE_SUBJECT,
         .len = (uint32_t)subject_len,
         .mime = TEXT_TYPE,
         .body = subject}};
    if (!strcmp(r->text->type, "text/html"))
        parts[0].mime = PAGE_TYPE;
    (void)snprintf(peer, sizeof peer, "%s", message_id ? message_id : "");
    for (char *p = peer; *p; p++) /* cut or not, it stays whole letters */
        *p = (unsigned char)*p < 0x7f ? *p : '?';
    bool ok = pass_inbound(e, CGW_IN_TEXT, r, parts, subject_len ? 2 : 1, *peer ? peer : NULL,
                           ack_of(request, false));
    free(words);
    return ok;
}

static bool pass(struct email_channel *e, const struct report *r, const struct mime_mail *m,
                 uint64_t request)
{
    if (r->kind == REPORT_BOUNCE)
        return pass_receipt(e, r, request);
    if (r->kind == REPORT_REPLY)
        return pass_reply(e, r, m, request);
    return pass_complaint(e, r, request);
}

static uint32_t counter_of(const struct report *r)
{
    static const uint32_t kinds[] = {
        [REPORT_AUTOMATIC] = C_AUTOMATIC, [REPORT_UNREADABLE] = C_UNREADABLE,
        [REPORT_FOREIGN] = C_FOREIGN,     [REPORT_COMPLAINT] = C_COMPLAINTS,
        [REPORT_LEAVE] = C_OPTOUTS,       [REPORT_REPLY] = C_REPLIES};
    if (r->kind != REPORT_BOUNCE)
        return kinds[r->kind];
    if (r->result != CGW_RES_FAILED)
        return r->result == CGW_RES_DELIVERED ? C_DELIVERED : C_DELAYED;
    return r->sub == CGW_SUB_HARD_BOUNCE   ? C_BOUNCE_HARD
           : r->sub == CGW_SUB_SOFT_BOUNCE ? C_BOUNCE_SOFT
                                           : C_BOUNCE_OTHER;
}

/* What says nothing is answered 200 as well: the mail system would bring it again and again. */
static void on_report(void *ch, const struct cgw_http_request *req)
{
    struct email_channel *e = ch;
    struct mime_mail m;
    struct report r;
    uint64_t request = req->id; /* behind reply() the request is gone */
    if (mime_read(req->body, req->body_len, &m) != 0) {
        e->host->count(e->inst, C_UNREADABLE, 1);
        answer(e, request, 200, TEXT_TYPE, "ignored: no mail, or nested too deep\n");
        return;
    }
    report_read(&e->key, &m, &r);
    if (r.forged)
        e->host->count(e->inst, C_FORGED, 1);
    if (r.kind < REPORT_BOUNCE) {
        e->host->count(e->inst, counter_of(&r), 1);
        answer(e, request, 200, TEXT_TYPE, "ignored\n");
    } else if (!pass(e, &r, &m, request)) {
        answer(e, request, 503, TEXT_TYPE, "not now, send it again\n");
    } else {
        e->host->count(e->inst, counter_of(&r), 1); /* answered by email_stored() */
    }
    mime_done(&m);
}

/* ---- the link ---- */

/* t=TOKEN, or t=TOKEN.PERSON: the message, and whom it was for. */
static bool link_token(const struct email_channel *e, const char *query, struct report *r)
{
    for (const char *p = query; p; p = strchr(p, '&')) {
        p += *p == '&';
        if (p[0] != 't' || p[1] != '=')
            continue;
        const char *token = p + 2, *end = token + strcspn(token, "&"),
                   *dot = token + strcspn(token, ".&");
        if (!email_token_read(&e->key, EMAIL_FOR_LEAVE, token, (size_t)(dot - token), r->id))
            return false;
        r->sealed = dot < end &&
                    email_person_open(&e->key, r->id, dot + 1, (size_t)(end - dot - 1), r->person);
        return true;
    }
    return false;
}

static void on_link(void *ch, const struct cgw_http_request *req)
{
    struct email_channel *e = ch;
    struct report r = {.kind = REPORT_LEAVE};
    char peer[EMAIL_ID_LEN + 8];
    uint64_t request = req->id;
    if (!link_token(e, req->query, &r)) {
        e->host->count(e->inst, C_FORGED, 1);
        answer(e, request, 404, TEXT_TYPE, "This link is not valid.\n");
        return;
    }
    if (!strcmp(req->method, "GET")) { /* link checkers and previews must not unsubscribe anybody */
        answer(e, request, 200, PAGE_TYPE, page_ask);
        return;
    }
    (void)snprintf(peer, sizeof peer, "link-%s", r.id);
    if (pass_inbound(e, CGW_IN_OPTOUT, &r, NULL, 0, peer, ack_of(request, true)))
        e->host->count(e->inst, C_OPTOUTS, 1);
    else
        answer(e, request, 503, TEXT_TYPE, "Not now. Please try again.\n");
}

const struct cgw_http_route email_routes[] = {
    {.method = "POST",
     .path = "/report",
     .auth = CGW_HTTP_IP_ALLOW,
     .max_body = REPORT_BYTES,
     .handler = on_report},
    {.method = "GET", .path = "/u", .auth = CGW_HTTP_AUTH_NONE, .max_body = 0, .handler = on_link},
    {.method = "POST",
     .path = "/u",
     .auth = CGW_HTTP_AUTH_NONE,
     .max_body = 4096,
     .handler = on_link},
    {0},
};
