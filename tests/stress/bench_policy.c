/* SPDX-License-Identifier: Apache-2.0 */
/* bench_policy.c - decides per second on one core, and the time to compile windows. Usage:
 * bench_policy [million decides] Facts vary so that every verdict occurs; the sums printed keep the
 * work from being optimised away. */
#include "policy/calendar.h"

#include "cgw/types.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FROM_MS INT64_C(1767225600000) /* 2026-01-01T00:00Z */
#define N_FACTS 4096u
#define N_CAPS 4u

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint32_t seed = 42;
static uint32_t dice(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* Fails loudly: a benchmark of a refusal would be fast and worthless. */
static struct windows *compile(const struct place *place, const struct calendar_def *cals,
                               uint32_t n, int rounds, const char *what)
{
    struct windows *w = NULL;
    struct diag diag = {0};
    double start = now_s();
    for (int i = 0; i < rounds; i++) {
        windows_free(w);
        if (windows_compile(cals, n, place, CGW_CLASS_MARKETING, CGW_CHANNEL_SMS, FROM_MS, &w,
                            &diag) != 0) {
            (void)fprintf(stderr, "compile: %s: %s\n", diag.where, diag.text);
            exit(1);
        }
    }
    (void)printf("compile_ms[%s] %.3f intervals %u\n", what, (now_s() - start) * 1e3 / rounds,
                 w->n);
    return w;
}

static void random_facts(struct policy_facts *f, int16_t n[N_CAPS], const struct windows *w)
{
    for (uint32_t i = 0; i < N_CAPS; i++)
        n[i] = (int16_t)dice(3);
    *f = (struct policy_facts){
        .dnd_hits = dice(50) == 0 ? DND_HIT_ALL : 0,
        .dnd_reason = REASON_DND_LIST,
        .consent = dice(20) == 0 ? CONSENT_NONE : CONSENT_GRANTED,
        .cap_n = n,
        .windows = w,
        .holds_reservation = dice(10) == 0,
    };
}

static void run(const struct rules *rules, const struct policy_facts *facts, uint64_t n)
{
    struct policy_request req = {
        .contact_class = CGW_CLASS_MARKETING, .channel = CGW_CHANNEL_SMS, .validity_ms = 3600000};
    uint64_t kinds[4] = {0}, sum = 0;
    double start = now_s();
    for (uint64_t i = 0; i < n; i++) {
        struct verdict v;
        policy_decide(rules, &req, &facts[i % N_FACTS],
                      FROM_MS + (int64_t)(i * 7919 % 30000000) * 1000, &v);
        kinds[v.kind]++;
        sum += (uint64_t)v.closes_ms + v.slots;
    }
    double s = now_s() - start;
    (void)printf("allow %llu defer %llu deny %llu sum %llx\n",
                 (unsigned long long)kinds[VERDICT_ALLOW], (unsigned long long)kinds[VERDICT_DEFER],
                 (unsigned long long)kinds[VERDICT_DENY], (unsigned long long)sum);
    (void)printf("policy_decides_per_s %.0f\n", (double)n / s);
}

int main(int argc, char **argv)
{
    static const char ics[] = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nRRULE:FREQ=WEEKLY;"
                              "BYDAY=SA,SU\nEND:VEVENT\nEND:VCALENDAR\n";
    static const struct open_span day = {0x7f, 8 * 60, 21 * 60};
    static const struct calendar_def cals[] = {
        {.number = 1, .spans = &day, .n_spans = 1},
        {.number = 2, .holiday = true, .ics = ics, .ics_len = sizeof ics - 1},
    };
    static const struct cap caps[N_CAPS] = {
        {.rule_id = 1, .slot = 0, .period = CAP_MONTH, .max = 2},
        {.rule_id = 2, .slot = 1, .period = CAP_DAY, .channel = CGW_CHANNEL_SMS, .max = 2},
        {.rule_id = 3, .slot = 2, .period = CAP_WEEK, .channel = CGW_CHANNEL_VOICE, .max = 1},
        {.rule_id = 4, .slot = 3, .period = CAP_SLIDING_DAYS, .max = 5, .days = 30},
    };
    static const struct place one = {.region = "CN", .n_zones = 1, .zones = {"Asia/Shanghai"}};
    static const struct place four = {
        .region = "US",
        .n_zones = 4,
        .zones = {"America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"}};
    static struct policy_facts facts[N_FACTS];
    static int16_t counts[N_FACTS][N_CAPS];
    long million = argc > 1 ? strtol(argv[1], NULL, 10) : 10;
    struct windows *w1 = compile(&one, cals, 2, 20, "1 zone"),
                   *w4 = compile(&four, cals, 2, 20, "4 zones");
    struct rules rules;
    policy_defaults(&rules);
    rules.caps = caps;
    rules.n_caps = N_CAPS;
    for (uint32_t i = 0; i < N_FACTS; i++)
        random_facts(&facts[i], counts[i], i % 4 ? w1 : w4);
    run(&rules, facts, (uint64_t)(million < 1 ? 1 : million > 1000 ? 1000 : million) * 1000000u);
    windows_free(w1);
    windows_free(w4);
    return 0;
}
