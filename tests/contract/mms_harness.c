/* SPDX-License-Identifier: Apache-2.0 */
/* mms_harness.c - runs channel_mms in this process against the MMSC simulator and checks the
 * promises of cgw/channel.h under every fault the simulator knows. TAP on stdout; exits 1 when a
 * check failed. Argument: run only cases whose name contains it. Environment: CAMPGW_MMSCSIM,
 * srcdir. */
#include "mms_harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* everything takes its time there; the plain build judges */
#define LONGEST_US 100000
#else
#define LONGEST_US 10000
#endif

static int n_checks, n_failed;
static const char *case_name;

bool check(bool ok, const char *fmt, ...)
{
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    for (char *p = what; *p; p++)
        *p = *p == '\n' || *p == '#' ? ' ' : *p; /* one line of TAP, and no directive */
    printf("%s %d - %s: %s\n", ok ? "ok" : "not ok", ++n_checks, case_name, what);
    (void)fflush(stdout);
    n_failed += !ok;
    return ok;
}

bool begin(struct mms_bench *b, const char *const *args, const char *const *options)
{
    struct cgw_diag diag = {.size = sizeof diag};
    if (!check(mms_bench_open(b, args) == 0, "the simulator starts"))
        return false;
    for (; options && *options; options++)
        mms_opt(b, "%s", *options);
    int rc = mms_bench_start(b, &diag);
    return check(rc == 0, "the plugin takes its options (%d %s %s)", rc, diag.where, diag.text);
}

int64_t stat_of(struct mms_bench *b, const char *after, const char *key)
{
    (void)sim_peer_ask(&b->sim, "stats");
    return sim_peer_number(&b->sim, after, key);
}

void end(struct mms_bench *b, bool no_complaints)
{
    check(mms_drain(b, 3000), "it drains");
    check(b->in.n_completed == b->in.n_taken, "each message taken has one result (%u of %u)",
          b->in.n_completed, b->in.n_taken);
    int64_t n = stat_of(b, NULL, "complaints_total");
    if (no_complaints &&
        !check(n == 0, "the simulator has no complaint about our MM7 (%lld)", (long long)n))
        printf("# %s\n", strstr(b->sim.answer, "\"complaints\""));
    check(sim_peer_number(&b->sim, NULL, "echo_wrong") == 0, "transaction ids come back unchanged");
    mms_bench_close(b);
    check(b->in.violations == 0, "no promise is broken (%s)", b->in.violation);
    check(b->in.second_us < LONGEST_US, "no two calls take 10 ms of CPU (%lld us, %lld us)",
          (long long)b->in.longest_us, (long long)b->in.second_us);
}

int main(int argc, char **argv)
{
    const struct mms_case *const all[] = {mms_submit_cases, mms_answer_cases, mms_inbound_cases};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        for (const struct mms_case *c = all[k]; c->name; c++) {
            case_name = c->name;
            if (argc < 2 || strstr(case_name, argv[1]))
                c->run();
        }
    printf("1..%d\n", n_checks);
    return n_failed != 0 || n_checks == 0;
}
