/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - option schema and its reading. Types and ranges are checked by the gateway from the
 * schema; here is what only MM7 knows. Must not touch the network or print a secret. */
#include "options.h"

#include <ctype.h>
#include <stdio.h>
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
#define LIST(key, help)                                                                            \
    {                                                                                              \
        key, CGW_OPT_LIST, 0, NULL, 0, 255, NULL, NULL, help                                       \
    }

#define CLASSES "Advertisement|Informational|Personal|Auto|unset"
#define TRISTATE "unset|true|false"
#define PARTIES "unset|Sender|Recipient|Both|Neither|ThirdParty"
#define CONTENT_CLASSES                                                                            \
    "unset|text|image-basic|image-rich|video-basic|video-rich|megapixel|content-basic|content-"    \
    "rich"

const struct cgw_option mms_option_schema[] = {
    STR("url", CGW_OPTF_REQUIRED, NULL, 511, "where the MMSC takes MM7, http or https"),
    STR("user", 0, NULL, 127, "user of HTTP basic authentication at the MMSC"),
    STR("password", CGW_OPTF_SECRET, NULL, 127, "credential that holds its password"),
    BOOL("tls_verify", "true", "refuse a certificate that does not verify"),
    STR("tls_ca", 0, NULL, 511, "PEM file with the CA certificates; unset: the system's"),
    STR("tls_cert", 0, NULL, 511, "PEM file with our client certificate"),
    STR("tls_key", 0, NULL, 511, "PEM file with its key; unset: in tls_cert"),
    STR("tls_key_password", CGW_OPTF_SECRET, NULL, 127, "credential that opens the key"),
    LIST("headers", "further HTTP headers, \"Name: value\" each, at most 16"),
    ENUM("soap_action", "empty", "empty|namespace|none", "the SOAPAction header"),
    INT("connect_timeout_ms", "10000", 100, 120000, "ms", "limit of connecting, TLS included"),
    INT("response_timeout_ms", "30000", 100, 600000, "ms",
        "a request without an answer becomes unknown"),
    INT("reconnect_min_ms", "500", 10, 3600000, "ms", "first pause while it cannot be reached"),
    INT("reconnect_max_ms", "30000", 10, 3600000, "ms", "longest pause"),
    INT("window", "8", 1, 512, "messages", "unanswered requests, one connection each"),
    INT("urgent_percent", "10", 0, 50, "percent", "share of the window kept for the urgent lane"),
    INT("rate", "0", 0, 100000, "messages/s", "most messages per second, 0 = no limit"),
    INT("throttle_min_ms", "200", 1, 60000, "ms", "first pause after a throttling answer"),
    INT("throttle_max_ms", "10000", 1, 600000, "ms", "longest pause"),
    INT("retry_ms", "30000", 0, 86400000, "ms", "a message refused for now is tried after this"),
    INT("account_wait_ms", "60000", 10, 86400000, "ms",
        "pause after an answer that says our account is wrong"),
    LIST("retry", "overrides of the status table, 6102=retry:30000, at most 64"),
    ENUM("release", "REL-6-MM7-1-4", MM7_RELEASES, "namespace and version of what we send"),
    STR("mm7_version", 0, "", 15, "MM7Version instead of the release's"),
    STR("namespace", 0, "", 159, "namespace instead of the release's"),
    STR("vaspid", 0, "", 63, "VASPID of the account"),
    STR("vasid", 0, "", 63, "VASID of the account"),
    STR("relay_server_id", 0, "", 63, "MMSRelayServerID that may call us; unset: any"),
    STR("default_sender", 0, "", 79, "sender of messages that name none"),
    BOOL("sender_plus", "true", "write the + of our number"),
    STR("sender_suffix", 0, "", 31, "behind our number, for example /TYPE=PLMN"),
    BOOL("recipient_plus", "true", "write the + of recipients"),
    STR("recipient_suffix", 0, "", 31, "behind recipients, for example /TYPE=PLMN"),
    STR("region", 0, "", 2, "ISO 3166-1 country of national numbers in what comes back"),
    STR("service_code", 0, "", 63, "ServiceCode of messages whose route names none"),
    STR("linked_id", 0, "", 127, "LinkedID of messages that name none"),
    ENUM("class_marketing", "Advertisement", CLASSES, "MessageClass of marketing"),
    ENUM("class_service", "Informational", CLASSES, "MessageClass of everything else"),
    BOOL("read_reply", "false", "ask for read replies"),
    ENUM("delivery_report", "wanted", "wanted|always|never", "when reports are asked for"),
    ENUM("priority", "lane", "lane|unset", "urgent messages High, others Normal; or no Priority"),
    ENUM("allow_adaptations", "unset", TRISTATE, "may the MMSC change the content"),
    ENUM("charged_party", "unset", PARTIES, "ChargedParty"),
    STR("charged_party_id", 0, "", 79, "ChargedPartyID"),
    BOOL("charged_party_by_campaign", "false", "ChargedPartyID is the campaign's group"),
    ENUM("distribution_indicator", "unset", TRISTATE, "may the content be passed on"),
    STR("delivery_condition", 0, "", 63, "DeliveryCondition"),
    STR("applic_id", 0, "", 63, "ApplicID"),
    STR("reply_applic_id", 0, "", 63, "ReplyApplicID"),
    STR("aux_applic_info", 0, "", 127, "AuxApplicInfo"),
    BOOL("cancel", "false",
         "take back by CancelReq what the MMSC has not delivered when a campaign is cancelled"),
    BOOL("echo_reference", "false",
         "put our reference into AuxApplicInfo; for MMSCs that return it with reports"),
    ENUM("content_class", "unset", CONTENT_CLASSES, "ContentClass"),
    ENUM("drm_content", "unset", TRISTATE, "DRMContent"),
    BOOL("reply_charging", "false", "the reply is paid by us"),
    INT("reply_charging_bytes", "0", 0, 10485760, "bytes", "its largest size, 0 = not said"),
    INT("reply_deadline_ms", "0", 0, 2592000000, "ms", "until when, from sending; 0 = not said"),
    ENUM("expiry", "absolute", "absolute|relative|none", "form of ExpiryDate"),
    INT("expiry_min_ms", "60000", 1000, 86400000, "ms", "less time left is not sent"),
    INT("expiry_max_ms", "259200000", 60000, 2592000000, "ms", "longest the MMSC accepts"),
    INT("expiry_margin_ms", "0", 0, 3600000, "ms", "taken off the end: clock difference"),
    ENUM("smil", "auto", "auto|none", "make a SMIL where none is given"),
    INT("smil_ms", "8000", 1000, 600000, "ms", "how long a page of it shows"),
    ENUM("transfer_encoding", "binary", "binary|base64", "of media parts"),
    INT("max_bytes", "307200", 1024, 10485760, "bytes", "largest content the MMSC takes"),
    INT("max_parts", "16", 1, 30, "parts", "most text and media parts of a message"),
    INT("subject_max", "80", 1, 500, "characters", "longest subject"),
    INT("early_hold_ms", "10000", 0, 20000, "ms",
        "a report that comes before its SubmitRsp waits this long for it"),
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

static const char *text_of(struct reader *r, const char *key)
{
    const char *s = r->host->conf_str(r->conf, key);
    return s ? s : "";
}

static bool is_printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static void copy(struct reader *r, const char *key, char *out, size_t size)
{
    const char *s = text_of(r, key);
    size_t len = strlen(s);
    if (len >= size) {
        refuse(r, key, "is too long");
        return;
    }
    if (!is_printable(s)) {
        refuse(r, key, "holds a control character");
        return;
    }
    memcpy(out, s, len + 1);
}

static int64_t num(struct reader *r, const char *key)
{
    return r->host->conf_int(r->conf, key);
}

static bool is_word(struct reader *r, const char *key, const char *word)
{
    return !strcmp(text_of(r, key), word);
}

/* A word of the schema's own text, so that it outlives create(); NULL for "unset". */
static const char *word(struct reader *r, const char *key)
{
    static const char *const words[] = {
        "Advertisement", "Informational", "Personal",      "Auto",        "true",
        "false",         "Sender",        "Recipient",     "Both",        "Neither",
        "ThirdParty",    "text",          "image-basic",   "image-rich",  "video-basic",
        "video-rich",    "megapixel",     "content-basic", "content-rich"};
    const char *s = text_of(r, key);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(words[i], s))
            return words[i];
    return NULL;
}

static void read_link(struct reader *r, struct mms_options *o)
{
    copy(r, "url", o->url, sizeof o->url);
    if (strncmp(o->url, "http://", 7) != 0 && strncmp(o->url, "https://", 8) != 0)
        refuse(r, "url", "must begin with http:// or https://");
    else if (strpbrk(o->url, " \"<>") || strchr(o->url, '@'))
        refuse(r, "url", "holds a blank, a quote or credentials; those go into user and password");
    copy(r, "user", o->user, sizeof o->user);
    copy(r, "password", o->password, sizeof o->password);
    if (strchr(o->user, ':'))
        refuse(r, "user", "holds a colon, which basic authentication cannot carry");
    copy(r, "tls_ca", o->tls_ca, sizeof o->tls_ca);
    copy(r, "tls_cert", o->tls_cert, sizeof o->tls_cert);
    copy(r, "tls_key", o->tls_key, sizeof o->tls_key);
    copy(r, "tls_key_password", o->tls_key_password, sizeof o->tls_key_password);
    if (o->tls_key[0] && !o->tls_cert[0])
        refuse(r, "tls_key", "is set without tls_cert; set both or none");
    o->tls_verify = num(r, "tls_verify") != 0;
    o->connect_timeout_ms = num(r, "connect_timeout_ms");
    o->response_timeout_ms = num(r, "response_timeout_ms");
    o->reconnect_min_ms = num(r, "reconnect_min_ms");
    o->reconnect_max_ms = num(r, "reconnect_max_ms");
    if (o->reconnect_max_ms < o->reconnect_min_ms)
        refuse(r, "reconnect_max_ms", "is below reconnect_min_ms");
}

/* What the plugin itself sets may not be set twice: centres take the first or the last. */
static const char *header_fault(const char *h)
{
    static const char *const ours[] = {"content-type", "content-length", "transfer-encoding",
                                       "authorization", "host"};
    size_t name = strcspn(h, ":");
    if (h[name] != ':' || name == 0)
        return "is no \"Name: value\"";
    for (size_t i = 0; i < name; i++)
        if (!isalnum((unsigned char)h[i]) && !strchr("-_.", h[i]))
            return "has a name with other characters than letters, digits, - _ and .";
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == name && !strncasecmp(ours[i], h, name))
            return "is a header that the plugin sets itself";
    return is_printable(h) ? NULL : "holds a control character";
}

static void read_headers(struct reader *r, struct mms_options *o)
{
    uint32_t n = r->host->conf_count(r->conf, "headers");
    for (uint32_t i = 0; i < n && !r->rc; i++) {
        const char *h = r->host->conf_item(r->conf, "headers", i);
        const char *fault = !h ? "is empty" : header_fault(h);
        if (fault)
            refuse(r, "headers", fault);
        else if (o->n_headers == MMS_HEADERS_MAX || strlen(h) >= sizeof o->headers[0])
            refuse(r, "headers", "has more than 16 members, or one longer than 255 characters");
        else
            (void)snprintf(o->headers[o->n_headers++], sizeof o->headers[0], "%s", h);
    }
    o->soap_action = !is_word(r, "soap_action", "none");
    if (is_word(r, "soap_action", "namespace"))
        (void)snprintf(o->soap_action_value, sizeof o->soap_action_value, "%s", o->dialect.ns);
}

static void read_speed(struct reader *r, struct mms_options *o)
{
    o->window = (uint32_t)num(r, "window");
    o->urgent_percent = (uint32_t)num(r, "urgent_percent");
    o->rate = num(r, "rate");
    o->throttle_min_ms = num(r, "throttle_min_ms");
    o->throttle_max_ms = num(r, "throttle_max_ms");
    if (o->throttle_max_ms < o->throttle_min_ms)
        refuse(r, "throttle_max_ms", "is below throttle_min_ms");
    o->retry_ms = num(r, "retry_ms");
    o->account_wait_ms = num(r, "account_wait_ms");
    for (uint32_t i = 0; i < r->host->conf_count(r->conf, "retry") && !r->rc; i++) {
        const char *item = r->host->conf_item(r->conf, "retry", i);
        struct cgw_diag why = {.size = sizeof why};
        if (mms_status_add(&o->status, item ? item : "", &why))
            refuse(r, "retry", why.text);
    }
}

static void read_identity(struct reader *r, struct mms_options *o)
{
    const struct mm7_release *release = mm7_release_find(text_of(r, "release"));
    if (!release) {
        refuse(r, "release", "is not one of the possible words");
        return;
    }
    copy(r, "namespace", o->dialect.ns, sizeof o->dialect.ns);
    copy(r, "mm7_version", o->dialect.version, sizeof o->dialect.version);
    if (!o->dialect.ns[0])
        (void)snprintf(o->dialect.ns, sizeof o->dialect.ns, MM7_NS_BASE "%s", release->name);
    if (!o->dialect.version[0])
        (void)snprintf(o->dialect.version, sizeof o->dialect.version, "%s", release->version);
    o->dialect.rel6 = release->rel6;
    copy(r, "vaspid", o->vaspid, sizeof o->vaspid);
    copy(r, "vasid", o->vasid, sizeof o->vasid);
    copy(r, "relay_server_id", o->relay_server_id, sizeof o->relay_server_id);
    copy(r, "default_sender", o->default_sender, sizeof o->default_sender);
    copy(r, "sender_suffix", o->sender_suffix, sizeof o->sender_suffix);
    copy(r, "recipient_suffix", o->recipient_suffix, sizeof o->recipient_suffix);
    copy(r, "region", o->region, sizeof o->region);
    o->sender_plus = num(r, "sender_plus") != 0;
    o->recipient_plus = num(r, "recipient_plus") != 0;
}

static void read_submit(struct reader *r, struct mms_options *o)
{
    static const char *const reports[] = {"wanted", "always", "never"};
    const char *service = word(r, "class_service");
    copy(r, "service_code", o->service_code, sizeof o->service_code);
    copy(r, "linked_id", o->linked_id, sizeof o->linked_id);
    for (uint32_t c = 0; c <= CGW_CLASS_EMERGENCY; c++)
        o->class_of[c] = service;
    o->class_of[CGW_CLASS_MARKETING] = word(r, "class_marketing");
    o->ask_read = num(r, "read_reply") != 0;
    o->cancel = num(r, "cancel") != 0;
    for (uint32_t i = 0; i < 3; i++)
        if (is_word(r, "delivery_report", reports[i]))
            o->report = i;
    o->priority_by_lane = is_word(r, "priority", "lane");
    o->adaptations = word(r, "allow_adaptations");
    o->distribution = word(r, "distribution_indicator");
    o->drm = word(r, "drm_content");
    o->charged_party = word(r, "charged_party");
    o->content_class = word(r, "content_class");
    copy(r, "charged_party_id", o->charged_party_id, sizeof o->charged_party_id);
    o->charged_by_group = num(r, "charged_party_by_campaign") != 0;
    copy(r, "delivery_condition", o->delivery_condition, sizeof o->delivery_condition);
    copy(r, "applic_id", o->applic_id, sizeof o->applic_id);
    copy(r, "reply_applic_id", o->reply_applic_id, sizeof o->reply_applic_id);
    copy(r, "aux_applic_info", o->aux_applic_info, sizeof o->aux_applic_info);
    o->echo_reference = num(r, "echo_reference") != 0;
    if (o->echo_reference && o->aux_applic_info[0])
        refuse(r, "echo_reference", "and aux_applic_info want the same element; set one");
}

static void read_times(struct reader *r, struct mms_options *o)
{
    static const char *const forms[] = {"absolute", "relative", "none"};
    for (uint32_t i = 0; i < 3; i++)
        if (is_word(r, "expiry", forms[i]))
            o->expiry = i;
    o->expiry_min_ms = num(r, "expiry_min_ms");
    o->expiry_max_ms = num(r, "expiry_max_ms");
    o->expiry_margin_ms = num(r, "expiry_margin_ms");
    if (o->expiry_max_ms < o->expiry_min_ms)
        refuse(r, "expiry_max_ms", "is below expiry_min_ms");
    o->reply_charging = num(r, "reply_charging") != 0;
    o->reply_charging_bytes = num(r, "reply_charging_bytes");
    o->reply_deadline_ms = num(r, "reply_deadline_ms");
    o->early_hold_ms = num(r, "early_hold_ms");
}

static void read_content(struct reader *r, struct mms_options *o)
{
    o->smil = is_word(r, "smil", "auto");
    o->smil_ms = num(r, "smil_ms");
    o->base64 = is_word(r, "transfer_encoding", "base64");
    o->max_bytes = (uint32_t)num(r, "max_bytes");
    o->max_parts = (uint32_t)num(r, "max_parts");
    o->subject_max = (uint32_t)num(r, "subject_max");
}

int mms_options_read(struct mms_options *o, const struct cgw_host *host,
                     const struct cgw_conf *conf, struct cgw_diag *diag)
{
    struct reader r = {.host = host, .conf = conf, .diag = diag};
    memset(o, 0, sizeof *o);
    diag->where[0] = diag->text[0] = '\0';
    read_link(&r, o);
    read_identity(&r, o);
    read_headers(&r, o);
    read_speed(&r, o);
    read_submit(&r, o);
    read_times(&r, o);
    read_content(&r, o);
    return r.rc;
}
