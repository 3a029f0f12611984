/* SPDX-License-Identifier: Apache-2.0 */
/* compose.c - see compose.h. */
#include "compose.h"

#include "mime.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

struct parts {
    const struct cgw_part *subject, *text, *html;
    uint32_t n_inline, n_attached;
    bool is_inline[CGW_PARTS_MAX];
};

struct writer {
    const struct compose_conf *c;
    const struct cgw_message *m;
    struct blob *const *blobs;
    const char *id;
    char link[COMPOSE_LINK_MAX];
    struct compose_mail *mail;
    struct text *t;
    size_t piece_from;
};

/* ---- what the parts are ---- */

/* Does the HTML show this picture ("cid:NAME")? */
static bool shown(const struct cgw_part *html, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    const char *p = html ? html->body : NULL, *end = html ? html->body + html->len : NULL;
    while (len && p && (p = memmem(p, (size_t)(end - p), "cid:", 4))) {
        p += 4;
        if ((size_t)(end - p) >= len && !memcmp(p, name, len) &&
            (p + len == end || strchr("\"' )>\t\r\n", p[len])))
            return true;
    }
    return false;
}

static void sort_parts(const struct cgw_message *m, struct parts *ret)
{
    *ret = (struct parts){0};
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct cgw_part *p = &m->parts[i];
        if (p->role == CGW_ROLE_SUBJECT)
            ret->subject = p;
        else if (p->role == CGW_ROLE_TEXT)
            ret->text = p;
        else if (p->role == CGW_ROLE_HTML)
            ret->html = p;
    }
    for (uint32_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].role == CGW_ROLE_MEDIA) {
            ret->is_inline[i] = shown(ret->html, m->parts[i].name);
            ret->n_inline += ret->is_inline[i];
            ret->n_attached += !ret->is_inline[i];
        }
}

/* ---- header ---- */

static void put_date(struct text *t, int64_t utc_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t s = (time_t)(utc_ms / 1000);
    struct tm tm;
    char line[64];
    (void)gmtime_r(&s, &tm);
    (void)snprintf(line, sizeof line, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n",
                   days + tm.tm_wday * 3, tm.tm_mday, months + tm.tm_mon * 3, tm.tm_year + 1900,
                   tm.tm_hour, tm.tm_min, tm.tm_sec);
    text_puts(t, line);
}

static void put_part_header(struct text *t, const struct cgw_part *p)
{
    char name[80], value[1200];
    const char *colon = memchr(p->body, ':', p->len);
    if (!colon) /* check() refuses it; who was not asked leaves it out */
        return;
    (void)snprintf(name, sizeof name, "%.*s", (int)(colon - p->body), p->body);
    const char *v = colon + 1;
    while (v < p->body + p->len && *v == ' ')
        v++;
    (void)snprintf(value, sizeof value, "%.*s", (int)(p->body + p->len - v), v);
    mime_put_header(t, name, value);
}

/* Raw: a URL must not be folded or encoded. */
static void put_unsubscribe(struct writer *w, const char *token)
{
    char line[COMPOSE_LINK_MAX + 400];
    const struct compose_conf *c = w->c;
    if (c->bounce_domain)
        (void)snprintf(line, sizeof line,
                       "List-Unsubscribe: <%s>,\r\n <mailto:%c+%s@%s?subject=unsubscribe>\r\n",
                       w->link, EMAIL_FOR_LEAVE, token, c->bounce_domain);
    else
        (void)snprintf(line, sizeof line, "List-Unsubscribe: <%s>\r\n", w->link);
    text_puts(w->t, line);
    text_puts(w->t, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
}

static void put_header(struct writer *w, const struct parts *parts, const char *token,
                       int64_t now_utc_ms)
{
    const struct compose_conf *c = w->c;
    const struct cgw_message *m = w->m;
    struct text *t = w->t;
    char line[512];
    put_date(t, now_utc_ms);
    if (m->from.kind == CGW_ADDR_EMAIL)
        mime_put_mailbox(t, "From", c->from && !strcmp(m->from.text, c->from) ? c->from_name : NULL,
                         m->from.text);
    else
        mime_put_mailbox(t, "From", c->from_name, c->from);
    mime_put_mailbox(t, "To", NULL, m->to.text);
    if (c->reply_to)
        mime_put_mailbox(t, "Reply-To", NULL, c->reply_to);
    (void)snprintf(line, sizeof line, "Message-ID: <%s@%s>\r\n", w->id, c->message_id_domain);
    text_puts(t, line);
    if (parts->subject) {
        char subject[1000];
        (void)snprintf(subject, sizeof subject, "%.*s", (int)parts->subject->len,
                       parts->subject->body);
        mime_put_header(t, "Subject", subject);
    }
    if (c->list_id) {
        (void)snprintf(line, sizeof line, "List-Id: <%s>\r\n", c->list_id);
        text_puts(t, line);
    }
    if (c->unsubscribe_url && m->contact_class == CGW_CLASS_MARKETING)
        put_unsubscribe(w, token);
    for (uint32_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].role == CGW_ROLE_HEADER)
            put_part_header(t, &m->parts[i]);
    text_puts(t, "MIME-Version: 1.0\r\n");
}

/* ---- bodies ---- */

/* The text with the placeholder replaced; owned by the caller when it differs. */
static char *with_link(const struct writer *w, const struct cgw_part *p, size_t *ret_len)
{
    static const char mark[] = COMPOSE_PLACEHOLDER;
    const char *at = memmem(p->body, p->len, mark, sizeof mark - 1), *from = p->body;
    struct text out = {.max = COMPOSE_TEXT_MAX};
    if (!at)
        return NULL;
    for (; at; at = memmem(from, (size_t)(p->body + p->len - from), mark, sizeof mark - 1)) {
        text_put(&out, from, (size_t)(at - from));
        text_puts(&out, w->link);
        from = at + sizeof mark - 1;
    }
    text_put(&out, from, (size_t)(p->body + p->len - from));
    if (out.failed) {
        w->t->failed = true;
        text_done(&out);
    }
    *ret_len = out.n;
    return out.v;
}

static void put_text(struct writer *w, const char *type, const struct cgw_part *p)
{
    size_t len = p->len;
    char *linked = with_link(w, p, &len);
    const char *body = linked ? linked : p->body;
    enum mime_encoding e = mime_encoding_for(body, len);
    char line[160];
    (void)snprintf(line, sizeof line,
                   "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                   type, mime_encoding_name(e));
    text_puts(w->t, line);
    mime_put_body(w->t, e, body, len);
    free(linked);
}

static bool type_ok(const char *s)
{
    size_t n =
        s ? strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_/") : 0;
    return n && n < 100 && strchr(s, '/') && (!s[n] || s[n] == ';');
}

/* ; filename="…", or RFC 2231 when the name needs it */
static void put_filename(struct text *t, const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    bool easy = strspn(name, plain) == strlen(name);
    text_puts(t, easy ? ";\r\n filename=\"" : ";\r\n filename*=utf-8''");
    for (size_t i = 0; name[i] && i < 150; i++) {
        char pct[4] = {name[i], 0, 0, 0};
        if (!strchr(plain, name[i]))
            (void)snprintf(pct, sizeof pct, "%%%02X", (unsigned char)name[i]);
        text_puts(t, pct);
    }
    text_puts(t, easy ? "\"\r\n" : "\r\n");
}

static void end_piece(struct writer *w)
{
    if (w->t->n > w->piece_from)
        w->mail->pieces[w->mail->n_pieces++] =
            (struct compose_piece){.from = w->piece_from, .to = w->t->n};
    w->piece_from = w->t->n;
}

static void put_media(struct writer *w, uint32_t i, bool is_inline)
{
    const struct cgw_part *p = &w->m->parts[i];
    struct text *t = w->t;
    text_puts(t, "Content-Type: ");
    text_put(t, type_ok(p->mime) ? p->mime : "application/octet-stream",
             type_ok(p->mime) ? strcspn(p->mime, ";") : 24);
    text_puts(t, "\r\nContent-Transfer-Encoding: base64\r\n");
    if (is_inline) {
        text_puts(t, "Content-ID: <");
        text_puts(t, p->name);
        text_puts(t, ">\r\n");
    }
    text_puts(t, is_inline ? "Content-Disposition: inline" : "Content-Disposition: attachment");
    if (p->name && *p->name)
        put_filename(t, p->name);
    else
        text_puts(t, "\r\n");
    text_puts(t, "\r\n");
    if (w->blobs[i]) {
        end_piece(w);
        w->mail->pieces[w->mail->n_pieces++] = (struct compose_piece){.blob = w->blobs[i]};
    } else {
        mime_put_base64(t, p->body, p->len);
    }
}

/* ---- structure ---- */

static void boundary(struct writer *w, char kind, const char *ends)
{
    char line[64]; /* "=_" is in no quoted-printable and no base64 text, the id in no other mail */
    (void)snprintf(line, sizeof line, "--=_%c_%s%s\r\n", kind, w->id, ends);
    text_puts(w->t, line);
}

static void open_multipart(struct writer *w, const char *type, char kind)
{
    char line[160];
    (void)snprintf(line, sizeof line,
                   "Content-Type: multipart/%s;\r\n boundary=\"=_%c_%s\"\r\n\r\n", type, kind,
                   w->id);
    text_puts(w->t, line);
}

static void put_media_of(struct writer *w, const struct parts *parts, bool is_inline, char kind)
{
    for (uint32_t i = 0; i < w->m->n_parts; i++)
        if (w->m->parts[i].role == CGW_ROLE_MEDIA && parts->is_inline[i] == is_inline) {
            boundary(w, kind, "");
            put_media(w, i, is_inline);
        }
    boundary(w, kind, "--");
}

static void put_html(struct writer *w, const struct parts *parts)
{
    if (!parts->n_inline) {
        put_text(w, "html", parts->html);
        return;
    }
    open_multipart(w, "related; type=\"text/html\"", 'r');
    boundary(w, 'r', "");
    put_text(w, "html", parts->html);
    put_media_of(w, parts, true, 'r');
}

static void put_readable(struct writer *w, const struct parts *parts)
{
    static const struct cgw_part nothing = {.role = CGW_ROLE_TEXT, .body = ""};
    if (!parts->html) { /* check() wants a text or HTML, and a mail has a body in any case */
        put_text(w, "plain", parts->text ? parts->text : &nothing);
    } else if (!parts->text) {
        put_html(w, parts);
    } else { /* the better one last (RFC 2046 5.1.4) */
        open_multipart(w, "alternative", 'a');
        boundary(w, 'a', "");
        put_text(w, "plain", parts->text);
        boundary(w, 'a', "");
        put_html(w, parts);
        boundary(w, 'a', "--");
    }
}

int compose(const struct compose_conf *c, const struct email_key *key, const char *id,
            const struct cgw_message *m, struct blob *const *blobs, int64_t now_utc_ms,
            struct compose_mail *ret)
{
    struct parts parts;
    char token[EMAIL_TOKEN_LEN + 1];
    struct writer w = {.c = c, .m = m, .blobs = blobs, .id = id, .mail = ret, .t = &ret->text};
    *ret = (struct compose_mail){.text.max = COMPOSE_TEXT_MAX};
    sort_parts(m, &parts);
    email_token_make(key, EMAIL_FOR_LEAVE, id, token);
    if (c->unsubscribe_url) {
        char person[EMAIL_SEALED_MAX];
        email_person_seal(key, id, m->to.text, m->to.len, person);
        (void)snprintf(w.link, sizeof w.link, "%s%ct=%s.%s", c->unsubscribe_url,
                       strchr(c->unsubscribe_url, '?') ? '&' : '?', token, person);
    }
    put_header(&w, &parts, token, now_utc_ms);
    if (parts.n_attached) {
        open_multipart(&w, "mixed", 'm');
        boundary(&w, 'm', "");
        put_readable(&w, &parts);
        put_media_of(&w, &parts, false, 'm');
    } else {
        put_readable(&w, &parts);
    }
    end_piece(&w);
    if (!ret->text.failed)
        return 0;
    compose_done(ret);
    return CGW_ELIMIT;
}

void compose_done(struct compose_mail *mail)
{
    text_done(&mail->text);
    mail->n_pieces = 0;
}

uint64_t compose_bytes(const struct compose_mail *mail)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < mail->n_pieces; i++) {
        const struct compose_piece *p = &mail->pieces[i];
        n += p->blob ? p->blob->text.n : p->to - p->from;
    }
    return n;
}
