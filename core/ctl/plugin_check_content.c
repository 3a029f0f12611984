/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_content.c - messages to try a channel plugin with: one plain, many odd. All numbers
 * are from ranges no person has. */
#include "plugin_check.h"

#include <string.h>

static const char *const addresses[] = {
    [CGW_ADDR_E164] = "+99900000001",
    [CGW_ADDR_EMAIL] = "nobody@example.invalid",
    [CGW_ADDR_SIP] = "sip:nobody@example.invalid",
    [CGW_ADDR_SHORTCODE] = "99900",
    [CGW_ADDR_ALPHA] = "campgw",
    [CGW_ADDR_EXTERNAL] = "customer-1",
};

static struct cgw_address address_of(uint32_t kind)
{
    const char *text = addresses[kind];
    return (struct cgw_address){kind, (uint32_t)strlen(text), text};
}

static const struct {
    uint32_t role;
    const char *mime, *body;
} plain[] = {
    {CGW_ROLE_TEXT, "text/plain; charset=utf-8", "campgw-plugin-check"},
    {CGW_ROLE_FLOW, "application/json", "{\"say\":\"campgw-plugin-check\"}"},
    {CGW_ROLE_HTML, "text/html; charset=utf-8", "<p>campgw-plugin-check</p>"},
    {CGW_ROLE_SUBJECT, "text/plain; charset=utf-8", "campgw-plugin-check"},
    {CGW_ROLE_HEADER, "text/plain; charset=utf-8", "X-Check: campgw-plugin-check"},
    {CGW_ROLE_MEDIA, "image/png", "\x89PNG"},
};

void check_plain_message(struct cgw_message *ret, struct cgw_part *part,
                         const struct cgw_channel_caps *caps, uint64_t token, uint32_t lane,
                         int64_t before_ms)
{
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(plain) && !(caps->role_mask & 1u << plain[i].role))
        i++;
    *part = (struct cgw_part){.role = plain[i].role,
                              .len = (uint32_t)strlen(plain[i].body),
                              .mime = plain[i].mime,
                              .body = plain[i].body};
    *ret = (struct cgw_message){
        .size = sizeof *ret,
        .lane = lane,
        .token = token,
        .channel = caps->channel,
        .contact_class = CGW_CLASS_SERVICE,
        .to = address_of(caps->address_kind),
        .submit_before_mono_ms = before_ms,
        .not_after_utc_ms = INT64_MAX / 2,
        .want_receipt = 1,
        .n_parts = 1,
        .parts = part,
    };
}

#define ODD(role_, body_)                                                                          \
    {                                                                                              \
        .role = role_, .len = sizeof body_ - 1, .mime = "text/plain; charset=utf-8", .body = body_ \
    }
static char long_text[CGW_BODY_MAX];
static struct cgw_part odd_parts[] = {
    ODD(CGW_ROLE_TEXT, ""),
    ODD(CGW_ROLE_TEXT, "a"),
    ODD(CGW_ROLE_TEXT, "\xff\xfe\x80 no UTF-8 \xc3"),
    ODD(CGW_ROLE_TEXT, "NUL \0 inside"),
    ODD(CGW_ROLE_TEXT,
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 \xe9\x80\x80\xe8\xae\xa2 [{}]~^|\xe2\x82\xac"),
    ODD(CGW_ROLE_HEADER, "Bad: a\r\nInjected: b"),
    ODD(CGW_ROLE_SUBJECT, "two\nlines"),
    ODD(CGW_ROLE_HTML, "<p>unclosed"),
    ODD(CGW_ROLE_FLOW, "{ not json"),
    {.role = CGW_ROLE_MEDIA, .mime = "image/png", .media = 0xdeadbeef},
    {.role = CGW_ROLE_TEXT,
     .len = sizeof long_text,
     .mime = "text/plain; charset=utf-8",
     .body = long_text},
    {.role = 99, .len = 1, .mime = "x", .body = "x"},
    {.role = CGW_ROLE_TEXT, .len = 1, .mime = "", .body = "x"},
    {.role = CGW_ROLE_HTML,
     .len = sizeof long_text,
     .mime = "text/html; charset=utf-8",
     .body = long_text},
    {.role = CGW_ROLE_FLOW, .len = sizeof long_text, .mime = "application/json", .body = long_text},
    {.role = CGW_ROLE_HEADER,
     .len = sizeof long_text,
     .mime = "text/plain; charset=utf-8",
     .body = long_text},
    {.role = CGW_ROLE_MEDIA, .mime = "image/png", .name = "../../etc/passwd", .media = 1},
    {.role = CGW_ROLE_MEDIA, .mime = "a/b\r\nX-Injected: 1", .name = "a\"b\r\n.png", .media = 1},
    {.role = CGW_ROLE_MEDIA, .len = 0, .mime = "image/png", .body = ""},
};
static struct cgw_part many_parts[CGW_PARTS_MAX], empty_parts[CGW_PARTS_MAX];

uint32_t check_odd_messages(struct cgw_message *ret, uint32_t channel, uint32_t address_kind)
{
    uint32_t n = 0;
    memset(long_text, 'x', sizeof long_text);
    struct cgw_message base = {
        .size = sizeof base, .channel = channel, .to = address_of(address_kind), .n_parts = 1};
    for (size_t i = 0; i < ARRAY_LEN(odd_parts); i++) {
        ret[n] = base;
        ret[n++].parts = &odd_parts[i];
    }
    for (size_t i = 0; i < CGW_PARTS_MAX; i++)
        many_parts[i] = odd_parts[1], empty_parts[i] = odd_parts[i % 2 ? 0 : 9];
    ret[n] = base;
    ret[n].parts = many_parts;
    ret[n++].n_parts = CGW_PARTS_MAX;
    ret[n] = base;
    ret[n].parts = empty_parts;
    ret[n++].n_parts = CGW_PARTS_MAX;
    for (uint32_t kind = CGW_ADDR_E164; kind <= CGW_ADDR_EXTERNAL;
         kind++) { /* recipients and senders of every kind */
        ret[n] = base;
        ret[n].parts = &odd_parts[1];
        ret[n].to = ret[n].from = address_of(kind);
        n++;
    }
    ret[n] = base;
    ret[n].parts = &odd_parts[1];
    ret[n++].to = (struct cgw_address){address_kind, 0, ""};
    return n;
}
_Static_assert(ARRAY_LEN(odd_parts) + 2 + CGW_ADDR_EXTERNAL + 1 <= CHECK_ODD_MAX, "room for all");
