/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - what people send: stored as it is, matched against the opt-out words, attributed in a
 * row of its own. An opt-out is effective with this flush: the do-not-disturb row and the moved
 * fact clock commit together, and every later intent sees them, also of messages queued long
 * before. At most one confirmation follows a new opt-out. */
#include "outcome/outcome_int.h"

#include "address/address.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/store_dnd.h"

#include <sodium.h>
#include <string.h>

#define REFS_LOOKED_AT 8 /* accepts of one id; the newest with the same text is meant */

struct who {
    bool known;
    char address[256]; /* "" = only the message was named */
    int64_t customer_id;
    int64_t contact_id; /* our message that it answers, 0 = not known */
    int32_t part;
};

/* The contact whose message the peer names: among those of this flush, remembered, or stored. */
static int find_message(struct flush *f, const struct item *it, struct ref_match *ret,
                        bool *ret_found)
{
    struct ref_match known[REFS_LOOKED_AT];
    int64_t refh = store_ref_hash(it->instance, it->answers);
    int n = 0;
    *ret_found = refmap_find(&f->w->refs, refh, it->answers, ret);
    for (int i = 0; !*ret_found && i < f->n_submits; i++) {
        const struct submit_row *s = &f->submits[i];
        if (s->refh != refh || strcmp(s->ref, it->answers) != 0)
            continue;
        *ret = (struct ref_match){.part = s->part, .contact_id = s->contact_id};
        *ret_found = true;
    }
    if (*ret_found)
        return 0;
    int rc = store_refs_find(f->db, &refh, 1, known, ARRAY_LEN(known), &n, f->diag);
    for (int i = 0; rc == 0 && !*ret_found && i < n; i++)
        if (!strcmp(known[i].ref, it->answers)) {
            *ret = known[i];
            *ret_found = true;
        }
    return rc;
}

/* Whoever that message was for, or is joined with by now. */
static int find_by_message(struct flush *f, const struct item *it, struct who *ret)
{
    struct ref_match m;
    bool found = false;
    int16_t channel = 0;
    int rc = find_message(f, it, &m, &found);
    if (rc < 0 || !found)
        return rc;
    rc = store_contact_who(f->db, m.part, m.contact_id, &ret->customer_id, &channel, f->diag);
    if (rc == CGW_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = store_alias_find(f->db, ret->customer_id, &ret->customer_id, f->diag);
    if (rc < 0)
        return rc;
    ret->known = true;
    ret->contact_id = m.contact_id;
    ret->part = (int32_t)(ret->customer_id % STORE_PARTS);
    return 0;
}

static int find_by_address(struct flush *f, const struct item *it, struct who *ret)
{
    struct address a;
    const char *text = it->person;
    size_t len = strlen(text);
    /* SMSCs often leave out the "+" of an international number */
    char plus[256] = "+";
    if (len && text[0] != '+' && !memchr(text, '@', len) && len < sizeof plus - 1) {
        memcpy(plus + 1, text, len + 1);
        text = plus;
        len++;
    }
    if (address_normalise(text, len, 0, NULL, &a, NULL) < 0)
        return 0; /* short codes and alphanumeric senders are nobody's customers: stored nowhere,
                     counted */
    int64_t key = customer_key(f->w->cfg.identity_key, a.text, strlen(a.text));
    int rc = store_alias_find(f->db, key, &ret->customer_id, f->diag);
    if (rc < 0)
        return rc;
    ret->known = true;
    ret->part = (int32_t)(ret->customer_id % STORE_PARTS);
    memcpy(ret->address, a.text, sizeof ret->address);
    return 0;
}

/* The message says more than the sender: mail is answered from other mailboxes. */
static int find_person(struct flush *f, const struct item *it, struct who *ret)
{
    *ret = (struct who){0};
    int rc = it->answers[0] ? find_by_message(f, it, ret) : 0;
    struct who by = {0};
    if (rc == 0 && it->person[0])
        rc = find_by_address(f, it, &by);
    if (rc < 0)
        return rc;
    if (!ret->known)
        *ret = by;
    else if (by.known && by.customer_id == ret->customer_id)
        memcpy(ret->address, by.address, sizeof ret->address);
    return 0;
}

/* Parts of the people who wrote, so that the locks can be taken in order. */
int flush_inbound_parts(struct flush *f)
{
    for (int i = 0; i < f->n; i++) {
        struct who w;
        if (f->items[i]->kind != ITEM_INBOUND)
            continue;
        int rc = find_person(f, f->items[i], &w);
        if (rc < 0)
            return rc;
        if (w.known)
            f->parts |= UINT64_C(1) << w.part;
    }
    return 0;
}

static int64_t dedupe_hash(const struct item *it)
{
    unsigned char h[16];
    crypto_generichash_state st;
    (void)crypto_generichash_init(&st, NULL, 0, sizeof h);
    const char *const texts[] = {it->instance, it->person, it->own, it->peer_id, it->answers};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        (void)crypto_generichash_update(&st, (const unsigned char *)texts[i], strlen(texts[i]) + 1);
    (void)crypto_generichash_update(&st, (const unsigned char *)it->body, it->body_len);
    inbound_media_hash(it->media, &st);
    (void)crypto_generichash_final(&st, h, sizeof h);
    int64_t v;
    memcpy(&v, h, sizeof v);
    return v;
}

static const char *confirm_text(const char *locale, bool all)
{
    if (!strncmp(locale, "zh", 2))
        return all ? "您已退订全部消息，我们不会再联系您。" : "您已退订，不会再收到营销信息。";
    return all ? "You are unsubscribed from all our messages."
               : "You are unsubscribed. You will get no more marketing messages.";
}

/* A click in a mail, or a key in a call, has been answered where it happened. */
static bool confirms(const struct item *it, const struct who *w)
{
    return w->address[0] && (it->channel == CGW_CHANNEL_SMS || it->channel == CGW_CHANNEL_MMS);
}

static int confirm(struct flush *f, const struct item *it, const struct who *w, int32_t scope,
                   int64_t response_id, const char *text)
{
    int32_t wave = 0, set = 0;
    int rc = store_confirm_wave(f->db, (int)it->channel, &wave, &set, f->diag);
    if (rc == 0)
        rc = store_confirm_queue(f->db, wave, set, w->part, w->customer_id, w->address, text, scope,
                                 response_id, f->now_ms, f->diag);
    f->wake = true;
    return rc;
}

/* Scopes of an opt-out: marketing, or every class but emergency (the confirmation itself is a class
 * of its own). */
static int forbid(struct flush *f, const struct item *it, const struct who *w, bool all,
                  const char *locale, int64_t response_id)
{
    static const int32_t scopes[] = {DND_SCOPE_CLASS(CGW_CLASS_MARKETING),
                                     DND_SCOPE_CLASS(CGW_CLASS_SERVICE),
                                     DND_SCOPE_CLASS(CGW_CLASS_REPLY)};
    bool complaint = it->in_kind == CGW_IN_COMPLAINT;
    struct store_dnd_fact fact = {.part = w->part,
                                  .customer_id = w->customer_id,
                                  .scopes = scopes,
                                  .n_scopes = all ? ARRAY_LEN(scopes) : 1,
                                  .list_id = complaint ? STORE_DND_BOUNCES : STORE_DND_OPTOUTS,
                                  .reason = complaint ? REASON_DND_COMPLAINT : REASON_DND_OPTOUT,
                                  .at_utc_ms = it->arrived_ms};
    int64_t added = 0;
    int rc = store_dnd_put(f->db, &fact, &f->facts, &added, f->diag);
    if (rc < 0 || added == 0)
        return rc;
    char masked[32] = "named-by-message";
    if (w->address[0])
        log_mask(w->address, masked, sizeof masked);
    log_info("outcome.optout", "person=%s scope=%s instance=%s", masked, all ? "all" : "marketing",
             it->instance);
    METRIC_INC("campgw_optouts_total", all ? "all" : "marketing");
    figure_add(f, 0, FIGURE_OPTOUT, it->arrived_ms);
    if (complaint || !confirms(it, w)) /* who complains is not written to once more */
        return 0;
    return confirm(f, it, w, DND_SCOPE_CLASS(CGW_CLASS_MARKETING), response_id,
                   confirm_text(locale, all));
}

static int attribute(struct flush *f, const struct who *w, int64_t response_id, int64_t ts_ms,
                     int meaning)
{
    int64_t contact = w->contact_id;
    int32_t partner = 0;
    int rc = contact ? 0
                     : store_last_contact(f->db, w->part, w->customer_id, ts_ms, &contact, &partner,
                                          f->diag);
    if (rc == CGW_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = store_attribution_put(f->db, w->part, response_id, contact, w->contact_id ? 2 : 1,
                                   f->diag);
    if (rc == 0)
        flush_stat(f, contact, STAT_RESPONSES, meaning, 1);
    return rc;
}

static void note_bounce(struct flush *f, const struct item *it, const struct who *w)
{
    METRIC_INC("campgw_responses_total", "bounce");
    flush_bounce(f, &(struct bounce){.sub = it->sub ? it->sub : CGW_SUB_SOFT_BOUNCE,
                                     .part = w->part,
                                     .customer_id = w->customer_id,
                                     .contact_id = w->contact_id ? w->contact_id
                                                                 : -(dedupe_hash(it) & INT64_MAX),
                                     .channel = (int16_t)it->channel,
                                     .at_ms = it->arrived_ms});
}

static int store_one(struct flush *f, const struct item *it)
{
    struct who w;
    int rc = find_person(f, it, &w);
    if (rc < 0)
        return rc;
    if (!w.known) {
        METRIC_INC("campgw_responses_total", it->answers[0] ? "unknown_message" : "unknown_sender");
        if (it->answers[0])
            log_warning("outcome.inbound.unknown",
                        "instance=%s kind=%u msg=\"no message of ours has "
                        "this id\"",
                        it->instance, it->in_kind);
        return 0;
    }
    struct optout_hit hit = {.kind = OPTOUT_NONE, .locale = "", .word = ""};
    if (it->in_kind == CGW_IN_TEXT || it->in_kind == CGW_IN_KEYS)
        optout_match(&f->w->words, it->body, it->body_len, &hit);
    else if (it->in_kind == CGW_IN_OPTOUT || it->in_kind == CGW_IN_COMPLAINT)
        hit.kind = OPTOUT_MARKETING;
    struct response_row r = {.part = w.part,
                             .customer_id = w.customer_id,
                             .ts_ms = it->arrived_ms,
                             .dedupe = dedupe_hash(it),
                             .channel = (int16_t)it->channel,
                             .kind = (int16_t)it->in_kind,
                             .meaning = (int16_t)hit.kind,
                             .own_address = it->own,
                             .instance = it->instance,
                             .body = it->body,
                             .body_len = it->body_len};
    int64_t id = 0;
    rc = store_response_put(f->db, &r, &id, f->diag);
    if (rc == CGW_EEXISTS) {
        METRIC_INC("campgw_responses_total", "repeated");
        return 0;
    }
    if (rc < 0)
        return rc;
    if (it->in_kind == CGW_IN_BOUNCE) { /* a machine said it: nobody's answer */
        note_bounce(f, it, &w);
        return 0;
    }
    METRIC_INC("campgw_responses_total", optout_kind_word(hit.kind));
    rc = attribute(f, &w, id, it->arrived_ms, (int)hit.kind);
    if (rc == 0)
        rc = inbound_media_store(f, it->media, w.part, id);
    if (rc == 0 && (hit.kind == OPTOUT_MARKETING || hit.kind == OPTOUT_ALL))
        rc = forbid(f, it, &w, hit.kind == OPTOUT_ALL, hit.locale ? hit.locale : "", id);
    return rc;
}

int flush_inbound(struct flush *f)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < f->n; i++)
        if (f->items[i]->kind == ITEM_INBOUND)
            rc = store_one(f, f->items[i]);
    return rc;
}
