/* SPDX-License-Identifier: Apache-2.0 */
/* mime.c - see mime.h. Bodies are written by GMime's encoders, not by its object tree: that is
 * several times faster, and the tree's shape is simple. */
#include "mime.h"

#include "mime_guard.h"

#include "cgw/types.h"

#include <gmime/gmime.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#define FIELDS_MAX 200u
#define LINE_MAX_BYTES 998u

static GMimeFormatOptions *format;
static GMimeParserOptions *reading;

static void init_once(void)
{
    g_mime_init();
    format = g_mime_format_options_new();
    g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
    reading = g_mime_parser_options_new();
}

void mime_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_once);
}

/* ---- outwards ---- */

const char *mime_encoding_name(enum mime_encoding e)
{
    static const char *const names[] = {"7bit", "quoted-printable", "base64"};
    return names[e];
}

enum mime_encoding mime_encoding_for(const char *text, size_t len)
{
    size_t high = 0, line = 0, longest = 0;
    bool odd = false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        high += c >= 0x80;
        odd = odd || c == 0 || (c == '\r' && (i + 1 == len || text[i + 1] != '\n'));
        line = c == '\n' ? 0 : line + 1;
        if (line > longest)
            longest = line;
    }
    if (!high && !odd && longest <= LINE_MAX_BYTES - 1)
        return MIME_7BIT;
    return high > len / 6 || odd ? MIME_BASE64 : MIME_QUOTED;
}

/* Line ends of any kind become CRLF. */
static void put_lines(struct text *t, const char *s, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '\n')
            continue;
        text_put(t, s + from, i - from - (i > from && s[i - 1] == '\r'));
        text_put(t, "\r\n", 2);
        from = i + 1;
    }
    text_put(t, s + from, len - from);
}

static void put_encoded(struct text *t, GMimeContentEncoding how, const char *s, size_t len)
{
    GMimeEncoding st;
    g_mime_encoding_init_encode(&st, how);
    size_t room = g_mime_encoding_outlen(&st, len) + 16;
    char *out = room < t->max ? malloc(room) : NULL;
    if (!out) {
        t->failed = true;
        return;
    }
    put_lines(t, out, g_mime_encoding_flush(&st, s, len, out));
    free(out);
}

/* Quoted-printable keeps line ends as they are, so they must be bare LF before (RFC 2045 6.7). */
static void put_quoted(struct text *t, const char *s, size_t len)
{
    char *lf = malloc(len + 1);
    size_t n = 0;
    if (!lf) {
        t->failed = true;
        return;
    }
    for (size_t i = 0; i < len; i++)
        if (s[i] != '\r')
            lf[n++] = s[i];
    put_encoded(t, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE, lf, n);
    free(lf);
}

void mime_put_base64(struct text *t, const char *bytes, size_t len)
{
    put_encoded(t, GMIME_CONTENT_ENCODING_BASE64, bytes, len);
}

/* Text is encoded with CRLF as its line end (RFC 2045 6.8). */
static void put_base64_text(struct text *t, const char *s, size_t len)
{
    struct text crlf = {.max = t->max};
    put_lines(&crlf, s, len);
    if (crlf.failed)
        t->failed = true;
    else
        mime_put_base64(t, crlf.v ? crlf.v : "", crlf.n);
    text_done(&crlf);
}

void mime_put_body(struct text *t, enum mime_encoding e, const char *body, size_t len)
{
    if (e == MIME_7BIT)
        put_lines(t, body, len);
    else if (e == MIME_QUOTED)
        put_quoted(t, body, len);
    else
        put_base64_text(t, body, len);
    if (!t->failed && t->n && t->v[t->n - 1] != '\n')
        text_put(t, "\r\n", 2);
}

static bool plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
            return false;
    return true;
}

void mime_put_header(struct text *t, const char *name, const char *value)
{
    if (strlen(name) + strlen(value) + 2 < LINE_MAX_BYTES && plain(value)) {
        text_puts(t, name); /* as it is: folding in the wrong place harms structured fields */
        text_puts(t, ": ");
        text_puts(t, value);
        text_puts(t, "\r\n");
        return;
    }
    char *encoded = g_mime_utils_header_encode_text(format, value, "utf-8");
    char *line = g_strconcat(name, ": ", encoded, NULL);
    char *folded = g_mime_utils_unstructured_header_fold(reading, format, line);
    size_t len = strlen(folded);
    while (len && (folded[len - 1] == '\n' || folded[len - 1] == '\r'))
        len--;
    put_lines(t, folded, len);
    text_put(t, "\r\n", 2);
    g_free(folded);
    g_free(line);
    g_free(encoded);
}

void mime_put_mailbox(struct text *t, const char *name, const char *display, const char *addr)
{
    text_puts(t, name);
    text_puts(t, ": ");
    if (display && *display) {
        char *phrase = g_mime_utils_header_encode_phrase(format, display, "utf-8");
        text_puts(t, phrase);
        text_puts(t, strlen(phrase) + strlen(name) + strlen(addr) > 70 ? "\r\n <" : " <");
        text_puts(t, addr);
        text_puts(t, ">\r\n");
        g_free(phrase);
        return;
    }
    text_puts(t, addr);
    text_puts(t, "\r\n");
}

/* ---- inwards ---- */

static void type_of(GMimeObject *o, char *out, size_t size)
{
    GMimeContentType *type = g_mime_object_get_content_type(o);
    (void)snprintf(out, size, "%s/%s", g_mime_content_type_get_media_type(type),
                   g_mime_content_type_get_media_subtype(type));
    for (; *out; out++)
        *out = *out >= 'A' && *out <= 'Z' ? (char)(*out + 32) : *out;
}

/* GMime converts other alphabets; what says nothing, or UTF-8, it would cut at the first wrong
 * byte. */
static bool foreign_charset(GMimeTextPart *part)
{
    const char *name = g_mime_text_part_get_charset(part);
    return name && strcasecmp(name, "utf-8") != 0 && strcasecmp(name, "us-ascii") != 0;
}

/* At most MIME_PART_BYTES of what is encoded; text becomes UTF-8. */
static char *content_of(GMimePart *part, size_t *ret_len)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    GMimeStream *from = content ? g_mime_data_wrapper_get_stream(content) : NULL;
    *ret_len = 0;
    if (!from)
        return NULL;
    gint64 len = g_mime_stream_length(from);
    if (GMIME_IS_TEXT_PART(part) && len <= (gint64)MIME_PART_BYTES &&
        foreign_charset(GMIME_TEXT_PART(part))) {
        char *text = g_mime_text_part_get_text(GMIME_TEXT_PART(part));
        if (text && g_utf8_validate(text, -1, NULL)) {
            *ret_len = strlen(text);
            return text;
        }
        g_free(text);
    }
    gint64 end = from->bound_start + (len > (gint64)MIME_PART_BYTES ? MIME_PART_BYTES : len);
    GMimeStream *some = g_mime_stream_substream(from, from->bound_start, end), *out;
    GMimeDataWrapper *w =
        g_mime_data_wrapper_new_with_stream(some, g_mime_data_wrapper_get_encoding(content));
    out = g_mime_stream_mem_new();
    (void)g_mime_data_wrapper_write_to_stream(w, out);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(out));
    char *text = bytes->data ? g_utf8_make_valid((const char *)bytes->data, bytes->len) : NULL;
    *ret_len = text ? strlen(text) : 0;
    g_object_unref(out);
    g_object_unref(w);
    g_object_unref(some);
    return text;
}

static void keep(struct mime_mail *m, GMimeObject *o)
{
    if (m->n_parts == MIME_PARTS_MAX) {
        m->cut = true;
        return;
    }
    struct mime_part *p = &m->parts[m->n_parts];
    char *body = NULL;
    type_of(o, p->type, sizeof p->type);
    if (GMIME_IS_MESSAGE_PART(o)) {
        GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
        body = inner ? g_mime_object_get_headers(GMIME_OBJECT(inner), format) : NULL;
        p->len = body ? strlen(body) : 0;
    } else if (GMIME_IS_PART(o)) {
        body = content_of(GMIME_PART(o), &p->len);
    }
    p->body = body ? body : "";
    m->owned[m->n_parts++] = body;
}

/* Depth first without recursion, in the order of the mail. */
static void walk(struct mime_mail *m, GMimeObject *top)
{
    struct {
        GMimeMultipart *of;
        int next;
    } path[MIME_DEPTH_MAX];
    unsigned depth = 0;
    GMimeObject *o = top;
    for (;;) {
        if (o && GMIME_IS_MULTIPART(o) && depth < MIME_DEPTH_MAX) {
            path[depth].of = GMIME_MULTIPART(o);
            path[depth++].next = 0;
        } else if (o && GMIME_IS_MULTIPART(o)) {
            m->cut = true;
        } else if (o) {
            keep(m, o);
        }
        while (depth && path[depth - 1].next >= g_mime_multipart_get_count(path[depth - 1].of))
            depth--;
        if (!depth || m->n_parts == MIME_PARTS_MAX)
            break;
        o = g_mime_multipart_get_part(path[depth - 1].of, path[depth - 1].next++);
    }
    m->cut = m->cut || depth;
}

int mime_read(const char *bytes, size_t len, struct mime_mail *ret)
{
    *ret = (struct mime_mail){0};
    if (!mime_guard(bytes, len))
        return CGW_ELIMIT;
    mime_init();
    GMimeStream *in = g_mime_stream_mem_new_with_buffer(bytes, len);
    GMimeParser *parser = g_mime_parser_new_with_stream(in);
    GMimeMessage *msg = g_mime_parser_construct_message(parser, reading);
    g_object_unref(parser);
    g_object_unref(in);
    GMimeObject *top = msg ? g_mime_message_get_mime_part(msg) : NULL;
    if (!top) {
        if (msg)
            g_object_unref(msg);
        return CGW_EINVAL;
    }
    ret->message = msg;
    type_of(top, ret->type, sizeof ret->type);
    const char *report = g_mime_object_get_content_type_parameter(top, "report-type");
    for (size_t i = 0; report && report[i] && i + 1 < sizeof ret->report_type; i++)
        ret->report_type[i] =
            report[i] >= 'A' && report[i] <= 'Z' ? (char)(report[i] + 32) : report[i];
    walk(ret, top);
    return 0;
}

void mime_done(struct mime_mail *m)
{
    for (unsigned i = 0; i < m->n_parts; i++)
        g_free(m->owned[i]);
    if (m->message)
        g_object_unref(m->message);
    *m = (struct mime_mail){0};
}

const char *mime_field(const struct mime_mail *m, const char *name)
{
    return g_mime_object_get_header(GMIME_OBJECT(m->message), name);
}

bool mime_field_at(const struct mime_mail *m, unsigned i, const char **ret_name,
                   const char **ret_value)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(GMIME_OBJECT(m->message));
    if (i >= FIELDS_MAX || (int)i >= g_mime_header_list_get_count(list))
        return false;
    GMimeHeader *h = g_mime_header_list_get_header_at(list, (int)i);
    *ret_name = g_mime_header_get_name(h);
    *ret_value = g_mime_header_get_value(h);
    return *ret_name && *ret_value;
}

void mime_mailbox(const struct mime_mail *m, const char *name, char *out, size_t size)
{
    const char *value = mime_field(m, name);
    InternetAddressList *list =
        value && strlen(value) < 1024 ? internet_address_list_parse(reading, value) : NULL;
    InternetAddress *first = list && internet_address_list_length(list) > 0
                                 ? internet_address_list_get_address(list, 0)
                                 : NULL;
    const char *addr = first && INTERNET_ADDRESS_IS_MAILBOX(first)
                           ? internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(first))
                           : NULL;
    (void)snprintf(out, size, "%s", addr && strlen(addr) < size ? addr : "");
    if (list)
        g_object_unref(list);
}
