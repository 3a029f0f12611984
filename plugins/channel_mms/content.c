/* SPDX-License-Identifier: Apache-2.0 */
/* content.c - see content.h. Everything that may not travel is refused here, so that what is
 * written later needs no second look. */
#include "content.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PART_OVERHEAD 160u /* header of one part inside the content, as centres count it */

struct planner {
    struct mms_plan *p;
    const struct mms_options *o;
    const struct cgw_host *host;
    char *why;
    size_t why_size;
};

static int refuse(struct planner *k, int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(struct planner *k, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(k->why, k->why_size, fmt, ap);
    va_end(ap);
    return rc;
}

/* ---- characters ---- */

/* Length of the UTF-8 character at s, 0 when it is none (RFC 3629). */
static size_t utf8_len(const unsigned char *s, size_t n)
{
    static const struct {
        unsigned char mask, lead;
        size_t len;
        uint32_t min;
    } forms[] = {
        {0x80, 0, 1, 0}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}};
    for (size_t f = 0; f < 4; f++) {
        if ((s[0] & forms[f].mask) != forms[f].lead)
            continue;
        uint32_t v = s[0] & (unsigned char)~forms[f].mask;
        if (forms[f].len > n)
            return 0;
        for (size_t i = 1; i < forms[f].len; i++) {
            if ((s[i] & 0xC0) != 0x80)
                return 0;
            v = v << 6 | (s[i] & 0x3Fu);
        }
        bool bad = v < forms[f].min || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000) || v == 0xFFFE ||
                   v == 0xFFFF;
        return bad ? 0 : forms[f].len;
    }
    return 0;
}

/* Text for people: UTF-8 that XML and handsets can carry. \return characters, or -1. */
static int64_t text_length(const char *text, size_t len, bool one_line)
{
    const unsigned char *s = (const unsigned char *)text;
    int64_t chars = 0;
    for (size_t i = 0; i < len; chars++) {
        size_t step = utf8_len(s + i, len - i);
        bool control = s[i] < 0x20 || s[i] == 0x7f;
        if (step == 0 || (control && (one_line || !strchr("\t\r\n", s[i]) || s[i] == 0)))
            return -1;
        i += step;
    }
    return chars;
}

static bool is_clean(const char *s, const char *further)
{
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (; *s; s++)
        if (!strchr(word, *s) && !strchr(further, *s))
            return false;
    return true;
}

/* ---- parts ---- */

static const struct {
    const char *prefix;
    enum mms_item_kind kind;
    const char *suffix; /* of a name that we make */
} KINDS[] = {
    {"text/plain", MMS_TEXT, "txt"}, {"image/jpeg", MMS_IMAGE, "jpg"},
    {"image/png", MMS_IMAGE, "png"}, {"image/gif", MMS_IMAGE, "gif"},
    {"image/", MMS_IMAGE, "img"},    {"audio/amr", MMS_AUDIO, "amr"},
    {"audio/", MMS_AUDIO, "snd"},    {"video/3gpp", MMS_VIDEO, "3gp"},
    {"video/mp4", MMS_VIDEO, "mp4"}, {"video/", MMS_VIDEO, "vid"},
    {"text/", MMS_OTHER, "txt"},     {"", MMS_OTHER, "bin"},
};

static size_t kind_row(const char *type)
{
    size_t i = 0;
    while (strncasecmp(type, KINDS[i].prefix, strlen(KINDS[i].prefix)) != 0)
        i++;
    return i;
}

/* "image/jpeg" of "image/jpeg; name=..."; false when it is no type. */
static bool bare_type(const char *mime, char *out, size_t size)
{
    size_t n = strcspn(mime, "; \t");
    if (n == 0 || n >= size)
        return false;
    memcpy(out, mime, n);
    out[n] = '\0';
    const char *slash = strchr(out, '/');
    return slash && slash != out && slash[1] && is_clean(out, "/.+-_");
}

static int name_item(struct planner *k, struct mms_item *it, const char *suffix)
{
    struct mms_plan *p = k->p;
    const char *given = it->part->name;
    if (given && *given) {
        if (strlen(given) >= sizeof it->name || !is_clean(given, "._-"))
            return refuse(k, CGW_EINVAL,
                          "the part name \"%.40s\" must be at most 63 letters, digits, . _ or -",
                          given);
        (void)snprintf(it->name, sizeof it->name, "%s", given);
    } else {
        (void)snprintf(it->name, sizeof it->name, "part%u.%s", p->n + 1, suffix);
    }
    for (uint32_t i = 0; i < p->n; i++)
        if (!strcmp(p->items[i].name, it->name))
            return refuse(k, CGW_EINVAL, "two parts have the name %s", it->name);
    return 0;
}

static int item_bytes(struct planner *k, struct mms_item *it)
{
    const struct cgw_part *part = it->part;
    int64_t n = part->len;
    if (part->media)
        n = k->host->media_size ? k->host->media_size(part->media) : CGW_ENOTFOUND;
    if (n < 0)
        return refuse(k, CGW_EINVAL, "the media of part %s is not there", it->name);
    it->bytes = (uint64_t)n;
    return 0;
}

static int add_item(struct planner *k, const struct cgw_part *part, const char *fallback)
{
    struct mms_plan *p = k->p;
    struct mms_item *it = &p->items[p->n];
    char type[80];
    if (p->n == k->o->max_parts)
        return refuse(k, CGW_ELIMIT, "more than %u parts; the account takes no more",
                      k->o->max_parts);
    if (!bare_type(part->mime && *part->mime ? part->mime : fallback, type, sizeof type))
        return refuse(k, CGW_EINVAL, "\"%.40s\" is no media type", part->mime ? part->mime : "");
    size_t row = kind_row(type);
    *it = (struct mms_item){.part = part, .kind = KINDS[row].kind};
    bool is_text = !strncasecmp(type, "text/", 5);
    (void)snprintf(it->type, sizeof it->type, is_text ? "%s; charset=utf-8" : "%s", type);
    if (is_text && !part->media && text_length(part->body ? part->body : "", part->len, false) < 0)
        return refuse(k, CGW_EINVAL, "a text part is not UTF-8, or holds control characters");
    int rc = name_item(k, it, KINDS[row].suffix);
    if (rc || (rc = item_bytes(k, it)))
        return rc;
    p->bytes += it->bytes + PART_OVERHEAD;
    p->n++;
    return 0;
}

static int add_text(struct planner *k, const struct cgw_part *part)
{
    if (!part->mime || strncasecmp(part->mime, "application/smil", 16) != 0)
        return add_item(k, part, "text/plain");
    if (k->p->smil)
        return refuse(k, CGW_EINVAL, "two parts are application/smil; a message has one");
    if (part->media || part->len >= MMS_SMIL_MAX ||
        text_length(part->body ? part->body : "", part->len, false) < 0)
        return refuse(k, CGW_EINVAL, "the SMIL must be inline UTF-8 text of less than 8192 bytes");
    k->p->smil = part;
    k->p->bytes += part->len + PART_OVERHEAD;
    return 0;
}

static int add_subject(struct planner *k, const struct cgw_part *part)
{
    int64_t n = text_length(part->body ? part->body : "", part->len, true);
    if (n < 0)
        return refuse(k, CGW_EINVAL, "the subject is not one line of UTF-8 text");
    if (n > k->o->subject_max || part->len >= sizeof k->p->subject)
        return refuse(k, CGW_ELIMIT, "the subject has %lld characters; the account takes %u",
                      (long long)n, k->o->subject_max);
    (void)snprintf(k->p->subject, sizeof k->p->subject, "%.*s", (int)part->len,
                   part->body ? part->body : "");
    return 0;
}

/* "Name: value" of the few that mean something here. */
static int add_header(struct planner *k, const struct cgw_part *part)
{
    const struct {
        const char *name;
        char *out;
        size_t size;
    } known[] = {
        {"X-Mms-Linked-Id:", k->p->linked_id, sizeof k->p->linked_id},
        {"X-Mms-Replace-Id:", k->p->replace_id, sizeof k->p->replace_id},
        {"X-Mms-Reply-Charging-Size:", k->p->reply_size, sizeof k->p->reply_size},
        {"X-Mms-Reply-Deadline:", k->p->reply_deadline, sizeof k->p->reply_deadline},
    };
    const char *body = part->body ? part->body : "";
    if (text_length(body, part->len, true) < 0)
        return refuse(k, CGW_EINVAL, "a header is not one line of UTF-8 text");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i].name);
        if (part->len <= n || strncasecmp(body, known[i].name, n) != 0)
            continue;
        while (n < part->len && body[n] == ' ')
            n++;
        if (part->len - n >= known[i].size || n == part->len)
            return refuse(k, CGW_EINVAL, "the header %s has no value, or a too long one",
                          known[i].name);
        (void)snprintf(known[i].out, known[i].size, "%.*s", (int)(part->len - n), body + n);
        return 0;
    }
    return refuse(k, CGW_EINVAL,
                  "an MMS takes the headers X-Mms-Linked-Id, X-Mms-Replace-Id, "
                  "X-Mms-Reply-Charging-Size and X-Mms-Reply-Deadline only");
}

/* ---- SMIL ---- */

struct writer {
    char *out;
    size_t n, size;
};

static void put(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w->out + w->n, w->size - w->n, fmt, ap);
    va_end(ap);
    w->n += n > 0 && (size_t)n < w->size - w->n ? (size_t)n : 0;
}

/* One page shows at most one picture or film, one text and one sound; the next of a kind begins the
 * next page. OMA MMS conformance 1.2: regions Image and Text. */
static void make_smil(struct mms_plan *p, int64_t page_ms)
{
    static const char *const tags[] = {"text", "img", "audio", "video", NULL};
    static const uint32_t place[] = {1, 2, 4, 2, 0};
    struct writer w = {p->made, 0, sizeof p->made};
    uint32_t used = 0;
    bool open = false;
    put(&w,
        "<smil><head><layout><root-layout width=\"100%%\" height=\"100%%\"/>"
        "<region id=\"Image\" top=\"0\" left=\"0\" width=\"100%%\" height=\"70%%\" fit=\"meet\"/>"
        "<region id=\"Text\" top=\"70%%\" left=\"0\" width=\"100%%\" height=\"30%%\"/>"
        "</layout></head><body>");
    for (uint32_t i = 0; i < p->n; i++) {
        enum mms_item_kind kind = p->items[i].kind;
        if (!tags[kind])
            continue;
        if (!open || used & place[kind]) {
            put(&w, open ? "</par><par dur=\"%lldms\">" : "<par dur=\"%lldms\">",
                (long long)page_ms);
            open = true;
            used = 0;
        }
        used |= place[kind];
        put(&w, "<%s src=\"%s\"", tags[kind], p->items[i].name);
        put(&w, place[kind] == 4   ? "/>"
                : place[kind] == 1 ? " region=\"Text\"/>"
                                   : " region=\"Image\"/>");
    }
    put(&w, open ? "</par></body></smil>" : "</body></smil>");
    p->bytes += w.n + PART_OVERHEAD;
}

/* ---- the plan ---- */

static int add_part(struct planner *k, const struct cgw_part *part)
{
    switch (part->role) {
    case CGW_ROLE_TEXT:
        return add_text(k, part);
    case CGW_ROLE_MEDIA:
        return add_item(k, part, "");
    case CGW_ROLE_SUBJECT:
        return add_subject(k, part);
    case CGW_ROLE_HEADER:
        return add_header(k, part);
    default:
        return refuse(k, CGW_EINVAL, "an MMS has text, media, subject and header parts only");
    }
}

int mms_plan_make(struct mms_plan *p, const struct mms_options *o, const struct cgw_host *host,
                  const struct cgw_message *m, char *why, size_t why_size)
{
    struct planner k = {p, o, host, why, why_size};
    struct mm7_address unused;
    p->n = 0;
    p->bytes = 0;
    p->smil = NULL;
    p->subject[0] = p->linked_id[0] = p->replace_id[0] = p->reply_size[0] = '\0';
    p->reply_deadline[0] = p->made[0] = '\0';
    if (mms_recipient(o, &m->to, &unused))
        return refuse(&k, CGW_EINVAL, "an MMS goes to a number in E.164 form");
    if (mms_sender(o, &m->from, &unused))
        return refuse(&k, CGW_EINVAL, "the sender is no number, short code or e-mail address");
    for (uint32_t i = 0; i < m->n_parts; i++) {
        int rc = add_part(&k, &m->parts[i]);
        if (rc)
            return rc;
    }
    if (p->n == 0)
        return refuse(&k, CGW_EINVAL, "there is no text and no media to send");
    if (o->smil && !p->smil)
        make_smil(p, o->smil_ms);
    if (p->bytes > o->max_bytes)
        return refuse(&k, CGW_ELIMIT, "the content has %llu bytes; the MMSC takes %u",
                      (unsigned long long)p->bytes, o->max_bytes);
    return 0;
}

/* ---- addresses ---- */

static int write_number(const char *text, bool plus, const char *suffix, struct mm7_address *ret)
{
    const char *digits = *text == '+' ? text + 1 : text;
    size_t n = strlen(digits);
    if (n < 3 || n > 20 || strspn(digits, "0123456789") != n)
        return CGW_EINVAL;
    ret->form = MM7_NUMBER;
    (void)snprintf(ret->text, sizeof ret->text, "%s%s%s", plus && *text == '+' ? "+" : "", digits,
                   suffix);
    return 0;
}

int mms_recipient(const struct mms_options *o, const struct cgw_address *to,
                  struct mm7_address *ret)
{
    if (to->kind != CGW_ADDR_E164 || !to->text || to->text[0] != '+')
        return CGW_EINVAL;
    return write_number(to->text, o->recipient_plus, o->recipient_suffix, ret);
}

int mms_sender(const struct mms_options *o, const struct cgw_address *from, struct mm7_address *ret)
{
    const char *text = from->kind && from->text ? from->text : o->default_sender;
    ret->text[0] = '\0';
    if (*text == '\0')
        return from->kind ? CGW_EINVAL : 0;
    if (*text == '+')
        return write_number(text, o->sender_plus, o->sender_suffix, ret);
    ret->form = strchr(text, '@') ? MM7_EMAIL : MM7_SHORTCODE;
    if (from->kind == CGW_ADDR_SIP || from->kind == CGW_ADDR_EXTERNAL ||
        strlen(text) >= sizeof ret->text || text_length(text, strlen(text), true) < 0)
        return CGW_EINVAL;
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
    return 0;
}

/* "+8613800000000/TYPE=PLMN", "tel:+86 138...", "861380000@mmsc.example" */
void mms_address_strip(const char *text, char *out, size_t size)
{
    size_t n = 0;
    if (!strncasecmp(text, "tel:", 4))
        text += 4;
    bool is_mail = strchr(text, '@') != NULL && strspn(text, "+0123456789") != strcspn(text, "@");
    for (; *text && n + 1 < size; text++) {
        if (!is_mail && (*text == '/' || *text == '@' || *text == ';'))
            break;
        if (*text != ' ' && *text != '\t')
            out[n++] = *text;
    }
    out[n] = '\0';
}
