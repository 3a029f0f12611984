/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_util.h - clock, memory, byte buffer, hash and chance of the SMSC simulator.
 * Knows nothing of SMPP. Out of memory ends the process: a test tool that limps on would judge
 * wrongly, one that stops is noticed.
 */
#ifndef SIM_UTIL_H
#define SIM_UTIL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes waiting between `head` and `len`; what is before `head` has been consumed. */
struct sim_buf {
    uint8_t *data;
    size_t head;
    size_t len;
    size_t cap;
};

int64_t sim_mono_ms(void);
int64_t sim_epoch_ms(void);

void *sim_alloc(size_t size);              /* zeroed; never NULL */
void *sim_realloc(void *old, size_t size); /* never NULL */

void sim_buf_done(struct sim_buf *buf);
void sim_buf_clear(struct sim_buf *buf);
uint8_t *sim_buf_room(struct sim_buf *buf, size_t size); /* room behind the end, not yet counted */
void sim_buf_put(struct sim_buf *buf, const void *data, size_t size);
void sim_buf_printf(struct sim_buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void sim_buf_json(struct sim_buf *buf, const char *text); /* quoted and escaped */
void sim_buf_eat(struct sim_buf *buf, size_t size);
static inline size_t sim_buf_left(const struct sim_buf *buf)
{
    return buf->len - buf->head;
}
static inline uint8_t *sim_buf_at(const struct sim_buf *buf)
{
    return buf->data + buf->head;
}

/* FNV-1a, 64 bits (offset basis 14695981039346656037, prime 1099511628211): short enough to be
 * repeated by any checker in any language. Pass SIM_HASH_START, or a former result to go on. */
#define SIM_HASH_START UINT64_C(14695981039346656037)
uint64_t sim_hash(uint64_t start, const void *data, size_t size);
uint64_t sim_mix(uint64_t x);

/* A draw depends on seed, purpose and ordinal only, never on how many draws came before: changing
 * one knob leaves the other faults where they were. */
uint64_t sim_draw(uint64_t seed, uint32_t purpose, uint64_t ordinal);
bool sim_chance(uint64_t draw, int64_t permille);
int64_t sim_between(uint64_t draw, int64_t min, int64_t max);

/* Copies at most cap-1 characters and always ends with NUL. */
void sim_copy(char *out, size_t cap, const char *text);
/* Octets that are no visible ASCII character, and %, become %XX: a name that fits tables and JSON.
 * Cuts what does not fit. */
const char *sim_visible(const char *text, char *out, size_t cap);
/* Whole number in decimal or 0x hex; 0 or -EINVAL. */
int sim_parse_int(const char *text, int64_t *ret_value);
/* "+441234567890" becomes "...7890": examples and logs never show a whole number. */
const char *sim_mask(const char *msisdn, char out[16]);

#endif
