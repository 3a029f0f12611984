/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_campaign.c - campaigns: create, act, watch, funnel. Which action is legal is the gateway's to
 * say. */
#include "ctl/ctl.h"

#include "base/clock.h"
#include "policy/policy.h"

#include <string.h>
#include <time.h>

#define POLL_MS 1000
#define RECONNECT_MS 60000 /* a restart of the gateway does not end a watch */
#define FUNNEL_CELLS 30

static const struct ctl_column fields[] = {{"id", "id", 's'},
                                           {"name", "name", 's'},
                                           {"state", "state", 'c'},
                                           {"class", "class", 's'},
                                           {"audience", "audience", 's'},
                                           {"not before", "not_before", 't'},
                                           {"not after", "not_after", 't'},
                                           {"started", "started_at", 't'},
                                           {"actions", "actions", 's'},
                                           CTL_COLUMNS_END};

static void path_of(const char *id, const char *what, char *out, size_t size)
{
    (void)snprintf(out, size, "/api/v1/campaigns/%s%s", id, what);
}

static int post(struct ctl *c, const char *id, const char *what, json_t *body, struct ctl_answer *a)
{
    char path[CTL_PATH_MAX];
    path_of(id, what, path, sizeof path);
    struct ctl_request req = {.method = "POST", .path = path, .body = body};
    return ctl_call(c, &req, a);
}

static json_t *get(struct ctl *c, const char *id, const char *what, int *ret_code)
{
    char path[CTL_PATH_MAX];
    path_of(id, what, path, sizeof path);
    return ctl_get(c, path, ret_code);
}

/* ---- create, list, show
 * ------------------------------------------------------------------------------------------------------------
 */
int ctl_campaign_create(struct ctl *c)
{
    json_t *body = NULL;
    const char *file = ctl_opt(c, "file");
    if (!file)
        return ctl_usage_error(c, "-f FILE is missing: the campaign as JSON");
    int code = ctl_read_json(c, file, &body);
    if (code)
        return code;
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/campaigns", .body = body, .idem = true};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

int ctl_campaign_change(struct ctl *c)
{
    char id[80];
    json_t *body = NULL;
    struct ctl_answer a;
    const char *file = ctl_opt(c, "file");
    if (!file)
        return ctl_usage_error(c, "-f FILE is missing: the members to change as JSON");
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    if (code == 0)
        code = ctl_read_json(c, file, &body);
    if (code == 0)
        code = ctl_put_named(c, "/api/v1/campaigns", id, body, NULL, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

int ctl_campaign_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"STATE", "state", 'c'},
                                                {"CLASS", "class", 's'},
                                                {"CREATED", "created_at", 't'},
                                                {"STARTED", "started_at", 't'},
                                                {"FINISHED", "finished_at", 't'},
                                                CTL_COLUMNS_END};
    struct buf path;
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/campaigns");
    ctl_query_add(&path, "state", ctl_opt(c, "state"));
    int code =
        ctl_list(c, buf_str(&path), columns, "No campaign: campgwctl campaign create -f FILE");
    buf_done(&path);
    return code;
}

int ctl_campaign_show(struct ctl *c)
{
    static const struct ctl_column waves[] = {
        {"WAVE", "wave", 'n'},     {"CHANNEL", "channel", 's'},   {"STATE", "state", 'c'},
        {"ROUTES", "routes", 's'}, {"VALIDITY", "validity", 's'}, CTL_COLUMNS_END};
    char id[80];
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    json_t *doc = code ? NULL : get(c, id, "", &code);
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(doc);
    } else {
        ctl_print_fields(c, doc, fields);
        (void)putchar('\n');
        ctl_print_table(c, json_object_get(doc, "waves"), waves);
    }
    json_decref(doc);
    return CTL_OK;
}

/* ---- watch
 * ---------------------------------------------------------------------------------------------------------------------------
 */
struct watch {
    const char *id;
    bool until_finishing;
    int64_t deadline_ms; /* INT64_MAX none */
    int64_t lost_ms;     /* since when the gateway does not answer; 0 = it does */
    struct ctl_bar bar;
    json_t *last; /* owned: what was shown last */
};

static void nap(void)
{
    struct timespec t = {POLL_MS / 1000, POLL_MS % 1000 * 1000000L};
    (void)nanosleep(&t, NULL); /* an interrupt ends it early */
}

static void show_progress(const struct ctl *c, struct watch *w, const json_t *p)
{
    char note[160] = "", until[40] = "";
    const char *waiting = ctl_str(p, "waiting_for", NULL), *state = ctl_str(p, "state", "");
    if (c->json) {
        if (!w->last || !json_equal(w->last, p))
            ctl_print_line(p);
        json_decref(w->last);
        w->last = json_deep_copy(p);
        return;
    }
    ctl_format(json_object_get(p, "until"), 't', until, sizeof until);
    if (waiting)
        (void)snprintf(note, sizeof note, "waiting for %s%s%s", waiting,
                       until[0] != '-' ? " until " : "", until[0] != '-' ? until : "");
    else if (strcmp(state, "running") != 0)
        (void)snprintf(note, sizeof note, "%s", state);
    ctl_clean(note);
    const json_t *rate = json_object_get(p, "rate_per_s");
    ctl_bar_show(c, &w->bar, ctl_num(p, "done", 0), ctl_num(p, "total", 0),
                 ctl_str(p, "unit", "contacts"),
                 json_is_number(rate) ? json_number_value(rate) : -1, note[0] ? note : NULL);
}

static int ended(const struct ctl *c, struct watch *w, const json_t *p)
{
    char done[32], total[32];
    ctl_bar_end(c, &w->bar);
    ctl_format_count(ctl_num(p, "done", 0), done);
    ctl_format_count(ctl_num(p, "total", 0), total);
    if (!c->json)
        (void)printf("%s: %s of %s %s\n", ctl_str(p, "state", "?"), done, total,
                     ctl_str(p, "unit", "contacts"));
    return !strcmp(ctl_str(p, "state", ""), "cancelled") ? CTL_CONFLICT : CTL_OK;
}

static bool is_end(const struct watch *w, const char *state)
{
    return !strcmp(state, "completed") || !strcmp(state, "cancelled") ||
           (w->until_finishing && !strcmp(state, "finishing"));
}

/* One look; 0 = go on. */
static int look(struct ctl *c, struct watch *w, int *ret_end)
{
    char path[CTL_PATH_MAX];
    int code;
    path_of(w->id, "/progress", path, sizeof path);
    json_t *p = w->lost_ms ? ctl_get_quiet(c, path, &code) : NULL;
    if (!w->lost_ms) {
        struct ctl_request req = {
            .method = "GET", .path = path, .quiet = true, .timeout_ms = 30000};
        struct ctl_answer a;
        code = ctl_call(c, &req, &a);
        p = a.doc;
    }
    if (code == CTL_UNREACHABLE && (!w->lost_ms || clock_mono_ms() - w->lost_ms < RECONNECT_MS)) {
        if (!w->lost_ms)
            ctl_say(c, "the gateway does not answer; trying for %d s more", RECONNECT_MS / 1000);
        w->lost_ms = w->lost_ms ? w->lost_ms : clock_mono_ms();
        return 0;
    }
    if (code) {
        json_decref(ctl_get(c, path, &code)); /* once more, saying what is wrong */
        return code;
    }
    w->lost_ms = 0;
    show_progress(c, w, p);
    *ret_end = is_end(w, ctl_str(p, "state", ""));
    code = *ret_end ? ended(c, w, p) : 0;
    json_decref(p);
    return code;
}

static int watch(struct ctl *c, struct watch *w)
{
    int code = 0, end = 0;
    while (code == 0 && !end && !ctl_interrupted) {
        code = look(c, w, &end);
        if (code || end)
            break;
        if (clock_mono_ms() >= w->deadline_ms) {
            ctl_bar_end(c, &w->bar);
            code = ctl_fail(c, CTL_FAILED, "gave up watching",
                            "--timeout has passed; the campaign goes on",
                            "campgwctl campaign watch it again");
            break;
        }
        nap();
    }
    ctl_bar_end(c, &w->bar);
    json_decref(w->last);
    if (ctl_interrupted)
        ctl_say(c,
                "\nStopped watching; the campaign goes on.\n  next: campgwctl campaign watch %s\n  "
                "      campgwctl campaign pause %s",
                w->id, w->id);
    return ctl_interrupted ? CTL_INTERRUPTED : code;
}

int ctl_campaign_watch(struct ctl *c)
{
    char id[80];
    int64_t seconds;
    bool bad = false;
    const char *until = ctl_opt(c, "until");
    struct watch w = {.id = id,
                      .deadline_ms = INT64_MAX,
                      .until_finishing = until && !strcmp(until, "finishing")};
    if (ctl_opt_int(c, "timeout", 1, 31536000, &seconds, &bad))
        w.deadline_ms = clock_mono_ms() + seconds * 1000;
    if (bad)
        return CTL_USAGE;
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    return code ? code : watch(c, &w);
}

/* ---- actions
 * ----------------------------------------------------------------------------------------------------------------------------
 */
static int act_and_show(struct ctl *c, const char *id, const char *verb, json_t *body)
{
    char what[32];
    struct ctl_answer a;
    (void)snprintf(what, sizeof what, "/%s", verb);
    int code = post(c, id, what, body, &a);
    if (code)
        return code;
    bool stay = ctl_has(c, "watch");
    if (!stay || !c->json) /* with --json and --watch the stream is progress only */
        (void)ctl_print_answer(c, &a, fields);
    ctl_answer_done(&a);
    struct watch w = {.id = id, .deadline_ms = INT64_MAX};
    return stay ? watch(c, &w) : CTL_OK;
}

int ctl_campaign_action(struct ctl *c)
{
    char id[80];
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    return code ? code : act_and_show(c, id, c->cmd->verb, NULL);
}

/* Messages that the start may send: each wave one to everybody in the audience. -1 with a printed
 * error. */
static int64_t people_of(struct ctl *c, const char *id, char *question, size_t size, int *ret_code)
{
    char path[CTL_PATH_MAX], n[32];
    json_t *doc = get(c, id, "", ret_code);
    if (*ret_code)
        return -1;
    const char *audience = ctl_str(doc, "audience", ctl_str(doc, "audience.id", NULL));
    int64_t people = 0;
    if (audience) {
        (void)snprintf(path, sizeof path, "/api/v1/audiences/%s", audience);
        json_t *aud = ctl_get(c, path, ret_code);
        people = ctl_num(aud, "accepted", 0);
        json_decref(aud);
    }
    size_t waves = json_array_size(json_object_get(doc, "waves"));
    ctl_format_count(people, n);
    (void)snprintf(question, size, "Start %s \"%s\": at most %s people, class %s, %zu wave%s.", id,
                   ctl_str(doc, "name", ""), n, ctl_str(doc, "class", "?"), waves,
                   waves == 1 ? "" : "s");
    ctl_clean(question);
    json_decref(doc);
    return people * (int64_t)waves;
}

int ctl_campaign_start(struct ctl *c)
{
    char id[80], question[400];
    int64_t most;
    bool bad = false;
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    if (code)
        return code;
    int64_t people = people_of(c, id, question, sizeof question, &code);
    if (code)
        return code;
    bool given = ctl_opt_int(c, "expect-max", 0, INT64_MAX, &most, &bad);
    if (bad)
        return CTL_USAGE;
    if (c->yes || c->dry_run)
        ctl_say(c, "%s", question);
    code = ctl_confirm(c, question, people);
    if (code)
        return code;
    /* what was shown is what may be sent: an audience that grew in between is refused by the
     * gateway */
    return act_and_show(
        c, id, "start",
        json_pack("{s:I}", "expect_submitted_max", (json_int_t)(given ? most : people)));
}

int ctl_campaign_schedule(struct ctl *c)
{
    static const char *const options[] = {"not-before", "not-after"}, *const members[] = {
                                                                          "not_before",
                                                                          "not_after"};
    char id[80], path[CTL_PATH_MAX], at[40];
    struct ctl_answer a;
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    json_t *patch = json_object();
    for (size_t i = 0; code == 0 && i < ARRAY_LEN(options); i++) {
        const char *text = ctl_opt(c, options[i]);
        code = text ? ctl_time(c, options[i], text, at) : 0;
        if (text && code == 0)
            ctl_set_str(patch, members[i], at);
    }
    path_of(id, "", path, sizeof path);
    if (code == 0 && json_object_size(patch)) {
        struct ctl_request read = {.method = "GET", .path = path};
        code = ctl_call(c, &read, &a);
        ctl_answer_done(&a);
        if (code == 0) {
            struct ctl_request req = {.method = "PATCH",
                                      .path = path,
                                      .body = json_incref(patch),
                                      .merge_patch = true,
                                      .if_match = a.etag};
            struct ctl_answer b;
            code = ctl_call(c, &req, &b);
            ctl_answer_done(&b);
        }
    }
    json_decref(patch);
    return code ? code : act_and_show(c, id, "schedule", NULL);
}

int ctl_campaign_cancel(struct ctl *c)
{
    char id[80], question[300], done[32], total[32];
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    json_t *p = code ? NULL : get(c, id, "/progress", &code);
    if (code)
        return code;
    ctl_format_count(ctl_num(p, "done", 0), done);
    ctl_format_count(ctl_num(p, "total", 0), total);
    int64_t left = ctl_num(p, "total", 0) - ctl_num(p, "done", 0);
    (void)snprintf(question, sizeof question,
                   "Cancel %s: %s of %s people are done already; what is with the channels may "
                   "still go out where they do not take it back, the rest never will.",
                   id, done, total);
    json_decref(p);
    code = ctl_confirm(c, question, left > 0 ? left : 0);
    return code ? code : act_and_show(c, id, "cancel", NULL);
}

/* ---- funnel
 * ------------------------------------------------------------------------------------------------------------------------------
 */
static const struct {
    const char *name;
    int stage; /* whose holds lie between the stage before and this one; 0 none */
} stages[] = {{"audience", 0},
              {"after_dnd", STAGE_DND},
              {"after_consent", STAGE_CONSENT},
              {"after_stop", STAGE_STOP},
              {"after_assignment", STAGE_ASSIGNMENT},
              {"after_caps", STAGE_CAPS},
              {"after_calendar", STAGE_CALENDAR},
              {"submitted", -1}};
static const char *const ends[] = {"delivered", "failed",  "expired",
                                   "recalled",  "unknown", "pending"};
static const char *const beside[] = {"waiting", "responded", "in_doubt",
                                     "settled", "retries",   "segments"};

static bool counted(int stage)
{
    for (size_t i = 1; i + 1 < ARRAY_LEN(stages); i++)
        if (stages[i].stage == stage)
            return true;
    return false;
}

static void put_stage(const char *name, int64_t n, int64_t of, bool bar)
{
    char count[32], cells[FUNNEL_CELLS + 1];
    int full = bar && of > 0 ? (int)(n * FUNNEL_CELLS / of) : 0;
    for (int i = 0; i < full; i++)
        cells[i] = '#';
    cells[full] = 0;
    ctl_format_count(n, count);
    (void)printf("%-18s %12s%s%s\n", name, count, full ? "  " : "", cells);
}

static void put_holds(const json_t *doc, int stage)
{
    const char *reason;
    json_t *n;
    json_object_foreach(json_object_get(doc, "held"), reason, n)
    {
        int known = reason_from_word(reason), of = known < 0 ? -1 : (int)reason_stage(known);
        char count[32];
        if (stage == -1 ? counted(of) : of != stage)
            continue;
        ctl_format_count(json_integer_value(n), count);
        (void)printf("  held %-22s %12s\n", reason, count);
    }
}

static void put_funnel(const json_t *doc)
{
    int64_t people = ctl_num(doc, "audience", 0);
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        if (stages[i].stage)
            put_holds(doc, stages[i].stage);
        put_stage(stages[i].name, ctl_num(doc, stages[i].name, 0), people, true);
    }
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "  %s", ends[i]);
        put_stage(name, ctl_num(doc, ends[i], 0), people, true);
    }
    for (size_t i = 0; i < ARRAY_LEN(beside); i++)
        if (ctl_num(doc, beside[i], 0))
            put_stage(beside[i], ctl_num(doc, beside[i], 0), people, false);
}

int ctl_campaign_funnel(struct ctl *c)
{
    char id[80], base[CTL_PATH_MAX];
    struct buf path;
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    if (code)
        return code;
    path_of(id, "/funnel", base, sizeof base);
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, base);
    ctl_query_add(&path, "by", ctl_opt(c, "by"));
    json_t *doc = ctl_get(c, buf_str(&path), &code);
    buf_done(&path);
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(doc);
    } else {
        put_funnel(doc);
        const json_t *groups = json_object_get(doc, "groups");
        for (size_t i = 0; i < json_array_size(groups); i++) {
            const json_t *g = json_array_get(groups, i);
            const char *channel = ctl_str(g, "channel", NULL);
            (void)putchar('\n');
            if (ctl_at(g, "wave"))
                (void)printf("wave %lld%s", (long long)ctl_num(g, "wave", 0), channel ? ", " : "");
            (void)printf("%s\n", channel ? channel : "");
            put_funnel(g);
        }
    }
    json_decref(doc);
    return CTL_OK;
}
