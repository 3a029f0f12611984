/* SPDX-License-Identifier: Apache-2.0 */
/* inside_rpc.c - the two sockets on which one side asks and waits: checks (the gateway asks, this
 * process's main thread answers) and media (a thread of the plugin asks). */
#include "plugin/inside.h"

#include "base/clock.h"
#include "plugin/frame_items.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static int send_all(int fd, const struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return b->failed ? -ENOMEM : 0;
}

/* ---- media
 * ------------------------------------------------------------------------------------------------------------------------
 */

static pthread_mutex_t media_lock = PTHREAD_MUTEX_INITIALIZER;
static struct frame_reader media_reader;
static bool media_broken;

/* Locked. */
static int media_wait(struct frame *f)
{
    int64_t until = clock_mono_ms() + INSIDE_MEDIA_MS;
    for (;;) {
        int rc = frame_next(&media_reader, false, f);
        if (rc)
            return rc > 0 && f->type == FRAME_MEDIA_ANSWER ? 0 : CGW_EINVAL;
        struct pollfd p = {.fd = INSIDE_MEDIA_FD, .events = POLLIN};
        int64_t left = until - clock_mono_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return CGW_EBUSY;
        int64_t n = frame_fill(&media_reader, INSIDE_MEDIA_FD);
        if (n <= 0 && n != -EAGAIN && n != -EINTR)
            return CGW_ESTATE;
    }
}

static int64_t media_ask(uint64_t media, bool read, int64_t offset, void *out, uint32_t n)
{
    struct buf b;
    struct frame f;
    int64_t got = CGW_ESTATE;
    buf_init(&b, 256);
    size_t at = frame_begin(&b, FRAME_MEDIA);
    frame_u64(&b, media);
    frame_u32(&b, read);
    frame_i64(&b, offset);
    frame_u32(&b, n);
    frame_end(&b, at);
    (void)pthread_mutex_lock(&media_lock);
    int rc = media_broken ? CGW_ESTATE : send_all(INSIDE_MEDIA_FD, &b);
    if (!rc)
        rc = media_wait(&f);
    if (!rc) {
        uint32_t len = 0;
        got = frame_get_i64(&f);
        const char *data = frame_get_bytes(&f, FRAME_MEDIA_MAX, &len);
        if (!frame_done(&f) || len > n || (read && got > 0 && got != (int64_t)len))
            rc = CGW_EINVAL;
        else if (len && data)
            memcpy(out, data, len);
    }
    media_broken = media_broken || rc;
    (void)pthread_mutex_unlock(&media_lock);
    buf_done(&b);
    return rc ? rc : got;
}

int64_t inside_media_size(uint64_t media)
{
    return media_ask(media, false, 0, NULL, 0);
}

int64_t inside_media_read(uint64_t media, int64_t offset, void *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        uint32_t want = n - done < FRAME_MEDIA_MAX ? (uint32_t)(n - done) : FRAME_MEDIA_MAX;
        int64_t got = media_ask(media, true, offset + (int64_t)done, (char *)out + done, want);
        if (got < 0)
            return done ? (int64_t)done : got;
        done += (size_t)got;
        if (got < want)
            break;
    }
    return (int64_t)done;
}

/* ---- checks
 * ------------------------------------------------------------------------------------------------------------------------
 */

static int answer_check(struct frame *f, struct buf *out)
{
    static struct cgw_message msgs[FRAME_MESSAGES_MAX];
    static struct cgw_part parts[ITEM_PARTS];
    static struct cgw_check checks[FRAME_MESSAGES_MAX];
    uint32_t n = frame_get_count(f, FRAME_MESSAGES_MAX), used = 0;
    for (uint32_t i = 0; i < n; i++)
        used += item_get_message(f, &msgs[i], parts + used, ITEM_PARTS - used);
    if (f->type != FRAME_CHECK || !frame_done(f))
        return CGW_EINVAL;
    instance_check(inside.in, msgs, n, checks);
    buf_reset(out);
    size_t at = frame_begin(out, FRAME_CHECKED);
    frame_u32(out, n);
    for (uint32_t i = 0; i < n; i++)
        item_put_check(out, &checks[i]);
    frame_end(out, at);
    return send_all(INSIDE_CHECK_FD, out);
}

static int serve_check(struct frame_reader *r, struct buf *out)
{
    struct frame f;
    int rc;
    int64_t n = frame_fill(r, INSIDE_CHECK_FD);
    if (n == -EAGAIN || n == -EINTR)
        return 0;
    if (n <= 0)
        return CGW_ESTATE;
    while ((rc = frame_next(r, false, &f)) > 0)
        if ((rc = answer_check(&f, out)) < 0)
            break;
    return rc;
}

void inside_serve_checks(void)
{
    struct frame_reader r = {0};
    struct buf out;
    buf_init(&out, FRAME_MAX);
    struct pollfd p[] = {{.fd = inside.stop_fd, .events = POLLIN},
                         {.fd = INSIDE_CHECK_FD, .events = POLLIN}};
    while (!(p[0].revents & POLLIN)) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[1].revents && serve_check(&r, &out) < 0)
            p[1].fd = -1; /* the main socket tells what is going on */
    }
    buf_done(&out);
    frame_reader_done(&r);
}
