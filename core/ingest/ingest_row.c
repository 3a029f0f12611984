/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_row.c - judge one row: addresses, the person's own properties, field values. One reject
 * per row: the first thing wrong in the order below. Sources: RFC 5646 (language tags), ISO
 * 3166-1/-2 (regions), tzdata (zones). */
#include "ingest/ingest_int.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    uint32_t channel;
    enum ingest_column needs;
    bool any_address;
} channels[] = {
    {"sms", CGW_CHANNEL_SMS, COL_MSISDN, false},     {"mms", CGW_CHANNEL_MMS, COL_MSISDN, false},
    {"voice", CGW_CHANNEL_VOICE, COL_MSISDN, false}, {"email", CGW_CHANNEL_EMAIL, COL_EMAIL, false},
    {"task", CGW_CHANNEL_TASK, COL_MSISDN, true},
};

/* A row in judgement. */
struct draft {
    struct ingest *in;
    const struct raw_row *raw;
    struct ingest_row out;
    struct address number, email;
    char text[COL_RESERVED][INGEST_EXTERNAL_ID_MAX + 1];
    char params[PARAMS_MAX];
    size_t params_len;
};

static int refuse(struct draft *d, enum ingest_column col, const char *code, const char *text)
{
    ingest_reject_row(d->in, d->raw->line, col < COL_RESERVED ? ingest_column_names[col] : "", code,
                      "%s", text);
    return CGW_EINVAL;
}

/* Cell without blanks around it. */
static struct cell trimmed(const struct draft *d, enum ingest_column col)
{
    struct cell c = d->raw->reserved[col];
    while (c.len && (*c.data == ' ' || *c.data == '\t')) {
        c.data++;
        c.len--;
    }
    while (c.len && (c.data[c.len - 1] == ' ' || c.data[c.len - 1] == '\t'))
        c.len--;
    return c;
}

/* "8.61E+12": what a spreadsheet makes of a long number. */
static bool is_scientific(struct cell c)
{
    size_t digits = 0;
    for (size_t i = 0; i < c.len; i++) {
        if ((c.data[i] == 'E' || c.data[i] == 'e') && digits && i + 2 < c.len &&
            c.data[i + 1] == '+')
            return true;
        if (c.data[i] != '.' && c.data[i] != ',' && (c.data[i] < '0' || c.data[i] > '9'))
            return false;
        digits++;
    }
    return false;
}

static int take_address(struct draft *d, enum ingest_column col, uint32_t kind, struct address *ret)
{
    struct cell c = trimmed(d, col);
    enum address_fault fault;
    struct diag why;
    if (!c.len)
        return 0;
    if (address_normalise_why(c.data, c.len, kind, d->in->opts.default_region, ret, &fault, &why) ==
        0)
        return 0;
    if (kind == CGW_ADDR_E164 && is_scientific(c))
        return refuse(
            d, col, "number_scientific",
            "A spreadsheet turned the number into scientific notation and lost digits; format "
            "the column as text and export again.");
    return refuse(d, col, address_fault_code(fault), why.text);
}

static int take_addresses(struct draft *d)
{
    const struct ingest_opts *o = &d->in->opts;
    int rc = take_address(d, COL_MSISDN, CGW_ADDR_E164, &d->number);
    if (rc == 0)
        rc = take_address(d, COL_EMAIL, CGW_ADDR_EMAIL, &d->email);
    if (rc < 0)
        return rc;
    if (!d->number.text[0] && !d->email.text[0] &&
        !(o->customer_names && trimmed(d, COL_CUSTOMER).len))
        return refuse(d, COL_RESERVED, "address_missing",
                      o->customer_names ? "The row names nobody; fill msisdn, email or customer."
                                        : "The row has no address; fill msisdn or email.");
    if (o->require_msisdn && !d->number.text[0])
        return refuse(d, COL_MSISDN, "msisdn_required",
                      "The row has no number, which this upload needs.");
    if (o->require_email && !d->email.text[0])
        return refuse(d, COL_EMAIL, "email_required",
                      "The row has no e-mail address, which this upload needs.");
    if (o->refuse_fixed_line && d->number.line == ADDRESS_LINE_FIXED)
        return refuse(d, COL_MSISDN, "number_fixed_line",
                      "The number is a fixed line; give a mobile number.");
    return 0;
}

static bool has_control(const char *s, size_t len, bool lines_allowed)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)s[i];
        if ((c < 0x20 && !(lines_allowed && (c == '\n' || c == '\r' || c == '\t'))) || c == 0x7f)
            return true;
    }
    return false;
}

/* Copy a short text into the draft. \return 1 present, 0 absent, negative refused */
static int take_text(struct draft *d, enum ingest_column col, size_t max, const char *code,
                     const char *why)
{
    struct cell c = trimmed(d, col);
    if (c.len > max)
        return refuse(d, col, code, why);
    if (has_control(c.data, c.len, false))
        return refuse(d, col, "control_character",
                      "The cell holds a control character or a line end; remove it.");
    if (c.len)
        memcpy(d->text[col], c.data, c.len);
    d->text[col][c.len] = 0;
    return c.len > 0;
}

static int take_zone(struct draft *d)
{
    static const char why[] = "tzdata has no such zone; write an IANA name such as Asia/Shanghai.";
    int rc = take_text(d, COL_ZONE, sizeof d->in->zone_seen - 1, "zone_unknown", why);
    const char *zone = d->text[COL_ZONE];
    if (rc <= 0 || !strcmp(zone, d->in->zone_seen))
        return rc;
    if (!address_zone_known(zone))
        return refuse(d, COL_ZONE, "zone_unknown", why);
    memcpy(d->in->zone_seen, zone, strlen(zone) + 1);
    return 0;
}

static bool is_upper_or_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* "CN" or "CN-GD": a country that exists, and at most three characters behind the dash (ISO
 * 3166-2). */
static bool region_ok(const char *r)
{
    size_t len = strlen(r);
    char country[3] = {r[0], len > 1 ? r[1] : (char)0, 0};
    const char *zones[1];
    if (len < 2 || (len > 2 && (r[2] != '-' || len < 4 || len > 6)))
        return false;
    for (size_t i = 3; i < len; i++)
        if (!is_upper_or_digit(r[i]))
            return false;
    return address_region_known(country) || address_region_zones(country, zones, 0) > 0;
}

static int take_region(struct draft *d)
{
    static const char why[] =
        "This is no ISO 3166 region; write a country such as CN, or a part of one such as CN-GD.";
    int rc = take_text(d, COL_REGION, INGEST_REGION_MAX, "region_unknown", why);
    char *region = d->text[COL_REGION];
    if (rc <= 0)
        return rc;
    for (char *p = region; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    if (!strcmp(region, d->in->region_seen))
        return 0;
    if (!region_ok(region))
        return refuse(d, COL_REGION, "region_unknown", why);
    memcpy(d->in->region_seen, region, strlen(region) + 1);
    return 0;
}

static bool lang_ok(const char *s)
{
    size_t part = 0, parts = 0;
    for (;; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
        if (letter || (parts && *s >= '0' && *s <= '9')) {
            part++;
            continue;
        }
        if (*s && *s != '-')
            return false;
        if (part < (parts ? 1u : 2u) || part > (parts ? 8u : 3u))
            return false;
        if (!*s)
            return true;
        parts++;
        part = 0;
    }
}

static int take_lang(struct draft *d)
{
    static const char why[] = "This is no language tag; write one such as en or zh-CN.";
    int rc = take_text(d, COL_LANG, INGEST_LANG_MAX, "lang_syntax", why);
    return rc > 0 && !lang_ok(d->text[COL_LANG]) ? refuse(d, COL_LANG, "lang_syntax", why) : rc;
}

static int take_channel(struct draft *d)
{
    static const char why[] =
        "The channel is unknown; write sms, mms, voice, email or task, or leave it empty.";
    int rc = take_text(d, COL_CHANNEL, 16, "channel_unknown", why);
    if (rc <= 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
        if (strcasecmp(d->text[COL_CHANNEL], channels[i].name) != 0)
            continue;
        const struct address *a = channels[i].needs == COL_EMAIL ? &d->email : &d->number;
        if (!channels[i].any_address && !a->text[0] &&
            !(d->in->opts.customer_names && d->text[COL_CUSTOMER][0]))
            return refuse(d, COL_CHANNEL, "channel_address",
                          "The row has no address for its channel; sms, mms and voice need msisdn, "
                          "email needs email.");
        d->out.channel = channels[i].channel;
        return 0;
    }
    return refuse(d, COL_CHANNEL, "channel_unknown", why);
}

static int refuse_field(struct draft *d, uint32_t field, const char *code, const char *text)
{
    ingest_reject_row(d->in, d->raw->line, ingest_field_label(d->in, field), code, "%s", text);
    return CGW_EINVAL;
}

/* Pack in place: the same form as params_pack(), trailing absent values left out. */
static int take_fields(struct draft *d)
{
    size_t used = 0, keep = 0;
    for (uint32_t i = 0; i < d->in->n_fields; i++) {
        const struct cell *c = &d->raw->field[i];
        if (c->len > CGW_FIELD_MAX)
            return refuse_field(d, i, "field_too_long",
                                "The value is longer than 256 bytes; shorten it.");
        if (c->len && has_control(c->data, c->len, true))
            return refuse_field(
                d, i, "control_character",
                "The value holds a control character; only line ends and tabs may stand in it.");
        if (i)
            d->params[used++] = PARAMS_SEPARATOR;
        if (!c->len)
            continue;
        memcpy(d->params + used, c->data, c->len);
        used += c->len;
        keep = used;
    }
    d->params_len = keep;
    d->params[keep] = 0;
    return 0;
}

int ingest_row_take(struct ingest *in, const struct raw_row *raw, struct diag *diag)
{
    struct draft d;
    d.in = in;
    d.raw = raw;
    d.number.text[0] = d.email.text[0] = 0;
    d.number.line = ADDRESS_LINE_NONE;
    memset(d.number.region, 0, sizeof d.number.region);
    d.out = (struct ingest_row){.line = raw->line};
    if (take_addresses(&d) < 0 ||
        take_text(&d, COL_CUSTOMER, INGEST_EXTERNAL_ID_MAX, "customer_too_long",
                  "The customer id is longer than 128 bytes.") < 0 ||
        take_zone(&d) < 0 || take_region(&d) < 0 || take_lang(&d) < 0 || take_channel(&d) < 0 ||
        take_fields(&d) < 0)
        return 0; /* rejected and reported; the upload goes on */
    d.out.msisdn = d.number.text;
    d.out.email = d.email.text;
    d.out.customer = d.text[COL_CUSTOMER];
    d.out.zone = d.text[COL_ZONE];
    d.out.region = d.text[COL_REGION];
    d.out.lang = d.text[COL_LANG];
    d.out.number_line = d.number.line;
    memcpy(d.out.number_region, d.number.region, sizeof d.out.number_region);
    d.out.params = d.params;
    d.out.params_len = d.params_len;
    in->counts.rows++;
    in->counts.accepted++;
    return in->row ? in->row(in->ctx, &d.out, diag) : 0;
}
