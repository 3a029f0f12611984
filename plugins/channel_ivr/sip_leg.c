/* SPDX-License-Identifier: Apache-2.0 */
/* sip_leg.c - one call: INVITE, its session description, INFO, REFER, BYE. See sip.h. Offers
 * neither 100rel (RFC 3262) nor session timers (RFC 4028): libre 1.1.0 has neither; a peer's
 * refreshing re-INVITE is answered. */
#include "sip_int.h"
#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct ivr_leg {
    struct sipsess *sess;
    struct sdp_session *sdp;
    struct sdp_media *audio;
    struct sipsub *refer;
    struct tmr
        refer_tmr; /* results are told outside libre's own handlers, which use what we free */
    int refer_code;
    bool described; /* an answer was read, in 183 or 200 */
    struct ivr_sip *sip;
    const struct ivr_account *account;
    const struct ivr_leg_events *events;
    void *arg;
};

/* ---- session description (RFC 4566, RFC 3264) ---- */

static const struct {
    const char *id, *name;
} codecs[] = {[IVR_ULAW] = {"0", "PCMU"}, [IVR_ALAW] = {"8", "PCMA"}};

static int describe(struct ivr_leg *leg, uint16_t port)
{
    int err = sdp_session_alloc(&leg->sdp, &leg->sip->local);
    if (!err)
        err = sdp_media_add(&leg->audio, leg->sdp, sdp_media_audio, port, sdp_proto_rtpavp);
    for (uint32_t i = 0; !err && i < leg->sip->conf.n_codecs; i++)
        err = sdp_format_add(NULL, leg->audio, false, codecs[leg->sip->conf.codecs[i]].id,
                             codecs[leg->sip->conf.codecs[i]].name, 8000, 1, NULL, NULL, NULL,
                             false, NULL);
    if (!err)
        err = sdp_format_add(NULL, leg->audio, false, "101", "telephone-event", 8000, 1, NULL, NULL,
                             NULL, false, "0-15");
    return err ? err : sdp_media_set_lattr(leg->audio, true, "ptime", "20");
}

static int codec_of(const struct sdp_format *f)
{
    for (int i = 0; f->name && f->sup && i < 2; i++)
        if (strcasecmp(f->name, codecs[i].name) == 0)
            return i;
    return -1;
}

/* \return false when the peer offers nothing that we can send. */
static bool read_peer(const struct ivr_leg *leg, struct ivr_peer *ret)
{
    const struct sdp_format *event = sdp_media_rformat(leg->audio, "telephone-event");
    const struct sa *addr = sdp_media_raddr(leg->audio);
    *ret = (struct ivr_peer){.event_pt = event ? (int16_t)event->pt : -1};
    if (!leg->described || !sa_isset(addr, SA_ADDR) || sa_af(addr) != AF_INET)
        return false;
    ret->addr = addr->u.in;
    ret->addr.sin_family = AF_INET;
    ret->sending = sdp_media_dir(leg->audio) & SDP_SENDONLY && sa_in(addr) != 0;
    const struct list *formats = sdp_media_format_lst(leg->audio, false);
    for (const struct le *le = formats ? formats->head : NULL; le; le = le->next) {
        const struct sdp_format *f = le->data;
        int codec = codec_of(f);
        if (codec >= 0) {
            ret->codec = (enum ivr_codec)codec;
            ret->pt = (uint8_t)f->pt;
            return sa_port(addr) != 0;
        }
    }
    return false;
}

static void take_answer(struct ivr_leg *leg, const struct sip_msg *msg)
{
    if (mbuf_get_left(msg->mb) > 0 && sdp_decode(leg->sdp, msg->mb, false) == 0)
        leg->described = true;
}

/* ---- libre's handlers ---- */

static void on_progress(const struct sip_msg *msg, void *arg)
{
    struct ivr_leg *leg = arg;
    take_answer(leg, msg); /* a description in 183 stands for the one in 200: RFC 3261, 13.2.1 */
    leg->events->progress(leg->arg, msg->scode);
}

/* Errors are told in on_established(): here libre would acknowledge and forget the code. */
static int on_answer(const struct sip_msg *msg, void *arg)
{
    take_answer(arg, msg);
    return 0;
}

static void on_established(const struct sip_msg *msg, void *arg)
{
    struct ivr_leg *leg = arg;
    struct ivr_peer peer;
    if (read_peer(leg, &peer))
        leg->events->answered(leg->arg, msg->scode, &peer);
    else
        leg->events->ended(leg->arg, &(struct ivr_end){.code = 488,
                                                       .error = EPROTO,
                                                       .reason = "no usable session description"});
}

/* re-INVITE: their offer is answered, or ours is repeated when they send none. */
static int on_offer(struct mbuf **ret, const struct sip_msg *msg, void *arg)
{
    struct ivr_leg *leg = arg;
    struct ivr_peer peer;
    bool offered = mbuf_get_left(msg->mb) > 0;
    int err = offered ? sdp_decode(leg->sdp, msg->mb, true) : 0;
    if (!err)
        err = sdp_encode(ret, leg->sdp, !offered);
    if (!err && offered && read_peer(leg, &peer))
        leg->events->changed(leg->arg, &peer);
    return err;
}

/* application/dtmf-relay: "Signal=5"; application/dtmf: "5". Both are custom, no RFC has them. */
static char info_digit(const struct sip_msg *msg)
{
    size_t n = mbuf_get_left(msg->mb), at = 0;
    const char *body = n > 0 ? (const char *)mbuf_buf(msg->mb) : "";
    if (msg_ctype_cmp(&msg->ctyp, "application", "dtmf-relay")) {
        while (at + 7 <= n && strncasecmp(body + at, "signal=", 7) != 0)
            at++;
        at = at + 7 <= n ? at + 7 : n;
    } else if (!msg_ctype_cmp(&msg->ctyp, "application", "dtmf")) {
        return 0;
    }
    while (at < n && body[at] == ' ')
        at++;
    return at < n && ivr_key_index(body[at]) >= 0 ? body[at] : 0;
}

static void on_info(struct sip *sip, const struct sip_msg *msg, void *arg)
{
    struct ivr_leg *leg = arg;
    char key = info_digit(msg);
    (void)sip_treply(NULL, sip, msg, 200, "OK");
    if (key)
        leg->events->digit(leg->arg, key);
}

static int64_t retry_after_ms(const struct sip_msg *msg)
{
    const struct sip_hdr *h = sip_msg_hdr(msg, SIP_HDR_RETRY_AFTER);
    int64_t s = 0;
    for (size_t i = 0; h && i < h->val.l && h->val.p[i] >= '0' && h->val.p[i] <= '9'; i++)
        s = s * 10 + h->val.p[i] - '0' > 86400 ? 86400 : s * 10 + h->val.p[i] - '0';
    return s * 1000; /* a comment may follow the number; a day is as long as we would listen */
}

/* A peer's BYE comes as a reset without its message; so its Reason header is not seen. */
static void on_close(int err, const struct sip_msg *msg, void *arg)
{
    struct ivr_leg *leg = arg;
    struct ivr_end end = {.error = err, .bye = !msg && err == ECONNRESET};
    if (end.bye) {
        end.code = 200;
    } else if (msg) {
        end.code = msg->scode;
        end.retry_after_ms = retry_after_ms(msg);
        (void)pl_strcpy(&msg->reason, end.reason, sizeof end.reason);
    }
    leg->events->ended(leg->arg, &end);
}

/* ---- transfer: RFC 3515 ---- */

static void tell_transfer(void *arg)
{
    struct ivr_leg *leg = arg;
    leg->refer = mem_deref(leg->refer);
    leg->events->transferred(leg->arg, leg->refer_code);
}

static void transfer_known(struct ivr_leg *leg, int code)
{
    leg->refer_code = code;
    tmr_start(&leg->refer_tmr, 0, tell_transfer, leg);
}

/* The body is the status line of the transfer's own call: message/sipfrag (RFC 3420). */
static void on_notify(struct sip *sip, const struct sip_msg *msg, void *arg)
{
    char line[64];
    int code = 0;
    size_t n = mbuf_get_left(msg->mb);
    (void)sip_treply(NULL, sip, msg, 200, "OK");
    (void)snprintf(line, sizeof line, "%.*s", (int)(n < 63 ? n : 63),
                   n > 0 ? (const char *)mbuf_buf(msg->mb) : "");
    if (sscanf(line, "SIP/2.0 %3d", &code) == 1 && code >= 200)
        transfer_known(arg, code);
}

static void on_refer_closed(int err, const struct sip_msg *msg, const struct sipevent_substate *st,
                            void *arg)
{
    struct ivr_leg *leg = arg;
    (void)st;
    if (tmr_isrunning(&leg->refer_tmr)) /* the final NOTIFY said it already */
        return;
    transfer_known(leg, err ? 408 : msg && !msg->req && msg->scode >= 300 ? msg->scode : 0);
}

int ivr_leg_transfer(struct ivr_leg *leg, const char *target)
{
    if (leg->refer)
        return EALREADY;
    /* a contact user is demanded although the dialog has one */
    return sipevent_drefer(&leg->refer, leg->sip->events, sipsess_dialog(leg->sess), "campgw",
                           ivr_auth, (void *)leg->account, false, on_notify, on_refer_closed, leg,
                           "Refer-To: <%s>\r\n", target);
}

/* ---- life ---- */

static int invite(struct ivr_leg *leg, const struct ivr_dial *d)
{
    struct mbuf *offer = NULL;
    int err = sdp_encode(&offer, leg->sdp, true);
    if (!err)
        err =
            sipsess_connect(&leg->sess, leg->sip->sessions, d->to, NULL, d->from, d->user, NULL, 0,
                            "application/sdp", offer, ivr_auth, (void *)d->account, false, on_offer,
                            on_answer, on_progress, on_established, on_info, NULL, on_close, leg,
                            "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,NOTIFY\r\n%s%s%s",
                            d->identity ? "P-Asserted-Identity: <" : "",
                            d->identity ? d->identity : "", d->identity ? ">\r\n" : "");
    mem_deref(offer);
    return err;
}

int ivr_leg_dial(struct ivr_leg **ret, struct ivr_sip *s, const struct ivr_dial *d,
                 const struct ivr_leg_events *events, void *arg)
{
    struct ivr_leg *leg = mem_zalloc(sizeof *leg, NULL);
    if (!leg)
        return ENOMEM;
    leg->sip = s;
    leg->account = d->account;
    leg->events = events;
    leg->arg = arg;
    tmr_init(&leg->refer_tmr);
    int err = describe(leg, d->media_port);
    if (!err)
        err = invite(leg, d);
    if (err)
        leg = ivr_leg_free(leg);
    *ret = leg;
    return err;
}

const char *ivr_leg_call_id(const struct ivr_leg *leg)
{
    return leg && leg->sess ? sip_dialog_callid(sipsess_dialog(leg->sess)) : "";
}

struct ivr_leg *ivr_leg_free(struct ivr_leg *leg)
{
    if (!leg)
        return NULL;
    tmr_cancel(&leg->refer_tmr);
    mem_deref(leg->refer);
    mem_deref(leg->sess); /* CANCEL or BYE, and 200 behind a CANCEL: ACK and BYE */
    mem_deref(leg->sdp);
    mem_deref(leg);
    return NULL;
}
