/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_fault.c - broken bytes and broken connections, by command or by rate.
 * Must not be used by the honest path. Source: what SMPP v3.4 issue 1.2 forbids (5.1.1, 3.2.4).
 */
#include "sim.h"

#include <string.h>

#define EMPTY_TLVS 30

void sim_drop(struct sim *sim, struct sim_session *s, bool mid_pdu)
{
    /* Header of a deliver_sm that announces 120 octets, and then no more than 20. */
    static const uint8_t torso[20] = {0, 0, 0,    120, 0, 0, 0, 5, 0, 0,
                                      0, 0, 0x7F, 0,   0, 1, 0, 1, 1, '4'};

    if (mid_pdu)
        sim_buf_put(&s->out, torso, sizeof(torso));
    sim->stats.drops++;
    sim_session_break(sim, s);
}

static void put_random(struct sim *sim, struct sim_buf *out)
{
    for (int i = 0; i < 8; i++) {
        uint64_t r = sim_draw((uint64_t)sim->knobs.seed, SIM_P_RANDOM_BYTES,
                              sim->stats.garbage * 8 + (uint64_t)i);

        sim_buf_put(out, &r, sizeof(r));
    }
}

static void put_head(struct sim_buf *out, uint32_t length, uint32_t command, uint32_t sequence)
{
    uint8_t head[SIM_HEAD_LEN] = {0};

    sim_put32(head, length);
    sim_put32(head + 4, command);
    sim_put32(head + 12, sequence);
    sim_buf_put(out, head, sizeof(head));
}

static uint32_t raw_sequence(struct sim *sim, struct sim_session *s)
{
    struct sim_slot *slot = sim_slot_take(sim, s, SMPP_DELIVER_SM | SMPP_RESP);

    if (!slot)
        return 1;
    slot->raw = true;
    return slot->sequence;
}

/* A deliver_sm that is legal: empty optional parameters with tags nobody knows. */
static void put_tlvs(struct sim *sim, struct sim_session *s)
{
    struct sim_sm sm;
    size_t begin;

    memset(&sm, 0, sizeof(sm));
    sim_copy(sm.src.text, sizeof(sm.src.text), "4470000000000");
    sim_copy(sm.dst.text, sizeof(sm.dst.text), "1234");
    sm.src.ton = sm.src.npi = 1;
    sm.body = (const uint8_t *)"thirty empty parameters";
    sm.body_len = 23;
    begin = sim_pdu_deliver(&s->out, SMPP_DELIVER_SM, &sm);
    for (unsigned i = 0; i < EMPTY_TLVS; i++)
        sim_pdu_tlv(&s->out, (uint16_t)(0x1500 + i), NULL, 0);
    sim_put32(sim_buf_at(&s->out) + begin + 12, raw_sequence(sim, s));
    sim_pdu_end(&s->out, begin);
}

static void put_no_nul(struct sim *sim, struct sim_session *s)
{
    put_head(&s->out, 64, SMPP_DELIVER_SM, raw_sequence(sim, s));
    for (int i = 0; i < 6; i++)
        sim_buf_put(&s->out, "notanul!", 8);
}

void sim_garbage(struct sim *sim, struct sim_session *s, int64_t kind)
{
    switch ((enum sim_garbage)kind) {
    case SIM_GARBAGE_RANDOM:
        put_random(sim, &s->out);
        break;
    case SIM_GARBAGE_SHORT:
        put_head(&s->out, 8, SMPP_DELIVER_SM, 1);
        break;
    case SIM_GARBAGE_ZERO:
        put_head(&s->out, 0, SMPP_DELIVER_SM, 1);
        break;
    case SIM_GARBAGE_HUGE:
        put_head(&s->out, 0x7FFFFFFF, SMPP_DELIVER_SM, 1);
        break;
    case SIM_GARBAGE_TLVS:
        put_tlvs(sim, s);
        break;
    case SIM_GARBAGE_UNKNOWN:
        put_head(&s->out, SIM_HEAD_LEN, 0x00000999, raw_sequence(sim, s));
        break;
    case SIM_GARBAGE_NO_NUL:
        put_no_nul(sim, s);
        break;
    case SIM_GARBAGE_STALL:
        put_head(&s->out, 200, SMPP_DELIVER_SM, 1); /* the rest never comes */
        break;
    }
    s->raw_commands++; /* a generic_nack with any number is a fair answer to all of these */
    sim->stats.garbage++;
    sim_session_dirty(sim, s);
}

void sim_raw(struct sim *sim, struct sim_session *s, const uint8_t *bytes, size_t len)
{
    sim_buf_put(&s->out, bytes, len);
    s->raw_commands++;
    sim->stats.garbage++;
    sim_session_dirty(sim, s);
}
