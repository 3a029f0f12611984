/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_bind.c - accounts and binds.
 * Must not log passwords. Source: SMPP v3.4 issue 1.2, 4.1 (bind), 5.1.3 (status).
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sim_account_add(struct sim *sim, const char *system_id)
{
    struct sim_account *a;

    if (strlen(system_id) > 15)
        return -EINVAL;
    if (sim->accounts == SIM_ACCOUNTS_MAX)
        return -ENOSPC;
    a = &sim->account[sim->accounts];
    sim_copy(a->system_id, sizeof(a->system_id), system_id);
    a->any_password = true;
    a->index = sim->accounts;
    return (int)sim->accounts++;
}

static struct sim_account *find_account(struct sim *sim, const char *system_id)
{
    int n;

    for (uint32_t i = 0; i < sim->accounts; i++)
        if (!strcmp(sim->account[i].system_id, system_id))
            return &sim->account[i];
    if (!sim->open_accounts)
        return NULL;
    n = sim_account_add(sim, system_id);
    return n < 0 ? NULL : &sim->account[n];
}

static uint32_t judge(struct sim *sim, const struct sim_session *s, const struct sim_bind *b,
                      struct sim_account **ret_account)
{
    struct sim_account *a;

    if (sim_is_bound(s) || s->bind_pending)
        return SMPP_RALYBND;
    if (b->faults & SIM_F_TRUNCATED)
        return SMPP_RINVCMDLEN;
    if (sim->knobs.refuse_bind)
        return (uint32_t)sim->knobs.refuse_bind;
    a = find_account(sim, b->system_id);
    if (!a)
        return SMPP_RINVSYSID;
    if (!a->any_password && strcmp(a->password, b->password) != 0)
        return SMPP_RINVPASWD;
    if (a->binds >= (uint32_t)sim->knobs.max_binds)
        return SMPP_RALYBND;
    *ret_account = a;
    return SMPP_ROK;
}

static void complain(struct sim *sim, const struct sim_session *s, const struct sim_bind *b)
{
    if (strlen(b->password) > 8)
        sim_complain(&sim->complaints, SIM_C_PASSWORD_LONG, "%zu characters, system_id %s",
                     strlen(b->password), b->system_id);
    if (b->faults)
        sim_complain(&sim->complaints, SIM_C_BIND_FIELDS, "faults 0x%x, system_id %s", b->faults,
                     b->system_id);
    if (sim_is_bound(s))
        sim_complain(&sim->complaints, SIM_C_BIND_TWICE, "session %llu",
                     (unsigned long long)s->serial);
}

static void answer(struct sim *sim, struct sim_session *s, uint32_t command, uint32_t status,
                   uint32_t sequence, const char *system_id)
{
    static const uint8_t version = 0x34;
    size_t begin = sim_pdu_begin(&s->out, command | SMPP_RESP, status, sequence);

    if (!status || sim->knobs.bind_error_body)
        sim_pdu_cstr(&s->out, system_id);
    if (!status)
        sim_pdu_tlv(&s->out, SMPP_TLV_SC_VERSION, &version, 1);
    sim_pdu_end(&s->out, begin);
    sim_session_dirty(sim, s);
}

struct late_bind {
    uint64_t serial;
    uint32_t command;
    uint32_t sequence;
};

static void now_bound(struct sim *sim, struct sim_session *s, uint32_t command, uint32_t sequence)
{
    s->bind_pending = false;
    s->state = command == SMPP_BIND_TX   ? SIM_BOUND_TX
               : command == SMPP_BIND_RX ? SIM_BOUND_RX
                                         : SIM_BOUND_TRX;
    sim->stats.binds++;
    answer(sim, s, command, SMPP_ROK, sequence, s->account->system_id);
    sim_deliver_pump(sim, s->account);
}

static void bind_later(struct sim *sim, void *arg)
{
    struct late_bind *late = arg;
    struct sim_session *s = sim->quitting ? NULL : sim_session_by_serial(sim, late->serial);

    if (s && s->bind_pending)
        now_bound(sim, s, late->command, late->sequence);
    free(late);
}

void sim_bind(struct sim *sim, struct sim_session *s, const struct sim_head *head,
              const uint8_t *body, size_t len)
{
    struct sim_account *account = NULL;
    struct late_bind *late;
    struct sim_bind b;
    uint32_t status;

    sim_bind_parse(body, len, &b);
    complain(sim, s, &b);
    status = judge(sim, s, &b, &account);
    if (status) {
        sim->stats.binds_refused++;
        answer(sim, s, head->command, status, head->sequence, b.system_id);
        return;
    }
    s->account = account;
    s->bind_pending = true;
    account->binds++;
    if (!sim->knobs.bind_delay_ms) {
        now_bound(sim, s, head->command, head->sequence);
        return;
    }
    late = sim_alloc(sizeof(*late));
    *late = (struct late_bind){s->serial, head->command, head->sequence};
    sim_timer_add(&sim->timers, sim->now_ms + sim->knobs.bind_delay_ms, bind_later, late);
}
