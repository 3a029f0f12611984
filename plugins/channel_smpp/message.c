/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - from cgw_message to parts, and from the fate of the parts to one result.
 * Must not send, queue or call the host. */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct cgw_diag *diag, int code, const char *where, const char *what)
{
    diag->code = code;
    (void)snprintf(diag->where, sizeof diag->where, "%s", where);
    (void)snprintf(diag->text, sizeof diag->text, "%s", what);
    return code;
}

static const struct cgw_part *text_part(const struct cgw_message *m, struct cgw_diag *diag)
{
    const struct cgw_part *found = NULL;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].role != CGW_ROLE_TEXT || found) {
            (void)refuse(diag, CGW_EINVAL, "parts",
                         "SMS carries exactly one part, with the role text");
            return NULL;
        }
        found = &m->parts[i];
    }
    if (!found || (!found->body && found->len > 0)) {
        (void)refuse(diag, CGW_EINVAL, "parts", "there is no inline text part");
        return NULL;
    }
    return found;
}

static int addresses_of(const struct smpp_options *o, const struct cgw_message *m,
                        struct smpp_shape *ret, struct cgw_diag *diag)
{
    struct cgw_address from = m->from;
    if (from.kind == 0 && o->default_sender_kind != 0) {
        from.kind = o->default_sender_kind;
        from.text = o->default_sender;
        from.len = (uint32_t)strlen(o->default_sender);
    } else if (from.kind == 0) {
        from.text = "";
        from.len = 0;
    }
    int rc = smpp_addr_source(&from, &o->addr_rules, &ret->source, diag);
    return rc ? rc : smpp_addr_dest(&m->to, &o->addr_rules, &ret->destination, diag);
}

/* Chosen and encoded text; *ret_octets is owned by the caller. */
static int plan_text(const struct smpp_options *o, const struct cgw_part *text,
                     struct smpp_shape *ret, uint8_t **ret_octets, struct cgw_diag *diag)
{
    int rc = smpp_text_choose(text->body, text->len, &o->text_rules, &ret->choice, diag);
    if (rc)
        return rc;
    uint8_t *octets = malloc(ret->choice.octets + 1u);
    if (!octets)
        return -ENOMEM;
    int len = smpp_text_encode(text->body, text->len, ret->choice.alphabet, octets,
                               ret->choice.octets + 1u);
    if (len < 0) {
        free(octets);
        return refuse(diag, CGW_EINVAL, "parts", "the text cannot be encoded");
    }
    rc = smpp_segment_plan(octets, (uint32_t)len, &ret->choice, o->split, o->max_segments,
                           &ret->plan);
    if (rc) {
        char what[96];
        (void)snprintf(what, sizeof what,
                       "the text needs more than the %u segments that max_segments allows",
                       o->max_segments);
        free(octets);
        return refuse(diag, rc, "parts", what);
    }
    *ret_octets = octets;
    return 0;
}

static int shape(const struct smpp_options *o, const struct cgw_message *m, struct smpp_shape *ret,
                 uint8_t **ret_octets, struct cgw_diag *diag)
{
    diag->where[0] = diag->text[0] = '\0';
    const struct cgw_part *text = text_part(m, diag);
    if (!text)
        return CGW_EINVAL;
    int rc = addresses_of(o, m, ret, diag);
    return rc ? rc : plan_text(o, text, ret, ret_octets, diag);
}

int smpp_shape_of(const struct smpp_options *o, const struct cgw_message *m, struct smpp_shape *ret,
                  struct cgw_diag *diag)
{
    uint8_t *octets = NULL;
    int rc = shape(o, m, ret, &octets, diag);
    free(octets);
    return rc;
}

static void set_service_type(const struct smpp_options *o, const struct cgw_message *m,
                             struct smpp_msg *msg)
{
    const char *s = m->service_code;
    if (!s || *s == '\0' || strlen(s) > SMPP_SERVICE_TYPE_MAX)
        s = o->service_type; /* longer codes belong to other channels */
    (void)snprintf(msg->service_type, sizeof msg->service_type, "%s", s);
}

int smpp_msg_new(const struct smpp_options *o, struct smpp_refs *refs, const struct cgw_message *m,
                 struct smpp_msg **ret_msg, struct cgw_diag *diag)
{
    struct smpp_shape sh;
    uint8_t *octets = NULL;
    int rc = shape(o, m, &sh, &octets, diag);
    if (rc)
        return rc;
    struct smpp_msg *msg = calloc(1, sizeof *msg);
    struct smpp_msg_part *parts = calloc(sh.plan.n, sizeof *parts);
    if (!msg || !parts) {
        free(octets);
        free(parts);
        free(msg);
        return -ENOMEM;
    }
    msg->token = m->token;
    msg->lane = m->lane < CGW_LANES ? m->lane : CGW_LANE_BULK;
    msg->submit_before_mono_ms = m->submit_before_mono_ms;
    msg->not_after_utc_ms = m->not_after_utc_ms;
    msg->want_receipt = m->want_receipt != 0;
    msg->user_ref = o->user_reference ? (uint16_t)m->reference : 0;
    msg->source = sh.source;
    msg->destination = sh.destination;
    msg->data_coding = sh.choice.data_coding;
    msg->plan = sh.plan;
    msg->octets = octets;
    msg->parts = parts;
    set_service_type(o, m, msg);
    if (sh.plan.n > 1)
        msg->reference = smpp_refs_take(refs, sh.destination.text, o->split != SMPP_SPLIT_UDH8);
    *ret_msg = msg;
    return 0;
}

struct smpp_msg *smpp_msg_free(struct smpp_msg *m)
{
    if (!m)
        return NULL;
    for (uint32_t i = 0; i < m->plan.n; i++) {
        free(m->parts[i].id);
        free(m->parts[i].peer_id);
    }
    free(m->parts);
    free(m->octets);
    free(m);
    return NULL;
}

/* ---- parts ---- */

static uint32_t count_state(const struct smpp_msg *m, enum smpp_part_state state)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->plan.n; i++)
        n += m->parts[i].state == state;
    return n;
}

/* Something went wrong with a part: no further part is written until that is settled. */
static bool is_stopped(const struct smpp_msg *m)
{
    for (uint32_t i = 0; i < m->todo; i++)
        if (m->parts[i].state > SMPP_PART_OK)
            return true;
    return false;
}

int smpp_msg_next_part(struct smpp_msg *m)
{
    while (m->todo < m->plan.n && m->parts[m->todo].state != SMPP_PART_TODO)
        m->todo++;
    if (m->todo == m->plan.n || is_stopped(m))
        return -1;
    return (int)m->todo;
}

void smpp_msg_wrote(struct smpp_msg *m, uint32_t part)
{
    m->parts[part].state = SMPP_PART_WRITTEN;
    m->written++;
}

void smpp_msg_unwrote(struct smpp_msg *m, uint32_t part)
{
    m->parts[part].state = SMPP_PART_TODO;
    m->written--;
    if (part < m->todo)
        m->todo = part;
}

void smpp_msg_part_ok(struct smpp_msg *m, uint32_t part, const char *id, const char *peer_id)
{
    struct smpp_msg_part *p = &m->parts[part];
    p->state = SMPP_PART_OK;
    p->id = id[0] != '\0' ? strdup(id)
                          : NULL; /* without memory the id is lost, the acceptance is not */
    p->peer_id = p->id && strcmp(id, peer_id) != 0 ? strdup(peer_id) : NULL;
    m->written--;
    m->accepted++;
}

void smpp_msg_part_refused(struct smpp_msg *m, uint32_t part, uint32_t status,
                           const struct smpp_verdict *v, const char *raw)
{
    struct smpp_msg_part *p = &m->parts[part];
    p->state = v->cls == SMPP_CLASS_PERMANENT || v->cls == SMPP_CLASS_BIND_PERMANENT
                   ? SMPP_PART_REFUSED
                   : SMPP_PART_LATER;
    p->status = status;
    m->written--;
    if (v->cls == SMPP_CLASS_THROTTLE)
        m->throttled = true;
    if (v->tries > 0 && (m->tries_max == 0 || v->tries < m->tries_max))
        m->tries_max = v->tries;
    if ((int64_t)v->retry_after_ms > m->retry_after_ms)
        m->retry_after_ms = v->retry_after_ms;
    (void)snprintf(m->raw, sizeof m->raw, "%s%s%.60s", smpp_status_name(status), raw[0] ? " " : "",
                   raw);
}

void smpp_msg_part_unknown(struct smpp_msg *m, uint32_t part)
{
    m->parts[part].state = SMPP_PART_UNKNOWN;
    m->written--;
}

void smpp_msg_retry(struct smpp_msg *m)
{
    for (uint32_t i = 0; i < m->plan.n; i++)
        if (m->parts[i].state == SMPP_PART_LATER)
            m->parts[i].state = SMPP_PART_TODO;
    m->todo = 0;
    m->tries_max = 0;
    m->retry_after_ms = 0;
    m->throttled = false;
}

/* ---- all parts together ---- */

enum smpp_fate smpp_msg_fate(const struct smpp_msg *m)
{
    uint32_t refused = count_state(m, SMPP_PART_REFUSED),
             unknown = count_state(m, SMPP_PART_UNKNOWN);
    uint32_t later = count_state(m, SMPP_PART_LATER), todo = count_state(m, SMPP_PART_TODO);
    if (m->written > 0)
        return todo > 0 && refused + unknown + later == 0 ? SMPP_FATE_MORE : SMPP_FATE_WAIT;
    if (refused + unknown > 0)
        return SMPP_FATE_DONE;
    if (later > 0)
        return m->accepted > 0 ? SMPP_FATE_AGAIN : SMPP_FATE_DONE;
    return todo > 0 ? SMPP_FATE_MORE : SMPP_FATE_DONE;
}

static const struct smpp_msg_part *first_in(const struct smpp_msg *m, enum smpp_part_state state)
{
    for (uint32_t i = 0; i < m->plan.n; i++)
        if (m->parts[i].state == state)
            return &m->parts[i];
    return NULL;
}

static uint32_t class_of(const struct smpp_msg *m, const struct smpp_msg_part **ret_cause)
{
    *ret_cause = first_in(m, SMPP_PART_REFUSED);
    if (!*ret_cause)
        *ret_cause = first_in(m, SMPP_PART_LATER);
    if (m->written > 0 || first_in(m, SMPP_PART_UNKNOWN))
        return CGW_RES_UNKNOWN;
    if (m->accepted == m->plan.n)
        return CGW_RES_ACCEPTED;
    if (m->accepted > 0)
        return CGW_RES_FAILED; /* torn: some parts went out, the person cannot read the whole */
    if (m->own_code != 0)
        return CGW_RES_REFUSED;
    if (!*ret_cause)
        return CGW_RES_NOT_SENT;
    return (*ret_cause)->state == SMPP_PART_REFUSED ? CGW_RES_REFUSED : CGW_RES_REFUSED_RETRY;
}

static uint32_t collect_ids(const struct smpp_msg *m, const char **ids, const char **peer_ids,
                            uint32_t max_ids)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->plan.n && n < max_ids; i++)
        if (m->parts[i].state == SMPP_PART_OK && m->parts[i].id) {
            peer_ids[n] = m->parts[i].peer_id;
            ids[n++] = m->parts[i].id;
        }
    return n;
}

void smpp_msg_result(const struct smpp_msg *m, struct cgw_result *ret, const char **ids,
                     const char **peer_ids, uint32_t max_ids)
{
    const struct smpp_msg_part *cause;
    *ret = (struct cgw_result){.size = sizeof *ret, .token = m->token};
    ret->result = class_of(m, &cause);
    ret->n_ids = collect_ids(m, ids, peer_ids, max_ids);
    ret->provider_ids = ids;
    ret->peer_ids = peer_ids;
    uint32_t out = m->accepted + m->written + count_state(m, SMPP_PART_UNKNOWN);
    ret->segments = ret->quantity = out == m->plan.n ? m->plan.network : out;
    ret->code_space = SMPP_CODE_SPACE;
    if (cause) {
        ret->code = (int32_t)cause->status;
    } else if (m->own_code != 0) {
        ret->code = m->own_code;
        ret->code_space = SMPP_OWN_SPACE;
    }
    if (m->raw[0] != '\0' && ret->result != CGW_RES_ACCEPTED)
        ret->raw = m->raw;
    if (ret->result == CGW_RES_REFUSED_RETRY) {
        ret->retry_after_ms = m->retry_after_ms;
        ret->flags = m->throttled ? CGW_RESF_THROTTLED : 0;
    }
    if (ret->result == CGW_RES_FAILED && !ret->raw)
        ret->raw = "incomplete: not every part could be written in time";
}

int smpp_msg_submit(const struct smpp_options *o, const struct smpp_msg *m, uint32_t part,
                    const char *validity, uint8_t scratch[SMPP_SEGMENT_SCRATCH],
                    struct smpp_submit *ret)
{
    *ret = (struct smpp_submit){
        .service_type = m->service_type,
        .source = m->source,
        .destination = m->destination,
        .registered_delivery = m->want_receipt ? o->registered_delivery : 0,
        .data_coding = m->data_coding,
        .validity_period = validity,
        .has_user_ref = m->user_ref != 0,
        .user_ref = m->user_ref,
        .extra = o->extra.tlvs,
        .n_extra = o->extra.n,
    };
    return smpp_segment_fill(&m->plan, m->octets, part, m->reference, scratch, ret);
}
