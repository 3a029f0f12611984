/* SPDX-License-Identifier: Apache-2.0 */
/* mms_cases_submit.c - messages out: what is written, how fast, and that nothing is written twice.
 */
#include "mms_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void plain_run(void)
{
    struct mms_bench b;
    static const char *const options[] = {"window=16", "read_reply=true", NULL};
    if (!begin(&b, NULL, options))
        return;
    b.with_media = true;
    b.subject = "Gr\xc3\xbc\xc3\x9f"
                "e & <tags>";
    check(mms_send(&b, 500, 20000), "500 messages are settled");
    check(b.by_result[CGW_RES_ACCEPTED] == 500, "all are accepted (%u)",
          b.by_result[CGW_RES_ACCEPTED]);
    check(mms_wait(&b, &b.in.n_receipts, 500, 20000), "500 reports come back");
    check(b.receipt.result == CGW_RES_DELIVERED && b.receipt_person[0] == '+' &&
              !strncmp(b.receipt_id, "mm-", 3),
          "a report says who and what (%s %s)", b.receipt_id, b.receipt_person);
    check(b.last.segments == 1 && b.last.quantity > 30000, "the size is told (%u)",
          b.last.quantity);
    check(stat_of(&b, "\"messages\"", "accepted") == 500 &&
              sim_peer_number(&b.sim, "\"messages\"", "duplicate_taken") == 0,
          "the simulator counted the same 500 once each");
    check(sim_peer_number(&b.sim, NULL, "connections") <= 18, "connections are kept");
    end(&b, true);
}

/* Everything an account can say, in one message. */
static void every_element(void)
{
    struct mms_bench b;
    static const char *const options[] = {"service_code=svc",
                                          "linked_id=link",
                                          "charged_party=ThirdParty",
                                          "charged_party_by_campaign=true",
                                          "distribution_indicator=false",
                                          "delivery_condition=MMS capable only",
                                          "applic_id=app",
                                          "reply_applic_id=rep",
                                          "echo_reference=true",
                                          "content_class=image-rich",
                                          "drm_content=false",
                                          "allow_adaptations=true",
                                          "reply_charging=true",
                                          "reply_charging_bytes=10240",
                                          "reply_deadline_ms=86400000",
                                          "read_reply=true",
                                          "transfer_encoding=base64",
                                          NULL};
    if (!begin(&b, NULL, options))
        return;
    b.with_media = true;
    b.subject = "Subject";
    check(mms_send(&b, 20, 10000) && b.by_result[CGW_RES_ACCEPTED] == 20, "all are accepted");
    end(&b, true);
}

static void releases_and_forms(void)
{
    static const char *const args[] = {"--expect-plus", "0", "--require-header",
                                       "X-Test-Carrier-Id: 7", NULL};
    static const char *const options[][6] = {
        {"release=REL-5-MM7-1-2", "soap_action=namespace", "headers=X-Test-Carrier-Id: 7",
         "charged_party_id=nobody", "expiry=relative", NULL},
        {"release=REL-6-MM7-1-0", "soap_action=none", "headers=X-Test-Carrier-Id: 7", "smil=none",
         "recipient_plus=false", NULL},
        {"recipient_suffix=/TYPE=PLMN", "headers=X-Test-Carrier-Id: 7", "expiry=none",
         "priority=unset", "class_marketing=unset", NULL},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct mms_bench b;
        if (!begin(&b, args, options[i]))
            return;
        check(mms_send(&b, 5, 10000) && b.by_result[CGW_RES_ACCEPTED] == 5, "form %zu goes", i);
        end(&b, true);
    }
}

/* The MMSC must not deliver behind the legal window: the simulator knows when that ends. */
static void expiry_within_the_window(void)
{
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    /* ten minutes from the hand-over, which may come late: up to a minute more */
    (void)sim_peer_ask(&b.sim, "set expect_expiry %lld", (long long)time(NULL) + 660);
    b.valid_for_ms = 600000;
    check(mms_send(&b, 5, 10000) && b.by_result[CGW_RES_ACCEPTED] == 5, "ten minutes are enough");
    b.valid_for_ms = 30000;
    b.total++;
    check(mms_wait(&b, &b.by_result[CGW_RES_NOT_SENT], 1, 5000), "half a minute is not sent");
    check(stat_of(&b, NULL, "taken") == 5, "and the MMSC never saw it");
    end(&b, true);
}

static void a_rate_is_kept(void)
{
    struct mms_bench b;
    static const char *const options[] = {"rate=100", "window=20", NULL};
    if (!begin(&b, NULL, options))
        return;
    int64_t from = mini_mono_ms();
    check(mms_send(&b, 150, 10000), "150 messages go");
    int64_t took = mini_mono_ms() - from;
    /* the upper end leaves room for pauses of the machine: a rate that is not reached at all */
    check(took > 1300 && took < 9000, "at 100 a second (%lld ms)", (long long)took);
    end(&b, true);
}

static void the_window_is_kept(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--delay-ms", "20", NULL};
    static const char *const options[] = {"window=5", NULL};
    if (!begin(&b, args, options))
        return;
    check(mms_send(&b, 60, 10000), "60 messages go");
    check(stat_of(&b, NULL, "open_max") <= 5, "never more than 5 open");
    end(&b, true);
}

static void urgent_has_room(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--hang-permille", "1000", NULL};
    static const char *const options[] = {"window=10", "response_timeout_ms=1500",
                                          "connect_timeout_ms=500", NULL};
    if (!begin(&b, args, options))
        return;
    b.total = 50;
    for (int64_t until = mini_mono_ms() + MMS_PAUSES_MS;
         (b.in.credit[CGW_LANE_BULK] != 0 || b.in.credit[CGW_LANE_URGENT] != 1) &&
         mini_mono_ms() < until;)
        mms_turn(&b);
    check(b.in.credit[CGW_LANE_BULK] == 0 && b.in.credit[CGW_LANE_URGENT] == 1,
          "a stuck window leaves one place for urgent ones (%lld, %lld)",
          (long long)b.in.credit[CGW_LANE_BULK], (long long)b.in.credit[CGW_LANE_URGENT]);
    b.total = b.given;
    check(mms_wait(&b, &b.by_result[CGW_RES_UNKNOWN], 9, 6000), "silence is UNKNOWN");
    check(stat_of(&b, "\"messages\"", "duplicate_taken") == 0, "nothing was written twice");
    end(&b, true);
}

/* libcurl repeats a request by itself when a kept connection dies under it. Not ours. */
static void lost_answers_are_unknown(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--drop-answer-permille", "200", NULL};
    if (!begin(&b, args, NULL))
        return;
    check(mms_send(&b, 300, 20000), "300 messages are settled");
    int64_t ambiguous = stat_of(&b, NULL, "ambiguous");
    check(ambiguous > 20 && b.by_result[CGW_RES_UNKNOWN] == ambiguous,
          "as many UNKNOWN as answers were lost (%u, %lld)", b.by_result[CGW_RES_UNKNOWN],
          (long long)ambiguous);
    check(sim_peer_number(&b.sim, "\"messages\"", "duplicate_taken") == 0, "nobody gets one twice");
    check(sim_peer_number(&b.sim, NULL, "taken") == 300, "each was taken once");
    end(&b, true);
}

static void unreachable_is_not_sent(void)
{
    struct mms_bench b;
    struct cgw_health h = {.size = sizeof h};
    if (!begin(&b, NULL, NULL))
        return;
    check(mms_send(&b, 10, 5000), "ten go");
    (void)sim_peer_ask(&b.sim, "quit");
    (void)sim_peer_read(&b.sim); /* the end of the control connection: it is gone */
    b.total += 10;
    b.submit_for_ms = 400;
    check(mms_wait(&b, &b.by_result[CGW_RES_NOT_SENT], 3, 6000), "the others do not");
    b.in.desc->channel->health(b.in.ch, &h);
    check(!h.up && h.text[0], "health says why (%s)", h.text);
    check(b.by_result[CGW_RES_UNKNOWN] <= 1, "nothing is in doubt (%u)",
          b.by_result[CGW_RES_UNKNOWN]);
    check(mms_drain(&b, 2000) && b.in.n_completed == b.in.n_taken, "it drains");
    mms_bench_close(&b);
    check(b.in.violations == 0, "no promise is broken (%s)", b.in.violation);
}

static void drain_settles_the_open(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--hang-permille", "1000", NULL};
    if (!begin(&b, args, NULL))
        return;
    b.total = 4;
    check(mms_wait_stat(&b, "\"messages\"", "ambiguous", 4) == 4, "four are written");
    check(mms_drain(&b, 200), "the deadline is kept");
    check(b.by_result[CGW_RES_UNKNOWN] == 4, "what was written is UNKNOWN (%u)",
          b.by_result[CGW_RES_UNKNOWN]);
    end(&b, true);
}

static void what_cannot_be_sent(void)
{
    struct mms_bench b;
    static char big[400000];
    static const char *const options[] = {"max_bytes=100000", NULL};
    if (!begin(&b, NULL, options))
        return;
    mini_media(8, big, sizeof big);
    struct cgw_part parts[2] = {{.role = CGW_ROLE_TEXT, .len = 2, .body = "hi"}, {0}};
    struct cgw_message m = {
        .size = sizeof m, .to = {CGW_ADDR_E164, 12, "+86138000000"}, .n_parts = 2, .parts = parts};
    static const struct {
        struct cgw_part part;
        int32_t code;
        const char *says;
    } bad[] = {
        {{.role = CGW_ROLE_MEDIA, .mime = "image/png", .media = 8}, CGW_ELIMIT, "takes 100000"},
        {{.role = CGW_ROLE_MEDIA, .mime = "image/png", .media = 99}, CGW_EINVAL, "not there"},
        {{.role = CGW_ROLE_MEDIA, .mime = "no type", .len = 1, .body = "x"}, CGW_EINVAL, "type"},
        {{.role = CGW_ROLE_MEDIA, .mime = "image/png", .name = "a/../b", .len = 1, .body = "x"},
         CGW_EINVAL,
         "name"},
        {{.role = CGW_ROLE_TEXT, .len = 2, .body = "\xff\xfe"}, CGW_EINVAL, "UTF-8"},
        {{.role = CGW_ROLE_SUBJECT, .len = 3, .body = "a\nb"}, CGW_EINVAL, "subject"},
        {{.role = CGW_ROLE_HEADER, .len = 4, .body = "A: b"}, CGW_EINVAL, "X-Mms"},
        {{.role = CGW_ROLE_HTML, .len = 3, .body = "<p>"}, CGW_EINVAL, "parts only"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cgw_check c = {.size = sizeof c};
        parts[1] = bad[i].part;
        b.in.desc->channel->check(b.in.ch, &m, 1, &c);
        check(c.code == bad[i].code && strstr(c.text, bad[i].says), "refused: %s", c.text);
    }
    end(&b, true);
}

const struct mms_case mms_submit_cases[] = {
    {"plain_run", plain_run},
    {"every_element", every_element},
    {"releases_and_forms", releases_and_forms},
    {"expiry_within_the_window", expiry_within_the_window},
    {"a_rate_is_kept", a_rate_is_kept},
    {"the_window_is_kept", the_window_is_kept},
    {"urgent_has_room", urgent_has_room},
    {"lost_answers_are_unknown", lost_answers_are_unknown},
    {"unreachable_is_not_sent", unreachable_is_not_sent},
    {"drain_settles_the_open", drain_settles_the_open},
    {"what_cannot_be_sent", what_cannot_be_sent},
    {NULL, NULL},
};
