/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_message.c - what the fate of the parts means for the whole message. */
#include "message.h"

#include <criterion/criterion.h>
#include <string.h>

static struct smpp_options options(void)
{
    struct smpp_options o;
    memset(&o, 0, sizeof o);
    o.addr_rules = (struct smpp_addr_rules)SMPP_ADDR_RULES_AUTO;
    o.split = SMPP_SPLIT_UDH8;
    o.max_segments = 10;
    return o;
}

static struct smpp_refs refs;

/* A message of three parts. */
static struct smpp_msg *three(void)
{
    static char text[400];
    static struct smpp_options o;
    struct smpp_msg *m = NULL;
    struct cgw_diag diag = {.size = sizeof diag};
    memset(text, 'x', sizeof text);
    o = options();
    struct cgw_part part = {
        .role = CGW_ROLE_TEXT, .len = sizeof text, .mime = "text/plain", .body = text};
    struct cgw_message in = {.size = sizeof in,
                             .token = 7,
                             .to = {CGW_ADDR_E164, 12, "+49171123456"},
                             .n_parts = 1,
                             .parts = &part};
    cr_assert_eq(smpp_msg_new(&o, &refs, &in, &m, &diag), 0, "%s", diag.text);
    cr_assert_eq(m->plan.n, 3);
    return m;
}

enum { OK, THROTTLED, LATER, NEVER, SILENT, UNWRITTEN };
static const struct smpp_verdict verdicts[] = {[THROTTLED] = {SMPP_CLASS_THROTTLE, 100, 0},
                                               [LATER] = {SMPP_CLASS_TRANSIENT, 30000, 3},
                                               [NEVER] = {SMPP_CLASS_PERMANENT, 0, 1}};
static const uint32_t statuses[] = {[THROTTLED] = 0x58, [LATER] = 0x08, [NEVER] = 0x0B};

static void settle(struct smpp_msg *m, uint32_t part, int what)
{
    if (what == OK)
        smpp_msg_part_ok(m, part, "abc", "00ABC");
    else if (what == SILENT)
        smpp_msg_part_unknown(m, part);
    else
        smpp_msg_part_refused(m, part, statuses[what], &verdicts[what], "");
}

Test(smpp_message, aggregates_its_parts_to_one_result)
{
    static const struct {
        int parts[3];
        enum smpp_fate fate;
        uint32_t result, flags;
        int32_t code;
        uint32_t n_ids;
    } cases[] = {
        {{OK, OK, OK}, SMPP_FATE_DONE, CGW_RES_ACCEPTED, 0, 0, 3},
        {{THROTTLED, THROTTLED, THROTTLED},
         SMPP_FATE_DONE,
         CGW_RES_REFUSED_RETRY,
         CGW_RESF_THROTTLED,
         0x58,
         0},
        {{LATER, UNWRITTEN, UNWRITTEN}, SMPP_FATE_DONE, CGW_RES_REFUSED_RETRY, 0, 0x08, 0},
        {{NEVER, UNWRITTEN, UNWRITTEN}, SMPP_FATE_DONE, CGW_RES_REFUSED, 0, 0x0B, 0},
        {{NEVER, THROTTLED, THROTTLED}, SMPP_FATE_DONE, CGW_RES_REFUSED, 0, 0x0B, 0},
        {{OK, THROTTLED, UNWRITTEN}, SMPP_FATE_AGAIN, CGW_RES_FAILED, 0, 0x58, 1},
        {{OK, NEVER, UNWRITTEN}, SMPP_FATE_DONE, CGW_RES_FAILED, 0, 0x0B, 1},
        {{OK, OK, NEVER}, SMPP_FATE_DONE, CGW_RES_FAILED, 0, 0x0B, 2},
        {{SILENT, UNWRITTEN, UNWRITTEN}, SMPP_FATE_DONE, CGW_RES_UNKNOWN, 0, 0, 0},
        {{OK, SILENT, OK}, SMPP_FATE_DONE, CGW_RES_UNKNOWN, 0, 0, 2},
        {{OK, SILENT, NEVER}, SMPP_FATE_DONE, CGW_RES_UNKNOWN, 0, 0x0B, 1},
        {{OK, UNWRITTEN, UNWRITTEN}, SMPP_FATE_MORE, CGW_RES_FAILED, 0, 0, 1},
        {{UNWRITTEN, UNWRITTEN, UNWRITTEN}, SMPP_FATE_MORE, CGW_RES_NOT_SENT, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct smpp_msg *m = three();
        const char *ids[CGW_SEGMENTS_MAX], *peer_ids[CGW_SEGMENTS_MAX];
        struct cgw_result r;
        for (uint32_t p = 0; p < 3 && cases[i].parts[p] != UNWRITTEN; p++) {
            cr_assert_eq(smpp_msg_next_part(m), (int)p);
            smpp_msg_wrote(m, p);
        }
        if (m->written > 0)
            cr_expect_neq(smpp_msg_fate(m), SMPP_FATE_DONE, "case %zu: answers are missing", i);
        for (uint32_t p = 0; p < 3 && cases[i].parts[p] != UNWRITTEN; p++)
            settle(m, p, cases[i].parts[p]);
        cr_expect_eq(smpp_msg_fate(m), cases[i].fate, "case %zu: fate %d", i, smpp_msg_fate(m));
        smpp_msg_result(m, &r, ids, peer_ids, CGW_SEGMENTS_MAX);
        cr_expect_eq(r.result, cases[i].result, "case %zu: result %u", i, r.result);
        cr_expect_eq(r.flags, cases[i].flags, "case %zu: flags %u", i, r.flags);
        cr_expect_eq(r.code, cases[i].code, "case %zu: code %d", i, r.code);
        cr_expect_eq(r.n_ids, cases[i].n_ids, "case %zu: %u ids", i, r.n_ids);
        for (uint32_t k = 0; k < r.n_ids; k++)
            cr_expect_str_eq(r.peer_ids[k], "00ABC");
        cr_expect_eq(r.token, 7);
        smpp_msg_free(m);
    }
}

Test(smpp_message, stops_writing_after_a_refusal_and_goes_on_where_it_stopped)
{
    struct smpp_msg *m = three();
    smpp_msg_wrote(m, 0);
    smpp_msg_wrote(m, 1);
    settle(m, 0, OK);
    settle(m, 1, THROTTLED);
    cr_assert_eq(smpp_msg_next_part(m), -1);
    smpp_msg_retry(m);
    cr_assert_eq(smpp_msg_next_part(m), 1);
    smpp_msg_wrote(m, 1);
    settle(m, 1, OK);
    cr_assert_eq(smpp_msg_next_part(m), 2);
    smpp_msg_wrote(m, 2);
    settle(m, 2, OK);
    cr_assert_eq(smpp_msg_fate(m), SMPP_FATE_DONE);
    smpp_msg_free(m);
}

Test(smpp_message, a_part_that_did_not_go_out_is_written_later)
{
    struct smpp_msg *m = three();
    smpp_msg_wrote(m, 0);
    smpp_msg_wrote(m, 1);
    smpp_msg_unwrote(m, 1);
    settle(m, 0, OK);
    cr_assert_eq(smpp_msg_fate(m), SMPP_FATE_MORE);
    cr_assert_eq(smpp_msg_next_part(m), 1);
    smpp_msg_free(m);
}
