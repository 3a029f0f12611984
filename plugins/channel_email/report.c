/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - see report.h. */
#include "report.h"

#include "cgw/channel.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GUESS_BYTES 8192u
#define BLOCKS_MAX 32u

/* ---- fields of a block of text ---- */

/* The value of "name:" in a block of header lines, unfolded and trimmed, printable; "" = not there.
 */
static bool field(const char *block, size_t len, const char *name, char *out, size_t size)
{
    const char *p = block, *end = block + len;
    size_t n = strlen(name), w = 0;
    *out = 0;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol : end;
        if ((size_t)(eol - p) > n && !strncasecmp(p, name, n) && p[n] == ':') {
            p += n + 1;
            break;
        }
        p = eol + (eol < end);
    }
    if (p >= end)
        return false;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    for (; p < end && w + 1 < size; p++) {
        if (*p == '\n' && (p + 1 == end || (p[1] != ' ' && p[1] != '\t')))
            break;
        char c = (unsigned char)*p < 0x20 ? ' ' : (unsigned char)*p >= 0x7f ? '?' : *p;
        if (c != ' ' || (w && out[w - 1] != ' '))
            out[w++] = c;
    }
    while (w && out[w - 1] == ' ')
        w--;
    out[w] = 0;
    return true;
}

/* Block i of a text whose blocks are parted by empty lines. */
static bool block_at(const struct mime_part *p, unsigned i, const char **ret, size_t *ret_len)
{
    const char *at = p->body, *end = p->body + p->len;
    for (unsigned n = 0; at < end; n++) {
        while (at < end && (*at == '\n' || *at == '\r'))
            at++;
        const char *from = at, *to = at;
        while (to < end) {
            const char *eol = memchr(to, '\n', (size_t)(end - to));
            to = eol ? eol + 1 : end;
            if (to >= end || *to == '\n' || (*to == '\r' && to + 1 < end && to[1] == '\n'))
                break;
        }
        if (n == i && to > from) {
            *ret = from;
            *ret_len = (size_t)(to - from);
            return true;
        }
        at = to;
    }
    return false;
}

static const struct mime_part *part_of(const struct mime_mail *m, const char *type)
{
    for (unsigned i = 0; i < m->n_parts; i++)
        if (!strcmp(m->parts[i].type, type))
            return &m->parts[i];
    return NULL;
}

/* "rfc822; name@domain" without its type */
static void bare_address(const char *value, char *out, size_t size)
{
    const char *semi = strchr(value, ';');
    value = semi ? semi + 1 : value;
    while (*value == ' ' || *value == '<')
        value++;
    size_t n = strcspn(value, " >");
    (void)snprintf(out, size, "%.*s", (int)(n < size ? n : 0), value);
}

/* ---- whose is it? ---- */

static const char *const recipient_fields[] = {"X-Original-To", "Delivered-To", "Envelope-To",
                                               "To"};

static bool is_recipient_field(const char *name)
{
    for (size_t i = 0; i < sizeof recipient_fields / sizeof recipient_fields[0]; i++)
        if (!strcasecmp(name, recipient_fields[i]))
            return true;
    return false;
}

/* Looks like a token address for this use, whoever made it. */
static bool looks_like(const char *s, char use)
{
    size_t n = strlen(s);
    for (; n > EMAIL_TOKEN_LEN + 2; s++, n--)
        if ((s[0] | 32) == use && s[1] == '+' && strchr("@-", s[2 + EMAIL_TOKEN_LEN]) &&
            s[2 + EMAIL_ID_LEN] == '-')
            return true;
    return false;
}

static bool addressed(const struct email_key *key, const struct mime_mail *m, char use,
                      struct report *r)
{
    const char *name, *value;
    for (unsigned i = 0; mime_field_at(m, i, &name, &value); i++) {
        if (!is_recipient_field(name))
            continue;
        if (email_token_find(key, use, value, r->id, r->who))
            return true;
        r->forged = r->forged || looks_like(value, use);
    }
    return false;
}

/* The message that came back with the report, or its header. */
static const struct mime_part *original_of(const struct mime_mail *m)
{
    static const char *const types[] = {"message/rfc822", "text/rfc822-headers", "message/global",
                                        "message/global-headers"};
    const struct mime_part *p = NULL;
    for (size_t i = 0; !p && i < sizeof types / sizeof types[0]; i++)
        p = part_of(m, types[i]);
    return p;
}

static bool returned(const struct email_key *key, const struct mime_mail *m, struct report *r)
{
    const struct mime_part *p = original_of(m);
    char line[400];
    if (!p)
        return false;
    return (field(p->body, p->len, "Message-ID", line, sizeof line) &&
            email_id_find(key, line, r->id)) ||
           (field(p->body, p->len, "Return-Path", line, sizeof line) &&
            email_token_find(key, EMAIL_FOR_BOUNCE, line, r->id, r->who));
}

/* As it stands or, because mail systems change the case, small. */
static bool is_recipient(const struct email_key *key, struct report *r, const char *address)
{
    char small[sizeof r->person];
    size_t n = strlen(address);
    if (!n || n >= sizeof small)
        return false;
    for (size_t i = 0; i <= n; i++)
        small[i] = (char)(address[i] >= 'A' && address[i] <= 'Z' ? address[i] | 32 : address[i]);
    const char *found = email_who_is(key, r->id, r->who, address, &r->reference) ? address
                        : email_who_is(key, r->id, r->who, small, &r->reference) ? small
                                                                                 : NULL;
    if (!found)
        return false;
    (void)memmove(r->person, found, n + 1);
    return r->sealed = true;
}

/* A forwarder reports on an address that we never wrote to: then the returned message may still say
 * whom it was for. */
static void prove_recipient(const struct email_key *key, const struct mime_mail *m,
                            struct report *r)
{
    const struct mime_part *p = original_of(m);
    char line[400], address[sizeof r->person];
    if (!r->who[0] || is_recipient(key, r, r->person) || !p ||
        !field(p->body, p->len, "To", line, sizeof line))
        return;
    const char *bracket = strrchr(line, '<');
    bare_address(bracket ? bracket : line, address, sizeof address);
    (void)is_recipient(key, r, address);
}

/* ---- bounces ---- */

static const struct {
    const char *action;
    uint32_t result;
} actions[] = {{"failed", CGW_RES_FAILED},
               {"delayed", CGW_RES_ENROUTE},
               {"delivered", CGW_RES_DELIVERED},
               {"relayed", CGW_RES_ENROUTE},
               {"expanded", CGW_RES_ENROUTE}};

static uint32_t result_of(const char *action)
{
    size_t n = strcspn(action, " (;");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strlen(actions[i].action) == n && !strncasecmp(action, actions[i].action, n))
            return actions[i].result;
    return 0;
}

/* Status says it; when it says only "x.0.0", the words of the other side may say more. */
static void status_of(const char *block, size_t len, struct report *r)
{
    char value[64];
    struct email_status better;
    (void)field(block, len, "Status", value, sizeof value);
    if (!email_status_find(value, strlen(value), &r->status))
        r->status = (struct email_status){0};
    if (r->status.subject == 0 && r->status.detail == 0 &&
        email_status_find(r->raw, strlen(r->raw), &better) &&
        (!r->status.klass || better.klass == r->status.klass))
        r->status = better;
}

static bool recipient_block(const char *block, size_t len, struct report *r)
{
    char value[300];
    if (!field(block, len, "Action", value, sizeof value))
        return false;
    uint32_t result = result_of(value);
    if (!result || (r->result && result != CGW_RES_FAILED))
        return false;
    r->result = result;
    if (!field(block, len, "Diagnostic-Code", r->raw, sizeof r->raw))
        (void)field(block, len, "Status", r->raw, sizeof r->raw);
    status_of(block, len, r);
    if (!field(block, len, "Original-Recipient", value, sizeof value))
        (void)field(block, len, "Final-Recipient", value, sizeof value);
    bare_address(value, r->person, sizeof r->person);
    return result == CGW_RES_FAILED;
}

static void read_bounce(const struct email_key *key, const struct mime_mail *m, struct report *r)
{
    const struct mime_part *p = part_of(m, "message/delivery-status");
    const char *block;
    size_t len;
    p = p ? p : part_of(m, "message/global-delivery-status");
    for (unsigned i = 0; p && i < BLOCKS_MAX && block_at(p, i, &block, &len); i++)
        if (recipient_block(block, len, r))
            break;
    if (!r->result) {
        r->kind = REPORT_UNREADABLE;
        return;
    }
    bool ours = addressed(key, m, EMAIL_FOR_BOUNCE, r) || returned(key, m, r);
    r->kind = ours ? REPORT_BOUNCE : REPORT_FOREIGN;
    if (ours)
        prove_recipient(key, m, r);
    if (r->result == CGW_RES_FAILED)
        r->sub = r->status.klass ? email_status_sub(&r->status) : CGW_SUB_SOFT_BOUNCE;
}

/* A bounce in nobody's format, back at the address that only bounces know, from nobody. */
static bool guess_bounce(struct report *r, const struct mime_mail *m)
{
    const struct mime_part *p = part_of(m, "text/plain");
    size_t len = p ? p->len < GUESS_BYTES ? p->len : GUESS_BYTES : 0;
    if (!len || !email_status_find(p->body, len, &r->status) || r->status.klass == 2)
        return false;
    r->kind = REPORT_BOUNCE;
    r->result = CGW_RES_FAILED;
    r->sub = email_status_sub(&r->status);
    (void)snprintf(r->raw, sizeof r->raw, "%d.%d.%d in a bounce of no known format",
                   r->status.klass, r->status.subject, r->status.detail);
    return true;
}

/* ---- complaints ---- */

static void read_feedback(const struct email_key *key, const struct mime_mail *m, struct report *r)
{
    const struct mime_part *p = part_of(m, "message/feedback-report");
    char value[400];
    if (!p || !field(p->body, p->len, "Feedback-Type", r->raw, sizeof r->raw)) {
        r->kind = REPORT_UNREADABLE;
        return;
    }
    if (!strncasecmp(r->raw, "not-spam", 8)) {
        r->kind = REPORT_AUTOMATIC;
        return;
    }
    bool ours = (field(p->body, p->len, "Original-Mail-From", value, sizeof value) &&
                 email_token_find(key, EMAIL_FOR_BOUNCE, value, r->id, NULL)) ||
                returned(key, m, r) || addressed(key, m, EMAIL_FOR_BOUNCE, r);
    if (!field(p->body, p->len, "Original-Rcpt-To", value, sizeof value))
        (void)field(p->body, p->len, "Removal-Recipient", value, sizeof value);
    bare_address(value, r->person, sizeof r->person);
    r->kind = !ours && !r->person[0]               ? REPORT_FOREIGN
              : !strncasecmp(r->raw, "opt-out", 7) ? REPORT_LEAVE
                                                   : REPORT_COMPLAINT;
}

/* ---- answers ---- */

/* RFC 3834 5, and what machines did before it */
static bool by_a_machine(const struct mime_mail *m)
{
    static const struct {
        const char *name, *not, *only;
    } signs[] = {
        {"Auto-Submitted", "no", NULL},
        {"X-Autoreply", NULL, NULL},
        {"X-Autorespond", NULL, NULL},
        {"X-Autoresponder", NULL, NULL},
        {"X-Auto-Response", NULL, NULL},
        {"X-Failed-Recipients", NULL, NULL},
        {"List-Id", NULL, NULL},
        {"Precedence", NULL, "bulk"},
        {"Precedence", NULL, "junk"},
        {"Precedence", NULL, "list"},
        {"Precedence", NULL, "auto_reply"},
        {"Return-Path", NULL, "<>"},
    };
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        const char *v = mime_field(m, signs[i].name);
        size_t n = v ? strcspn(v, " ;\t") : 0;
        if (!v || (signs[i].not &&n == strlen(signs[i].not ) && !strncasecmp(v, signs[i].not, n)))
            continue;
        if (!signs[i].only || !strncasecmp(v, signs[i].only, strlen(signs[i].only)))
            return true;
    }
    return false;
}

static void read_letter(const struct email_key *key, const struct mime_mail *m, struct report *r)
{
    const char *from = mime_field(m, "Return-Path");
    bool ours = addressed(key, m, EMAIL_FOR_BOUNCE, r);
    if (ours && ((from && !strcmp(from, "<>")) || mime_field(m, "X-Failed-Recipients")) &&
        guess_bounce(r, m))
        return;
    r->kind = REPORT_AUTOMATIC;
    if (by_a_machine(m))
        return;
    if (!ours && !email_id_find(key, mime_field(m, "In-Reply-To"), r->id))
        (void)email_id_find(key, mime_field(m, "References"), r->id);
    mime_mailbox(m, "From", r->person, sizeof r->person);
    r->text = part_of(m, "text/plain");
    r->text = r->text ? r->text : part_of(m, "text/html");
    r->subject = mime_field(m, "Subject");
    r->kind = r->text && (r->id[0] || r->person[0]) ? REPORT_REPLY : REPORT_UNREADABLE;
}

void report_read(const struct email_key *key, const struct mime_mail *m, struct report *r)
{
    *r = (struct report){.kind = REPORT_AUTOMATIC};
    if (addressed(key, m, EMAIL_FOR_LEAVE, r))
        r->kind = REPORT_LEAVE;
    else if (!strcmp(m->type, "multipart/report") && !strcmp(m->report_type, "delivery-status"))
        read_bounce(key, m, r);
    else if (!strcmp(m->type, "multipart/report") && !strcmp(m->report_type, "feedback-report"))
        read_feedback(key, m, r);
    else if (strcmp(m->type, "multipart/report") != 0)
        read_letter(key, m, r);
}

size_t report_own_words(const struct mime_part *p, char *out, size_t size)
{
    size_t n = 0;
    const char *at = p->body, *end = p->body + p->len;
    while (at < end && n + 1 < size) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((eol ? eol + 1 : end) - at);
        if (*at != '>') {
            size_t room = size - 1 - n, take = len < room ? len : room;
            memcpy(out + n, at, take);
            n += take;
        }
        at += len;
    }
    /* cut inside a letter: back to its beginning */
    size_t tail = n;
    while (tail && ((unsigned char)out[tail - 1] & 0xc0) == 0x80)
        tail--;
    if (n == size - 1 && tail && ((unsigned char)out[tail - 1] & 0x80))
        n = tail - 1;
    while (n && strchr(" \t\r\n", out[n - 1]))
        n--;
    out[n] = 0;
    return n;
}
