/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_mo.c - mobile originated messages: by command and as replies, whole or in parts.
 * Must not wait for anything: sim_control reports the answers. Source: SMPP v3.4 4.6, 5.3.2.22;
 * 3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "sim_text.h"

#define PARTS_MAX 255

static void set_addr(struct sim_addr *addr, const char *text)
{
    bool digits = true;

    sim_copy(addr->text, sizeof(addr->text), text);
    for (const char *p = text; *p; p++)
        digits = digits && isdigit((unsigned char)*p);
    if (!digits) {
        addr->ton = 5; /* alphanumeric, 5.2.5 */
        addr->npi = 0;
    } else if (strlen(text) > 8) {
        addr->ton = 1; /* international, E.164 */
        addr->npi = 1;
    } else {
        addr->ton = 3; /* network specific: short codes */
        addr->npi = 0;
    }
}

static size_t part_size(int coding, enum sim_concat_kind kind)
{
    size_t head = kind == SIM_CONCAT_UDH16 ? 7 : 6;

    return coding == 0 ? (1120 - head * 8) / 7 : 140 - head;
}

static size_t put_udh(uint8_t *out, const struct sim_concat *c)
{
    uint8_t narrow[6] = {5, 0, 3, (uint8_t)c->ref, c->total, c->part};
    uint8_t wide[7] = {6, 8, 4, (uint8_t)(c->ref >> 8), (uint8_t)c->ref, c->total, c->part};

    if (c->kind == SIM_CONCAT_UDH8)
        memcpy(out, narrow, sizeof(narrow));
    else
        memcpy(out, wide, sizeof(wide));
    return c->kind == SIM_CONCAT_UDH8 ? sizeof(narrow) : sizeof(wide);
}

static void put_sar(struct sim_buf *out, const struct sim_concat *c)
{
    uint8_t ref[2] = {(uint8_t)(c->ref >> 8), (uint8_t)c->ref};

    sim_pdu_tlv(out, SMPP_TLV_SAR_REF, ref, 2);
    sim_pdu_tlv(out, SMPP_TLV_SAR_TOTAL, &c->total, 1);
    sim_pdu_tlv(out, SMPP_TLV_SAR_SEQ, &c->part, 1);
}

static struct sim_delivery *build_part(struct sim *sim, const struct sim_mo_order *o, int coding,
                                       const struct sim_concat *c, const uint8_t *text, size_t len)
{
    struct sim_buf pdu = {0}, body = {0};
    struct sim_delivery *d;
    uint8_t udh[8];
    struct sim_sm sm;
    size_t begin;

    memset(&sm, 0, sizeof(sm));
    set_addr(&sm.src, o->from);
    set_addr(&sm.dst, o->to);
    sm.data_coding = (uint8_t)coding;
    if (c->kind == SIM_CONCAT_UDH8 || c->kind == SIM_CONCAT_UDH16) {
        sm.esm_class = 0x40;
        sim_buf_put(&body, udh, put_udh(udh, c));
    }
    sim_buf_put(&body, text, len);
    sm.body = body.data;
    sm.body_len = body.len;
    sm.in_payload = o->payload;
    begin = sim_pdu_deliver(&pdu, SMPP_DELIVER_SM, &sm);
    if (c->kind == SIM_CONCAT_SAR)
        put_sar(&pdu, c);
    sim_pdu_end(&pdu, begin);
    d = sim_delivery_new(sim, o->account, &pdu);
    d->mo = o->mo;
    sim_buf_done(&pdu);
    sim_buf_done(&body);
    return d;
}

static int split(struct sim *sim, const struct sim_mo_order *o, int coding,
                 const struct sim_buf *text, struct sim_delivery *part[PARTS_MAX])
{
    struct sim_concat c = {o->kind, (uint16_t)sim->mo_serial, 0, 0};
    size_t single = coding == 0 ? 160 : 140, size, at = 0;
    int n = 0;

    if (o->payload || text->len <= single) {
        c.kind = SIM_CONCAT_NONE;
        part[0] = build_part(sim, o, coding, &c, text->data, text->len);
        return 1;
    }
    size = part_size(coding, o->kind);
    for (size_t i = 0; i < text->len; c.total++) {
        if (c.total == PARTS_MAX)
            return -E2BIG;
        i += sim_text_cut(coding, text->data + i, text->len - i, size);
    }
    while (at < text->len) {
        size_t len = sim_text_cut(coding, text->data + at, text->len - at, size);

        c.part = (uint8_t)(n + 1);
        part[n++] = build_part(sim, o, coding, &c, text->data + at, len);
        at += len;
    }
    return n;
}

static void order_parts(struct sim *sim, const struct sim_mo_order *o, struct sim_delivery **part,
                        int n)
{
    for (int i = 0; o->reverse && i < n / 2; i++) {
        struct sim_delivery *t = part[i];

        part[i] = part[n - 1 - i];
        part[n - 1 - i] = t;
    }
    for (int i = n - 1; o->shuffle && i > 0; i--) {
        uint64_t d = sim_draw((uint64_t)sim->knobs.seed, SIM_P_MO_SHUFFLE,
                              sim->mo_serial * 256 + (uint64_t)i);
        int j = (int)(d % (uint64_t)(i + 1));
        struct sim_delivery *t = part[i];

        part[i] = part[j];
        part[j] = t;
    }
}

static struct sim_delivery *copy_of(struct sim *sim, const struct sim_delivery *d)
{
    struct sim_buf pdu = {0};
    struct sim_delivery *twin;

    sim_buf_put(&pdu, d->pdu, d->len);
    twin = sim_delivery_new(sim, d->account, &pdu);
    twin->mo = d->mo;
    sim_buf_done(&pdu);
    return twin;
}

static struct sim_account *receiver_account(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->sessions_high; i++)
        if (sim_can_receive(sim->session[i]))
            return sim->session[i]->account;
    return sim->accounts ? &sim->account[0] : NULL;
}

static int encode(const struct sim_mo_order *o, struct sim_buf *out, char *why, size_t cap)
{
    int coding;

    if (strlen(o->from) >= SIM_ADDR_CAP || strlen(o->to) >= SIM_ADDR_CAP) {
        snprintf(why, cap, "addresses have at most %d characters", SIM_ADDR_CAP - 1);
        return -EINVAL;
    }
    coding = sim_text_write((enum sim_coding)o->coding, o->text, out);
    if (coding < 0)
        snprintf(why, cap, "the text is not UTF-8, or not of that coding");
    else if (out->len > 65000)
        snprintf(why, cap, "the text is too long");
    return out->len > 65000 ? -E2BIG : coding;
}

static void dispatch(struct sim *sim, struct sim_delivery *d, int64_t delay_ms)
{
    sim->stats.mo_made++;
    if (delay_ms)
        sim_deliver_later(sim, d, delay_ms);
    else
        sim_deliver(sim, d);
}

int sim_mo_send(struct sim *sim, const struct sim_mo_order *order, int *ret_parts, char *why,
                size_t cap)
{
    struct sim_mo_order o = *order;
    struct sim_delivery *part[PARTS_MAX], *twin[PARTS_MAX];
    struct sim_buf text = {0};
    int coding, n;

    if (!o.account)
        o.account = receiver_account(sim);
    if (!o.account) {
        snprintf(why, cap, "no account");
        return -ENOENT;
    }
    sim->mo_serial++;
    coding = encode(&o, &text, why, cap);
    n = coding < 0 ? coding : split(sim, &o, coding, &text, part);
    sim_buf_done(&text);
    if (n == -E2BIG)
        snprintf(why, cap, "more than %d parts", PARTS_MAX);
    if (n < 0)
        return n;
    order_parts(sim, &o, part, n);
    for (int i = 0; i < n && o.twice; i++)
        twin[i] = copy_of(sim, part[i]);
    for (int i = 0; i < n; i++)
        dispatch(sim, part[i], o.delay_ms);
    for (int i = 0; i < n && o.twice; i++)
        dispatch(sim, twin[i], o.delay_ms);
    *ret_parts = o.twice ? 2 * n : n;
    return 0;
}

int sim_reply_add(struct sim *sim, const char *rule)
{
    const char *equals = strchr(rule, '=');
    struct sim_reply *r = &sim->reply[sim->replies];

    if (sim->replies == SIM_REPLIES_MAX)
        return -ENOSPC;
    if (!equals || (size_t)(equals - rule) >= sizeof(r->suffix) ||
        strlen(equals + 1) >= sizeof(r->text))
        return -EINVAL;
    sim_copy(r->suffix, (size_t)(equals - rule) + 1, rule);
    sim_copy(r->text, sizeof(r->text), equals + 1);
    sim->replies++;
    return 0;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return m <= n && !strcmp(text + n - m, suffix);
}

void sim_mo_replies(struct sim *sim, struct sim_session *s, const struct sim_sm *sm,
                    uint64_t ordinal, int64_t after_ms)
{
    char why[80];
    int parts;

    if (!sim_chance(sim_draw((uint64_t)sim->knobs.seed, SIM_P_REPLY, ordinal),
                    sim->knobs.reply_permille))
        return;
    for (int i = 0; i < sim->replies; i++) {
        struct sim_mo_order o = {.account = s->account,
                                 .from = sm->dst.text,
                                 .to = sm->src.text,
                                 .text = sim->reply[i].text,
                                 .kind = SIM_CONCAT_UDH8,
                                 .delay_ms = sim->knobs.reply_delay_ms + after_ms + 1};

        if (ends_with(sm->dst.text, sim->reply[i].suffix)) {
            sim_mo_send(sim, &o, &parts, why, sizeof(why));
            return;
        }
    }
}
