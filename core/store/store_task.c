/* SPDX-License-Identifier: Apache-2.0 */
/* store_task.c - the writer's half of tasks: rows of an accept, counts, and what has ended. See
 * store_task.h; the agents' half: store_task_lease.c. */
#include "store/store_task.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define ROW_BYTES 512u /* of a row of task, beside its texts */

const char *task_state_word(int state)
{
    static const char *const words[] = {"open", "leased", "done", "expired", "withdrawn"};
    return state >= 0 && state < (int)ARRAY_LEN(words) ? words[state] : "";
}

/* Who was spoken to was reached, whatever the answer: the contact took place. */
static const struct task_word words[TASK_OUTCOMES] = {
    [TASK_REACHED] = {"reached", CGW_RES_DELIVERED, CGW_SUB_ANSWERED, true, 0, 0},
    [TASK_NO_ANSWER] = {"no_answer", CGW_RES_FAILED, CGW_SUB_NO_ANSWER, false, 0, 0},
    [TASK_BUSY] = {"busy", CGW_RES_FAILED, CGW_SUB_BUSY, false, 0, 0},
    [TASK_REFUSED] = {"refused", CGW_RES_DELIVERED, CGW_SUB_REJECTED, true, 0, 0},
    [TASK_WRONG_NUMBER] = {"wrong_number", CGW_RES_FAILED, CGW_SUB_BAD_ADDRESS, false, 0, 0},
    [TASK_OPTED_OUT] = {"opted_out", CGW_RES_DELIVERED, CGW_SUB_ANSWERED, true, 1, 1},
    [TASK_OPTED_OUT_ALL] = {"opted_out_all", CGW_RES_DELIVERED, CGW_SUB_ANSWERED, true, 2, 3},
    [TASK_CALLBACK] = {"callback", CGW_RES_DELIVERED, CGW_SUB_ANSWERED, true, 4, 0},
    [TASK_MACHINE] = {"machine", CGW_RES_FAILED, CGW_SUB_MACHINE, false, 0, 0},
    [TASK_FAILED] = {"failed", CGW_RES_FAILED, CGW_SUB_ROUTE_DOWN, false, 0, 0}};

const struct task_word *task_word(int outcome)
{
    return outcome > 0 && outcome < TASK_OUTCOMES ? &words[outcome] : NULL;
}

int task_outcome_of(const char *word)
{
    for (int i = 1; i < TASK_OUTCOMES; i++)
        if (!strcmp(words[i].word, word))
            return i;
    return 0;
}

/* Not to be guessed: an agent's system knows the tasks it was given and no others. */
static int64_t new_key(int32_t part)
{
    uint64_t r;
    randombytes_buf(&r, sizeof r);
    return (int64_t)((r & (UINT64_C(0x7fffffffffffffff) & ~UINT64_C(63))) | (uint32_t)part);
}

int store_tasks_write(struct db *db, const struct task_row *rows, int n, struct diag *diag)
{
    if (n == 0)
        return 0;
    size_t bytes = 4096;
    for (int i = 0; i < n; i++)
        bytes += ROW_BYTES + rows[i].document_len;
    struct db_copy c;
    dbc_init(&c, bytes);
    for (int i = 0; i < n; i++) {
        const struct task_row *t = &rows[i];
        dbc_row(&c, 12);
        dbc_int4(&c, t->part);
        dbc_int8(&c, t->contact_id);
        dbc_int2(&c, t->attempt);
        dbc_int8(&c, new_key(t->part));
        dbc_int8(&c, t->customer_id);
        dbc_text(&c, t->instance, strlen(t->instance));
        dbc_int4(&c, t->route_id);
        dbc_bool(&c, t->receipt);
        dbc_text(&c, t->ref, strlen(t->ref));
        dbc_text(&c, t->document, t->document_len);
        dbc_ts(&c, t->until_ms);
        dbc_ts(&c, t->created_ms);
    }
    int rc = db_copy_send(db,
                          "COPY task (part, contact_id, attempt, task_key, customer_id, instance, "
                          "route_id, receipt, ref, document, until, created_at) FROM STDIN (FORMAT "
                          "binary)",
                          &c, diag);
    dbc_done(&c);
    return rc;
}

int store_task_count_add(struct db *db, const char *instance, const char *zone, int64_t now_ms,
                         int64_t n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, instance);
    dbp_text(&p, zone);
    dbp_ts(&p, now_ms);
    dbp_int8(&p, n);
    return db_exec(db,
                   "INSERT INTO task_count (instance, day, n) VALUES ($1, ($3 AT TIME ZONE "
                   "$2)::date, $4) ON CONFLICT (instance, day) DO UPDATE SET n = task_count.n + "
                   "excluded.n",
                   &p, NULL, diag);
}

int store_task_counts(struct db *db, const char *instance, const char *zone, int64_t now_ms,
                      struct task_counts *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, instance);
    dbp_text(&p, zone);
    dbp_ts(&p, now_ms);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "WITH d AS (SELECT ($3 AT TIME ZONE $2)::date AS day) SELECT coalesce(sum(c.n) FILTER "
        "(WHERE c.day = d.day), 0)::int8, coalesce(sum(c.n), 0)::int8, (SELECT count(*) FROM task "
        "t WHERE t.instance = $1 AND t.state < 2) FROM d LEFT JOIN task_count c ON c.instance = $1 "
        "AND c.day BETWEEN date_trunc('month', d.day)::date AND d.day",
        &p, &r, diag);
    if (rc == 0)
        *ret = (struct task_counts){dbr_int(r, 0, 0), dbr_int(r, 0, 1), dbr_int(r, 0, 2)};
    return rc;
}

/* $1 now, $2 what is left of an agent's time to report. Of the expired, a task that somebody holds
 * waits for that. */
/* clang-format off */
#define OVER \
    "(t.state >= 2 OR t.until + CASE WHEN t.state = 1 AND t.lease_until > $1::timestamptz - $2 *" \
    " interval '1 ms' THEN $2 ELSE 0 END * interval '1 ms' <= $1)"
/* clang-format on */

int store_tasks_ended(struct db *db, int64_t now_ms, struct task_end *ret, int max, int *ret_n,
                      struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_ts(&p, now_ms);
    dbp_int8(&p, STORE_TASK_REPORT_MS);
    dbp_int4(&p, max);
    auto_dbr struct db_result *r = NULL;
    *ret_n = 0;
    int rc = db_query(db,
                      "SELECT * FROM (SELECT part, contact_id, attempt FROM task WHERE NOT settled "
                      "AND state >= 2 LIMIT $3) x UNION ALL SELECT * FROM (SELECT t.part, "
                      "t.contact_id, t.attempt FROM task t WHERE t.state < 2 AND t.until <= $1 AND "
                      "NOT t.settled AND " OVER " LIMIT $3) y ORDER BY 1, 2, 3 LIMIT $3",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        ret[i].part = (int32_t)dbr_int(r, i, 0);
        ret[i].contact_id = dbr_int(r, i, 1);
        ret[i].attempt = (int16_t)dbr_int(r, i, 2);
    }
    return 0;
}

static int settle_params(struct db_params *p, int64_t now_ms, const struct task_end *keys, int n,
                         struct diag *diag)
{
    int32_t *part = malloc((size_t)n * sizeof *part);
    int64_t *contact = malloc((size_t)n * sizeof *contact);
    int16_t *attempt = malloc((size_t)n * sizeof *attempt);
    bool ok = part && contact && attempt;
    for (int i = 0; ok && i < n; i++) {
        part[i] = keys[i].part;
        contact[i] = keys[i].contact_id;
        attempt[i] = keys[i].attempt;
    }
    dbp_init(p);
    dbp_ts(p, now_ms);
    dbp_int8(p, STORE_TASK_REPORT_MS);
    if (ok) {
        dbp_int4_array(p, part, (size_t)n);
        dbp_int8_array(p, contact, (size_t)n);
        dbp_int2_array(p, attempt, (size_t)n);
    }
    free(part);
    free(contact);
    free(attempt);
    return ok ? 0 : diag_set(diag, CGW_ELIMIT, "", "out of memory");
}

int store_tasks_settle(struct db *db, int64_t now_ms, const struct task_end *keys, int n,
                       struct task_end *ret, int *ret_n, struct diag *diag)
{
    struct db_params p;
    *ret_n = 0;
    if (n == 0)
        return 0;
    int rc = settle_params(&p, now_ms, keys, n, diag);
    if (rc < 0)
        return rc;
    auto_dbr struct db_result *r = NULL;
    rc = db_query(
        db,
        "WITH s AS (UPDATE task t SET settled = true, state = CASE WHEN t.state < 2 THEN 3 ELSE "
        "t.state END, ended_at = coalesce(t.ended_at, $1), lease_until = NULL FROM "
        "unnest($3::int4[], $4::int8[], $5::int2[]) k (part, contact_id, attempt) WHERE t.part = "
        "k.part AND t.contact_id = k.contact_id AND t.attempt = k.attempt AND NOT t.settled "
        "AND " OVER
        " RETURNING t.part, t.contact_id, t.attempt, t.route_id, t.customer_id, t.receipt, "
        "t.state, t.outcome, t.leases, t.seconds, t.ended_at, t.instance, t.ref, t.note) "
        "SELECT * FROM s ORDER BY 1, 2, 3",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        struct task_end *e = &ret[i];
        *e = (struct task_end){.part = (int32_t)dbr_int(r, i, 0),
                               .contact_id = dbr_int(r, i, 1),
                               .attempt = (int16_t)dbr_int(r, i, 2),
                               .route_id = (int32_t)dbr_int(r, i, 3),
                               .customer_id = dbr_int(r, i, 4),
                               .receipt = dbr_bool(r, i, 5),
                               .state = (int)dbr_int(r, i, 6),
                               .outcome = (int)dbr_int(r, i, 7),
                               .leases = (int)dbr_int(r, i, 8),
                               .seconds = (int32_t)dbr_int(r, i, 9),
                               .ended_ms = dbr_ts(r, i, 10)};
        (void)snprintf(e->instance, sizeof e->instance, "%s", dbr_text(r, i, 11));
        (void)snprintf(e->ref, sizeof e->ref, "%s", dbr_text(r, i, 12));
        (void)snprintf(e->note, sizeof e->note, "%s", dbr_text(r, i, 13));
    }
    return 0;
}
