/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what an answer, or none, means: exactly one result for each message; CancelReq. */
#include "instance.h"

#include "mime.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CODE_SPACE "mm7.status"
#define HTTP_SPACE "http.status"

/* ---- answers ---- */

static bool read_answer(const struct mms_call *call, struct mm7_answer *ret)
{
    struct mms_mime *mime = NULL;
    struct mms_xml xml;
    struct cgw_diag diag = {.size = sizeof diag};
    char charset[40];
    const char *data = call->answer, *type = call->answer_type ? call->answer_type : "";
    size_t len = call->answer_len;
    *ret = (struct mm7_answer){0};
    if (len == 0)
        return false;
    mms_mime_charset(call->answer_type, charset, sizeof charset);
    if (!strncasecmp(type, "multipart/", 10)) {
        mime = mms_mime_read(type, data, len);
        if (!mime)
            return false;
        data = mime->leaves[mime->root].data;
        len = mime->leaves[mime->root].len;
        (void)snprintf(charset, sizeof charset, "%s", mime->leaves[mime->root].charset);
    }
    int rc = mms_xml_read(data, len, charset[0] ? charset : NULL, &xml, &diag);
    if (!rc) {
        rc = mm7_read_answer(&xml, ret);
        mms_xml_done(&xml);
    }
    mms_mime_done(mime);
    mms_id_normal(ret->message_id);
    return !rc;
}

/* Accepted for nobody is refused: with one recipient the code in Details is the one that counts. */
static int deciding_code(const struct mm7_answer *a)
{
    return a->code >= 1100 && a->code < 2000 && a->detail_code >= 2000 ? a->detail_code : a->code;
}

static void accepted(struct mms_channel *ch, struct mms_slot *s, struct mm7_answer *a,
                     struct cgw_result *r)
{
    const char *ids[1];
    if (s->id[0]) /* a ReplaceRsp names no message: it is the one that was replaced */
        (void)snprintf(a->message_id, sizeof a->message_id, "%s", s->id);
    if (!a->message_id[0]) /* taken, but nameless: reports will have to find it by its person */
        (void)snprintf(a->message_id, sizeof a->message_id, "tid:%s", s->transaction);
    ids[0] = a->message_id;
    r->result = CGW_RES_ACCEPTED;
    r->provider_ids = ids;
    r->n_ids = 1;
    mms_count(ch, MMS_C_ACCEPTED);
    mms_pace_good(&ch->pace);
    mms_known_put(&ch->known, a->message_id, s->person, s->token);
    mms_complete(ch, s, r);
    r->provider_ids = NULL; /* ours, and gone in a moment */
    mms_early_match(ch, a->message_id);
}

static void throttled(struct mms_channel *ch, const struct mms_slot *s, struct mms_verdict v,
                      struct cgw_result *r)
{
    int64_t least = v.after_ms > s->call.retry_after_ms ? v.after_ms : s->call.retry_after_ms;
    r->result = CGW_RES_REFUSED_RETRY;
    r->flags = CGW_RESF_THROTTLED;
    r->retry_after_ms =
        mms_pace_throttled(&ch->pace, s->call.begun_ms, least, ch->host->now_mono_ms());
    mms_count(ch, MMS_C_THROTTLED);
}

static void refused(struct mms_channel *ch, const struct mms_slot *s, struct mms_verdict v,
                    struct cgw_result *r)
{
    char why[CGW_DIAG_MAX];
    switch (v.cls) {
    case MMS_THROTTLE:
        throttled(ch, s, v, r);
        break;
    case MMS_ACCOUNT:
        r->result = CGW_RES_REFUSED_RETRY;
        r->flags = CGW_RESF_THROTTLED; /* nothing is wrong with the message */
        r->retry_after_ms = v.after_ms ? v.after_ms : ch->o.account_wait_ms;
        (void)snprintf(why, sizeof why, "the MMSC refuses the account: %s %d %.150s", r->code_space,
                       r->code, r->raw);
        mms_down(ch, r->retry_after_ms, why);
        mms_count(ch, MMS_C_REFUSED);
        break;
    case MMS_RETRY:
        r->result = CGW_RES_REFUSED_RETRY;
        r->retry_after_ms = v.after_ms ? v.after_ms : ch->o.retry_ms;
        mms_count(ch, MMS_C_REFUSED);
        break;
    case MMS_UNSURE:
        r->result = CGW_RES_UNKNOWN;
        mms_count(ch, MMS_C_UNSURE);
        break;
    default:
        r->result = CGW_RES_REFUSED;
        mms_count(ch, MMS_C_REFUSED);
    }
    mms_complete(ch, s, r);
}

static void answered(struct mms_channel *ch, struct mms_slot *s)
{
    struct mm7_answer a;
    struct cgw_result r = {.code_space = HTTP_SPACE, .code = s->call.status};
    bool readable = read_answer(&s->call, &a);
    struct mms_verdict v;
    if (readable) {
        r.code = deciding_code(&a);
        r.code_space = CODE_SPACE;
        r.raw = a.text;
        v = mms_status_of(&ch->o.status, r.code);
    } else {
        r.raw = "no StatusCode in the answer";
        v = mms_status_http(s->call.status);
    }
    if (v.cls != MMS_ACCOUNT)
        mms_up(ch);
    if (v.cls == MMS_ACCEPT)
        accepted(ch, s, &a, &r);
    else
        refused(ch, s, v, &r);
}

static void not_answered(struct mms_channel *ch, struct mms_slot *s, enum mms_sent sent)
{
    struct cgw_result r = {.code_space = MMS_OWN_SPACE, .raw = s->call.why};
    r.result = sent == MMS_LOST ? CGW_RES_UNKNOWN : CGW_RES_NOT_SENT;
    if (s->call.unreachable) {
        mms_down(ch, 0, s->call.why);
        mms_count(ch, MMS_C_UNREACHABLE);
    }
    if (sent == MMS_LOST) {
        mms_count(ch, MMS_C_UNSURE);
        /* silence is push-back too: go on with fewer at a time */
        (void)mms_pace_throttled(&ch->pace, s->call.begun_ms, 0, ch->host->now_mono_ms());
    }
    mms_complete(ch, s, &r);
}

/* ---- CancelReq ---- */

static void cancel_later(struct mms_channel *ch, const char *id)
{
    if (ch->n_cancels == MMS_CANCELS_MAX || ch->draining)
        return; /* a recall is a wish */
    uint32_t i = (ch->cancel_first + ch->n_cancels++) % MMS_CANCELS_MAX;
    (void)snprintf(ch->cancels[i], MMS_ID_SIZE, "%s", id);
}

static bool cancel_send(struct mms_channel *ch, const char *id)
{
    struct mms_slot *s = mms_slot_take(ch, true);
    struct mm7_cancel c = {.vaspid = ch->o.vaspid, .vasid = ch->o.vasid, .message_id = id};
    const struct cgw_address nobody = {0};
    size_t len = 0;
    if (!s)
        return false;
    s->is_cancel = true;
    (void)snprintf(s->id, sizeof s->id, "%s", id);
    mms_name_transaction(ch, s);
    c.transaction = s->transaction;
    (void)mms_sender(&ch->o, &nobody, &c.sender);
    const char *soap = mm7_write_cancel(&ch->xw, &ch->o.dialect, &c, &len);
    if (!soap ||
        mms_body_make(&s->body, ch->boundary, soap, len, NULL, &ch->o, &ch->media, ch->host) ||
        mms_http_send(ch->http, &s->call, &s->body, false, 0))
        mms_slot_give(ch, s);
    else
        mms_count(ch, MMS_C_CANCELS);
    return true;
}

static void cancels_pump(struct mms_channel *ch)
{
    while (ch->n_cancels && cancel_send(ch, ch->cancels[ch->cancel_first])) {
        ch->cancel_first = (ch->cancel_first + 1) % MMS_CANCELS_MAX;
        ch->n_cancels--;
    }
}

static void cancel_done(struct mms_channel *ch, struct mms_slot *s, enum mms_sent sent)
{
    struct mm7_answer a;
    char raw[CGW_RAW_MAX];
    bool said = sent == MMS_ANSWERED && read_answer(&s->call, &a),
         ok = said && a.code >= 1000 && a.code < 1100;
    if (!ok)
        mms_count(ch, MMS_C_CANCELS_REFUSED);
    if (s->call.unreachable) {
        mms_down(ch, 0, s->call.why);
        mms_count(ch, MMS_C_UNREACHABLE);
    } else if (said && (ok || mms_status_of(&ch->o.status, a.code).cls != MMS_ACCOUNT)) {
        mms_up(ch);
    }
    /* "later" and "who are you" say nothing of the message: whoever asked may ask again */
    if (!said || (!ok && mms_status_of(&ch->o.status, a.code).cls != MMS_REFUSE))
        return;
    (void)snprintf(raw, sizeof raw, "CancelReq %d %.180s", a.code, a.text);
    mms_cancelled(ch, s->id, ok, raw);
}

uint32_t mms_op_recall(void *arg, const struct cgw_ask *asks, uint32_t n)
{
    struct mms_channel *ch = arg;
    const char *at = (const char *)asks;
    uint32_t taken = 0;
    int64_t now = ch->host->now_mono_ms();
    if (!ch->o.cancel || ch->draining)
        return n; /* taken, and left to its report */
    if (ch->down && (now < ch->down_until_ms || ch->n_cancels))
        return 0;
    if (ch->down && n > 1)
        n = 1; /* a probe: nothing else may be there to send */
    for (; taken < n && ch->n_cancels < MMS_RECALLS_MAX; taken++, at += asks->size) {
        const char *id = ((const struct cgw_ask *)at)->peer_id;
        if (!id[0] || strlen(id) >= MMS_ID_SIZE || !strncmp(id, "tid:", 4))
            continue; /* nameless at the MMSC */
        if (!mms_bucket_has(&ch->bucket, now) || !mms_bucket_take(&ch->recall_bucket, now))
            break;
        (void)mms_bucket_take(&ch->bucket, now);
        cancel_later(ch, id);
    }
    cancels_pump(ch);
    return taken;
}

void mms_op_cancel(void *arg, const uint64_t *tokens, uint32_t n)
{
    struct mms_channel *ch = arg;
    for (uint32_t t = 0; t < n; t++) {
        struct mms_slot *s = NULL;
        for (uint32_t i = 0; i < ch->o.window && !s; i++)
            if (ch->slots[i].used && ch->slots[i].token == tokens[t])
                s = &ch->slots[i];
        const struct mms_known_entry *e = s ? NULL : mms_known_token(&ch->known, tokens[t]);
        if (s && !s->call.wrote)
            mms_http_abort(ch->http, &s->call, "recalled");
        else if (s)
            s->recall = true;
        else if (e)
            cancel_later(ch, e->id);
    }
    cancels_pump(ch);
    mms_credit(ch);
}

/* ---- the end of a request ---- */

void mms_slot_done(void *ctx, struct mms_call *call, enum mms_sent sent)
{
    struct mms_channel *ch = ctx;
    struct mms_slot *s = (struct mms_slot *)call;
    if (s->is_cancel)
        cancel_done(ch, s, sent);
    else if (sent == MMS_ANSWERED)
        answered(ch, s);
    else
        not_answered(ch, s, sent);
    if (s->recall && !s->is_cancel) {
        const struct mms_known_entry *e = mms_known_token(&ch->known, s->token);
        if (e)
            cancel_later(ch, e->id);
    }
    mms_slot_give(ch, s);
    if (sent != MMS_ANSWERED)
        mms_early_match(ch, NULL);
    cancels_pump(ch);
    mms_try_drained(ch);
    if (!ch->drained)
        mms_credit(ch);
}
