/* SPDX-License-Identifier: Apache-2.0 */
/* http_int.h - between http.c (listeners, framing) and http_call.c (the life of one request on the
 * HTTP thread). */
#ifndef API_HTTP_INT_H
#define API_HTTP_INT_H

#include "api/api_int.h"
#include <microhttpd.h>

#define SLOW_GRACE_TIMES 2    /* a body may be slow for twice timeout_s ... */
#define SLOW_BYTES_PER_S 1024 /* ... then it must have come at least this fast */

/* A listening socket on an IP address (0 = any free port, told in ret_port), non-blocking; negative
 * errno. */
int http_listen(const char *address, uint16_t port_no, uint16_t *ret_port, struct diag *diag);

/* All run on the listener's thread. */
struct api_call *call_new(struct api_listener *l, const char *uri);
void call_free(struct api_call *call);
/* Judges request line and headers: sets the stage; true = suspend and queue for a worker
 * (CALL_AUTH). */
bool call_begin(struct api_call *call, const char *method, const struct peer *peer);
/* Refused before the body: CALL_REFUSE when the body is small enough to be read and thrown away,
 * else CALL_DONE. */
void call_refused(struct api_call *call);
/* A piece of the body. False: drop the connection. */
bool call_data(struct api_call *call, const char *data, size_t len);
/* The request is complete. True = suspend and queue (CALL_RUN); false = the answer is ready
 * (CALL_DONE). */
bool call_complete(struct api_call *call);
enum MHD_Result call_answer(struct api_call *call);

#endif
