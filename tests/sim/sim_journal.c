/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_journal.c - what outlives a SIGKILL: submits taken and receipts acknowledged, one line each,
 * given to the kernel before any answer to them is. A simulator started on the journal of its
 * predecessor counts those messages as its own (ambiguous: whether the answer arrived is not
 * known), goes on with its ids, and sends the receipts that nobody has acknowledged.
 * Must not decide anything. Bound: SIM_KEYS_MAX messages, as everywhere.
 *
 *   T id ordinal epoch_ms command account hex   a submit was taken; hex = body of its PDU
 *   R id                                        its receipt was acknowledged
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct taken {
    uint64_t id, ordinal;
    int64_t epoch_ms;
    uint32_t command, account;
    uint8_t body[SIM_PDU_MAX];
    size_t len;
};

/* Receipts acknowledged, by id: ids are handed out one after another. */
struct done_set {
    uint64_t first;
    uint8_t *flag;
    size_t cap;
};

void sim_journal_taken(struct sim *sim, const struct sim_session *s, uint32_t command,
                       const uint8_t *body, size_t len, uint64_t id, uint64_t ordinal)
{
    static const char digit[] = "0123456789abcdef";

    if (!sim->journal)
        return;
    fprintf(sim->journal, "T %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIu32 " ", id,
            ordinal, sim->epoch_ms, command, s->account->index);
    for (size_t i = 0; i < len; i++) {
        putc(digit[body[i] >> 4], sim->journal);
        putc(digit[body[i] & 15], sim->journal);
    }
    putc('\n', sim->journal);
}

void sim_journal_receipt(struct sim *sim, uint64_t id)
{
    if (sim->journal && id)
        fprintf(sim->journal, "R %" PRIu64 "\n", id);
}

void sim_journal_flush(struct sim *sim)
{
    if (sim->journal && fflush(sim->journal)) {
        perror("smscsim: journal");
        abort(); /* a judge that forgets is worse than none */
    }
}

static void done_add(struct done_set *d, uint64_t id)
{
    size_t at = (size_t)(id - d->first);

    if (id < d->first || at >= SIM_KEYS_MAX * 4u)
        return;
    if (at >= d->cap) {
        size_t cap = at * 2 + 65536;

        d->flag = sim_realloc(d->flag, cap);
        memset(d->flag + d->cap, 0, cap - d->cap);
        d->cap = cap;
    }
    d->flag[at] = 1;
}

static bool done_has(const struct done_set *d, uint64_t id)
{
    return id >= d->first && id - d->first < d->cap && d->flag[id - d->first];
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_taken(const char *line, struct taken *ret)
{
    int at = 0;

    if (sscanf(line, "T %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNu32 " %" SCNu32 " %n", &ret->id,
               &ret->ordinal, &ret->epoch_ms, &ret->command, &ret->account, &at) != 5 ||
        !at)
        return false;
    line += at;
    for (ret->len = 0; ret->len < sizeof(ret->body); ret->len++, line += 2) {
        int high = hex_value(line[0]), low = high < 0 ? -1 : hex_value(line[1]);

        if (low < 0)
            break;
        ret->body[ret->len] = (uint8_t)(high << 4 | low);
    }
    return *line == '\n'; /* the last line of a killed process may be torn: it was not answered */
}

static void take_again(struct sim *sim, const struct taken *t, bool receipt_done)
{
    struct sim_receipt_plan plan = {0};
    struct sim_noticed noticed;
    struct sim_sm sm;
    struct sim_ref ref;
    bool whole;

    sim_sm_parse(t->command, t->body, t->len, &sm);
    ref = sim_count_submit(sim->count, t->account, 0, &sm, t->epoch_ms, &noticed);
    whole = sim_count_take(sim->count, ref, 0);
    plan = (struct sim_receipt_plan){&sm, t->id, t->ordinal, false, 0};
    if (sim->knobs.receipt_per_message)
        plan.id = sim_count_first_id(ref, plan.id);
    sim_count_settle(sim->count, ref, SIM_AMBIGUOUS);
    if (t->id >= sim->next_id)
        sim->next_id = t->id + 1;
    if (t->ordinal > sim->ordinal)
        sim->ordinal = t->ordinal;
    if (!receipt_done && t->account < sim->accounts && sim_receipt_wanted(sim, &sm, t->ordinal) &&
        (whole || !sim->knobs.receipt_per_message))
        sim_receipt_plan(sim, &sim->account[t->account], &plan);
}

static void replay(struct sim *sim, FILE *in)
{
    struct done_set done = {.first = (uint64_t)sim->knobs.id_start};
    struct taken *t = sim_alloc(sizeof(*t));
    char *line = NULL;
    size_t cap = 0;
    uint64_t id;

    while (getline(&line, &cap, in) > 0)
        if (sscanf(line, "R %" SCNu64 "\n", &id) == 1)
            done_add(&done, id);
    rewind(in);
    while (getline(&line, &cap, in) > 0)
        if (*line == 'T' && parse_taken(line, t))
            take_again(sim, t, done_has(&done, t->id));
    free(line);
    free(t);
    free(done.flag);
}

int sim_journal_open(struct sim *sim, const char *path)
{
    FILE *in = fopen(path, "r");

    if (in) {
        replay(sim, in);
        fclose(in);
    }
    sim->journal = fopen(path, "a");
    if (!sim->journal)
        return -errno;
    if (in)
        fputs("\n", sim->journal); /* ends a torn line */
    return 0;
}
