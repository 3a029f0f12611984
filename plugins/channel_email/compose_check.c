/* SPDX-License-Identifier: Apache-2.0 */
/* compose_check.c - what may be sent: the judgement before compose.c writes. See compose.h. */
#include "compose.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define SUBJECT_MAX 900u
#define HEADER_MAX 1000u
#define OVERHEAD 2048u /* header and boundaries, about */

static bool refuse(struct cgw_check *ret, int32_t code, const char *text)
{
    ret->code = code;
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
    return false;
}

/* An address that needs no quoting anywhere it will stand: header, MAIL, RCPT, curl. */
static bool address_ok(const struct cgw_address *a)
{
    const char *at = a->text ? memchr(a->text, '@', a->len) : NULL;
    if (!at || at == a->text || a->len > 254 || at - a->text > 64 || at + 1 == a->text + a->len)
        return false;
    for (uint32_t i = 0; i < a->len; i++) {
        unsigned char c = (unsigned char)a->text[i];
        if (c <= 0x20 || c == 0x7f || strchr("<>()[]\\,;:\"", c))
            return false;
    }
    return !memchr(at + 1, '@', (size_t)(a->text + a->len - at - 1));
}

static bool has_control(const struct cgw_part *p)
{
    for (uint32_t i = 0; i < p->len; i++)
        if ((unsigned char)p->body[i] < 0x20 || p->body[i] == 0x7f)
            return true;
    return false;
}

/* Field names that this channel writes itself, or that would send copies to others. */
static bool header_ok(const struct cgw_part *p, struct cgw_check *ret)
{
    static const char *const ours[] = {"From",
                                       "To",
                                       "Cc",
                                       "Bcc",
                                       "Date",
                                       "Message-ID",
                                       "Subject",
                                       "Sender",
                                       "Return-Path",
                                       "Received",
                                       "List-Unsubscribe",
                                       "Content-",
                                       "Resent-",
                                       "MIME-Version",
                                       "List-Unsubscribe-Post",
                                       "DKIM-Signature"};
    const char *colon = p->body ? memchr(p->body, ':', p->len) : NULL;
    size_t n = colon ? (size_t)(colon - p->body) : 0;
    if (!n || n > 76 || p->len > HEADER_MAX || has_control(p))
        return refuse(ret, CGW_EINVAL,
                      "a HEADER part is written \"Name: value\", at most 1000 bytes, no line ends");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p->body[i] <= 0x20 || (unsigned char)p->body[i] >= 0x7f)
            return refuse(ret, CGW_EINVAL, "a header name holds a blank or a letter beyond ASCII");
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        size_t len = strlen(ours[i]);
        bool family = ours[i][len - 1] == '-';
        if (n >= len && !strncasecmp(p->body, ours[i], len) && (family || n == len)) {
            (void)snprintf(ret->text, sizeof ret->text,
                           "the header field %.*s is written by the channel", (int)n, p->body);
            ret->code = CGW_EINVAL;
            return false;
        }
    }
    return true;
}

static bool media_ok(const struct cgw_part *p, struct cgw_check *ret)
{
    if (!p->media && !p->body)
        return refuse(ret, CGW_EINVAL, "a MEDIA part holds nothing");
    for (const char *s = p->name ? p->name : ""; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f || strchr("<>\"", *s) || s - p->name > 150)
            return refuse(ret, CGW_EINVAL,
                          "the name of a MEDIA part has at most 150 bytes and no <, >, \"");
    return true;
}

static bool part_ok(const struct cgw_part *p, uint32_t *seen, struct cgw_check *ret)
{
    if (p->role != CGW_ROLE_MEDIA && p->role <= CGW_ROLE_FLOW && p->len && !p->body)
        return refuse(ret, CGW_EINVAL, "a part holds nothing");
    switch (p->role) {
    case CGW_ROLE_HEADER:
        return header_ok(p, ret);
    case CGW_ROLE_MEDIA:
        return media_ok(p, ret);
    case CGW_ROLE_SUBJECT:
        if (p->len > SUBJECT_MAX || has_control(p))
            return refuse(ret, CGW_EINVAL, "a subject has at most 900 bytes and no line ends");
        break;
    case CGW_ROLE_TEXT:
    case CGW_ROLE_HTML:
        if (!p->len)
            return refuse(ret, CGW_EINVAL, "the text is empty");
        break;
    default:
        return refuse(ret, CGW_EINVAL,
                      "a mail is made of SUBJECT, TEXT, HTML, HEADER and MEDIA parts");
    }
    if (*seen & 1u << p->role)
        return refuse(ret, CGW_EINVAL, "a mail has one SUBJECT, one TEXT and one HTML part");
    *seen |= 1u << p->role;
    return true;
}

/* Base64 costs a third, and a line end for every 57 bytes. */
static uint64_t on_the_wire(uint64_t n)
{
    return n + n / 3 + n / 28 + 4;
}

void compose_check(const struct compose_conf *c, const struct cgw_host *host,
                   const struct cgw_message *m, struct cgw_check *ret)
{
    uint64_t bytes = OVERHEAD;
    uint32_t seen = 0;
    *ret = (struct cgw_check){.size = sizeof *ret, .segments = 1, .encoding = "utf-8"};
    if (!address_ok(&m->to)) {
        (void)refuse(ret, CGW_EINVAL, "the recipient is no mail address of the form name@domain");
        return;
    }
    if (m->from.kind && (m->from.kind != CGW_ADDR_EMAIL || !address_ok(&m->from))) {
        (void)refuse(ret, CGW_EINVAL, "the sender is no mail address of the form name@domain");
        return;
    }
    if (!m->from.kind && !c->from) {
        (void)refuse(ret, CGW_EINVAL, "neither the message nor the option from names a sender");
        return;
    }
    for (uint32_t i = 0; i < m->n_parts; i++) {
        if (!part_ok(&m->parts[i], &seen, ret))
            return;
        int64_t size = m->parts[i].media ? host->media_size(m->parts[i].media) : 0;
        if (size < 0) {
            (void)refuse(ret, CGW_EINVAL, "a MEDIA part names a medium that is not there");
            return;
        }
        bytes += on_the_wire(m->parts[i].len + (uint64_t)size);
    }
    ret->units = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    if (!(seen & (1u << CGW_ROLE_TEXT | 1u << CGW_ROLE_HTML)))
        (void)refuse(ret, CGW_EINVAL, "a mail needs a TEXT or an HTML part");
    else if (bytes > c->max_bytes) {
        ret->code = CGW_ELIMIT;
        (void)snprintf(ret->text, sizeof ret->text,
                       "the mail would have about %" PRIu64 " bytes, max_bytes is %" PRIu64, bytes,
                       c->max_bytes);
    }
}
