/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - what the MMSC asks us to take: read replies, messages of people, and (report.c)
 * delivery reports. Each is answered 1000 only when the gateway says it is stored; what the gateway
 * does not take is answered 503 and the MMSC repeats it. */
#include "instance.h"

#include "mime.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- answers ---- */

static void reply(struct mms_channel *ch, uint64_t request, uint32_t status,
                  const struct mm7_dialect *d, const char *name, const char *transaction, int code,
                  const char *text)
{
    size_t len = 0;
    const char *doc = mm7_write_response(&ch->xw, d, name, transaction, code, text, &len);
    if (doc)
        ch->host->reply(ch->inst, request, status, "text/xml; charset=utf-8", doc, (uint32_t)len);
    else
        ch->host->reply(ch->inst, request, 503, "text/plain", "", 0);
}

void mms_not_now(struct mms_channel *ch, uint64_t request)
{
    static const char text[] = "Not now; call again.\n";
    mms_count(ch, MMS_C_PUSHED_BACK);
    ch->host->reply(ch->inst, request, 503, "text/plain", text, sizeof text - 1);
}

/* ---- requests that wait ---- */

struct mms_held *mms_hold(struct mms_channel *ch, uint64_t request, const struct mm7_request *q,
                          const char *response)
{
    for (uint32_t i = 0; i < MMS_HELD_MAX; i++) {
        struct mms_held *h = &ch->held[i];
        if (h->used)
            continue;
        uint32_t generation = h->generation + 1;
        memset(h, 0, sizeof *h);
        h->used = true;
        h->generation = generation;
        h->request = request;
        h->dialect = q->dialect;
        h->response = response;
        (void)snprintf(h->transaction, sizeof h->transaction, "%s", q->transaction);
        ch->n_held++;
        return h;
    }
    return NULL;
}

uint64_t mms_ack_of(const struct mms_channel *ch, const struct mms_held *h)
{
    return (uint64_t)h->generation << 16 | ((uint64_t)(h - ch->held) + 1);
}

void mms_let_go(struct mms_channel *ch, struct mms_held *h)
{
    h->used = h->is_early = false;
    ch->n_held--;
}

void mms_op_stored(void *arg, const uint64_t *acks, uint32_t n)
{
    struct mms_channel *ch = arg;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t index = (acks[i] & 0xffff) - 1;
        if (index >= MMS_HELD_MAX || !ch->held[index].used || ch->held[index].is_early ||
            mms_ack_of(ch, &ch->held[index]) != acks[i])
            continue;
        struct mms_held *h = &ch->held[index];
        reply(ch, h->request, 200, &h->dialect, h->response, h->transaction, 1000, "Success");
        mms_let_go(ch, h);
    }
    mms_try_drained(ch);
}

void mms_held_refuse(struct mms_channel *ch)
{
    for (uint32_t i = 0; i < MMS_HELD_MAX; i++)
        if (ch->held[i].used) {
            mms_not_now(ch, ch->held[i].request);
            mms_let_go(ch, &ch->held[i]);
        }
}

/* ---- people ---- */

struct parts {
    struct cgw_part v[CGW_PARTS_MAX];
    uint32_t n;
    char *texts[CGW_PARTS_MAX]; /* owned */
    uint32_t n_texts, lost;
};

static void add_leaf(struct parts *p, const struct mms_leaf *leaf)
{
    bool is_text = !strncmp(leaf->type, "text/", 5);
    if (!strcmp(leaf->type, "application/smil"))
        return; /* how to show it, nothing to read */
    if (p->n + 1 >= CGW_PARTS_MAX || leaf->len > CGW_BODY_MAX) { /* one is kept for the subject */
        p->lost++;
        return;
    }
    struct cgw_part *part = &p->v[p->n++];
    *part = (struct cgw_part){.role = is_text ? CGW_ROLE_TEXT : CGW_ROLE_MEDIA,
                              .len = (uint32_t)leaf->len,
                              .mime = leaf->type,
                              .name = leaf->location[0] ? leaf->location : leaf->id,
                              .body = leaf->data};
    if (!is_text)
        return;
    size_t len = 0;
    char *text = mms_mime_utf8(leaf->data, leaf->len, leaf->charset, &len);
    p->texts[p->n_texts++] = text;
    part->body = text;
    part->len = (uint32_t)(len < CGW_BODY_MAX ? len : CGW_BODY_MAX);
    part->mime = "text/plain; charset=utf-8";
}

/* Texts first: that is where keywords are. */
static void collect(struct parts *p, const struct mms_mime *mime, const struct mm7_request *q)
{
    for (int texts = 1; texts >= 0; texts--)
        for (uint32_t i = 0; mime && i < mime->n; i++)
            if (i != mime->root && (!strncmp(mime->leaves[i].type, "text/", 5)) == texts)
                add_leaf(p, &mime->leaves[i]);
    if (mime)
        p->lost += mime->skipped;
    if (q->subject[0])
        p->v[p->n++] = (struct cgw_part){.role = CGW_ROLE_SUBJECT,
                                         .len = (uint32_t)strlen(q->subject),
                                         .mime = "text/plain; charset=utf-8",
                                         .body = q->subject};
}

static bool pass_inbound(struct mms_channel *ch, struct mms_held *h, const struct cgw_inbound *m)
{
    if (ch->host->inbound(ch->inst, m, 1) == 1)
        return true;
    mms_not_now(ch, h->request);
    mms_let_go(ch, h);
    return false;
}

static void on_deliver(struct mms_channel *ch, uint64_t request, struct mm7_request *q,
                       const struct mms_mime *mime)
{
    struct parts parts = {.n = 0};
    struct mms_person from;
    char to[96];
    struct mms_held *h = mms_hold(ch, request, q, "DeliverRsp");
    if (!h) {
        mms_not_now(ch, request);
        return;
    }
    bool has_from = mms_to_number(ch, q->sender, &from);
    mms_address_strip(q->recipient, to, sizeof to);
    mms_id_normal(q->reply_charging_id);
    collect(&parts, mime, q);
    if (!has_from) { /* nobody we could ever answer or stop sending to */
        mms_count(ch, MMS_C_REQUESTS_BAD);
        reply(ch, request, 200, &q->dialect, "DeliverRsp", q->transaction, 2002, "Address error");
        mms_let_go(ch, h);
    } else {
        struct cgw_inbound m = {
            .size = sizeof m,
            .kind = CGW_IN_TEXT,
            .from = {CGW_ADDR_E164, (uint32_t)strlen(from.text), from.text},
            .to = {*to == '+' ? CGW_ADDR_E164 : CGW_ADDR_SHORTCODE, (uint32_t)strlen(to), to},
            .n_parts = parts.n,
            .parts = parts.v,
            .peer_id = q->linked_id[0] ? q->linked_id : q->transaction,
            .arrived_utc_ms = ch->host->now_utc_ms(),
            .ack = mms_ack_of(ch, h)};
        if (q->reply_charging_id[0])
            m.provider_id = q->reply_charging_id;
        if (pass_inbound(ch, h, &m))
            mms_count(ch, MMS_C_REPLIES);
    }
    ch->host->count(ch->inst, MMS_C_REPLY_PARTS_LOST, parts.lost);
    for (uint32_t i = 0; i < parts.n_texts; i++)
        mms_mime_free(parts.texts[i]);
}

/* "Read" is a click; deleting it unread is an answer to nothing. */
static void on_read(struct mms_channel *ch, uint64_t request, struct mm7_request *q)
{
    struct mms_person who;
    mms_id_normal(q->message_id);
    if (strncasecmp(q->status, "Read", 4) != 0 || !q->message_id[0]) {
        reply(ch, request, 200, &q->dialect, "ReadReplyRsp", q->transaction, 1000, "Success");
        return;
    }
    struct mms_held *h = mms_hold(ch, request, q, "ReadReplyRsp");
    if (!h) {
        mms_not_now(ch, request);
        return;
    }
    struct cgw_inbound m = {.size = sizeof m,
                            .kind = CGW_IN_CLICK,
                            .peer_id = q->message_id,
                            .provider_id = q->message_id,
                            .arrived_utc_ms = ch->host->now_utc_ms(),
                            .ack = mms_ack_of(ch, h)};
    if (mms_find_person(ch, q->message_id, q->recipient, q->sender, &who))
        m.from = (struct cgw_address){CGW_ADDR_E164, (uint32_t)strlen(who.text), who.text};
    if (pass_inbound(ch, h, &m))
        mms_count(ch, MMS_C_READ);
}

/* ---- the route ---- */

/* Some centres send a multipart and forget to say so. */
static const char *real_type(const struct cgw_http_request *req, char *out, size_t size)
{
    const char *type = req->content_type ? req->content_type : "text/xml";
    if (req->body_len < 4 || strncmp(req->body, "--", 2) != 0 ||
        !strncasecmp(type, "multipart/", 10))
        return type;
    size_t n = 2;
    while (n < req->body_len && n < 74 && req->body[n] > 0x20 && req->body[n] != '"')
        n++;
    (void)snprintf(out, size, "multipart/related; boundary=\"%.*s\"", (int)(n - 2), req->body + 2);
    return out;
}

static int read_request(const struct cgw_http_request *req, struct mms_mime **ret_mime,
                        struct mm7_request *ret, struct cgw_diag *diag)
{
    char made[160], charset[40];
    const char *type = real_type(req, made, sizeof made), *data = req->body;
    size_t len = req->body_len;
    struct mms_xml xml;
    mms_mime_charset(type, charset, sizeof charset);
    if (!strncasecmp(type, "multipart/", 10)) {
        struct mms_mime *m = *ret_mime = mms_mime_read(type, req->body, req->body_len);
        if (!m) {
            (void)snprintf(diag->text, sizeof diag->text,
                           "the multipart has no part, or is nested beyond reason");
            return CGW_EINVAL;
        }
        data = m->leaves[m->root].data;
        len = m->leaves[m->root].len;
        (void)snprintf(charset, sizeof charset, "%s", m->leaves[m->root].charset);
    }
    int rc = mms_xml_read(data, len, charset[0] ? charset : NULL, &xml, diag);
    if (!rc) {
        rc = mm7_read_request(&xml, ret);
        mms_xml_done(&xml);
    }
    return rc;
}

static void refuse_unread(struct mms_channel *ch, uint64_t request, const char *why)
{
    char text[CGW_DIAG_MAX + 64], kv[CGW_DIAG_MAX + 64];
    int n = snprintf(text, sizeof text, "This is no MM7 request: %.200s.\n", why);
    (void)snprintf(kv, sizeof kv, "msg=\"%.200s\"", why);
    ch->host->log(ch->inst, CGW_LOG_WARNING, "channel.mms.request.bad", kv);
    mms_count(ch, MMS_C_REQUESTS_BAD);
    ch->host->reply(ch->inst, request, 400, "text/plain", text, (uint32_t)n);
}

/* Not from the centre we have the account with: nothing of it is believed. */
static bool is_stranger(const struct mms_channel *ch, const struct mm7_request *q)
{
    return ch->o.relay_server_id[0] && q->relay_id[0] &&
           strcmp(ch->o.relay_server_id, q->relay_id) != 0;
}

void mms_on_request(void *arg, const struct cgw_http_request *req)
{
    struct mms_channel *ch = arg;
    struct mm7_request q;
    struct mms_mime *mime = NULL;
    struct cgw_diag diag = {.size = sizeof diag, .text = "it has no SOAP body"};
    uint64_t request = req->id;
    if (ch->draining || !ch->started) {
        mms_not_now(ch, request);
        return;
    }
    if (read_request(req, &mime, &q, &diag)) {
        refuse_unread(ch, request, diag.text);
    } else if (q.kind == MM7_OTHER || is_stranger(ch, &q)) {
        bool strange = q.kind != MM7_OTHER;
        mms_count(ch, MMS_C_REQUESTS_BAD);
        reply(ch, request, 500, &q.dialect, "VASPErrorRsp", q.transaction, strange ? 4001 : 4003,
              strange ? "Improper identification" : "Unsupported operation");
    } else if (q.kind == MM7_REPORT) {
        mms_on_report(ch, request, &q);
    } else if (q.kind == MM7_READ_REPLY) {
        on_read(ch, request, &q);
    } else {
        on_deliver(ch, request, &q, mime);
    }
    mms_mime_done(mime);
    mms_try_drained(ch);
}
