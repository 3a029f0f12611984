/* SPDX-License-Identifier: Apache-2.0 */
/* db.c - connection, statements, transactions. See db.h. */
#include "db/db_int.h"

#include <errno.h>
#include <stdio.h>

static int session_setup(struct db *db, struct diag *diag)
{
    /* Plans stay put (no JIT, no parallel helpers), and nobody waits for ever on a dead peer. */
    static const char sql[] = "SET search_path = campgw, pg_catalog; SET jit = off; SET "
                              "max_parallel_workers_per_gather = 0;"
                              "SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = "
                              "'120s'; SET client_min_messages = warning;"
                              "SET timezone = 'UTC'; SET extra_float_digits = 1";
    return db_script(db, sql, diag);
}

static char node_prefix[64]; /* "campgwd@NODE ", "" before db_set_node() */

void db_set_node(const char *node)
{
    (void)snprintf(node_prefix, sizeof node_prefix, "campgwd@%s ", node);
}

int db_open(const char *conninfo, const char *app_name, struct db **ret, struct diag *diag)
{
    struct db *db = calloc(1, sizeof *db);
    if (!db)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    char name[64]; /* the server keeps 63 bytes */
    (void)snprintf(name, sizeof name, "%s%s", node_prefix, app_name);
    const char *keys[] = {"dbname",           "application_name", "connect_timeout",
                          "client_encoding",  "keepalives_idle",  "keepalives_interval",
                          "keepalives_count", "tcp_user_timeout", NULL};
    const char *vals[] = {conninfo, name, "5", "UTF8", "30", "5", "3", "20000", NULL};
    db->conn = PQconnectdbParams(keys, vals, 1);
    if (PQstatus(db->conn) != CONNECTION_OK) {
        (void)diag_set(diag, -ENOTCONN, "", "%s",
                       db->conn ? PQerrorMessage(db->conn) : "out of memory");
        db_close(db);
        return -ENOTCONN;
    }
    int rc = session_setup(db, diag);
    if (rc < 0) {
        db_close(db);
        return rc;
    }
    *ret = db;
    return 0;
}

static void forget_statements(struct db *db)
{
    for (unsigned i = 0; i < DB_STATEMENTS; i++) {
        free(db->statement[i].sql);
        db->statement[i].sql = NULL;
    }
}

void db_close(struct db *db)
{
    if (!db)
        return;
    forget_statements(db);
    PQfinish(db->conn);
    free(db);
}

bool db_is_up(const struct db *db)
{
    return PQstatus(db->conn) == CONNECTION_OK && !db->broken;
}

int db_reopen(struct db *db, struct diag *diag)
{
    forget_statements(db);
    db->in_tx = false;
    db->broken = false;
    PQreset(db->conn);
    if (PQstatus(db->conn) != CONNECTION_OK)
        return diag_set(diag, -ENOTCONN, "", "%s", PQerrorMessage(db->conn));
    return session_setup(db, diag);
}

bool db_in_tx(const struct db *db)
{
    return db->in_tx;
}

const char *db_sqlstate(const struct db *db)
{
    return db->sqlstate;
}

bool db_retryable(const struct db *db)
{
    return !strcmp(db->sqlstate, "40001") || !strcmp(db->sqlstate, "40P01") ||
           !strcmp(db->sqlstate, "55P03");
}

int db_fail(struct db *db, const PGresult *res, struct diag *diag)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    (void)snprintf(db->sqlstate, sizeof db->sqlstate, "%s", state ? state : "");
    const char *words = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!words)
        words = PQerrorMessage(db->conn);
    /* FATAL and PANIC end the session, whether or not libpq has seen the socket close; COMMIT's
     * fate is unknown then */
    const char *severity = res ? PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED) : NULL;
    bool ended = severity && (!strcmp(severity, "FATAL") || !strcmp(severity, "PANIC"));
    /* an error without SQLSTATE is libpq's own: it lost the server, even where it has not closed
     * the socket yet */
    int code = PQstatus(db->conn) == CONNECTION_OK && state && !ended ? CGW_EDB : -ENOTCONN;
    db->broken = db->broken || code == -ENOTCONN;
    (void)diag_set(diag, code, db->sqlstate, "%s", words);
    if (diag) { /* server messages end in a newline */
        size_t n = strlen(diag->text);
        while (n && diag->text[n - 1] == '\n')
            diag->text[--n] = 0;
    }
    return code;
}

static uint32_t text_hash(const char *s)
{
    uint32_t h = 2166136261u; /* FNV-1a: only spreads our own statement texts over slots */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* Slot of the prepared statement, preparing it when new; -1: table full, run it unprepared; < -1:
 * error. The declared types belong to the key: a NULL without a type must not decide for later
 * calls. */
static int statement_slot(struct db *db, const char *sql, const struct db_params *a,
                          struct diag *diag)
{
    uint32_t h = text_hash(sql);
    for (uint32_t probe = 0; probe < 16; probe++) {
        unsigned slot = (h + probe) % DB_STATEMENTS;
        struct db_statement *st = &db->statement[slot];
        if (st->sql && !strcmp(st->sql, sql) &&
            !memcmp(st->oid, a->oid, (size_t)a->n * sizeof *a->oid))
            return (int)slot;
        if (st->sql)
            continue;
        char name[16];
        (void)snprintf(name, sizeof name, "s%u", slot);
        PGresult *res = PQprepare(db->conn, name, sql, a->n, a->oid);
        if (PQresultStatus(res) != PGRES_COMMAND_OK) {
            int rc = db_fail(db, res, diag);
            PQclear(res);
            return rc;
        }
        PQclear(res);
        memcpy(st->oid, a->oid, (size_t)a->n * sizeof *a->oid);
        st->sql = strdup(sql);
        return st->sql ? (int)slot : -1;
    }
    return -1;
}

/* Arrays moved while they grew: point into their final place now. */
static int settle_params(struct db_params *p, struct diag *diag)
{
    if (p->failed)
        return diag_set(diag, CGW_ELIMIT, "",
                        "statement parameters exceed %d or their memory bound", DB_PARAMS_MAX);
    for (int i = 0; i < p->n; i++)
        if (p->array_at[i] != SIZE_MAX)
            p->value[i] = p->arrays.data + p->array_at[i];
    return 0;
}

static int run(struct db *db, const char *sql, struct db_params *p, PGresult **ret,
               struct diag *diag)
{
    static const struct db_params none;
    const struct db_params *a = p ? p : &none;
    int rc = p ? settle_params(p, diag) : 0;
    if (rc < 0)
        return rc;
    int slot = statement_slot(db, sql, a, diag);
    if (slot < -1)
        return slot;
    PGresult *res;
    if (slot >= 0) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", slot);
        res = PQexecPrepared(db->conn, name, a->n, a->value, a->len, a->format, 1);
    } else {
        res = PQexecParams(db->conn, sql, a->n, a->oid, a->value, a->len, a->format, 1);
    }
    ExecStatusType st = PQresultStatus(res);
    if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK) {
        rc = db_fail(db, res, diag);
        PQclear(res);
        return rc;
    }
    *ret = res;
    return 0;
}

static int wrap(PGresult *res, struct db_result **ret, struct diag *diag)
{
    struct db_result *r = malloc(sizeof *r);
    if (!r) {
        PQclear(res);
        return diag_set(diag, -ENOMEM, "", "out of memory");
    }
    r->res = res;
    *ret = r;
    return 0;
}

int db_query(struct db *db, const char *sql, struct db_params *p, struct db_result **ret,
             struct diag *diag)
{
    PGresult *res = NULL;
    int rc = run(db, sql, p, &res, diag);
    if (p)
        dbp_done(p);
    return rc < 0 ? rc : wrap(res, ret, diag);
}

/* ---- the same statement many times (libpq documentation, "Pipeline Mode")
 * ------------------------------------------------------------------------- */
static int send_each(struct db *db, int slot, const struct db_params *p, int n, struct diag *diag)
{
    char name[16];
    (void)snprintf(name, sizeof name, "s%d", slot);
    bool ok = PQenterPipelineMode(db->conn) == 1;
    for (int i = 0; ok && i < n; i++)
        ok = PQsendQueryPrepared(db->conn, name, p[i].n, p[i].value, p[i].len, p[i].format, 1) == 1;
    ok = ok && PQpipelineSync(db->conn) == 1;
    return ok ? 0 : db_fail(db, NULL, diag);
}

/* One answer and the NULL behind it. After the first failure, which was told, the others are
 * "aborted": no words, no state. */
static int take_answer(struct db *db, struct db_result **ret, struct diag *diag)
{
    PGresult *res = PQgetResult(db->conn);
    ExecStatusType st = PQresultStatus(res);
    int rc = CGW_EDB;
    if (st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK) {
        rc = wrap(res, ret, diag);
    } else if (st == PGRES_PIPELINE_ABORTED) {
        PQclear(res);
    } else {
        rc = db_fail(db, res, diag);
        PQclear(res);
    }
    if (res)
        PQclear(PQgetResult(db->conn));
    return rc;
}

static int run_each(struct db *db, int slot, const struct db_params *p, int n,
                    struct db_result **ret, struct diag *diag)
{
    int rc = send_each(db, slot, p, n, diag);
    for (int i = 0; i < n && rc != -ENOTCONN; i++) {
        int one = take_answer(db, &ret[i], rc == 0 ? diag : NULL);
        rc = rc == 0 || one == -ENOTCONN ? one : rc;
    }
    if (rc != -ENOTCONN)
        PQclear(PQgetResult(db->conn)); /* the sync */
    if (PQexitPipelineMode(db->conn) == 0 && rc != -ENOTCONN)
        rc = db_fail(db, NULL, diag);
    return rc;
}

int db_query_each(struct db *db, const char *sql, struct db_params *p, int n,
                  struct db_result **ret, struct diag *diag)
{
    int rc = 0, slot = -1;
    for (int i = 0; i < n; i++) {
        ret[i] = NULL;
        rc = rc < 0 ? rc : settle_params(&p[i], diag);
    }
    if (rc == 0 && n)
        slot = statement_slot(db, sql, &p[0], diag);
    if (slot < -1)
        rc = slot;
    else if (slot >= 0 && rc == 0)
        rc = run_each(db, slot, p, n, ret, diag);
    for (int i = 0; slot == -1 && rc == 0 && i < n; i++) /* no place for a prepared statement */
        rc = db_query(db, sql, &p[i], &ret[i], diag);
    for (int i = 0; i < n; i++) {
        dbp_done(&p[i]);
        if (rc < 0) {
            dbr_free(ret[i]);
            ret[i] = NULL;
        }
    }
    return rc;
}

int db_exec(struct db *db, const char *sql, struct db_params *p, int64_t *ret_rows,
            struct diag *diag)
{
    PGresult *res = NULL;
    int rc = run(db, sql, p, &res, diag);
    if (p)
        dbp_done(p);
    if (rc < 0)
        return rc;
    if (ret_rows)
        *ret_rows = strtoll(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    return 0;
}

int db_script(struct db *db, const char *sql, struct diag *diag)
{
    PGresult *res = PQexec(db->conn, sql);
    ExecStatusType st = PQresultStatus(res);
    int rc = st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK || st == PGRES_EMPTY_QUERY
                 ? 0
                 : db_fail(db, res, diag);
    PQclear(res);
    return rc;
}

int db_begin(struct db *db, struct diag *diag)
{
    db->sqlstate[0] = 0; /* whoever asks later asks about this transaction */
    int rc = db_script(db, "BEGIN", diag);
    db->in_tx = rc == 0;
    return rc;
}

int db_commit(struct db *db, struct diag *diag)
{
    PGresult *res = PQexec(db->conn, "COMMIT");
    int rc = 0;
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        rc = db_fail(db, res, diag);
    else if (strcmp(PQcmdStatus(res), "COMMIT") !=
             0) /* a failed transaction answers ROLLBACK without an error */
        rc = diag_set(diag, CGW_EDB, "25P02",
                      "transaction was rolled back because an earlier statement failed");
    PQclear(res);
    db->in_tx = false;
    return rc;
}

void db_rollback(struct db *db)
{
    if (!db->in_tx)
        return;
    PQclear(PQexec(db->conn, "ROLLBACK"));
    db->in_tx = false;
}
