/* SPDX-License-Identifier: Apache-2.0 */
/* bench_isolation.c - what a process of its own costs a channel: N messages through
 * channel_loopback inside this process and in one of its own, each with a receipt; CPU of both.
 * Prints name=value lines. Usage: bench_isolation LOOPBACK.so N. */
#include "base/clock.h"
#include "base/log.h"
#include "plugin/host.h"
#include "plugin/isolate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define WAIT_MS 120000

static _Atomic uint32_t n_results, n_receipts;

static void on_complete(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                        uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)r;
    (void)atomic_fetch_add(&n_results, n);
}

static uint32_t on_receipt(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *r,
                           uint32_t n)
{
    (void)ctx;
    for (uint32_t i = 0; i < n; i++)
        if (r[i].ack)
            instance_stored(inst, &r[i].ack, 1);
    (void)atomic_fetch_add(&n_receipts, n);
    return n;
}

static uint32_t on_inbound(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *m,
                           uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)m;
    return n;
}

static double cpu_us(int who)
{
    struct rusage u;
    (void)getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void nap(void)
{
    const struct timespec ts = {.tv_nsec = 500000};
    (void)nanosleep(&ts, NULL);
}

/* As a dispatcher does: what there is credit for, in windows. */
static void send_all(struct plugin_instance *inst, uint32_t total)
{
    static struct cgw_message msgs[64];
    static struct cgw_part part = {.role = CGW_ROLE_TEXT,
                                   .len = 60,
                                   .mime = "text/plain; charset=utf-8",
                                   .body = "Sixty octets of text, which is what a short message "
                                           "often is."};
    int64_t until = clock_mono_ms() + WAIT_MS;
    for (uint32_t sent = 0; sent < total && clock_mono_ms() < until;) {
        uint32_t want = total - sent < 64 ? total - sent : 64;
        uint32_t n = instance_reserve(inst, CGW_LANE_BULK, want);
        for (uint32_t i = 0; i < n; i++)
            msgs[i] = (struct cgw_message){.size = sizeof msgs[i],
                                           .token = sent + i + 1,
                                           .channel = CGW_CHANNEL_SMS,
                                           .contact_class = CGW_CLASS_SERVICE,
                                           .to = {CGW_ADDR_E164, 12, "+99900000001"},
                                           .submit_before_mono_ms = clock_mono_ms() + 60000,
                                           .want_receipt = 1,
                                           .n_parts = 1,
                                           .parts = &part};
        sent += n ? instance_submit_reserved(inst, msgs, n) : 0;
        if (!n)
            nap();
    }
    while ((atomic_load(&n_results) < total || atomic_load(&n_receipts) < total) &&
           clock_mono_ms() < until)
        nap();
}

static int measure(const struct plugin *p, const char *mode, uint32_t total)
{
    const struct conf_pair o[] = {{"window", "1000"}, {"receipt_ms", "1"}};
    struct instance_sink sink = {NULL, on_complete, on_receipt, on_inbound, NULL, NULL};
    struct plugin_instance *inst = NULL;
    struct cgw_conf *conf = NULL;
    struct diag d = {0};
    atomic_store(&n_results, 0);
    atomic_store(&n_receipts, 0);
    double own = cpu_us(RUSAGE_SELF), child = cpu_us(RUSAGE_CHILDREN);
    int64_t since = clock_mono_us();
    if (conf_from_pairs(p, "bench", o, ARRAY_LEN(o), NULL, &conf, &d) ||
        instance_new(p, "bench", conf, &sink, &inst, &d) || instance_start(inst, &d)) {
        (void)fprintf(stderr, "%s\n", d.text);
        return 1;
    }
    send_all(inst, total);
    double seconds = (double)(clock_mono_us() - since) / 1e6;
    uint32_t done = atomic_load(&n_results);
    (void)instance_free(inst); /* reaps its process */
    own = cpu_us(RUSAGE_SELF) - own;
    child = cpu_us(RUSAGE_CHILDREN) - child;
    if (done != total) {
        (void)fprintf(stderr, "%s: %u results of %u\n", mode, done, total);
        return 1;
    }
    printf("loopback_cpu_ms_per_1000_%s=%.2f\n", mode, (own + child) / total);
    printf("loopback_cpu_ms_per_1000_of_the_plugins_process_%s=%.2f\n", mode, child / total);
    printf("loopback_per_s_%s=%.0f\n", mode, total / seconds);
    return 0;
}

/* One check at a time, as it is asked for each contact. */
static int measure_checks(const struct plugin *p, const char *mode, uint32_t total)
{
    struct instance_sink sink = {NULL, on_complete, on_receipt, on_inbound, NULL, NULL};
    struct plugin_instance *inst = NULL;
    struct cgw_conf *conf = NULL;
    struct diag d = {0};
    struct cgw_part part = {.role = CGW_ROLE_TEXT, .len = 5, .mime = "text/plain", .body = "hello"};
    struct cgw_message m = {.size = sizeof m,
                            .channel = CGW_CHANNEL_SMS,
                            .to = {CGW_ADDR_E164, 12, "+99900000001"},
                            .n_parts = 1,
                            .parts = &part};
    struct cgw_check c = {0};
    double cpu = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN);
    if (conf_from_pairs(p, "checks", NULL, 0, NULL, &conf, &d) ||
        instance_new(p, "checks", conf, &sink, &inst, &d)) {
        (void)fprintf(stderr, "%s\n", d.text);
        return 1;
    }
    for (uint32_t i = 0; i < total; i++)
        instance_check(inst, &m, 1, &c);
    (void)instance_free(inst);
    cpu = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN) - cpu;
    printf("check_cpu_ms_per_1000_%s=%.2f\n", mode, cpu / total);
    return c.code != 0;
}

int main(int argc, char **argv)
{
    const struct conf_isolation how = {.process = true};
    struct plugin *p = NULL, *isolated = NULL;
    struct diag d = {0};
    uint32_t total = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (!total || plugin_load(argv[1], &p, &d) || isolate_describe(argv[1], &how, &isolated, &d)) {
        (void)fprintf(stderr, "usage: bench_isolation LOOPBACK.so N: %s\n", d.text);
        return 2;
    }
    log_set_level(LOG_L_ERROR);
    host_metrics_register();
    return measure(p, "none", total) || measure(isolated, "process", total) ||
           measure_checks(p, "none", total / 4) || measure_checks(isolated, "process", total / 4);
}
