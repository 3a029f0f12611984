/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_util.c - clock, memory, byte buffer, hash and chance of the SMSC simulator.
 * Must not know SMPP. Source: none (FNV-1a and splitmix64 are public domain constants).
 */
#include "sim_util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_ms(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t sim_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t sim_epoch_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static void no_memory(size_t size)
{
    fprintf(stderr, "smscsim: out of memory (%zu octets)\n", size);
    abort();
}

void *sim_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p)
        no_memory(size);
    return p;
}

void *sim_realloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);

    if (!p)
        no_memory(size);
    return p;
}

void sim_buf_done(struct sim_buf *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof(*buf));
}

void sim_buf_clear(struct sim_buf *buf)
{
    buf->head = 0;
    buf->len = 0;
}

uint8_t *sim_buf_room(struct sim_buf *buf, size_t size)
{
    size_t need;

    if (buf->head && (buf->head == buf->len || buf->len + size > buf->cap)) {
        if (buf->len > buf->head)
            memmove(buf->data, buf->data + buf->head, buf->len - buf->head);
        buf->len -= buf->head;
        buf->head = 0;
    }
    need = buf->len + size;
    if (need > buf->cap) {
        size_t cap = buf->cap ? buf->cap : 4096;

        while (cap < need)
            cap *= 2;
        buf->data = sim_realloc(buf->data, cap);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void sim_buf_put(struct sim_buf *buf, const void *data, size_t size)
{
    if (!size)
        return;
    memcpy(sim_buf_room(buf, size), data, size);
    buf->len += size;
}

void sim_buf_printf(struct sim_buf *buf, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    va_start(ap, fmt);
    vsnprintf((char *)sim_buf_room(buf, (size_t)n + 1), (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)n;
}

void sim_buf_json(struct sim_buf *buf, const char *text)
{
    sim_buf_put(buf, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            sim_buf_printf(buf, "\\%c", c);
        else if (c < 0x20)
            sim_buf_printf(buf, "\\u%04x", c);
        else
            sim_buf_put(buf, text, 1);
    }
    sim_buf_put(buf, "\"", 1);
}

void sim_buf_eat(struct sim_buf *buf, size_t size)
{
    buf->head += size;
    if (buf->head >= buf->len)
        sim_buf_clear(buf);
}

uint64_t sim_hash(uint64_t start, const void *data, size_t size)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < size; i++) {
        start ^= p[i];
        start *= UINT64_C(1099511628211);
    }
    return start;
}

uint64_t sim_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t sim_draw(uint64_t seed, uint32_t purpose, uint64_t ordinal)
{
    return sim_mix(sim_mix(seed ^ ((uint64_t)purpose << 40)) ^ ordinal);
}

bool sim_chance(uint64_t draw, int64_t permille)
{
    return permille > 0 && (int64_t)(draw % 1000) < permille;
}

int64_t sim_between(uint64_t draw, int64_t min, int64_t max)
{
    if (max <= min)
        return min;
    return min + (int64_t)(draw % (uint64_t)(max - min + 1));
}

void sim_copy(char *out, size_t cap, const char *text)
{
    size_t n = strnlen(text, cap - 1);

    memcpy(out, text, n);
    out[n] = 0;
}

const char *sim_visible(const char *text, char *out, size_t cap)
{
    size_t n = 0;

    for (; *text && n + 4 <= cap; text++) {
        unsigned char c = (unsigned char)*text;

        if (c > 0x20 && c < 0x7F && c != '%')
            out[n++] = (char)c;
        else
            n += (size_t)snprintf(out + n, 4, "%%%02X", c);
    }
    out[n] = 0;
    return out;
}

int sim_parse_int(const char *text, int64_t *ret_value)
{
    char *end;
    long long v;
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;

    errno = 0;
    v = strtoll(text, &end, base);
    if (errno || end == text || *end)
        return -EINVAL;
    *ret_value = v;
    return 0;
}

const char *sim_mask(const char *msisdn, char out[16])
{
    size_t n = strlen(msisdn);

    snprintf(out, 16, "...%s", msisdn + (n > 4 ? n - 4 : 0));
    return out;
}
