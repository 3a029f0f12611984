/* SPDX-License-Identifier: Apache-2.0 */
/* services.c - see services.h. */
#include "dispatch/services.h"

#include "address/address.h"
#include "base/clock.h"
#include "base/word.h"
#include "store/store_calendar.h"
#include "store/store_contact.h"
#include "store/store_customer.h"
#include "store/store_decide.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

static void put_time(struct buf *out, const char *name, int64_t utc_ms)
{
    time_t s = (time_t)(utc_ms / 1000);
    struct tm tm;
    char text[32];
    if (utc_ms <= 0 || utc_ms == INT64_MAX) {
        buf_printf(out, ",\"%s\":null", name);
        return;
    }
    (void)gmtime_r(&s, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, ",\"%s\":\"%s.%03dZ\"", name, text, (int)(utc_ms % 1000));
}

/* ---- one person ------------------------------------------------------------------------------ */
/* More candidates than can be looked at: unknown, as at the upload. */
static void set_zones(struct place *p, uint32_t n)
{
    p->n_zones = n > PLACE_ZONES_MAX ? 0 : n;
}

/* Where the person may be: own zone, else the region's zones, else those of the number: the order
 * of the upload (audiences). */
static int find_place(struct db *db, const struct decide_ask *ask, struct arena *a,
                      struct place *ret, struct diag *diag)
{
    struct store_whereabouts known;
    struct address parsed;
    int rc = store_whereabouts(db, ask->customer_id, &known, diag);
    if (rc < 0)
        return rc;
    if (ask->address[0] == '+')
        (void)snprintf(known.msisdn, sizeof known.msisdn, "%s", ask->address);
    *ret = (struct place){0};
    (void)snprintf(ret->region, sizeof ret->region, "%s", known.region);
    if (!known.region[0] && known.msisdn[0] &&
        address_normalise(known.msisdn, strlen(known.msisdn), CGW_ADDR_E164, "", &parsed, NULL) ==
            0)
        (void)snprintf(ret->region, sizeof ret->region, "%s", parsed.region);
    if (known.zone[0]) {
        ret->zones[0] = arena_dup(a, known.zone, strlen(known.zone));
        ret->n_zones = ret->zones[0] ? 1 : 0;
        return 0;
    }
    if (known.region[0])
        set_zones(ret, address_region_zones(known.region, ret->zones, PLACE_ZONES_MAX));
    if (!ret->n_zones && known.msisdn[0])
        set_zones(ret, address_zones(known.msisdn, ret->zones, PLACE_ZONES_MAX));
    return 0;
}

static int answer(struct db *db, const struct rules *rules, const struct decide_ask *ask,
                  const struct verdict *v, int64_t at_ms, struct buf *ret, struct diag *diag)
{
    static const char *const kinds[] = {"", "ALLOW", "DEFER", "DENY"};
    char rule[40];
    int rc = store_rule_name(db, v->reason, v->rule_id, rule, diag);
    if (rc < 0)
        return rc;
    buf_printf(ret, "{\"verdict\":\"%s\"", kinds[v->kind]);
    if (v->reason) {
        buf_printf(ret, ",\"reason\":\"%s\",\"text\":", reason_word(v->reason));
        buf_put_json(ret, reason_text(v->reason, "en"), strlen(reason_text(v->reason, "en")));
    } else {
        buf_puts(ret, ",\"reason\":null,\"text\":null");
    }
    put_time(ret, "until", v->kind == VERDICT_DEFER ? v->until_ms : 0);
    put_time(ret, "closes", v->kind == VERDICT_ALLOW ? v->closes_ms : 0);
    buf_printf(ret, rule[0] ? ",\"rule\":\"%s\"" : ",\"rule\":null", rule);
    buf_printf(ret, ",\"rules_version\":%d,\"channel\":\"%s\",\"class\":\"%s\"", rules->version,
               channel_word(ask->channel), class_word(ask->contact_class));
    put_time(ret, "at", at_ms);
    buf_putc(ret, '}');
    return 0;
}

static int decide_with(struct rules_ref *ref, struct db *db, const struct decide_ask *ask,
                       int64_t at_ms, struct buf *ret, struct diag *diag)
{
    const struct rule_set *set = rules_set(ref);
    struct policy_request req = {.contact_class = ask->contact_class, .channel = ask->channel};
    struct contact_row row = {.customer_id = ask->customer_id, .address = ask->address};
    struct facts_query q = {.part = ask->part,
                            .partner_id = ask->partner_id,
                            .contact_class = ask->contact_class,
                            .channel = ask->channel,
                            .purpose = ask->purpose,
                            .now_ms = at_ms,
                            .rules = &set->rules,
                            .cap_mask = policy_caps_for(&set->rules, &req)};
    struct windows *windows = NULL;
    struct verdict v;
    struct place place;
    struct arena a;
    arena_init(&a, 4096);
    int rc = find_place(db, ask, &a, &place, diag);
    if (rc == 0)
        rc = windows_compile(set->calendars, set->n_calendars, &place, ask->contact_class,
                             ask->channel, at_ms - DAY_MS, &windows, diag);
    if (rc == 0)
        rc = store_facts(db, &q, &row, 1, diag);
    if (rc == 0) {
        row.facts.windows = windows;
        policy_decide(&set->rules, &req, &row.facts, at_ms, &v);
        rc = answer(db, &set->rules, ask, &v, at_ms, ret, diag);
    }
    windows_free(windows);
    arena_done(&a);
    return rc;
}

int dispatch_decide(struct rules_cache *cache, struct db *db, const struct decide_ask *ask,
                    struct buf *ret, struct diag *diag)
{
    struct rules_ref *ref = NULL;
    int64_t at_ms = ask->at_utc_ms;
    if (ask->channel < CGW_CHANNEL_SMS || ask->channel > CGW_CHANNEL_TASK ||
        ask->contact_class < CGW_CLASS_MARKETING || ask->contact_class > CGW_CLASS_EMERGENCY)
        return diag_set(diag, CGW_EINVAL, "", "no such channel or class");
    int rc = 0;
    if (at_ms == INT64_MIN) {
        rc = store_now(db, &at_ms, diag);
        at_ms += clock_shift_get();
    }
    if (rc == 0)
        rc = rules_cache_get(cache, db, 0, &ref, diag);
    if (rc == 0)
        rc = decide_with(ref, db, ask, at_ms, ret, diag);
    rules_unref(ref);
    return rc;
}

/* ---- one calendar ---------------------------------------------------------------------------- */
static void put_closed(const struct windows *w, const char *calendar_id, int64_t from_ms,
                       int64_t to_ms, struct buf *ret)
{
    const char *comma = "{";
    for (uint32_t i = 0; i < w->n; i++) {
        int64_t a = w->closed[i].from_ms > from_ms ? w->closed[i].from_ms : from_ms,
                b = w->closed[i].to_ms < to_ms ? w->closed[i].to_ms : to_ms;
        if (a >= b)
            continue;
        buf_printf(ret, "%s\"rule\":\"%s\",\"holiday\":%s", comma, calendar_id,
                   w->holiday[i] ? "true" : "false");
        put_time(ret, "from", a);
        put_time(ret, "to", b);
        buf_putc(ret, '}');
        comma = ",{";
    }
}

static uint32_t lowest_bit(uint32_t mask, uint32_t absent)
{
    return mask ? (uint32_t)__builtin_ctz(mask) : absent;
}

int dispatch_windows(struct db *db, const char *calendar_id, const char *region,
                     int64_t from_utc_ms, int64_t to_utc_ms, struct buf *ret, struct diag *diag)
{
    struct open_span spans[CALENDAR_SPANS_MAX];
    struct calendar_def def;
    struct windows *w = NULL;
    struct place place = {0};
    struct arena a;
    arena_init(&a, CALENDAR_ICS_MAX + 4096);
    int rc = store_calendar_def(db, calendar_id, &a, spans, &def, diag);
    if (rc == 0 && !region[0] && !def.region[0])
        rc = diag_set(
            diag, CGW_EINVAL, "region",
            "the calendar holds everywhere; name the region whose clocks you mean, such as CN");
    if (rc == 0) {
        (void)snprintf(place.region, sizeof place.region, "%s", region[0] ? region : def.region);
        set_zones(&place, address_region_zones(place.region, place.zones, PLACE_ZONES_MAX));
        if (!place.n_zones)
            rc = diag_set(diag, CGW_EINVAL, "region", "no time zones are known for %s",
                          place.region);
    }
    if (rc == 0)
        rc = windows_compile(&def, 1, &place, lowest_bit(def.class_mask, CGW_CLASS_MARKETING),
                             lowest_bit(def.channel_mask, CGW_CHANNEL_SMS), from_utc_ms, &w, diag);
    if (rc == 0)
        put_closed(w, calendar_id, from_utc_ms, to_utc_ms, ret);
    windows_free(w);
    arena_done(&a);
    return rc;
}
