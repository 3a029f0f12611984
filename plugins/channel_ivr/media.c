/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - see media.h. Sockets of our own instead of libre's, so that a packet costs one read and
 * no allocation. */
#include "media.h"
#include "loop.h"
#include "rtp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BUCKETS 4 /* of 5 ms: one frame of 20 ms */
#define TICK_NS 5000000
#define CATCH_UP 40        /* ticks made up for after a stall (200 ms); what is older is skipped */
#define READS_PER_EVENT 16 /* packets of one call before the others' turn */
#define PACKET_MAX 2048

struct ivr_media {
    struct ivr_media *next, **link; /* in its bucket */
    int fd;
    uint16_t port;
    bool connected, latched, playing, marker;
    struct ivr_peer peer;
    uint16_t seq;
    uint32_t ts, ssrc;
    const struct ivr_sound *sound; /* borrowed; NULL: silence of `left` samples */
    uint32_t at, left;
    int64_t heard_ms;
    struct rtp_digits digits;
    const struct ivr_media_events *events;
    void *arg;
};

static struct {
    int fd; /* timerfd + 1: 0 = not running */
    uint32_t tick, n, next_bucket;
    struct ivr_media *bucket[BUCKETS];
    struct ivr_media *cursor; /* next to send; moves on when that one is closed */
} pacer;
static uint16_t next_port;

/* ---- out ---- */

static const uint8_t *next_frame(struct ivr_media *m, bool *ended)
{
    static uint8_t silence[2][IVR_FRAME];
    if (!silence[0][0]) {
        memset(silence[IVR_ULAW], 0xff, IVR_FRAME);
        memset(silence[IVR_ALAW], 0xd5, IVR_FRAME);
    }
    const uint8_t *frame = silence[m->peer.codec];
    if (!m->playing)
        return frame;
    if (m->sound)
        frame = (m->peer.codec == IVR_ULAW ? m->sound->ulaw : m->sound->alaw) + m->at;
    m->at += IVR_FRAME;
    m->left -= IVR_FRAME;
    *ended = m->left < IVR_FRAME;
    return frame;
}

static void send_frame(struct ivr_media *m)
{
    uint8_t packet[RTP_HEADER + IVR_FRAME];
    bool ended = false;
    const uint8_t *frame = next_frame(m, &ended);
    if (m->peer.sending && m->peer.addr.sin_port) {
        rtp_write_header(packet, m->marker, m->peer.pt, m->seq++, m->ts, m->ssrc);
        memcpy(packet + RTP_HEADER, frame, IVR_FRAME);
        m->marker = false;
        /* a full socket buffer loses a frame, as the network may: sound is not sent late */
        (void)!sendto(m->fd, packet, sizeof packet, MSG_DONTWAIT,
                      (const struct sockaddr *)&m->peer.addr, sizeof m->peer.addr);
    }
    m->ts += IVR_FRAME;
    if (ended) {
        m->playing = false;
        m->events->played(m->arg); /* may close m */
    }
}

static void run_bucket(uint32_t i)
{
    for (struct ivr_media *m = pacer.bucket[i]; m; m = pacer.cursor) {
        pacer.cursor = m->next;
        send_frame(m);
    }
}

static void on_tick(int flags, void *arg)
{
    uint64_t n = 0;
    (void)flags;
    (void)arg;
    if (read(pacer.fd - 1, &n, sizeof n) != (ssize_t)sizeof n)
        return;
    if (n > CATCH_UP)
        n = CATCH_UP;
    while (n-- > 0)
        run_bucket(pacer.tick++ % BUCKETS);
}

static int pacer_start(void)
{
    static const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        return errno;
    int err = timerfd_settime(fd, 0, &every, NULL) ? errno : ivr_loop_watch(fd, on_tick, NULL);
    if (err)
        (void)close(fd);
    else
        pacer.fd = fd + 1;
    return err;
}

void ivr_media_stop(void)
{
    if (pacer.fd) {
        ivr_loop_unwatch(pacer.fd - 1);
        (void)close(pacer.fd - 1);
    }
    pacer.fd = 0;
}

static void pacer_add(struct ivr_media *m)
{
    struct ivr_media **head = &pacer.bucket[pacer.next_bucket++ % BUCKETS];
    m->next = *head;
    if (m->next)
        m->next->link = &m->next;
    m->link = head;
    *head = m;
    if (pacer.n++ == 0)
        (void)pacer_start(); /* without a timer the call is silent and ends by its time-outs */
}

static void pacer_remove(struct ivr_media *m)
{
    if (!m->link)
        return;
    if (pacer.cursor == m)
        pacer.cursor = m->next;
    *m->link = m->next;
    if (m->next)
        m->next->link = m->link;
    m->link = NULL;
    if (--pacer.n == 0)
        ivr_media_stop(); /* nobody speaks: no wake-ups */
}

/* ---- in ---- */

/* The first source after the answer is the peer's, also behind an address translator; others are
 * strangers. */
static bool is_peer(struct ivr_media *m, const struct sockaddr_in *from)
{
    if (!m->latched) {
        m->latched = true;
        m->peer.addr = *from;
    }
    return from->sin_addr.s_addr == m->peer.addr.sin_addr.s_addr &&
           from->sin_port == m->peer.addr.sin_port;
}

/* \return false when nothing more is there, or m was closed. */
static bool read_one(struct ivr_media *m)
{
    uint8_t data[PACKET_MAX];
    struct sockaddr_in from = {0};
    socklen_t from_len = sizeof from;
    struct rtp_packet p;
    ssize_t n =
        recvfrom(m->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
    if (n < 0)
        return errno == EINTR;
    if (!m->connected || !rtp_read(data, (size_t)n, &p) || !is_peer(m, &from))
        return true;
    m->heard_ms = ivr_mono_ms();
    char key = p.pt == m->peer.event_pt ? rtp_digit(&m->digits, &p) : 0;
    if (key)
        m->events->digit(m->arg, key);
    return !key;
}

static void on_readable(int flags, void *arg)
{
    (void)flags;
    for (int i = 0; i < READS_PER_EVENT && read_one(arg); i++) {
    }
}

/* ---- life ---- */

static int bind_port(int fd, const struct in_addr *local, uint16_t first, uint16_t last,
                     uint16_t *ret)
{
    uint32_t pairs = ((uint32_t)last - first + 1) / 2;
    for (uint32_t i = 0; i < pairs; i++) {
        uint16_t port = (uint16_t)((first + 1u) / 2 * 2 + 2u * (next_port++ % pairs));
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = *local};
        *ret = port;
        if (bind(fd, (const struct sockaddr *)&a, sizeof a) == 0)
            return 0;
        if (errno != EADDRINUSE)
            return errno;
    }
    return EADDRINUSE;
}

int ivr_media_open(struct ivr_media **ret, const struct in_addr *local, uint16_t first,
                   uint16_t last, const struct ivr_media_events *events, void *arg)
{
    struct ivr_media *m = calloc(1, sizeof *m);
    if (!m)
        return ENOMEM;
    m->events = events;
    m->arg = arg;
    m->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = m->fd < 0 ? errno : bind_port(m->fd, local, first, last, &m->port);
    if (!err)
        err = ivr_loop_watch(m->fd, on_readable, m);
    if (err) {
        if (m->fd >= 0)
            (void)close(m->fd);
        free(m);
        return err;
    }
    (void)!getrandom(&m->ssrc, sizeof m->ssrc, 0); /* RFC 3550, 5.1: random starts */
    (void)!getrandom(&m->ts, sizeof m->ts, 0);
    (void)!getrandom(&m->seq, sizeof m->seq, 0);
    *ret = m;
    return 0;
}

struct ivr_media *ivr_media_close(struct ivr_media *m)
{
    if (!m)
        return NULL;
    pacer_remove(m);
    ivr_loop_unwatch(m->fd);
    (void)close(m->fd);
    free(m);
    return NULL;
}

uint16_t ivr_media_port(const struct ivr_media *m)
{
    return m->port;
}

void ivr_media_connect(struct ivr_media *m, const struct ivr_peer *peer)
{
    bool moved = !m->connected || peer->addr.sin_addr.s_addr != m->peer.addr.sin_addr.s_addr ||
                 peer->addr.sin_port != m->peer.addr.sin_port;
    struct sockaddr_in latched = m->peer.addr;
    m->peer = *peer;
    if (moved)
        m->latched = false;
    else
        m->peer.addr = latched;
    if (!m->connected) {
        m->connected = m->marker = true;
        pacer_add(m);
    }
}

void ivr_media_play(struct ivr_media *m, const struct ivr_sound *sound)
{
    m->sound = sound;
    m->at = 0;
    m->left = sound->n;
    m->playing = m->marker = true; /* the first packet of a talk spurt: RFC 3551, 4.1 */
}

void ivr_media_silence(struct ivr_media *m, uint32_t ms)
{
    m->sound = NULL;
    m->at = 0;
    m->left = (ms + 19) / 20 * IVR_FRAME;
    m->playing = true;
}

void ivr_media_quiet(struct ivr_media *m)
{
    m->playing = false;
    m->sound = NULL;
}

int64_t ivr_media_heard_ms(const struct ivr_media *m)
{
    return m->heard_ms;
}
