/* SPDX-License-Identifier: Apache-2.0 */
/* mms_harness.c - runs channel_mms in this process against the MMSC simulator and checks the promises
 * of cgw/channel.h under every fault the simulator knows. TAP on stdout; exits 1 when a check failed.
 * Argument: run only cases whose name contains it. */
#include "mms_bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int n_checks, n_failed;
static const char *case_name;

static bool check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool check(bool ok, const char *fmt, ...)
{
    va_list ap;
    printf("%s %d - %s: ", ok ? "ok" : "not ok", ++n_checks, case_name);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    (void)fflush(stdout);
    n_failed += !ok;
    return ok;
}

static bool begin(struct mms_bench *b, const char *const *args, const char *const *options)
{
    struct cgw_diag diag = {.size = sizeof diag};
    if (!check(mms_bench_open(b, args) == 0, "the simulator starts"))
        return false;
    for (; options && *options; options++)
        mms_opt(b, "%s", *options);
    int rc = mms_bench_start(b, &diag);
    return check(rc == 0, "the plugin takes its options (%d %s %s)", rc, diag.where, diag.text);
}

/* What every case ends with: nothing owed, nothing broken, and the simulator content with us. */
static void end(struct mms_bench *b, bool no_complaints)
{
    check(mms_drain(b, 3000), "it drains");
    check(b->in.n_completed == b->in.n_taken, "each message taken has one result (%u of %u)",
          b->in.n_completed, b->in.n_taken);
    (void)sim_peer_ask(&b->sim, "stats");
    int64_t n = sim_peer_number(&b->sim, NULL, "complaints_total");
    if (no_complaints && !check(n == 0, "the simulator has no complaint about our MM7 (%lld)",
                                (long long)n))
        printf("# %s\n", strstr(b->sim.answer, "\"complaints\""));
    check(sim_peer_number(&b->sim, NULL, "echo_wrong") == 0, "transaction ids are echoed unchanged");
    int64_t longest = b->in.longest_us;
    struct cgw_inst *in = &b->in;
    mms_bench_close(b);
    check(in->violations == 0, "no promise is broken (%s)", in->violation);
    check(longest < 10000, "no call takes 10 ms of CPU (%lld us)", (long long)longest);
}

/* ---- the normal case ---- */

static void plain_run(void)
{
    struct mms_bench b;
    static const char *const options[] = {"window=16", "read_reply=true", NULL};
    if (!begin(&b, NULL, options))
        return;
    b.with_media = true;
    b.subject = "Gr\xc3\xbc\xc3\x9f" "e & <tags>";
    check(mms_send(&b, 500, 20000), "500 messages are settled (%u)", b.settled);
    check(b.by_result[CGW_RES_ACCEPTED] == 500, "all are accepted (%u)",
          b.by_result[CGW_RES_ACCEPTED]);
    check(mms_wait(&b, &b.in.n_receipts, 500, 20000), "500 reports come back (%u)",
          b.in.n_receipts);
    check(b.receipt.result == CGW_RES_DELIVERED && b.receipt_person[0] == '+' &&
              !strncmp(b.receipt_id, "mm-", 3),
          "a report says who and what (%s %s)", b.receipt_id, b.receipt_person);
    check(b.last.segments == 1 && b.last.quantity > 30000, "the size is told (%u)",
          b.last.quantity);
    (void)sim_peer_ask(&b.sim, "stats");
    check(sim_peer_number(&b.sim, "\"messages\"", "accepted") == 500 &&
              sim_peer_number(&b.sim, "\"messages\"", "duplicate_taken") == 0,
          "the simulator counted the same 500 once each");
    check(sim_peer_number(&b.sim, NULL, "connections") <= 18, "connections are kept");
    end(&b, true);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"plain_run", plain_run},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        case_name = cases[i].name;
        if (argc < 2 || strstr(case_name, argv[1]))
            cases[i].run();
    }
    printf("1..%d\n", n_checks);
    return n_failed != 0 || n_checks == 0;
}
