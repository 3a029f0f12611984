/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - cuts encoded texts into parts and heads them.
 * Must not know characters beyond what decides where a cut may be.
 * Source: 3GPP TS 23.040 9.2.3.24.1 and .8; SMPP 3.4 5.3.2.22-24; Unicode UAX #29 (only the joins
 * that phones show as one sign). */
#include "segment.h"

#include <errno.h>
#include <string.h>

/* Room of one part: septets (GSM alphabet on the phone), or octets. 140 octets hold 160 septets;
 * the header takes 6 or 7 octets, in septets 7 or 8. The SAR parameters become an 8-bit header at
 * the SMSC (or a 16-bit one when the reference needs it): the reference stays below 256, so 8-bit
 * room is right. */
struct room {
    uint32_t single, part;
};
static const struct room SEPTETS[] = {
    [SMPP_SPLIT_UDH8] = {160, 153},
    [SMPP_SPLIT_UDH16] = {160, 152},
    [SMPP_SPLIT_SAR] = {160, 153},
    [SMPP_SPLIT_PAYLOAD] = {160, 153},
};
static const struct room OCTETS[] = {
    [SMPP_SPLIT_UDH8] = {140, 134},
    [SMPP_SPLIT_UDH16] = {140, 133},
    [SMPP_SPLIT_SAR] = {140, 134},
    [SMPP_SPLIT_PAYLOAD] = {140, 134},
};

/* ---- where a cut may be ---- */

struct text {
    const uint8_t *octets;
    uint32_t len;
    const struct smpp_choice *choice;
};

/* One unbreakable piece at `at`: its octets and its cost in room. */
static void piece(const struct text *t, uint32_t at, uint32_t *ret_octets, uint32_t *ret_cost)
{
    uint32_t left = t->len - at, n = 1, cost = 1;
    if (t->choice->alphabet == SMPP_ALPHA_UCS2) {
        bool high =
            left >= 4 && (t->octets[at] & 0xFC) == 0xD8 && (t->octets[at + 2] & 0xFC) == 0xDC;
        n = cost = high ? 4 : left >= 2 ? 2 : 1;
    } else if (t->choice->alphabet == SMPP_ALPHA_GSM) {
        n = cost = t->octets[at] == 0x1B && left >= 2 ? 2 : 1;
    } else if (t->choice->septets) {
        uint8_t g[2];
        uint32_t septets = smpp_gsm_put(t->octets[at], g);
        cost = septets ? septets : 1;
    }
    *ret_octets = n;
    *ret_cost = cost;
}

static uint32_t code_point(const struct text *t, uint32_t at)
{
    if (t->len - at < 2)
        return 0;
    uint32_t hi = smpp_get16(t->octets + at);
    if (hi < 0xD800 || hi > 0xDBFF || t->len - at < 4)
        return hi;
    return 0x10000 + ((hi - 0xD800) << 10) + (smpp_get16(t->octets + at + 2) & 0x3FFu);
}

static bool is_flag_letter(uint32_t cp)
{
    return cp >= 0x1F1E6 && cp <= 0x1F1FF;
}

/* Signs that are drawn onto the one before them. */
static bool is_joined(uint32_t cp)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {
        {0x0300, 0x036F},   {0x0483, 0x0489},   {0x0591, 0x05BD},   {0x0610, 0x061A},
        {0x064B, 0x065F},   {0x0900, 0x0903},   {0x093A, 0x094F},   {0x0E31, 0x0E31},
        {0x0E34, 0x0E3A},   {0x0E47, 0x0E4E},   {0x1AB0, 0x1AFF},   {0x1DC0, 0x1DFF},
        {0x200D, 0x200D},   {0x20D0, 0x20FF},   {0xFE00, 0xFE0F},   {0xFE20, 0xFE2F},
        {0x1F3FB, 0x1F3FF}, {0xE0020, 0xE007F}, {0xE0100, 0xE01EF},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (cp >= ranges[i].from && cp <= ranges[i].to)
            return true;
    return false;
}

/* Octets and cost of the sequence at `at` that is shown as one sign. */
static void cluster(const struct text *t, uint32_t at, uint32_t *ret_octets, uint32_t *ret_cost)
{
    piece(t, at, ret_octets, ret_cost);
    if (t->choice->alphabet != SMPP_ALPHA_UCS2)
        return;
    uint32_t before = code_point(t, at), flags = is_flag_letter(before) ? 1 : 0;
    for (uint32_t next = at + *ret_octets; next < t->len; next = at + *ret_octets) {
        uint32_t cp = code_point(t, next), octets = 0, cost = 0;
        bool pair = flags == 1 && is_flag_letter(cp);
        if (before != 0x200D && !is_joined(cp) && !pair)
            return;
        flags += pair ? 1 : 0;
        piece(t, next, &octets, &cost);
        *ret_octets += octets;
        *ret_cost += cost;
        before = cp;
    }
}

/* How many octets from `at` fit into `room`. */
static uint32_t fit(const struct text *t, uint32_t at, uint32_t room)
{
    uint32_t used = 0, taken = 0;
    while (at + taken < t->len) {
        uint32_t octets = 0, cost = 0;
        cluster(t, at + taken, &octets, &cost);
        if (used + cost <= room) {
            used += cost;
            taken += octets;
            continue;
        }
        if (cost <= room)
            break; /* whole in the next part */
        /* longer than any part: cut it between code points, filling what is left */
        uint32_t end = taken + octets;
        while (taken < end) {
            piece(t, at + taken, &octets, &cost);
            if (used + cost > room)
                return taken;
            used += cost;
            taken += octets;
        }
    }
    return taken;
}

static uint32_t total_cost(const struct text *t, uint32_t enough)
{
    uint32_t sum = 0;
    for (uint32_t at = 0; at < t->len && sum <= enough;) {
        uint32_t octets = 0, cost = 0;
        piece(t, at, &octets, &cost);
        at += octets;
        sum += cost;
    }
    return sum;
}

/* ---- plan ---- */

/* Cut into ret->at; \return parts, max + 1 when there would be more. */
static uint32_t cut(const struct text *t, uint32_t room, uint32_t max, struct smpp_segments *ret)
{
    uint32_t n = 0, at = 0;
    ret->at[0] = 0;
    while (at < t->len) {
        if (n == max)
            return max + 1;
        at += fit(t, at, room);
        ret->at[++n] = at;
    }
    return n;
}

int smpp_segment_plan(const uint8_t *octets, uint32_t len, const struct smpp_choice *choice,
                      enum smpp_split split, uint32_t max_segments, struct smpp_segments *ret)
{
    const struct text t = {octets, len, choice};
    uint32_t max =
        max_segments && max_segments < CGW_SEGMENTS_MAX ? max_segments : CGW_SEGMENTS_MAX;
    struct room room = choice->septets ? SEPTETS[split] : OCTETS[split];
    ret->split = split;
    ret->n = ret->network = 1;
    ret->at[0] = 0;
    ret->at[1] = len;
    if (len > SMPP_PAYLOAD_MAX)
        return CGW_ELIMIT;
    if (total_cost(&t, room.single) <= room.single)
        return 0;
    ret->network = cut(&t, room.part, max, ret);
    ret->n = ret->network;
    if (ret->network > max)
        return CGW_ELIMIT;
    if (split == SMPP_SPLIT_PAYLOAD) {
        ret->n = 1;
        ret->at[1] = len;
    }
    return 0;
}

/* ---- parts ---- */

static uint32_t write_udh(uint8_t *out, enum smpp_split split, uint16_t ref, uint8_t total,
                          uint8_t index)
{
    if (split == SMPP_SPLIT_UDH16) {
        const uint8_t udh[] = {6, 8, 4, (uint8_t)(ref >> 8), (uint8_t)ref, total, index};
        memcpy(out, udh, sizeof udh);
        return sizeof udh;
    }
    const uint8_t udh[] = {5, 0, 3, (uint8_t)ref, total, index};
    memcpy(out, udh, sizeof udh);
    return sizeof udh;
}

int smpp_segment_fill(const struct smpp_segments *plan, const uint8_t *octets, uint32_t i,
                      uint16_t reference, uint8_t scratch[SMPP_SEGMENT_SCRATCH],
                      struct smpp_submit *sm)
{
    if (i >= plan->n)
        return -EINVAL;
    const uint8_t *text = octets + plan->at[i];
    uint32_t len = plan->at[i + 1] - plan->at[i];
    sm->text = text;
    sm->text_len = len;
    sm->payload = plan->split == SMPP_SPLIT_PAYLOAD && plan->network > 1;
    sm->has_sar = false;
    sm->esm_class = (uint8_t)(sm->esm_class & ~SMPP_ESM_UDHI);
    if (plan->n == 1)
        return 0;
    uint8_t total = (uint8_t)plan->n, index = (uint8_t)(i + 1);
    if (plan->split == SMPP_SPLIT_SAR) {
        sm->has_sar = true;
        sm->sar_ref = reference;
        sm->sar_total = total;
        sm->sar_index = index;
        return 0;
    }
    uint32_t udh = write_udh(scratch, plan->split, reference, total, index);
    if (udh + len > SMPP_SEGMENT_SCRATCH)
        return -EINVAL;
    memcpy(scratch + udh, text, len);
    sm->text = scratch;
    sm->text_len = udh + len;
    sm->esm_class |= SMPP_ESM_UDHI;
    return 0;
}

/* ---- references ---- */

static uint32_t hash(const char *s, uint32_t seed)
{
    uint32_t h = 2166136261u ^ seed; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 16777619u;
    return h ^ h >> 15;
}

void smpp_refs_init(struct smpp_refs *refs, uint16_t salt)
{
    refs->salt = salt;
    for (uint32_t i = 0; i < SMPP_REFS_SLOTS; i++)
        refs->next[i] = (uint16_t)(i * 40503u + salt);
}

/* Numbers of one slot share a counter, so every number sees 65536 (256) references go by before one
 * returns. */
uint16_t smpp_refs_take(struct smpp_refs *refs, const char *number, bool wide)
{
    uint16_t *next = &refs->next[hash(number, refs->salt) % SMPP_REFS_SLOTS];
    uint16_t v = (*next)++;
    return wide ? v : (uint16_t)(v & 0xFF);
}
