/* SPDX-License-Identifier: Apache-2.0 */
/* bench_mms.c - channel_mms against mmscsim: one shared picture, a text each, reports off. First as
 * fast as it goes, for messages per CPU second; then at a given rate, to see whether it is held.
 * CPU is this process: plugin, HTTP client and a small host that does next to nothing. Without a
 * database. bench_mms [MESSAGES [RATE [SECONDS]]]; prints "key value" lines. */
#include "../contract/mms_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct figures {
    double wall_s, cpu_s;
    uint32_t accepted;
    int64_t taken, twice, complaints;
};

static int run(uint32_t messages, const char *rate, int64_t limit_ms, struct figures *f)
{
    struct mms_bench b;
    struct cgw_diag diag = {.size = sizeof diag};
    static const char *const args[] = {"--report-permille", "0", NULL};
    if (mms_bench_open(&b, args))
        return 1;
    mms_opt(&b, "window=32");
    mms_opt(&b, "rate=%s", rate);
    if (mms_bench_start(&b, &diag)) {
        (void)fprintf(stderr, "bench_mms: %s %s\n", diag.where, diag.text);
        return 1;
    }
    b.with_media = true;
    b.subject = "Spring offer";
    double cpu = cpu_s();
    int64_t from = mini_mono_ms();
    bool all = mms_send(&b, messages, limit_ms);
    f->wall_s = (double)(mini_mono_ms() - from) / 1000;
    f->cpu_s = cpu_s() - cpu;
    f->accepted = b.by_result[CGW_RES_ACCEPTED];
    f->taken = sim_peer_stat(&b.sim, "taken");
    f->twice = sim_peer_number(&b.sim, "\"messages\"", "duplicate_taken");
    f->complaints = sim_peer_number(&b.sim, NULL, "complaints_total");
    (void)mms_drain(&b, 2000);
    mms_bench_close(&b);
    if (!all || b.in.violations || f->taken != f->accepted || f->twice || f->complaints) {
        (void)fprintf(
            stderr,
            "bench_mms: %u accepted, simulator took %lld, %lld twice, %lld complaints; %s\n",
            f->accepted, (long long)f->taken, (long long)f->twice, (long long)f->complaints,
            b.in.violation);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint32_t messages = argc > 1 ? (uint32_t)atoi(argv[1]) : 20000;
    const char *rate = argc > 2 ? argv[2] : "3300";
    uint32_t seconds = argc > 3 ? (uint32_t)atoi(argv[3]) : 5;
    uint32_t held = (uint32_t)atoi(rate) * seconds;
    struct figures f;
    if (messages == 0 || messages > 60000 || held == 0 || held > 60000) {
        (void)fprintf(stderr, "bench_mms: messages, and rate x seconds, must be 1 to 60000\n");
        return 2;
    }
    if (run(messages, "0", 120000, &f))
        return 1;
    printf("mms_messages_per_s %.0f\nmms_messages_per_cpu_s %.0f\n", messages / f.wall_s,
           messages / f.cpu_s);
    if (run(held, rate, (int64_t)seconds * 4000 + 10000, &f))
        return 1;
    printf("mms_rate_asked %s\nmms_rate_held %.0f\nmms_cpu_percent_at_rate %.0f\n", rate,
           held / f.wall_s, 100 * f.cpu_s / f.wall_s);
    return 0;
}
