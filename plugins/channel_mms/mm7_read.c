/* SPDX-License-Identifier: Apache-2.0 */
/* mm7_read.c - see mm7.h. Reads by local names only, in any order: releases, prefixes, unqualified
 * children and bare texts differ from centre to centre and mean the same. */
#include "mm7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies printable text; a control character ends it. */
static void keep(char *out, size_t size, const char *s)
{
    size_t n = 0;
    while (n + 1 < size && (unsigned char)s[n] >= 0x20 && s[n] != 0x7f)
        n++;
    while (n && ((unsigned char)s[n] & 0xC0) == 0x80 && n + 1 == size)
        n--; /* no half character at the cut */
    memcpy(out, s, n);
    out[n] = '\0';
}

static int number(const char *s)
{
    char *end = NULL;
    long v = strtol(s, &end, 10);
    return end != s && *end == '\0' && v > 0 && v < 1000000 ? (int)v : 0;
}

/* First element inside Body: Fault, SubmitRsp, DeliverReq ... The root itself when there is no SOAP
 * around it. */
static int32_t payload(const struct mms_xml *x)
{
    int32_t body = mms_xml_find(x, -1, "Body");
    return body < 0 ? 0 : mms_xml_child(x, body, NULL);
}

/* The first Status (or RSErrorRsp) decides; a StatusCode inside its Details speaks of one
 * recipient. */
int mm7_read_answer(const struct mms_xml *x, struct mm7_answer *ret)
{
    *ret = (struct mm7_answer){0};
    int32_t top = payload(x);
    if (top < 0)
        return CGW_EINVAL;
    keep(ret->name, sizeof ret->name, x->nodes[top].name);
    int32_t details = mms_xml_find(x, top, "Details");
    for (int32_t i = top + 1; i < (int32_t)x->n; i++) {
        if (strcmp(x->nodes[i].name, "StatusCode") != 0)
            continue;
        bool inside = false;
        for (int32_t up = x->nodes[i].parent; up >= 0 && !inside; up = x->nodes[up].parent)
            inside = up == details;
        int code = number(x->nodes[i].text);
        if (inside && !ret->detail_code)
            ret->detail_code = code;
        else if (!inside && !ret->has_code && code) {
            ret->has_code = true;
            ret->code = code;
        }
    }
    const char *text = mms_xml_text(x, top, "StatusText");
    if (!*text)
        text = mms_xml_text(x, top, "faultstring");
    keep(ret->text, sizeof ret->text, text);
    keep(ret->message_id, sizeof ret->message_id, mms_xml_text(x, top, "MessageID"));
    return ret->has_code ? 0 : CGW_EINVAL;
}

/* <Sender><Number>..</Number></Sender>, <Sender>..</Sender>, <Recipients><To><ShortCode>.. */
static void address(const struct mms_xml *x, int32_t top, const char *name, char *out, size_t size)
{
    static const char *const forms[] = {"Number", "ShortCode", "RFC2822Address"};
    int32_t outer = mms_xml_find(x, top, name);
    out[0] = '\0';
    if (outer < 0)
        return;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const char *text = mms_xml_text(x, outer, forms[i]);
        if (*text) {
            keep(out, size, text);
            return;
        }
    }
    keep(out, size, x->nodes[outer].text);
    for (int32_t i = outer + 1; i < (int32_t)x->n && !out[0]; i++)
        if (x->nodes[i].parent == outer)
            keep(out, size, x->nodes[i].text);
}

/* The sender's own namespace and version go into our answer; what is missing there, ours. */
static void dialect(const struct mms_xml *x, int32_t top, struct mm7_dialect *d)
{
    const char *ns = x->nodes[top].ns;
    int32_t id = mms_xml_find(x, -1, "TransactionID");
    if (!strstr(ns, "MM7") && id >= 0)
        ns = x->nodes[id].ns;
    keep(d->ns, sizeof d->ns, strstr(ns, "MM7") ? ns : MM7_NS_BASE "REL-6-MM7-1-4");
    const char *version = mms_xml_text(x, top, "MM7Version");
    keep(d->version, sizeof d->version, *version ? version : "6.8.0");
    d->rel6 = !strstr(d->ns, "REL-5");
}

static enum mm7_kind kind_of(const char *name)
{
    static const struct {
        const char *name;
        enum mm7_kind kind;
    } kinds[] = {{"DeliverReq", MM7_DELIVER},
                 {"DeliveryReportReq", MM7_REPORT},
                 {"ReadReplyReq", MM7_READ_REPLY}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(kinds[i].name, name))
            return kinds[i].kind;
    return MM7_OTHER;
}

int mm7_read_request(const struct mms_xml *x, struct mm7_request *ret)
{
    memset(ret, 0, sizeof *ret);
    int32_t top = payload(x);
    if (top < 0)
        return CGW_EINVAL;
    const struct {
        const char *name;
        char *out;
        size_t size;
    } fields[] = {
        {"MessageID", ret->message_id, sizeof ret->message_id},
        {"LinkedID", ret->linked_id, sizeof ret->linked_id},
        {"ReplyChargingID", ret->reply_charging_id, sizeof ret->reply_charging_id},
        {"VASPID", ret->vaspid, sizeof ret->vaspid},
        {"VASID", ret->vasid, sizeof ret->vasid},
        {"MMSRelayServerID", ret->relay_id, sizeof ret->relay_id},
        {"ApplicID", ret->applic_id, sizeof ret->applic_id},
        {"AuxApplicInfo", ret->aux, sizeof ret->aux},
        {"MMStatus", ret->status, sizeof ret->status},
        {"Subject", ret->subject, sizeof ret->subject},
    };
    ret->kind = kind_of(x->nodes[top].name);
    dialect(x, top, &ret->dialect);
    int32_t id = mms_xml_find(x, -1, "TransactionID");
    (void)snprintf(ret->transaction, sizeof ret->transaction, "%s", id < 0 ? "" : x->nodes[id].raw);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        keep(fields[i].out, fields[i].size, mms_xml_text(x, top, fields[i].name));
    address(x, top, "Sender", ret->sender, sizeof ret->sender);
    address(x, top, ret->kind == MM7_DELIVER ? "Recipients" : "Recipient", ret->recipient,
            sizeof ret->recipient);
    int32_t content = mms_xml_find(x, top, "Content");
    keep(ret->href, sizeof ret->href, content < 0 ? "" : x->nodes[content].href);
    const char *date = mms_xml_text(x, top, "Date");
    (void)snprintf(ret->details, sizeof ret->details, "%.40s %.60s %.80s %.40s", ret->status,
                   mms_xml_text(x, top, "MMStatusExtension"), mms_xml_text(x, top, "StatusText"),
                   *date ? date : mms_xml_text(x, top, "TimeStamp"));
    return 0;
}
