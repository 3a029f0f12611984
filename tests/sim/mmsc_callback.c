/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_callback.c - what an MMSC sends by itself: delivery reports, read replies, messages of
 * people. Each is repeated until it is answered 1000, as real centres do; one connection per
 * request. */
#include "mmsc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS6 "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
#define NS5 "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0"
#define SOAP "http://schemas.xmlsoap.org/soap/envelope/"
#define TRIES_MAX 200u
#define POST_MS 35000 /* the gateway answers within 30 s */

enum post_kind { POST_REPORT, POST_READ, POST_MO };

struct post {
    struct post *next;
    enum post_kind kind;
    char tid[48];
    char *body; /* owned */
    size_t len;
    char type[128];
    uint32_t tries;
    int fd;
    size_t sent;
    char *wire; /* owned while under way */
    size_t wire_len;
    struct sim_buf in;
    int64_t until_ms;
};

struct mmsc_posts {
    struct post *active[MMSC_POSTS];
    struct post *first, **last;
    uint32_t n_waiting;
    uint64_t serial;
};

static void pump(struct sim *sim);

static struct mmsc_posts *posts_of(struct sim *sim)
{
    if (!sim->posts) {
        sim->posts = sim_alloc(sizeof *sim->posts);
        sim->posts->last = &sim->posts->first;
    }
    return sim->posts;
}

static void post_free(struct post *p)
{
    free(p->body);
    free(p->wire);
    sim_buf_done(&p->in);
    free(p);
}

static void enqueue(struct sim *sim, struct post *p)
{
    struct mmsc_posts *ps = posts_of(sim);
    if (ps->n_waiting == MMSC_POSTS_WAITING) {
        sim->stats.callbacks_lost++;
        post_free(p);
        return;
    }
    p->next = NULL;
    *ps->last = p;
    ps->last = &p->next;
    ps->n_waiting++;
}

static void again(struct sim *sim, void *arg)
{
    enqueue(sim, arg);
    pump(sim);
}

/* ---- settling ---- */

static void settle(struct sim *sim, struct post *p)
{
    struct mmsc_str answer = {(const char *)sim_buf_at(&p->in), sim_buf_left(&p->in)};
    int status = answer.len > 12 ? atoi(answer.at + 9) : 0;
    struct mmsc_str code = mmsc_text(answer, "StatusCode"),
                    tid = mmsc_text(answer, "TransactionID");
    bool ok = status == 200 && code.at && code.len == 4 && !memcmp(code.at, "1000", 4);
    if (ok && (!tid.at || tid.len != strlen(p->tid) || memcmp(tid.at, p->tid, tid.len) != 0))
        sim->stats.echo_wrong++;
    if (ok) {
        *(p->kind == POST_REPORT ? &sim->stats.reports_acked
          : p->kind == POST_READ ? &sim->stats.reads_acked
                                 : &sim->stats.mo_acked) += 1;
        post_free(p);
        return;
    }
    bool final = status >= 200 && status < 500 && status != 408;
    *(final ? (p->kind == POST_MO ? &sim->stats.mo_refused : &sim->stats.reports_refused)
            : &sim->stats.reports_pushed_back) += 1;
    if (final || ++p->tries == TRIES_MAX) {
        sim->stats.callbacks_lost += !final;
        post_free(p);
        return;
    }
    sim_buf_clear(&p->in);
    free(p->wire);
    p->wire = NULL;
    sim_timer_add(&sim->timers, sim->now_ms + sim->knobs.report_repeat_ms, again, p);
}

static void finish(struct sim *sim, uint32_t i)
{
    struct post *p = sim->posts->active[i];
    close(p->fd);
    sim->posts->active[i] = NULL;
    settle(sim, p);
    pump(sim);
}

/* ---- the wire ---- */

static bool split_url(const char *url, struct sockaddr_in *ret, char *path, size_t size)
{
    char host[64];
    unsigned port = 0;
    int at = 0;
    if (sscanf(url, "http://%63[0-9.]:%u%n", host, &port, &at) != 2 || !at)
        return false;
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    (void)snprintf(path, size, "%s", url[at] ? url + at : "/");
    return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

static void base64(const char *in, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(in);
    for (size_t i = 0; i < len; i += 3) {
        unsigned v = (unsigned)(unsigned char)in[i] << 16 |
                     (i + 1 < len ? (unsigned)(unsigned char)in[i + 1] << 8 : 0) |
                     (i + 2 < len ? (unsigned char)in[i + 2] : 0);
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < len ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[v & 63] : '=';
    }
    *out = '\0';
}

static bool begin(struct sim *sim, struct post *p, uint32_t i)
{
    struct sockaddr_in to;
    char path[256], auth[256] = "", coded[200];
    struct epoll_event ev = {.events = EPOLLOUT, .data.u64 = mmsc_ev(MMSC_EV_POST, i)};
    if (!split_url(sim->knobs.callback, &to, path, sizeof path))
        return false;
    if (sim->knobs.callback_auth[0]) {
        base64(sim->knobs.callback_auth, coded);
        (void)snprintf(auth, sizeof auth, "Authorization: Basic %s\r\n", coded);
    }
    p->wire = sim_alloc(p->len + 1024);
    int n = snprintf(p->wire, 1024,
                     "POST %s HTTP/1.1\r\nHost: mmsc\r\nContent-Type: %s\r\nSOAPAction: \"\"\r\n%s"
                     "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                     path, p->type, auth, p->len);
    memcpy(p->wire + n, p->body, p->len);
    p->wire_len = (size_t)n + p->len;
    p->sent = 0;
    p->until_ms = sim->now_ms + POST_MS;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || (connect(p->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) ||
        epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev)) {
        if (p->fd >= 0)
            close(p->fd);
        return false;
    }
    return true;
}

static void pump(struct sim *sim)
{
    struct mmsc_posts *ps = posts_of(sim);
    for (uint32_t i = 0; i < MMSC_POSTS && ps->first; i++) {
        if (ps->active[i])
            continue;
        struct post *p = ps->first;
        ps->first = p->next;
        if (!ps->first)
            ps->last = &ps->first;
        ps->n_waiting--;
        if (begin(sim, p, i))
            ps->active[i] = p;
        else
            settle(sim, p);
    }
}

void mmsc_post_event(struct sim *sim, uint32_t index, uint32_t events)
{
    struct post *p = sim->posts ? sim->posts->active[index] : NULL;
    if (!p)
        return;
    if (events & EPOLLOUT && p->sent < p->wire_len) {
        ssize_t n = send(p->fd, p->wire + p->sent, p->wire_len - p->sent, MSG_NOSIGNAL);
        p->sent += n > 0 ? (size_t)n : 0;
        if (p->sent == p->wire_len) {
            struct epoll_event ev = {.events = EPOLLIN, .data.u64 = mmsc_ev(MMSC_EV_POST, index)};
            (void)epoll_ctl(sim->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev);
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = read(p->fd, sim_buf_room(&p->in, 16384), 16384);
        p->in.len += n > 0 ? (size_t)n : 0;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            finish(sim, index);
    }
}

/* ---- what is said ---- */

static struct post *post_new(struct sim *sim, enum post_kind kind, const char *type)
{
    struct post *p = sim_alloc(sizeof *p);
    p->kind = kind;
    p->fd = -1;
    sim_copy(p->type, sizeof p->type, type);
    /* white space belongs to the id: it has to come back */
    (void)snprintf(p->tid, sizeof p->tid, "%sr-%llx%s", sim->knobs.shape ? " " : "",
                   (unsigned long long)++posts_of(sim)->serial, sim->knobs.shape ? "\t" : "");
    return p;
}

static void set_body(struct post *p, const struct sim_buf *b)
{
    p->len = sim_buf_left(b);
    p->body = sim_alloc(p->len + 1);
    memcpy(p->body, sim_buf_at(b), p->len);
}

static void begin_soap(struct sim *sim, struct sim_buf *b, const struct post *p, const char *name)
{
    const char *ns = sim->knobs.shape == 1 ? NS5 : NS6;
    sim_buf_printf(b,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?><env:Envelope xmlns:env=\"" SOAP
                   "\"><env:Header><mm7:TransactionID xmlns:mm7=\"%s\" env:mustUnderstand=\"1\">%s"
                   "</mm7:TransactionID></env:Header><env:Body><%s xmlns=\"%s\"><MM7Version>%s"
                   "</MM7Version>",
                   ns, p->tid, name, ns, sim->knobs.shape == 1 ? "5.3.0" : "6.8.0");
}

static void people(struct sim *sim, struct sim_buf *b, const struct mmsc_report *r)
{
    bool bare = sim->knobs.shape == 1 || sim->knobs.shape == 3;
    const char *to = r->person, *from = r->sender;
    if (sim->knobs.report_swap)
        to = r->sender, from = r->person;
    sim_buf_printf(b,
                   bare ? "<Recipient>%s/TYPE=PLMN</Recipient>"
                        : "<Recipient><Number>+%s</Number></Recipient>",
                   to);
    sim_buf_printf(b, bare ? "<Sender>%s</Sender>" : "<Sender><Number>%s</Number></Sender>", from);
}

static void say(struct sim *sim, const struct mmsc_report *r, bool read)
{
    struct sim_buf b = {0};
    struct post *p = post_new(sim, read ? POST_READ : POST_REPORT, "text/xml; charset=utf-8");
    const char *name = read ? "ReadReplyReq" : "DeliveryReportReq";
    begin_soap(sim, &b, p, name);
    sim_buf_printf(&b, "<MMSRelayServerID>sim</MMSRelayServerID><MessageID>%s</MessageID>", r->id);
    people(sim, &b, r);
    sim_buf_printf(&b,
                   "<TimeStamp>2026-3-4T10:34:50+08:00</TimeStamp><MMStatus>%s</MMStatus></%s>"
                   "</env:Body></env:Envelope>",
                   read ? "Read" : sim->knobs.report_status, name);
    set_body(p, &b);
    sim_buf_done(&b);
    sim->stats.reports_made++;
    enqueue(sim, p);
}

static void report_now(struct sim *sim, void *arg)
{
    struct mmsc_report *r = arg;
    if (!sim->quitting) {
        say(sim, r, false);
        if (sim->knobs.report_duplicate)
            say(sim, r, false);
        if (sim_chance(sim_draw((uint64_t)sim->knobs.seed, 9, ++posts_of(sim)->serial),
                       sim->knobs.read_permille))
            say(sim, r, true);
        pump(sim);
    }
    free(r);
}

void mmsc_report_later(struct sim *sim, const struct mmsc_report *r, int64_t after_ms)
{
    struct mmsc_report *copy = sim_alloc(sizeof *copy);
    *copy = *r;
    sim_timer_add(&sim->timers, sim->now_ms + after_ms, report_now, copy);
}

bool mmsc_mo(struct sim *sim, const char *from, const char *to, const char *text, int64_t media)
{
    struct sim_buf b = {0};
    if (!sim->knobs.callback[0])
        return false;
    struct post *p = post_new(
        sim, POST_MO, "multipart/related; boundary=mo; type=\"text/xml\"; start=\"<soap>\"");
    sim_buf_printf(&b, "--mo\r\nContent-Type: text/xml\r\nContent-ID: <soap>\r\n\r\n");
    begin_soap(sim, &b, p, "DeliverReq");
    sim_buf_printf(&b,
                   "<LinkedID>mo-%s</LinkedID><Sender><Number>%s</Number></Sender><Recipients><To>"
                   "<ShortCode>%s</ShortCode></To></Recipients><Content href=\"cid:c\"/>"
                   "</DeliverReq></env:Body></env:Envelope>\r\n--mo\r\nContent-Type: "
                   "multipart/mixed; boundary=in\r\nContent-ID: <c>\r\n\r\n--in\r\nContent-Type: "
                   "text/plain; charset=utf-8\r\n\r\n%s\r\n",
                   p->tid[0] == ' ' ? p->tid + 1 : p->tid, from, to, text);
    if (media) {
        static const char begin[] = "\xff\xd8\xff\xe0"; /* of a JPEG */
        sim_buf_printf(&b,
                       "--in\r\nContent-Type: image/jpeg\r\nContent-Location: photo.jpg\r\n\r\n");
        for (int64_t i = 0; i < media; i++)
            sim_buf_put(&b, i < 4 ? &begin[i] : "\x11", 1);
        sim_buf_printf(&b, "\r\n");
    }
    sim_buf_printf(&b, "--in--\r\n\r\n--mo--\r\n");
    set_body(p, &b);
    sim_buf_done(&b);
    sim->stats.mo_made++;
    enqueue(sim, p);
    pump(sim);
    return true;
}

void mmsc_callback_done(struct sim *sim)
{
    struct mmsc_posts *ps = sim->posts;
    for (uint32_t i = 0; ps && i < MMSC_POSTS; i++)
        if (ps->active[i]) {
            close(ps->active[i]->fd);
            post_free(ps->active[i]);
        }
    while (ps && ps->first) {
        struct post *p = ps->first;
        ps->first = p->next;
        post_free(p);
    }
    free(ps);
}
