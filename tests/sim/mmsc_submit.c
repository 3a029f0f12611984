/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_submit.c - what becomes of a request, and the answer in the shape that was asked for. Faults
 * are tried in this order: authentication, HTTP status, rate, throttle, swallow, error; then the
 * message is taken, and its answer may still be lost. */
#include "mmsc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS6 "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
#define NS5 "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0"
#define SOAP "http://schemas.xmlsoap.org/soap/envelope/"

struct later {
    uint64_t id;
    int status;
    uint32_t slot;
    enum mmsc_fate fate;
    char type[96], more[64], body[2400];
    size_t len;
};

static bool chance(struct sim *sim, uint32_t purpose, int64_t permille)
{
    return sim_chance(sim_draw((uint64_t)sim->knobs.seed, purpose, sim->ordinal), permille);
}

/* ---- answers ---- */

struct words {
    const char *name, *tid, *text, *extra;
    int code;
    const char *id; /* NULL none */
};

static void soap_plain(struct later *a, const char *decl, const char *ns, const char *version,
                       const struct words *w)
{
    char id[80] = "";
    if (w->id)
        (void)snprintf(id, sizeof id, "<MessageID>%s</MessageID>", w->id);
    a->len = (size_t)snprintf(
        a->body, sizeof a->body,
        "%s<env:Envelope xmlns:env=\"" SOAP "\"><env:Header><mm7:TransactionID xmlns:mm7=\"%s\" "
        "env:mustUnderstand=\"1\">%s</mm7:TransactionID></env:Header><env:Body><%s xmlns=\"%s\">"
        "<MM7Version>%s</MM7Version><Status><StatusCode>%d</StatusCode><StatusText>%s</StatusText>"
        "%s</Status>%s</%s></env:Body></env:Envelope>",
        decl, ns, w->tid, w->name, ns, version, w->code, w->text, w->extra, id, w->name);
}

static void soap_prefixed(struct later *a, const struct words *w)
{
    a->len = (size_t)snprintf(
        a->body, sizeof a->body,
        "<?xml version=\"1.0\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"" SOAP "\" xmlns:m=\"" NS6
        "\"><SOAP-ENV:Header><m:TransactionID SOAP-ENV:mustUnderstand=\"1\"> %s "
        "</m:TransactionID></SOAP-ENV:Header><SOAP-ENV:Body><m:%s><m:MM7Version>6.8.0"
        "</m:MM7Version><m:Status><m:StatusCode> %d\n</m:StatusCode><m:StatusText>%s</m:StatusText>"
        "%s</m:Status><m:MessageID> %s </m:MessageID></m:%s></SOAP-ENV:Body></SOAP-ENV:Envelope>",
        w->tid, w->name, w->code, w->text, w->extra, w->id ? w->id : "", w->name);
}

/* No namespaces, MessageID first, words nobody knows, a comment and CDATA. */
static void soap_strange(struct later *a, const struct words *w)
{
    a->len = (size_t)snprintf(
        a->body, sizeof a->body,
        "<Envelope><Body><%s><MessageID><![CDATA[%s]]></MessageID><X-Vendor a=\"1\"/>"
        "<!-- StatusCode 2004 --><Status><StatusText>%s</StatusText>%s<StatusCode>%d</StatusCode>"
        "</Status></%s></Body></Envelope>",
        w->name, w->id ? w->id : "", w->text, w->extra, w->code, w->name);
}

static void soap_multipart(struct later *a, const struct words *w)
{
    struct later inner;
    soap_plain(&inner, "<?xml version=\"1.0\"?>", NS6, "6.8.0", w);
    a->len = (size_t)snprintf(
        a->body, sizeof a->body,
        "--b\r\nContent-Type: text/xml\r\nContent-ID: <s>\r\n\r\n%.*s\r\n--b--\r\n", (int)inner.len,
        inner.body);
    sim_copy(a->type, sizeof a->type, "multipart/related; boundary=b; start=s; type=\"text/xml\"");
}

static void write_answer(struct sim *sim, struct later *a, struct words *w)
{
    sim_copy(a->type, sizeof a->type, "text/xml; charset=utf-8");
    switch (sim->knobs.shape) {
    case 1: /* another release than the request's */
        soap_plain(a, "<?xml version=\"1.0\"?>\n<!-- a foreign namespace -->", NS5, "5.3.0", w);
        break;
    case 2:
        soap_prefixed(a, w);
        break;
    case 3:
        soap_strange(a, w);
        break;
    case 4:
        soap_multipart(a, w);
        break;
    case 5: /* GB2312, only the document says so */
        w->text = "\xb3\xc9\xb9\xa6";
        soap_plain(a, "<?xml version=\"1.0\" encoding=\"GB2312\"?>", NS6, "6.8.0", w);
        sim_copy(a->type, sizeof a->type, "text/xml");
        break;
    case 6: /* EUC-KR, the transport says so and the document lies */
        w->text = "\xbc\xba\xb0\xf8";
        soap_plain(a, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>", NS6, "6.8.0", w);
        sim_copy(a->type, sizeof a->type, "text/xml; charset=euc-kr");
        break;
    default:
        soap_plain(a, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>", NS6, "6.8.0", w);
    }
}

/* RSErrorRsp in a SOAP fault whose faultcode says the opposite. */
static void write_fault(struct sim *sim, struct later *a, const struct words *w)
{
    a->status = (int)sim->knobs.fault_http;
    sim_copy(a->type, sizeof a->type, "text/xml; charset=utf-8");
    a->len = (size_t)snprintf(
        a->body, sizeof a->body,
        "<env:Envelope xmlns:env=\"" SOAP "\"><env:Header><TransactionID xmlns=\"" NS6
        "\">%s</TransactionID></env:Header><env:Body><env:Fault><faultcode>env:Client</faultcode>"
        "<faultstring>fault</faultstring><detail><RSErrorRsp xmlns=\"" NS6 "\"><MM7Version>6.8.0"
        "</MM7Version><Status><StatusCode>%d</StatusCode><StatusText>%s</StatusText></Status>"
        "</RSErrorRsp></detail></env:Fault></env:Body></env:Envelope>",
        w->tid, w->code, w->text);
}

static void send_now(struct sim *sim, void *arg)
{
    struct later *a = arg;
    if (!sim->quitting) {
        if (a->slot != UINT32_MAX)
            mmsc_count_fate(sim->count, a->slot, a->fate);
        mmsc_answer(sim, a->id, a->status, a->type, a->more, a->body, a->len);
    }
    free(a);
}

static void send_later(struct sim *sim, struct later *a, int64_t after_ms)
{
    if (after_ms > 0)
        sim_timer_add(&sim->timers, sim->now_ms + after_ms, send_now, a);
    else
        send_now(sim, a);
}

/* ---- a message ---- */

struct message {
    char dest[20], tid[128], sender[40], id[32];
    uint64_t key;
};

static void text_of(struct mmsc_str s, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; s.at && i < s.len && n + 1 < size; i++)
        if (s.at[i] != ' ' && s.at[i] != '\n')
            out[n++] = s.at[i];
    out[n] = '\0';
}

static uint64_t key_of(const struct mmsc_request *req)
{
    const char *end = req->body + req->len;
    const char *at = memmem(req->body, req->len, "Content-Type: text/plain", 24);
    at = at ? at : req->body;
    for (const char *p = at; (p = memchr(p, '#', (size_t)(end - p))) && p + 1 < end; p++)
        if (p[1] >= '0' && p[1] <= '9')
            return strtoull(p + 1, NULL, 10);
    return sim_hash(SIM_HASH_START, at, (size_t)(end - at));
}

static void read_message(struct sim *sim, const struct mmsc_request *req, struct mmsc_str soap,
                         struct message *m)
{
    struct mmsc_str to = mmsc_text(soap, "Recipients"), from = mmsc_text(soap, "SenderAddress");
    struct mmsc_str number = to.at ? mmsc_text(to, "Number") : to;
    char dest[64];
    text_of(number, dest, sizeof dest);
    const char *digits = dest[0] == '+' ? dest + 1 : dest;
    (void)snprintf(m->dest, sizeof m->dest, "%.*s", (int)strspn(digits, "0123456789"), digits);
    text_of(mmsc_text(soap, "TransactionID"), m->tid, sizeof m->tid);
    from = from.at && mmsc_text(from, "Number").at ? mmsc_text(from, "Number")
                                                   : mmsc_text(from, "ShortCode");
    text_of(from, m->sender, sizeof m->sender);
    m->key = key_of(req);
    (void)snprintf(m->id, sizeof m->id, "mm-%llx", (unsigned long long)++sim->serial);
}

static bool over_rate(struct sim *sim)
{
    if (!sim->knobs.max_rate)
        return false;
    if (sim->now_ms - sim->rate_ms >= 100) {
        sim->rate_ms = sim->now_ms;
        sim->rate_n = 0;
    }
    return sim->rate_n++ >= sim->knobs.max_rate / 10;
}

static void refuse(struct sim *sim, struct later *a, const struct message *m, int code)
{
    struct words w = {"SubmitRsp", m->tid, "refused", "", code, NULL};
    a->fate = MMSC_REFUSED;
    a->slot = mmsc_count_take(sim->count, m->dest, m->key, false);
    sim->stats.refused++;
    if (sim->knobs.fault)
        write_fault(sim, a, &w);
    else
        write_answer(sim, a, &w);
    send_later(sim, a, sim->knobs.delay_ms);
}

static void take(struct sim *sim, struct later *a, const struct message *m)
{
    char details[120] = "";
    struct mmsc_report r;
    struct words w = {"SubmitRsp", m->tid, "Success",
                      details,     1000,   sim->knobs.no_id ? NULL : m->id};
    sim->stats.taken++;
    a->slot = mmsc_count_take(sim->count, m->dest, m->key, true);
    if (sim->knobs.detail_code) {
        w.code = 1100;
        (void)snprintf(details, sizeof details,
                       "<Details><Recipient><Number>+%s</Number><StatusCode>%d</StatusCode>"
                       "</Recipient></Details>",
                       m->dest, (int)sim->knobs.detail_code);
    }
    sim_copy(r.id, sizeof r.id, m->id);
    sim_copy(r.person, sizeof r.person, m->dest);
    sim_copy(r.sender, sizeof r.sender, m->sender);
    bool report = sim->knobs.callback[0] && chance(sim, 1, sim->knobs.report_permille);
    if (report)
        mmsc_report_later(sim, &r, sim->knobs.report_early_ms ? 0 : sim->knobs.report_delay_ms);
    if (chance(sim, 2, sim->knobs.drop_answer_permille) ||
        chance(sim, 3, sim->knobs.hang_permille)) {
        bool hang = !chance(sim, 2, sim->knobs.drop_answer_permille);
        sim->stats.ambiguous++;
        mmsc_count_fate(sim->count, a->slot, MMSC_AMBIGUOUS);
        if (!hang)
            mmsc_answer(sim, a->id, 0, "", "", "", 0);
        free(a);
        return;
    }
    a->fate = MMSC_ACCEPTED;
    sim->stats.accepted++;
    write_answer(sim, a, &w);
    if (chance(sim, 4, sim->knobs.garbage_permille)) {
        a->fate = MMSC_AMBIGUOUS;
        a->len = (size_t)snprintf(a->body, sizeof a->body, "<html><body>It works<br></body>");
    }
    send_later(sim, a, sim->knobs.report_early_ms + sim->knobs.delay_ms);
}

static void submit(struct sim *sim, struct later *a, const struct mmsc_request *req,
                   struct mmsc_str soap)
{
    struct message m;
    read_message(sim, req, soap, &m);
    sim->stats.submits++;
    sim->stats.media_bytes += req->len;
    if (over_rate(sim) || chance(sim, 5, sim->knobs.throttle_permille)) {
        sim->stats.throttled++;
        refuse(sim, a, &m, 4006);
    } else if (chance(sim, 6, sim->knobs.swallow_permille)) {
        mmsc_answer(sim, a->id, 0, "", "", "", 0);
        free(a);
    } else if (chance(sim, 7, sim->knobs.error_permille)) {
        refuse(sim, a, &m, (int)sim->knobs.error_code);
    } else {
        take(sim, a, &m);
    }
}

/* CancelReq and ReplaceReq: what was asked for by cancel_code. */
static void other(struct sim *sim, struct later *a, struct mmsc_str soap, const char *response)
{
    char tid[128];
    struct words w = {response, tid, "as told", "", (int)sim->knobs.cancel_code, NULL};
    text_of(mmsc_text(soap, "TransactionID"), tid, sizeof tid);
    write_answer(sim, a, &w);
    send_later(sim, a, sim->knobs.delay_ms);
}

/* ---- requests ---- */

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool may_enter(struct sim *sim, const struct mmsc_request *req)
{
    char want[256] = "Basic ";
    const char *in = sim->knobs.auth;
    size_t n = 6, len = strlen(in);
    if (!len)
        return true;
    for (size_t i = 0; i < len; i += 3) {
        unsigned v = (unsigned)(unsigned char)in[i] << 16 |
                     (i + 1 < len ? (unsigned)(unsigned char)in[i + 1] << 8 : 0) |
                     (i + 2 < len ? (unsigned char)in[i + 2] : 0);
        want[n++] = BASE64[v >> 18];
        want[n++] = BASE64[v >> 12 & 63];
        want[n++] = i + 1 < len ? BASE64[v >> 6 & 63] : '=';
        want[n++] = i + 2 < len ? BASE64[v & 63] : '=';
    }
    return req->authorization.at && req->authorization.len == n &&
           !memcmp(req->authorization.at, want, n);
}

static struct mmsc_str soap_of(const struct mmsc_request *req)
{
    static const char end[] = "Envelope>";
    const char *from = memmem(req->body, req->len, "<?xml", 5);
    if (!from)
        return (struct mmsc_str){req->body, req->len};
    size_t left = req->len - (size_t)(from - req->body);
    const char *stop = memmem(from + 60 < req->body + req->len ? from + 60 : from,
                              left > 60 ? left - 60 : left, end, sizeof end - 1);
    return (struct mmsc_str){from, stop ? (size_t)(stop - from) + sizeof end - 1 : left};
}

static void plain(struct sim *sim, struct later *a, int status, const char *text)
{
    a->status = status;
    sim_copy(a->type, sizeof a->type, "text/plain");
    a->len = (size_t)snprintf(a->body, sizeof a->body, "%s", text);
    if (sim->knobs.retry_after_s)
        (void)snprintf(a->more, sizeof a->more, "Retry-After: %d\r\n",
                       (int)sim->knobs.retry_after_s);
    send_later(sim, a, 0);
}

void mmsc_request(struct sim *sim, uint64_t id, const struct mmsc_request *req)
{
    struct later *a = sim_alloc(sizeof *a);
    a->id = id;
    a->status = 200;
    a->slot = UINT32_MAX;
    sim->ordinal++;
    if (!may_enter(sim, req)) {
        sim->stats.unauthorized++;
        plain(sim, a, 401, "who are you");
        return;
    }
    if (chance(sim, 8, sim->knobs.http_permille)) {
        plain(sim, a, (int)sim->knobs.http_status, "not now");
        return;
    }
    struct mmsc_str soap = soap_of(req);
    mmsc_check_submit(sim, req, soap);
    if (mmsc_has(soap, "CancelReq")) {
        sim->stats.cancels++;
        other(sim, a, soap, "CancelRsp");
    } else if (mmsc_has(soap, "ReplaceReq")) {
        sim->stats.replaces++;
        other(sim, a, soap, "ReplaceRsp");
    } else {
        submit(sim, a, req, soap);
    }
}
