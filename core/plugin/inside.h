/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - the half of an isolated instance that lives in the process of its plugin: it runs the
 * ordinary instance (host.h) and turns what goes in and out into frames. Believes the gateway no
 * more than it must: a frame that cannot be read ends the process. Program: core/plugin_host.c. */
#ifndef PLUGIN_INSIDE_H
#define PLUGIN_INSIDE_H

#include "base/log.h"
#include "plugin/frame.h"
#include "plugin/host_int.h"

#define INSIDE_MAIN_FD 3
#define INSIDE_CHECK_FD 4
#define INSIDE_MEDIA_FD 5
#define INSIDE_MEDIA_MS 5000 /* wait for an answer about media */
#define INSIDE_WINDOW 1024u  /* receipts and inbound on their way to the gateway */
#define INSIDE_WINDOW_BYTES 67108864u
#define INSIDE_LOG_BYTES 1048576u /* unsent bytes beyond which log lines are dropped */

struct inside {
    const struct plugin *plugin;
    struct plugin_instance *in; /* owned by main */
    struct frame_reader reader; /* loop only, before the loop: main */
    bool attached;              /* the loop writes */
    int stop_fd;                /* owned; main waits for it */

    pthread_mutex_t lock;
    struct buf out;      /* locked: frames not yet written */
    size_t written;      /* locked: of out */
    bool hold;           /* locked: the gateway's queue is full, the peers must repeat */
    uint32_t window;     /* locked: items that may still go */
    size_t window_bytes; /* locked */
    uint64_t *acks;      /* locked: the plugin's names, by slot; INSTANCE_ACKS */
    uint32_t *free_acks; /* locked: stack of free slots */
    uint32_t n_free_acks;

    bool watching;                               /* loop only: for room to write */
    uint32_t seen[CGW_LANES], credit[CGW_LANES]; /* loop only: as last told */
    uint64_t counts[PLUGIN_COUNTERS_MAX];        /* loop only: as last told */
    uint64_t faults[FAULTS_N];                   /* loop only: as last told */
    bool drain_asked, drained_told;              /* loop only */
};

/* One per process. */
extern struct inside inside;

/* inside_link.c */
extern const struct instance_sink inside_sink;
void inside_log(enum log_level level, const char *event, const char *text);
/* A frame of its own; fill between the two. */
size_t inside_begin(enum frame_type type);
void inside_end(size_t at);
int inside_flush_all(void); /* blocking, before the loop writes */
void inside_wakes(bool on); /* does what is written wake the loop? */
int inside_attach(void);    /* on the loop: reads, writes, turns */
void inside_said(enum frame_type type, int rc, const struct diag *d);

/* inside_take.c */
int inside_take(struct frame *f); /* one frame of the gateway; negative = cannot be read */

/* inside_rpc.c */
int64_t inside_media_size(uint64_t media);
int64_t inside_media_read(uint64_t media, int64_t offset, void *out, size_t n);
/* Answers checks until the gateway says stop or is gone; the caller's thread. */
void inside_serve_checks(void);

#endif
