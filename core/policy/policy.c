/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - one verdict for one contact: a table of checks, walked in the order of the funnel.
 * Must not read a clock, allocate, lock, log or call anything outside this folder: every fact comes
 * in as an argument. Order, classes and the reasons behind them: core/policy/README.md. */
#include "policy/policy.h"

#include "cgw/types.h"
#include <string.h>

#define REASON(sym, num, word, stage, en, zh) _Static_assert((num) < REASONS_MAX, word);
#include "policy/reasons.def"
#undef REASON

/* What makes a class what it is; unlike struct class_rule no stored row can change it. */
enum class_gate { GATE_REFUSE, GATE_OPEN, GATE_INBOUND, GATE_CONFIRM };
static const uint8_t class_gates[POLICY_CLASSES] = {
    [CGW_CLASS_MARKETING] = GATE_OPEN, [CGW_CLASS_SERVICE] = GATE_OPEN,
    [CGW_CLASS_REPLY] = GATE_INBOUND,  [CGW_CLASS_OPTOUT_CONFIRM] = GATE_CONFIRM,
    [CGW_CLASS_EMERGENCY] = GATE_OPEN,
};

static const struct class_rule default_rules[POLICY_CLASSES] = {
    [0] = {.dnd = true, .consent = true, .caps = true, .calendar = true, .counts = true},
    [CGW_CLASS_MARKETING] =
        {.dnd = true, .consent = true, .caps = true, .calendar = true, .counts = true},
    [CGW_CLASS_SERVICE] = {.dnd = true, .calendar = true},
    [CGW_CLASS_REPLY] = {.dnd = true, .dnd_ignore = DND_HIT_CHANNEL, .stop_ignore = true},
    [CGW_CLASS_OPTOUT_CONFIRM] = {.stop_ignore = true},
    [CGW_CLASS_EMERGENCY] = {.dnd = false},
};

/* Everything a check may look at. */
struct decision {
    const struct rules *rules;
    const struct policy_request *req;
    const struct policy_facts *facts;
    const struct class_rule *rule; /* of the request's class */
    enum class_gate gate;
    uint32_t caps; /* bits over rules->caps index that fit the request */
    int64_t now_ms;
    int64_t end_ms; /* ALLOW may last until here; checks lower it */
    struct verdict *out;
};

void policy_defaults(struct rules *r)
{
    memset(r, 0, sizeof *r);
    memcpy(r->classes, default_rules, sizeof r->classes);
}

static bool deny(const struct decision *d, int32_t reason, int32_t rule_id)
{
    *d->out = (struct verdict){.kind = VERDICT_DENY, .reason = reason, .rule_id = rule_id};
    return true;
}

static bool defer(const struct decision *d, int32_t reason, int32_t rule_id, int64_t until_ms)
{
    *d->out = (struct verdict){
        .kind = VERDICT_DEFER, .reason = reason, .rule_id = rule_id, .until_ms = until_ms};
    return true;
}

/* ---- checks: true = decided ---- */

/* Nothing is final before the campaign may begin: consent, caps and lists are those of the actual
 * contact. */
static bool check_begin(struct decision *d)
{
    int64_t begin_ms = d->req->not_before_ms, end_ms = d->req->not_after_ms;
    if (begin_ms == 0 || d->now_ms >= begin_ms)
        return false;
    if (end_ms != 0 && begin_ms >= end_ms)
        return deny(d, REASON_CAMPAIGN_EXPIRED, 0);
    return defer(d, REASON_NONE, 0, begin_ms);
}

/* A linked id stands for nobody any more: its contacts come back under the kept id, whatever the
 * class. */
static bool check_dnd(struct decision *d)
{
    const struct policy_facts *f = d->facts;
    uint32_t binding = d->rule->dnd ? f->dnd_hits & ~(uint32_t)d->rule->dnd_ignore : 0;
    if (f->dnd_hits != 0 && f->dnd_reason == REASON_CUSTOMER_LINKED)
        binding = f->dnd_hits;
    if (binding == 0)
        return false;
    return deny(d, f->dnd_reason != REASON_NONE ? f->dnd_reason : REASON_DND_LIST, f->dnd_rule);
}

static bool gate_open(const struct decision *d)
{
    switch (d->gate) {
    case GATE_OPEN:
        return true;
    case GATE_INBOUND:
        return d->facts->inbound_recent;
    case GATE_CONFIRM:
        return d->facts->confirm_unused;
    case GATE_REFUSE:
        break;
    }
    return false;
}

static bool check_consent(struct decision *d)
{
    const struct policy_facts *f = d->facts;
    if (!gate_open(d))
        return deny(d, REASON_CONSENT_MISSING, 0);
    if (!d->rule->consent)
        return false;
    if (f->consent == CONSENT_WITHDRAWN)
        return deny(d, REASON_CONSENT_WITHDRAWN, 0);
    if (f->consent != CONSENT_GRANTED)
        return deny(d, REASON_CONSENT_MISSING, 0);
    if (f->consent_expires_ms != 0 && d->now_ms >= f->consent_expires_ms)
        return deny(d, REASON_CONSENT_EXPIRED, 0);
    return false;
}

static bool check_stop(struct decision *d)
{
    if (d->facts->stop == 0 || d->rule->stop_ignore)
        return false;
    return deny(d, d->facts->stop == 1 ? REASON_STOP_ACCEPTED : REASON_STOP_DECLINED, 0);
}

static bool cap_full(const struct decision *d, uint32_t i)
{
    const struct cap *cap = &d->rules->caps[i];
    if (cap->max < 0)
        return false;
    if (cap->max == 0 || !d->facts->cap_n) /* "none allowed" also ends later attempts */
        return true;
    /* Its own reservation is part of the count: not counted twice, and yet a cap that was lowered
     * meanwhile binds. */
    return d->facts->cap_n[i] >= cap->max + (d->facts->holds_reservation ? 1 : 0);
}

static bool check_caps(struct decision *d)
{
    bool matter = d->rule->caps || d->rule->counts;
    if (matter &&
        d->rules->n_caps > CAPS_MAX) /* rules that were never validated do not open the gate */
        return deny(d, REASON_CAP_PERIOD, 0);
    if (!d->rule->caps)
        return false;
    for (uint32_t left = d->caps; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        if (!cap_full(d, i))
            continue;
        bool sliding = d->rules->caps[i].period == CAP_SLIDING_DAYS;
        return deny(d, sliding ? REASON_CAP_SLIDING : REASON_CAP_PERIOD, d->rules->caps[i].rule_id);
    }
    return false;
}

static bool check_expiry(struct decision *d)
{
    int64_t end_ms = d->req->not_after_ms;
    if (end_ms == 0)
        return false;
    if (end_ms <= d->now_ms || end_ms - d->now_ms < POLICY_OPEN_MIN_MS)
        return deny(d, REASON_CAMPAIGN_EXPIRED, 0);
    d->end_ms = end_ms;
    return false;
}

/* The first open window at or after `from_ms` that is long enough to be used; the label says what
 * closes until then. */
struct opening {
    int64_t open_ms, closes_ms;
    int32_t rule;
    bool holiday;
};
static bool find_opening(const struct windows *w, int64_t from_ms, struct opening *o)
{
    *o = (struct opening){0};
    bool labelled = false;
    for (uint32_t i = 0; i <= w->n; i++) {
        int32_t rule = 0;
        bool holiday = false;
        int64_t closes_ms = 0, open_ms = windows_next_open(w, from_ms, &closes_ms, &rule, &holiday);
        if (!labelled && open_ms != from_ms) {
            o->rule = rule;
            o->holiday = holiday;
            labelled = true;
        }
        if (open_ms == INT64_MAX)
            return false;
        if (closes_ms - open_ms >= POLICY_OPEN_MIN_MS) {
            o->open_ms = open_ms;
            o->closes_ms = closes_ms;
            return true;
        }
        from_ms = closes_ms;
    }
    return false;
}

static bool check_calendar(struct decision *d)
{
    const struct windows *w = d->facts->windows;
    if (!d->rule->calendar)
        return false;
    if (!w || w->zone_unknown)
        return deny(d, REASON_CALENDAR_ZONE_UNKNOWN, 0);
    struct opening o;
    bool found = find_opening(w, d->now_ms, &o);
    if (found && o.open_ms == d->now_ms) {
        if (o.closes_ms < d->end_ms)
            d->end_ms = o.closes_ms;
        return false;
    }
    if (!found || o.open_ms > d->end_ms - POLICY_OPEN_MIN_MS)
        return deny(d, REASON_CALENDAR_NO_OPEN_HOUR, o.rule);
    return defer(d, o.holiday ? REASON_CALENDAR_HOLIDAY : REASON_CALENDAR_QUIET, o.rule, o.open_ms);
}

static bool (*const checks[])(struct decision *) = {
    check_begin, check_dnd, check_consent, check_stop, check_caps, check_expiry, check_calendar,
};

/* ---- caps ---- */

static bool cap_fits(const struct cap *cap, const struct class_rule *rule, uint32_t contact_class,
                     uint32_t channel)
{
    if (cap->channel != 0 && cap->channel != channel)
        return false;
    if (cap->class_mask == 0)
        return rule->counts;
    return (cap->class_mask >> contact_class & 1u) != 0;
}

uint32_t policy_caps_for(const struct rules *rules, const struct policy_request *req)
{
    uint32_t mask = 0;
    if (req->contact_class >= POLICY_CLASSES || rules->n_caps > CAPS_MAX)
        return 0;
    const struct class_rule *rule = &rules->classes[req->contact_class];
    if (!rule->caps && !rule->counts)
        return 0;
    for (uint32_t i = 0; i < rules->n_caps; i++)
        if (cap_fits(&rules->caps[i], rule, req->contact_class, req->channel))
            mask |= 1u << i;
    return mask;
}

static uint32_t slots_of(const struct decision *d)
{
    uint32_t slots = 0;
    if (!d->rule->counts || d->facts->holds_reservation)
        return 0;
    for (uint32_t left = d->caps; left != 0; left &= left - 1)
        slots |= 1u << (d->rules->caps[__builtin_ctz(left)].slot & (CAPS_MAX - 1));
    return slots;
}

/* ---- decide ---- */

static void allow(const struct decision *d)
{
    int64_t closes_ms = d->end_ms, validity_ms = d->req->validity_ms;
    if (validity_ms > 0 && closes_ms - d->now_ms > validity_ms)
        closes_ms = d->now_ms + validity_ms;
    *d->out = (struct verdict){
        .kind = VERDICT_ALLOW, .reason = REASON_NONE, .closes_ms = closes_ms, .slots = slots_of(d)};
}

void policy_decide(const struct rules *rules, const struct policy_request *req,
                   const struct policy_facts *facts, int64_t now_utc_ms, struct verdict *ret)
{
    uint32_t cl = req->contact_class < POLICY_CLASSES ? req->contact_class : 0;
    struct decision d = {
        .rules = rules,
        .req = req,
        .facts = facts,
        .rule = &rules->classes[cl],
        .gate = class_gates[cl],
        .caps = policy_caps_for(rules, req),
        .now_ms = now_utc_ms,
        .end_ms = POLICY_CLOSES_NEVER,
        .out = ret,
    };
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (checks[i](&d))
            return;
    allow(&d);
}
