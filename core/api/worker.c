/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - the few threads that run handlers, each with its own connection: bounded queue,
 * reconnecting with back-off, transactions, idempotency. Knows nothing of HTTP framing (http.c) and
 * nothing of nouns (handlers/). */
#include "api/api_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/store_idem.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TX_TRIES 3
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 5000
#define IN_TX (API_TX | API_IDEM | API_IDEM_REQUIRED | API_READ)

/* ---- the connection ------------------------------------------------------------------------- */
static int connect_again(struct worker *w, struct diag *diag)
{
    int64_t now = clock_mono_ms();
    if (now < w->retry_at_ms && w->failed_epoch == atomic_load(&w->api->db_epoch))
        return diag_set(diag, -ENOTCONN, "", "database away; next try in %lld ms",
                        (long long)(w->retry_at_ms - now));
    int rc = w->db ? db_reopen(w->db, diag) : db_open(w->api->conf.conninfo, "api", &w->db, diag);
    if (rc == 0) {
        if (w->backoff_ms)
            log_notice("api.database.back", "worker=%u", (unsigned)(w - w->api->workers));
        w->backoff_ms = 0;
        w->retry_at_ms = 0;
        atomic_fetch_add(&w->api->db_epoch, 1);
        return 0;
    }
    if (!w->backoff_ms) { /* complain once, then only when it is back */
        char msg[300];
        log_warning("api.database.away", "worker=%u msg=\"%s\"", (unsigned)(w - w->api->workers),
                    log_quote(diag->text, msg, sizeof msg));
    }
    w->backoff_ms = w->backoff_ms ? w->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (w->backoff_ms > BACKOFF_MAX_MS)
        w->backoff_ms = BACKOFF_MAX_MS;
    w->retry_at_ms = clock_mono_ms() + w->backoff_ms;
    w->failed_epoch = atomic_load(&w->api->db_epoch);
    return -ENOTCONN;
}

/* A live connection, found so by a round trip: nothing of the request has happened yet, so a stale
 * one may be replaced. */
static int ensure_db(struct worker *w, struct diag *diag)
{
    if (w->db && db_is_up(w->db) && store_ping(w->db, diag) == 0)
        return 0;
    return connect_again(w, diag);
}

/* ---- checks that need no database ----------------------------------------------------------- */
static bool parse_json(struct api_call *call)
{
    const struct api_route *r = call->req.route;
    if (!(r->flags & API_JSON) || call->takes_stream)
        return true;
    const char *text = call->body.len ? call->body.data : "";
    size_t len = call->body.len;
    if (!len && (r->flags & API_BODY_OPTIONAL)) {
        text = "{}";
        len = 2;
    }
    call->req.json = json_body_parse(&call->resp, text, len);
    if (call->req.json && r->body)
        (void)api_check_members(&call->resp, call->req.json, "", r->body);
    return call->req.json != NULL;
}

static bool check_digest(struct api_call *call)
{
    unsigned char want[32], have[32];
    const char *h = api_header(&call->req, "Content-Digest");
    int given = h ? digest_parse(h, want) : 0;
    if (given < 0) {
        (void)api_problem(&call->resp, PROBLEM_MALFORMED_REQUEST,
                          "Content-Digest must read sha-256=:<base64>: .");
        return false;
    }
    if (call->takes_stream) {
        if (spool_hash(&call->stream, have) < 0) {
            (void)api_problem(&call->resp, PROBLEM_INTERNAL, "The upload could not be read back.");
            return false;
        }
        memcpy(call->stream.sha256, have, sizeof have);
    } else if (given) {
        crypto_hash_sha256(have, (const unsigned char *)(call->body.len ? call->body.data : ""),
                           call->body.len);
    }
    if (!given || !memcmp(want, have, sizeof have))
        return true;
    (void)api_problem(
        &call->resp, PROBLEM_DIGEST_MISMATCH,
        "What arrived does not have the SHA-256 that Content-Digest says; send it again.");
    return false;
}

static bool check_if_match(struct api_call *call)
{
    if (!(call->req.route->flags & API_IF_MATCH) || api_header(&call->req, "If-Match"))
        return true;
    (void)api_problem(&call->resp, PROBLEM_IF_MATCH_REQUIRED,
                      "Send If-Match with the ETag of the answer you are changing.");
    return false;
}

/* Everything the tables say about a request; true = the handler may see it. */
static bool check_request(struct api_call *call)
{
    query_check(&call->req, &call->resp);
    if (!check_if_match(call) || !check_digest(call) || !parse_json(call))
        return false;
    if (call->takes_stream && !strcmp(call->stream.media, API_FORM_TYPE) && !form_unwrap(call))
        return false;
    if (api_errors(&call->resp)) {
        (void)api_invalid(&call->resp);
        return false;
    }
    return true;
}

/* ---- idempotency ---------------------------------------------------------------------------- */
struct idem {
    bool used;
    char key[API_IDEM_KEY_MAX + 1];
    unsigned char fingerprint[32];
};

static bool idem_begin(struct api_call *call, struct idem *ret)
{
    const struct api_route *r = call->req.route;
    *ret = (struct idem){0};
    if (!(r->flags & (API_IDEM | API_IDEM_REQUIRED)))
        return true;
    const char *h = api_header(&call->req, "Idempotency-Key");
    if (!h && (r->flags & API_IDEM_REQUIRED)) {
        (void)api_problem(&call->resp, PROBLEM_IDEM_KEY_MISSING,
                          "Send Idempotency-Key, so that a repeated request cannot take effect "
                          "twice; a UUID will do.");
        return false;
    }
    if (!h)
        return true;
    if (!idem_key_parse(h, ret->key, sizeof ret->key)) {
        (void)api_problem(&call->resp, PROBLEM_MALFORMED_REQUEST,
                          "Idempotency-Key must be 1 to %d visible ASCII characters.",
                          API_IDEM_KEY_MAX);
        return false;
    }
    unsigned char sha[32];
    if (call->takes_stream)
        memcpy(sha, call->stream.sha256, sizeof sha);
    else
        crypto_hash_sha256(sha, (const unsigned char *)(call->body.len ? call->body.data : ""),
                           call->body.len);
    idem_fingerprint(r->method, call->req.path, sha, ret->fingerprint);
    ret->used = true;
    return true;
}

/* True: run the handler. False: the answer is there (replay or refusal). */
static bool idem_take(struct worker *w, struct api_call *call, const struct idem *idem)
{
    struct diag d = {0};
    enum store_idem found;
    int status = 0;
    struct buf answer;
    buf_init(&answer, STORE_IDEM_ANSWER_MAX);
    int rc = store_idem_take(w->db, call->req.caller.name, idem->key, idem->fingerprint, &found,
                             &status, &answer, &d);
    if (rc < 0) {
        (void)api_fail(&call->req, &call->resp, rc, &d);
    } else if (found == STORE_IDEM_REPLAY) {
        if (!idem_unpack(&call->resp, status, answer.data, answer.len))
            (void)api_problem(&call->resp, PROBLEM_INTERNAL, "The stored answer cannot be read.");
    } else if (found == STORE_IDEM_OTHER_BODY) {
        (void)api_problem(
            &call->resp, PROBLEM_IDEM_KEY_REUSED,
            "This key was used for a different request; use a new key for a new request.");
    } else if (found == STORE_IDEM_RUNNING) {
        call->rs.retry_after_s = 1;
        (void)api_problem(&call->resp, PROBLEM_IDEM_IN_PROGRESS,
                          "A request with this key is still running; ask again for its answer.");
    }
    buf_done(&answer);
    return rc == 0 && found == STORE_IDEM_NEW;
}

static int idem_save(struct worker *w, struct api_call *call, const struct idem *idem,
                     struct diag *diag)
{
    struct buf text;
    buf_init(&text, STORE_IDEM_ANSWER_MAX + 1024);
    int rc = idem_pack(&call->resp, &text)
                 ? 0
                 : diag_set(diag, CGW_ELIMIT, "", "the answer cannot be kept for repeats");
    if (rc == 0)
        rc = store_idem_save(w->db, call->req.caller.name, idem->key, idem->fingerprint,
                             call->resp.status, text.data, text.len, diag);
    buf_done(&text);
    return rc;
}

/* ---- running a handler ---------------------------------------------------------------------- */
static int run_handler(struct api_call *call)
{
    int status = call->req.route->handler(&call->req, &call->resp);
    if (call->resp.status != status) { /* our own bug: a handler must finish with a helper */
        log_error("api.handler.status", "route=\"%s %s\" returned=%d set=%d",
                  call->req.route->method, call->req.route->path, status, call->resp.status);
        return api_problem(&call->resp, PROBLEM_INTERNAL, "The handler did not finish its answer.");
    }
    return status;
}

/* Handler, stored answer, commit. True: settled; false: the database asks to repeat. */
static bool run_tx_once(struct worker *w, struct api_call *call, const struct idem *idem)
{
    struct diag d = {0};
    int rc = call->req.route->flags & API_READ ? store_begin_read(w->db, &d) : db_begin(w->db, &d);
    if (rc < 0) {
        (void)api_fail(&call->req, &call->resp, rc, &d);
        return true;
    }
    if (idem->used && !idem_take(w, call, idem)) {
        db_rollback(w->db);
        return !(call->rs.db_error && db_retryable(w->db));
    }
    if (run_handler(call) >= 400) {
        bool repeat = call->rs.db_error && db_retryable(w->db);
        db_rollback(w->db);
        return !repeat;
    }
    rc = idem->used ? idem_save(w, call, idem, &d) : 0;
    if (rc == 0)
        rc = db_commit(w->db, &d);
    if (rc == 0)
        return true;
    (void)api_fail(&call->req, &call->resp, rc, &d);
    bool repeat = rc == CGW_EDB && db_retryable(w->db);
    db_rollback(w->db);
    return !repeat;
}

static void run_tx(struct worker *w, struct api_call *call)
{
    struct idem idem;
    if (!idem_begin(call, &idem))
        return;
    for (int i = 0; i < TX_TRIES; i++) {
        if (i)
            response_reset(&call->resp);
        if (run_tx_once(w, call, &idem))
            return;
    }
    call->rs.retry_after_s = 1;
    (void)api_problem(&call->resp, PROBLEM_DATABASE_UNAVAILABLE,
                      "Others change the same rows right now; try again.");
}

static void follow_up(struct api_call *call)
{
    const struct api_services *s = call->req.services;
    if (call->resp.wake && s->wake)
        s->wake(s->ctx, call->resp.wake);
    if (call->resp.after_commit)
        call->resp.after_commit(&call->req, call->resp.after_commit_arg);
}

static void log_failure(const struct api_call *call, const struct worker *w)
{
    char msg[600];
    if (call->resp.status >= 500 && call->rs.problem >= 0)
        log_error("api.request.failed", "request=%s route=\"%s %s\" sqlstate=%s msg=\"%s\"",
                  call->request_id, call->req.route->method, call->req.route->path,
                  call->rs.db_error && w->db ? db_sqlstate(w->db) : "",
                  log_quote(call->rs.detail, msg, sizeof msg));
}

static bool need_database(struct worker *w, struct api_call *call)
{
    struct diag d = {0};
    if (ensure_db(w, &d) == 0) {
        call->req.db = w->db;
        return true;
    }
    if (call->req.route->flags & API_DB_OPTIONAL)
        return true;
    call->rs.retry_after_s = 2;
    (void)api_problem(&call->resp, PROBLEM_DATABASE_UNAVAILABLE,
                      "The database does not answer; nothing was changed.");
    return false;
}

/* Looks the key up when that is still to be done. False: refused, answer written. */
static bool authenticate(struct worker *w, struct api_call *call)
{
    if (!call->need_auth)
        return true;
    call->need_auth = false;
    if (!need_database(w, call))
        return false;
    if (auth_lookup(w->api->auth, w->db, call, api_header(&call->req, "Authorization"),
                    clock_mono_ms()) != AUTH_OK)
        return false;
    return auth_scope(call);
}

static void run_call(struct worker *w, struct api_call *call)
{
    call->stage = CALL_DONE;
    call->req.scope.partner_id = call->req.caller.partner_id;
    call->req.actor = (struct store_actor){.partner_id = call->req.caller.partner_id,
                                           .name = call->req.caller.name,
                                           .request_id = call->request_id};
    if (!check_request(call) || !need_database(w, call))
        return;
    if (call->req.route->flags & IN_TX) {
        run_tx(w, call);
    } else {
        (void)run_handler(call);
        if (w->db)
            db_rollback(w->db);
    }
    if (call->resp.status < 400 && !call->rs.replayed)
        follow_up(call);
    log_failure(call, w);
}

static void serve(struct worker *w, struct api_call *call)
{
    bool before_body = call->stage == CALL_AUTH;
    if (!authenticate(w, call))
        call->stage = before_body ? CALL_HEAD_NO : CALL_DONE;
    else if (before_body)
        call->stage = CALL_HEAD_OK;
    else
        run_call(w, call);
    json_decref(call->req.json);
    call->req.json = NULL;
    http_resume(call);
}

/* ---- the queue ------------------------------------------------------------------------------ */
static struct api_call *take_call(struct api *api)
{
    struct api_call *call = NULL;
    (void)pthread_mutex_lock(&api->lock);
    while (!api->q_len && !api->stopping)
        (void)pthread_cond_wait(&api->more, &api->lock);
    if (api->q_len) {
        call = api->queue[api->q_head];
        api->q_head = (api->q_head + 1) % api->conf.queue_max;
        api->q_len--;
    }
    (void)pthread_mutex_unlock(&api->lock);
    return call;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    for (struct api_call *call; (call = take_call(w->api));) {
        bool stopping;
        (void)pthread_mutex_lock(&w->api->lock);
        stopping = w->api->stopping;
        (void)pthread_mutex_unlock(&w->api->lock);
        if (!stopping) {
            serve(w, call);
            continue;
        }
        call->stage = call->stage == CALL_AUTH ? CALL_HEAD_NO : CALL_DONE;
        (void)api_problem(&call->resp, PROBLEM_DRAINING,
                          "This node is shutting down; nothing was changed.");
        http_resume(call);
    }
    return NULL;
}

int workers_start(struct api *api, struct diag *diag)
{
    api->queue = calloc(api->conf.queue_max, sizeof *api->queue);
    api->workers = calloc(api->conf.workers, sizeof *api->workers);
    if (!api->queue || !api->workers)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    api->n_workers = api->conf.workers;
    for (unsigned i = 0; i < api->n_workers; i++) {
        struct worker *w = &api->workers[i];
        w->api = api;
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            return diag_set(diag, -EAGAIN, "", "cannot start API worker %u", i);
        w->started = true;
    }
    return 0;
}

void workers_stop(struct api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    api->stopping = true;
    (void)pthread_cond_broadcast(&api->more);
    (void)pthread_mutex_unlock(&api->lock);
    for (unsigned i = 0; i < api->n_workers; i++) {
        if (api->workers[i].started)
            (void)pthread_join(api->workers[i].thread, NULL);
        db_close(api->workers[i].db);
    }
    free(api->workers);
    free(api->queue);
    api->workers = NULL;
    api->queue = NULL;
    api->n_workers = 0;
}

bool workers_put(struct api *api, struct api_call *call)
{
    (void)pthread_mutex_lock(&api->lock);
    bool ok = api->q_len < api->conf.queue_max && !api->stopping;
    if (ok) {
        api->queue[(api->q_head + api->q_len++) % api->conf.queue_max] = call;
        (void)pthread_cond_signal(&api->more);
    }
    (void)pthread_mutex_unlock(&api->lock);
    return ok;
}

bool workers_full(struct api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    bool full = api->q_len >= api->conf.queue_max;
    (void)pthread_mutex_unlock(&api->lock);
    return full;
}
