/* SPDX-License-Identifier: Apache-2.0 */
/* smtp.c - one connection with libcurl, on its own thread: settings, one mail, what the peer said.
 * A connection that the peer had closed meanwhile is replaced once. See smtp.h; threads: pool.c. */
#include "smtp_int.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- what curl asks and tells (on the worker's thread) ---- */

static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
    struct smtp_job *job = ((struct worker *)arg)->job;
    size_t got;
    job->stage = EMAIL_BODY;
    if (!job->given && !job->may_write(job)) {
        job->late = true;
        return CURL_READFUNC_ABORT; /* the connection is the price: without the dot it is nothing */
    }
    got = job->read(job, out, size * n);
    job->given += got;
    /* from here on curl may write the dot at any time */
    job->complete = job->complete || got == 0 || job->given >= job->bytes;
    return got;
}

static size_t on_line(char *text, size_t size, size_t n, void *arg)
{
    struct smtp_job *job = ((struct worker *)arg)->job;
    size_t len = size * n, keep = 0;
    /* only the last line of an answer counts, and none to the QUIT that curl says by itself */
    if (!job || job->leaving || len < 4 || text[3] == '-')
        return len;
    job->code = 0;
    for (size_t i = 0; i < 3; i++)
        job->code = job->code * 10 + (text[i] - '0');
    for (; keep < len && keep < sizeof job->line - 1 && text[keep] != '\r' && text[keep] != '\n';
         keep++)
        job->line[keep] = text[keep] >= 0x20 && text[keep] < 0x7f ? text[keep] : '?';
    job->line[keep] = 0;
    job->answered = job->complete;
    return len;
}

/* The commands that leave say what the next answer is about. */
static int on_debug(CURL *easy, curl_infotype type, char *text, size_t len, void *arg)
{
    static const struct {
        const char *verb;
        enum email_stage stage;
    } verbs[] = {{"MAIL", EMAIL_MAIL}, {"RCPT", EMAIL_RCPT}, {"DATA", EMAIL_DATA}};
    struct smtp_job *job = ((struct worker *)arg)->job;
    (void)easy;
    for (size_t i = 0; job && type == CURLINFO_HEADER_OUT && len >= 4 && i < 3; i++)
        if (!memcmp(text, verbs[i].verb, 4))
            job->stage = verbs[i].stage;
    if (job && type == CURLINFO_HEADER_OUT && len >= 4 && !memcmp(text, "QUIT", 4))
        job->leaving = true;
    return 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct smtp_pool *p = ((struct worker *)arg)->pool;
    (void)a, (void)b, (void)c, (void)d;
    return __atomic_load_n(&p->aborting, __ATOMIC_ACQUIRE) ? 1 : 0;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct worker *w = arg;
    (void)purpose;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    (void)pthread_mutex_lock(&w->pool->lock);
    if (w->fd < 0)
        w->fd = fd; /* of two address families tried at once the loser is closed by curl */
    (void)pthread_mutex_unlock(&w->pool->lock);
    /* cppcheck-suppress resourceLeak ; curl's, which hands it to on_close() */
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    struct worker *w = arg;
    (void)pthread_mutex_lock(&w->pool->lock); /* so that abort() never hits a number used anew */
    if (w->fd == fd)
        w->fd = -1;
    int rc = close(fd);
    (void)pthread_mutex_unlock(&w->pool->lock);
    return rc;
}

/* ---- one connection ---- */

static void set_peer(CURL *e, const struct smtp_pool *p)
{
    const struct smtp_conf *c = &p->conf;
    (void)curl_easy_setopt(e, CURLOPT_URL, p->url);
    (void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(e, CURLOPT_PROXY, ""); /* nothing from the environment */
    (void)curl_easy_setopt(e, CURLOPT_USE_SSL,
                           c->tls == SMTP_TLS_NONE ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
    (void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, c->verify ? 1L : 0L);
    (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, c->verify ? 2L : 0L);
    if (c->ca_file)
        (void)curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    if (c->user) {
        (void)curl_easy_setopt(e, CURLOPT_USERNAME, c->user);
        (void)curl_easy_setopt(e, CURLOPT_PASSWORD, c->password);
        if (c->login)
            (void)curl_easy_setopt(e, CURLOPT_LOGIN_OPTIONS, c->login);
    }
    (void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, c->connect_ms);
    (void)curl_easy_setopt(e, CURLOPT_SERVER_RESPONSE_TIMEOUT, c->answer_s);
    (void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, c->answer_s);
    (void)curl_easy_setopt(e, CURLOPT_MAXCONNECTS, 1L);
    (void)curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* never wait for a name server at the end */
}

static CURL *handle(struct worker *w)
{
    _Static_assert(sizeof w->error >= CURL_ERROR_SIZE, "room for curl's words");
    CURL *e = w->easy ? w->easy : curl_easy_init();
    if (!e || w->easy)
        return e;
    w->easy = e;
    w->used = 0;
    set_peer(e, w->pool);
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, w->error);
    (void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(e, CURLOPT_READDATA, w);
    (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_line);
    (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, w);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_line); /* the text behind NOOP's 250 */
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, w);
    (void)curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_debug);
    (void)curl_easy_setopt(e, CURLOPT_DEBUGDATA, w);
    (void)curl_easy_setopt(e, CURLOPT_VERBOSE, 1L);
    (void)curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(e, CURLOPT_XFERINFODATA, w);
    (void)curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, w);
    (void)curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    (void)curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, w);
    return e;
}

void smtp_hang_up(struct worker *w)
{
    if (w->easy)
        curl_easy_cleanup(w->easy); /* says QUIT and waits for its answer */
    w->easy = NULL;
    w->used = 0;
}

static void cut(struct worker *w)
{
    (void)pthread_mutex_lock(&w->pool->lock);
    if (w->fd >= 0)
        (void)shutdown(w->fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&w->pool->lock);
}

static void judge(struct worker *w, struct smtp_job *job, CURLcode rc)
{
    (void)snprintf(job->why, sizeof job->why, "%.*s", (int)sizeof job->why - 1,
                   job->late     ? "too late: its window has closed"
                   : w->error[0] ? w->error
                                 : curl_easy_strerror(rc));
    job->end = rc == CURLE_OK  ? SMTP_TAKEN
               : job->complete ? (job->answered && job->code >= 400 ? SMTP_REFUSED : SMTP_UNSURE)
               : !job->late && job->code >= 400 && job->stage >= EMAIL_MAIL ? SMTP_REFUSED
                                                                            : SMTP_UNSENT;
}

static CURLcode attempt(struct worker *w, struct smtp_job *job, long *ret_connects)
{
    CURL *e = handle(w);
    struct curl_slist *to = e && job->to ? curl_slist_append(NULL, job->to) : NULL;
    CURLcode rc = CURLE_OUT_OF_MEMORY;
    *ret_connects = 0;
    w->error[0] = 0;
    job->stage = EMAIL_CONNECT;
    job->code = 0;
    job->line[0] = 0;
    job->given = 0;
    job->complete = job->answered = job->late = job->leaving = false;
    if (e && (to || !job->to)) {
        (void)curl_easy_setopt(e, CURLOPT_MAIL_FROM, job->to ? job->from : NULL);
        (void)curl_easy_setopt(e, CURLOPT_MAIL_RCPT, to);
        (void)curl_easy_setopt(e, CURLOPT_UPLOAD, job->to ? 1L : 0L);
        (void)curl_easy_setopt(e, CURLOPT_NOBODY, job->to ? 0L : 1L);
        (void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, job->to ? NULL : "NOOP");
        (void)curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)job->bytes);
        rc = curl_easy_perform(e);
        (void)curl_easy_getinfo(e, CURLINFO_NUM_CONNECTS, ret_connects);
        (void)curl_easy_setopt(e, CURLOPT_MAIL_RCPT, NULL);
    }
    curl_slist_free_all(to);
    return rc;
}

void smtp_serve(struct worker *w, struct smtp_job *job)
{
    long connects = 0;
    CURLcode rc = attempt(w, job, &connects);
    /* an old connection that the peer had given up meanwhile: nothing was said, once more anew */
    if (rc != CURLE_OK && rc != CURLE_OPERATION_TIMEDOUT && connects == 0 &&
        job->stage <= EMAIL_MAIL && (job->code == 0 || job->code == 421) && w->used > 0) {
        cut(w);
        smtp_hang_up(w);
        rc = attempt(w, job, &connects);
    }
    job->connects = (uint32_t)connects;
    w->used = connects > 0 ? 1 : w->used + 1;
    judge(w, job, rc);
}

/* ---- life ---- */

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

void smtp_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_curl);
}
