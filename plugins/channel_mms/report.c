/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - delivery reports: whom they are about, what they say, and those that come before the
 * answer to their message. */
#include "instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REPORT_SPACE "mm7.mmstatus"

/* ---- whose number is it ---- */

bool mms_to_number(const struct mms_channel *ch, const char *text, struct mms_person *ret)
{
    char bare[96];
    mms_address_strip(text, bare, sizeof bare);
    ret->text[0] = '\0';
    return bare[0] &&
           ch->host->address_normalise(CGW_ADDR_E164, bare, ch->o.region[0] ? ch->o.region : NULL,
                                       ret->text, sizeof ret->text) == 0;
}

static bool is_ours(const struct mms_channel *ch, const char *text)
{
    char bare[96], ours[96];
    mms_address_strip(text, bare, sizeof bare);
    mms_address_strip(ch->o.default_sender, ours, sizeof ours);
    const char *a = bare[0] == '+' ? bare + 1 : bare, *b = ours[0] == '+' ? ours + 1 : ours;
    return *b && !strcmp(a, b);
}

/* The person a report speaks of. Many centres write recipient and sender the wrong way round: the
 * one we sent that MessageID to is right, else the one that is not us. */
bool mms_find_person(const struct mms_channel *ch, const char *id, const char *recipient,
                     const char *sender, struct mms_person *ret)
{
    struct mms_person a, b;
    bool has_a = mms_to_number(ch, recipient, &a), has_b = mms_to_number(ch, sender, &b);
    const struct mms_known_entry *e = mms_known_id(&ch->known, id);
    if (e) {
        (void)snprintf(ret->text, sizeof ret->text, "%s", e->person);
        return true;
    }
    bool swapped = has_b && (!has_a || (is_ours(ch, recipient) && !is_ours(ch, sender)));
    *ret = swapped ? b : a;
    return has_a || has_b;
}

/* ---- delivery reports ---- */

static uint32_t result_of(const char *status)
{
    static const struct {
        const char *word;
        uint32_t result;
    } words[] = {
        {"Retrieved", CGW_RES_DELIVERED}, {"Delivered", CGW_RES_DELIVERED},
        {"Expired", CGW_RES_EXPIRED},     {"Rejected", CGW_RES_FAILED},
        {"Unrecognised", CGW_RES_FAILED}, {"Unrecognized", CGW_RES_FAILED},
        {"Deferred", CGW_RES_ENROUTE},    {"Forwarded", CGW_RES_ENROUTE},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcasecmp(words[i].word, status))
            return words[i].result;
    return CGW_RES_UNKNOWN; /* Indeterminate, and what nobody knows */
}

static bool pass_report(struct mms_channel *ch, struct mms_held *h)
{
    struct mms_person who;
    struct cgw_receipt t = {.size = sizeof t,
                            .result = h->result,
                            .flags = CGW_RESF_WHOLE,
                            .provider_id = h->id,
                            .reference = h->reference,
                            .code_space = REPORT_SPACE,
                            .raw = h->raw,
                            .arrived_utc_ms = h->arrived_utc_ms,
                            .ack = mms_ack_of(ch, h)};
    if (mms_find_person(ch, h->id, h->recipient, h->sender, &who))
        t.person = (struct cgw_address){CGW_ADDR_E164, (uint32_t)strlen(who.text), who.text};
    h->is_early = false; /* stored() may come from within */
    if (ch->host->receipt(ch->inst, &t, 1) == 1) {
        mms_count(ch, MMS_C_REPORTS);
        return true;
    }
    mms_not_now(ch, h->request);
    mms_let_go(ch, h);
    return false;
}

/* A submit to that person is written and unanswered: the report may be about it. */
static bool awaits_answer(const struct mms_channel *ch, const struct mms_held *h)
{
    struct mms_person a, b;
    (void)mms_to_number(ch, h->recipient, &a);
    (void)mms_to_number(ch, h->sender, &b);
    for (uint32_t i = 0; i < ch->o.window && ch->n_used; i++) {
        const struct mms_slot *s = &ch->slots[i];
        if (s->used && s->call.active && s->call.wrote &&
            (!strcmp(s->person, a.text) || !strcmp(s->person, b.text)))
            return true;
    }
    return false;
}

void mms_on_report(struct mms_channel *ch, uint64_t request, struct mm7_request *q)
{
    struct mms_held *h = mms_hold(ch, request, q, "DeliveryReportRsp");
    if (!h) {
        mms_not_now(ch, request);
        return;
    }
    mms_id_normal(q->message_id);
    h->result = result_of(q->status);
    h->arrived_utc_ms = ch->host->now_utc_ms();
    if (!strncmp(q->aux, "ref:", 4))
        h->reference = strtoull(q->aux + 4, NULL, 10);
    (void)snprintf(h->id, sizeof h->id, "%s", q->message_id);
    (void)snprintf(h->sender, sizeof h->sender, "%s", q->sender);
    (void)snprintf(h->recipient, sizeof h->recipient, "%s", q->recipient);
    (void)snprintf(h->raw, sizeof h->raw, "%.255s", q->details);
    if (ch->o.early_hold_ms && !mms_known_id(&ch->known, h->id) && awaits_answer(ch, h)) {
        h->is_early = true;
        h->until_ms = ch->host->now_mono_ms() + ch->o.early_hold_ms;
        mms_count(ch, MMS_C_REPORTS_EARLY);
        mms_arm(ch);
        return;
    }
    (void)pass_report(ch, h);
}

/* id: the message whose answer came; NULL: a submit ended without one, so look who still waits. */
void mms_early_match(struct mms_channel *ch, const char *id)
{
    for (uint32_t i = 0; i < MMS_HELD_MAX && ch->n_held; i++) {
        struct mms_held *h = &ch->held[i];
        if (h->used && h->is_early && (id ? !strcmp(h->id, id) : !awaits_answer(ch, h)))
            (void)pass_report(ch, h);
    }
}

/* Whoever waited long enough goes on as it is: the gateway keeps what it cannot match yet. */
void mms_early_expire(struct mms_channel *ch, bool all)
{
    int64_t now = ch->host->now_mono_ms();
    for (uint32_t i = 0; i < MMS_HELD_MAX && ch->n_held; i++) {
        struct mms_held *h = &ch->held[i];
        if (h->used && h->is_early && (all || now >= h->until_ms))
            (void)pass_report(ch, h);
    }
}

int64_t mms_early_next(const struct mms_channel *ch)
{
    int64_t at = INT64_MAX;
    for (uint32_t i = 0; i < MMS_HELD_MAX && ch->n_held; i++)
        if (ch->held[i].used && ch->held[i].is_early && ch->held[i].until_ms < at)
            at = ch->held[i].until_ms;
    return at;
}

void mms_cancelled(struct mms_channel *ch, const char *id, bool confirmed, const char *raw)
{
    const struct mms_known_entry *e = mms_known_id(&ch->known, id);
    struct cgw_receipt t = {.size = sizeof t,
                            .result = confirmed ? CGW_RES_RECALLED : CGW_RES_NOT_RECALLED,
                            .flags = CGW_RESF_WHOLE,
                            .provider_id = id,
                            .code_space = REPORT_SPACE,
                            .raw = raw,
                            .arrived_utc_ms = ch->host->now_utc_ms()};
    if (e)
        t.person = (struct cgw_address){CGW_ADDR_E164, (uint32_t)strlen(e->person), e->person};
    (void)ch->host->receipt(ch->inst, &t, 1); /* not taken: the MMSC's own report follows */
}
