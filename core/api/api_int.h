/* SPDX-License-Identifier: Apache-2.0 */
/* api_int.h - private to core/api: one call's state, the workers, and the seams between the files.
 * Handlers include api.h only. Threads: a call belongs to the HTTP thread until it is queued, then
 * to one worker until it is resumed, then to the HTTP thread again. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "api/api.h"
#include "api/conns.h"
#include <pthread.h>
#include <stdatomic.h>

struct MHD_Connection;
struct MHD_Daemon;

#define API_URI_MAX 4096u
#define API_EXTRA_MAX 65536u /* bytes of further problem members */
/* a refused body up to this size is read and thrown away, so that the client sees the answer */
#define API_SWALLOW_MAX 1048576u
#define API_FD_NONE (-1)

struct api_pair {
    const char *name, *value;
};
struct api_path_value {
    char name[24], value[129];
};
struct api_header_out {
    char name[40], value[512];
};

/* ---- response ------------------------------------------------------------------------------- */
struct api_response_int {
    struct api_header_out headers[API_HEADERS_MAX];
    unsigned n_headers;
    int problem; /* enum api_problem_id, -1 none */
    char detail[512];
    struct buf extras; /* ,"name":value … */
    struct buf errors; /* {"pointer":…},… */
    unsigned n_errors;
    char location[160];
    char etag[40];
    bool db_error; /* api_fail() saw the database refuse: the transaction may be worth repeating */
    bool db_gone;  /* api_fail() saw the connection lost */
    int retry_after_s;
    bool replayed;
};
void response_init(struct api_response *resp, struct api_response_int *priv);
void response_done(struct api_response *resp);
void response_reset(struct api_response *resp); /* as new: before a handler is run again */
/* Turns a problem into its document; no-op for answers without one. */
void response_render(struct api_response *resp, const char *request_id);
int problem_status(enum api_problem_id id);
const char *problem_slug(enum api_problem_id id);

/* ---- request -------------------------------------------------------------------------------- */
enum call_stage {
    CALL_NEW,     /* request line seen, headers not judged yet */
    CALL_AUTH,    /* suspended before the body: a worker looks the key up */
    CALL_HEAD_OK, /* the worker let it in; the body may come */
    CALL_HEAD_NO, /* the worker refused it, the body has not come yet */
    CALL_BODY,    /* taking the body, if any */
    CALL_RUN,     /* suspended: queued or with a worker */
    CALL_REFUSE,  /* answer decided early, what comes of the body is thrown away */
    CALL_DONE,    /* answer ready to be queued */
    CALL_SENT
};

struct api_request_int {
    struct api_path_value path[API_PATH_PARAMS_MAX];
    unsigned n_path;
    struct api_pair query[API_QUERY_MAX];
    unsigned n_query;
    /* MHD's lookup; conn is suspended while a worker asks */
    const char *(*header)(void *conn, const char *name);
    void *conn;
    struct api *api;
    const char *cursor; /* decoded, "" none */
    int limit;
};

struct api_listener {
    struct api *api;
    bool local;
    struct MHD_Daemon *daemon;
    int listen_fd; /* local socket only, else -1 */
    int quiesced_fd;
    struct conns conns;
};

struct peer { /* of a connection on the local socket */
    unsigned uid;
    bool allowed;
    char name[48];
};

struct api_connection { /* socket context of the library */
    struct conn conn;
    struct peer peer; /* local socket only */
};

struct api_call {
    struct api_listener *listener;
    struct MHD_Connection *conn;
    enum call_stage stage;
    struct api_request req;
    struct api_request_int rq;
    struct api_response resp;
    struct api_response_int rs;
    struct buf body;
    struct api_stream stream;
    uint64_t body_len, body_max;
    bool takes_stream, has_body;
    bool keyed;                    /* came with an API key: rate numbers are known */
    bool need_auth;                /* the worker has to look the key up first */
    uint64_t swallowed, announced; /* announced: Content-Length; UINT64_MAX = chunked */
    char request_id[API_CLIENT_ID_MAX], traceparent[56];
    char uri[API_URI_MAX]; /* raw, then decoded in place by pieces */
    size_t uri_len;
    const char *uri_fault; /* static text, NULL none */
    int64_t started_us, body_started_ms;
    unsigned rate_left, rate_reset_s;
};

/* Splits and decodes a raw request target into path and query parameters, in place. NULL or what is
 * wrong (static text). */
const char *uri_parse(char *uri, const char **ret_path, struct api_pair *query, unsigned query_max,
                      unsigned *ret_n);
bool text_is_utf8(const char *s, size_t len);

/* ---- routing -------------------------------------------------------------------------------- */
/* Route for method and path; fills params. NULL: not found, or (ret_allowed not empty: "GET, POST")
 * the method is not one of the path's. */
const struct api_route *route_find(const char *method, const char *path,
                                   struct api_path_value *params, unsigned *ret_n,
                                   char *ret_allowed, size_t allowed_size);
/* Faults in the tables themselves (unknown scope, no handler, doubled route): checked once at
 * start. */
int routes_check(struct diag *diag);

/* ---- values --------------------------------------------------------------------------------- */
/* Checks query parameters against the route's table, limit and cursor; collects errors. */
void query_check(struct api_request *req, struct api_response *resp);
/* Strict parse: UTF-8, depth, doubled members, int64. NULL with a problem written. */
json_t *json_body_parse(struct api_response *resp, const char *text, size_t len);
/* base64url without padding (RFC 4648 5); decode answers the length or -1. */
void cursor_encode(const char *text, char *out, size_t out_size);
int cursor_decode(const char *text, char *out, size_t out_size);

/* ---- authentication ------------------------------------------------------------------------- */
#define AUTH_CACHE_MS 5000 /* a revoked or changed key may work this long on other nodes */
#define AUTH_CACHE_MAX 1024u

struct auth;
struct auth *auth_new(unsigned rate_per_min);
struct auth *auth_free(struct auth *a);
enum auth_answer {
    AUTH_OK,
    AUTH_ASK,    /* not cached: auth_lookup() on a worker */
    AUTH_REFUSED /* problem written */
};
/* Judges the Authorization header from the cache alone. now_ms: monotonic. */
enum auth_answer auth_cached(struct auth *a, struct api_call *call, const char *authorization,
                             int64_t now_ms);
/* With the database; fills the cache. AUTH_OK or AUTH_REFUSED. */
enum auth_answer auth_lookup(struct auth *a, struct db *db, struct api_call *call,
                             const char *authorization, int64_t now_ms);
/* revoked or rotated on this node: at once */
void auth_forget(struct auth *a, const char *public_id);
void auth_forget_partner(struct auth *a, int32_t partner_id); /* archived: all its keys */
/* Has the caller the route's scope? Else the problem is written. */
bool auth_scope(struct api_call *call);
bool auth_local(struct api_call *call, const struct peer *peer); /* caller of the local socket */
bool peer_read(int fd, const char *admin_group, struct peer *ret);

/* ---- idempotency ---------------------------------------------------------------------------- */
/* Key of the Idempotency-Key header: plain or a quoted structured string; false when not 1..255
 * visible ASCII characters. */
bool idem_key_parse(const char *header, char *out, size_t out_size);
void idem_fingerprint(const char *method, const char *path, const unsigned char body_sha256[32],
                      unsigned char out[32]);
/* Envelope of the stored answer; false when it cannot be stored (too large, an fd). */
bool idem_pack(const struct api_response *resp, struct buf *ret);
bool idem_unpack(struct api_response *resp, int status, const char *text, size_t len);

/* ---- spool ---------------------------------------------------------------------------------- */
int spool_open(struct api *api, struct diag *diag); /* fd or -errno */
/* 0, -ENOSPC, -EIO */
int spool_write(struct api *api, struct api_stream *s, const void *data, size_t len);
void spool_close(struct api *api, struct api_stream *s);
int spool_hash(const struct api_stream *s, unsigned char out[32]);
/* Content-Digest (RFC 9530): 1 sha-256 given, 0 none we know, -1 malformed. */
int digest_parse(const char *header, unsigned char out[32]);

/* ---- forms ---------------------------------------------------------------------------------- */
#define API_FORM_TYPE "multipart/form-data"
#define API_FORM_OVERHEAD 65536u /* bytes a form may have beside the file */
/* Makes the file in a spooled form the stream. False: the problem is written; faults of fields are
 * collected. */
bool form_unwrap(struct api_call *call);
/* Media type without parameters in lower case; false when it carries a charset other than UTF-8. */
bool media_type_parse(const char *header, char *out, size_t size);
bool media_type_listed(const char *list, const char *media); /* "a/b|c/d" */

/* ---- workers -------------------------------------------------------------------------------- */
struct worker {
    struct api *api;
    pthread_t thread;
    struct db *db; /* NULL until the first success */
    int64_t retry_at_ms;
    uint64_t failed_epoch; /* api.db_epoch when it last failed */
    int backoff_ms;
    bool started;
};
int workers_start(struct api *api, struct diag *diag);
void workers_stop(struct api *api); /* queued calls are answered draining, running ones finish */
/* Full queue: false. The call must be suspended already. */
bool workers_put(struct api *api, struct api_call *call);
bool workers_full(struct api *api);

/* ---- the process ---------------------------------------------------------------------------- */
struct api {
    struct api_config conf; /* strings owned */
    struct api_services services;
    struct auth *auth;
    struct api_listener tcp, local;
    struct worker *workers;
    unsigned n_workers;
    pthread_mutex_t lock;
    pthread_cond_t more, idle;
    struct api_call **queue; /* ring of queue_max */
    size_t q_head, q_len;
    bool stopping;
    unsigned active; /* calls between first byte and last */
    _Atomic uint64_t spool_used;
    /* +1 whenever a worker gets a connection: the others then try at once */
    _Atomic uint64_t db_epoch;
    _Atomic bool draining;
    char *openapi; /* merged document, owned */
    size_t openapi_len;
    uint16_t port;
};
int http_start(struct api *api, struct diag *diag);
void http_quiesce(struct api *api);
void http_stop(struct api *api);
void http_resume(struct api_call *call); /* from a worker, last touch of the call */
/* The process's API: handlers of system endpoints reach it through the request. */
struct api *api_of(const struct api_request *req);
int openapi_merge(char **ret, size_t *ret_len, struct diag *diag);
void api_metrics_register(void);

#endif
