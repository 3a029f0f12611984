/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_broadcast.c - the same content to everybody in the audience, once. The channel decides
 * which members of the campaign's content are used: one table, whose rows are read by kind. Decides
 * nothing about when or whether. Source: cgw/campaign.h. */
#include "cgw/plugin.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 8u       /* further header fields of an e-mail */
#define HEADER_LINE_MAX 998u /* RFC 5322 2.1.1 */
#define MEDIA_MAX 16u        /* media of one message; parts are CGW_PARTS_MAX */
#define NAME_MAX_BYTES 100u  /* of a media in a message */
#define POINTER_MAX 200u

struct broadcast {
    const struct cgw_campaign_host *host;
};

struct member {
    uint32_t channel;
    uint32_t kind; /* index into kinds */
    uint32_t role;
    const char *pointer; /* in the campaign's content */
    const char *mime;
    int required;
};
enum kind { KIND_TEXT, KIND_PLAIN, KIND_FLOW, KIND_HEADERS, KIND_MEDIA };

#define UTF8 "text/plain; charset=utf-8"
/* Order is the order of the parts. */
static const struct member members[] = {
    {CGW_CHANNEL_SMS, KIND_TEXT, CGW_ROLE_TEXT, "/text", UTF8, 1},
    {CGW_CHANNEL_EMAIL, KIND_TEXT, CGW_ROLE_SUBJECT, "/subject", UTF8, 1},
    {CGW_CHANNEL_EMAIL, KIND_TEXT, CGW_ROLE_TEXT, "/text", UTF8, 0},
    {CGW_CHANNEL_EMAIL, KIND_TEXT, CGW_ROLE_HTML, "/html", "text/html; charset=utf-8", 0},
    {CGW_CHANNEL_EMAIL, KIND_HEADERS, CGW_ROLE_HEADER, "/headers", UTF8, 0},
    {CGW_CHANNEL_EMAIL, KIND_MEDIA, CGW_ROLE_MEDIA, "/media", NULL, 0},
    {CGW_CHANNEL_MMS, KIND_TEXT, CGW_ROLE_SUBJECT, "/subject", UTF8, 0},
    {CGW_CHANNEL_MMS, KIND_PLAIN, CGW_ROLE_TEXT, "/smil", "application/smil", 0},
    {CGW_CHANNEL_MMS, KIND_TEXT, CGW_ROLE_TEXT, "/text", UTF8, 0},
    {CGW_CHANNEL_MMS, KIND_MEDIA, CGW_ROLE_MEDIA, "/media", NULL, 0},
    {CGW_CHANNEL_VOICE, KIND_FLOW, CGW_ROLE_FLOW, "/flow", "application/json", 1},
    {CGW_CHANNEL_VOICE, KIND_MEDIA, CGW_ROLE_MEDIA, "/media", NULL, 0},
    {CGW_CHANNEL_TASK, KIND_TEXT, CGW_ROLE_SUBJECT, "/subject", UTF8, 0},
    {CGW_CHANNEL_TASK, KIND_FLOW, CGW_ROLE_FLOW, "/flow", "application/json", 0},
    {CGW_CHANNEL_TASK, KIND_TEXT, CGW_ROLE_TEXT, "/script", UTF8, 0},
};
#define N_MEMBERS (sizeof members / sizeof members[0])

/* What a message of the channel is made of, when no single member must be there. */
static const struct {
    uint32_t channel;
    const char *where, *what;
} bodies[] = {
    {CGW_CHANNEL_EMAIL, "/text", "an e-mail needs \"text\", \"html\" or both"},
    {CGW_CHANNEL_MMS, "/text", "an MMS needs \"text\", \"media\" or both"},
    {CGW_CHANNEL_TASK, "/flow", "a task needs \"flow\", \"script\" or both"},
    {0, "", "this channel is not known here"},
};

static int create(const struct cgw_campaign_host *host, void **ret_pl, struct cgw_diag *diag)
{
    (void)diag;
    struct broadcast *b = malloc(sizeof *b);
    if (!b)
        return CGW_ELIMIT;
    b->host = host;
    *ret_pl = b;
    return 0;
}

static void destroy(void *pl)
{
    free(pl);
}

static int __attribute__((format(printf, 3, 4)))
complain(struct cgw_diag *diag, const char *where, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(diag->text, sizeof diag->text, fmt, ap);
    va_end(ap);
    (void)snprintf(diag->where, sizeof diag->where, "%s", where);
    return diag->code = CGW_EINVAL;
}

/* Blank text is no content: it would be paid for and read as a fault. */
static int is_blank(const char *s, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", s[i]) || !s[i])
            return 0;
    return 1;
}

static const char *string_at(const struct broadcast *b, const struct cgw_run *run,
                             const char *pointer, uint32_t *ret_len)
{
    *ret_len = 0;
    const char *s = b->host->content_str(run, pointer, ret_len);
    return s && !is_blank(s, *ret_len) ? s : NULL;
}

/* ---- a text: one string ---------------------------------------------------------------------- */
static int check_template(const struct broadcast *b, const struct cgw_run *run, const char *where,
                          const char *tmpl, uint32_t len, uint32_t role, struct cgw_diag *diag)
{
    struct cgw_diag why = {.size = sizeof why};
    int rc = b->host->template_check(run, tmpl, len, role, &why);
    if (!rc)
        return 0;
    /* The host says where in the text; a person looks for the member first. */
    (void)complain(diag, where, "%.60s%s%.180s", why.where, why.where[0] ? ": " : "", why.text);
    return diag->code = rc;
}

static int check_text(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                      struct cgw_diag *diag)
{
    uint32_t len;
    const char *s = string_at(b, run, m->pointer, &len);
    if (!s)
        return complain(diag, m->pointer, "\"%s\" must be a string that is not blank",
                        m->pointer + 1);
    return check_template(b, run, m->pointer, s, len, m->role, diag);
}

static int add_text(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                    struct cgw_builder *out, uint32_t i)
{
    uint32_t len;
    const char *s = string_at(b, run, m->pointer, &len);
    return s ? b->host->add_template(out, i, m->role, m->mime, s, len) : 0;
}

/* ---- a plain text: as it stands, for everybody the same -------------------------------------- */
static int check_plain(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                       struct cgw_diag *diag)
{
    uint32_t len;
    const char *s = string_at(b, run, m->pointer, &len);
    if (!s)
        return complain(diag, m->pointer, "\"%s\" must be a string that is not blank",
                        m->pointer + 1);
    return strstr(s, "{{") ? complain(diag, m->pointer,
                                      "\"%s\" takes no fields; put them into "
                                      "\"text\", which it refers to by name",
                                      m->pointer + 1)
                           : 0;
}

static int add_plain(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                     struct cgw_builder *out, uint32_t i)
{
    struct cgw_part part = {.role = m->role, .mime = m->mime};
    part.body = string_at(b, run, m->pointer, &part.len);
    return part.body ? b->host->add_part(out, i, &part) : 0;
}

/* ---- a flow: an object, or its text in a string ---------------------------------------------- */
static const char *flow_at(const struct broadcast *b, const struct cgw_run *run,
                           const struct member *m, uint32_t *ret_len)
{
    const char *s = string_at(b, run, m->pointer, ret_len);
    return s ? s
           : b->host->content_count(run, m->pointer) < 0
               ? NULL
               : b->host->content_json(run, m->pointer, ret_len);
}

static int check_flow(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                      struct cgw_diag *diag)
{
    uint32_t len;
    const char *s = flow_at(b, run, m, &len);
    if (!s)
        return complain(diag, m->pointer,
                        "\"%s\" must be a JSON object, with {{fields}} inside of "
                        "its strings",
                        m->pointer + 1);
    return check_template(b, run, m->pointer, s, len, m->role, diag);
}

static int add_flow(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                    struct cgw_builder *out, uint32_t i)
{
    uint32_t len;
    const char *s = flow_at(b, run, m, &len);
    return s ? b->host->add_template(out, i, m->role, m->mime, s, len) : 0;
}

/* ---- headers: an object of names and texts --------------------------------------------------- */
/* RFC 5322 3.6.8: printable US-ASCII without the colon. 0 = not a name. */
static int is_header_name(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~' || strchr(":~/", s[i])) /* ~ and / mean more in a pointer */
            return 0;
    return n > 0 && n <= 76;
}

/* "Name: text" of the i-th header; 0 or CGW_EINVAL with diag, which may be NULL. */
static int header_line(const struct broadcast *b, const struct cgw_run *run, uint32_t i,
                       char line[HEADER_LINE_MAX + 1], char at[POINTER_MAX], struct cgw_diag *diag)
{
    struct cgw_diag unused = {.size = sizeof unused};
    const char *name = b->host->content_key(run, "/headers", i);
    uint32_t len = 0;
    diag = diag ? diag : &unused;
    if (!name || !is_header_name(name))
        return complain(diag, "/headers", "\"%.60s\" is no name of a header field",
                        name ? name : "");
    (void)snprintf(at, POINTER_MAX, "/headers/%s", name);
    const char *text = string_at(b, run, at, &len);
    if (!text || strlen(text) != len)
        return complain(diag, at, "the header must be a string that is not blank");
    int n = snprintf(line, HEADER_LINE_MAX + 1, "%s: %s", name, text);
    return n > (int)HEADER_LINE_MAX
               ? complain(diag, at, "the header has %d bytes, a line has at most %u", n,
                          HEADER_LINE_MAX)
               : 0;
}

static int check_headers(const struct broadcast *b, const struct cgw_run *run,
                         const struct member *m, struct cgw_diag *diag)
{
    char line[HEADER_LINE_MAX + 1], at[POINTER_MAX];
    int32_t n = b->host->content_count(run, m->pointer);
    if (n < 0 || (n && !b->host->content_key(run, m->pointer, 0)))
        return complain(diag, m->pointer,
                        "must be an object of header names and texts, as {\"X-Offer\": \"2026\"}");
    if (n > (int32_t)HEADERS_MAX)
        return complain(diag, m->pointer, "%d headers, the limit is %u", n, HEADERS_MAX);
    for (int32_t i = 0; i < n; i++) {
        int rc = header_line(b, run, (uint32_t)i, line, at, diag);
        if (!rc)
            rc = check_template(b, run, at, line, (uint32_t)strlen(line), m->role, diag);
        if (rc)
            return rc;
    }
    return 0;
}

static int add_headers(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                       struct cgw_builder *out, uint32_t i)
{
    char line[HEADER_LINE_MAX + 1], at[POINTER_MAX];
    int32_t n = b->host->content_count(run, m->pointer);
    int rc = 0;
    for (int32_t k = 0; !rc && k < n; k++) {
        rc = header_line(b, run, (uint32_t)k, line, at, NULL);
        if (!rc)
            rc = b->host->add_template(out, i, m->role, m->mime, line, (uint32_t)strlen(line));
    }
    return rc;
}

/* ---- media: an array of {"media": "med_…", "name": "photo.jpg"} ------------------------------ */
/* The name stands in file names, Content-IDs and flows: what all of them take. */
static int is_media_name(const char *s, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= ' ' || s[i] > '~' || strchr("\"'<>/\\:;,?&%", s[i]))
            return 0;
    return len > 0 && len <= NAME_MAX_BYTES && s[0] != '.';
}

static int media_at(const struct broadcast *b, const struct cgw_run *run, uint32_t i,
                    struct cgw_part *ret, char at[POINTER_MAX], struct cgw_diag *diag)
{
    uint32_t len = 0, name_len = 0;
    *ret = (struct cgw_part){.name = ""};
    (void)snprintf(at, POINTER_MAX, "/media/%u/media", i);
    const char *id = b->host->content_str(run, at, &len);
    if (!id)
        return complain(diag, at, "the id of an uploaded media (\"med_…\") is missing");
    if (b->host->media_part(run, id, ret) < 0)
        return complain(diag, at, "there is no media %.40s; POST /api/v1/media gives the id", id);
    (void)snprintf(at, POINTER_MAX, "/media/%u/name", i);
    const char *name = b->host->content_str(run, at, &name_len);
    if (!name || !is_media_name(name, name_len))
        return complain(diag, at,
                        "the message needs a name for the media, as \"photo.jpg\": at most %u "
                        "letters, digits and . - _, without blanks",
                        NAME_MAX_BYTES);
    ret->name = name;
    return 0;
}

static int check_media(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                       struct cgw_diag *diag)
{
    int32_t n = b->host->content_count(run, m->pointer);
    const char *names[MEDIA_MAX];
    if (n < 0 || b->host->content_key(run, m->pointer, 0))
        return complain(diag, m->pointer,
                        "must be an array, as [{\"media\": \"med_…\", \"name\": \"photo.jpg\"}]");
    if (n > (int32_t)MEDIA_MAX)
        return complain(diag, m->pointer, "%d media, the limit is %u", n, MEDIA_MAX);
    for (int32_t i = 0; i < n; i++) {
        char at[POINTER_MAX];
        struct cgw_part part;
        int rc = media_at(b, run, (uint32_t)i, &part, at, diag);
        if (rc)
            return rc;
        for (int32_t k = 0; k < i; k++)
            if (!strcmp(names[k], part.name))
                return complain(diag, at, "another media has the name \"%s\" already", part.name);
        names[i] = part.name;
    }
    return 0;
}

static int add_media(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                     struct cgw_builder *out, uint32_t i)
{
    int32_t n = b->host->content_count(run, m->pointer);
    int rc = 0;
    for (int32_t k = 0; !rc && k < n; k++) {
        char at[POINTER_MAX];
        struct cgw_part part;
        struct cgw_diag why = {.size = sizeof why};
        rc = media_at(b, run, (uint32_t)k, &part, at, &why);
        if (!rc)
            rc = b->host->add_part(out, i, &part);
    }
    return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */
static const struct {
    int (*check)(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
                 struct cgw_diag *diag);
    int (*add)(const struct broadcast *b, const struct cgw_run *run, const struct member *m,
               struct cgw_builder *out, uint32_t i);
} kinds[] = {
    [KIND_TEXT] = {check_text, add_text},    [KIND_PLAIN] = {check_plain, add_plain},
    [KIND_FLOW] = {check_flow, add_flow},    [KIND_HEADERS] = {check_headers, add_headers},
    [KIND_MEDIA] = {check_media, add_media},
};

/* Absent, null or (where it may be left out) blank. */
static int is_absent(const struct broadcast *b, const struct cgw_run *run, const struct member *m)
{
    uint32_t len = 0;
    const char *text = b->host->content_json(run, m->pointer, &len);
    const char *s = b->host->content_str(run, m->pointer, &len);
    return !text || !strcmp(text, "null") || (s && is_blank(s, len)) ||
           b->host->content_count(run, m->pointer) == 0;
}

static int is_known(uint32_t channel, const char *name)
{
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (members[i].channel == channel && !strcmp(members[i].pointer + 1, name))
            return 1;
    return 0;
}

/* A misspelt member would silently be left out of every message. */
static int check_names(const struct broadcast *b, const struct cgw_run *run, uint32_t channel,
                       struct cgw_diag *diag)
{
    const char *name;
    for (uint32_t i = 0; (name = b->host->content_key(run, "", i)); i++) {
        if (is_known(channel, name))
            continue;
        char known[128] = "";
        for (size_t k = 0; k < N_MEMBERS; k++)
            if (members[k].channel == channel)
                (void)snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                               known[0] ? ", " : "", members[k].pointer + 1);
        return complain(diag, "", "the content of this channel has no member \"%.40s\"; it has %s",
                        name, known);
    }
    return 0;
}

static int validate(void *pl, const struct cgw_run *run, struct cgw_diag *diag)
{
    const struct broadcast *b = pl;
    uint32_t channel = b->host->run_channel(run), n_bodies = 0, n_known = 0;
    for (size_t i = 0; i < N_MEMBERS; i++) {
        const struct member *m = &members[i];
        if (m->channel != channel)
            continue;
        n_known++;
        if (is_absent(b, run, m)) {
            if (m->required)
                return complain(diag, m->pointer,
                                "this channel needs the member \"%s\" of the content, a %s",
                                m->pointer + 1,
                                m->kind == KIND_FLOW ? "JSON object" : "string that is not blank");
            continue;
        }
        int rc = kinds[m->kind].check(b, run, m, diag);
        if (rc)
            return rc;
        n_bodies += m->role != CGW_ROLE_SUBJECT && m->role != CGW_ROLE_HEADER &&
                    (m->role != CGW_ROLE_MEDIA || channel == CGW_CHANNEL_MMS);
    }
    size_t i = 0;
    while (bodies[i].channel && bodies[i].channel != channel)
        i++;
    if (!n_known || !n_bodies)
        return complain(diag, bodies[i].where, "%s", bodies[i].what);
    return check_names(b, run, channel, diag);
}

static int render_one(const struct broadcast *b, const struct cgw_run *run, uint32_t channel,
                      struct cgw_builder *out, uint32_t i)
{
    for (size_t k = 0; k < N_MEMBERS; k++) {
        int rc = members[k].channel == channel
                     ? kinds[members[k].kind].add(b, run, &members[k], out, i)
                     : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int render(void *pl, const struct cgw_run *run, uint32_t content_no,
                  const struct cgw_customer *customers, uint32_t n, struct cgw_builder *out)
{
    const struct broadcast *b = pl;
    uint32_t channel = b->host->run_channel(run);
    (void)customers; /* the builder knows whose fields message i takes */
    if (content_no)
        return CGW_EINVAL; /* a broadcast proposes only content 0 */
    for (uint32_t i = 0; i < n; i++) {
        int rc = render_one(b, run, channel, out, i);
        if (rc && rc != CGW_ENOTFOUND) /* a missing field holds that person, not the others */
            return rc;
    }
    return 0;
}

static const struct cgw_campaign_ops ops = {
    .size = sizeof ops,
    .create = create,
    .validate = validate,
    .render = render,
    .destroy = destroy,
};

CGW_CAMPAIGN_PLUGIN(.name = "campaign_broadcast", .version = "1.0", .vendor = "campgw",
                    .campaign = &ops);
