/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - option schema and its reading. Types and ranges are checked by the gateway from the
 * schema; here is what only SMPP knows. Must not touch the network or print a secret. Lengths: SMPP
 * v3.4 issue 1.2, 4.1.1 and 4.4.1. */
#include "options.h"
#include "inflight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INT(key, def, lo, hi, unit, help)                                                          \
    {                                                                                              \
        key, CGW_OPT_INT, 0, def, lo, hi, NULL, unit, help                                         \
    }
#define STR(key, flags, def, hi, help)                                                             \
    {                                                                                              \
        key, CGW_OPT_STR, flags, def, 0, hi, NULL, NULL, help                                      \
    }
#define BOOL(key, def, help)                                                                       \
    {                                                                                              \
        key, CGW_OPT_BOOL, 0, def, 0, 1, NULL, NULL, help                                          \
    }
#define ENUM(key, def, choices, help)                                                              \
    {                                                                                              \
        key, CGW_OPT_ENUM, 0, def, 0, 0, choices, NULL, help                                       \
    }
#define LIST(key, def, help)                                                                       \
    {                                                                                              \
        key, CGW_OPT_LIST, 0, def, 0, 255, NULL, NULL, help                                        \
    }

const struct cgw_option smpp_option_schema[] = {
    STR("host", CGW_OPTF_REQUIRED, NULL, 255, "name or address of the SMSC"),
    INT("port", "2775", 1, 65535, NULL, "TCP port of the SMSC; SMPPS often listens on 3550"),
    BOOL("tls", "false", "SMPP inside TLS from the first octet"),
    STR("tls_ca", 0, NULL, 511, "PEM file with the CA certificates; unset: the system's"),
    STR("tls_name", 0, NULL, 255, "name the certificate must carry; unset: host"),
    BOOL("tls_verify", "true", "refuse a certificate that does not verify"),
    STR("tls_cert", 0, NULL, 511, "PEM file with our certificate chain"),
    STR("tls_key", 0, NULL, 511, "PEM file with its key; unset: in tls_cert"),
    STR("system_id", CGW_OPTF_REQUIRED, NULL, 15, "account name"),
    STR("password", CGW_OPTF_SECRET, NULL, 8, "credential that holds the account's password"),
    STR("system_type", 0, "", 12, "as the operator demands, usually empty"),
    ENUM("bind_mode", "trx", "trx|txrx", "transceivers, or pairs of transmitter and receiver"),
    INT("binds", "1", 1, 32, "binds", "parallel binds (txrx: pairs)"),
    INT("window", "10", 1, 10000, "parts", "unanswered submit_sm per bind"),
    INT("urgent_percent", "10", 0, 50, "percent", "share of each window kept for the urgent lane"),
    INT("rate", "0", 0, 100000, "parts/s",
        "most parts per second of the account over all binds, 0 = no limit"),
    STR("address_range", 0, "", 40, "address_range of the bind"),
    INT("addr_ton", "0", 0, 6, NULL, "addr_ton of the bind"),
    INT("addr_npi", "0", 0, 18, NULL, "addr_npi of the bind"),
    STR("default_sender", 0, NULL, 21, "sender of messages that name none"),
    STR("sender_type", 0, "auto", 8, "TON/NPI of every sender, or auto"),
    STR("shortcode_type", 0, "auto", 8, "TON/NPI of senders that are short codes, or auto"),
    STR("dest_type", 0, "auto", 8, "TON/NPI of recipients, or auto"),
    BOOL("dest_plus", "false", "keep the + of international recipients"),
    STR("region", 0, NULL, 2, "ISO 3166-1 country of national numbers in replies"),
    ENUM("alphabet", "gsm", "gsm|latin1|ascii", "what the SMSC takes data_coding 0 for"),
    LIST("encodings", "gsm,ucs2", "codings that may be used: gsm, ascii, latin1, ucs2"),
    ENUM("long_message", "udh8", "udh8|udh16|sar|payload", "how texts of several segments travel"),
    INT("max_segments", "8", 1, 255, "segments", "longest message"),
    ENUM("registered_delivery", "all", "all|failures|none",
         "receipts asked for when the campaign wants them"),
    BOOL("intermediate", "false", "ask for intermediate notifications too"),
    ENUM("validity", "absolute", "absolute|relative|none", "form of validity_period"),
    INT("validity_min_ms", "60000", 1000, 86400000, "ms",
        "shortest validity; less time left is not sent"),
    INT("validity_max_ms", "172800000", 60000, 2592000000, "ms",
        "longest validity the SMSC accepts"),
    INT("validity_margin_ms", "0", 0, 3600000, "ms",
        "taken off the end: clock difference, time on the way"),
    STR("service_type", 0, "", 5, "service_type of messages whose route names none"),
    LIST("tlvs", NULL, "optional parameters of every submit_sm, TAG=HEX"),
    BOOL("user_reference", "false",
         "send user_message_reference; for SMSCs that return it with the receipt"),
    ENUM("id_resp", "auto", "auto|dec|hex|raw", "how submit_sm_resp writes message ids"),
    ENUM("id_receipt", "auto", "auto|dec|hex|raw", "how receipts write message ids"),
    ENUM("receipts_per", "part", "part|message",
         "one receipt for each part or one for the whole message"),
    BOOL("query", "true", "ask by query_sm what became of messages whose receipt is overdue"),
    BOOL("cancel", "false",
         "take back by cancel_sm what the SMSC has not delivered when a campaign is cancelled"),
    INT("enquire_link_ms", "30000", 100, 3600000, "ms",
        "ask after this long without hearing anything"),
    INT("enquire_timeout_ms", "10000", 100, 600000, "ms", "no answer by then: the link is dead"),
    INT("response_timeout_ms", "60000", 100, 3600000, "ms",
        "a submit_sm without answer becomes unknown"),
    INT("bind_timeout_ms", "10000", 100, 600000, "ms",
        "limit of each step: connect, TLS, bind, unbind"),
    INT("reconnect_min_ms", "1000", 10, 3600000, "ms", "first pause before connecting again"),
    INT("reconnect_max_ms", "60000", 10, 3600000, "ms", "longest pause"),
    INT("bind_refused_ms", "300000", 10, 86400000, "ms",
        "pause after a refusal that will not heal by itself"),
    INT("ramp_ms", "2000", 0, 600000, "ms", "the window opens over this long after a reconnect"),
    INT("throttle_min_ms", "100", 1, 60000, "ms", "first pause after a throttling answer"),
    INT("throttle_max_ms", "5000", 1, 600000, "ms", "longest pause"),
    STR("retry", 0, "", 2000, "overrides of the retry table, 0x61=transient:30000:3,..."),
    INT("mo_part_hold_ms", "200", 0, 10000, "ms",
        "a part of a long reply waits this long for the others before it is answered"),
    INT("mo_parts_timeout_ms", "600000", 1000, 86400000, "ms",
        "incomplete long replies are passed on after this"),
    INT("mo_duplicate_ms", "30000", 0, 3600000, "ms",
        "the same reply again within this is the SMSC repeating itself, 0 = off"),
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

/* ---- reading ---- */

struct reader {
    const struct cgw_host *host;
    const struct cgw_conf *conf;
    struct cgw_diag *diag;
    int rc; /* first failure; later reads do nothing */
};

static void refuse(struct reader *r, const char *key, const char *what)
{
    if (r->rc)
        return;
    r->rc = r->diag->code = CGW_EINVAL;
    (void)snprintf(r->diag->where, sizeof r->diag->where, "%s", key);
    (void)snprintf(r->diag->text, sizeof r->diag->text, "%s", what);
}

/* A helper of the pure half filled diag: add whose option it was. */
static void blame(struct reader *r, const char *key, int rc)
{
    if (rc == 0 || r->rc)
        return;
    r->rc = r->diag->code = rc;
    (void)snprintf(r->diag->where, sizeof r->diag->where, "%s", key);
}

static const char *text_of(struct reader *r, const char *key)
{
    const char *s = r->host->conf_str(r->conf, key);
    return s ? s : "";
}

static void copy(struct reader *r, const char *key, char *out, size_t size)
{
    const char *s = text_of(r, key);
    size_t len = strlen(s);
    if (len >= size) {
        char what[80];
        (void)snprintf(what, sizeof what, "has %zu characters; at most %zu are possible", len,
                       size - 1);
        refuse(r, key, what);
        return;
    }
    memcpy(out, s, len + 1);
}

static int64_t num(struct reader *r, const char *key)
{
    return r->host->conf_int(r->conf, key);
}

/* Position of the option's word in a list of words; the schema has already refused others. */
static uint32_t word(struct reader *r, const char *key, const char *const *words, uint32_t n)
{
    const char *s = text_of(r, key);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0)
            return i;
    refuse(r, key, "is not one of the possible words");
    return 0;
}
#define WORD(r, key, words) word(r, key, words, (uint32_t)(sizeof(words) / sizeof((words)[0])))

static void read_link(struct reader *r, struct smpp_options *o)
{
    copy(r, "host", o->host, sizeof o->host);
    if (o->host[0] == '\0')
        refuse(r, "host", "is empty; name the SMSC");
    o->port = (uint16_t)num(r, "port");
    o->tls = num(r, "tls") != 0;
    o->tls_verify = num(r, "tls_verify") != 0;
    copy(r, "tls_ca", o->tls_ca, sizeof o->tls_ca);
    copy(r, "tls_cert", o->tls_cert, sizeof o->tls_cert);
    copy(r, "tls_key", o->tls_key, sizeof o->tls_key);
    copy(r, "tls_name", o->tls_name, sizeof o->tls_name);
    if (o->tls_name[0] == '\0')
        memcpy(o->tls_name, o->host, sizeof o->tls_name);
    if (o->tls_key[0] != '\0' && o->tls_cert[0] == '\0')
        refuse(r, "tls_key", "is set without tls_cert; set both or none");
}

static void read_account(struct reader *r, struct smpp_options *o)
{
    static const char *const modes[] = {"trx", "txrx"};
    copy(r, "system_id", o->system_id, sizeof o->system_id);
    copy(r, "password", o->password, sizeof o->password);
    copy(r, "system_type", o->system_type, sizeof o->system_type);
    copy(r, "address_range", o->address_range, sizeof o->address_range);
    copy(r, "service_type", o->service_type, sizeof o->service_type);
    o->addr_ton = (uint8_t)num(r, "addr_ton");
    o->addr_npi = (uint8_t)num(r, "addr_npi");
    o->separate = WORD(r, "bind_mode", modes) == 1;
    o->binds = (uint32_t)num(r, "binds");
    o->window = (uint32_t)num(r, "window");
    o->urgent_percent = (uint32_t)num(r, "urgent_percent");
    o->rate = num(r, "rate");
    if (r->rc)
        return;
    struct smpp_bind bind = {
        .command = SMPP_BIND_TRANSCEIVER,
        .system_id = o->system_id,
        .password = o->password,
        .system_type = o->system_type,
        .address_range = o->address_range,
        .interface_version = 0x34,
        .addr_ton = o->addr_ton,
        .addr_npi = o->addr_npi,
    };
    int rc = smpp_bind_check(&bind, r->diag);
    if (rc) {
        r->rc = rc;
        if (r->diag->where[0] == '\0')
            blame(r, "system_id", rc);
    }
}

static void read_addresses(struct reader *r, struct smpp_options *o)
{
    struct smpp_addr_rules *a = &o->addr_rules;
    *a = (struct smpp_addr_rules)SMPP_ADDR_RULES_AUTO;
    a->dest_plus = num(r, "dest_plus") != 0;
    blame(r, "sender_type",
          smpp_addr_rule_parse(text_of(r, "sender_type"), &a->source_ton, &a->source_npi, r->diag));
    blame(
        r, "shortcode_type",
        smpp_addr_rule_parse(text_of(r, "shortcode_type"), &a->short_ton, &a->short_npi, r->diag));
    blame(r, "dest_type",
          smpp_addr_rule_parse(text_of(r, "dest_type"), &a->dest_ton, &a->dest_npi, r->diag));
    copy(r, "region", o->region, sizeof o->region);
    copy(r, "default_sender", o->default_sender, sizeof o->default_sender);
    if (r->rc || o->default_sender[0] == '\0')
        return;
    o->default_sender_kind = smpp_addr_guess(o->default_sender);
    if (o->default_sender_kind == 0) {
        refuse(r, "default_sender", "is no number, short code or name of at most 11 characters");
        return;
    }
    struct cgw_address from = {o->default_sender_kind, (uint32_t)strlen(o->default_sender),
                               o->default_sender};
    struct smpp_addr unused;
    blame(r, "default_sender", smpp_addr_source(&from, a, &unused, r->diag));
}

static void read_text(struct reader *r, struct smpp_options *o)
{
    static const char *const alphabets[] = {"gsm", "latin1", "ascii"};
    static const enum smpp_alphabet defaults[] = {SMPP_ALPHA_GSM, SMPP_ALPHA_LATIN1,
                                                  SMPP_ALPHA_ASCII};
    static const struct {
        const char *name;
        enum smpp_alphabet alphabet;
    } codings[] = {{"gsm", SMPP_ALPHA_GSM},
                   {"ascii", SMPP_ALPHA_ASCII},
                   {"latin1", SMPP_ALPHA_LATIN1},
                   {"ucs2", SMPP_ALPHA_UCS2}};
    static const char *const splits[] = {"udh8", "udh16", "sar", "payload"};
    static const enum smpp_split split_of[] = {SMPP_SPLIT_UDH8, SMPP_SPLIT_UDH16, SMPP_SPLIT_SAR,
                                               SMPP_SPLIT_PAYLOAD};

    o->text_rules.default_alphabet = defaults[WORD(r, "alphabet", alphabets)];
    for (uint32_t i = 0; i < r->host->conf_count(r->conf, "encodings"); i++) {
        const char *item = r->host->conf_item(r->conf, "encodings", i);
        uint32_t bit = 0;
        for (size_t k = 0; k < sizeof codings / sizeof codings[0]; k++)
            if (strcmp(item, codings[k].name) == 0)
                bit = SMPP_ALLOW(codings[k].alphabet);
        if (bit == 0)
            refuse(r, "encodings", "knows gsm, ascii, latin1 and ucs2");
        o->text_rules.allowed |= bit;
    }
    o->split = split_of[WORD(r, "long_message", splits)];
    o->max_segments = (uint32_t)num(r, "max_segments");
}

static void read_submit(struct reader *r, struct smpp_options *o)
{
    static const char *const wants[] = {"none", "all",
                                        "failures"}; /* SMPP v3.4 5.2.17: values 0, 1, 2 */
    o->registered_delivery = (uint8_t)WORD(r, "registered_delivery", wants);
    if (num(r, "intermediate") != 0)
        o->registered_delivery |= 0x10;
    if (smpp_validity_parse(text_of(r, "validity"), &o->validity.form) != 0)
        refuse(r, "validity", "knows absolute, relative and none");
    o->validity.min_ms = num(r, "validity_min_ms");
    o->validity.max_ms = num(r, "validity_max_ms");
    o->validity.margin_ms = num(r, "validity_margin_ms");
    if (o->validity.max_ms < o->validity.min_ms)
        refuse(r, "validity_max_ms", "is below validity_min_ms");
    for (uint32_t i = 0; i < r->host->conf_count(r->conf, "tlvs"); i++)
        blame(r, "tlvs",
              smpp_extra_add(&o->extra, r->host->conf_item(r->conf, "tlvs", i), r->diag));
    o->user_reference = num(r, "user_reference") != 0;
    o->query = num(r, "query") != 0;
    o->cancel = num(r, "cancel") != 0;
    blame(r, "retry", smpp_retry_init(&o->retry, text_of(r, "retry"), r->diag));
}

static void read_receipts(struct reader *r, struct smpp_options *o)
{
    static const char *const per[] = {"part", "message"};
    if (smpp_idform_parse(text_of(r, "id_resp"), &o->id_resp) != 0)
        refuse(r, "id_resp", "knows auto, dec, hex and raw");
    if (smpp_idform_parse(text_of(r, "id_receipt"), &o->id_receipt) != 0)
        refuse(r, "id_receipt", "knows auto, dec, hex and raw");
    o->receipt_is_whole = WORD(r, "receipts_per", per) == 1;
    o->mo_part_hold_ms = num(r, "mo_part_hold_ms");
    o->mo_parts_timeout_ms = num(r, "mo_parts_timeout_ms");
    o->mo_duplicate_ms = num(r, "mo_duplicate_ms");
}

static void read_times(struct reader *r, struct smpp_options *o)
{
    o->enquire_link_ms = num(r, "enquire_link_ms");
    o->enquire_timeout_ms = num(r, "enquire_timeout_ms");
    o->response_timeout_ms = num(r, "response_timeout_ms");
    o->bind_timeout_ms = num(r, "bind_timeout_ms");
    o->reconnect_min_ms = num(r, "reconnect_min_ms");
    o->reconnect_max_ms = num(r, "reconnect_max_ms");
    o->bind_refused_ms = num(r, "bind_refused_ms");
    o->ramp_ms = num(r, "ramp_ms");
    o->throttle.pause_min_ms = num(r, "throttle_min_ms");
    o->throttle.pause_max_ms = num(r, "throttle_max_ms");
    if (o->reconnect_max_ms < o->reconnect_min_ms)
        refuse(r, "reconnect_max_ms", "is below reconnect_min_ms");
    if (o->throttle.pause_max_ms < o->throttle.pause_min_ms)
        refuse(r, "throttle_max_ms", "is below throttle_min_ms");
}

int smpp_options_read(struct smpp_options *o, const struct cgw_host *host,
                      const struct cgw_conf *conf, struct cgw_diag *diag)
{
    struct reader r = {.host = host, .conf = conf, .diag = diag};
    memset(o, 0, sizeof *o);
    diag->where[0] = diag->text[0] = '\0';
    read_link(&r, o);
    read_account(&r, o);
    read_addresses(&r, o);
    read_text(&r, o);
    read_submit(&r, o);
    read_receipts(&r, o);
    read_times(&r, o);
    return r.rc;
}
