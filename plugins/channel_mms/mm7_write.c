/* SPDX-License-Identifier: Apache-2.0 */
/* mm7_write.c - see mm7.h. The order of the calls is the order of the schema (TS 23.140 annex L):
 * strict message centres refuse any other. */
#include "mm7.h"

#include <stdio.h>
#include <string.h>

static const struct mm7_release RELEASES[] = {
    {"REL-6-MM7-1-4", "6.8.0", true},  {"REL-6-MM7-1-3", "6.6.0", true},
    {"REL-6-MM7-1-2", "6.5.0", true},  {"REL-6-MM7-1-1", "6.4.0", true},
    {"REL-6-MM7-1-0", "6.3.0", true},  {"REL-5-MM7-1-3", "5.5.0", false},
    {"REL-5-MM7-1-2", "5.3.0", false}, {"REL-5-MM7-1-1", "5.3.0", false},
    {"REL-5-MM7-1-0", "5.3.0", false},
};

const struct mm7_release *mm7_release_find(const char *name)
{
    for (size_t i = 0; i < sizeof RELEASES / sizeof RELEASES[0]; i++)
        if (!strcmp(RELEASES[i].name, name))
            return &RELEASES[i];
    return NULL;
}

/* Left out when there is nothing to say: an empty element is a value to some. */
static void some(struct mms_xw *w, const char *name, const char *text)
{
    if (text && *text)
        mms_xw_element(w, name, text);
}

static void open_body(struct mms_xw *w, const struct mm7_dialect *d, const char *transaction)
{
    mms_xw_open(w, "env:Envelope", NULL);
    mms_xw_attr(w, "xmlns:env", MM7_SOAP_NS);
    mms_xw_open(w, "env:Header", NULL);
    mms_xw_open(w, "TransactionID", d->ns);
    mms_xw_attr(w, "env:mustUnderstand", "1");
    mms_xw_text(w, transaction);
    mms_xw_close(w);
    mms_xw_close(w);
    mms_xw_open(w, "env:Body", NULL);
}

static const char *close_body(struct mms_xw *w, size_t *ret_len)
{
    mms_xw_close(w); /* Body */
    mms_xw_close(w); /* Envelope */
    return mms_xw_end(w, ret_len);
}

static void address(struct mms_xw *w, const char *outer, const struct mm7_address *a)
{
    static const char *const forms[] = {"Number", "ShortCode", "RFC2822Address"};
    if (!a->text[0])
        return;
    mms_xw_open(w, outer, NULL);
    mms_xw_element(w, forms[a->form], a->text);
    mms_xw_close(w);
}

static void sender(struct mms_xw *w, const struct mm7_dialect *d, const char *vaspid,
                   const char *vasid, const struct mm7_address *from)
{
    mms_xw_element(w, "MM7Version", d->version);
    mms_xw_open(w, "SenderIdentification", NULL);
    some(w, "VASPID", vaspid);
    some(w, "VASID", vasid);
    address(w, "SenderAddress", from);
    mms_xw_close(w);
}

static void content(struct mms_xw *w, const struct mm7_submit *s)
{
    if (!s->content_href)
        return;
    mms_xw_open(w, "Content", NULL);
    mms_xw_attr(w, "href", s->content_href);
    if (s->allow_adaptations)
        mms_xw_attr(w, "allowAdaptations", s->allow_adaptations);
    mms_xw_close(w);
}

static void reply_charging(struct mms_xw *w, const struct mm7_submit *s)
{
    if (!s->reply_charging)
        return;
    mms_xw_open(w, "ReplyCharging", NULL);
    if (s->reply_size && *s->reply_size)
        mms_xw_attr(w, "replyChargingSize", s->reply_size);
    if (s->reply_deadline && *s->reply_deadline)
        mms_xw_attr(w, "replyDeadline", s->reply_deadline);
    mms_xw_close(w);
}

static void submit_tail(struct mms_xw *w, const struct mm7_dialect *d, const struct mm7_submit *s)
{
    some(w, "ChargedParty", s->charged_party);
    if (d->rel6)
        some(w, "ChargedPartyID", s->charged_party_id);
    some(w, "DistributionIndicator", s->distribution);
    if (d->rel6) {
        some(w, "DeliveryCondition", s->delivery_condition);
        some(w, "ApplicID", s->applic_id);
        some(w, "ReplyApplicID", s->reply_applic_id);
        some(w, "AuxApplicInfo", s->aux_applic_info);
        some(w, "ContentClass", s->content_class);
        some(w, "DRMContent", s->drm_content);
    }
}

static void write_submit(struct mms_xw *w, const struct mm7_dialect *d, const struct mm7_submit *s)
{
    mms_xw_open(w, "SubmitReq", d->ns);
    sender(w, d, s->vaspid, s->vasid, &s->sender);
    mms_xw_open(w, "Recipients", NULL);
    address(w, "To", &s->to);
    mms_xw_close(w);
    some(w, "ServiceCode", s->service_code);
    some(w, "LinkedID", s->linked_id);
    some(w, "MessageClass", s->message_class);
    some(w, "TimeStamp", s->timestamp);
    reply_charging(w, s);
    some(w, "ExpiryDate", s->expiry);
    some(w, "DeliveryReport", s->delivery_report);
    some(w, "ReadReply", s->read_reply);
    some(w, "Priority", s->priority);
    some(w, "Subject", s->subject);
    submit_tail(w, d, s);
    content(w, s);
    mms_xw_close(w);
}

/* A ReplaceReq has no recipients, class, expiry or subject: the message keeps those it has. */
static void write_replace(struct mms_xw *w, const struct mm7_dialect *d, const struct mm7_submit *s)
{
    mms_xw_open(w, "ReplaceReq", d->ns);
    sender(w, d, s->vaspid, s->vasid, &s->sender);
    mms_xw_element(w, "MessageID", s->replace_id);
    some(w, "ServiceCode", s->service_code);
    some(w, "TimeStamp", s->timestamp);
    some(w, "ReadReply", s->read_reply);
    some(w, "DistributionIndicator", s->distribution);
    content(w, s);
    mms_xw_close(w);
}

const char *mm7_write_submit(struct mms_xw *w, const struct mm7_dialect *d,
                             const struct mm7_submit *s, size_t *ret_len)
{
    if (mms_xw_begin(w))
        return NULL;
    open_body(w, d, s->transaction);
    if (s->replace_id)
        write_replace(w, d, s);
    else
        write_submit(w, d, s);
    return close_body(w, ret_len);
}

const char *mm7_write_cancel(struct mms_xw *w, const struct mm7_dialect *d,
                             const struct mm7_cancel *c, size_t *ret_len)
{
    if (mms_xw_begin(w))
        return NULL;
    open_body(w, d, c->transaction);
    mms_xw_open(w, "CancelReq", d->ns);
    sender(w, d, c->vaspid, c->vasid, &c->sender);
    mms_xw_element(w, "MessageID", c->message_id);
    mms_xw_close(w);
    return close_body(w, ret_len);
}

static void status(struct mms_xw *w, const struct mm7_dialect *d, const char *name, int code,
                   const char *text)
{
    char number[12];
    (void)snprintf(number, sizeof number, "%d", code);
    mms_xw_open(w, name, d->ns);
    mms_xw_element(w, "MM7Version", d->version);
    mms_xw_open(w, "Status", NULL);
    mms_xw_element(w, "StatusCode", number);
    some(w, "StatusText", text);
    mms_xw_close(w);
    mms_xw_close(w);
}

const char *mm7_write_response(struct mms_xw *w, const struct mm7_dialect *d, const char *name,
                               const char *transaction, int code, const char *text, size_t *ret_len)
{
    if (mms_xw_begin(w))
        return NULL;
    bool is_fault = !strcmp(name, "VASPErrorRsp");
    open_body(w, d, transaction);
    if (is_fault) {
        mms_xw_open(w, "env:Fault", NULL);
        mms_xw_element(w, "faultcode", "env:Client");
        mms_xw_element(w, "faultstring", text);
        mms_xw_open(w, "detail", NULL);
    }
    status(w, d, name, code, text);
    if (is_fault) {
        mms_xw_close(w);
        mms_xw_close(w);
    }
    return close_body(w, ret_len);
}
