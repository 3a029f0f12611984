/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - what handlers of the HTTP API see: routes, request, response, problems, validation,
 * lists; and how main starts the API. No business rule and no SQL here (rules live in policy/, SQL
 * in store/); no libmicrohttpd type crosses this header. Conventions as users see them:
 * core/api/README.md. Sources: RFC 9110 (HTTP), RFC 9457 (problem details), RFC 7396 (merge patch).
 *
 * A handler in ten lines:
 *
 *   static const struct api_member cap_body[] = {
 *       {"name", API_T_STRING, API_M_REQUIRED, .min = 1, .max = 120},
 *       {"max", API_T_INT, API_M_REQUIRED | API_M_NULLABLE, .min = 0, .max = 32767},
 *       {NULL}};
 *   static int caps_create(struct api_request *req, struct api_response *resp)
 *   {
 *       struct diag d;
 *       const char *name = api_str(req->json, "name", "");
 *       int rc = store_cap_create(req->db, req->scope, &req->actor, name, id, &resp->body, &d);
 *       if (rc < 0)
 *           return api_fail(req, resp, rc, &d);
 *       return api_created(resp, "/api/v1/caps/%s", id);
 *   }
 *   const struct api_route api_routes_caps[] = {
 *       {"POST", "/api/v1/caps", "caps:write", API_JSON | API_IDEM, .body = cap_body,
 *        .handler = caps_create, .summary = "Create a cap"},
 *       {NULL}};
 *
 * then one line in nouns.def and one fragment in openapi/. Authentication, scope, media type, size,
 * JSON syntax, members, query parameters, If-Match presence, idempotency and the transaction have
 * all been dealt with before a handler runs. */
#ifndef API_API_H
#define API_API_H

#include "base/buf.h"
#include "base/diag.h"
#include "content/render.h"
#include "store/store.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct api_request;
struct api_response;

/* ---- limits --------------------------------------------------------------------------------- */
#define API_PATH_PARAMS_MAX 3
#define API_PATH_MAX 512u
#define API_QUERY_MAX 24                /* query parameters of one request */
#define API_BODY_DEFAULT 65536u         /* bytes of a JSON body when the route says nothing */
#define API_BODY_JSON_MAX 1048576u      /* most a route may allow for JSON */
#define API_STREAM_DEFAULT (4ull << 30) /* bytes of a stream when the route says nothing */
#define API_ANSWER_MAX (16u << 20)      /* bytes of a JSON answer */
#define API_JSON_DEPTH 32
#define API_ERRORS_MAX 20 /* faults listed in one answer */
#define API_LIMIT_MAX 500
#define API_LIMIT_DEFAULT 50
#define API_CURSOR_MAX 256 /* bytes of a decoded cursor with NUL */
#define API_IDEM_KEY_MAX 255
#define API_HEADERS_MAX 8    /* extra headers of an answer */
#define API_CLIENT_ID_MAX 40 /* public ids with NUL */

/* ---- validation tables ---------------------------------------------------------------------- */
enum api_type {
    /* min..max = characters (code points); no control characters but those API_M_TEXT allows */
    API_T_STRING = 1,
    API_T_INT,    /* min..max = value; both 0 = any int64 */
    API_T_NUMBER, /* integer or real, min..max */
    API_T_BOOL,
    API_T_ENUM,     /* one word of `choices` "a|b|c" */
    API_T_TIME,     /* RFC 3339 with offset; api_time() gives UTC ms */
    API_T_DURATION, /* ISO 8601 "P7D", "PT15M"; min..max in ms; api_duration() */
    API_T_ID,       /* string of the form <choices>_…, e.g. choices = "aud" */
    API_T_OBJECT,   /* members; without a table any members */
    API_T_ARRAY,    /* min..max = items; members = table of the objects in it, or item_type */
    API_T_ANY,
};
#define API_M_REQUIRED 1u
#define API_M_NULLABLE 2u
#define API_M_TEXT 4u /* STRING: line breaks and tabs allowed */

struct api_member {
    const char *name;
    uint8_t type;  /* enum api_type */
    uint8_t flags; /* API_M_* */
    /* ARRAY of scalars: type of items (limits of items: item_max characters, choices) */
    uint8_t item_type;
    /* see type; max 0 = the type's own bound (STRING 1,000; ARRAY 1,000; INT and NUMBER: none when
     * min is 0 too) */
    int64_t min, max;
    int64_t item_max;
    const char *choices;
    /* ends with name NULL; tables nest at most API_JSON_DEPTH deep */
    const struct api_member *members;
};

/* ---- routes --------------------------------------------------------------------------------- */
/* takes application/json, or application/merge-patch+json for PATCH; parsed strictly, checked
 * against .body */
#define API_JSON 0x1u
/* takes the media types of .media; the body is in an unlinked file: req->stream. With API_JSON:
 * either */
#define API_STREAM 0x2u
/* transaction around the handler; an answer >= 400 rolls back; repeated on deadlock, so no other
 * effects */
#define API_TX 0x4u
#define API_IDEM 0x8u           /* Idempotency-Key accepted; implies API_TX */
#define API_IDEM_REQUIRED 0x10u /* Idempotency-Key demanded; implies API_TX */
/* changes nothing: one read-only transaction (one snapshot) around the handler */
#define API_READ 0x20u
#define API_LIST 0x40u /* `limit` and `cursor` accepted: api_page_*() */
/* If-Match demanded (428 when missing); compare with api_if_match() */
#define API_IF_MATCH 0x80u
/* public and without database: runs on the HTTP thread, must not block */
#define API_INLINE 0x100u
#define API_BODY_OPTIONAL 0x200u /* with API_JSON: an empty body reads as {} */
/* with API_STREAM: multipart/form-data with one file is taken, too; the stream is then that file */
#define API_FORM 0x800u
#define API_DB_OPTIONAL 0x400u /* the handler runs without database too: req->db is NULL then */
/* Without API_TX, API_IDEM* or API_READ the handler opens its own transactions on req->db; one left
 * open is rolled back. */

/* returns the HTTP status: use the helpers below */
typedef int (*api_handler)(struct api_request *req, struct api_response *resp);

struct api_route {
    const char *method; /* "GET" */
    const char *path;   /* "/api/v1/campaigns/{id}/start" */
    const char *scope;  /* one word of scopes.def; NULL = public */
    uint32_t flags;
    uint64_t max_body;             /* bytes; 0 = API_BODY_DEFAULT or API_STREAM_DEFAULT */
    const char *media;             /* API_STREAM: "text/csv|application/x-ndjson" */
    const struct api_member *body; /* API_JSON; NULL = the handler checks */
    /* parameters beside limit and cursor; values are strings, INT and TIME are checked as such */
    const struct api_member *query;
    api_handler handler;
    const char *summary; /* one line, same as in openapi/ */
};
/* One table per noun, ends with method NULL: handlers/<noun>.c exports `const struct api_route
 * api_routes_<noun>[]`; listed in routes.c. */
extern const struct api_route *const api_route_tables[]; /* ends with NULL */
/* "METHOD path scope" per line, "-" for public; for campgwd --dump-routes. */
void api_dump_routes(struct buf *out);

/* ---- who calls ------------------------------------------------------------------------------ */
#define API_SCOPES_MAX 64
int api_scope_bit(const char *word); /* 0..63, -1 unknown */
const char *api_scope_word(int bit); /* NULL past the end */
const char *api_scope_help(int bit);

struct api_caller {
    /* "key_…", "local:root", "" = nobody (public route): the actor of audit rows and owner of
     * idempotency keys */
    char name[64];
    int32_t partner_id;  /* 0 = owner: sees everything */
    uint32_t class_mask; /* bit CGW_CLASS_x: contact classes it may use */
    uint64_t scopes;     /* bits of api_scope_bit() */
    bool local;          /* came over the local socket */
};

/* ---- request -------------------------------------------------------------------------------- */
#define API_STREAM_NAME_MAX 101u /* bytes of a file's name in a form, with the NUL */
struct api_stream {
    int fd;                   /* unlinked file, offset 0; owned by the infrastructure */
    int64_t at;               /* where the bytes begin in it: 0 but for the file of a form */
    int64_t len;              /* bytes as received */
    int64_t spooled;          /* bytes of the file; the infrastructure's */
    bool gzip;                /* Content-Encoding: gzip; the handler (ingest) unpacks */
    unsigned char sha256[32]; /* of the bytes as received; compared with Content-Digest already */
    char media[64];           /* without parameters, lower case */
    char name[API_STREAM_NAME_MAX]; /* of the file of a form; "" none */
};

struct api_services;

struct api_request {
    const struct api_route *route;
    const char *method, *path; /* path as sent, decoded */
    const char *request_id;    /* "req_…" */
    struct api_caller caller;
    struct store_scope scope; /* of the caller: hand to every store function */
    struct store_actor actor;
    struct db *db; /* this worker's connection; NULL with API_INLINE */
    /* API_JSON: the body; NULL when it came as a stream. Borrowed. */
    json_t *json;
    /* API_STREAM: the body; NULL when it came as JSON. Borrowed. */
    struct api_stream *stream;
    const struct api_services *services;
    struct arena arena; /* freed after the answer is sent; 4 MiB */
    struct api_request_int *priv;
};
/* "" never: a route with {id} has one */
const char *api_path_param(const struct api_request *req, const char *name);
const char *api_query(const struct api_request *req, const char *name); /* NULL absent */
int64_t api_query_int(const struct api_request *req, const char *name, int64_t absent);
const char *api_header(const struct api_request *req, const char *name); /* NULL absent */
bool api_has_scope(const struct api_request *req, const char *scope);
/* CGW_CLASS_*; emergency also needs its scope */
bool api_may_class(const struct api_request *req, uint32_t contact_class);

/* Members of a checked body; `absent` when missing or null. Borrowed. */
const char *api_str(const json_t *obj, const char *name, const char *absent);
int64_t api_int(const json_t *obj, const char *name, int64_t absent);
bool api_bool(const json_t *obj, const char *name, bool absent);
bool api_has(const json_t *obj, const char *name);     /* present, also as null */
int64_t api_time(const json_t *obj, const char *name); /* UTC ms, INT64_MIN absent */
int64_t api_duration(const json_t *obj, const char *name, int64_t absent_ms);
/* RFC 3339; 0 or CGW_EINVAL */
int api_time_parse(const char *text, int64_t *ret_utc_ms) CGW_NODISCARD;
/* P[nW][nD][T[nH][nM][nS]]; 0 or CGW_EINVAL */
int api_duration_parse(const char *text, int64_t *ret_ms) CGW_NODISCARD;
void api_time_format(int64_t utc_ms, char out[25]); /* 2026-01-02T03:04:05.678Z */

/* ---- response ------------------------------------------------------------------------------- */
struct api_response {
    int status;
    /* JSON text; at most API_ANSWER_MAX. Helpers may write it for you */
    struct buf body;
    /* NULL = application/json (or problem+json); static or in req->arena */
    const char *content_type;
    /* >= 0: sent instead of body (exports), from offset 0; closed by the infrastructure */
    int fd;
    int64_t fd_len;
    const char
        *secret_json_pointer; /* "/secret": member of the answer that a stored idempotent answer
                               * must not keep (becomes null, and
                               * "<name>_shown": true is added beside it); top-level members only */
    /* After the commit (or at once without a transaction) when the answer is < 400, not for
     * replays: API_WAKE_*, who has something to do now, and what else is called on the worker. */
    unsigned wake;
    void (*after_commit)(struct api_request *req, void *arg);
    void *after_commit_arg;
    struct api_response_int *priv;
};
/* Finish with resp->body as it stands. */
int api_ok(struct api_response *resp);       /* 200 */
int api_accepted(struct api_response *resp); /* 202 */
/* 201 + Location */
int api_created(struct api_response *resp, const char *location_fmt, ...) CGW_PRINTF(2, 3);
int api_no_content(struct api_response *resp); /* 204 */
/* 0 or CGW_ELIMIT */
int api_set_header(struct api_response *resp, const char *name, const char *fmt, ...)
    CGW_PRINTF(3, 4);
/* ETag: "v<version>" */
void api_etag(struct api_response *resp, int64_t version);
/* Body from a jansson tree (reference is taken over, also on failure). Small answers only. */
int api_json(struct api_response *resp, int status, json_t *doc);

/* ---- errors: application/problem+json ------------------------------------------------------- */
enum api_problem_id {
#define API_PROBLEM(sym, status, slug, title) PROBLEM_##sym,
#include "api/problems.def"
#undef API_PROBLEM
    PROBLEM_COUNT
};
/* Throws away what the body holds; returns the status, so that `return api_problem(resp,
 * PROBLEM_NOT_FOUND, "no cap %s", id)` reads straight. detail: one sentence: what is wrong and what
 * would be right; never a number of a person, never a secret. */
int api_problem(struct api_response *resp, enum api_problem_id id, const char *detail_fmt, ...)
    CGW_PRINTF(3, 4);
/* Further members of the problem, after api_problem(): text is quoted here, json is taken as it is.
 */
void api_problem_text(struct api_response *resp, const char *name, const char *value_fmt, ...)
    CGW_PRINTF(3, 4);
void api_problem_json(struct api_response *resp, const char *name, const char *json);
/* Faults of fields: collect, then `if (api_errors(resp)) return api_invalid(resp);` → 422
 * validation-failed with errors[]. */
void api_error(struct api_response *resp, const char *pointer, const char *code,
               const char *detail_fmt, ...) CGW_PRINTF(4, 5);
unsigned api_errors(const struct api_response *resp);
int api_invalid(struct api_response *resp);
/* From a store function's answer: CGW_ENOTFOUND 404, CGW_EINVAL 422 (diag.where = pointer),
 * CGW_ELIMIT 422, CGW_EEXISTS 409 already-exists, CGW_ESTATE 409 state-conflict, CGW_EBUSY 409
 * in-use, CGW_ECONFLICT 412 version-mismatch, CGW_EDENIED 403, -ENOTCONN 503 database-unavailable,
 * -ENOSPC 507, CGW_EDB by SQLSTATE: class 22 → 422, 23505 → 409 already-exists, 23503 → 409 in-use,
 * else 500. */
int api_fail(struct api_request *req, struct api_response *resp, int rc, const struct diag *diag);

/* Check an object against a table: unknown members get the nearest known name, every fault is
 * collected with its pointer (RFC 6901). pointer: of obj itself, "" for the body. Returns the
 * number of faults found here. Used by the infrastructure for .body; call it yourself for members
 * whose form depends on others. */
unsigned api_check_members(struct api_response *resp, const json_t *obj, const char *pointer,
                           const struct api_member *table);
/* Compare If-Match with the version read (ideally FOR UPDATE): 0 = go on, else the status of a 412
 * already written. */
int api_if_match(struct api_request *req, struct api_response *resp, int64_t version);

/* ---- lists ---------------------------------------------------------------------------------- */
struct api_page {
    int limit;
    /* decoded cursor text as the store function gave it, "" = from the start. It is the client's
     * word: check it */
    const char *after;
    size_t data_at; /* private */
};
/* Reads limit and cursor (both checked before the handler ran) and writes `{"data":[` . */
void api_page_begin(struct api_request *req, struct api_response *resp, struct api_page *ret);
/* Writes `],"has_more":…,"next":…}` and the Link header; 200. last_cursor: from store_json_list().
 * The other query parameters are kept. */
int api_page_end(struct api_request *req, struct api_response *resp, const struct api_page *page,
                 bool more, const char *last_cursor);

/* ---- what main wires in --------------------------------------------------------------------- */
#define API_WAKE_DISPATCH 1u /* there may be work, or a switch, pause or route changed */
#define API_WAKE_PLANNER 2u  /* a campaign was started, paused … */
#define API_WAKE_RULES 4u    /* caps, calendars, class rules changed */
#define API_WAKE_TASKS 8u    /* tasks ended */

struct api_queue_numbers {
    int64_t waiting, in_flight, credit;
    double rate_per_s;
};

struct api_content {       /* what check_content found for one wave */
    uint32_t segments_max; /* of the route with the least room */
    char encoding[16];
    char text[CGW_DIAG_MAX];
};
struct api_decide { /* POST /decisions and `why` */
    int32_t part;
    int64_t customer_id;
    const char *address; /* normalised, borrowed; "" when only the customer is known */
    uint32_t channel, contact_class;
    int16_t purpose;
    int32_t partner_id;
    int64_t at_utc_ms;
};

/* Every member may be NULL: the part it serves then answers 503 unavailable (lists are empty). Any
 * API thread; must not block longer than the database does; buf answers are JSON texts. Negative
 * CGW_E* with diag on failure. */
struct api_services {
    void *ctx;
    void (*wake)(void *ctx, unsigned what);
    /* Before /metrics is written: bring gauges up to date. Runs on the HTTP thread, must not block.
     */
    void (*refresh_metrics)(void *ctx);
    /* Is the schema the one this program knows? CGW_EVERSION with the sentence for /ready. */
    int (*schema_check)(void *ctx, struct db *db, struct diag *diag);
    /* Reasons why this node is not ready (reaching the database is checked by the API itself):
     * appends quoted JSON strings, comma-separated; returns how many. */
    unsigned (*not_ready)(void *ctx, struct buf *ret);
    /* Plugins: documents {name, version, vendor, kind, abi, options, counters, instances[{name,
     * state, health, last_error …}]}; name NULL = all, comma-separated without brackets; else the
     * one, CGW_ENOTFOUND when not loaded. Secrets shown as "set". */
    int (*plugins)(void *ctx, const char *name, struct buf *ret, struct diag *diag);
    /* Channel instances: documents {name, plugin, channel, state, up, links …}, comma-separated. */
    int (*channels)(void *ctx, struct buf *ret, struct diag *diag);
    /* Replaces the process of an isolated instance by one of the file as it is now; returns at
     * once. CGW_ENOTFOUND, CGW_ESTATE when it runs inside the gateway or is stopping. */
    int (*channel_restart)(void *ctx, const char *instance, struct diag *diag);
    /* Channel kind (CGW_CHANNEL_*) of a configured instance; CGW_ENOTFOUND. */
    int (*instance_channel)(void *ctx, const char *instance);
    /* Live numbers of this node for (route, lane); false = nothing known. */
    bool (*queue_numbers)(void *ctx, int32_t route_id, int lane, struct api_queue_numbers *ret);
    /* Is the content right for the campaign plugin and, rendered with defaults, for the instances?
     * diag.where = pointer in content. */
    int (*check_content)(void *ctx, const char *plugin, uint32_t channel, const char *content_json,
                         size_t content_len, const char *const *fields, uint32_t n_fields,
                         const char *const *instances, uint32_t n_instances,
                         const struct render_media *media, uint32_t n_media,
                         struct api_content *ret, struct diag *diag);
    /* Same facts and same policy_decide() as the dispatcher; appends one JSON document {verdict,
     * reason, until, rule, rules_version}. */
    int (*decide)(void *ctx, struct db *db, const struct api_decide *ask, struct buf *ret,
                  struct diag *diag);
    /* Windows as compiled: appends JSON documents {from, to, rule, holiday}, comma-separated. */
    int (*windows)(void *ctx, struct db *db, const char *calendar_id, const char *region,
                   int64_t from_utc_ms, int64_t to_utc_ms, struct buf *ret, struct diag *diag);
    /* Keyed identity and normalisation (address/): wired by main so that handlers need no key. part
     * and customer_id of a normalised address. */
    int (*identity)(void *ctx, const char *normalised, int32_t *ret_part, int64_t *ret_customer_id);
};

struct api_config {
    const char *listen_address; /* "127.0.0.1"; NULL = no TCP listener */
    uint16_t port;              /* 0 = any free one: api_port() */
    /* NULL = no local socket; mode 0666, who may is decided by peer credentials */
    const char *socket_path;
    const char *admin_group; /* "campgw-admin" */
    const char *conninfo;
    const char *spool_dir;      /* for streams; files are unlinked at once */
    uint64_t spool_max_bytes;   /* of all streams together; 0 = 16 GiB */
    unsigned workers;           /* 0 = 4 */
    unsigned queue_max;         /* waiting requests; 0 = 256 */
    unsigned connections_max;   /* 0 = 2048 */
    unsigned connection_memory; /* bytes; 0 = 16384 */
    unsigned timeout_s;         /* idle connection, slow header; 0 = 15 */
    unsigned rate_per_min;      /* per key; 0 = 600 */
    const char *version;        /* product version for /version */
    const char *node;           /* node name */
    bool sandbox;               /* every answer says so */
};

struct api;
int api_start(const struct api_config *conf, const struct api_services *services, struct api **ret,
              struct diag *diag) CGW_NODISCARD;
uint16_t api_port(const struct api *api);
/* /ready answers 503, changes are refused with 503 draining */
void api_set_draining(struct api *api, bool draining);
/* No new connections, running requests finish (at most deadline_ms), everything is freed.
 * NULL-safe, returns NULL. */
struct api *api_stop(struct api *api, int deadline_ms);

#endif
