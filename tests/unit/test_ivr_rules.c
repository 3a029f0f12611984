/* SPDX-License-Identifier: Apache-2.0 */
/* test_ivr_rules.c - what SIP statuses mean, which trunk takes a call, and when a key is a new one.
 */
#include "cgw/channel.h"
#include "outcome.h"
#include "rtp.h"
#include "trunk.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- outcomes ---- */

static const struct ivr_retry_conf RETRY = {300, 3600, 0, 60};

Test(ivr_outcome, each_status_has_its_result)
{
    static const struct {
        int status;
        uint32_t result, sub;
        int64_t after_ms;
    } rows[] = {
        {486, CGW_RES_REFUSED_RETRY, CGW_SUB_BUSY, 300000},
        {600, CGW_RES_REFUSED_RETRY, CGW_SUB_BUSY, 300000},
        {480, CGW_RES_REFUSED_RETRY, CGW_SUB_NO_ANSWER, 3600000},
        {408, CGW_RES_REFUSED_RETRY, CGW_SUB_NO_ANSWER, 3600000},
        {487, CGW_RES_REFUSED_RETRY, CGW_SUB_NO_ANSWER, 3600000},
        {403, CGW_RES_FAILED, CGW_SUB_REJECTED, 0},
        {603, CGW_RES_FAILED, CGW_SUB_REJECTED, 0},
        {607, CGW_RES_FAILED, CGW_SUB_REJECTED, 0},
        {608, CGW_RES_FAILED, CGW_SUB_REJECTED, 0},
        {404, CGW_RES_FAILED, CGW_SUB_BAD_ADDRESS, 0},
        {410, CGW_RES_FAILED, CGW_SUB_BAD_ADDRESS, 0},
        {484, CGW_RES_FAILED, CGW_SUB_BAD_ADDRESS, 0},
        {604, CGW_RES_FAILED, CGW_SUB_BAD_ADDRESS, 0},
        {500, CGW_RES_REFUSED_RETRY, CGW_SUB_ROUTE_DOWN, 60000},
        {502, CGW_RES_REFUSED_RETRY, CGW_SUB_ROUTE_DOWN, 60000},
        {503, CGW_RES_REFUSED_RETRY, CGW_SUB_ROUTE_DOWN, 60000},
        {504, CGW_RES_REFUSED_RETRY, CGW_SUB_ROUTE_DOWN, 60000},
        {0, CGW_RES_REFUSED_RETRY, CGW_SUB_ROUTE_DOWN, 60000},
        {401, CGW_RES_REFUSED, CGW_SUB_ROUTE_DOWN, 0},
        {407, CGW_RES_REFUSED, CGW_SUB_ROUTE_DOWN, 0},
        {488, CGW_RES_REFUSED, 0, 0},
        {302, CGW_RES_REFUSED, 0, 0},
        {420, CGW_RES_REFUSED, 0, 0},
        {699, CGW_RES_REFUSED, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ivr_verdict v;
        ivr_outcome(rows[i].status, 0, &RETRY, &v);
        cr_assert(v.result == rows[i].result && v.sub == rows[i].sub &&
                      v.retry_after_ms == rows[i].after_ms,
                  "%d: result %u, sub %u, after %lld", rows[i].status, v.result, v.sub,
                  (long long)v.retry_after_ms);
        bool trunk = rows[i].sub == CGW_SUB_ROUTE_DOWN;
        cr_assert(v.other_trunk == trunk && v.trunk_rests == trunk, "%d", rows[i].status);
        cr_assert_eq(v.flags, rows[i].status == 503 ? CGW_RESF_THROTTLED : 0, "%d", rows[i].status);
    }
}

Test(ivr_outcome, retry_after_of_a_person_lengthens_and_of_a_trunk_decides)
{
    struct ivr_verdict v;
    ivr_outcome(486, 900000, &RETRY, &v);
    cr_assert_eq(v.retry_after_ms, 900000);
    ivr_outcome(486, 1000, &RETRY, &v);
    cr_assert_eq(v.retry_after_ms, 300000);
    ivr_outcome(503, 7000, &RETRY, &v);
    cr_assert_eq(v.retry_after_ms, 7000);
    struct ivr_retry_conf final = {0, 0, 0, 60};
    ivr_outcome(486, 900000, &final, &v);
    cr_assert(v.result == CGW_RES_FAILED && v.retry_after_ms == 0);
}

Test(ivr_outcome, a_transfers_status_becomes_a_sub_outcome)
{
    cr_assert_eq(ivr_transfer_sub(200), CGW_SUB_ANSWERED);
    cr_assert_eq(ivr_transfer_sub(486), CGW_SUB_BUSY);
    cr_assert_eq(ivr_transfer_sub(603), CGW_SUB_REJECTED);
    cr_assert_eq(ivr_transfer_sub(0), 0);
}

/* ---- trunks ---- */

static struct ivr_trunk trunk(const char *text)
{
    struct ivr_trunk t;
    char why[160];
    cr_assert_eq(ivr_trunk_parse(text, &t, why, sizeof why), 0, "%s: %s", text, why);
    return t;
}

Test(ivr_trunk, is_read_with_all_its_words)
{
    struct ivr_trunk t = trunk(
        "sip:gw.example.com:5080;priority=2;calls=30;cps=5;user=alice;register=yes;prefix=00");
    char uri[128];
    cr_assert_str_eq(t.host, "gw.example.com:5080");
    cr_assert(t.priority == 2 && t.calls == 30 && t.cps == 5 && t.registers && !t.registered);
    ivr_trunk_uri(&t, "+4915112345678", uri, sizeof uri);
    cr_assert_str_eq(uri, "sip:004915112345678@gw.example.com:5080");
    t = trunk("10.0.0.1");
    ivr_trunk_uri(&t, "+4915112345678", uri, sizeof uri);
    cr_assert_str_eq(uri, "sip:+4915112345678@10.0.0.1");
    t = trunk("10.0.0.1;plus=no");
    ivr_trunk_uri(&t, "+4915112345678", uri, sizeof uri);
    cr_assert_str_eq(uri, "sip:4915112345678@10.0.0.1");
}

Test(ivr_trunk, what_is_wrong_is_said)
{
    static const char *const rows[][2] = {
        {"", "HOST"},
        {"a b", "HOST"},
        {"h:0", "HOST"},
        {"h:70000", "HOST"},
        {"h;calls=0", "calls"},
        {"h;calls=2001", "2000"},
        {"h;cps=x", "cps"},
        {"h;color=red", "color"},
        {"h;register=yes", "user="},
        {"h;plus=maybe", "yes"},
        {"h;prefix=+1", "prefix"},
        {"h;user=a\"b", "user"},
        {"h\r\nX: y", "HOST"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ivr_trunk t;
        char why[160] = "";
        cr_assert_eq(ivr_trunk_parse(rows[i][0], &t, why, sizeof why), -1, "%s", rows[i][0]);
        cr_assert(strstr(why, rows[i][1]), "%s: %s", rows[i][0], why);
    }
}

Test(ivr_trunk, lowest_priority_figure_first_then_the_least_used)
{
    struct ivr_trunk t[3] = {trunk("a;priority=2;calls=2"), trunk("b;priority=1;calls=1;cps=500"),
                             trunk("c;priority=2;calls=2")};
    int64_t wait = 0;
    cr_assert_eq(ivr_trunk_pick(t, 3, 0, 1000, &wait), 1);
    int second = ivr_trunk_pick(t, 3, 0, 2000, &wait), third = ivr_trunk_pick(t, 3, 0, 3000, &wait);
    cr_assert(second != third && second != 1 && third != 1, "b is full: %d, %d", second, third);
    cr_assert_eq(ivr_trunk_pick(t, 3, 5, 4000, &wait), -1);
    cr_assert_eq(wait, -1, "b may come free");
    cr_assert_eq(ivr_trunk_pick(t, 3, 7, 4000, &wait), -1);
    cr_assert_eq(wait, -2, "all were tried");
}

Test(ivr_trunk, calls_leave_at_the_rate_and_a_pause_is_no_burst)
{
    struct ivr_trunk t = trunk("a;calls=2000;cps=10");
    int64_t wait = 0;
    int n = 0;
    for (int64_t now = 1000; now < 11000; now += 5)
        n += ivr_trunk_pick(&t, 1, 0, now, &wait) == 0;
    cr_assert(n >= 99 && n <= 102, "%d calls in 10 s", n);
    n = 0;
    while (ivr_trunk_pick(&t, 1, 0, 3600000, &wait) == 0)
        n++;
    cr_assert(n <= 2, "%d at once after an hour", n);
    cr_assert(wait > 0 && wait <= 101, "next in %lld ms", (long long)wait);
}

Test(ivr_trunk, failure_rests_it_and_pings_tell_the_rest)
{
    struct ivr_trunk t = trunk("a");
    ivr_trunk_failed(&t, 1000, 7000, "503");
    cr_assert(!ivr_trunk_is_up(&t, 7999) && ivr_trunk_is_up(&t, 8000));
    ivr_trunk_failed(&t, 10000, 86400000, "503");
    cr_assert(ivr_trunk_is_up(&t, 10000 + IVR_TRUNK_REST_MAX_MS), "however long it wishes");
    t = trunk("a");
    cr_assert(!ivr_trunk_pinged(&t, 1000, 0), "one lost ping is none");
    cr_assert(ivr_trunk_pinged(&t, 2000, 0) && !ivr_trunk_is_up(&t, 2000));
    cr_assert(ivr_trunk_pinged(&t, 3000, 405) && ivr_trunk_is_up(&t, 3000), "405 is somebody");
    cr_assert(!ivr_trunk_pinged(&t, 4000, 503) && ivr_trunk_pinged(&t, 5000, 503));
}

/* ---- digits ---- */

static struct rtp_packet event(uint8_t *room, uint8_t code, uint32_t ssrc, uint32_t ts)
{
    room[0] = code;
    return (struct rtp_packet){.pt = 101, .ts = ts, .ssrc = ssrc, .payload = room, .len = 4};
}

Test(ivr_rtp, packets_of_one_event_are_one_key)
{
    struct rtp_digits d = {0};
    uint8_t room[4] = {0};
    struct rtp_packet p = event(room, 11, 1, 100);
    cr_assert_eq(rtp_digit(&d, &p), '#');
    for (int i = 0; i < 8; i++)
        cr_assert_eq(rtp_digit(&d, &p), 0);
    p = event(room, 11, 1, 900);
    cr_assert_eq(rtp_digit(&d, &p), '#', "the same key again");
    p = event(room, 11, 1, 100);
    cr_assert_eq(rtp_digit(&d, &p), 0, "a late packet of the first");
    p = event(room, 5, 2, 100);
    cr_assert_eq(rtp_digit(&d, &p), '5', "another source");
    p = event(room, 16, 2, 200);
    cr_assert_eq(rtp_digit(&d, &p), 0, "hook flash is no key");
    p.len = 3;
    cr_assert_eq(rtp_digit(&d, &p), 0, "cut short");
}

Test(ivr_rtp, headers_are_read_with_all_that_may_lie_in_them)
{
    uint8_t data[64] = {0};
    struct rtp_packet p;
    rtp_write_header(data, true, 8, 0x1234, 0x01020304, 0xa0b0c0d0);
    cr_assert(rtp_read(data, 20, &p));
    cr_assert(p.pt == 8 && p.seq == 0x1234 && p.ts == 0x01020304 && p.ssrc == 0xa0b0c0d0);
    cr_assert_eq(p.len, 8);
    data[0] = 0x80 | 0x20 | 0x10 | 2; /* padding, extension, two CSRCs */
    data[23] = 1;                     /* one word of extension */
    data[39] = 3;
    cr_assert(rtp_read(data, 40, &p));
    cr_assert_eq(p.len, 40 - 12 - 8 - 8 - 3);
    data[39] = 200;
    cr_assert(!rtp_read(data, 40, &p), "more padding than packet");
    data[23] = 200;
    cr_assert(!rtp_read(data, 40, &p), "more extension than packet");
    data[0] = 0x40;
    cr_assert(!rtp_read(data, 40, &p), "another version");
    cr_assert(!rtp_read(data, 11, &p));
}
