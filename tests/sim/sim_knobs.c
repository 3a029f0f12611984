/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_knobs.c - the table of knobs, and reading and printing it.
 * Must not act on a knob: the module that obeys it reads the field.
 */
#include "sim_knobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    const char *name;
    int64_t value;
};

static const struct word state_words[] = {
    {"ENROUTE", SIM_ENROUTE}, {"DELIVRD", SIM_DELIVERED},     {"EXPIRED", SIM_EXPIRED},
    {"DELETED", SIM_DELETED}, {"UNDELIV", SIM_UNDELIVERABLE}, {"ACCEPTD", SIM_ACCEPTED},
    {"UNKNOWN", SIM_UNKNOWN}, {"REJECTD", SIM_REJECTED},      {NULL, 0},
};
static const struct word form_words[] = {
    {"tlv", SIM_FORM_TLV},         {"text", SIM_FORM_TEXT}, {"both", SIM_FORM_BOTH},
    {"payload", SIM_FORM_PAYLOAD}, {"data", SIM_FORM_DATA}, {NULL, 0},
};
static const struct word garbage_words[] = {
    {"random", SIM_GARBAGE_RANDOM}, {"short", SIM_GARBAGE_SHORT}, {"zero", SIM_GARBAGE_ZERO},
    {"huge", SIM_GARBAGE_HUGE},     {"tlvs", SIM_GARBAGE_TLVS},   {"unknown", SIM_GARBAGE_UNKNOWN},
    {"no-nul", SIM_GARBAGE_NO_NUL}, {"stall", SIM_GARBAGE_STALL}, {NULL, 0},
};
static const struct word no_words[] = {{NULL, 0}};

enum knob_type { NUMBER, HEXNUM, TEXT, CHOICES };

struct knob {
    const char *name;
    enum knob_type type;
    size_t offset;
    int64_t min, max; /* NUMBER, HEXNUM; for TEXT max is the longest */
    const char *standard;
    const struct word *words; /* CHOICES */
    const char *help;
};

/* clang-format off */
#define AT(field) offsetof(struct sim_knobs, field)
#define NUM(field, min, max, std, help) {#field, NUMBER, AT(field), min, max, std, NULL, help}
#define HEX(field, std, help) {#field, HEXNUM, AT(field), 0, UINT32_MAX, std, NULL, help}
#define LST(field, words, std, help) {#field, CHOICES, AT(field), 0, 0, std, words, help}
/* clang-format on */
#define MILLE(field, help) NUM(field, 0, 1000, "0", help)
#define DAY_MS 86400000

static const struct knob knobs_table[] = {
    NUM(seed, 0, INT64_MAX, "1", "start of all chance; equal seed and order, equal faults"),
    NUM(max_sessions, 1, 4096, "1024",
        "connections at a time, all accounts; more are closed at once"),
    NUM(max_binds, 0, 4096, "64", "binds of one account; the next is answered 0x05"),
    HEX(refuse_bind, "0", "answer every bind with this status (0 = do not)"),
    NUM(bind_error_body, 0, 1, "0", "rejected binds carry system_id"),
    NUM(bind_delay_ms, 0, DAY_MS, "0", "wait before bind_resp"),
    NUM(silent, 0, 1, "0", "accept TCP and read, answer nothing"),
    NUM(pause_reading, 0, 1, "0", "do not read: the client's TCP blocks"),
    NUM(one_byte_writes, 0, 1, "0", "every octet in a write of its own"),
    NUM(drop_rst, 0, 1, "0", "dropped connections end with RST instead of FIN"),
    NUM(enquire_unbound, 0, 1, "0", "send enquire_link before the bind"),
    NUM(enquire_ms, 0, DAY_MS, "0", "send enquire_link this often (0 = never)"),
    NUM(enquire_timeout_ms, 1, DAY_MS, "10000", "no answer to it for so long is a complaint"),
    MILLE(throttle_permille, "submits answered with throttle_status"),
    HEX(throttle_status, "0x58", "0x58 or 0x14"),
    MILLE(error_permille, "submits answered with a status of error_list"),
    LST(error_list, no_words, "0x08:1", "STATUS:WEIGHT,..."),
    MILLE(error_body_permille, "error answers with an empty message_id instead of no body"),
    MILLE(nack_permille, "refused submits answered by generic_nack of the same status"),
    NUM(delay_min_ms, 0, DAY_MS, "0", "wait before an answer, at least"),
    NUM(delay_max_ms, 0, DAY_MS, "0", "and at most"),
    MILLE(reorder_permille, "answers held back reorder_ms, so that others overtake"),
    NUM(reorder_ms, 1, DAY_MS, "20", "see reorder_permille"),
    MILLE(swallow_permille, "submits lost: not taken, no answer"),
    MILLE(drop_answer_permille, "submits taken, receipt sent, no answer"),
    NUM(drop_after_submits, 0, INT64_MAX, "0",
        "cut the connection within the answer to submit N (once)"),
    NUM(drop_every_submits, 0, INT64_MAX, "0", "the same after each N submits"),
    MILLE(garbage_permille, "submits whose answer is preceded by garbage_kind"),
    LST(garbage_kind, garbage_words, "tlvs:1", "random short zero huge tlvs unknown no-nul stall"),
    NUM(max_window, 0, 1000000, "0", "unanswered submits of a session; above: window_status"),
    HEX(window_status, "0x14", "0x14 or 0x58"),
    NUM(max_rate, 0, 10000000, "0", "submits per second of an account; above: rate_status"),
    NUM(rate_burst, 0, 10000000, "0", "bucket of max_rate (0 = a tenth of it)"),
    HEX(rate_status, "0x58", "0x58 or 0x14"),
    HEX(cancel_status, "0", "refuse every cancel_sm with this status (0 = do not)"),
    NUM(response_tlv, 0, 1, "0", "append a TLV to submit_sm_resp"),
    MILLE(response_bare_permille, "accepted submits answered without body: no message_id"),
    NUM(id_start, 1, INT64_MAX, "170000000", "first message id"),
    NUM(id_reuse, 0, INT64_MAX, "0", "ids begin again after so many, 0 = never"),
    NUM(id_base, 10, 16, "16", "base of the id in submit_sm_resp: 10 or 16"),
    NUM(id_pad, 0, 30, "0", "zero padded to this width"),
    NUM(id_upper, 0, 1, "0", "upper case hex"),
    NUM(receipt_id_base, 10, 16, "16", "base of the id in receipts"),
    NUM(receipt_id_pad, 0, 30, "0", "zero padded to this width"),
    NUM(receipt_id_upper, 0, 1, "0", "upper case hex"),
    NUM(receipt_tlv_as_answer, 0, 1, "0", "receipted_message_id is spelled as in the answer"),
    NUM(receipt_reference, 0, 1, "0", "return user_message_reference with the receipt"),
    {"id_prefix", TEXT, AT(id_prefix), 0, 32, "", NULL, "put before ids: makes them opaque"},
    NUM(receipt_permille, 0, 1000, "1000", "of the receipts asked for, sent"),
    NUM(receipt_delay_min_ms, 0, DAY_MS, "0", "after the submit, at least"),
    NUM(receipt_delay_max_ms, 0, DAY_MS, "0", "and at most"),
    MILLE(receipt_late_permille, "receipts that take receipt_late_ms longer"),
    NUM(receipt_late_ms, 0, DAY_MS, "5000", "see receipt_late_permille"),
    MILLE(receipt_early_permille, "receipts sent before the submit_sm_resp"),
    NUM(receipt_early_ms, 1, DAY_MS, "20", "how long the answer is held back for that"),
    MILLE(receipt_duplicate_permille, "receipts sent twice"),
    MILLE(receipt_intermediate_permille, "preceded by ENROUTE or ACCEPTD"),
    MILLE(receipt_after_final_permille, "followed by another final state"),
    MILLE(receipt_unknown_permille, "accompanied by one for an id that never was"),
    MILLE(receipt_esm0_permille, "receipts with esm_class 0"),
    NUM(receipt_per_message, 0, 1, "0", "long messages: one receipt instead of one per part"),
    NUM(receipt_nul, 0, 1, "1", "receipted_message_id ends with NUL"),
    NUM(receipt_date_digits, 10, 12, "10", "10 or 12"),
    LST(receipt_state, state_words, "DELIVRD:1",
        "DELIVRD UNDELIV EXPIRED REJECTD DELETED UNKNOWN ..."),
    LST(receipt_form, form_words, "both:1", "tlv text both payload data"),
    NUM(deliver_window, 0, 1000, "100", "unanswered deliver_sm of a session; 0 = none are sent"),
    NUM(ack_timeout_ms, 1, DAY_MS, "10000",
        "deliver_sm unanswered for so long: complaint, sent again"),
    NUM(redeliver_ms, 0, DAY_MS, "500",
        "wait before sending again what was answered 0x64 0x14 0x08"),
    NUM(redeliver_max, 1, 1000000, "1000", "attempts, then given up and counted"),
    NUM(queue_max, 1, 4000000, "1000000",
        "deliveries waiting in an account; more are lost and counted"),
    NUM(mo_wait_ms, 1, DAY_MS, "10000", "how long the mo command waits for deliver_sm_resp"),
    NUM(reply_permille, 0, 1000, "1000", "accepted messages that get their --reply"),
    NUM(reply_delay_ms, 0, DAY_MS, "0", "wait before a --reply"),
    NUM(expect_window, 0, 1000000, "0", "more unanswered submits in a session: complaint"),
    NUM(expect_enquire_ms, 0, DAY_MS, "0", "no PDU from a bound client for so long: complaint"),
    NUM(expect_validity_before, 0, INT64_MAX, "0", "epoch s; validity missing or later: complaint"),
};
#define N_KNOBS (sizeof(knobs_table) / sizeof(knobs_table[0]))

static int64_t *number_at(struct sim_knobs *k, const struct knob *d)
{
    return (int64_t *)(void *)((char *)k + d->offset);
}

static struct sim_choices *choices_at(struct sim_knobs *k, const struct knob *d)
{
    return (struct sim_choices *)(void *)((char *)k + d->offset);
}

static int word_value(const struct word *words, const char *text, int64_t *ret)
{
    for (; words->name; words++)
        if (!strcmp(words->name, text)) {
            *ret = words->value;
            return 0;
        }
    return -EINVAL;
}

static int parse_choices(const struct word *words, const char *text, struct sim_choices *ret)
{
    struct sim_choices c = {0};
    char copy[256];
    char *next = copy;

    if (strlen(text) >= sizeof(copy))
        return -EINVAL;
    sim_copy(copy, sizeof(copy), text);
    sim_copy(c.text, sizeof(c.text), text);
    while (next) {
        char *item = strsep(&next, ",");
        char *weight = strchr(item, ':');
        int64_t w = 1;

        if (c.n == SIM_CHOICES_MAX)
            return -EINVAL;
        if (weight) {
            *weight++ = 0;
            if (sim_parse_int(weight, &w) || w < 0 || w > 1000000)
                return -EINVAL;
        }
        if (words->name ? word_value(words, item, &c.value[c.n])
                        : sim_parse_int(item, &c.value[c.n]))
            return -EINVAL;
        c.weight[c.n++] = (uint32_t)w;
        c.total += (uint32_t)w;
    }
    if (!c.total)
        return -EINVAL;
    *ret = c;
    return 0;
}

static bool same_name(const char *knob, const char *given)
{
    for (; *knob && *given; knob++, given++)
        if (*knob != (*given == '-' ? '_' : *given))
            return false;
    return !*knob && !*given;
}

static int set_one(struct sim_knobs *k, const struct knob *d, const char *value, char *why,
                   size_t cap)
{
    int64_t v;

    switch (d->type) {
    case TEXT:
        if (strlen(value) > (size_t)d->max) {
            snprintf(why, cap, "%s: at most %d characters", d->name, (int)d->max);
            return -EINVAL;
        }
        sim_copy((char *)k + d->offset, (size_t)d->max + 1, value);
        return 0;
    case CHOICES:
        if (parse_choices(d->words, value, choices_at(k, d))) {
            snprintf(why, cap, "%s: expected VALUE:WEIGHT,... of: %s", d->name, d->help);
            return -EINVAL;
        }
        return 0;
    case NUMBER:
    case HEXNUM:
        break;
    }
    if (sim_parse_int(value, &v) || v < d->min || v > d->max) {
        snprintf(why, cap, "%s: expected a number from %lld to %lld", d->name, (long long)d->min,
                 (long long)d->max);
        return -EINVAL;
    }
    *number_at(k, d) = v;
    return 0;
}

int sim_knobs_set(struct sim_knobs *k, const char *name, const char *value, char *why, size_t cap)
{
    for (size_t i = 0; i < N_KNOBS; i++)
        if (same_name(knobs_table[i].name, name))
            return set_one(k, &knobs_table[i], value, why, cap);
    snprintf(why, cap, "no knob named %.40s", name);
    return -ENOENT;
}

void sim_knobs_init(struct sim_knobs *k)
{
    char why[160];

    memset(k, 0, sizeof(*k));
    for (size_t i = 0; i < N_KNOBS; i++)
        if (set_one(k, &knobs_table[i], knobs_table[i].standard, why, sizeof(why))) {
            fprintf(stderr, "smscsim: bad default: %s\n", why);
            abort();
        }
}

void sim_knobs_json(const struct sim_knobs *knobs, struct sim_buf *out)
{
    for (size_t i = 0; i < N_KNOBS; i++) {
        const struct knob *d = &knobs_table[i];
        const char *at = (const char *)knobs + d->offset;

        sim_buf_printf(out, "%s\"%s\":", i ? "," : "", d->name);
        if (d->type == TEXT)
            sim_buf_json(out, at);
        else if (d->type == CHOICES)
            sim_buf_json(out, ((const struct sim_choices *)(const void *)at)->text);
        else
            sim_buf_printf(out, "%lld", (long long)*(const int64_t *)(const void *)at);
    }
}

void sim_knobs_help(struct sim_buf *out)
{
    for (size_t i = 0; i < N_KNOBS; i++) {
        char option[40];
        size_t n;

        snprintf(option, sizeof(option), "--%s", knobs_table[i].name);
        for (n = 2; option[n]; n++)
            if (option[n] == '_')
                option[n] = '-';
        sim_buf_printf(out, "  %-32s %s [%s]\n", option, knobs_table[i].help,
                       knobs_table[i].standard);
    }
}

int64_t sim_choose(const struct sim_choices *choices, uint64_t draw)
{
    uint32_t at = (uint32_t)(draw % choices->total);

    for (int i = 0; i < choices->n; i++) {
        if (at < choices->weight[i])
            return choices->value[i];
        at -= choices->weight[i];
    }
    return choices->value[0];
}

const char *sim_state_word(int64_t state)
{
    for (const struct word *w = state_words; w->name; w++)
        if (w->value == state)
            return w->name;
    return "UNKNOWN";
}

int sim_garbage_parse(const char *word, int64_t *ret_kind)
{
    return word_value(garbage_words, word, ret_kind);
}
