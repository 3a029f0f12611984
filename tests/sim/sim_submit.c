/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_submit.c - the fate of a submit: taken, refused, swallowed; answered, late, half or never.
 * Faults are tried in the order of the table `fates`; the first that strikes decides.
 * Must not touch sockets. Source: SMPP v3.4 issue 1.2, 4.4, 4.7, 4.8, 4.9.
 */
#include <string.h>

#include "sim.h"

struct submit {
    const struct sim_head *head;
    const uint8_t *body;
    size_t len;
    struct sim_sm sm;
    uint64_t ordinal;
    struct sim_answer answer;
    bool taken;
    bool swallow;
    const char *fate;
};

static uint64_t draw(const struct sim *sim, enum sim_purpose purpose, uint64_t ordinal)
{
    return sim_draw((uint64_t)sim->knobs.seed, purpose, ordinal);
}

void sim_count_status(struct sim *sim, bool ack, uint32_t status)
{
    for (int i = 0; i < SIM_STATUS_MAX; i++) {
        uint64_t *count = ack ? &sim->stats.ack[i].count : &sim->stats.status[i].count;
        uint32_t *value = ack ? &sim->stats.ack[i].status : &sim->stats.status[i].status;

        if (*count && *value != status)
            continue;
        *value = status;
        ++*count;
        return;
    }
}

static bool over_window(struct sim *sim, struct sim_session *s, struct submit *m)
{
    if (!sim->knobs.max_window || sim_answers_open(s) < sim->knobs.max_window)
        return false;
    m->answer.status = (uint32_t)sim->knobs.window_status;
    m->fate = "window";
    return true;
}

/* A bucket that fills at max_rate and holds rate_burst. */
static bool over_rate(struct sim *sim, struct sim_session *s, struct submit *m)
{
    struct sim_account *a = s->account;
    double rate = (double)sim->knobs.max_rate, size = (double)sim->knobs.rate_burst;

    if (!sim->knobs.max_rate)
        return false;
    if (size <= 0)
        size = rate / 10 < 1 ? 1 : rate / 10;
    a->bucket += (double)(sim->now_ms - a->bucket_ms) * rate / 1000;
    a->bucket_ms = sim->now_ms;
    if (a->bucket > size)
        a->bucket = size;
    if (a->bucket >= 1) {
        a->bucket -= 1;
        return false;
    }
    m->answer.status = (uint32_t)sim->knobs.rate_status;
    m->fate = "rate";
    return true;
}

static bool throttle(struct sim *sim, struct sim_session *s, struct submit *m)
{
    (void)s;
    if (!sim_chance(draw(sim, SIM_P_THROTTLE, m->ordinal), sim->knobs.throttle_permille))
        return false;
    m->answer.status = (uint32_t)sim->knobs.throttle_status;
    m->fate = "throttled";
    return true;
}

static bool error(struct sim *sim, struct sim_session *s, struct submit *m)
{
    (void)s;
    if (!sim_chance(draw(sim, SIM_P_ERROR, m->ordinal), sim->knobs.error_permille))
        return false;
    m->answer.status =
        (uint32_t)sim_choose(&sim->knobs.error_list, draw(sim, SIM_P_ERROR_CODE, m->ordinal));
    m->fate = "error";
    return m->answer.status != 0;
}

static bool swallow(struct sim *sim, struct sim_session *s, struct submit *m)
{
    (void)s;
    m->swallow = sim_chance(draw(sim, SIM_P_SWALLOW, m->ordinal), sim->knobs.swallow_permille);
    if (m->swallow)
        m->fate = "swallowed";
    return m->swallow;
}

static bool no_destination(struct sim *sim, struct sim_session *s, struct submit *m)
{
    (void)sim;
    (void)s;
    if (*m->sm.dst.text)
        return false;
    m->answer.status = SMPP_RINVDSTADR;
    m->fate = "destination";
    return true;
}

static bool (*const fates[])(struct sim *, struct sim_session *, struct submit *) = {
    no_destination, over_window, over_rate, throttle, error, swallow,
};

static void decide(struct sim *sim, struct sim_session *s, struct submit *m)
{
    m->taken = true;
    m->fate = "accepted";
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        if (fates[i](sim, s, m)) {
            m->taken = false;
            return;
        }
}

static void tally(struct sim *sim, const struct submit *m)
{
    struct sim_stats *st = &sim->stats;

    if (!st->first_submit_ms)
        st->first_submit_ms = sim->epoch_ms;
    st->last_submit_ms = sim->epoch_ms;
    if (m->taken)
        st->accepted++;
    else if (m->swallow)
        st->swallowed++;
    else if (m->answer.status == SMPP_RTHROTTLED || m->answer.status == SMPP_RMSGQFUL)
        st->throttled++;
    else
        st->errors++;
    if (!m->swallow)
        sim_count_status(sim, false, m->answer.status);
}

static bool cut_is_due(struct sim *sim)
{
    struct sim_knobs *k = &sim->knobs;

    if (k->drop_after_submits && --k->drop_after_submits == 0)
        return true;
    return k->drop_every_submits && sim->stats.submits % (uint64_t)k->drop_every_submits == 0;
}

static int64_t delay_of(const struct sim *sim, const struct submit *m, bool early)
{
    const struct sim_knobs *k = &sim->knobs;
    int64_t ms = sim_between(draw(sim, SIM_P_DELAY, m->ordinal), k->delay_min_ms, k->delay_max_ms);

    if (sim_chance(draw(sim, SIM_P_REORDER, m->ordinal), k->reorder_permille))
        ms += k->reorder_ms;
    if (early && ms < k->receipt_early_ms)
        ms = k->receipt_early_ms;
    return ms;
}

static void emit(struct sim *sim, struct sim_session *s, struct submit *m, int64_t delay_ms)
{
    const struct sim_knobs *k = &sim->knobs;

    if (cut_is_due(sim)) {
        sim_answer_half(sim, s, &m->answer);
        sim_drop(sim, s, false);
        return;
    }
    if (m->swallow) {
        sim_answer_never(sim, s, &m->answer);
        return;
    }
    if (m->taken && sim_chance(draw(sim, SIM_P_DROP_ANSWER, m->ordinal), k->drop_answer_permille)) {
        sim->stats.answers_dropped++;
        sim_answer_never(sim, s, &m->answer);
        return;
    }
    if (sim_chance(draw(sim, SIM_P_GARBAGE, m->ordinal), k->garbage_permille))
        sim_garbage(sim, s,
                    sim_choose(&k->garbage_kind, draw(sim, SIM_P_GARBAGE_KIND, m->ordinal)));
    sim_answer_send(sim, s, &m->answer, delay_ms);
}

static void notice(struct sim *sim, const struct sim_session *s, const struct sim_noticed *n,
                   const struct sim_sm *sm)
{
    if (n->ref_reused)
        sim_complain(&sim->complaints, SIM_C_REF_REUSED, "reference %u, part %u of %u",
                     sm->concat.ref, sm->concat.part, sm->concat.total);
    if (n->other_session && sim_session_by_serial(sim, n->other_session))
        sim_complain(&sim->complaints, SIM_C_PARTS_OVER_SESSIONS,
                     "part %u of %u on session %llu, another on %llu", sm->concat.part,
                     sm->concat.total, (unsigned long long)s->serial,
                     (unsigned long long)n->other_session);
}

/* Receipt and reply of a message that was taken. Returns how long its answer is held back. */
static int64_t follow_up(struct sim *sim, struct sim_session *s, struct submit *m, bool whole)
{
    struct sim_receipt_plan plan = {&m->sm, m->answer.id, m->ordinal, false, 0};
    bool wanted = sim_receipt_wanted(sim, &m->sm, m->ordinal);

    if (sim->knobs.receipt_per_message) {
        plan.id = sim_count_first_id(m->answer.ref, plan.id);
        wanted = wanted && whole;
    }
    plan.early = wanted && sim_chance(draw(sim, SIM_P_RECEIPT_EARLY, m->ordinal),
                                      sim->knobs.receipt_early_permille);
    plan.answer_delay_ms = delay_of(sim, m, plan.early);
    if (wanted)
        sim_receipt_plan(sim, s->account, &plan);
    else
        sim_id_keep(sim, m->answer.id, SIM_DELIVERED, sim->epoch_ms);
    if (whole && sim->replies)
        sim_mo_replies(sim, s, &m->sm, m->ordinal, plan.answer_delay_ms);
    return plan.answer_delay_ms;
}

static void handle(struct sim *sim, struct sim_session *s, struct submit *m)
{
    struct sim_noticed noticed;
    int64_t delay_ms;

    m->answer.ref =
        sim_count_submit(sim->count, s->account->index, s->serial, &m->sm, sim->epoch_ms, &noticed);
    notice(sim, s, &noticed, &m->sm);
    decide(sim, s, m);
    tally(sim, m);
    if (m->taken) {
        bool whole = sim_count_take(sim->count, m->answer.ref, s->serial);

        m->answer.id = sim->next_id++;
        sim_journal_taken(sim, s, m->head->command, m->body, m->len, m->answer.id, m->ordinal);
        if (sim->knobs.id_reuse &&
            sim->next_id >= (uint64_t)(sim->knobs.id_start + sim->knobs.id_reuse))
            sim->next_id = (uint64_t)sim->knobs.id_start;
        delay_ms = follow_up(sim, s, m, whole);
    } else {
        delay_ms = delay_of(sim, m, false);
    }
    m->answer.body =
        sim_chance(draw(sim, SIM_P_ERROR_BODY, m->ordinal), sim->knobs.error_body_permille);
    m->answer.bare =
        sim_chance(draw(sim, SIM_P_BARE, m->ordinal), sim->knobs.response_bare_permille);
    m->answer.nack =
        m->answer.status && sim_chance(draw(sim, SIM_P_NACK, m->ordinal), sim->knobs.nack_permille);
    if (sim->log)
        sim_log_submit(sim, s, m->head, &m->sm, m->answer.status, m->fate);
    emit(sim, s, m, delay_ms);
}

void sim_submit(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                const uint8_t *body, size_t len)
{
    struct submit m;

    memset(&m, 0, sizeof(m));
    m.head = head;
    m.body = body;
    m.len = len;
    m.answer.sequence = head->sequence;
    m.answer.command = head->command;
    m.ordinal = ++sim->ordinal;
    sim->stats.submits++;
    sim_sm_parse(head->command, body, len, &m.sm);
    sim_check_submit(sim, s, &m.sm);
    if (m.sm.faults & SIM_F_UNUSABLE) {
        sim->stats.malformed++;
        sim_count_status(sim, false, SMPP_RINVCMDLEN);
        sim_send_simple(sim, s, head->command | SMPP_RESP, SMPP_RINVCMDLEN, head->sequence);
        return;
    }
    handle(sim, s, &m);
}

/* Empty until the state is final: SMPP 3.4 4.8.2. */
static void final_date(char out[20], const struct sim_message_id *id, int64_t now_ms)
{
    out[0] = 0;
    if (id->final_ms <= now_ms)
        sim_time_text(out, 20, id->final_ms, "%y%m%d%H%M%S000+");
}

void sim_query(struct sim *sim, struct sim_session *s, const struct sim_head *head,
               const uint8_t *body, size_t len)
{
    struct sim_query q;
    struct sim_message_id *id;
    char when[20];
    size_t begin;

    sim->stats.queries++;
    sim_query_parse(body, len, &q);
    id = q.faults ? NULL : sim_id_find(sim, q.message_id);
    if (!id) {
        sim_send_simple(sim, s, SMPP_QUERY_SM | SMPP_RESP,
                        q.faults ? SMPP_RINVCMDLEN : SMPP_RQUERYFAIL, head->sequence);
        return;
    }
    final_date(when, id, sim->epoch_ms);
    begin = sim_pdu_begin(&s->out, SMPP_QUERY_SM | SMPP_RESP, SMPP_ROK, head->sequence);
    sim_pdu_cstr(&s->out, q.message_id);
    sim_pdu_cstr(&s->out, when);
    sim_pdu_u8(&s->out, *when ? id->state : SIM_ENROUTE);
    sim_pdu_u8(&s->out, 0);
    sim_pdu_end(&s->out, begin);
    sim_session_dirty(sim, s);
}

void sim_cancel(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                const uint8_t *body, size_t len)
{
    uint32_t status = SMPP_RCANCELFAIL;
    struct sim_message_id *id;
    const uint8_t *nul = len ? memchr(body, 0, len) : NULL;
    struct sim_query q;

    sim->stats.cancels++;
    /* service_type comes first, then the fields of query_sm: SMPP 3.4 4.9.1. */
    if (nul) {
        sim_query_parse(nul + 1, len - (size_t)(nul + 1 - body), &q);
        id = q.faults ? NULL : sim_id_find(sim, q.message_id);
        sim->stats.cancels_repeated += id && id->asked;
        sim->stats.cancels_late += id && !id->cancelled && id->final_ms <= sim->epoch_ms;
        if (id)
            id->asked = true;
        if (sim->knobs.cancel_status) {
            status = (uint32_t)sim->knobs.cancel_status;
        } else if (id && id->final_ms > sim->epoch_ms) {
            sim->stats.cancels_good++;
            id->cancelled = true;
            id->state = SIM_DELETED;
            id->final_ms = sim->epoch_ms;
            status = SMPP_ROK;
        }
    }
    sim_send_simple(sim, s, SMPP_CANCEL_SM | SMPP_RESP, status, head->sequence);
}
