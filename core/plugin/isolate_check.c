/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_check.c - check() of an isolated plugin: asked of its process on a socket of its own,
 * from any thread, one at a time. One that does not answer in time is given up; then, and while
 * there is none, the caller gets CGW_EBUSY, which says nothing about the message. */
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "plugin/frame_items.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define OUT_BYTES (4u * CGW_BODY_MAX) /* bytes after which the next message waits for its turn */

void isolate_asking_init(struct isolate *s)
{
    struct asking *a = &s->asking;
    (void)pthread_mutex_init(&a->lock, NULL);
    a->fd = -1;
    buf_init(&a->out, FRAME_MAX);
}

void isolate_asking_set(struct isolate *s, int fd)
{
    struct asking *a = &s->asking;
    (void)pthread_mutex_lock(&a->lock);
    a->fd = fd;
    a->ready = fd >= 0;
    atomic_store(&a->broken, false);
    frame_reader_done(&a->reader);
    (void)pthread_mutex_unlock(&a->lock);
}

void isolate_asking_done(struct isolate *s)
{
    buf_done(&s->asking.out);
    frame_reader_done(&s->asking.reader);
    (void)pthread_mutex_destroy(&s->asking.lock);
}

/* ---- locked from here
 * ------------------------------------------------------------------------------------------------------------------------
 */

static int send_all(struct asking *a, int64_t until)
{
    for (size_t at = 0; at < a->out.len;) {
        ssize_t n = send(a->fd, a->out.data + at, a->out.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
        int64_t left = until - clock_mono_ms();
        struct pollfd p = {.fd = a->fd, .events = POLLOUT};
        if (n < 0 && (left <= 0 || poll(&p, 1, (int)left) == 0))
            return CGW_EBUSY;
    }
    return 0;
}

/* The encoding's name must outlive the call: it is static text in the contract. */
static const char *keep_name(struct asking *a, const char *name)
{
    uint32_t i = 0;
    while (i < a->n_encodings && strcmp(a->encodings[i], name) != 0)
        i++;
    if (i == ARRAY_LEN(a->encodings))
        return "";
    if (i == a->n_encodings) {
        (void)snprintf(a->encodings[i], sizeof a->encodings[i], "%s", name);
        a->n_encodings++;
    }
    return a->encodings[i];
}

static int read_answer(struct asking *a, uint32_t n, struct cgw_check *ret, int64_t until)
{
    struct frame f;
    int rc;
    while (!(rc = frame_next(&a->reader, true, &f))) {
        if (!child_wait(a->fd, until))
            return CGW_EBUSY;
        int64_t got = frame_fill(&a->reader, a->fd);
        if (got <= 0 && got != -EAGAIN && got != -EINTR)
            return CGW_ESTATE;
    }
    if (rc < 0 || f.type != FRAME_CHECKED || frame_get_u32(&f) != n)
        return CGW_EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        item_get_check(&f, &ret[i]);
        ret[i].encoding = keep_name(a, ret[i].encoding);
    }
    return frame_done(&f) ? 0 : CGW_EINVAL;
}

/* The time is the process's own: what others asked before does not count against it. */
static int ask(struct asking *a, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret)
{
    int64_t until = clock_mono_ms() + ISOLATE_CHECK_MS;
    buf_reset(&a->out);
    size_t at = frame_begin(&a->out, FRAME_CHECK);
    frame_u32(&a->out, n);
    for (uint32_t i = 0; i < n; i++)
        item_put_message(&a->out, &msgs[i]);
    frame_end(&a->out, at);
    if (a->out.failed)
        return -ENOMEM;
    /* One that is away is not waited for: the caller decides about other channels too. */
    int rc = a->ready ? send_all(a, until) : CGW_EBUSY;
    if (!rc)
        rc = read_answer(a, n, ret, until);
    if (rc && a->ready) {
        a->ready = false;
        atomic_store(&a->broken, true);
    }
    return rc;
}

/* ---- any thread
 * ------------------------------------------------------------------------------------------------------------------------
 */

static size_t bytes_of(const struct cgw_message *m)
{
    size_t n = 0;
    for (uint32_t i = 0; i < m->n_parts; i++)
        n += m->parts[i].media ? 0 : m->parts[i].len;
    return n;
}

static uint32_t batch_of(const struct cgw_message *msgs, uint32_t n)
{
    size_t bytes = bytes_of(&msgs[0]);
    uint32_t k = 1;
    while (k < n && k < FRAME_MESSAGES_MAX && (bytes += bytes_of(&msgs[k])) < OUT_BYTES)
        k++;
    return k;
}

static void no_answer(struct cgw_check *ret, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        ret[i] = (struct cgw_check){.size = sizeof ret[i], .code = CGW_EBUSY, .encoding = ""};
        (void)snprintf(
            ret[i].text, sizeof ret[i].text,
            "the plugin's process did not answer within %d ms, or there is none now; try "
            "again",
            ISOLATE_CHECK_MS);
    }
}

void isolate_check(void *ch, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret)
{
    struct isolate *s = ch;
    struct asking *a = &s->asking;
    bool broken = false;
    for (uint32_t i = 0; i < n;) {
        uint32_t k = batch_of(msgs + i, n - i);
        (void)pthread_mutex_lock(&a->lock);
        int rc = ask(a, msgs + i, k, ret + i);
        (void)pthread_mutex_unlock(&a->lock);
        broken = broken || atomic_load(&a->broken);
        if (rc)
            no_answer(ret + i, k);
        i += k;
    }
    if (broken)
        loop_wake(s->in->loop); /* it gives the process up */
}
