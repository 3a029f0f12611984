/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy.c - verdicts as tables of cases: every reason, the order of checks, classes, caps,
 * clamps. Windows are written by hand here; compiled ones are tested in test_calendar.c. */
#include "policy/policy.h"

#include "cgw/types.h"
#include <criterion/criterion.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define NOW (INT64_C(1000) * HOUR)

/* Open at NOW; closed by quiet calendar 7 from NOW+5h to NOW+8h, then by holiday 9 to NOW+32h; open
 * to NOW+100h. */
static const struct interval closed_later[] = {{NOW - 10 * HOUR, NOW - 5 * HOUR},
                                               {NOW + 5 * HOUR, NOW + 8 * HOUR},
                                               {NOW + 8 * HOUR, NOW + 32 * HOUR}};
static const int32_t closed_rule[] = {7, 7, 9};
static const uint8_t closed_holiday[] = {0, 0, 1};
static const struct windows hours = {closed_later,    closed_rule,      closed_holiday, 3,
                                     NOW - 50 * HOUR, NOW + 100 * HOUR, false};
static const struct windows nowhere = {.zone_unknown = true};

static const struct cap caps[] = {
    {.rule_id = 40, .slot = 0, .period = CAP_MONTH, .max = 2, .zone = "Asia/Shanghai"},
    {.rule_id = 41,
     .slot = 5,
     .period = CAP_SLIDING_DAYS,
     .channel = CGW_CHANNEL_SMS,
     .max = 3,
     .days = 7,
     .zone = "UTC"},
    {.rule_id = 42,
     .slot = 31,
     .period = CAP_WEEK,
     .channel = CGW_CHANNEL_MMS,
     .max = 0,
     .zone = "UTC"},
    {.rule_id = 43, .slot = 2, .period = CAP_DAY, .max = -1, .zone = "UTC"},
};

struct situation {
    struct rules rules;
    struct policy_request req;
    struct policy_facts facts;
    int16_t n[4];
    int64_t now;
};

/* Everything is fine: a consenting person, marketing SMS, open window, no contact counted yet. */
static void fine(struct situation *s)
{
    memset(s, 0, sizeof *s);
    policy_defaults(&s->rules);
    s->rules.caps = caps;
    s->rules.n_caps = 4;
    s->req.contact_class = CGW_CLASS_MARKETING;
    s->req.channel = CGW_CHANNEL_SMS;
    s->facts.consent = CONSENT_GRANTED;
    s->facts.windows = &hours;
    s->facts.cap_n = s->n;
    s->now = NOW;
}

static struct verdict decide(struct situation *s)
{
    struct verdict v;
    memset(&v, 0x5a, sizeof v); /* every member must be written */
    s->facts.cap_n = s->facts.cap_n ? s->n : NULL;
    policy_decide(&s->rules, &s->req, &s->facts, s->now, &v);
    return v;
}

#define expect(v, k, why, rule)                                                                    \
    do {                                                                                           \
        struct verdict x_ = (v);                                                                   \
        cr_expect(x_.kind == (k) && x_.reason == (why) && x_.rule_id == (rule),                    \
                  "%s:%d: kind %d reason %s rule %d", __FILE__, __LINE__, (int)x_.kind,            \
                  reason_word(x_.reason), (int)x_.rule_id);                                        \
    } while (0)

Test(policy, allows_when_nothing_speaks_against_it)
{
    struct situation s;
    fine(&s);
    struct verdict v = decide(&s);
    expect(v, VERDICT_ALLOW, REASON_NONE, 0);
    cr_expect_eq(v.closes_ms, NOW + 5 * HOUR);
    cr_expect_eq(v.until_ms, 0);
    cr_expect_eq(v.slots, 1u << 0 | 1u << 5 | 1u << 2, "slots %x",
                 v.slots); /* the MMS cap does not fit */
}

/* Each change alone makes the stated verdict. */
static void dnd_list(struct situation *s)
{
    s->facts.dnd_hits = DND_HIT_CHANNEL;
    s->facts.dnd_reason = REASON_DND_LIST;
    s->facts.dnd_rule = 3;
}
static void dnd_optout(struct situation *s)
{
    s->facts.dnd_hits = DND_HIT_CLASS;
    s->facts.dnd_reason = REASON_DND_OPTOUT;
}
static void dnd_bounce(struct situation *s)
{
    s->facts.dnd_hits = DND_HIT_ALL;
    s->facts.dnd_reason = REASON_DND_BOUNCE;
}
static void dnd_complaint(struct situation *s)
{
    s->facts.dnd_hits = DND_HIT_ALL;
    s->facts.dnd_reason = REASON_DND_COMPLAINT;
}
static void dnd_nameless(struct situation *s)
{
    s->facts.dnd_hits = DND_HIT_ALL;
}
static void linked(struct situation *s)
{
    s->facts.dnd_hits = DND_HIT_ALL;
    s->facts.dnd_reason = REASON_CUSTOMER_LINKED;
}
static void no_consent(struct situation *s)
{
    s->facts.consent = CONSENT_NONE;
}
static void withdrawn(struct situation *s)
{
    s->facts.consent = CONSENT_WITHDRAWN;
}
static void odd_consent(struct situation *s)
{
    s->facts.consent = 77;
}
static void expired(struct situation *s)
{
    s->facts.consent_expires_ms = NOW;
}
static void not_yet_expired(struct situation *s)
{
    s->facts.consent_expires_ms = NOW + 1;
}
static void accepted(struct situation *s)
{
    s->facts.stop = 1;
}
static void declined(struct situation *s)
{
    s->facts.stop = 2;
}
static void month_full(struct situation *s)
{
    s->n[0] = 2;
}
static void month_over(struct situation *s)
{
    s->n[0] = 9;
}
static void month_last(struct situation *s)
{
    s->n[0] = 1;
}
static void week_full(struct situation *s)
{
    s->n[1] = 3;
}
static void uncapped_high(struct situation *s)
{
    s->n[3] = INT16_MAX;
}
static void on_mms(struct situation *s)
{
    s->req.channel = CGW_CHANNEL_MMS;
}
static void reserved_full(struct situation *s)
{
    s->n[0] = 2;
    s->n[1] = 3;
    s->facts.holds_reservation = true;
}
static void reserved_lowered(struct situation *s)
{
    reserved_full(s);
    s->n[0] = 3; /* its own among them: the cap was 3 when it was counted, and is 2 now */
}
static void reserved_none(struct situation *s)
{
    s->req.channel = CGW_CHANNEL_MMS;
    s->facts.holds_reservation = true;
}
static void counts_missing(struct situation *s)
{
    s->facts.cap_n = NULL;
}
static void too_many_caps(struct situation *s)
{
    s->rules.n_caps = CAPS_MAX + 1;
}
static void quiet(struct situation *s)
{
    s->now = NOW + 6 * HOUR;
}
static void holiday(struct situation *s)
{
    s->now = NOW + 20 * HOUR;
}
static void sliver(struct situation *s)
{
    s->now = NOW + 5 * HOUR - 1999;
}
static void just_enough(struct situation *s)
{
    s->now = NOW + 5 * HOUR - 2000;
}
static void no_zone(struct situation *s)
{
    s->facts.windows = &nowhere;
}
static void no_windows(struct situation *s)
{
    s->facts.windows = NULL;
}
static void behind_horizon(struct situation *s)
{
    s->now = NOW + 100 * HOUR;
}
static void at_end(struct situation *s)
{
    s->req.not_after_ms = NOW;
}
static void after_end(struct situation *s)
{
    s->req.not_after_ms = NOW - 1;
}
static void near_end(struct situation *s)
{
    s->req.not_after_ms = NOW + 1999;
}
static void before_begin(struct situation *s)
{
    s->req.not_before_ms = NOW + 1;
}
static void at_begin(struct situation *s)
{
    s->req.not_before_ms = NOW;
}
static void begin_after_end(struct situation *s)
{
    s->req.not_before_ms = NOW + 2;
    s->req.not_after_ms = NOW + 2;
}
static void quiet_until_end(struct situation *s)
{
    s->now = NOW + 6 * HOUR;
    s->req.not_after_ms = NOW + 32 * HOUR;
}
static void quiet_tight_end(struct situation *s)
{
    s->now = NOW + 6 * HOUR;
    s->req.not_after_ms = NOW + 32 * HOUR + 1999;
}
static void quiet_just_fits(struct situation *s)
{
    s->now = NOW + 6 * HOUR;
    s->req.not_after_ms = NOW + 32 * HOUR + 2000;
}
static void class_0(struct situation *s)
{
    s->req.contact_class = 0;
}
static void class_6(struct situation *s)
{
    s->req.contact_class = 6;
}
static void class_huge(struct situation *s)
{
    s->req.contact_class = UINT32_MAX;
}

static const struct {
    const char *name;
    void (*change)(struct situation *s);
    int kind, reason, rule;
} singles[] = {
#define CASE(fn, kind, reason, rule)                                                               \
    {                                                                                              \
#fn, fn, VERDICT_##kind, REASON_##reason, rule                                             \
    }
    CASE(dnd_list, DENY, DND_LIST, 3),
    CASE(dnd_optout, DENY, DND_OPTOUT, 0),
    CASE(dnd_bounce, DENY, DND_BOUNCE, 0),
    CASE(dnd_complaint, DENY, DND_COMPLAINT, 0),
    CASE(dnd_nameless, DENY, DND_LIST, 0),
    CASE(linked, DENY, CUSTOMER_LINKED, 0),
    CASE(no_consent, DENY, CONSENT_MISSING, 0),
    CASE(odd_consent, DENY, CONSENT_MISSING, 0),
    CASE(withdrawn, DENY, CONSENT_WITHDRAWN, 0),
    CASE(expired, DENY, CONSENT_EXPIRED, 0),
    CASE(not_yet_expired, ALLOW, NONE, 0),
    CASE(accepted, DENY, STOP_ACCEPTED, 0),
    CASE(declined, DENY, STOP_DECLINED, 0),
    CASE(month_full, DENY, CAP_PERIOD, 40),
    CASE(month_over, DENY, CAP_PERIOD, 40),
    CASE(month_last, ALLOW, NONE, 0),
    CASE(week_full, DENY, CAP_SLIDING, 41),
    CASE(uncapped_high, ALLOW, NONE, 0),
    CASE(on_mms, DENY, CAP_PERIOD, 42),
    CASE(reserved_full, ALLOW, NONE, 0),
    CASE(reserved_lowered, DENY, CAP_PERIOD, 40),
    CASE(reserved_none, DENY, CAP_PERIOD, 42),
    CASE(counts_missing, DENY, CAP_PERIOD, 40),
    CASE(too_many_caps, DENY, CAP_PERIOD, 0),
    CASE(quiet, DEFER, CALENDAR_QUIET, 7),
    CASE(holiday, DEFER, CALENDAR_HOLIDAY, 9),
    CASE(sliver, DEFER, CALENDAR_QUIET, 7),
    CASE(just_enough, ALLOW, NONE, 0),
    CASE(no_zone, DENY, CALENDAR_ZONE_UNKNOWN, 0),
    CASE(no_windows, DENY, CALENDAR_ZONE_UNKNOWN, 0),
    CASE(behind_horizon, DENY, CALENDAR_NO_OPEN_HOUR, 0),
    CASE(at_end, DENY, CAMPAIGN_EXPIRED, 0),
    CASE(after_end, DENY, CAMPAIGN_EXPIRED, 0),
    CASE(near_end, DENY, CAMPAIGN_EXPIRED, 0),
    CASE(before_begin, DEFER, NONE, 0),
    CASE(at_begin, ALLOW, NONE, 0),
    CASE(begin_after_end, DENY, CAMPAIGN_EXPIRED, 0),
    CASE(quiet_until_end, DENY, CALENDAR_NO_OPEN_HOUR, 7),
    CASE(quiet_tight_end, DENY, CALENDAR_NO_OPEN_HOUR, 7),
    CASE(quiet_just_fits, DEFER, CALENDAR_QUIET, 7),
    CASE(class_0, DENY, CONSENT_MISSING, 0),
    CASE(class_6, DENY, CONSENT_MISSING, 0),
    CASE(class_huge, DENY, CONSENT_MISSING, 0),
#undef CASE
};

Test(policy, reaches_each_reason_by_one_change)
{
    for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
        struct situation s;
        fine(&s);
        singles[i].change(&s);
        struct verdict v = decide(&s);
        cr_expect((int)v.kind == singles[i].kind && v.reason == singles[i].reason &&
                      v.rule_id == singles[i].rule,
                  "%s: kind %d reason %s rule %d", singles[i].name, (int)v.kind,
                  reason_word(v.reason), (int)v.rule_id);
        cr_expect(v.kind == VERDICT_ALLOW || (v.closes_ms == 0 && v.slots == 0), "%s",
                  singles[i].name);
        cr_expect(v.kind == VERDICT_DEFER ? v.until_ms > s.now : v.until_ms == 0, "%s",
                  singles[i].name);
    }
}

/* Of two objections the earlier step of the funnel is told. */
Test(policy, answers_in_the_order_of_the_funnel)
{
    static void (*const steps[])(struct situation *) = {dnd_list,   no_consent, declined,
                                                        month_full, at_end,     no_zone};
    static const int reasons[] = {REASON_DND_LIST,         REASON_CONSENT_MISSING,
                                  REASON_STOP_DECLINED,    REASON_CAP_PERIOD,
                                  REASON_CAMPAIGN_EXPIRED, REASON_CALENDAR_ZONE_UNKNOWN};
    for (size_t a = 0; a < ARRAY_LEN(steps); a++)
        for (size_t b = a; b < ARRAY_LEN(steps); b++) {
            struct situation s;
            fine(&s);
            steps[b](&s);
            steps[a](&s);
            struct verdict v = decide(&s);
            cr_expect_eq(v.reason, reasons[a], "%zu before %zu: %s", a, b, reason_word(v.reason));
        }
}

Test(policy, decides_nothing_final_before_the_campaign_begins)
{
    struct situation s;
    fine(&s);
    no_consent(&s);
    month_full(&s);
    s.req.not_before_ms = NOW + HOUR;
    struct verdict v = decide(&s);
    expect(v, VERDICT_DEFER, REASON_NONE, 0);
    cr_expect_eq(v.until_ms, NOW + HOUR);
}

Test(policy, defers_over_adjacent_closures_to_the_end_of_the_last)
{
    struct situation s;
    fine(&s);
    quiet(&s);
    cr_expect_eq(decide(&s).until_ms, NOW + 32 * HOUR);
    fine(&s);
    sliver(&s);
    cr_expect_eq(decide(&s).until_ms, NOW + 32 * HOUR);
}

Test(policy, clamps_the_legal_window_to_the_nearest_end)
{
    static const struct {
        int64_t not_after, validity, closes;
    } cases[] = {
        {0, 0, NOW + 5 * HOUR},
        {NOW + 2 * HOUR, 0, NOW + 2 * HOUR},
        {NOW + 9 * HOUR, 0, NOW + 5 * HOUR},
        {NOW + 2 * HOUR, HOUR, NOW + HOUR},
        {0, 6 * HOUR, NOW + 5 * HOUR},
        {0, INT64_MAX, NOW + 5 * HOUR},
        {0, -1, NOW + 5 * HOUR},
        {NOW + 2000, INT64_MAX, NOW + 2000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct situation s;
        fine(&s);
        s.req.not_after_ms = cases[i].not_after;
        s.req.validity_ms = cases[i].validity;
        struct verdict v = decide(&s);
        cr_expect(v.kind == VERDICT_ALLOW && v.closes_ms == cases[i].closes, "case %zu: %lld", i,
                  (long long)(v.closes_ms - NOW));
    }
}

/* class × objection: allowed, or the reason of the refusal */
Test(policy, applies_to_each_class_what_binds_it)
{
    enum { OK = REASON_NONE };
    static const struct {
        void (*change)(struct situation *);
        int marketing, service, reply, confirm, emergency;
    } table[] = {
        {dnd_bounce, REASON_DND_BOUNCE, REASON_DND_BOUNCE, REASON_DND_BOUNCE, OK, OK},
        {dnd_list /* channel */, REASON_DND_LIST, REASON_DND_LIST, OK, OK, OK},
        {dnd_optout /* class */, REASON_DND_OPTOUT, REASON_DND_OPTOUT, REASON_DND_OPTOUT, OK, OK},
        {linked, REASON_CUSTOMER_LINKED, REASON_CUSTOMER_LINKED, REASON_CUSTOMER_LINKED,
         REASON_CUSTOMER_LINKED, REASON_CUSTOMER_LINKED},
        {withdrawn, REASON_CONSENT_WITHDRAWN, OK, OK, OK, OK},
        {accepted, REASON_STOP_ACCEPTED, REASON_STOP_ACCEPTED, OK, OK, REASON_STOP_ACCEPTED},
        {month_full, REASON_CAP_PERIOD, OK, OK, OK, OK},
        {on_mms, REASON_CAP_PERIOD, OK, OK, OK, OK},
        {quiet, REASON_CALENDAR_QUIET, REASON_CALENDAR_QUIET, OK, OK, OK},
        {no_zone, REASON_CALENDAR_ZONE_UNKNOWN, REASON_CALENDAR_ZONE_UNKNOWN, OK, OK, OK},
        {at_end, REASON_CAMPAIGN_EXPIRED, REASON_CAMPAIGN_EXPIRED, REASON_CAMPAIGN_EXPIRED,
         REASON_CAMPAIGN_EXPIRED, REASON_CAMPAIGN_EXPIRED},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const int want[] = {0,
                            table[i].marketing,
                            table[i].service,
                            table[i].reply,
                            table[i].confirm,
                            table[i].emergency};
        for (uint32_t cl = 1; cl <= 5; cl++) {
            struct situation s;
            fine(&s);
            s.req.contact_class = cl;
            s.facts.inbound_recent = s.facts.confirm_unused = true;
            table[i].change(&s);
            struct verdict v = decide(&s);
            cr_expect(v.reason == want[cl] && (v.kind == VERDICT_ALLOW) == (want[cl] == OK),
                      "row %zu class %u: %s", i, cl, reason_word(v.reason));
        }
    }
}

Test(policy, lets_a_reply_and_a_confirmation_out_only_on_their_ground)
{
    struct situation s;
    fine(&s);
    s.req.contact_class = CGW_CLASS_REPLY;
    expect(decide(&s), VERDICT_DENY, REASON_CONSENT_MISSING, 0);
    s.facts.confirm_unused = true;
    expect(decide(&s), VERDICT_DENY, REASON_CONSENT_MISSING, 0);
    s.facts.inbound_recent = true;
    expect(decide(&s), VERDICT_ALLOW, REASON_NONE, 0);
    fine(&s);
    s.req.contact_class = CGW_CLASS_OPTOUT_CONFIRM;
    s.facts.inbound_recent = true;
    expect(decide(&s), VERDICT_DENY, REASON_CONSENT_MISSING, 0);
    s.facts.confirm_unused = true;
    expect(decide(&s), VERDICT_ALLOW, REASON_NONE, 0);
}

Test(policy, counts_only_classes_that_count_and_only_once_per_contact)
{
    struct situation s;
    for (uint32_t cl = 1; cl <= 5; cl++) {
        fine(&s);
        s.req.contact_class = cl;
        s.facts.inbound_recent = s.facts.confirm_unused = true;
        cr_expect_eq(decide(&s).slots != 0, cl == CGW_CLASS_MARKETING, "class %u", cl);
    }
    fine(&s);
    s.facts.holds_reservation = true;
    cr_expect_eq(decide(&s).slots, 0u);
}

Test(policy, never_closes_a_class_without_calendar_by_itself)
{
    struct situation s;
    fine(&s);
    s.req.contact_class = CGW_CLASS_EMERGENCY;
    cr_expect_eq(decide(&s).closes_ms, POLICY_CLOSES_NEVER);
    s.req.validity_ms = HOUR;
    cr_expect_eq(decide(&s).closes_ms, NOW + HOUR);
}

Test(policy, follows_rules_that_override_the_class)
{
    struct situation s;
    fine(&s);
    s.req.contact_class = CGW_CLASS_SERVICE;
    s.rules.classes[CGW_CLASS_SERVICE].consent = true;
    no_consent(&s);
    expect(decide(&s), VERDICT_DENY, REASON_CONSENT_MISSING, 0);
    fine(&s);
    s.req.contact_class = CGW_CLASS_EMERGENCY;
    s.rules.classes[CGW_CLASS_EMERGENCY] = (struct class_rule){.calendar = true, .counts = true};
    cr_expect_neq(decide(&s).slots, 0u);
    quiet(&s);
    expect(decide(&s), VERDICT_DEFER, REASON_CALENDAR_QUIET, 7);
    fine(&s);
    s.rules.classes[CGW_CLASS_MARKETING].caps = false; /* counted, not limited */
    month_full(&s);
    cr_expect_neq(decide(&s).slots, 0u);
}

Test(policy, picks_caps_by_channel_and_class)
{
    struct situation s;
    fine(&s);
    cr_expect_eq(policy_caps_for(&s.rules, &s.req), 0xbu);
    s.req.channel = CGW_CHANNEL_MMS;
    cr_expect_eq(policy_caps_for(&s.rules, &s.req), 0xdu);
    s.req.contact_class = CGW_CLASS_SERVICE;
    cr_expect_eq(policy_caps_for(&s.rules, &s.req), 0u);
    s.req.contact_class = 99;
    cr_expect_eq(policy_caps_for(&s.rules, &s.req), 0u);
    const struct cap service_only = {.slot = 1, .max = 1, .class_mask = 1u << CGW_CLASS_SERVICE};
    s.rules.caps = &service_only;
    s.rules.n_caps = 1;
    s.req.contact_class = CGW_CLASS_MARKETING;
    cr_expect_eq(policy_caps_for(&s.rules, &s.req), 0u);
    s.req.contact_class = CGW_CLASS_SERVICE;
    s.rules.classes[CGW_CLASS_SERVICE].caps = true;
    cr_expect_eq(policy_caps_for(&s.rules, &s.req), 1u);
}

Test(policy, knows_every_reason_by_word_and_number)
{
    static const int numbers[] = {
#define REASON(sym, num, word, stage, en, zh) num,
#include "policy/reasons.def"
#undef REASON
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        cr_expect_eq(reason_from_word(reason_word(numbers[i])), numbers[i]);
        cr_expect_str_neq(reason_text(numbers[i], "en"), reason_text(numbers[i], "zh-CN"));
        for (size_t k = 0; k < i; k++)
            cr_expect_neq(numbers[i], numbers[k]);
    }
    cr_expect_str_eq(reason_word(-5), "?");
    cr_expect_str_eq(reason_text(9999, NULL), "?");
    cr_expect_eq(reason_from_word("no.such"), -1);
    cr_expect_eq(reason_from_word(NULL), -1);
    cr_expect_eq(reason_stage(REASON_CAP_SLIDING), STAGE_CAPS);
    cr_expect_eq(reason_stage(12345), STAGE_NONE);
}

Test(windows, finds_the_next_open_moment)
{
    static const struct {
        int64_t t, open, closes;
        int rule;
        bool holiday;
    } cases[] = {
        {NOW - 60 * HOUR, NOW - 50 * HOUR, NOW - 10 * HOUR, 0, false}, /* before the horizon */
        {NOW - 10 * HOUR - 1, NOW - 10 * HOUR - 1, NOW - 10 * HOUR, 0, false},
        {NOW - 10 * HOUR, NOW - 5 * HOUR, NOW + 5 * HOUR, 7, false},
        {NOW - 5 * HOUR, NOW - 5 * HOUR, NOW + 5 * HOUR, 0, false},
        {NOW + 5 * HOUR, NOW + 32 * HOUR, NOW + 100 * HOUR, 7, false},
        {NOW + 8 * HOUR, NOW + 32 * HOUR, NOW + 100 * HOUR, 9, true},
        {NOW + 100 * HOUR - 1, NOW + 100 * HOUR - 1, NOW + 100 * HOUR, 0, false},
        {NOW + 100 * HOUR, INT64_MAX, INT64_MAX, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t closes = 0;
        int32_t rule = -1;
        bool hol = true;
        int64_t open = windows_next_open(&hours, cases[i].t, &closes, &rule, &hol);
        cr_expect(open == cases[i].open && closes == cases[i].closes && rule == cases[i].rule &&
                      hol == cases[i].holiday,
                  "case %zu", i);
        cr_expect_eq(windows_next_open(&hours, cases[i].t, NULL, NULL, NULL), open);
    }
    cr_expect_eq(windows_next_open(&nowhere, NOW, NULL, NULL, NULL), INT64_MAX);
}

Test(policy, skips_open_windows_too_short_to_use)
{
    static const struct interval v[] = {
        {NOW, NOW + HOUR}, {NOW + HOUR + 1999, NOW + 2 * HOUR}, {NOW + 3 * HOUR, NOW + 4 * HOUR}};
    static const int32_t rule[] = {1, 2, 3};
    static const uint8_t hol[] = {1, 0, 0};
    const struct windows w = {v, rule, hol, 3, NOW - HOUR, NOW + 4 * HOUR + 1000, false};
    struct situation s;
    fine(&s);
    s.facts.windows = &w;
    struct verdict d = decide(&s);
    expect(d, VERDICT_DEFER, REASON_CALENDAR_HOLIDAY, 1);
    cr_expect_eq(d.until_ms, NOW + 2 * HOUR);
    s.now = NOW + 3 * HOUR + 1; /* the last window is a second long: none is left */
    expect(decide(&s), VERDICT_DENY, REASON_CALENDAR_NO_OPEN_HOUR, 3);
}
