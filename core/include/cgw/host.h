/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - the services that the gateway gives to plugins, as one table of functions.
 * Unless a member says "any thread", call it from the instance's loop thread only. All strings are
 * copied. */
#ifndef CGW_HOST_H
#define CGW_HOST_H

#include "cgw/channel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CGW_LOG_ERROR 3u
#define CGW_LOG_WARNING 4u
#define CGW_LOG_INFO 6u
#define CGW_LOG_DEBUG 7u

#define CGW_FD_READ 1u
#define CGW_FD_WRITE 2u
#define CGW_FD_HANGUP 4u /* delivered, never asked for */

struct cgw_timer; /* opaque */
typedef void (*cgw_timer_cb)(void *arg);
typedef void (*cgw_fd_cb)(void *arg, int fd, uint32_t events);

/* An HTTP request on the callback listener; owned by the plugin from the handler call until
 * reply(). */
struct cgw_http_request {
    uint32_t size;
    uint32_t body_len;
    uint64_t id;                       /* pass to reply() */
    const char *method, *path, *query; /* path behind /cb/<instance> */
    const char *content_type;          /* may be NULL */
    const char *body;
    const char *const *headers; /* name, value, name, value ..., NULL */
};
#define CGW_HTTP_AUTH_NONE 0u
#define CGW_HTTP_AUTH_BASIC 1u /* instance options `callback_user`, `callback_password` */
#define CGW_HTTP_IP_ALLOW 2u   /* instance option `callback_allow`, a list of CIDR      */
struct cgw_http_route {
    const char *method; /* "POST" */
    const char *path;   /* "/report" */
    uint32_t auth;      /* CGW_HTTP_* */
    uint32_t max_body;  /* bytes, at most CGW_BODY_MAX * 4; 413 beyond */
    void (*handler)(void *ch, const struct cgw_http_request *req); /* on the loop thread */
};

struct cgw_host {
    uint32_t size;      /* sizeof(struct cgw_host) of the gateway: members beyond it are absent */
    uint32_t abi_minor; /* what the gateway offers */

    /* -- clocks, any thread */
    int64_t (*now_mono_ms)(void);
    int64_t (*now_utc_ms)(void);

    /* -- log, any thread. `event` is a stable dotted name; kv is "key=value key=value" already
     * formatted, may be "". Never pass message bodies or secrets; pass numbers through mask(). */
    void (*log)(struct cgw_inst *inst, uint32_t level, const char *event, const char *kv);
    /* Writes a masked form ("+98912***4567") into out, at least 24 bytes. Any thread. */
    void (*mask)(const char *address, char *out, size_t out_size);
    /* Add n to a counter declared in the descriptor (index into cgw_plugin_desc.counters). Any
     * thread. */
    void (*count)(struct cgw_inst *inst, uint32_t counter, uint64_t n);

    /* -- options; valid during create() only. Keys are those of the option schema, already checked
     * and defaulted. */
    int64_t (*conf_int)(const struct cgw_conf *conf, const char *key);
    const char *(*conf_str)(const struct cgw_conf *conf,
                            const char *key); /* NULL when unset and no default; secrets resolved */
    uint32_t (*conf_count)(const struct cgw_conf *conf,
                           const char *key); /* members of a list option, else 0 */
    const char *(*conf_item)(const struct cgw_conf *conf, const char *key, uint32_t i);
    const char *(*inst_name)(const struct cgw_inst *inst);

    /* -- messages */
    /* Tell how many more messages of this lane may be handed over (absolute, replaces the former
     * figure). The gateway commits an intent only against credit. Count in messages; keep room for
     * multi-segment ones. */
    void (*credit)(struct cgw_inst *inst, uint32_t lane, uint32_t n);
    /* Settle taken messages; never fails: a result slot is held for every message handed over. Any
     * thread. */
    void (*complete)(struct cgw_inst *inst, const struct cgw_result *results, uint32_t n);
    /* Pass receipts or inbound on. \return how many were taken (a prefix); the rest is the peer's
     * to repeat (0x64, 503). Taken ones come back through stored() when durable. Any thread. */
    uint32_t (*receipt)(struct cgw_inst *inst, const struct cgw_receipt *items, uint32_t n);
    uint32_t (*inbound)(struct cgw_inst *inst, const struct cgw_inbound *items, uint32_t n);
    /* All in-flight messages are settled after drain(). */
    void (*drained)(struct cgw_inst *inst);

    /* -- the loop */
    struct cgw_timer *(*timer_new)(struct cgw_inst *inst, cgw_timer_cb cb, void *arg);
    void (*timer_set)(struct cgw_timer *t, int64_t at_mono_ms); /* 0 = disarm */
    void (*timer_free)(struct cgw_timer *t);
    int (*watch_fd)(struct cgw_inst *inst, int fd, uint32_t events, cgw_fd_cb cb,
                    void *arg); /* again = change; level-triggered */
    void (*unwatch_fd)(struct cgw_inst *inst, int fd);
    /* Run cb(arg) on the loop thread soon. Any thread. \return 0 or CGW_EBUSY when the bounded
     * queue is full. */
    int (*post)(struct cgw_inst *inst, cgw_timer_cb cb, void *arg);

    /* -- helpers */
    /* Normalise an address as every door does. default_region: ISO 3166-1 or NULL. \return 0 or
     * CGW_EINVAL. Any thread. */
    int (*address_normalise)(uint32_t kind, const char *text, const char *default_region, char *out,
                             size_t out_size);
    /* Shared media: length, and bytes from an offset. Any thread. \return bytes read or CGW_E*. */
    int64_t (*media_size)(uint64_t media);
    int64_t (*media_read)(uint64_t media, int64_t offset, void *out, size_t n);
    /* Answer a callback request; exactly once per request. Any thread. */
    void (*reply)(struct cgw_inst *inst, uint64_t request_id, uint32_t status,
                  const char *content_type, const char *body, uint32_t len);
    /* abi_minor 1 appends here */
};

#ifdef __cplusplus
}
#endif
#endif /* CGW_HOST_H */
