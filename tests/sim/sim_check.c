/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_check.c - does a request keep to the specification? Complains, never answers.
 * Source: SMPP v3.4 issue 1.2, clauses named at each check; 3GPP TS 23.040; TS 23.038.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "sim.h"
#include "sim_text.h"

#define TON_ALPHANUMERIC 5

void sim_check_sequence(struct sim *sim, struct sim_session *s, const struct sim_head *head)
{
    struct sim_complaints *c = &sim->complaints;
    unsigned long long serial = s->serial;

    if (!head->sequence)
        sim_complain(c, SIM_C_SEQ_ZERO, "command 0x%08x, session %llu", head->command, serial);
    else if (head->sequence > 0x7FFFFFFF)
        sim_complain(c, SIM_C_SEQ_HIGH, "0x%08x, session %llu", head->sequence, serial);
    if (sim_answer_outstanding(s, head->sequence))
        sim_complain(c, SIM_C_SEQ_REUSED, "%u, command 0x%08x, session %llu", head->sequence,
                     head->command, serial);
}

static bool all_digits(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (!isdigit((unsigned char)*text))
            return false;
    return true;
}

static void check_addresses(struct sim_complaints *c, const struct sim_sm *sm)
{
    const struct sim_addr *src = &sm->src;
    bool plain = !*src->text || all_digits(src->text) || src->text[0] == '+';
    char mask[16];

    if (!plain && (src->ton != TON_ALPHANUMERIC || src->npi != 0))
        sim_complain(c, SIM_C_SENDER_TON_NPI, "sender with letters, TON %u NPI %u", src->ton,
                     src->npi);
    if (src->ton == TON_ALPHANUMERIC && strlen(src->text) > 11)
        sim_complain(c, SIM_C_SENDER_LONG, "%zu characters", strlen(src->text));
    if (strchr(sm->dst.text, '+') || src->text[0] == '+')
        sim_complain(c, SIM_C_PLUS, "%s address",
                     strchr(sm->dst.text, '+') ? "destination" : "source");
    else if (!all_digits(sm->dst.text))
        sim_complain(c, SIM_C_DESTINATION, "%s", sim_mask(sm->dst.text, mask));
}

static int two(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* Moment that a time of SMPP 3.4 7.1.1 stands for; relative years count 365, months 30 days. */
static int parse_time(const char *t, int64_t now_s, int64_t *ret_s)
{
    struct tm tm = {0};
    int quarters;

    if (strlen(t) != 16)
        return -EINVAL;
    for (int i = 0; i < 15; i++)
        if (!isdigit((unsigned char)t[i]))
            return -EINVAL;
    quarters = two(t + 13);
    if (t[15] == 'R') {
        *ret_s = now_s +
                 ((two(t) * 365LL + two(t + 2) * 30LL + two(t + 4)) * 24 + two(t + 6)) * 3600 +
                 two(t + 8) * 60 + two(t + 10);
        return t[12] != '0' || quarters ? -EINVAL : 0;
    }
    tm.tm_year = 100 + two(t);
    tm.tm_mon = two(t + 2) - 1;
    tm.tm_mday = two(t + 4);
    tm.tm_hour = two(t + 6);
    tm.tm_min = two(t + 8);
    tm.tm_sec = two(t + 10);
    if ((t[15] != '+' && t[15] != '-') || quarters > 48 || tm.tm_mon < 0 || tm.tm_mon > 11 ||
        tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
        return -EINVAL;
    /* The local time is ahead of UTC for '+': SMPP 3.4 7.1.1.1. */
    *ret_s = (int64_t)timegm(&tm) - (t[15] == '+' ? 900 : -900) * quarters;
    return 0;
}

static void check_times(struct sim *sim, const struct sim_sm *sm)
{
    struct sim_complaints *c = &sim->complaints;
    int64_t limit = sim->knobs.expect_validity_before, at = 0;

    if (*sm->schedule && parse_time(sm->schedule, sim->epoch_ms / 1000, &at))
        sim_complain(c, SIM_C_SCHEDULE_FORMAT, "\"%s\"", sm->schedule);
    if (*sm->validity && parse_time(sm->validity, sim->epoch_ms / 1000, &at)) {
        sim_complain(c, SIM_C_VALIDITY_FORMAT, "\"%s\"", sm->validity);
        return;
    }
    if (!limit)
        return;
    if (!*sm->validity)
        sim_complain(c, SIM_C_VALIDITY_MISSING, "expected one before %lld", (long long)limit);
    else if (at > limit)
        sim_complain(c, SIM_C_VALIDITY_LATE, "\"%s\" is %lld s too late", sm->validity,
                     (long long)(at - limit));
}

static void check_length(struct sim_complaints *c, const struct sim_sm *sm,
                         enum sim_alphabet alphabet)
{
    size_t head = sm->body_len - sm->text_len, max;
    bool septets = alphabet != SIM_ALPHA_UCS2 && alphabet != SIM_ALPHA_BINARY;

    if (sm->concat.kind == SIM_CONCAT_SAR)
        head = 6; /* the header the centre will have to add */
    else if (sm->in_payload && !head)
        return; /* the centre splits it */
    max = septets ? (1120 - head * 8) / 7 : 140 - head;
    if (head < 140 && sm->text_len > max)
        sim_complain(c, SIM_C_PART_TOO_LONG, "%zu octets of text, at most %zu, data_coding 0x%02x",
                     sm->text_len, max, sm->data_coding);
}

static void check_text(struct sim_complaints *c, const struct sim_sm *sm)
{
    enum sim_alphabet alphabet = sim_alphabet_of(sm->data_coding);
    const uint8_t *t = sm->text;
    size_t n = sm->text_len;

    check_length(c, sm, alphabet);
    if (alphabet == SIM_ALPHA_UCS2 && n % 2)
        sim_complain(c, SIM_C_UCS2_ODD, "%zu octets", n);
    if (alphabet == SIM_ALPHA_UCS2 && n >= 2) {
        /* A pair is cut when a part begins with a low or ends with a high surrogate. */
        if ((t[0] & 0xFC) == 0xDC || (t[(n & ~(size_t)1) - 2] & 0xFC) == 0xD8)
            sim_complain(c, SIM_C_SPLIT_SURROGATE, "part %u of %u", sm->concat.part,
                         sm->concat.total);
    } else if (alphabet == SIM_ALPHA_GSM && n) {
        size_t escapes = 0;

        while (escapes < n && t[n - 1 - escapes] == 0x1B)
            escapes++;
        if (escapes % 2)
            sim_complain(c, SIM_C_SPLIT_ESCAPE, "part %u of %u", sm->concat.part, sm->concat.total);
        for (size_t i = 0; i < n; i++)
            if (t[i] & 0x80) {
                sim_complain(c, SIM_C_GSM_OCTET, "octet 0x%02x at %zu", t[i], i);
                break;
            }
    }
}

static const struct {
    uint32_t fault;
    enum sim_complaint kind;
} fault_complaints[] = {
    {SIM_F_TRUNCATED, SIM_C_MALFORMED},     {SIM_F_STRING_LONG, SIM_C_MALFORMED},
    {SIM_F_SM_LENGTH, SIM_C_SM_LENGTH},     {SIM_F_TLV_CUT, SIM_C_TLV_CUT},
    {SIM_F_SM_TOO_LONG, SIM_C_SM_TOO_LONG}, {SIM_F_BOTH_BODIES, SIM_C_BOTH_BODIES},
    {SIM_F_TLV_LENGTH, SIM_C_TLV_LENGTH},   {SIM_F_UDH_BROKEN, SIM_C_UDH_BROKEN},
    {SIM_F_UDH_AND_SAR, SIM_C_UDH_AND_SAR}, {SIM_F_SAR_PARTIAL, SIM_C_SAR_PARTIAL},
    {SIM_F_PART_NUMBER, SIM_C_PART_NUMBER}, {SIM_F_TLV_TWICE, SIM_C_TLV_TWICE},
};

static void check_window(struct sim *sim, const struct sim_session *s)
{
    uint32_t open = sim_answers_open(s) + 1;

    if (sim->knobs.expect_window && open > sim->knobs.expect_window)
        sim_complain(&sim->complaints, SIM_C_WINDOW, "%u unanswered on session %llu, expected %lld",
                     open, (unsigned long long)s->serial, (long long)sim->knobs.expect_window);
}

void sim_check_submit(struct sim *sim, struct sim_session *s, const struct sim_sm *sm)
{
    struct sim_complaints *c = &sim->complaints;

    for (size_t i = 0; i < sizeof(fault_complaints) / sizeof(fault_complaints[0]); i++)
        if (sm->faults & fault_complaints[i].fault)
            sim_complain(c, fault_complaints[i].kind, "session %llu, tag 0x%04x, %zu octets",
                         (unsigned long long)s->serial, sm->fault_tag, sm->body_len);
    if (sm->faults & SIM_F_UNUSABLE)
        return;
    check_window(sim, s);
    check_addresses(c, sm);
    check_times(sim, sm);
    check_text(c, sm);
    if (sm->priority > 3 || sm->replace > 1 || sm->default_msg)
        sim_complain(c, SIM_C_FLAGS, "priority %u replace %u default message %u", sm->priority,
                     sm->replace, sm->default_msg);
}
