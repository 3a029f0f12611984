/* SPDX-License-Identifier: Apache-2.0 */
/* smtp.c - see smtp.h. Each thread owns one curl handle and with it at most one connection, which
 * it reuses, closes after `per_connection` messages or `idle_s` without one, and replaces once when
 * the peer had closed it meanwhile. The thread that rested last works first, so that little traffic
 * keeps few connections. */
#include "smtp.h"

#include "cgw/types.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)512 * 1024)
#define FAREWELL_MS 200

struct worker {
    struct smtp_pool *pool;
    pthread_t thread;
    pthread_cond_t wake;
    CURL *easy;           /* NULL: no connection */
    struct smtp_job *job; /* being sent */
    struct worker *below; /* resting stack */
    uint32_t used;        /* messages on this connection */
    int fd;               /* of the connection, -1 none; closed under the lock only */
    bool started;
    char error[CURL_ERROR_SIZE];
};

struct smtp_pool {
    struct smtp_conf conf;
    char url[400];
    void (*ended)(void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    struct worker *resting;
    struct smtp_job *done, **done_end;
    bool stopping, aborting;
    uint32_t at_work, n_resting; /* threads */
    pthread_cond_t left;
    struct worker workers[SMTP_CONNECTIONS_MAX];
};

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

static void hang_up(struct worker *w)
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
                   job->late ? "too late: its window has closed"
                   : w->error[0] ? w->error
                                 : curl_easy_strerror(rc));
    job->end = rc == CURLE_OK ? SMTP_TAKEN
               : job->complete
                   ? (job->answered && job->code >= 400 ? SMTP_REFUSED : SMTP_UNSURE)
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

static void serve(struct worker *w, struct smtp_job *job)
{
    long connects = 0;
    CURLcode rc = attempt(w, job, &connects);
    /* an old connection that the peer had given up meanwhile: nothing was said, once more anew */
    if (rc != CURLE_OK && rc != CURLE_OPERATION_TIMEDOUT && connects == 0 &&
        job->stage <= EMAIL_MAIL && (job->code == 0 || job->code == 421) && w->used > 0) {
        cut(w);
        hang_up(w);
        rc = attempt(w, job, &connects);
    }
    job->connects = (uint32_t)connects;
    w->used = connects > 0 ? 1 : w->used + 1;
    judge(w, job, rc);
}

/* ---- threads ---- */

/* Lock held. Free for work from now on, and that is told: the owner waits for it. */
static void push(struct worker *w)
{
    w->below = w->pool->resting;
    w->pool->resting = w;
    w->pool->n_resting++;
    w->pool->ended(w->pool->ctx);
}

static void unlink_worker(struct worker *w)
{
    struct worker **at = &w->pool->resting;
    while (*at && *at != w)
        at = &(*at)->below;
    if (*at) {
        *at = w->below;
        w->pool->n_resting--;
    }
}

/* Lock held, and left for the time of the farewell. */
static void leave(struct worker *w)
{
    (void)pthread_mutex_unlock(&w->pool->lock);
    hang_up(w);
    (void)pthread_mutex_lock(&w->pool->lock);
}

/* Lock held. Waits for work; hangs up when none comes. NULL: the pool ends. */
static struct smtp_job *rest(struct worker *w)
{
    struct smtp_pool *p = w->pool;
    push(w);
    while (!w->job && !p->stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += p->conf.idle_s;
        int rc = w->easy ? pthread_cond_timedwait(&w->wake, &p->lock, &until)
                         : pthread_cond_wait(&w->wake, &p->lock);
        if (rc != ETIMEDOUT || w->job || p->stopping)
            continue;
        unlink_worker(w); /* no job while a slow peer takes its leave */
        leave(w);
        push(w);
    }
    return w->job;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct smtp_pool *p = w->pool;
    struct smtp_job *job;
    (void)pthread_mutex_lock(&p->lock);
    while ((job = rest(w))) {
        (void)pthread_mutex_unlock(&p->lock);
        serve(w, job);
        (void)pthread_mutex_lock(&p->lock);
        w->job = NULL;
        job->next = NULL;
        *p->done_end = job;
        p->done_end = &job->next;
        if (w->used >= p->conf.per_connection) {
            p->ended(p->ctx); /* the result need not wait for the farewell */
            leave(w);
        }
    }
    leave(w);
    p->at_work--;
    (void)pthread_cond_signal(&p->left);
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

bool smtp_pool_send(struct smtp_pool *p, struct smtp_job *job)
{
    (void)pthread_mutex_lock(&p->lock);
    struct worker *w = p->stopping || p->aborting ? NULL : p->resting;
    if (w) {
        p->resting = w->below;
        p->n_resting--;
        w->job = job;
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return w != NULL;
}

uint32_t smtp_pool_resting(struct smtp_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    uint32_t n = p->n_resting;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

struct smtp_job *smtp_pool_ended(struct smtp_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    struct smtp_job *all = p->done;
    p->done = NULL;
    p->done_end = &p->done;
    (void)pthread_mutex_unlock(&p->lock);
    return all;
}

uint32_t smtp_pool_open(struct smtp_pool *p)
{
    uint32_t n = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->conf.connections; i++)
        n += p->workers[i].fd >= 0;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

void smtp_pool_abort(struct smtp_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    __atomic_store_n(&p->aborting, true, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < p->conf.connections; i++)
        if (p->workers[i].job && p->workers[i].fd >= 0)
            (void)shutdown(p->workers[i].fd, SHUT_RDWR); /* ends every wait of curl at once */
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct smtp_pool *smtp_pool_new(const struct smtp_conf *conf, void (*ended)(void *ctx), void *ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_curl);
    struct smtp_pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->conf = *conf;
    p->ended = ended;
    p->ctx = ctx;
    p->done_end = &p->done;
    bool v6 = strchr(conf->host, ':') != NULL;
    (void)snprintf(p->url, sizeof p->url, "smtp%s://%s%.200s%s:%u/%.120s",
                   conf->tls == SMTP_TLS_IMPLICIT ? "s" : "", v6 ? "[" : "", conf->host,
                   v6 ? "]" : "", conf->port, conf->helo);
    (void)pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t mono;
    (void)pthread_condattr_init(&mono);
    (void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->left, &mono);
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++) {
        p->workers[i].pool = p;
        p->workers[i].fd = -1;
        (void)pthread_cond_init(&p->workers[i].wake, &mono);
    }
    (void)pthread_condattr_destroy(&mono);
    return p;
}

int smtp_pool_start(struct smtp_pool *p)
{
    pthread_attr_t attr;
    int rc = 0;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (uint32_t i = 0; i < p->conf.connections && !rc; i++) {
        rc = -pthread_create(&p->workers[i].thread, &attr, work, &p->workers[i]);
        p->workers[i].started = rc == 0;
        p->at_work += rc == 0;
    }
    (void)pthread_attr_destroy(&attr);
    return rc;
}

/* Lock held. A moment for QUIT and its answer, then whoever still waits is cut off. */
static void farewell(struct smtp_pool *p)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += FAREWELL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (p->at_work && pthread_cond_timedwait(&p->left, &p->lock, &until) == 0)
        ;
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        if (p->workers[i].fd >= 0)
            (void)shutdown(p->workers[i].fd, SHUT_RDWR);
}

void smtp_pool_stop(struct smtp_pool *p)
{
    smtp_pool_abort(p);
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        (void)pthread_cond_signal(&p->workers[i].wake);
    farewell(p);
    (void)pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        if (p->workers[i].started)
            (void)pthread_join(p->workers[i].thread, NULL);
}

void smtp_pool_free(struct smtp_pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        (void)pthread_cond_destroy(&p->workers[i].wake);
    (void)pthread_cond_destroy(&p->left);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
