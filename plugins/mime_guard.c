/* SPDX-License-Identifier: Apache-2.0 */
/* mime_guard.c - what is refused before GMime sees it, in one pass over the lines. GMime 3.2 enters
 * itself for each nested multipart, message and address group ("a:b:c:…"), without a limit: a mail
 * of 200 KB would end the process. What it does in a loop is bounded here in time. */
#include "mime_guard.h"

#include <string.h>
#include <strings.h>

struct field { /* the one that the line belongs to */
    size_t bytes, colons;
    bool is_address;
};

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Length of the name when the line begins a header field, else 0. */
static size_t field_name(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && n < 77 && name_char(p[n]))
        n++;
    const char *q = p + n;
    while (q < end && (*q == ' ' || *q == '\t'))
        q++;
    return n && q < end && *q == ':' ? n : 0;
}

/* The fields whose value GMime reads as addresses; Resent- and others are caught by their end. */
static bool is_address(const char *name, size_t n)
{
    static const char *const ends[] = {"from", "to", "cc", "bcc", "sender"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t len = strlen(ends[i]);
        if (n >= len && !strncasecmp(name + n - len, ends[i], len))
            return true;
    }
    return false;
}

static size_t colons(const char *p, const char *end)
{
    size_t n = 0;
    for (; p < end && (p = memchr(p, ':', (size_t)(end - p))); p++)
        n++;
    return n;
}

bool mime_guard(const char *s, size_t len)
{
    const char *end = s + len;
    size_t n_fields = 0, n_types = 0, n_marks = 0;
    struct field f = {0};
    for (const char *p = s, *eol; p < end; p = eol) {
        eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol + 1 : end;
        if (*p != ' ' && *p != '\t') {
            size_t n = field_name(p, eol);
            f = (struct field){.is_address = n && is_address(p, n)};
            n_fields += n > 0;
            n_types += n == 12 && !strncasecmp(p, "content-type", 12);
            n_marks += eol - p > 2 && p[0] == '-' && p[1] == '-';
        }
        f.bytes += (size_t)(eol - p);
        f.colons += f.is_address ? colons(p, eol) : 0;
        if (n_types > MIME_NESTING_MAX || n_fields > MIME_FIELDS_MAX || n_marks > MIME_MARKS_MAX ||
            f.colons > MIME_COLONS_MAX || (f.is_address && f.bytes > MIME_FIELD_BYTES))
            return false;
    }
    return true;
}
