/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_int.h - the inside of an isolated instance's half in the gateway, shared by isolate*.c.
 * Everything belongs to the instance's loop but for `asking` (check, any thread) and what is marked
 * locked. */
#ifndef PLUGIN_ISOLATE_INT_H
#define PLUGIN_ISOLATE_INT_H

#include "plugin/frame.h"
#include "plugin/frame_plugin.h"
#include "plugin/host_int.h"
#include "plugin/isolate.h"
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>

enum isolate_phase {
    ISO_DOWN,     /* no process; one is started at retry_ms */
    ISO_LOADING,  /* waits for DESCRIBED */
    ISO_CREATING, /* waits for CREATED */
    ISO_CREATED,  /* waits for start() */
    ISO_STARTING, /* waits for STARTED */
    ISO_UP,
    ISO_STOPPING, /* STOP was sent */
};

/* Why a process ended, as the metric says it. */
enum isolate_end { END_CRASH, END_EXIT, END_HANG, END_PROTOCOL, END_CREATE, END_RESTART, END_N };

struct child_process {
    pid_t pid; /* 0 = none */
    int main_fd, check_fd, media_fd;
};

/* One frame on its way; the messages in it are certain not to have left until it is written whole.
 */
struct out_chunk {
    struct out_chunk *next;
    size_t len, written;
    uint32_t n_tokens;
    uint64_t tokens[FRAME_MESSAGES_MAX];
    char data[];
};

/* Receipts or inbound that the core did not take yet. */
struct pending {
    struct pending *next;
    uint32_t type, skip;
    size_t len;
    char data[];
};

/* check(): one caller at a time. */
struct asking {
    pthread_mutex_t lock;
    bool ready;         /* locked: there is a process that can be asked */
    atomic_bool broken; /* it failed to answer. Not locked: a check may ask for media, which the
                           loop serves; it must not wait for who waits for it */
    int fd;             /* locked, borrowed */
    struct frame_reader reader; /* locked */
    struct buf out;             /* locked */
    char encodings[16][16];     /* locked: names that were told, kept for ever */
    uint32_t n_encodings;
};

struct isolate {
    struct plugin_instance *in;
    enum isolate_phase phase;
    bool start_wanted, draining, restarting, drained_told;
    int64_t drain_deadline_ms;
    struct child_process child;
    int64_t phase_since_ms, retry_ms, up_since_ms, ping_ms, pong_ms, restart_until_ms;
    uint32_t retry_wait_ms;
    uint16_t generation;       /* of the process: acks of an older one are nobody's */
    uint64_t documents_before; /* accepts with documents of earlier processes */
    uint32_t recalls;          /* handed to the process and not answered, as far as we know */
    int64_t recalled_ms;       /* when one was handed over or answered last */
    struct frame_reader reader, media_reader;
    struct out_chunk *out, **out_end;
    size_t out_bytes;
    bool watching_write;
    uint32_t sent[CGW_LANES], room[CGW_LANES]; /* room: what the process said, less what was sent */
    bool held;                                 /* it was told to refuse receipts and inbound */
    struct pending *pending, **pending_end;
    uint32_t pending_items;
    size_t pending_bytes;
    struct cgw_timer *tick, *retry_pending;
    struct cgw_health health;
    int16_t counter_map[PLUGIN_COUNTERS_MAX]; /* the process's number -> ours, -1 = unknown */
    int64_t log_second;
    uint32_t logs, logs_dropped;
    uint64_t media[ISOLATE_MEDIA_KNOWN];
    uint32_t media_at;
    struct diag why; /* of the last failure to create or start */
    struct asking asking;
    pthread_mutex_t status_lock;
    struct isolate_status status; /* locked */
};

static inline struct isolate *isolate_of(const struct plugin_instance *in)
{
    return in->plugin->isolated ? in->ch : NULL;
}

/* isolate_spawn.c */
int child_spawn(const char *path, const struct conf_isolation *how, struct child_process *ret,
                struct diag *diag) CGW_NODISCARD;
/* Waits up to ms for its end, then kills it; closes the sockets. \return its wait status. */
int child_end(struct child_process *c, int ms);
/* Poll until readable; false = deadline. */
bool child_wait(int fd, int64_t until_mono_ms);

/* isolate.c: the process */
void isolate_lost(struct isolate *s, enum isolate_end how, const char *why);
int isolate_serve(struct isolate *s); /* reads what there is; negative = it was lost */
int isolate_bring_up(struct isolate *s) CGW_NODISCARD;
void isolate_ping(struct isolate *s, int64_t now_mono_ms);
void isolate_tick(void *arg);
void isolate_watch(struct isolate *s, bool write); /* its main socket */

/* isolate_out.c: to the process */
void isolate_send(struct isolate *s, struct buf *b, const struct cgw_message *msgs, uint32_t n);
void isolate_send_bare(struct isolate *s, enum frame_type type);
void isolate_flush(struct isolate *s);
void isolate_out_drop(struct isolate *s); /* NOT_SENT for what was not written */
uint32_t isolate_submit(void *ch, const struct cgw_message *msgs, uint32_t n);
void isolate_stored(void *ch, const uint64_t *acks, uint32_t n);
void isolate_cancel(void *ch, const uint64_t *tokens, uint32_t n);
void isolate_query(void *ch, const struct cgw_ask *asks, uint32_t n);
uint32_t isolate_recall(void *ch, const struct cgw_ask *asks, uint32_t n);
void isolate_tally(void *ch, const struct cgw_tally *t);
void isolate_http(void *ch, const struct cgw_http_request *req);

/* isolate_take.c: from the process. 0, negative = breaks the protocol */
int isolate_take(struct isolate *s, struct frame *f);
void isolate_pending_offer(void *arg);
void isolate_pending_drop(struct isolate *s);
int isolate_media(struct isolate *s); /* serves its media socket */

/* isolate_check.c */
void isolate_asking_init(struct isolate *s);
void isolate_asking_set(struct isolate *s, int fd); /* -1: nobody can be asked */
void isolate_asking_done(struct isolate *s);
void isolate_check(void *ch, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret);

extern const struct cgw_channel_ops isolate_ops; /* isolate_ops.c */

#endif
