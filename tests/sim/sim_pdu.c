/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_pdu.c - what arrives: one table from command_id to function, and the link's own PDUs.
 * Must not decide the fate of a submit. Source: SMPP v3.4 issue 1.2, 2.3 (commands by state), 4.11.
 */
#include "sim.h"

#include <string.h>

#define UNBOUND_LINGER_MS 5000 /* a client that does not close after unbind_resp is closed */

typedef void handler_fn(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                        const uint8_t *body, size_t len);

void sim_send_simple(struct sim *sim, struct sim_session *s, uint32_t command, uint32_t status,
                     uint32_t sequence)
{
    size_t begin = sim_pdu_begin(&s->out, command, status, sequence);

    sim_pdu_end(&s->out, begin);
    sim_session_dirty(sim, s);
}

static uint32_t next_sequence(struct sim_session *s)
{
    uint32_t n = s->next_sequence;

    s->next_sequence = n == 0x7FFFFFFF ? 1 : n + 1;
    return n;
}

void sim_send_enquire(struct sim *sim, struct sim_session *s)
{
    if (s->enquire_sequence)
        return;
    s->enquire_sequence = next_sequence(s);
    s->enquire_sent_ms = sim->now_ms;
    sim->stats.enquires_sent++;
    sim_send_simple(sim, s, SMPP_ENQUIRE_LINK, SMPP_ROK, s->enquire_sequence);
}

void sim_send_unbind(struct sim *sim, struct sim_session *s)
{
    s->unbind_sent = true;
    sim_send_simple(sim, s, SMPP_UNBIND, SMPP_ROK, next_sequence(s));
}

static void got_enquire(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                        const uint8_t *body, size_t len)
{
    (void)body;
    (void)len;
    sim->stats.enquires_received++;
    sim_send_simple(sim, s, SMPP_ENQUIRE_LINK | SMPP_RESP, SMPP_ROK, head->sequence);
}

static void leave(struct sim_session *s)
{
    if (s->account)
        s->account->binds--;
    s->account = NULL;
    s->bind_pending = false;
    s->state = SIM_UNBOUND;
}

static void got_unbind(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                       const uint8_t *body, size_t len)
{
    (void)body;
    (void)len;
    sim->stats.unbinds++;
    sim_answers_now(sim, s);
    leave(s);
    sim_send_simple(sim, s, SMPP_UNBIND | SMPP_RESP, SMPP_ROK, head->sequence);
}

static void got_unbind_resp(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                            const uint8_t *body, size_t len)
{
    (void)head;
    (void)body;
    (void)len;
    if (!s->unbind_sent) {
        sim_complain(&sim->complaints, SIM_C_RESPONSE_UNKNOWN, "unbind_resp, nothing asked");
        return;
    }
    sim_answers_now(sim, s);
    leave(s);
    s->closing = true;
}

static void got_enquire_resp(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                             const uint8_t *body, size_t len)
{
    (void)body;
    (void)len;
    if (s->enquire_sequence && head->sequence == s->enquire_sequence)
        s->enquire_sequence = 0;
    else if (s->raw_commands)
        s->raw_commands--;
    else
        sim_complain(&sim->complaints, SIM_C_RESPONSE_UNKNOWN, "enquire_link_resp %u",
                     head->sequence);
}

static void got_deliver_resp(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                             const uint8_t *body, size_t len)
{
    (void)body;
    (void)len;
    sim_deliver_answered(sim, s, head);
}

#define NEEDS_BIND 1
#define RESPONSE 2

static const struct {
    uint32_t command;
    int flags;
    handler_fn *fn;
} commands[] = {
    {SMPP_SUBMIT_SM, NEEDS_BIND, sim_submit},
    {SMPP_DATA_SM, NEEDS_BIND, sim_submit},
    {SMPP_DELIVER_SM | SMPP_RESP, RESPONSE, got_deliver_resp},
    {SMPP_DATA_SM | SMPP_RESP, RESPONSE, got_deliver_resp},
    {SMPP_GENERIC_NACK, RESPONSE, got_deliver_resp},
    {SMPP_ENQUIRE_LINK, 0, got_enquire},
    {SMPP_ENQUIRE_LINK | SMPP_RESP, RESPONSE, got_enquire_resp},
    {SMPP_BIND_TX, 0, sim_bind},
    {SMPP_BIND_RX, 0, sim_bind},
    {SMPP_BIND_TRX, 0, sim_bind},
    {SMPP_UNBIND, 0, got_unbind},
    {SMPP_UNBIND | SMPP_RESP, RESPONSE, got_unbind_resp},
    {SMPP_QUERY_SM, NEEDS_BIND, sim_query},
    {SMPP_CANCEL_SM, NEEDS_BIND, sim_cancel},
};

static bool may_submit(struct sim *sim, struct sim_session *s, const struct sim_head *head)
{
    if (s->state == SIM_BOUND_TX || s->state == SIM_BOUND_TRX)
        return true;
    sim_complain(&sim->complaints,
                 s->state == SIM_BOUND_RX ? SIM_C_SUBMIT_ON_RX : SIM_C_SUBMIT_UNBOUND,
                 "command 0x%08x on session %llu", head->command, (unsigned long long)s->serial);
    sim_send_simple(sim, s, head->command | SMPP_RESP, SMPP_RINVBNDSTS, head->sequence);
    return false;
}

static void unknown(struct sim *sim, struct sim_session *s, const struct sim_head *head)
{
    sim_complain(&sim->complaints, SIM_C_UNKNOWN_COMMAND, "command_id 0x%08x", head->command);
    if (!(head->command & SMPP_RESP))
        sim_send_simple(sim, s, SMPP_GENERIC_NACK, SMPP_RINVCMDID, head->sequence);
}

void sim_pdu_received(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                      const uint8_t *body)
{
    size_t len = head->length - SIM_HEAD_LEN;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].command != head->command)
            continue;
        if (!(commands[i].flags & RESPONSE)) {
            sim_check_sequence(sim, s, head);
            if (head->status)
                sim_complain(&sim->complaints, SIM_C_REQUEST_STATUS, "command 0x%08x status 0x%08x",
                             head->command, head->status);
        }
        if (!(commands[i].flags & NEEDS_BIND) || may_submit(sim, s, head))
            commands[i].fn(sim, s, head, body, len);
        return;
    }
    unknown(sim, s, head);
}

static void watch_enquire(struct sim *sim, struct sim_session *s)
{
    const struct sim_knobs *k = &sim->knobs;
    int64_t since = sim->now_ms - s->enquire_sent_ms;

    if (s->enquire_sequence && since >= k->enquire_timeout_ms) {
        sim_complain(&sim->complaints, SIM_C_ENQUIRE_UNANSWERED, "session %llu, %lld ms",
                     (unsigned long long)s->serial, (long long)since);
        s->enquire_sequence = 0;
        s->raw_commands++; /* it may still come */
    }
    if (k->enquire_ms && sim_is_bound(s) && since >= k->enquire_ms)
        sim_send_enquire(sim, s);
    if (k->expect_enquire_ms && sim_is_bound(s) && !s->silence_told && !k->pause_reading &&
        sim->now_ms - s->heard_ms > k->expect_enquire_ms) {
        s->silence_told = true;
        sim_complain(&sim->complaints, SIM_C_NO_ENQUIRE, "session %llu silent for %lld ms",
                     (unsigned long long)s->serial, (long long)(sim->now_ms - s->heard_ms));
    }
}

void sim_housekeeping(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->sessions_high; i++) {
        struct sim_session *s = sim->session[i];

        if (!s || sim->knobs.silent)
            continue;
        watch_enquire(sim, s);
        if (s->unacked)
            sim_deliver_overdue(sim, s);
        if (s->state == SIM_UNBOUND && sim->now_ms - s->heard_ms > UNBOUND_LINGER_MS)
            sim_session_break(sim, s);
    }
}
