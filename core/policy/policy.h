/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - may this contact be made, now? Pure: no I/O, no clock, no logging, no allocation in
 * policy_decide(). The dispatcher, POST /decisions and the rehearsal call the same function on the
 * same kind of facts. Order of checks = order of the funnel: do-not-disturb, consent, stop,
 * (assignment), caps, calendar. Compliance guide: core/policy/README.md. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/buf.h"
#include "base/diag.h"
#include "cgw/channel.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- reasons ---- */
enum funnel_stage {
    STAGE_NONE,
    STAGE_DND,
    STAGE_CONSENT,
    STAGE_STOP,
    STAGE_ASSIGNMENT,
    STAGE_CAPS,
    STAGE_CALENDAR,
    STAGE_CONTENT,
    STAGE_CAMPAIGN
};
enum reason {
#define REASON(sym, num, word, stage, en, zh) REASON_##sym = (num),
#include "policy/reasons.def"
#undef REASON
};
#define REASONS_MAX 128                 /* all numbers are below: sizes tables indexed by reason */
const char *reason_word(int reason);    /* "dnd.list"; "?" for an unknown number */
int reason_from_word(const char *word); /* -1 unknown */
enum funnel_stage reason_stage(int reason);
const char *reason_text(int reason, const char *lang); /* lang "zh…" → Chinese, else English */

/* ---- do-not-disturb scopes: dnd.scope ---- */
#define DND_SCOPE_ALL 0
#define DND_SCOPE_CHANNEL(ch) (1000 + (int)(ch)) /* CGW_CHANNEL_* */
#define DND_SCOPE_CLASS(cl) (2000 + (int)(cl))   /* CGW_CLASS_*   */
/* An opt-out "STOP ALL" is written as one row for each class but emergency. */

/* ---- calendars: compiled to sorted, disjoint, half-open UTC intervals ---- */
/* Closed for contacts in [from, to). */
struct interval {
    int64_t from_ms, to_ms;
};
/* Of one place (region + candidate zones), class and channel. */
struct windows {
    /* Owned by the rules; sorted, disjoint; ones that touch differ in label. */
    const struct interval *closed;
    /* Per interval: calendar number that closes it (when several: holidays before quiet hours, then
     * the first in the order given to the compiler). */
    const int32_t *rule;
    const uint8_t *holiday; /* per interval: 1 = holiday, 0 = quiet hours */
    uint32_t n;
    int64_t valid_from_ms, valid_to_ms; /* compiled horizon: outside it everything is closed */
    bool zone_unknown;                  /* no candidate zone at all: never open */
};

/* ---- caps ---- */
#define CAPS_MAX 32u       /* cap slots in one installation */
#define CAP_SLIDING_MAX 32 /* largest max of a sliding cap  */
enum cap_period { CAP_DAY, CAP_WEEK, CAP_MONTH, CAP_QUARTER, CAP_YEAR, CAP_SLIDING_DAYS };
struct cap {
    int32_t rule_id;     /* cap number, shown as cap_… */
    uint8_t slot;        /* 0..CAPS_MAX-1: bit in verdict.slots, index+1 of cap_counter.n */
    uint8_t period;      /* enum cap_period */
    uint8_t channel;     /* CGW_CHANNEL_*, 0 = over all channels */
    uint32_t class_mask; /* bit CGW_CLASS_x; 0 = every class that counts */
    int16_t max;         /* -1 = no cap (null), 0 = none allowed */
    int16_t days;        /* CAP_SLIDING_DAYS: length of the window in days, 1..366 */
    char zone[64];       /* IANA zone in which periods and days are counted */
};
/* Period number of a calendar cap: (days from 2000-01-01 to the first day of the period, in the
 * cap's zone) * 8 + enum cap_period. Rows of sliding caps use -(slot + 1). Day numbers are days
 * from 2000-01-01 in the cap's zone. */

/* ---- facts of one person, request of one campaign ---- */
#define DND_HIT_ALL 1u
#define DND_HIT_CHANNEL 2u
#define DND_HIT_CLASS 4u
enum consent_state { CONSENT_NONE = 0, CONSENT_GRANTED = 1, CONSENT_WITHDRAWN = 2 };
struct policy_facts {
    uint32_t dnd_hits;  /* DND_HIT_* of rows whose scope fits the request; 0 = none */
    int32_t dnd_reason; /* enum reason of the strongest row */
    int32_t dnd_rule;   /* list number of that row */
    uint8_t consent;    /* enum consent_state, most specific row (purpose+channel before purpose) */
    int64_t consent_expires_ms; /* 0 = never */
    uint8_t stop;         /* 0, or CGW: 1 accepted, 2 declined in this campaign on any channel */
    const int16_t *cap_n; /* per rules cap index: count in the current period; sliding: count inside
                           * the window. NULL while a cap applies: facts are missing, denied by that
                           * cap (fails closed) */
    /* Of the person's place for (class, channel); NULL counts as an unknown zone. */
    const struct windows *windows;
    bool holds_reservation; /* a later attempt: it is in cap_n already */
    bool inbound_recent;    /* class reply: an inbound row of the last 10 minutes exists */
    bool confirm_unused;    /* class optout_confirm: no confirmation sent yet for this opt-out */
};
struct policy_request {
    uint32_t contact_class;              /* CGW_CLASS_* */
    uint32_t channel;                    /* CGW_CHANNEL_* */
    int64_t not_before_ms, not_after_ms; /* of campaign and wave, 0 = none */
    int64_t validity_ms; /* longest time the network may keep it, 0 = until the window closes */
};

#define POLICY_CLASSES 6u
/* Per-class rules. Defaults in policy_defaults(); rows of class_rule override. */
struct class_rule {
    bool dnd, consent, caps, calendar; /* which checks apply */
    bool counts;                       /* adds to cap counters when sent */
    uint8_t dnd_ignore; /* DND_HIT_* that do not bind this class; 0 = every scope binds */
    bool stop_ignore;   /* true: an answer to this campaign does not stop the class */
};
struct rules {
    int32_t version; /* rules_version of the rows they were read from */
    /* By CGW_CLASS_*; a class outside 1..5 is always denied. */
    struct class_rule classes[POLICY_CLASSES];
    const struct cap *caps; /* borrowed */
    uint32_t n_caps;
};
/* Per-class rules as in README.md "Classes"; no caps, version 0. */
void policy_defaults(struct rules *r);

/* Less of an open window than this counts as closed: the wire closes 2 s early. */
#define POLICY_OPEN_MIN_MS 2000
/* verdict.closes_ms when neither calendar, not_after nor validity ends it. */
#define POLICY_CLOSES_NEVER INT64_MAX

/* Stored in contact_log.verdict. */
enum verdict_kind { VERDICT_ALLOW = 1, VERDICT_DEFER = 2, VERDICT_DENY = 3 };
struct verdict {
    enum verdict_kind kind;
    int32_t reason;   /* enum reason */
    int32_t rule_id;  /* list, cap or calendar number; 0 none */
    int64_t until_ms; /* DEFER: next open moment (reason NONE: not_before); else 0 */
    /* ALLOW: the legal window ends here (already clamped to not_after and validity), always > now;
     * POLICY_CLOSES_NEVER when nothing ends it; else 0. */
    int64_t closes_ms;
    uint32_t slots; /* ALLOW: bit per cap slot to be counted; 0 when holds_reservation */
};
void policy_decide(const struct rules *rules, const struct policy_request *req,
                   const struct policy_facts *facts, int64_t now_utc_ms, struct verdict *ret);

/* Which caps of the rules apply (limit or count) for this request? Returns a bit mask over
 * rules->caps INDEX. */
uint32_t policy_caps_for(const struct rules *rules, const struct policy_request *req);
/* Period number of a cap at a moment; day number likewise. Pure given the zone's rules
 * (calendar.h). */

/* Next open moment at or after t; INT64_MAX when none inside the horizon. closes: end of that open
 * window. rule, holiday: label of the closed interval that contains t; 0 and false when t is open.
 * ret_ pointers may be NULL. */
int64_t windows_next_open(const struct windows *w, int64_t t_ms, int64_t *ret_closes_ms,
                          int32_t *ret_rule, bool *ret_holiday);

#endif
