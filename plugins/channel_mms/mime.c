/* SPDX-License-Identifier: Apache-2.0 */
/* mime.c - see mime.h. */
#include "mime.h"

#include "mime_guard.h"

#include <gmime/gmime.h>
#include <stdio.h>
#include <string.h>

void mms_mime_global(void)
{
    g_mime_init();
}

static void copy(char *out, size_t size, const char *s)
{
    (void)snprintf(out, size, "%s", s ? s : "");
}

/* A leaf that decodes is kept; beyond the bounds it is counted and left. */
static void take_leaf(struct mms_mime *m, GMimeObject *object)
{
    GMimeDataWrapper *content =
        GMIME_IS_PART(object) ? g_mime_part_get_content(GMIME_PART(object)) : NULL;
    if (!content)
        return;
    if (m->n == MMS_LEAVES_MAX) {
        m->skipped++;
        return;
    }
    struct mms_leaf *leaf = &m->leaves[m->n];
    GMimeContentType *type = g_mime_object_get_content_type(object);
    const char *location = g_mime_part_get_content_location(GMIME_PART(object));
    if (!location)
        location = g_mime_part_get_filename(GMIME_PART(object));
    if (!location && type)
        location = g_mime_content_type_get_parameter(type, "name");
    char *word = type ? g_mime_content_type_get_mime_type(type) : NULL;
    char *low = word ? g_ascii_strdown(word, -1) : NULL;
    copy(leaf->type, sizeof leaf->type, low ? low : "text/plain");
    g_free(low);
    g_free(word);
    copy(leaf->charset, sizeof leaf->charset,
         type ? g_mime_content_type_get_parameter(type, "charset") : NULL);
    copy(leaf->id, sizeof leaf->id, g_mime_object_get_content_id(object));
    copy(leaf->location, sizeof leaf->location, location);
    GMimeStream *out = g_mime_stream_mem_new();
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(out), FALSE); /* the bytes outlive it */
    (void)g_mime_data_wrapper_write_to_stream(content, out);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(out));
    g_object_unref(out);
    m->keep[m->n] = bytes;
    leaf->data = bytes->len ? (const char *)bytes->data : "";
    leaf->len = bytes->len;
    m->n++;
}

/* Depth first with a stack of our own: the peer chooses the nesting, not our C stack. */
static void walk(struct mms_mime *m, GMimeObject *top)
{
    struct {
        GMimeObject *object;
        int next;
    } stack[MMS_MIME_DEPTH_MAX];
    uint32_t depth = 0;
    stack[0].object = top;
    stack[0].next = 0;
    for (;;) {
        GMimeObject *object = stack[depth].object;
        bool is_multi = GMIME_IS_MULTIPART(object);
        if (!is_multi)
            take_leaf(m, object);
        if (is_multi && stack[depth].next < g_mime_multipart_get_count(GMIME_MULTIPART(object))) {
            GMimeObject *part =
                g_mime_multipart_get_part(GMIME_MULTIPART(object), stack[depth].next++);
            if (depth + 1 == MMS_MIME_DEPTH_MAX) {
                m->skipped++;
                continue;
            }
            stack[++depth].object = part;
            stack[depth].next = 0;
            continue;
        }
        if (depth == 0)
            return;
        depth--;
    }
}

static void bare(const char *s, char *out, size_t size)
{
    size_t n = s ? strlen(s) : 0;
    if (n > 2 && s[0] == '<' && s[n - 1] == '>') {
        s++;
        n -= 2;
    }
    (void)snprintf(out, size, "%.*s", (int)n, s ? s : "");
}

static bool is_xml(const char *type)
{
    return !strcmp(type, "text/xml") || !strcmp(type, "application/xml") ||
           !strcmp(type, "application/soap+xml");
}

/* RFC 2387: `start`, with or without its brackets; many centres leave it out or name nobody. */
static void choose_root(struct mms_mime *m, GMimeContentType *type)
{
    char start[128];
    bare(type ? g_mime_content_type_get_parameter(type, "start") : NULL, start, sizeof start);
    for (uint32_t i = 0; i < m->n && start[0]; i++)
        if (!strcmp(m->leaves[i].id, start)) {
            m->root = i;
            return;
        }
    for (uint32_t i = 0; i < m->n; i++)
        if (is_xml(m->leaves[i].type)) {
            m->root = i;
            return;
        }
}

struct mms_mime *mms_mime_read(const char *content_type, const char *body, size_t len)
{
    if (!mime_guard(body, len))
        return NULL;
    struct mms_mime *ret = g_new0(struct mms_mime, 1);
    GByteArray *all = g_byte_array_new();
    const char *type = content_type && *content_type ? content_type : "text/xml";
    static const char head[] = "Content-Type: ", gap[] = "\r\n\r\n";
    g_byte_array_append(all, (const guint8 *)head, sizeof head - 1);
    g_byte_array_append(all, (const guint8 *)type, (guint)strcspn(type, "\r\n"));
    g_byte_array_append(all, (const guint8 *)gap, sizeof gap - 1);
    g_byte_array_append(all, (const guint8 *)body, (guint)len);
    GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(all); /* owns the bytes */
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeObject *top = g_mime_parser_construct_part(parser, NULL);
    if (top) {
        walk(ret, top);
        choose_root(ret, g_mime_object_get_content_type(top));
        g_object_unref(top);
    }
    g_object_unref(parser);
    g_object_unref(stream);
    if (ret->n)
        return ret;
    g_free(ret);
    return NULL;
}

void mms_mime_done(struct mms_mime *m)
{
    for (uint32_t i = 0; m && i < m->n; i++)
        g_byte_array_unref(m->keep[i]);
    g_free(m);
}

void mms_mime_charset(const char *content_type, char *out, size_t size)
{
    out[0] = '\0';
    GMimeContentType *type = content_type ? g_mime_content_type_parse(NULL, content_type) : NULL;
    if (!type)
        return;
    copy(out, size, g_mime_content_type_get_parameter(type, "charset"));
    g_object_unref(type);
}

char *mms_mime_utf8(const char *text, size_t len, const char *charset, size_t *ret_len)
{
    const char *from = charset && *charset ? charset : "UTF-8";
    gsize n = 0;
    char *out = NULL;
    if (!g_ascii_strcasecmp(from, "gb2312") || !g_ascii_strcasecmp(from, "gbk"))
        from = "GB18030"; /* written by whoever declares the smaller one */
    else if (!g_ascii_strcasecmp(from, "euc-kr"))
        from = "CP949";
    if (g_ascii_strcasecmp(from, "utf-8") && g_ascii_strcasecmp(from, "us-ascii"))
        out = g_convert_with_fallback(text, (gssize)len, "UTF-8", from, "?", NULL, &n, NULL);
    if (!out) {
        out = g_utf8_make_valid(text, (gssize)len);
        n = strlen(out);
    }
    *ret_len = n;
    return out;
}

void mms_mime_free(char *text)
{
    g_free(text);
}
