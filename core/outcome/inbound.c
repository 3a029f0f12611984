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

#define LIST_OPTOUTS 1
#define LIST_COMPLAINTS 3

struct who {
    bool known;
    char address[256];
    int64_t customer_id;
    int32_t part;
};

static int find_person(struct flush *f, const struct item *it, struct who *ret)
{
    struct address a;
    *ret = (struct who){0};
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
    const char *const texts[] = {it->instance, it->person, it->own, it->peer_id};
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
                                  .list_id = complaint ? LIST_COMPLAINTS : LIST_OPTOUTS,
                                  .reason = complaint ? REASON_DND_COMPLAINT : REASON_DND_OPTOUT,
                                  .at_utc_ms = it->arrived_ms};
    int64_t added = 0;
    int rc = store_dnd_put(f->db, &fact, &f->facts, &added, f->diag);
    if (rc < 0 || added == 0)
        return rc;
    char masked[32];
    log_mask(w->address, masked, sizeof masked);
    log_info("outcome.optout", "person=%s scope=%s instance=%s", masked, all ? "all" : "marketing",
             it->instance);
    METRIC_INC("campgw_optouts_total", all ? "all" : "marketing");
    figure_add(f, 0, FIGURE_OPTOUT, it->arrived_ms);
    if (complaint) /* who complains is not written to once more */
        return 0;
    return confirm(f, it, w, DND_SCOPE_CLASS(CGW_CLASS_MARKETING), response_id,
                   confirm_text(locale, all));
}

static int attribute(struct flush *f, const struct who *w, int64_t response_id, int64_t ts_ms,
                     int meaning)
{
    int64_t contact = 0;
    int32_t partner = 0;
    int rc = store_last_contact(f->db, w->part, w->customer_id, ts_ms, &contact, &partner, f->diag);
    if (rc == CGW_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = store_attribution_put(f->db, w->part, response_id, contact, f->diag);
    if (rc == 0)
        flush_stat(f, contact, STAT_RESPONSES, meaning, 1);
    return rc;
}

static int store_one(struct flush *f, const struct item *it)
{
    struct who w;
    int rc = find_person(f, it, &w);
    if (rc < 0)
        return rc;
    if (!w.known) {
        METRIC_INC("campgw_responses_total", "unknown_sender");
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
