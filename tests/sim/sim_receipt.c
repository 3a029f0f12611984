/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_receipt.c - delivery receipts in every form seen in the field, and the ids they speak of.
 * Must not decide whether a submit is taken. Source: SMPP v3.4 issue 1.2, 5.2.12 (esm_class),
 * 5.2.17 (registered_delivery), 5.3.2 (TLVs), appendix B (text of a receipt).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"
#include "sim_text.h"

#define TEXT_KEPT 20 /* octets of the message repeated after text: */

struct job {
    struct sim_account *account;
    uint32_t epoch;
    uint64_t id;
    struct sim_addr from, to; /* of the receipt: from the recipient to the sender */
    int64_t submitted_ms;
    uint8_t state, form;
    bool no_esm, intermediate;
    int user_ref; /* -1 none */
    uint8_t text_len;
    char text[TEXT_KEPT];
};

static uint64_t draw(const struct sim *sim, enum sim_purpose purpose, uint64_t ordinal)
{
    return sim_draw((uint64_t)sim->knobs.seed, purpose, ordinal);
}

void sim_time_text(char *out, size_t cap, int64_t epoch_ms, const char *format)
{
    time_t t = (time_t)(epoch_ms / 1000);
    struct tm tm;

    gmtime_r(&t, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* callers pass literals only */
    if (!strftime(out, cap, format, &tm))
        out[0] = 0;
#pragma GCC diagnostic pop
}

void sim_id_format(const struct sim *sim, uint64_t id, bool receipt, char out[SIM_ID_CAP])
{
    const struct sim_knobs *k = &sim->knobs;
    bool hex = (receipt ? k->receipt_id_base : k->id_base) == 16;
    bool upper = receipt ? k->receipt_id_upper : k->id_upper;
    int pad = (int)(receipt ? k->receipt_id_pad : k->id_pad);
    unsigned long long v = id;

    if (hex && upper)
        snprintf(out, SIM_ID_CAP, "%s%0*llX", k->id_prefix, pad, v);
    else if (hex)
        snprintf(out, SIM_ID_CAP, "%s%0*llx", k->id_prefix, pad, v);
    else
        snprintf(out, SIM_ID_CAP, "%s%0*llu", k->id_prefix, pad, v);
}

struct sim_message_id *sim_id_find(struct sim *sim, const char *text)
{
    size_t prefix = strlen(sim->knobs.id_prefix);
    struct sim_message_id *m;
    unsigned long long id;
    char *end, spelled[SIM_ID_CAP];

    if (strncmp(text, sim->knobs.id_prefix, prefix) != 0)
        return NULL;
    id = strtoull(text + prefix, &end, sim->knobs.id_base == 16 ? 16 : 10);
    if (*end || end == text + prefix)
        return NULL;
    /* an id is a text: another spelling of the number is another id */
    sim_id_format(sim, id, false, spelled);
    m = &sim->ids[id & (SIM_IDS - 1)];
    return m->id == id && id && strcmp(spelled, text) == 0 ? m : NULL;
}

void sim_id_keep(struct sim *sim, uint64_t id, uint8_t state, int64_t final_ms)
{
    sim->ids[id & (SIM_IDS - 1)] =
        (struct sim_message_id){.id = id, .final_ms = final_ms, .state = state};
}

bool sim_receipt_wanted(const struct sim *sim, const struct sim_sm *sm, uint64_t ordinal)
{
    return (sm->registered & 0x03) &&
           sim_chance(draw(sim, SIM_P_RECEIPT, ordinal), sim->knobs.receipt_permille);
}

static int error_number(uint8_t state)
{
    static const int by_state[] = {0, 0, 0, 36, 5, 27, 0, 99, 13};

    return by_state[state <= SIM_REJECTED ? state : 0];
}

static size_t receipt_text(const struct sim *sim, const struct job *j, char *out, size_t cap)
{
    const char *format = sim->knobs.receipt_date_digits >= 12 ? "%y%m%d%H%M%S" : "%y%m%d%H%M";
    char id[SIM_ID_CAP], submitted[16], done[16];
    int n;

    sim_id_format(sim, j->id, true, id);
    sim_time_text(submitted, sizeof(submitted), j->submitted_ms, format);
    sim_time_text(done, sizeof(done), sim->epoch_ms, format);
    n = snprintf(out, cap,
                 "id:%s sub:001 dlvrd:%03d submit date:%s done date:%s stat:%s err:%03d text:%.*s",
                 id, j->state == SIM_DELIVERED, submitted, done, sim_state_word(j->state),
                 error_number(j->state), (int)j->text_len, j->text);
    return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}

static void put_tlvs(const struct sim *sim, const struct job *j, struct sim_buf *out)
{
    uint8_t network[3] = {3, 0, (uint8_t)error_number(j->state)}; /* type 3: GSM, 5.3.2.31 */
    char id[SIM_ID_CAP];

    sim_id_format(sim, j->id, !sim->knobs.receipt_tlv_as_answer, id);
    sim_pdu_tlv(out, SMPP_TLV_RECEIPTED_ID, id, strlen(id) + (sim->knobs.receipt_nul ? 1 : 0));
    sim_pdu_tlv(out, SMPP_TLV_STATE, &j->state, 1);
    if (network[2])
        sim_pdu_tlv(out, SMPP_TLV_NETWORK_ERROR, network, sizeof(network));
    if (j->user_ref >= 0) {
        uint8_t ref[2] = {(uint8_t)(j->user_ref >> 8), (uint8_t)j->user_ref};

        sim_pdu_tlv(out, SMPP_TLV_USER_REF, ref, sizeof(ref));
    }
}

static struct sim_delivery *build(struct sim *sim, const struct job *j)
{
    struct sim_buf pdu = {0};
    struct sim_delivery *d;
    char text[256];
    struct sim_sm sm;
    size_t begin;

    memset(&sm, 0, sizeof(sm));
    sm.src = j->from;
    sm.dst = j->to;
    sm.esm_class = j->no_esm ? 0 : j->intermediate ? 0x20 : 0x04;
    if (j->form != SIM_FORM_TLV) {
        sm.body = (const uint8_t *)text;
        sm.body_len = receipt_text(sim, j, text, sizeof(text));
    }
    sm.in_payload = j->form == SIM_FORM_PAYLOAD;
    begin = sim_pdu_deliver(&pdu, j->form == SIM_FORM_DATA ? SMPP_DATA_SM : SMPP_DELIVER_SM, &sm);
    if (j->form != SIM_FORM_TEXT && j->form != SIM_FORM_PAYLOAD)
        put_tlvs(sim, j, &pdu);
    sim_pdu_end(&pdu, begin);
    d = sim_delivery_new(sim, j->account, &pdu);
    d->receipt = true;
    d->final_id =
        j->intermediate || j->state == SIM_ENROUTE || j->state == SIM_ACCEPTED ? 0 : j->id;
    sim_buf_done(&pdu);
    return d;
}

static void fire(struct sim *sim, struct job *j)
{
    struct sim_message_id *known = &sim->ids[j->id & (SIM_IDS - 1)];

    if (known->id == j->id && known->cancelled)
        j->state = SIM_DELETED;
    sim->stats.receipts_made++;
    sim_deliver(sim, build(sim, j));
}

static void job_due(struct sim *sim, void *arg)
{
    struct job *j = arg;

    if (!sim->quitting && j->epoch == sim->epoch)
        fire(sim, j);
    free(j);
}

/* Delay 0 is now, and therefore before the answer that is yet to be written. */
static void start(struct sim *sim, const struct job *model, uint8_t state, int64_t delay_ms)
{
    struct job *j;

    if (delay_ms < 0) {
        struct job now = *model;

        now.state = state;
        fire(sim, &now);
        return;
    }
    j = sim_alloc(sizeof(*j));
    *j = *model;
    j->state = state;
    sim_timer_add(&sim->timers, sim->now_ms + delay_ms, job_due, j);
}

static void keep_text(struct job *j, const struct sim_sm *sm)
{
    enum sim_alphabet a = sim_alphabet_of(sm->data_coding);
    size_t n = sm->text_len < TEXT_KEPT ? sm->text_len : TEXT_KEPT;

    if (a != SIM_ALPHA_GSM && a != SIM_ALPHA_ASCII)
        return;
    for (size_t i = 0; i < n; i++)
        j->text[i] = (char)(sm->text[i] >= 0x20 && sm->text[i] < 0x7F ? sm->text[i] : ' ');
    j->text_len = (uint8_t)n;
}

static int64_t delay_of(const struct sim *sim, const struct sim_receipt_plan *p)
{
    const struct sim_knobs *k = &sim->knobs;
    int64_t ms = sim_between(draw(sim, SIM_P_RECEIPT_DELAY, p->ordinal), k->receipt_delay_min_ms,
                             k->receipt_delay_max_ms);

    if (p->early)
        return -1;
    if (sim_chance(draw(sim, SIM_P_RECEIPT_LATE, p->ordinal), k->receipt_late_permille))
        ms += k->receipt_late_ms;
    if (p->answer_delay_ms && ms <= p->answer_delay_ms)
        ms = p->answer_delay_ms + 1;
    return ms;
}

/* Before and after the receipt proper: what centres add on bad days. */
static void extras(struct sim *sim, const struct job *j, const struct sim_receipt_plan *p,
                   int64_t ms)
{
    const struct sim_knobs *k = &sim->knobs;
    int64_t later = ms < 0 ? 0 : ms;
    struct job other = *j;

    if (sim_chance(draw(sim, SIM_P_RECEIPT_DUP, p->ordinal), k->receipt_duplicate_permille))
        start(sim, j, j->state, later + 20);
    if (sim_chance(draw(sim, SIM_P_RECEIPT_AFTER, p->ordinal), k->receipt_after_final_permille))
        start(sim, j, j->state == SIM_DELIVERED ? SIM_EXPIRED : SIM_DELIVERED, later + 50);
    if (sim_chance(draw(sim, SIM_P_RECEIPT_UNKNOWN, p->ordinal), k->receipt_unknown_permille)) {
        other.id = sim->unknown_id++;
        start(sim, &other, SIM_DELIVERED, later + 5);
    }
}

static void intermediate(struct sim *sim, const struct job *j, const struct sim_receipt_plan *p,
                         int64_t ms)
{
    uint64_t chance = draw(sim, SIM_P_RECEIPT_INTER, p->ordinal);
    struct job other = *j;
    int64_t when = ms < 0 ? -1 : p->answer_delay_ms ? p->answer_delay_ms + 1 : ms / 2;

    if (!sim_chance(chance, sim->knobs.receipt_intermediate_permille))
        return;
    other.intermediate = (chance >> 32) % 2;
    start(sim, &other, (chance >> 33) % 2 ? SIM_ENROUTE : SIM_ACCEPTED, when < ms ? when : ms);
}

void sim_receipt_plan(struct sim *sim, struct sim_account *account,
                      const struct sim_receipt_plan *p)
{
    const struct sim_knobs *k = &sim->knobs;
    uint8_t asked = p->sm->registered & 0x03;
    int64_t ms = delay_of(sim, p);
    struct job j;

    memset(&j, 0, sizeof(j));
    j.account = account;
    j.epoch = sim->epoch;
    j.id = p->id;
    j.from = p->sm->dst;
    j.to = p->sm->src;
    j.submitted_ms = sim->epoch_ms;
    j.user_ref = k->receipt_reference ? p->sm->user_ref : -1;
    j.state = (uint8_t)sim_choose(&k->receipt_state, draw(sim, SIM_P_RECEIPT_STATE, p->ordinal));
    j.form = (uint8_t)sim_choose(&k->receipt_form, draw(sim, SIM_P_RECEIPT_FORM, p->ordinal));
    j.no_esm = sim_chance(draw(sim, SIM_P_RECEIPT_ESM0, p->ordinal), k->receipt_esm0_permille);
    keep_text(&j, p->sm);
    sim_id_keep(sim, p->id, j.state, sim->epoch_ms + (ms < 0 ? 0 : ms));
    /* 2: failures only; 3: success only (SMPP 5.0, 4.7.21). */
    if ((asked == 2 && j.state == SIM_DELIVERED) || (asked == 3 && j.state != SIM_DELIVERED))
        return;
    intermediate(sim, &j, p, ms);
    start(sim, &j, j.state, ms);
    extras(sim, &j, p, ms);
}
