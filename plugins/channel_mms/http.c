/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - see http.h. The one thing to know about libcurl here: when a kept connection dies under
 * a request, it sends the request again on a new one by itself. A message that may have been taken
 * must never be sent twice, so the body refuses to be rewound once a piece of it was handed out. */
#include "http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mms_http {
    CURLM *multi;
    struct curl_slist *multi_headers, *plain_headers;
    const struct mms_options *o; /* borrowed */
    const struct cgw_host *host;
    struct cgw_inst *inst;
    struct cgw_timer *timer;
    mms_done_fn done;
    void *ctx;
    bool closed;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_rc;
static void global_init(void)
{
    global_rc = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int mms_http_global(void)
{
    (void)pthread_once(&once, global_init);
    return global_rc == CURLE_OK ? 0 : CGW_ESTATE;
}

/* ---- the body and the answer of one request ---- */

static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
    struct mms_call *c = arg;
    size_t want = size * n, got = 0;
    if (!c->wrote && c->before_ms && c->http->host->now_mono_ms() > c->before_ms)
        return CURL_READFUNC_ABORT; /* its time passed while the connection was made */
    c->wrote = true;
    while (got < want && c->piece < c->body->n_pieces) {
        size_t len = 0;
        const char *data = mms_body_piece(c->body, c->piece, &len);
        size_t take = len - c->offset < want - got ? len - c->offset : want - got;
        memcpy(out + got, data + c->offset, take);
        got += take;
        c->offset += take;
        if (c->offset == len) {
            c->piece++;
            c->offset = 0;
        }
    }
    return got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    const struct mms_call *c = arg;
    return offset == 0 && origin == SEEK_SET && !c->wrote ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
    struct mms_call *c = arg;
    size_t len = size * n;
    if (c->answer_len + len + 1 > c->answer_size) {
        size_t want = c->answer_size ? c->answer_size : 2048;
        while (want < c->answer_len + len + 1)
            want *= 2;
        char *p = want <= MMS_ANSWER_MAX ? realloc(c->answer, want) : NULL;
        if (!p)
            return 0;
        c->answer = p;
        c->answer_size = want;
    }
    memcpy(c->answer + c->answer_len, data, len);
    c->answer_len += len;
    c->answer[c->answer_len] = '\0';
    return len;
}

/* ---- the loop ---- */

static void finish(struct mms_http *h, struct mms_call *c, enum mms_sent sent)
{
    (void)curl_multi_remove_handle(h->multi, c->easy);
    c->active = false;
    h->done(h->ctx, c, sent);
}

static void settle(struct mms_http *h, struct mms_call *c, CURLcode rc)
{
    long status = 0;
    curl_off_t after = 0;
    char *type = NULL;
    if (rc == CURLE_OK) {
        (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after);
        (void)curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
        c->status = (int)status;
        c->retry_after_ms = after > 0 && after < 86400 ? (int64_t)after * 1000 : 0;
        c->answer_type = type;
        finish(h, c, MMS_ANSWERED);
        return;
    }
    c->unreachable = !c->wrote && rc != CURLE_ABORTED_BY_CALLBACK;
    (void)snprintf(c->why, sizeof c->why, "%s",
                   rc == CURLE_ABORTED_BY_CALLBACK ? "its time passed before it could be sent"
                   : rc == CURLE_WRITE_ERROR       ? "the answer is larger than 65536 bytes"
                   : rc == CURLE_SEND_FAIL_REWIND  ? "the connection ended without an answer"
                                                   : curl_easy_strerror(rc));
    finish(h, c, c->wrote ? MMS_LOST : MMS_UNWRITTEN);
}

static void collect(struct mms_http *h)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        struct mms_call *c = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode rc = m->data.result; /* m is gone with the handle's removal */
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        settle(h, c, rc);
    }
}

static void act(struct mms_http *h, curl_socket_t fd, int bits)
{
    int running = 0;
    (void)curl_multi_socket_action(h->multi, fd, bits, &running);
    if (!h->closed)
        collect(h);
}

static void on_fd(void *arg, int fd, uint32_t events)
{
    int bits = (events & (CGW_FD_READ | CGW_FD_HANGUP) ? CURL_CSELECT_IN : 0) |
               (events & CGW_FD_WRITE ? CURL_CSELECT_OUT : 0);
    act(arg, fd, bits);
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_want_fd(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct mms_http *h = arg;
    (void)easy, (void)socket;
    if (h->closed)
        return 0;
    if (what == CURL_POLL_REMOVE) {
        h->host->unwatch_fd(h->inst, fd);
        return 0;
    }
    uint32_t events =
        (what & CURL_POLL_IN ? CGW_FD_READ : 0) | (what & CURL_POLL_OUT ? CGW_FD_WRITE : 0);
    return h->host->watch_fd(h->inst, fd, events, on_fd, h) ? -1 : 0;
}

static int on_want_timer(CURLM *multi, long ms, void *arg)
{
    struct mms_http *h = arg;
    (void)multi;
    if (!h->closed)
        h->host->timer_set(h->timer, ms < 0 ? 0 : h->host->now_mono_ms() + ms);
    return 0;
}

/* ---- one account ---- */

static bool add_header(struct curl_slist **list, const char *text, const char *more)
{
    char line[600];
    (void)snprintf(line, sizeof line, "%s%s", text, more);
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return false;
    *list = longer;
    return true;
}

/* "Expect:" without a value: the wait for 100-continue costs a second with peers that do not know
 * it. */
static struct curl_slist *headers_of(const struct mms_options *o, const char *content_type)
{
    struct curl_slist *list = NULL;
    char action[220];
    (void)snprintf(action, sizeof action, "SOAPAction: \"%s\"", o->soap_action_value);
    bool ok = add_header(&list, "Content-Type: ", content_type) &&
              add_header(&list, "Expect:", "") && add_header(&list, "MIME-Version: 1.0", "") &&
              (!o->soap_action || add_header(&list, action, ""));
    for (uint32_t i = 0; i < o->n_headers && ok; i++)
        ok = add_header(&list, o->headers[i], "");
    if (!ok) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

int mms_http_new(const struct mms_options *o, const struct cgw_host *host, struct cgw_inst *inst,
                 const char *content_type, mms_done_fn done, void *ctx, struct mms_http **ret,
                 struct cgw_diag *diag)
{
    struct mms_http *h = calloc(1, sizeof *h);
    diag->code = CGW_ESTATE;
    (void)snprintf(diag->text, sizeof diag->text, "no memory for the HTTP client");
    if (!h)
        return CGW_ESTATE;
    *h = (struct mms_http){
        .o = o, .host = host, .inst = inst, .done = done, .ctx = ctx, .multi = curl_multi_init()};
    h->multi_headers = headers_of(o, content_type);
    h->plain_headers = headers_of(o, "text/xml; charset=utf-8");
    h->timer = host->timer_new(inst, on_timer, h);
    if (!h->multi || !h->multi_headers || !h->plain_headers || !h->timer) {
        h->closed = true;
        mms_http_free(h);
        return CGW_ESTATE;
    }
    (void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_want_fd);
    (void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    (void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
    (void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    (void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)o->window + 4);
    (void)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    diag->code = 0;
    diag->text[0] = '\0';
    *ret = h;
    return 0;
}

static void set_text(CURL *e, CURLoption option, const char *text)
{
    if (text[0])
        (void)curl_easy_setopt(e, option, text);
}

static void set_link(CURL *e, const struct mms_options *o)
{
    (void)curl_easy_setopt(e, CURLOPT_URL, o->url);
    (void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(e, CURLOPT_PROXY, ""); /* not what the environment happens to say */
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    set_text(e, CURLOPT_USERNAME, o->user);
    set_text(e, CURLOPT_PASSWORD, o->password);
    (void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, o->tls_verify ? 1L : 0L);
    (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, o->tls_verify ? 2L : 0L);
    set_text(e, CURLOPT_CAINFO, o->tls_ca);
    set_text(e, CURLOPT_SSLCERT, o->tls_cert);
    set_text(e, CURLOPT_SSLKEY, o->tls_key);
    set_text(e, CURLOPT_KEYPASSWD, o->tls_key_password);
    (void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    (void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
                           (long)(o->connect_timeout_ms + o->response_timeout_ms));
}

static CURL *easy_new(struct mms_http *h, struct mms_call *c)
{
    CURL *e = curl_easy_init();
    if (!e)
        return NULL;
    set_link(e, h->o);
    (void)curl_easy_setopt(e, CURLOPT_USERAGENT, "campgw");
    (void)curl_easy_setopt(e, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(e, CURLOPT_READDATA, c);
    (void)curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    (void)curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    (void)curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    return e;
}

int mms_http_send(struct mms_http *h, struct mms_call *c, const struct mms_body *body,
                  bool is_multi, int64_t before_ms)
{
    if (!c->easy)
        c->easy = easy_new(h, c);
    if (!c->easy)
        return CGW_EBUSY;
    c->http = h;
    c->body = body;
    c->piece = 0;
    c->offset = c->answer_len = 0;
    c->wrote = c->unreachable = false;
    c->before_ms = before_ms;
    c->begun_ms = h->host->now_mono_ms();
    c->status = 0;
    c->retry_after_ms = 0;
    c->answer_type = NULL;
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER,
                           is_multi ? h->multi_headers : h->plain_headers);
    (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->total);
    if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK)
        return CGW_EBUSY;
    c->active = true;
    return 0;
}

void mms_http_abort(struct mms_http *h, struct mms_call *c, const char *why)
{
    if (!c->active)
        return;
    (void)snprintf(c->why, sizeof c->why, "%s", why);
    finish(h, c, c->wrote ? MMS_LOST : MMS_UNWRITTEN);
}

void mms_call_done(struct mms_call *c)
{
    if (c->easy)
        curl_easy_cleanup(c->easy);
    free(c->answer);
    *c = (struct mms_call){0};
}

void mms_http_close(struct mms_http *h)
{
    if (h->closed)
        return;
    (void)curl_multi_cleanup(h->multi); /* gives watches back on its way */
    h->multi = NULL;
    h->closed = true;
    h->host->timer_free(h->timer);
}

void mms_http_free(struct mms_http *h)
{
    if (!h)
        return;
    h->closed = true;
    if (h->multi)
        (void)curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->multi_headers);
    curl_slist_free_all(h->plain_headers);
    free(h);
}
