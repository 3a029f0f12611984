/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmsc.h - the MMSC simulator: an HTTP server that takes MM7, and an HTTP client that reports back.
 * One thread, its own reading and writing of both protocols; it shares no code with the gateway, so
 * that what it says about the gateway is a second opinion. Bounds: 1,024 connections, requests of
 * 4 MiB, 1,048,576 messages, 65,536 callbacks waiting.
 */
#ifndef MMSC_H
#define MMSC_H

#include "sim_timer.h"

#define MMSC_CONNS 1024u
#define MMSC_REQUEST_MAX (4u << 20)
#define MMSC_POSTS 16u /* callbacks under way */
#define MMSC_POSTS_WAITING 65536u

enum mmsc_event { MMSC_EV_LISTEN, MMSC_EV_CONN, MMSC_EV_POST, MMSC_EV_CONTROL, MMSC_EV_CLIENT };
static inline uint64_t mmsc_ev(enum mmsc_event kind, uint32_t index)
{
    return (uint64_t)kind << 32 | index;
}

/* Whole numbers that can be set while it runs; mmsc_knobs.c says what each means. */
#define MMSC_KNOBS(X)                                                                              \
    X(seed, 1)                                                                                     \
    X(delay_ms, 0)                                                                                 \
    X(error_permille, 0)                                                                           \
    X(error_code, 2004)                                                                            \
    X(detail_code, 0)                                                                              \
    X(fault, 0)                                                                                    \
    X(fault_http, 500)                                                                             \
    X(throttle_permille, 0)                                                                        \
    X(max_rate, 0)                                                                                 \
    X(http_permille, 0)                                                                            \
    X(http_status, 503)                                                                            \
    X(retry_after_s, 0)                                                                            \
    X(swallow_permille, 0)                                                                         \
    X(drop_answer_permille, 0)                                                                     \
    X(hang_permille, 0)                                                                            \
    X(garbage_permille, 0)                                                                         \
    X(no_id, 0)                                                                                    \
    X(close_after, 0)                                                                              \
    X(one_byte_writes, 0)                                                                          \
    X(shape, 0)                                                                                    \
    X(cancel_code, 1000)                                                                           \
    X(report_permille, 1000)                                                                       \
    X(report_delay_ms, 0)                                                                          \
    X(report_early_ms, 0)                                                                          \
    X(report_swap, 0)                                                                              \
    X(report_repeat_ms, 500)                                                                       \
    X(report_duplicate, 0)                                                                         \
    X(read_permille, 0)                                                                            \
    X(expect_expiry, 0)                                                                            \
    X(expect_plus, 1)

struct mmsc_knobs {
#define X(name, standard) int64_t name;
    MMSC_KNOBS(X)
#undef X
    char report_status[64], callback[256], callback_auth[128], auth[128], require_header[128];
};

#define MMSC_STATS(X)                                                                              \
    X(connections)                                                                                 \
    X(requests)                                                                                    \
    X(submits)                                                                                     \
    X(replaces)                                                                                    \
    X(cancels)                                                                                     \
    X(taken)                                                                                       \
    X(accepted)                                                                                    \
    X(refused)                                                                                     \
    X(throttled)                                                                                   \
    X(ambiguous)                                                                                   \
    X(unauthorized)                                                                                \
    X(media_bytes)                                                                                 \
    X(open_max)                                                                                    \
    X(reports_made)                                                                                \
    X(reports_acked)                                                                               \
    X(reports_pushed_back)                                                                         \
    X(reports_refused)                                                                             \
    X(reads_acked)                                                                                 \
    X(mo_made)                                                                                     \
    X(mo_acked)                                                                                    \
    X(mo_refused)                                                                                  \
    X(callbacks_lost)                                                                              \
    X(echo_wrong)

struct mmsc_stats {
#define X(name) uint64_t name;
    MMSC_STATS(X)
#undef X
};

/* A piece of text somewhere else. */
struct mmsc_str {
    const char *at;
    size_t len;
};

struct mmsc_request {
    struct mmsc_str content_type, authorization, soap_action, expect, headers;
    const char *body;
    size_t len;
};

struct sim {
    int epoll_fd, listen_fd, control_fd;
    int64_t now_ms;
    bool quitting;
    struct sim_timers timers;
    struct mmsc_knobs knobs;
    struct mmsc_stats stats;
    uint64_t serial, ordinal, open;
    int64_t rate_ms, rate_n;
    struct mmsc_conn *conns;
    struct mmsc_posts *posts;
    struct mmsc_control *control;
    struct mmsc_count *count;
    uint64_t complaints;
    const char *control_path;
};

/* mmsc_http.c - the server */
int mmsc_listen(struct sim *sim, uint16_t port, uint16_t *ret_port);
void mmsc_accept(struct sim *sim);
void mmsc_conn_event(struct sim *sim, uint32_t index, uint32_t events);
/* id names connection and request; too late is no harm. status 0: close without a word. */
void mmsc_answer(struct sim *sim, uint64_t id, int status, const char *type, const char *more,
                 const char *body, size_t len);
void mmsc_http_done(struct sim *sim);
struct mmsc_str mmsc_header(struct mmsc_str headers, const char *name);

/* mmsc_submit.c - what becomes of a request; id is to be answered once */
void mmsc_request(struct sim *sim, uint64_t id, const struct mmsc_request *req);

/* mmsc_xml.c - as much XML as the gateway writes */
struct mmsc_str mmsc_text(struct mmsc_str xml, const char *name); /* first element of that name */
bool mmsc_has(struct mmsc_str s, const char *word);
/* NULL, or the name of the first direct child of `outer` that stands in the wrong place. */
const char *mmsc_out_of_order(struct mmsc_str xml, const char *outer, const char *const *order);

/* mmsc_check.c - does the client keep to the specification? */
void mmsc_check_submit(struct sim *sim, const struct mmsc_request *req, struct mmsc_str soap);
void mmsc_complain(struct sim *sim, const char *kind, struct mmsc_str about);
void mmsc_complaints_json(struct sim_buf *out);

/* mmsc_callback.c - reports, read replies and messages to the gateway */
struct mmsc_report {
    char id[32], person[40], sender[40];
};
void mmsc_report_later(struct sim *sim, const struct mmsc_report *r, int64_t after_ms);
bool mmsc_mo(struct sim *sim, const char *from, const char *to, const char *text, int64_t media);
void mmsc_post_event(struct sim *sim, uint32_t index, uint32_t events);
void mmsc_callback_done(struct sim *sim);

/* mmsc_count.c - the judge */
enum mmsc_fate { MMSC_ACCEPTED, MMSC_REFUSED, MMSC_AMBIGUOUS };
struct mmsc_count *mmsc_count_new(void);
void mmsc_count_free(struct mmsc_count *c);
/* Key: the number behind the first # of the content, else a hash of it. */
uint32_t mmsc_count_take(struct mmsc_count *c, const char *dest, uint64_t key, bool taken);
void mmsc_count_fate(struct mmsc_count *c, uint32_t slot, enum mmsc_fate fate);
void mmsc_count_json(const struct mmsc_count *c, struct sim_buf *out);
int mmsc_count_dump(const struct mmsc_count *c, const char *path);

/* mmsc_control.c */
int mmsc_control_open(struct sim *sim, const char *path);
void mmsc_control_accept(struct sim *sim);
void mmsc_control_event(struct sim *sim, uint32_t index, uint32_t events);
void mmsc_control_done(struct sim *sim);
/* 0, or -1 with why. Also for the command line. */
int mmsc_knob_set(struct mmsc_knobs *k, const char *name, const char *value);
void mmsc_knobs_init(struct mmsc_knobs *k);

#endif
