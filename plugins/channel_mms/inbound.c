/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - what the MMSC asks us to take: delivery reports, read replies, messages of people.
 * Each is answered 1000 only when the gateway says it is stored; what the gateway does not take is
 * answered 503 and the MMSC repeats it. */
#include "instance.h"

#include "mime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REPORT_SPACE "mm7.mmstatus"

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

static void not_now(struct mms_channel *ch, uint64_t request)
{
    static const char text[] = "Not now; call again.\n";
    mms_count(ch, MMS_C_PUSHED_BACK);
    ch->host->reply(ch->inst, request, 503, "text/plain", text, sizeof text - 1);
}

/* ---- requests that wait ---- */

static struct mms_held *hold(struct mms_channel *ch, uint64_t request, const struct mm7_request *q,
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

static uint64_t ack_of(const struct mms_channel *ch, const struct mms_held *h)
{
    return (uint64_t)h->generation << 16 | ((uint64_t)(h - ch->held) + 1);
}

static void let_go(struct mms_channel *ch, struct mms_held *h)
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
            ack_of(ch, &ch->held[index]) != acks[i])
            continue;
        struct mms_held *h = &ch->held[index];
        reply(ch, h->request, 200, &h->dialect, h->response, h->transaction, 1000, "Success");
        let_go(ch, h);
    }
    mms_try_drained(ch);
}

void mms_held_refuse(struct mms_channel *ch)
{
    for (uint32_t i = 0; i < MMS_HELD_MAX; i++)
        if (ch->held[i].used) {
            not_now(ch, ch->held[i].request);
            let_go(ch, &ch->held[i]);
        }
}

/* ---- whose number is it ---- */

struct person {
    char text[MMS_PERSON_SIZE];
};

static bool to_number(const struct mms_channel *ch, const char *text, struct person *ret)
{
    char bare[96];
    mms_address_strip(text, bare, sizeof bare);
    ret->text[0] = '\0';
    return bare[0] &&
           ch->host->address_normalise(CGW_ADDR_E164, bare, ch->o.region[0] ? ch->o.region : NULL,
                                       ret->text, sizeof ret->text) == 0;
}

static bool is_ours(const struct mms_channel *ch, const char *text)
{
    char bare[96], ours[96];
    mms_address_strip(text, bare, sizeof bare);
    mms_address_strip(ch->o.default_sender, ours, sizeof ours);
    const char *a = bare[0] == '+' ? bare + 1 : bare, *b = ours[0] == '+' ? ours + 1 : ours;
    return *b && !strcmp(a, b);
}

/* The person a report speaks of. Many centres write recipient and sender the wrong way round: the
 * one we sent that MessageID to is right, else the one that is not us. */
static bool find_person(const struct mms_channel *ch, const char *id, const char *recipient,
                        const char *sender, struct person *ret)
{
    struct person a, b;
    bool has_a = to_number(ch, recipient, &a), has_b = to_number(ch, sender, &b);
    const struct mms_known_entry *e = mms_known_id(&ch->known, id);
    if (e) {
        (void)snprintf(ret->text, sizeof ret->text, "%s", e->person);
        return true;
    }
    bool swapped = has_b && (!has_a || (is_ours(ch, recipient) && !is_ours(ch, sender)));
    *ret = swapped ? b : a;
    return has_a || has_b;
}

/* ---- delivery reports ---- */

static uint32_t result_of(const char *status)
{
    static const struct {
        const char *word;
        uint32_t result;
    } words[] = {
        {"Retrieved", CGW_RES_DELIVERED}, {"Delivered", CGW_RES_DELIVERED},
        {"Expired", CGW_RES_EXPIRED},     {"Rejected", CGW_RES_FAILED},
        {"Unrecognised", CGW_RES_FAILED}, {"Unrecognized", CGW_RES_FAILED},
        {"Deferred", CGW_RES_ENROUTE},    {"Forwarded", CGW_RES_ENROUTE},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcasecmp(words[i].word, status))
            return words[i].result;
    return CGW_RES_UNKNOWN; /* Indeterminate, and what nobody knows */
}

static bool pass_report(struct mms_channel *ch, struct mms_held *h)
{
    struct person who;
    struct cgw_receipt t = {.size = sizeof t,
                            .result = h->result,
                            .flags = CGW_RESF_WHOLE,
                            .provider_id = h->id,
                            .reference = h->reference,
                            .code_space = REPORT_SPACE,
                            .raw = h->raw,
                            .arrived_utc_ms = h->arrived_utc_ms,
                            .ack = ack_of(ch, h)};
    if (find_person(ch, h->id, h->recipient, h->sender, &who))
        t.person = (struct cgw_address){CGW_ADDR_E164, (uint32_t)strlen(who.text), who.text};
    h->is_early = false; /* stored() may come from within */
    if (ch->host->receipt(ch->inst, &t, 1) == 1) {
        mms_count(ch, MMS_C_REPORTS);
        return true;
    }
    not_now(ch, h->request);
    let_go(ch, h);
    return false;
}

/* A submit to that person is written and unanswered: the report may be about it. */
static bool awaits_answer(const struct mms_channel *ch, const struct mms_held *h)
{
    struct person a, b;
    (void)to_number(ch, h->recipient, &a);
    (void)to_number(ch, h->sender, &b);
    for (uint32_t i = 0; i < ch->o.window && ch->n_used; i++) {
        const struct mms_slot *s = &ch->slots[i];
        if (s->used && s->call.active && s->call.wrote &&
            (!strcmp(s->person, a.text) || !strcmp(s->person, b.text)))
            return true;
    }
    return false;
}

static void on_report(struct mms_channel *ch, uint64_t request, struct mm7_request *q)
{
    struct mms_held *h = hold(ch, request, q, "DeliveryReportRsp");
    if (!h) {
        not_now(ch, request);
        return;
    }
    mms_id_normal(q->message_id);
    h->result = result_of(q->status);
    h->arrived_utc_ms = ch->host->now_utc_ms();
    if (!strncmp(q->aux, "ref:", 4))
        h->reference = strtoull(q->aux + 4, NULL, 10);
    (void)snprintf(h->id, sizeof h->id, "%s", q->message_id);
    (void)snprintf(h->sender, sizeof h->sender, "%s", q->sender);
    (void)snprintf(h->recipient, sizeof h->recipient, "%s", q->recipient);
    (void)snprintf(h->raw, sizeof h->raw, "%.255s", q->details);
    if (ch->o.early_hold_ms && !mms_known_id(&ch->known, h->id) && awaits_answer(ch, h)) {
        h->is_early = true;
        h->until_ms = ch->host->now_mono_ms() + ch->o.early_hold_ms;
        mms_count(ch, MMS_C_REPORTS_EARLY);
        mms_arm(ch);
        return;
    }
    (void)pass_report(ch, h);
}

/* id: the message whose answer came; NULL: a submit ended without one, so look who still waits. */
void mms_early_match(struct mms_channel *ch, const char *id)
{
    for (uint32_t i = 0; i < MMS_HELD_MAX && ch->n_held; i++) {
        struct mms_held *h = &ch->held[i];
        if (h->used && h->is_early && (id ? !strcmp(h->id, id) : !awaits_answer(ch, h)))
            (void)pass_report(ch, h);
    }
}

/* Whoever waited long enough goes on as it is: the gateway keeps what it cannot match yet. */
void mms_early_expire(struct mms_channel *ch, bool all)
{
    int64_t now = ch->host->now_mono_ms();
    for (uint32_t i = 0; i < MMS_HELD_MAX && ch->n_held; i++) {
        struct mms_held *h = &ch->held[i];
        if (h->used && h->is_early && (all || now >= h->until_ms))
            (void)pass_report(ch, h);
    }
}

int64_t mms_early_next(const struct mms_channel *ch)
{
    int64_t at = INT64_MAX;
    for (uint32_t i = 0; i < MMS_HELD_MAX && ch->n_held; i++)
        if (ch->held[i].used && ch->held[i].is_early && ch->held[i].until_ms < at)
            at = ch->held[i].until_ms;
    return at;
}

void mms_cancelled(struct mms_channel *ch, const char *id)
{
    const struct mms_known_entry *e = mms_known_id(&ch->known, id);
    struct cgw_receipt t = {.size = sizeof t,
                            .result = CGW_RES_FAILED,
                            .flags = CGW_RESF_WHOLE,
                            .provider_id = id,
                            .code_space = REPORT_SPACE,
                            .raw = "cancelled by us",
                            .arrived_utc_ms = ch->host->now_utc_ms()};
    if (e)
        t.person = (struct cgw_address){CGW_ADDR_E164, (uint32_t)strlen(e->person), e->person};
    (void)ch->host->receipt(ch->inst, &t, 1); /* not taken: the MMSC's own report follows */
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
    not_now(ch, h->request);
    let_go(ch, h);
    return false;
}

static void on_deliver(struct mms_channel *ch, uint64_t request, struct mm7_request *q,
                       const struct mms_mime *mime)
{
    struct parts parts = {.n = 0};
    struct person from;
    char to[96];
    struct mms_held *h = hold(ch, request, q, "DeliverRsp");
    if (!h) {
        not_now(ch, request);
        return;
    }
    bool has_from = to_number(ch, q->sender, &from);
    mms_address_strip(q->recipient, to, sizeof to);
    mms_id_normal(q->reply_charging_id);
    collect(&parts, mime, q);
    if (!has_from) { /* nobody we could ever answer or stop sending to */
        mms_count(ch, MMS_C_REQUESTS_BAD);
        reply(ch, request, 200, &q->dialect, "DeliverRsp", q->transaction, 2002, "Address error");
        let_go(ch, h);
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
            .ack = ack_of(ch, h)};
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
    struct person who;
    mms_id_normal(q->message_id);
    if (strncasecmp(q->status, "Read", 4) != 0 || !q->message_id[0]) {
        reply(ch, request, 200, &q->dialect, "ReadReplyRsp", q->transaction, 1000, "Success");
        return;
    }
    struct mms_held *h = hold(ch, request, q, "ReadReplyRsp");
    if (!h) {
        not_now(ch, request);
        return;
    }
    struct cgw_inbound m = {.size = sizeof m,
                            .kind = CGW_IN_CLICK,
                            .peer_id = q->message_id,
                            .provider_id = q->message_id,
                            .arrived_utc_ms = ch->host->now_utc_ms(),
                            .ack = ack_of(ch, h)};
    if (find_person(ch, q->message_id, q->recipient, q->sender, &who))
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
            (void)snprintf(diag->text, sizeof diag->text, "the multipart has no part");
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
        not_now(ch, request);
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
        on_report(ch, request, &q);
    } else if (q.kind == MM7_READ_REPLY) {
        on_read(ch, request, &q);
    } else {
        on_deliver(ch, request, &q, mime);
    }
    mms_mime_done(mime);
    mms_try_drained(ch);
}
