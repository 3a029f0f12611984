/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_check.c - what a strict MMSC would complain about: order of elements, references between
 * parts, headers. Source: 3GPP TS 23.140 REL-6, annex L; RFC 2387. */
#include "mmsc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KINDS_MAX 32u

static struct kind {
    char name[40], example[120];
    uint64_t n;
} kinds[KINDS_MAX];
static uint32_t n_kinds;

void mmsc_complain(struct sim *sim, const char *name, struct mmsc_str about)
{
    uint32_t i = 0;
    sim->complaints++;
    while (i < n_kinds && strcmp(kinds[i].name, name) != 0)
        i++;
    if (i == KINDS_MAX)
        return;
    if (i == n_kinds) {
        n_kinds++;
        sim_copy(kinds[i].name, sizeof kinds[i].name, name);
        (void)snprintf(kinds[i].example, sizeof kinds[i].example, "%.*s",
                       (int)(about.len < 100 ? about.len : 100), about.at ? about.at : "");
    }
    kinds[i].n++;
}

void mmsc_complaints_json(struct sim_buf *out)
{
    sim_buf_printf(out, "\"complaints\":{");
    for (uint32_t i = 0; i < n_kinds; i++) {
        char seen[400];
        sim_buf_printf(out, "%s\"%s\":{\"n\":%llu,\"example\":", i ? "," : "", kinds[i].name,
                       (unsigned long long)kinds[i].n);
        sim_buf_json(out, sim_visible(kinds[i].example, seen, sizeof seen));
        sim_buf_printf(out, "}");
    }
    sim_buf_printf(out, "}");
}

static const char *const SUBMIT_ORDER[] = {"MM7Version",
                                           "SenderIdentification",
                                           "Recipients",
                                           "ServiceCode",
                                           "LinkedID",
                                           "MessageClass",
                                           "TimeStamp",
                                           "ReplyCharging",
                                           "EarliestDeliveryTime",
                                           "ExpiryDate",
                                           "DeliveryReport",
                                           "ReadReply",
                                           "Priority",
                                           "Subject",
                                           "ChargedParty",
                                           "ChargedPartyID",
                                           "DistributionIndicator",
                                           "DeliveryCondition",
                                           "ApplicID",
                                           "ReplyApplicID",
                                           "AuxApplicInfo",
                                           "ContentClass",
                                           "DRMContent",
                                           "Content",
                                           NULL};
static const char *const REPLACE_ORDER[] = {"MM7Version",
                                            "SenderIdentification",
                                            "MessageID",
                                            "ServiceCode",
                                            "TimeStamp",
                                            "EarliestDeliveryTime",
                                            "ReadReply",
                                            "DistributionIndicator",
                                            "ApplicID",
                                            "ReplyApplicID",
                                            "AuxApplicInfo",
                                            "ContentClass",
                                            "DRMContent",
                                            "Content",
                                            NULL};
static const char *const CANCEL_ORDER[] = {"MM7Version", "SenderIdentification", "MessageID",
                                           "ApplicID",   "ReplyApplicID",        "AuxApplicInfo",
                                           NULL};
static const char *const SENDER_ORDER[] = {"VASPID", "VASID", "SenderAddress", NULL};

static void check_order(struct sim *sim, struct mmsc_str soap)
{
    const struct {
        const char *name;
        const char *const *order;
    } bodies[] = {{"SubmitReq", SUBMIT_ORDER},
                  {"ReplaceReq", REPLACE_ORDER},
                  {"CancelReq", CANCEL_ORDER},
                  {"SenderIdentification", SENDER_ORDER}};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const char *wrong = mmsc_out_of_order(soap, bodies[i].name, bodies[i].order);
        if (wrong)
            mmsc_complain(sim, "element_order", (struct mmsc_str){wrong, strlen(wrong)});
    }
}

/* Which versions the schema of a namespace lists. */
static void check_version(struct sim *sim, struct mmsc_str soap)
{
    struct mmsc_str version = mmsc_text(soap, "MM7Version");
    bool rel5 = mmsc_has(soap, "REL-5-MM7");
    if (!version.at || (rel5 && version.at[0] != '5') || (!rel5 && version.at[0] != '6') ||
        (mmsc_has(soap, "REL-6-MM7-1-4") && (version.len != 5 || memcmp(version.at, "6.8.0", 5))))
        mmsc_complain(sim, "version", version);
}

static void check_expiry(struct sim *sim, struct mmsc_str soap)
{
    struct mmsc_str expiry = mmsc_text(soap, "ExpiryDate");
    char text[40];
    struct tm tm;
    if (!sim->knobs.expect_expiry || !mmsc_has(soap, "SubmitReq"))
        return;
    (void)snprintf(text, sizeof text, "%.*s", (int)(expiry.len < 39 ? expiry.len : 39),
                   expiry.at ? expiry.at : "");
    if (text[0] == 'P')
        return;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end || timegm(&tm) > sim->knobs.expect_expiry)
        mmsc_complain(sim, "expiry", expiry);
}

/* Every cid: has its part, with brackets; every src of the SMIL too. */
static void check_references(struct sim *sim, const struct mmsc_request *req, struct mmsc_str soap)
{
    struct mmsc_str body = {req->body, req->len};
    static const char mark[] = "href=\"cid:";
    const char *href = soap.at ? memmem(soap.at, soap.len, mark, sizeof mark - 1) : NULL;
    char part[120];
    if (href) {
        href += sizeof mark - 1;
        (void)snprintf(part, sizeof part, "Content-ID: <%.*s>", (int)strcspn(href, "\""), href);
        if (!mmsc_has(body, part))
            mmsc_complain(sim, "content_missing", (struct mmsc_str){part, strlen(part)});
    }
    const char *smil = memmem(req->body, req->len, "<smil", 5);
    size_t left = smil ? req->len - (size_t)(smil - req->body) : 0;
    const char *stop = smil ? memmem(smil, left, "</smil>", 7) : NULL;
    for (const char *at = smil; stop && at < stop;) {
        at = memmem(at, (size_t)(stop - at), "src=\"", 5);
        if (!at)
            break;
        at += 5;
        size_t skip = strncmp(at, "cid:", 4) ? 0 : 4;
        (void)snprintf(part, sizeof part, "Content-ID: <%.*s>", (int)(strcspn(at, "\"") - skip),
                       at + skip);
        if (!mmsc_has(body, part))
            mmsc_complain(sim, "smil_reference", (struct mmsc_str){part, strlen(part)});
    }
}

static void check_headers(struct sim *sim, const struct mmsc_request *req, struct mmsc_str soap)
{
    bool cancel = mmsc_has(soap, "CancelReq");
    if (req->expect.at && req->expect.len)
        mmsc_complain(sim, "expect_header", req->expect);
    if (!cancel && (!mmsc_has(req->content_type, "multipart/related") ||
                    !mmsc_has(req->content_type, "type=\"text/xml\"") ||
                    !mmsc_has(req->content_type, "start=\"<")))
        mmsc_complain(sim, "content_type", req->content_type);
    if (sim->knobs.require_header[0]) {
        char name[128];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(sim->knobs.require_header, ":"),
                       sim->knobs.require_header);
        struct mmsc_str v = mmsc_header(req->headers, name);
        const char *want = sim->knobs.require_header + strlen(name);
        want += strspn(want, ": ");
        if (!v.at || v.len != strlen(want) || memcmp(v.at, want, v.len) != 0)
            mmsc_complain(sim, "header_missing", v);
    }
}

void mmsc_check_submit(struct sim *sim, const struct mmsc_request *req, struct mmsc_str soap)
{
    struct mmsc_str tid = mmsc_text(soap, "TransactionID"), to = mmsc_text(soap, "Recipients");
    if (!tid.at || tid.len == 0 || tid.len > 100)
        mmsc_complain(sim, "transaction", tid);
    to = to.at ? mmsc_text(to, "Number") : to;
    if (to.at && sim->knobs.expect_plus && (to.len == 0 || to.at[0] != '+'))
        mmsc_complain(sim, "recipient_form", to);
    check_headers(sim, req, soap);
    check_version(sim, soap);
    check_order(sim, soap);
    check_expiry(sim, soap);
    check_references(sim, req, soap);
}
