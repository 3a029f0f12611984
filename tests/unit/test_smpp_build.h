/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_build.h - writes received PDUs octet by octet for the tests of channel_smpp, without
 * its encoder or the library. Source: SMPP 3.4 issue 1.2, chapter 4. */
#ifndef TEST_SMPP_BUILD_H
#define TEST_SMPP_BUILD_H

#include "pdu.h"

#include <criterion/criterion.h>
#include <string.h>

struct build {
    uint8_t octets[70000];
    uint32_t len;
};

static inline void put_octets(struct build *b, const void *data, size_t n)
{
    cr_assert_lt(b->len + n, sizeof b->octets);
    if (n)
        memcpy(b->octets + b->len, data, n);
    b->len += (uint32_t)n;
}

static inline void put_u8(struct build *b, uint8_t v)
{
    put_octets(b, &v, 1);
}

static inline void put_str(struct build *b, const char *s)
{
    put_octets(b, s, strlen(s) + 1);
}

static inline void put_addr(struct build *b, uint8_t ton, uint8_t npi, const char *s)
{
    put_u8(b, ton);
    put_u8(b, npi);
    put_str(b, s);
}

static inline void put_tlv(struct build *b, uint16_t tag, const void *value, size_t n)
{
    uint8_t head[4];
    smpp_put16(head, tag);
    smpp_put16(head + 2, (uint16_t)n);
    put_octets(b, head, sizeof head);
    put_octets(b, value, n);
}

static inline void finish(struct build *b)
{
    smpp_put32(b->octets, b->len);
}

static inline void begin(struct build *b, uint32_t command, uint32_t status, uint32_t sequence)
{
    b->len = SMPP_HEADER_LEN;
    smpp_put32(b->octets + 4, command);
    smpp_put32(b->octets + 8, status);
    smpp_put32(b->octets + 12, sequence);
    finish(b);
}

/* deliver_sm from 4915112345678 to 2255; optional parameters may follow, then finish(). */
static inline void deliver(struct build *b, uint8_t esm_class, uint8_t data_coding,
                           const void *text, size_t n)
{
    const uint8_t middle[] = {esm_class, 0, 0, 0, 0, 0, 0, data_coding, 0, (uint8_t)n};
    begin(b, SMPP_DELIVER_SM, 0, 7);
    put_str(b, "");
    put_addr(b, 1, 1, "4915112345678");
    put_addr(b, 3, 0, "2255");
    put_octets(b, middle, sizeof middle);
    put_octets(b, text, n);
    finish(b);
}

static inline void decode(const struct build *b, struct smpp_pdu *pdu)
{
    cr_assert_eq(smpp_decode(b->octets, b->len, pdu), 0);
}

/* A test that fails when it leaks. The leak checker speaks only when asked, and Criterion 2.4.1
 * does not count what fails in a suite's .fini, so the question is asked behind the body of the
 * test. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
#define Checked(suite, name)                                                                       \
    static void suite##_##name##_body(void);                                                       \
    Test(suite, name)                                                                              \
    {                                                                                              \
        suite##_##name##_body();                                                                   \
        if (__lsan_do_recoverable_leak_check)                                                      \
            cr_assert_eq(__lsan_do_recoverable_leak_check(), 0, "memory leaked");                  \
    }                                                                                              \
    static void suite##_##name##_body(void)

#endif
