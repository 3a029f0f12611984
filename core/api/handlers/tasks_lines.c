/* SPDX-License-Identifier: Apache-2.0 */
/* tasks_lines.c - leased tasks as NDJSON or CSV (RFC 4180), and rows of a CSV that comes back. The
 * document is the channel's; CSV takes the members that a list for people has columns for. */
#include "api/handlers/tasks.h"

#include "store/store_ids.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "task,instance,campaign,wave,class,lease_until,until,to,reference,subject,script,flow,"        \
    "history,"                                                                                     \
    "outcome,seconds,note\r\n"

void tasks_json_row(struct buf *out, const struct task_given *t)
{
    char tsk[STORE_ID_TEXT_MAX], con[STORE_ID_TEXT_MAX], lease[25], until[25];
    store_id_encode("tsk", t->task_key, tsk, sizeof tsk);
    store_id_encode("con", t->contact_id, con, sizeof con);
    api_time_format(t->lease_until_ms, lease);
    api_time_format(t->until_ms, until);
    buf_printf(out,
               "{\"id\":\"%s\",\"contact\":\"%s\",\"instance\":\"%s\",\"campaign\":\"%s\",\"wave\":"
               "%d,\"class\":\"%s\",\"leases\":%d,\"lease_until\":\"%s\",\"until\":\"%s\","
               "\"document\":%s,\"history\":%s}\n",
               tsk, con, t->instance, t->campaign, t->wave_no, t->contact_class, t->leases, lease,
               until, t->document, t->history);
}

void tasks_csv_head(struct buf *out)
{
    buf_puts(out, COLUMNS);
}

static void cell(struct buf *out, const char *s, size_t len)
{
    buf_putc(out, ',');
    if (!memchr(s, ',', len) && !memchr(s, '"', len) && !memchr(s, '\n', len) &&
        !memchr(s, '\r', len)) {
        buf_put(out, s, len);
        return;
    }
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"')
            buf_putc(out, '"');
        buf_putc(out, s[i]);
    }
    buf_putc(out, '"');
}

/* A string as it is, any other value as JSON, nothing for what is absent. */
static void member(struct buf *out, const json_t *v)
{
    if (json_is_string(v)) {
        cell(out, json_string_value(v), json_string_length(v));
        return;
    }
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    cell(out, text ? text : "", text ? strlen(text) : 0);
    free(text);
}

/* Ends with empty cells for what the agents write: the same file comes back. */
void tasks_csv_row(struct buf *out, const struct task_given *t)
{
    char tsk[STORE_ID_TEXT_MAX], lease[25], until[25];
    json_t *doc = json_loads(t->document, 0, NULL);
    store_id_encode("tsk", t->task_key, tsk, sizeof tsk);
    api_time_format(t->lease_until_ms, lease);
    api_time_format(t->until_ms, until);
    buf_printf(out, "%s,%s,%s,%d,%s,%s,%s", tsk, t->instance, t->campaign, t->wave_no,
               t->contact_class, lease, until);
    member(out, json_object_get(json_object_get(doc, "to"), "address"));
    member(out, json_object_get(doc, "reference"));
    member(out, json_object_get(doc, "subject"));
    member(out, json_object_get(doc, "script"));
    member(out, json_object_get(doc, "flow"));
    cell(out, t->history, strlen(t->history));
    buf_puts(out, ",,,\r\n");
    json_decref(doc);
}

/* ---- back --------------------------------------------------------------------------------------
 */
/* One cell of text[*at, len), unquoted in place. *ret_end: the byte that ended it, 0 at the end of
 * the text. \return NULL when a quote is not closed. */
static char *next_cell(char *text, size_t len, size_t *at, char *ret_end, long *io_line)
{
    size_t i = *at, to = i;
    char *from = text + i;
    if (i < len && text[i] == '"') {
        for (i++; i < len; i++) {
            if (text[i] == '"' && (i + 1 == len || text[i + 1] != '"'))
                break;
            i += text[i] == '"';
            *io_line += text[i] == '\n';
            text[to++] = text[i];
        }
        if (i == len)
            return NULL;
        i++;
    }
    for (; i < len && text[i] != ',' && text[i] != '\n'; i++)
        if (text[i] != '\r')
            text[to++] = text[i];
    *ret_end = i < len ? text[i] : 0;
    *at = i < len ? i + 1 : len;
    text[to] = 0;
    return from;
}

int tasks_csv_cells(char *text, size_t len, size_t *at, char **cells, int max, long *io_line)
{
    int n = 0;
    char end = ',';
    if (*at >= len)
        return 0;
    ++*io_line;
    while (end == ',') { /* behind a last comma stands one more, empty cell */
        char *c = next_cell(text, len, at, &end, io_line);
        if (!c)
            return -1;
        if (n < max)
            cells[n++] = c;
    }
    return n;
}
