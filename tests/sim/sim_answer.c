/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_answer.c - answers to submits: at once, later, or never; and what the client can know of
 * them. A submit is settled as accepted or refused when the last octet of its answer has been
 * written, and as ambiguous when the connection ends before. Must not decide what the answer is.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static uint64_t out_end(const struct sim_session *s)
{
    return s->out_sent + sim_buf_left(&s->out);
}

uint32_t sim_answers_open(const struct sim_session *s)
{
    return s->pending + (uint32_t)s->written_n;
}

bool sim_answer_outstanding(const struct sim_session *s, uint32_t sequence)
{
    uint32_t slot = sequence & (SIM_RING - 1);

    if (s->recent[slot].end > s->out_sent && s->recent[slot].sequence == sequence)
        return true;
    for (const struct sim_answer *a = s->bucket[sequence % SIM_PEND_BUCKETS]; a; a = a->chain)
        if (a->sequence == sequence)
            return true;
    return false;
}

static void encode(struct sim *sim, struct sim_buf *out, const struct sim_answer *a)
{
    uint32_t command = a->nack ? SMPP_GENERIC_NACK : a->command | SMPP_RESP;
    size_t begin = sim_pdu_begin(out, command, a->status, a->sequence);
    char id[SIM_ID_CAP];

    if (!a->status && !a->bare) {
        sim_id_format(sim, a->id, false, id);
        sim_pdu_cstr(out, id);
        if (sim->knobs.response_tlv)
            sim_pdu_tlv(out, 0x1400, "sim", 3); /* a tag of the vendors' range, 5.3.1 */
    } else if (a->status && a->body && !a->nack) {
        sim_pdu_cstr(out, "");
    }
    sim_pdu_end(out, begin);
}

static void remember_written(struct sim_session *s, const struct sim_answer *a)
{
    uint64_t end = out_end(s);
    size_t at;

    if (s->written_n == s->written_cap) {
        size_t cap = s->written_cap ? s->written_cap * 2 : 512;
        struct sim_written *ring = sim_alloc(cap * sizeof(*ring));

        for (size_t i = 0; i < s->written_n; i++)
            ring[i] = s->written[(s->written_head + i) % s->written_cap];
        free(s->written);
        s->written = ring;
        s->written_cap = cap;
        s->written_head = 0;
    }
    at = (s->written_head + s->written_n++) % s->written_cap;
    s->written[at] = (struct sim_written){end, a->sequence,
                                          a->status ? SIM_REFUSED_STATUS : SIM_ACCEPTED_OK, a->ref};
    s->recent[a->sequence & (SIM_RING - 1)].sequence = a->sequence;
    s->recent[a->sequence & (SIM_RING - 1)].end = end;
}

static void answer_now(struct sim *sim, struct sim_session *s, const struct sim_answer *a)
{
    encode(sim, &s->out, a);
    remember_written(s, a);
    sim_session_dirty(sim, s);
}

static void list_remove(struct sim_session *s, struct sim_answer *a)
{
    struct sim_answer **p = &s->bucket[a->sequence % SIM_PEND_BUCKETS];

    while (*p != a)
        p = &(*p)->chain;
    *p = a->chain;
    *(a->older ? &a->older->newer : &s->oldest) = a->newer;
    *(a->newer ? &a->newer->older : &s->newest) = a->older;
    s->pending--;
}

static void give_up(struct sim *sim, struct sim_answer *a)
{
    list_remove(a->session, a);
    a->session = NULL;
    sim->stats.answers_lost++;
    sim_count_settle(sim->count, a->ref, SIM_AMBIGUOUS);
    if (!a->timed)
        free(a);
}

static struct sim_answer *list_add(struct sim *sim, struct sim_session *s,
                                   const struct sim_answer *answer)
{
    struct sim_answer *a = sim_alloc(sizeof(*a));
    struct sim_answer **head = &s->bucket[answer->sequence % SIM_PEND_BUCKETS];

    if (s->pending >= SIM_PEND_MAX)
        give_up(sim, s->oldest);
    *a = *answer;
    a->session = s;
    a->chain = *head;
    *head = a;
    a->newer = NULL;
    a->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = a;
    s->newest = a;
    s->pending++;
    return a;
}

static void answer_due(struct sim *sim, void *arg)
{
    struct sim_answer *a = arg;

    if (a->session && !sim->quitting && !a->session->broken) {
        list_remove(a->session, a);
        answer_now(sim, a->session, a);
    } else if (a->session) {
        a->timed = false; /* settled and freed with the session */
        return;
    }
    free(a);
}

void sim_answer_send(struct sim *sim, struct sim_session *s, struct sim_answer *answer,
                     int64_t delay_ms)
{
    struct sim_answer *a;

    if (delay_ms <= 0) {
        answer_now(sim, s, answer);
        return;
    }
    a = list_add(sim, s, answer);
    a->timed = true;
    sim_timer_add(&sim->timers, sim->now_ms + delay_ms, answer_due, a);
}

void sim_answer_never(struct sim *sim, struct sim_session *s, const struct sim_answer *answer)
{
    list_add(sim, s, answer);
}

void sim_answer_half(struct sim *sim, struct sim_session *s, struct sim_answer *answer)
{
    struct sim_buf whole = {0};

    encode(sim, &whole, answer);
    sim_buf_put(&s->out, whole.data, whole.len / 2);
    sim_buf_done(&whole);
    sim_answer_never(sim, s, answer);
}

void sim_answers_written(struct sim *sim, struct sim_session *s)
{
    while (s->written_n && s->written[s->written_head].end <= s->out_sent) {
        struct sim_written *w = &s->written[s->written_head];

        sim->stats.answers_written++;
        sim_count_settle(sim->count, w->ref, w->verdict);
        s->written_head = (s->written_head + 1) % s->written_cap;
        s->written_n--;
    }
}

void sim_answers_closed(struct sim *sim, struct sim_session *s)
{
    while (s->written_n) {
        sim->stats.answers_lost++;
        sim_count_settle(sim->count, s->written[s->written_head].ref, SIM_AMBIGUOUS);
        s->written_head = (s->written_head + 1) % s->written_cap;
        s->written_n--;
    }
    while (s->oldest)
        give_up(sim, s->oldest);
}

void sim_answers_now(struct sim *sim, struct sim_session *s)
{
    struct sim_answer *next;

    for (struct sim_answer *a = s->oldest; a; a = next) {
        next = a->newer;
        if (!a->timed)
            continue; /* swallowed: stays without answer */
        list_remove(s, a);
        answer_now(sim, s, a);
        a->session = NULL; /* its timer frees it */
    }
}
