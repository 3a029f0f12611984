/* SPDX-License-Identifier: Apache-2.0 */
/* store_responses.c - see store_responses.h. A campaign's responses are found by their attribution:
 * the contacts of a wave are a range of numbers. */
#include "store/store_responses.h"
#include "store/store_ids.h"
#include "store/store_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers are stored: CGW_IN_* and enum optout_kind. */
/* clang-format off */
#define SQL_KIND(x) \
    "coalesce((ARRAY['text','keys','optout','complaint','bounce','click','task'])[" x "], 'other')"
#define SQL_MEANING(x) \
    "(ARRAY['none','stop','stop_all','unclear','start','help'])[" x " + 1]"
/* One attribution of each response: the surest, which has the highest number. */
#define SUREST \
    "NOT EXISTS (SELECT FROM attribution b WHERE b.part = a.part AND b.response_id =" \
    " a.response_id AND b.rule > a.rule)"
#define COLUMNS \
    "r.response_id << 6 | r.part, r.customer_id, a.contact_id, w.wave_no, " SQL_TIME("r.ts") ", " \
    SQL_CHANNEL("r.channel") ", " SQL_KIND("r.kind") ", " SQL_MEANING("r.meaning") ", t.body," \
    " (SELECT coalesce(json_agg(json_build_object('media', m.public_id, 'type', m.mime, 'bytes'," \
    " m.bytes, 'name', nullif(x.name, '')) ORDER BY x.media_no), '[]')::text FROM response_media x" \
    " JOIN media m USING (media_id) WHERE x.part = r.part AND x.response_id = r.response_id)"
#define FROM_RESPONSE \
    " FROM response r JOIN attribution a USING (part, response_id) JOIN wave w ON w.wave_id =" \
    " (a.contact_id >> 32)::int4 JOIN campaign c USING (campaign_id) LEFT JOIN response_text t ON" \
    " t.part = r.part AND t.text_id = r.text_ref WHERE " SUREST " AND "
#define MINE(n) "NOT c.system AND ($" n " = 0 OR c.partner_id = $" n ")"
#define OF_WAVES \
    "a.contact_id >= w.wave_id::int8 << 32 AND a.contact_id < (w.wave_id::int8 + 1) << 32"
/* clang-format on */

static int find_campaign(struct db *db, struct store_scope scope, const char *campaign,
                         int32_t *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, campaign);
    dbp_int4(&p, scope.partner_id);
    int rc =
        db_query(db, "SELECT c.campaign_id FROM campaign c WHERE c.public_id = $1 AND " MINE("2"),
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    if (!dbr_rows(r))
        return diag_set(diag, CGW_ENOTFOUND, "", "no campaign %.39s", campaign);
    *ret = (int32_t)dbr_int(r, 0, 0);
    return 0;
}

static void put_text(struct buf *out, const char *name, const struct db_result *r, int row, int col)
{
    buf_printf(out, ",\"%s\":", name);
    if (dbr_null(r, row, col))
        buf_puts(out, "null");
    else
        buf_put_json(out, dbr_text(r, row, col), (size_t)dbr_len(r, row, col));
}

static void put_response(struct buf *out, const struct db_result *r, int row)
{
    static const char *const prefixes[] = {"rsp", "cus", "con"};
    static const char *const names[] = {"id", "customer", "contact"};
    static const char *const texts[] = {"at", "channel", "kind", "meaning", "text"};
    char id[STORE_ID_TEXT_MAX];
    for (int i = 0; i < 3; i++) {
        store_id_encode(prefixes[i], dbr_int(r, row, i), id, sizeof id);
        buf_printf(out, "%s\"%s\":\"%s\"", i ? "," : "{", names[i], id);
    }
    buf_printf(out, ",\"wave\":%d", (int)dbr_int(r, row, 3));
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        put_text(out, texts[i], r, row, 4 + i);
    buf_printf(out, ",\"media\":%s}", dbr_text(r, row, 9));
}

int store_responses_list(struct db *db, struct store_scope scope, const char *campaign, int wave,
                         const char *cursor, int limit, struct buf *ret, bool *ret_more,
                         char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    int32_t id = 0;
    int rc = find_campaign(db, scope, campaign, &id, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_int4(&p, wave);
    dbp_int8(&p, cursor[0] ? strtoll(cursor, NULL, 10) : INT64_MAX);
    dbp_int4(&p, limit + 1);
    rc = db_query(db,
                  "SELECT " COLUMNS ", r.response_id FROM wave w JOIN attribution a ON " OF_WAVES
                  " JOIN response r ON r.part = a.part AND r.response_id = a.response_id LEFT JOIN "
                  "response_text t ON t.part = r.part AND t.text_id = r.text_ref"
                  " WHERE w.campaign_id = $1 AND ($2 = 0 OR w.wave_no = $2) AND r.response_id < $3 "
                  "AND " SUREST " ORDER BY r.response_id DESC LIMIT $4::int4",
                  &p, &r, diag);
    if (rc < 0)
        return rc;
    int n = dbr_rows(r) < limit ? dbr_rows(r) : limit;
    for (int i = 0; i < n; i++) {
        if (i)
            buf_putc(ret, ',');
        put_response(ret, r, i);
    }
    *ret_more = dbr_rows(r) > limit;
    (void)snprintf(ret_cursor, cursor_size, "%" PRId64, n ? dbr_int(r, n - 1, 10) : 0);
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "answer exceeds %zu bytes", ret->max) : 0;
}

int store_responses_json(struct db *db, struct store_scope scope, int64_t id, struct buf *ret,
                         struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)(id & (STORE_PARTS - 1)));
    dbp_int8(&p, id >> 6);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(
        db, "SELECT " COLUMNS FROM_RESPONSE "r.part = $1 AND r.response_id = $2 AND " MINE("3"), &p,
        &r, diag);
    if (rc < 0)
        return rc;
    if (!dbr_rows(r))
        return diag_set(diag, CGW_ENOTFOUND, "", "no such response, or it answers no campaign");
    put_response(ret, r, 0);
    return 0;
}

int store_responses_answers(struct db *db, struct store_scope scope, const char *campaign,
                            struct buf *ret, struct diag *diag)
{
    struct db_params p;
    int32_t id = 0;
    int rc = find_campaign(db, scope, campaign, &id, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_text(&p, campaign);
    dbp_int4(&p, STORE_ANSWER_CHARS_MAX);
    dbp_int4(&p, STORE_ANSWERS_MAX);
    return store_json_one(
        db,
        "WITH said AS (SELECT w.wave_no, w.channel, r.kind, CASE WHEN length(btrim(t.body)) <= $3 "
        "THEN nullif(lower(btrim(t.body)), '') END AS answer, count(*) AS n"
        " FROM wave w JOIN attribution a ON " OF_WAVES
        " JOIN response r ON r.part = a.part AND r.response_id = a.response_id LEFT JOIN "
        "response_text t ON t.part = r.part AND t.text_id = r.text_ref"
        " WHERE w.campaign_id = $1 AND " SUREST " GROUP BY 1, 2, 3, 4),"
        " most AS (SELECT * FROM said ORDER BY n DESC, answer, wave_no, kind LIMIT $4::int4)"
        "SELECT json_build_object('campaign', $2::text, 'responses', (SELECT coalesce(sum(n), "
        "0)::int8 FROM said), 'answers', (SELECT coalesce(json_agg(json_build_object('answer', "
        "answer, 'kind', " SQL_KIND("kind") ", 'wave', wave_no, 'channel', " SQL_CHANNEL(
            "channel") ", 'n', n) ORDER BY n DESC, answer, wave_no, kind), '[]') FROM most),"
                       " 'other', (SELECT coalesce(sum(n), 0)::int8 FROM said) - (SELECT "
                       "coalesce(sum(n), 0)::int8 FROM most))::text",
        &p, ret, diag);
}
