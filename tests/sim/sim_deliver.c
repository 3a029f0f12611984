/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_deliver.c - what waits to go to the client: one queue for each account, a window for each
 * session, sent again until it is acknowledged. Must not know what is in a PDU.
 * Source: SMPP v3.4 issue 1.2, 2.3 (receivers), 4.6 (deliver_sm), 5.1.3.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct sim_delivery *sim_delivery_new(struct sim *sim, struct sim_account *account,
                                      const struct sim_buf *pdu)
{
    size_t len = sim_buf_left(pdu);
    struct sim_delivery *d = sim_alloc(sizeof(*d) + len);

    d->account = account;
    d->epoch = sim->epoch;
    d->len = (uint32_t)len;
    memcpy(d->pdu, sim_buf_at(pdu), len);
    return d;
}

static void enqueue(struct sim *sim, struct sim_delivery *d, bool first)
{
    struct sim_account *a = d->account;

    if (d->epoch != sim->epoch || a->queued >= (uint64_t)sim->knobs.queue_max) {
        sim->stats.deliveries_lost += d->epoch == sim->epoch;
        free(d);
        return;
    }
    if (first) {
        d->next = a->head;
        a->head = d;
        if (!a->tail)
            a->tail = d;
    } else {
        d->next = NULL;
        if (a->tail)
            a->tail->next = d;
        else
            a->head = d;
        a->tail = d;
    }
    a->queued++;
}

void sim_deliver(struct sim *sim, struct sim_delivery *d)
{
    struct sim_account *a = d->account;

    enqueue(sim, d, false);
    sim_deliver_pump(sim, a);
}

static void deliver_due(struct sim *sim, void *arg)
{
    struct sim_delivery *d = arg;

    if (sim->quitting)
        free(d);
    else
        sim_deliver(sim, d);
}

void sim_deliver_later(struct sim *sim, struct sim_delivery *d, int64_t delay_ms)
{
    sim_timer_add(&sim->timers, sim->now_ms + delay_ms, deliver_due, d);
}

struct sim_slot *sim_slot_take(struct sim *sim, struct sim_session *s, uint32_t want)
{
    for (int i = 0; i < SIM_SLOTS; i++) {
        uint32_t sequence = s->next_sequence;
        struct sim_slot *slot = &s->slot[sequence % SIM_SLOTS];

        s->next_sequence = sequence == 0x7FFFFFFF ? 1 : sequence + 1;
        if (slot->delivery || slot->raw)
            continue;
        *slot = (struct sim_slot){NULL, sequence, want, false, false, sim->now_ms};
        return slot;
    }
    return NULL;
}

static bool has_room(const struct sim *sim, const struct sim_session *s)
{
    return s->unacked < (uint32_t)sim->knobs.deliver_window &&
           sim_buf_left(&s->out) < SIM_OUT_PAUSE;
}

static struct sim_session *next_receiver(struct sim *sim, struct sim_account *a)
{
    for (uint32_t i = 0; i < sim->sessions_high; i++) {
        struct sim_session *s = sim->session[(a->turn + i) % sim->sessions_high];

        if (sim_can_receive(s) && s->account == a && has_room(sim, s)) {
            a->turn = s->index + 1;
            return s;
        }
    }
    return NULL;
}

static bool send_one(struct sim *sim, struct sim_session *s, struct sim_delivery *d)
{
    struct sim_slot *slot = sim_slot_take(sim, s, sim_get32(d->pdu + 4) | SMPP_RESP);

    if (!slot)
        return false;
    slot->delivery = d;
    s->unacked++;
    sim_put32(d->pdu + 12, slot->sequence);
    sim_buf_put(&s->out, d->pdu, d->len);
    sim->stats.deliveries_sent++;
    sim->stats.deliveries_again += d->attempts > 0;
    d->attempts++;
    sim_session_dirty(sim, s);
    return true;
}

void sim_deliver_pump(struct sim *sim, struct sim_account *a)
{
    while (a->head) {
        struct sim_session *s = sim->sessions_high ? next_receiver(sim, a) : NULL;
        struct sim_delivery *d = a->head;

        if (!s || !send_one(sim, s, d))
            return;
        a->head = d->next;
        if (!a->head)
            a->tail = NULL;
        a->queued--;
    }
}

static struct sim_delivery *slot_empty(struct sim_session *s, struct sim_slot *slot)
{
    struct sim_delivery *d = slot->delivery;

    slot->delivery = NULL;
    if (d)
        s->unacked--;
    return d;
}

static void finish(struct sim *sim, struct sim_delivery *d, uint32_t status)
{
    if (!status) {
        sim->stats.receipts_acked += d->receipt;
        sim_journal_receipt(sim, d->final_id);
        sim->stats.mo_acked += !d->receipt;
    } else {
        sim->stats.deliveries_refused++;
    }
    free(d);
}

/* What is worth another try: queue full, system error, temporary application error (5.1.3). */
static bool is_temporary(uint32_t status)
{
    return status == SMPP_RX_T_APPN || status == SMPP_RMSGQFUL || status == SMPP_RSYSERR;
}

static void try_again(struct sim *sim, struct sim_delivery *d, int64_t delay_ms)
{
    if (d->attempts >= (uint32_t)sim->knobs.redeliver_max) {
        sim->stats.deliveries_given_up++;
        free(d);
    } else if (delay_ms) {
        sim_deliver_later(sim, d, delay_ms);
    } else {
        enqueue(sim, d, true);
    }
}

static void settle(struct sim *sim, struct sim_delivery *d, uint32_t status)
{
    if (d->mo)
        sim_control_mo_answered(sim, d->mo, status, !is_temporary(status));
    if (is_temporary(status))
        try_again(sim, d, sim->knobs.redeliver_ms);
    else
        finish(sim, d, status);
}

static bool is_right_command(const struct sim_slot *slot, const struct sim_head *head)
{
    return head->command == slot->want || (head->command == SMPP_GENERIC_NACK && head->status);
}

void sim_deliver_answered(struct sim *sim, struct sim_session *s, const struct sim_head *head)
{
    struct sim_slot *slot = &s->slot[head->sequence % SIM_SLOTS];
    bool known = slot->sequence && slot->sequence == head->sequence;
    struct sim_delivery *d;

    sim_count_status(sim, true, head->status);
    if (known && slot->raw) {
        slot->raw = false;
        s->last_raw_status = head->status;
        return;
    }
    if (!known || !slot->delivery) {
        if (known && slot->late)
            sim->stats.acks_late++;
        else if (s->raw_commands)
            s->raw_commands--;
        else
            sim_complain(&sim->complaints, SIM_C_RESPONSE_UNKNOWN,
                         "command 0x%08x status 0x%08x sequence %u", head->command, head->status,
                         head->sequence);
        return;
    }
    if (!is_right_command(slot, head))
        sim_complain(&sim->complaints, SIM_C_RESPONSE_COMMAND, "0x%08x instead of 0x%08x",
                     head->command, slot->want);
    d = slot_empty(s, slot);
    settle(sim, d, head->status);
    if (s->account)
        sim_deliver_pump(sim, s->account);
}

void sim_deliver_overdue(struct sim *sim, struct sim_session *s)
{
    bool any = false;

    for (int i = 0; i < SIM_SLOTS; i++) {
        struct sim_slot *slot = &s->slot[i];

        if (!slot->delivery || sim->now_ms - slot->sent_ms < sim->knobs.ack_timeout_ms)
            continue;
        sim_complain(&sim->complaints, SIM_C_DELIVER_UNANSWERED,
                     "session %llu, sequence %u, after %lld ms", (unsigned long long)s->serial,
                     slot->sequence, (long long)(sim->now_ms - slot->sent_ms));
        slot->late = true;
        try_again(sim, slot_empty(s, slot), 0);
        any = true;
    }
    if (any && s->account)
        sim_deliver_pump(sim, s->account);
}

void sim_deliver_closed(struct sim *sim, struct sim_session *s)
{
    /* Backwards by age, so that the oldest ends up at the head again. */
    for (uint32_t i = 0; i < SIM_SLOTS && s->unacked; i++) {
        struct sim_slot *slot = &s->slot[(s->next_sequence - 1 - i) % SIM_SLOTS];
        struct sim_delivery *d = slot->delivery ? slot_empty(s, slot) : NULL;

        if (d && sim->quitting)
            free(d);
        else if (d)
            try_again(sim, d, 0);
    }
}

void sim_deliver_reset(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->accounts; i++) {
        struct sim_account *a = &sim->account[i];

        while (a->head) {
            struct sim_delivery *d = a->head;

            a->head = d->next;
            free(d);
        }
        a->tail = NULL;
        a->queued = 0;
    }
}
