/* SPDX-License-Identifier: Apache-2.0 */
/* ics_text.c - bytes of an iCalendar stream → unfolded content lines with their line numbers.
 * Must not know what a property means. Source: RFC 5545 3.1 (folding, content lines), 3.2
 * (parameters). */
#include "policy/ics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void ics_lines_done(struct ics_lines *l)
{
    free(l->text);
    free(l->v);
    *l = (struct ics_lines){0};
}

static int line_error(struct diag *diag, int code, uint32_t number, const char *what)
{
    char where[24];
    (void)snprintf(where, sizeof where, "line %u", number);
    return diag_set(diag, code, where, "%s", what);
}

/* Next physical line in [*pos, len): its length without the line end; moves *pos behind it. */
static size_t physical_line(const char *s, size_t len, size_t *pos)
{
    const char *nl = memchr(s + *pos, '\n', len - *pos);
    size_t end = nl ? (size_t)(nl - s) : len, n = end - *pos;
    if (n > 0 && s[end - 1] == '\r')
        n--;
    *pos = nl ? end + 1 : len;
    return n;
}

/* Cut "NAME;PARAMS:VALUE" (NUL-terminated, writable). A colon inside quotes belongs to a parameter.
 */
static bool split_line(char *s, struct ics_line *ret)
{
    char *p = s;
    while (*p != '\0' && *p != ';' && *p != ':')
        p++;
    if (p == s || *p == '\0')
        return false;
    char *params = p;
    bool quoted = false;
    while (*p != '\0' && (quoted || *p != ':'))
        quoted = *p++ == '"' ? !quoted : quoted;
    if (*p == '\0')
        return false;
    ret->params = params == p ? p : params + 1; /* both end at the colon */
    *params = '\0';
    *p = '\0';
    ret->name = s;
    ret->value = p + 1;
    return true;
}

static int push_line(struct ics_lines *l, uint32_t *cap, char *s, uint32_t number,
                     struct diag *diag)
{
    if (*s == '\0')
        return 0;
    if (l->n == *cap) {
        uint32_t more = *cap ? *cap * 2 : 256;
        struct ics_line *v = realloc(l->v, more * sizeof *v);
        if (!v)
            return diag_set(diag, -ENOMEM, "", "out of memory");
        l->v = v;
        *cap = more;
    }
    struct ics_line *line = &l->v[l->n];
    line->number = number;
    if (!split_line(s, line))
        return line_error(diag, CGW_EINVAL, number, "not a line of the form NAME:VALUE");
    l->n++;
    return 0;
}

static int check_bytes(const char *ics, size_t len, struct diag *diag)
{
    if (len > CALENDAR_ICS_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "calendar has %zu bytes; at most %u are taken", len,
                        CALENDAR_ICS_MAX);
    const char *nul = len ? memchr(ics, '\0', len) : NULL;
    uint32_t number = 1;
    for (const char *p = ics; nul && p < nul; p++)
        number += *p == '\n';
    return nul ? line_error(diag, CGW_EINVAL, number, "NUL byte; an iCalendar file is text") : 0;
}

/* Unfolding never grows the text, so it is done in one copy: lines are written behind the place
 * that is read. */
static int unfold(const char *ics, size_t len, struct ics_lines *l, struct diag *diag)
{
    size_t pos = len >= 3 && memcmp(ics, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, out = 0;
    uint32_t number = 0, cap = 0;
    while (pos < len) {
        size_t start = out;
        uint32_t first = ++number;
        for (;;) {
            size_t at = pos, n = physical_line(ics, len, &pos);
            memcpy(l->text + out, ics + at, n);
            out += n;
            if (pos >= len || (ics[pos] != ' ' && ics[pos] != '\t'))
                break;
            pos++; /* a line that starts with a blank continues this one */
            number++;
        }
        l->text[out++] = '\0';
        int rc = push_line(l, &cap, l->text + start, first, diag);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int ics_lines_read(const char *ics, size_t len, struct ics_lines *ret, struct diag *diag)
{
    struct ics_lines l = {0};
    int rc = check_bytes(ics, len, diag);
    if (rc != 0)
        return rc;
    l.text = malloc(len + 2); /* a last line without line end still gets its NUL */
    if (!l.text)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    rc = unfold(ics, len, &l, diag);
    if (rc != 0) {
        ics_lines_done(&l);
        return rc;
    }
    *ret = l;
    return 0;
}

bool ics_param(const char *params, const char *name, char *ret, size_t size)
{
    size_t name_len = strlen(name);
    const char *p = params;
    while (*p != '\0') {
        const char *end = p;
        bool quoted = false;
        while (*end != '\0' && (quoted || *end != ';'))
            quoted = *end++ == '"' ? !quoted : quoted;
        if ((size_t)(end - p) > name_len && p[name_len] == '=' &&
            strncasecmp(p, name, name_len) == 0) {
            const char *v = p + name_len + 1;
            size_t n = (size_t)(end - v);
            if (n >= 2 && v[0] == '"' && v[n - 1] == '"') {
                v++;
                n -= 2;
            }
            (void)snprintf(ret, size, "%.*s", n < size ? (int)n : (int)size - 1, v);
            return true;
        }
        p = *end == ';' ? end + 1 : end;
    }
    return false;
}

bool ics_list_has(const char *list, const char *word)
{
    size_t word_len = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        while (*p == ' ')
            p++;
        if (strncasecmp(p, word, word_len) == 0 &&
            (p[word_len] == ',' || p[word_len] == '\0' || p[word_len] == ' '))
            return true;
    }
    return false;
}
