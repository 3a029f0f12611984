/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_stats.c - reports: counters and sessions as JSON, submits as log lines.
 * Must not change anything but in sim_reset. The log alone shows numbers and texts: it exists for
 * tests that compare texts, and only when asked for.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim_text.h"

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define C(field)                                                                                   \
    {                                                                                              \
#field, offsetof(struct sim_stats, field)                                                  \
    }
    C(connections),
    C(connections_refused),
    C(binds),
    C(binds_refused),
    C(unbinds),
    C(closed_without_unbind),
    C(drops),
    C(garbage),
    C(submits),
    C(accepted),
    C(throttled),
    C(errors),
    C(swallowed),
    C(answers_dropped),
    C(malformed),
    C(answers_written),
    C(answers_lost),
    C(queries),
    C(cancels),
    C(cancels_good),
    C(cancels_late),
    C(cancels_repeated),
    C(enquires_received),
    C(enquires_sent),
    C(receipts_made),
    C(receipts_acked),
    C(mo_made),
    C(mo_acked),
    C(deliveries_sent),
    C(deliveries_again),
    C(deliveries_refused),
    C(deliveries_given_up),
    C(deliveries_lost),
    C(acks_late),
    C(first_submit_ms),
    C(last_submit_ms),
#undef C
};

static void status_json(const struct sim *sim, bool ack, struct sim_buf *out)
{
    const char *comma = "";

    sim_buf_printf(out, ",\"%s\":{", ack ? "ack_status" : "answer_status");
    for (int i = 0; i < SIM_STATUS_MAX; i++) {
        uint64_t n = ack ? sim->stats.ack[i].count : sim->stats.status[i].count;
        uint32_t status = ack ? sim->stats.ack[i].status : sim->stats.status[i].status;

        if (!n)
            break;
        sim_buf_printf(out, "%s\"0x%08x\":%" PRIu64, comma, status, n);
        comma = ",";
    }
    sim_buf_printf(out, "}");
}

static void counted_json(const struct sim *sim, struct sim_buf *out)
{
    struct sim_counted n;

    sim_count_stats(sim->count, &n);
    sim_buf_printf(out,
                   ",\"messages\":{\"keys\":%" PRIu64 ",\"unique\":%" PRIu64
                   ",\"accepted\":%" PRIu64 ",\"ambiguous\":%" PRIu64 ",\"refused_only\":%" PRIu64
                   ",\"duplicate\":%" PRIu64 ",\"duplicate_taken\":%" PRIu64
                   ",\"incomplete\":%" PRIu64 ",\"overflow\":%" PRIu64 "}",
                   n.keys, n.unique, n.accepted, n.ambiguous, n.refused_only, n.duplicate,
                   n.duplicate_taken, n.incomplete, n.overflow);
}

void sim_stats_json(const struct sim *sim, struct sim_buf *out)
{
    uint64_t bound = 0, unanswered = 0, unacked = 0, queued = 0;

    for (uint32_t i = 0; i < sim->sessions_high; i++) {
        const struct sim_session *s = sim->session[i];

        if (!s)
            continue;
        bound += sim_is_bound(s);
        unanswered += sim_answers_open(s);
        unacked += s->unacked;
    }
    for (uint32_t i = 0; i < sim->accounts; i++)
        queued += sim->account[i].queued;
    sim_buf_printf(out,
                   "\"now_ms\":%" PRId64 ",\"sessions\":%u,\"bound\":%" PRIu64
                   ",\"unanswered\":%" PRIu64 ",\"unacked\":%" PRIu64 ",\"queued\":%" PRIu64
                   ",\"timers\":%zu",
                   sim->epoch_ms, sim->sessions, bound, unanswered, unacked, queued, sim->timers.n);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        sim_buf_printf(
            out, ",\"%s\":%" PRIu64, counters[i].name,
            *(const uint64_t *)(const void *)((const char *)&sim->stats + counters[i].offset));
    counted_json(sim, out);
    status_json(sim, false, out);
    status_json(sim, true, out);
    sim_buf_printf(out, ",\"complaints_total\":%" PRIu64 ",\"complaints\":{",
                   sim_complaints_total(&sim->complaints));
    sim_complaints_json(&sim->complaints, out);
    sim_buf_printf(out, "}");
}

void sim_sessions_json(const struct sim *sim, struct sim_buf *out)
{
    static const char *const states[] = {"open", "tx", "rx", "trx", "unbound"};
    const char *comma = "";
    char name[3 * 16];

    sim_buf_printf(out, "\"sessions\":[");
    for (uint32_t i = 0; i < sim->sessions_high; i++) {
        const struct sim_session *s = sim->session[i];

        if (!s)
            continue;
        sim_buf_printf(out, "%s{\"session\":%" PRIu64 ",\"state\":\"%s\",\"system_id\":", comma,
                       s->serial, states[s->state]);
        sim_buf_json(out, sim_visible(s->account ? s->account->system_id : "", name, sizeof(name)));
        sim_buf_printf(out,
                       ",\"unanswered\":%u,\"unacked\":%u,\"out\":%zu,\"age_ms\":%" PRId64
                       ",\"heard_ms_ago\":%" PRId64 ",\"last_raw_status\":%u}",
                       sim_answers_open(s), s->unacked, sim_buf_left(&s->out),
                       sim->now_ms - s->opened_ms, sim->now_ms - s->heard_ms, s->last_raw_status);
        comma = ",";
    }
    sim_buf_printf(out, "]");
}

void sim_log_submit(struct sim *sim, const struct sim_session *s, const struct sim_head *head,
                    const struct sim_sm *sm, uint32_t status, const char *fate)
{
    struct sim_buf line = {0}, text = {0};
    char name[3 * SIM_ADDR_CAP];

    sim_text_read(sim_alphabet_of(sm->data_coding), sm->text, sm->text_len, &text);
    sim_buf_put(&text, "", 1);
    sim_buf_printf(&line,
                   "{\"ms\":%" PRId64 ",\"session\":%" PRIu64 ",\"sequence\":%u,\"account\":",
                   sim->epoch_ms, s->serial, head->sequence);
    sim_buf_json(&line, sim_visible(s->account->system_id, name, sizeof(name)));
    sim_buf_printf(&line, ",\"src_ton\":%u,\"src_npi\":%u,\"src\":", sm->src.ton, sm->src.npi);
    sim_buf_json(&line, sim_visible(sm->src.text, name, sizeof(name)));
    sim_buf_printf(&line, ",\"dst\":");
    sim_buf_json(&line, sim_visible(sm->dst.text, name, sizeof(name)));
    sim_buf_printf(&line,
                   ",\"esm_class\":%u,\"data_coding\":%u,\"registered\":%u,"
                   "\"ref\":%u,\"part\":%u,\"total\":%u,\"payload\":%s,\"octets\":%zu,"
                   "\"status\":%u,\"fate\":\"%s\",\"validity\":",
                   sm->esm_class, sm->data_coding, sm->registered, sm->concat.ref, sm->concat.part,
                   sm->concat.total, sm->in_payload ? "true" : "false", sm->body_len, status, fate);
    sim_buf_json(&line, sim_visible(sm->validity, name, sizeof(name)));
    sim_buf_printf(&line, ",\"text\":");
    sim_buf_json(&line, (const char *)text.data);
    sim_buf_put(&line, "}\n", 2);
    fwrite(line.data, 1, line.len, sim->log);
    sim_buf_done(&line);
    sim_buf_done(&text);
}

void sim_reset(struct sim *sim)
{
    sim_count_reset(sim->count);
    sim_deliver_reset(sim);
    memset(&sim->stats, 0, sizeof(sim->stats));
    memset(&sim->complaints, 0, sizeof(sim->complaints));
    memset(sim->ids, 0, SIM_IDS * sizeof(*sim->ids));
    sim->ordinal = 0;
    sim->epoch++;
}
