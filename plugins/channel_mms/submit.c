/* SPDX-License-Identifier: Apache-2.0 */
/* submit.c - messages out: judge and write. What comes back is answer.c's. */
#include "instance.h"

#include <stdio.h>
#include <string.h>

void mms_op_check(void *arg, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret)
{
    const struct mms_channel *ch = arg;
    const char *at = (const char *)msgs;
    struct mms_plan plan; /* any thread: not the instance's */
    for (uint32_t i = 0; i < n; i++, at += msgs->size) {
        struct cgw_check *c = &ret[i];
        *c = (struct cgw_check){.size = sizeof *c, .encoding = "utf-8", .segments = 1};
        c->code = mms_plan_make(&plan, &ch->o, ch->host, (const struct cgw_message *)at, c->text,
                                sizeof c->text);
        c->units = plan.bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)plan.bytes;
    }
}

/* ---- results ---- */

void mms_complete(struct mms_channel *ch, const struct mms_slot *s, const struct cgw_result *from)
{
    struct cgw_result r = *from;
    r.size = sizeof r;
    r.token = s->token;
    if (s->body.total && r.result != CGW_RES_NOT_SENT) {
        r.segments = 1;
        r.quantity = s->body.total > UINT32_MAX ? UINT32_MAX : (uint32_t)s->body.total;
    }
    ch->host->complete(ch->inst, &r, 1);
}

static void complete_own(struct mms_channel *ch, uint64_t token, uint32_t result, int32_t code,
                         const char *why)
{
    struct cgw_result r = {.size = sizeof r,
                           .result = result,
                           .token = token,
                           .code = code,
                           .code_space = MMS_OWN_SPACE,
                           .raw = why};
    ch->host->complete(ch->inst, &r, 1);
}

struct mms_slot *mms_slot_take(struct mms_channel *ch, bool is_side)
{
    uint32_t from = is_side ? ch->o.window : 0;
    uint32_t to = is_side ? ch->o.window + MMS_SIDE_SLOTS : ch->o.window;
    for (uint32_t i = from; i < to; i++)
        if (!ch->slots[i].used) {
            ch->slots[i].used = true;
            *(is_side ? &ch->n_side_used : &ch->n_used) += 1;
            return &ch->slots[i];
        }
    return NULL;
}

void mms_slot_give(struct mms_channel *ch, struct mms_slot *s)
{
    *(s->is_cancel ? &ch->n_side_used : &ch->n_used) -= 1;
    mms_body_release(&s->body);
    s->used = s->recall = false;
}

/* ---- writing ---- */

struct words {
    char date[40], expiry[40], deadline[40], size[16], party[24], aux[40];
};

/* The MMSC may not deliver behind the legal window, and takes no expiry beyond its own limit. */
static bool expiry_of(const struct mms_channel *ch, const struct cgw_message *m, int64_t now_ms,
                      struct words *w)
{
    const struct mms_options *o = &ch->o;
    int64_t left = m->not_after_utc_ms - now_ms - o->expiry_margin_ms;
    w->expiry[0] = '\0';
    if (left < o->expiry_min_ms)
        return false;
    if (left > o->expiry_max_ms)
        left = o->expiry_max_ms;
    if (o->expiry == 0)
        mms_date(now_ms + left, w->expiry, sizeof w->expiry);
    else if (o->expiry == 1)
        mms_duration(left, w->expiry, sizeof w->expiry);
    return true;
}

static void reply_charging(const struct mms_channel *ch, int64_t now_ms, struct mm7_submit *s,
                           struct words *w)
{
    const struct mms_options *o = &ch->o;
    s->reply_charging = o->reply_charging || ch->plan.reply_size[0] || ch->plan.reply_deadline[0];
    w->size[0] = w->deadline[0] = '\0';
    if (o->reply_charging_bytes)
        (void)snprintf(w->size, sizeof w->size, "%lld", (long long)o->reply_charging_bytes);
    if (o->reply_deadline_ms)
        mms_date(now_ms + o->reply_deadline_ms, w->deadline, sizeof w->deadline);
    s->reply_size = ch->plan.reply_size[0] ? ch->plan.reply_size : w->size;
    s->reply_deadline = ch->plan.reply_deadline[0] ? ch->plan.reply_deadline : w->deadline;
}

static const char *yes_no(bool yes)
{
    return yes ? "true" : "false";
}

/* What the account says in every message. */
static struct mm7_submit account_words(const struct mms_options *o)
{
    return (struct mm7_submit){
        .vaspid = o->vaspid,
        .vasid = o->vasid,
        .service_code = o->service_code,
        .linked_id = o->linked_id,
        .read_reply = o->ask_read ? "true" : NULL,
        .charged_party = o->charged_party,
        .charged_party_id = o->charged_party_id,
        .distribution = o->distribution,
        .delivery_condition = o->delivery_condition,
        .applic_id = o->applic_id,
        .reply_applic_id = o->reply_applic_id,
        .aux_applic_info = o->aux_applic_info,
        .content_class = o->content_class,
        .drm_content = o->drm,
        .allow_adaptations = o->adaptations,
        .content_href = "cid:" MMS_CONTENT_ID,
    };
}

static const char *write_soap(struct mms_channel *ch, const struct cgw_message *m,
                              const struct mms_slot *slot, int64_t now_ms, struct words *w,
                              size_t *ret_len)
{
    const struct mms_options *o = &ch->o;
    struct mm7_submit s = account_words(o);
    uint32_t cls = m->contact_class <= CGW_CLASS_EMERGENCY ? m->contact_class : 0;
    s.transaction = slot->transaction;
    (void)mms_sender(o, &m->from, &s.sender);
    (void)mms_recipient(o, &m->to, &s.to);
    if (m->service_code && *m->service_code)
        s.service_code = m->service_code;
    if (ch->plan.linked_id[0])
        s.linked_id = ch->plan.linked_id;
    s.message_class = o->class_of[cls];
    mms_date(now_ms, w->date, sizeof w->date);
    s.timestamp = w->date;
    s.expiry = w->expiry;
    s.delivery_report = yes_no(o->report == 1 || (o->report == 0 && m->want_receipt));
    if (o->priority_by_lane)
        s.priority = m->lane == CGW_LANE_URGENT ? "High" : "Normal";
    s.subject = ch->plan.subject;
    if (o->charged_by_group && m->group) {
        (void)snprintf(w->party, sizeof w->party, "%llu", (unsigned long long)m->group);
        s.charged_party_id = w->party;
    }
    if (o->echo_reference && m->reference) {
        (void)snprintf(w->aux, sizeof w->aux, "ref:%llu", (unsigned long long)m->reference);
        s.aux_applic_info = w->aux;
    }
    reply_charging(ch, now_ms, &s, w);
    s.replace_id = slot->id[0] ? slot->id : NULL;
    return mm7_write_submit(&ch->xw, &o->dialect, &s, ret_len);
}

void mms_name_transaction(struct mms_channel *ch, struct mms_slot *s)
{
    (void)snprintf(s->transaction, sizeof s->transaction, "%08llx-%llx",
                   (unsigned long long)(ch->nonce & 0xffffffffu), (unsigned long long)++ch->serial);
}

/* \return 0, or what to complete it with, and why. */
static uint32_t write_message(struct mms_channel *ch, struct mms_slot *s,
                              const struct cgw_message *m, int32_t *ret_code, char *why,
                              size_t why_size)
{
    struct words w = {0};
    int64_t utc = ch->host->now_utc_ms();
    size_t len = 0;
    *ret_code = mms_plan_make(&ch->plan, &ch->o, ch->host, m, why, why_size);
    if (*ret_code)
        return CGW_RES_REFUSED;
    if (!expiry_of(ch, m, utc, &w)) {
        (void)snprintf(why, why_size, "too little of its window is left");
        return CGW_RES_NOT_SENT;
    }
    s->token = m->token;
    s->lane = m->lane;
    s->is_cancel = false;
    (void)snprintf(s->person, sizeof s->person, "%s", m->to.text);
    (void)snprintf(s->id, sizeof s->id, "%s", ch->plan.replace_id);
    mms_id_normal(s->id);
    mms_name_transaction(ch, s);
    const char *soap = write_soap(ch, m, s, utc, &w, &len);
    int rc = soap ? mms_body_make(&s->body, ch->boundary, soap, len, &ch->plan, &ch->o, &ch->media,
                                  ch->host)
                  : CGW_EBUSY;
    (void)snprintf(why, why_size, "%s",
                   rc == CGW_ENOTFOUND ? "a media part is not there"
                   : rc == CGW_ELIMIT  ? "a media part is too large"
                                       : "no memory to write it");
    *ret_code = rc == CGW_EBUSY ? 0 : rc;
    if (rc)
        return rc == CGW_EBUSY ? CGW_RES_NOT_SENT : CGW_RES_REFUSED;
    return mms_http_send(ch->http, &s->call, &s->body, true, m->submit_before_mono_ms)
               ? CGW_RES_NOT_SENT
               : 0;
}

static void take(struct mms_channel *ch, const struct cgw_message *m, int64_t now_ms)
{
    char why[CGW_DIAG_MAX];
    int32_t code = 0;
    if (m->submit_before_mono_ms <= now_ms) {
        complete_own(ch, m->token, CGW_RES_NOT_SENT, 0, "its time is over");
        return;
    }
    struct mms_slot *s = mms_slot_take(ch, false);
    s->is_cancel = false;
    uint32_t result = write_message(ch, s, m, &code, why, sizeof why);
    if (result) {
        mms_slot_give(ch, s);
        complete_own(ch, m->token, result, code, why);
        return;
    }
    mms_count(ch, MMS_C_WRITTEN);
    if (s->id[0])
        mms_count(ch, MMS_C_REPLACES);
    ch->host->count(ch->inst, MMS_C_BYTES, s->body.total);
}

uint32_t mms_op_submit(void *arg, const struct cgw_message *msgs, uint32_t n)
{
    struct mms_channel *ch = arg;
    const char *at = (const char *)msgs;
    int64_t now = ch->host->now_mono_ms();
    uint32_t taken = 0;
    /* What is not taken is offered again until its time is over: a pause costs nobody a message. */
    for (; taken < n && taken < MMS_TAKE_MAX; taken++, at += msgs->size) {
        const struct cgw_message *m = (const struct cgw_message *)at;
        bool is_over = m->submit_before_mono_ms <= now;
        if (ch->draining || !ch->started || (!is_over && ch->n_used >= ch->o.window) ||
            (!is_over && (now < ch->down_until_ms || now < ch->pace.until_ms ||
                          !mms_bucket_take(&ch->bucket, now))))
            break;
        take(ch, m, now);
    }
    mms_credit(ch);
    return taken;
}
