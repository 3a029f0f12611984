/* SPDX-License-Identifier: Apache-2.0 */
/* document.c - a message as one JSON object (RFC 8259): whom to speak to, under which reference,
 * until when, and what to say. A script that is JSON stays JSON; anything else is a string. */
#include "document.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- is it JSON? ------------------------------------------------------------------------------
 */
struct reader {
    const char *at, *end;
};

static void blanks(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
        r->at++;
}

static int take(struct reader *r, char c)
{
    blanks(r);
    if (r->at == r->end || *r->at != c)
        return 0;
    r->at++;
    return 1;
}

static int word(struct reader *r, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, w, n) != 0)
        return 0;
    r->at += n;
    return 1;
}

static int hex4(struct reader *r)
{
    for (int i = 0; i < 4; i++, r->at++)
        if (r->at == r->end || !*r->at || !strchr("0123456789abcdefABCDEF", *r->at))
            return 0;
    return 1;
}

static int string(struct reader *r)
{
    if (!take(r, '"'))
        return 0;
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < 0x20)
            return 0;
        if (*r->at++ != '\\')
            continue;
        if (r->at == r->end || !*r->at || !strchr("\"\\/bfnrtu", *r->at))
            return 0;
        if (*r->at++ == 'u' && !hex4(r))
            return 0;
    }
    return take(r, '"');
}

static size_t digits(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static int number(struct reader *r)
{
    if (r->at < r->end && *r->at == '-')
        r->at++;
    const char *whole = r->at;
    size_t n = digits(r);
    if (n == 0 || (n > 1 && *whole == '0'))
        return 0;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!digits(r))
            return 0;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        return digits(r) > 0;
    }
    return 1;
}

static int value(struct reader *r, int depth);

static int members(struct reader *r, int depth, int object)
{
    char close = object ? '}' : ']';
    r->at++;
    if (take(r, close))
        return 1;
    do {
        if (object && (!string(r) || !take(r, ':')))
            return 0;
        if (!value(r, depth - 1))
            return 0;
    } while (take(r, ','));
    return take(r, close);
}

static int value(struct reader *r, int depth)
{
    blanks(r);
    if (r->at == r->end || depth == 0)
        return 0;
    switch (*r->at) {
    case '{':
        return members(r, depth, 1);
    case '[':
        return members(r, depth, 0);
    case '"':
        return string(r);
    case 't':
        return word(r, "true");
    case 'f':
        return word(r, "false");
    case 'n':
        return word(r, "null");
    default:
        return number(r);
    }
}

int document_is_json(const char *s, size_t len)
{
    struct reader r = {s, s + len};
    if (!value(&r, DOCUMENT_DEPTH))
        return 0;
    blanks(&r);
    return r.at == r.end;
}

/* ---- writing ----------------------------------------------------------------------------------
 */
struct writer {
    char *out; /* NULL: count only */
    size_t n;
};

static void put(struct writer *w, const char *s, size_t len)
{
    if (w->out && w->n + len <= CGW_DOCUMENT_MAX && len)
        memcpy(w->out + w->n, s, len);
    w->n += len;
}

static void puts_(struct writer *w, const char *s)
{
    put(w, s, strlen(s));
}

static void put_string(struct writer *w, const char *s, size_t len)
{
    puts_(w, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        char esc[8];
        if (c == '"' || c == '\\') {
            esc[0] = '\\';
            esc[1] = (char)c;
            put(w, esc, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(w, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c));
        } else {
            put(w, (const char *)&s[i], 1);
        }
    }
    puts_(w, "\"");
}

static void put_address(struct writer *w, const struct cgw_address *a)
{
    static const char *const kinds[] = {
        [CGW_ADDR_E164] = "e164",   [CGW_ADDR_EMAIL] = "email",
        [CGW_ADDR_SIP] = "sip",     [CGW_ADDR_SHORTCODE] = "shortcode",
        [CGW_ADDR_ALPHA] = "alpha", [CGW_ADDR_EXTERNAL] = "external"};
    const char *kind =
        a->kind && a->kind < sizeof kinds / sizeof kinds[0] ? kinds[a->kind] : "other";
    puts_(w, "{\"kind\":");
    put_string(w, kind, strlen(kind));
    puts_(w, ",\"address\":");
    put_string(w, a->text, a->len);
    puts_(w, "}");
}

static void put_time(struct writer *w, int64_t utc_ms)
{
    char text[40] = "";
    struct tm tm;
    time_t s = (time_t)(utc_ms / 1000);
    if (gmtime_r(&s, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        put_string(w, text, strlen(text));
    else
        puts_(w, "null");
}

static void put_parts(struct writer *w, const struct cgw_message *m, uint32_t role,
                      const char *name)
{
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct cgw_part *p = &m->parts[i];
        if (p->role != role || !p->body)
            continue;
        puts_(w, ",\"");
        puts_(w, name);
        puts_(w, "\":");
        if (role == CGW_ROLE_FLOW && document_is_json(p->body, p->len))
            put(w, p->body, p->len);
        else
            put_string(w, p->body, p->len);
        return; /* a member stands once in an object */
    }
}

size_t document_make(const struct cgw_message *m, const char *reference, char *out)
{
    struct writer w = {out, 0};
    puts_(&w, "{\"reference\":");
    put_string(&w, reference, strlen(reference));
    puts_(&w, ",\"to\":");
    put_address(&w, &m->to);
    if (m->from.kind) {
        puts_(&w, ",\"from\":");
        put_address(&w, &m->from);
    }
    if (m->service_code && m->service_code[0]) {
        puts_(&w, ",\"service_code\":");
        put_string(&w, m->service_code, strlen(m->service_code));
    }
    puts_(&w, ",\"not_after\":");
    put_time(&w, m->not_after_utc_ms);
    put_parts(&w, m, CGW_ROLE_SUBJECT, "subject");
    put_parts(&w, m, CGW_ROLE_TEXT, "script");
    put_parts(&w, m, CGW_ROLE_FLOW, "flow");
    puts_(&w, "}");
    return w.n;
}
