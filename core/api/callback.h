/* SPDX-License-Identifier: Apache-2.0 */
/* callback.h - the listener for peers that call us (MM7 reports, voice events …): its own address,
 * port and limits, nothing of the API. Mounts the routes of plugins under /cb/<instance>/…; a
 * request waits, suspended, until the plugin answers or the deadline passes (503, which peers
 * repeat). Knows neither plugins nor rows: both come through struct callback_services. */
#ifndef API_CALLBACK_H
#define API_CALLBACK_H

#include "base/diag.h"
#include "cgw/host.h"
#include <stdint.h>

#define CALLBACK_DEADLINE_MS 30000
#define CALLBACK_CONNECTIONS 512u
#define CALLBACK_PER_IP 128u
#define CALLBACK_BODY_MAX (CGW_BODY_MAX * 4u)
#define CALLBACK_HEADERS_MAX 48u
#define CALLBACK_PENDING_MAX 512u /* requests waiting for an answer */

#define CALLBACK_AUTH_NONE CGW_HTTP_AUTH_NONE
#define CALLBACK_AUTH_BASIC CGW_HTTP_AUTH_BASIC
#define CALLBACK_AUTH_CIDR CGW_HTTP_IP_ALLOW

struct callback_route {
    const char *method, *path; /* behind /cb/<instance> */
    uint32_t auth;             /* CALLBACK_AUTH_* */
    uint32_t max_body;
    const char *user, *password; /* BASIC; borrowed, valid while the listener runs */
    /* CIDR: "192.0.2.0/24", "2001:db8::/32" …, ends with NULL; borrowed */
    const char *const *allow;
};
#define CALLBACK_NO_PATH (-1)
#define CALLBACK_NO_METHOD (-2)

/* Any thread of the listener; must not block. */
struct callback_services {
    void *ctx;
    /* Route number and description; CALLBACK_NO_PATH, CALLBACK_NO_METHOD. A secret that is not
     * configured must be given as NULL: the route is then closed, not open. */
    int (*find)(void *ctx, const char *instance, const char *method, const char *path,
                struct callback_route *ret);
    /* Hand the request over (copy it); an answer follows through callback_reply(). 0, CGW_EBUSY,
     * CGW_ESTATE (503), CGW_ENOTFOUND (404), CGW_ELIMIT (413). */
    int (*deliver)(void *ctx, const char *instance, int route, const struct cgw_http_request *req);
};

struct callback_config {
    const char *listen_address; /* "127.0.0.1" */
    uint16_t port;              /* 0 = any */
    unsigned deadline_ms;       /* 0 = CALLBACK_DEADLINE_MS */
    unsigned connections_max;   /* 0 = CALLBACK_CONNECTIONS */
    unsigned per_ip_max;        /* 0 = CALLBACK_PER_IP; a proxy in front counts as one */
    unsigned timeout_s;         /* 0 = 15 */
    /* TLS: certificate chain and private key as PEM texts, used during callback_start() only. Both
     * NULL = plain HTTP. */
    const char *tls_cert, *tls_key;
};

struct callback;
/* *ret is set before the first request can arrive (services may use it at once), NULL on failure.
 */
int callback_start(const struct callback_config *conf, const struct callback_services *services,
                   struct callback **ret, struct diag *diag) CGW_NODISCARD;
uint16_t callback_port(const struct callback *cb);
/* The answer to request `id`. Any thread, also from within deliver(). Late, doubled and unknown
 * ones are dropped and counted. */
void callback_reply(struct callback *cb, uint64_t id, uint32_t status, const char *content_type,
                    const char *body, uint32_t len);
/* Requests still waiting are answered 503. End what may call callback_reply() first: the object is
 * freed. NULL-safe, returns NULL. */
struct callback *callback_stop(struct callback *cb);

#endif
