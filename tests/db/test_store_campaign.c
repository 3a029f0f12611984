/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_campaign.c - the table of campaign states against the schema, actions, the funnel's
 * arithmetic, caps' slots, against a real PostgreSQL. CAMPGW_TEST_DB = conninfo of a migrated
 * database (role campgw); skipped, with this sentence, when it is unset. Rows are the tests' own,
 * so that the database need not be empty; what a test does to caps and calendars is rolled back. */
#include "policy/policy.h"
#include "store/store_calendar.h"
#include "store/store_campaign.h"
#include "store/store_cap.h"
#include "store/store_contact.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static struct db *db;
static struct diag d;
static struct buf doc;
static const struct store_actor owner = {.name = "test", .request_id = "req_test"};
static const struct store_scope all = {0};

static void setup(void)
{
    const char *conninfo = getenv("CAMPGW_TEST_DB");
    if (!conninfo)
        cr_skip("CAMPGW_TEST_DB is not set: no database to test against");
    cr_assert_geq(sodium_init(), 0);
    d = (struct diag){0};
    cr_assert_eq(db_open(conninfo, "test_store_campaign", &db, &d), 0, "%s", d.text);
    buf_init(&doc, 1u << 20);
}

static void teardown(void)
{
    db_close(db);
    db = NULL;
    buf_done(&doc);
    if (__lsan_do_recoverable_leak_check)
        cr_assert_eq(__lsan_do_recoverable_leak_check(), 0, "memory leaked");
}

TestSuite(campaign, .init = setup, .fini = teardown, .timeout = 60);

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, d.text)

static int64_t number(const char *sql, int64_t a, int64_t b)
{
    struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, a);
    dbp_int8(&p, b);
    OK(db_query(db, sql, &p, &r, &d));
    int64_t v = dbr_rows(r) ? dbr_int(r, 0, 0) : -1;
    dbr_free(r);
    return v;
}

/* A campaign with an audience of so many people (counted, not stored). */
static int32_t new_campaign(int64_t people, struct store_campaign *ret)
{
    char id[40];
    struct store_campaign_values v = {.name = "test",
                                      .plugin = "campaign_broadcast",
                                      .keyword = "",
                                      .contact_class = 1,
                                      .purpose = 1,
                                      .not_before_ms = INT64_MIN,
                                      .not_after_ms = INT64_MIN,
                                      .n_waves = 1};
    v.waves[0] =
        (struct store_wave_values){.channel = 1, .content = "{\"text\":\"x\"}", .content_len = 12};
    int32_t set = (int32_t)number("INSERT INTO recipient_set (partner_id, fields, n_rows) SELECT "
                                  "0, '{}', $1 WHERE $2 = 0 RETURNING set_id::int8",
                                  people, 0);
    v.audience_id = (int32_t)number(
        "INSERT INTO audience (public_id, partner_id, name, state, set_id, created_by)"
        " SELECT 'aud_' || md5(random()::text), 0, 'test', 'ready', $1, 'test' WHERE $2 = 0 "
        "RETURNING audience_id::int8",
        set, 0);
    OK(store_campaign_create(db, &owner, &v, id, &d));
    OK(db_begin(db, &d));
    OK(store_campaign_lock(db, all, id, ret, &d));
    OK(db_commit(db, &d));
    return (int32_t)number("SELECT wave_id::int8 FROM wave WHERE campaign_id = $1 AND $2 = 0",
                           ret->campaign_id, 0);
}

/* ---- states ---------------------------------------------------------------------------------- */
Test(campaign, states_are_those_of_the_schema_in_its_order)
{
    struct db_result *r = NULL;
    OK(db_query(db,
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
                "'campaign'::regclass AND contype = 'c'"
                " AND pg_get_constraintdef(oid) LIKE '%state%'",
                NULL, &r, &d));
    cr_assert_eq(dbr_rows(r), 1);
    const char *at = dbr_text(r, 0, 0);
    int n = 0;
    while ((at = strchr(at, '\''))) {
        char word[32] = "";
        cr_assert_eq(sscanf(at, "'%31[a-z_]'", word), 1);
        cr_assert_lt(n, CAMPAIGN_STATES, "the schema knows \"%s\", the table does not", word);
        cr_expect_str_eq(word, campaign_state_word((enum campaign_state)n));
        cr_expect_eq(campaign_state_of(word), n);
        n++;
        at += strlen(word) + 2;
    }
    cr_assert_eq(n, CAMPAIGN_STATES);
    cr_assert_eq(campaign_state_of("stuck"), -1);
    dbr_free(r);
}

Test(campaign, actions_lead_out_of_no_end_and_never_overlap_what_is_in_effect)
{
    const uint32_t ends = 1u << CAMPAIGN_COMPLETED | 1u << CAMPAIGN_CANCELLED;
    for (int i = 0; i < CAMPAIGN_VERBS; i++) {
        const struct campaign_action *a = &campaign_actions[i];
        cr_expect_eq(a->from & a->in_effect, 0, "%s", a->verb);
        cr_expect(a->in_effect >> a->to & 1, "%s again must be fine", a->verb);
        cr_expect_eq(a->from & ends, 0, "%s leads out of an end", a->verb);
        cr_expect_eq((a->from | a->in_effect) >> CAMPAIGN_STATES, 0, "%s", a->verb);
    }
}

Test(campaign, every_action_moves_the_row_as_the_table_says)
{
    for (int verb = 0; verb < CAMPAIGN_VERBS; verb++)
        for (int from = 0; from < CAMPAIGN_STATES; from++) {
            struct store_campaign c;
            if (!(campaign_actions[verb].from >> from & 1))
                continue;
            int32_t wave = new_campaign(5, &c);
            struct db_params p;
            dbp_init(&p);
            dbp_text(&p, campaign_state_word((enum campaign_state)from));
            dbp_int4(&p, c.campaign_id);
            OK(db_exec(db, "UPDATE campaign SET state = $1 WHERE campaign_id = $2", &p, NULL, &d));
            OK(db_begin(db, &d));
            OK(store_campaign_lock(db, all, c.public_id, &c, &d));
            cr_assert_eq((int)c.state, from);
            OK(store_campaign_act(db, &owner, &c, (enum campaign_verb)verb, 0, &d));
            struct store_campaign stale = c;
            OK(store_campaign_lock(db, all, c.public_id, &c, &d));
            cr_expect_eq(c.state, campaign_actions[verb].to, "%s from %s",
                         campaign_actions[verb].verb,
                         campaign_state_word((enum campaign_state)from));
            if (c.state != stale.state)
                cr_expect_eq(
                    store_campaign_act(db, &owner, &stale, (enum campaign_verb)verb, 0, &d),
                    CGW_ESTATE, "a row that moved on stays");
            OK(db_commit(db, &d));
            cr_expect_eq(number("SELECT count(*) FROM wave WHERE wave_id = $1 AND (state = "
                                "'cancelled') = ($2 = 1)",
                                wave, verb == CAMPAIGN_CANCEL),
                         1);
        }
}

/* ---- funnel ---------------------------------------------------------------------------------- */
static void stat(int32_t wave, const char *node, int kind, int code, int64_t n)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, wave);
    dbp_text(&p, node);
    dbp_int2(&p, (int16_t)kind);
    dbp_int4(&p, code);
    dbp_int8(&p, n);
    OK(db_exec(db, "INSERT INTO campaign_stat VALUES ($1, $2, $3, $4, $5)", &p, NULL, &d));
}

static int64_t member(const json_t *obj, const char *name)
{
    const json_t *v = json_object_get(obj, name);
    cr_assert(json_is_integer(v), "%s", name);
    return json_integer_value(v);
}

static int64_t held_of_stage(const json_t *f, enum funnel_stage stage)
{
    const char *word;
    json_t *n;
    int64_t sum = 0;
    json_object_foreach(json_object_get(f, "held"), word,
                        n) if (reason_stage(reason_from_word(word)) == stage) sum +=
        json_integer_value(n);
    return sum;
}

static void check_funnel(const json_t *f)
{
    static const struct {
        const char *name;
        enum funnel_stage stage;
    } nested[] = {{"after_dnd", STAGE_DND},   {"after_consent", STAGE_CONSENT},
                  {"after_stop", STAGE_STOP}, {"after_assignment", STAGE_ASSIGNMENT},
                  {"after_caps", STAGE_CAPS}, {"after_calendar", STAGE_CALENDAR}};
    int64_t before = member(f, "audience");
    for (size_t i = 0; i < ARRAY_LEN(nested); i++) {
        int64_t now = member(f, nested[i].name);
        cr_expect_leq(now, before, "%s is nested", nested[i].name);
        cr_expect_eq(before - now, held_of_stage(f, nested[i].stage), "%s is explained",
                     nested[i].name);
        before = now;
    }
    cr_expect_eq(before, member(f, "submitted") + member(f, "waiting") +
                             held_of_stage(f, STAGE_CONTENT) + held_of_stage(f, STAGE_CAMPAIGN));
    cr_expect_eq(member(f, "submitted"), member(f, "delivered") + member(f, "failed") +
                                             member(f, "expired") + member(f, "unknown") +
                                             member(f, "pending"));
    cr_expect_geq(member(f, "waiting"), 0);
}

Test(campaign, funnel_stages_are_nested_and_their_differences_are_holds)
{
    static const int reasons[] = {
#define REASON(sym, num, word, stage, en, zh) num,
#include "policy/reasons.def"
#undef REASON
    };
    struct store_campaign c;
    int64_t held = 0, people = 100000;
    int32_t wave = new_campaign(people, &c);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) { /* every final reason, from two writers */
        if (reason_stage(reasons[i]) == STAGE_NONE)
            continue;
        int64_t n = 1 + (int64_t)randombytes_uniform(500);
        stat(wave, "a", 1, reasons[i], n);
        stat(wave, "b", 1, reasons[i], 7);
        held += n + 7;
    }
    stat(wave, "a", 2, 0, 5000);
    stat(wave, "a", 3, 0, 3000);
    stat(wave, "a", 4, 0, 200);
    stat(wave, "b", 5, 0, 50);
    stat(wave, "b", 6, 0, 5);
    OK(store_campaign_funnel(db, all, c.public_id, FUNNEL_BY_WAVE | FUNNEL_BY_CHANNEL, &doc, &d));
    json_t *f = json_loadb(doc.data, doc.len, 0, NULL);
    cr_assert(f, "%s", buf_str(&doc));
    check_funnel(f);
    cr_expect_eq(member(f, "waiting"), people - held - 5000);
    cr_expect_eq(member(f, "pending"), 5000 - 3255);
    const json_t *group = json_array_get(json_object_get(f, "groups"), 0);
    check_funnel(group);
    cr_expect_eq(member(group, "audience"), people);
    json_decref(f);
}

Test(campaign, a_partner_sees_nothing_of_others)
{
    struct store_campaign c;
    (void)new_campaign(3, &c);
    const struct store_scope seven = {7};
    const struct store_live live = {.now_ms = 1};
    int32_t waves[4];
    size_t n;
    cr_expect_eq(store_campaign_funnel(db, seven, c.public_id, 0, &doc, &d), CGW_ENOTFOUND);
    cr_expect_eq(store_campaign_progress(db, seven, c.public_id, &live, &doc, &d), CGW_ENOTFOUND);
    cr_expect_eq(store_campaign_json(db, seven, c.public_id, &live, NULL, &doc, &d), CGW_ENOTFOUND);
    cr_expect_eq(store_contact_waves(db, seven, c.public_id, waves, 4, &n, &d), CGW_ENOTFOUND);
    OK(store_contact_waves(db, all, c.public_id, waves, 4, &n, &d));
    cr_expect_eq(n, 1);
}

/* ---- caps ------------------------------------------------------------------------------------ */
Test(campaign, a_new_cap_never_inherits_the_slot_last_left)
{
    struct store_cap_values v = {
        .name = "a", .max = 1, .period = CAP_MONTH, .class_mask = 2, .zone = "UTC"};
    char first[40], second[40];
    OK(db_begin(db, &d));
    OK(store_cap_create(db, &owner, &v, first, &doc, &d));
    int64_t slot = number(
        "SELECT slot::int8 FROM cap WHERE active AND $1 = $2 ORDER BY cap_id DESC LIMIT 1", 0, 0);
    OK(store_cap_end(db, &owner, first, &d));
    OK(store_cap_create(db, &owner, &v, second, &doc, &d));
    int64_t next = number(
        "SELECT slot::int8 FROM cap WHERE active AND $1 = $2 ORDER BY cap_id DESC LIMIT 1", 0, 0);
    cr_expect_neq(next, slot, "its counters of this month would count against the new cap");
    db_rollback(db);
}

Test(campaign, spans_and_text_of_a_calendar_come_back_as_policy_wants_them)
{
    struct store_calendar_values v = {.name = "q",
                                      .region = "CN",
                                      .class_mask = 2,
                                      .channel_mask = 2,
                                      .n_spans = 2,
                                      .spans = {{.days = 31, .from_min = 540, .to_min = 1260},
                                                {.days = 32, .from_min = 600, .to_min = 1440}}};
    char id[40];
    struct open_span spans[CALENDAR_SPANS_MAX];
    struct calendar_def def;
    struct arena a;
    arena_init(&a, 65536);
    OK(db_begin(db, &d));
    OK(store_calendar_create(db, &owner, &v, id, &doc, &d));
    OK(store_calendar_def(db, id, &a, spans, &def, &d));
    cr_expect_eq(def.n_spans, 2);
    cr_expect_eq(def.spans[1].days, 32);
    cr_expect_eq(def.spans[1].to_min, 1440);
    cr_expect_str_eq(def.region, "CN");
    cr_expect_not(def.holiday);
    db_rollback(db);
    arena_done(&a);
}
