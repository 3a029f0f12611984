/* SPDX-License-Identifier: Apache-2.0 */
/* mms_cases_answer.c - what MMSCs answer, in every shape seen in the field, and what becomes of it.
 */
#include "mms_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shapes: foreign release, prefixes and white space, no namespace and another order, multipart,
 * GB2312 said by the document, EUC-KR said by the transport. */
static void every_shape_is_read(void)
{
    for (int shape = 0; shape <= 6; shape++) {
        struct mms_bench b;
        char text[8];
        const char *args[] = {"--shape", text, NULL};
        (void)snprintf(text, sizeof text, "%d", shape);
        if (!begin(&b, args, NULL))
            return;
        check(mms_send(&b, 5, 5000) && b.by_result[CGW_RES_ACCEPTED] == 5, "shape %d is understood",
              shape);
        check(!strncmp(b.last_id, "mm-", 3) && !strchr(b.last_id, ' '), "with its id (%s)",
              b.last_id);
        if (shape == 5 || shape == 6)
            check(!strcmp(b.last_raw,
                          shape == 5 ? "\xe6\x88\x90\xe5\x8a\x9f" : "\xec\x84\xb1\xea\xb3\xb5"),
                  "and its text (%s)", b.last_raw);
        check(mms_wait(&b, &b.in.n_receipts, 5, 5000), "its reports too");
        end(&b, true);
    }
}

static void faults_count_by_their_code(void)
{
    static const char *const http[] = {"500", "200"};
    for (size_t i = 0; i < 2; i++) {
        struct mms_bench b;
        const char *args[] = {"--error-permille",
                              "1000",
                              "--error-code",
                              "2002",
                              "--fault",
                              "1",
                              "--fault-http",
                              http[i],
                              NULL};
        if (!begin(&b, args, NULL))
            return;
        check(mms_send(&b, 3, 5000) && b.by_result[CGW_RES_REFUSED] == 3,
              "a fault with HTTP %s is a refusal", http[i]);
        check(b.last.code == 2002 && !strcmp(b.last_space, "mm7.status"),
              "by its StatusCode (%d %s)", b.last.code, b.last_space);
        end(&b, true);
    }
}

struct fate {
    const char *code, *retry;
    uint32_t result, flags;
    int64_t after_ms; /* -1: not looked at */
};

static void one_fate(const struct fate *f)
{
    struct mms_bench b;
    char retry[64];
    const char *args[] = {"--error-permille", "1000", "--error-code", f->code, NULL};
    const char *options[] = {"retry_ms=7000", "account_wait_ms=5000", f->retry ? retry : NULL,
                             NULL};
    (void)snprintf(retry, sizeof retry, "retry=%s", f->retry ? f->retry : "");
    if (!begin(&b, args, options))
        return;
    b.total = 1;
    (void)mms_wait(&b, &b.in.n_completed, 1, 5000);
    check(b.last.result == f->result && b.last.flags == f->flags &&
              (f->after_ms < 0 || b.last.retry_after_ms == f->after_ms),
          "%s %s: result %u flags %u after %lld ms", f->code, f->retry ? f->retry : "",
          b.last.result, b.last.flags, (long long)b.last.retry_after_ms);
    end(&b, true);
}

static void status_codes(void)
{
    static const struct fate fates[] = {
        {"2003", NULL, CGW_RES_REFUSED, 0, 0},
        {"3000", NULL, CGW_RES_REFUSED_RETRY, 0, 7000},
        {"3003", NULL, CGW_RES_REFUSED, 0, 0},
        {"4000", NULL, CGW_RES_REFUSED_RETRY, 0, 7000},
        {"4001", NULL, CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 5000},
        {"4005", NULL, CGW_RES_REFUSED_RETRY, 0, 7000},
        {"4006", NULL, CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 10},
        {"6102", NULL, CGW_RES_REFUSED, 0, 0},
        {"6102", "6102=retry:30000", CGW_RES_REFUSED_RETRY, 0, 30000},
        {"2571", "2571=throttle:400", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 400},
        {"3000", "3000=refuse", CGW_RES_REFUSED, 0, 0},
        {"4006", "4006=account:900", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 900},
        {"3005", "3005=accept", CGW_RES_ACCEPTED, 0, 0},
    };
    for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++)
        one_fate(&fates[i]);
}

static void http_without_a_word(void)
{
    static const struct {
        const char *status, *after;
        uint32_t result, flags;
        int64_t least_ms;
    } cases[] = {
        {"503", "2", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 2000},
        {"429", "0", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 1},
        {"413", "0", CGW_RES_REFUSED, 0, 0},
        {"403", "0", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 1000},
        {"500", "0", CGW_RES_UNKNOWN, 0, 0},
        {"504", "0", CGW_RES_UNKNOWN, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mms_bench b;
        const char *args[] = {
            "--http-permille", "1000", "--http-status", cases[i].status, "--retry-after-s",
            cases[i].after,    NULL};
        if (!begin(&b, args, NULL))
            return;
        b.total = 1;
        (void)mms_wait(&b, &b.in.n_completed, 1, 5000);
        check(b.last.result == cases[i].result && b.last.flags == cases[i].flags &&
                  b.last.retry_after_ms >= cases[i].least_ms &&
                  !strcmp(b.last_space, "http.status"),
              "HTTP %s: result %u flags %u after %lld ms", cases[i].status, b.last.result,
              b.last.flags, (long long)b.last.retry_after_ms);
        end(&b, true);
    }
}

static void doubtful_successes(void)
{
    static const struct {
        const char *knob, *value;
        uint32_t result;
        int32_t code;
    } cases[] = {
        {"--garbage-permille", "1000", CGW_RES_UNKNOWN, 200}, /* taken? nobody can tell */
        {"--no-id", "1", CGW_RES_ACCEPTED, 1000},
        {"--detail-code", "2003", CGW_RES_REFUSED, 2003}, /* 1100 for nobody */
        {"--detail-code", "1000", CGW_RES_ACCEPTED, 1100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mms_bench b;
        const char *args[] = {cases[i].knob, cases[i].value, NULL};
        if (!begin(&b, args, NULL))
            return;
        (void)mms_send(&b, 1, 5000);
        check(b.last.result == cases[i].result && b.last.code == cases[i].code,
              "%s %s: result %u code %d", cases[i].knob, cases[i].value, b.last.result,
              b.last.code);
        check(b.last.result != CGW_RES_ACCEPTED || b.last_id[0], "an id is always there (%s)",
              b.last_id);
        end(&b, true);
    }
}

static void throttling_storm(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--max-rate", "200", NULL};
    if (!begin(&b, args, NULL))
        return;
    check(mms_send(&b, 400, 20000), "400 messages go through a rate of 200");
    int64_t throttled = stat_of(&b, NULL, "throttled");
    check(b.by_result[CGW_RES_ACCEPTED] == 400, "none is lost");
    check(throttled > 0 && throttled < 300, "the MMSC is not stormed (%lld throttled)",
          (long long)throttled);
    end(&b, true);
}

static void one_byte_at_a_time(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--one-byte-writes", "1", "--close-after", "3", NULL};
    if (!begin(&b, args, NULL))
        return;
    check(mms_send(&b, 40, 10000) && b.by_result[CGW_RES_ACCEPTED] == 40, "all are accepted");
    check(stat_of(&b, NULL, "connections") >= 13, "connections that close are opened again");
    end(&b, true);
}

static void passwords(void)
{
    static const struct {
        const char *option;
        uint32_t result;
    } cases[] = {{"password=secret", CGW_RES_ACCEPTED}, {"password=wrong", CGW_RES_REFUSED_RETRY}};
    for (size_t i = 0; i < 2; i++) {
        struct mms_bench b;
        struct cgw_health h = {.size = sizeof h};
        static const char *const args[] = {"--auth", "acme:secret", NULL};
        const char *options[] = {"user=acme", cases[i].option, NULL};
        if (!begin(&b, args, options))
            return;
        b.total = 1;
        (void)mms_wait(&b, &b.in.n_completed, 1, 5000);
        b.in.desc->channel->health(b.in.ch, &h);
        check(b.last.result == cases[i].result, "%s: result %u", cases[i].option, b.last.result);
        check(h.up == (i == 0) && (i == 0 || strstr(h.text, "401")), "health: %u %s", h.up, h.text);
        check(i == 0 || b.in.credit[0] == 0, "a refused account sends nothing more");
        end(&b, true);
    }
}

/* The MMSC must prove its name, and we ours. */
static void certificates(void)
{
    static const struct {
        bool ca, cert;
    } cases[] = {{true, true}, {true, false}, {false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mms_bench b;
        struct sim_peer other; /* with a certificate nobody here trusts */
        struct cgw_diag diag = {.size = sizeof diag};
        const char *const none[] = {NULL};
        if (!check(mms_bench_open(&b, NULL) == 0 && sim_peer_tls_mutual(&b.sim, "localhost") == 0 &&
                       sim_peer_start_as(&other, mms_simulator(), none) == 0 &&
                       sim_peer_tls(&other, "localhost") == 0,
                   "the simulator starts behind TLS"))
            return;
        (void)snprintf(b.words[0], sizeof b.words[0], "url=https://localhost:%u/mm7",
                       b.sim.tls_port);
        mms_opt(&b, "tls_ca=%s/cert.pem", cases[i].ca ? b.sim.dir : other.dir);
        if (cases[i].cert) {
            mms_opt(&b, "tls_cert=%s/cert.pem", b.sim.dir);
            mms_opt(&b, "tls_key=%s/key.pem", b.sim.dir);
        }
        check(mms_bench_start(&b, &diag) == 0, "the plugin takes its options");
        b.total = 1;
        (void)mms_wait(&b, &b.in.n_completed, 1, 8000);
        check((b.last.result == CGW_RES_ACCEPTED) == (cases[i].ca && cases[i].cert),
              "CA %d, client certificate %d: result %u %s", cases[i].ca, cases[i].cert,
              b.last.result, b.last_raw);
        check(stat_of(&b, NULL, "taken") == (i == 0), "the simulator took %s", i ? "none" : "one");
        sim_peer_stop(&other);
        end(&b, true);
    }
}

/* CancelReq: for what is answered, and for what is on its way. */
static void recall(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--report-permille", "0", "--delay-ms", "150", NULL};
    uint64_t tokens[] = {1, 2};
    if (!begin(&b, args, NULL))
        return;
    check(mms_send(&b, 1, 5000), "one is accepted");
    b.in.desc->channel->cancel(b.in.ch, tokens, 1);
    check(mms_wait(&b, &b.in.n_receipts, 1, 5000), "its CancelReq is confirmed");
    check(b.receipt.result == CGW_RES_RECALLED && !strcmp(b.receipt_id, b.last_id) &&
              b.receipt_person[0],
          "and told as a final receipt (%s)", b.receipt_raw);
    b.total++;
    check(mms_wait_stat(&b, NULL, "submits", 2) == 2, "another one is written");
    b.in.desc->channel->cancel(b.in.ch, tokens + 1, 1);
    check(mms_wait(&b, &b.in.n_receipts, 2, 5000), "one on its way is recalled when it has a name");
    check(b.by_result[CGW_RES_ACCEPTED] == 2 && stat_of(&b, NULL, "cancels") == 2,
          "each had its one result before");
    (void)sim_peer_ask(&b.sim, "set cancel_code 3001");
    b.total++;
    (void)mms_wait(&b, &b.settled, 3, 5000);
    tokens[0] = 3;
    b.in.desc->channel->cancel(b.in.ch, tokens, 1);
    check(mms_wait(&b, &b.in.n_receipts, 3, 5000) && b.in.counters[14] == 1 &&
              b.receipt.result == CGW_RES_NOT_RECALLED,
          "too late is counted and said: its report decides");
    end(&b, true);
}

/* recall(): by the name of the MMSC, within the rate, and only where the option allows it. */
static void recall_accepted(void)
{
    static const char *const args[] = {"--report-permille", "0", NULL};
    for (int i = 0; i < 2; i++) {
        const char *on[] = {i ? "cancel=true" : NULL, NULL};
        struct mms_bench b;
        if (!begin(&b, args, on))
            return;
        check(mms_send(&b, 1, 5000), "one is accepted");
        struct cgw_ask asks[] = {{.size = sizeof asks[0], .peer_id = b.last_id},
                                 {.size = sizeof asks[0], .peer_id = "tid:1"},
                                 {.size = sizeof asks[0], .peer_id = ""}};
        check(b.in.desc->channel->recall(b.in.ch, asks, 3) == 3, "all are taken");
        if (i)
            (void)mms_wait(&b, &b.in.n_receipts, 1, 5000);
        else
            mms_turn_for(&b, 200);
        check(b.in.n_receipts == (uint32_t)i && stat_of(&b, NULL, "cancels") == i,
              "a name is asked for once with the option, never without it");
        check(!i || (b.receipt.result == CGW_RES_RECALLED && !strcmp(b.receipt_id, b.last_id)),
              "its answer names the message (%s)", b.receipt_raw);
        end(&b, true);
    }
}

static void replace(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--report-permille", "0", NULL};
    if (!begin(&b, args, NULL))
        return;
    b.with_media = true;
    b.header = "X-Mms-Replace-Id: mm-77";
    check(mms_send(&b, 3, 5000) && b.by_result[CGW_RES_ACCEPTED] == 3, "ReplaceReqs are accepted");
    check(!strcmp(b.last_id, "mm-77") && stat_of(&b, NULL, "replaces") == 3,
          "under the name of what they replace (%s)", b.last_id);
    (void)sim_peer_ask(&b.sim, "set cancel_code 2005");
    (void)mms_send(&b, 1, 5000);
    check(b.last.result == CGW_RES_REFUSED && b.last.code == 2005, "what is gone is refused");
    end(&b, true);
}

const struct mms_case mms_answer_cases[] = {
    {"every_shape_is_read", every_shape_is_read},
    {"faults_count_by_their_code", faults_count_by_their_code},
    {"status_codes", status_codes},
    {"http_without_a_word", http_without_a_word},
    {"doubtful_successes", doubtful_successes},
    {"throttling_storm", throttling_storm},
    {"one_byte_at_a_time", one_byte_at_a_time},
    {"passwords", passwords},
    {"certificates", certificates},
    {"recall", recall},
    {"recall_accepted", recall_accepted},
    {"replace", replace},
    {NULL, NULL},
};
