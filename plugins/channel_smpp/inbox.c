/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.c - what the SMSC delivers: receipts and people's replies go to the gateway, and the SMSC
 * gets its answer when they are durable. Must not decide what a reply means. Source: SMPP v3.4
 * issue 1.2, 4.6 (deliver_sm), 4.7 (data_sm), 5.1.3 (0x64). Every delivery is a `held` entry until
 * it is answered; its name towards the gateway is the ack. README.md, "Answer when stored". */
#include "instance.h"
#include "reassembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HELD_MAX                                                                                   \
    4096u         /* deliveries without an answer, per instance; more are pushed back with 0x64 */
#define BATCH 64u /* receipts per call to the gateway */
#define PENDING_MAX 64u /* long replies that are whole and wait until the gateway has room */
#define RETRY_MS 100    /* between two attempts to hand those over */
#define NONE UINT32_MAX

struct held {
    TAILQ_ENTRY(held) link; /* of parts that wait for the others, in order of arrival */
    uint32_t generation;    /* so that an old ack does not name a new delivery */
    uint32_t link_index, epoch, sequence, command;
    uint32_t next; /* the other parts of the same message, NONE ends; also the free list */
    bool used, answered, queued_part, has_key;
    int64_t answer_at_ms;
    struct smpp_mo_key key;
};
TAILQ_HEAD(held_list, held);

struct report { /* strings behind one cgw_receipt */
    struct smpp_receipt r;
    char id[CGW_PROVIDER_ID_MAX];
    char also[CGW_ALSO_MAX][CGW_PROVIDER_ID_MAX];
    uint32_t n_also;
    char person[SMPP_LONG_ADDR_MAX + 2];
};

struct pending {
    struct smpp_mo mo; /* owned */
    uint32_t first;    /* held entry whose ack is used, NONE: nobody waits */
};

struct smpp_inbox {
    struct held *held; /* owned, HELD_MAX */
    uint32_t free_first, n_held;
    struct held_list parts;
    struct smpp_reasm *reasm;   /* owned */
    struct smpp_dedupe *dedupe; /* owned, NULL when switched off */
    struct report reports[BATCH];
    struct cgw_receipt batch[BATCH];
    uint32_t n_batch;
    struct pending pending[PENDING_MAX];
    uint32_t n_pending;
    int64_t retry_ms; /* next attempt for the pending */
};

/* ---- held entries ---- */

static uint64_t ack_of(const struct smpp_inbox *x, uint32_t i)
{
    return (uint64_t)x->held[i].generation << 32 | (i + 1u);
}

static uint32_t held_by_ack(const struct smpp_inbox *x, uint64_t ack)
{
    uint32_t i = (uint32_t)ack - 1u;
    return i < HELD_MAX && x->held[i].used && x->held[i].generation == (uint32_t)(ack >> 32) ? i
                                                                                             : NONE;
}

static uint32_t hold(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    struct smpp_inbox *x = l->inst->inbox;
    uint32_t i = x->free_first;
    if (i == NONE)
        return NONE;
    struct held *h = &x->held[i];
    x->free_first = h->next;
    x->n_held++;
    uint32_t generation = h->generation + 1;
    *h = (struct held){.generation = generation,
                       .link_index = l->index,
                       .epoch = l->epoch,
                       .sequence = pdu->sequence,
                       .command = pdu->command | SMPP_RESP,
                       .next = NONE,
                       .used = true};
    return i;
}

/* Answer one delivery, unless its connection is gone: then the SMSC delivers it again. */
static void answer(struct smpp_inst *in, uint32_t i, uint32_t status)
{
    struct held *h = &in->inbox->held[i];
    struct smpp_link *l = &in->links[h->link_index];
    if (h->queued_part)
        TAILQ_REMOVE(&in->inbox->parts, h, link);
    h->queued_part = false;
    if (h->answered)
        return;
    h->answered = true;
    if (l->epoch == h->epoch && l->state == SMPP_BOUND)
        smpp_link_say(l, h->command, status, h->sequence);
}

static void release(struct smpp_inst *in, uint32_t i)
{
    struct smpp_inbox *x = in->inbox;
    struct held *h = &x->held[i];
    h->used = false;
    h->next = x->free_first;
    x->free_first = i;
    x->n_held--;
}

static void answer_and_release(struct smpp_inst *in, uint32_t i, uint32_t status)
{
    answer(in, i, status);
    release(in, i);
}

/* The whole chain is settled. stored: what it carried is durable, so a repetition is recognised
 * from now on. */
static void settle_chain(struct smpp_inst *in, uint32_t i, uint32_t status, bool stored)
{
    struct smpp_inbox *x = in->inbox;
    while (i != NONE) {
        uint32_t next = x->held[i].next;
        if (stored && x->held[i].has_key)
            smpp_dedupe_put(x->dedupe, in->now_ms, x->held[i].key);
        answer_and_release(in, i, status);
        i = next;
    }
}

static void push_back(struct smpp_inst *in, uint32_t i)
{
    smpp_count(in, SMPP_C_PUSHED_BACK, 1);
    settle_chain(in, i, SMPP_RX_T_APPN, false);
}

/* ---- addresses ---- */

/* Text form for the gateway. A national number becomes international with the instance's region. */
static struct cgw_address address_of(struct smpp_inst *in, const struct smpp_addr *a, char *out,
                                     size_t size)
{
    bool plain;
    char normal[32];
    uint32_t kind = smpp_addr_read(a, out, size, &plain);
    if (kind == CGW_ADDR_E164 && plain) {
        const char *region = in->opt.region[0] ? in->opt.region : NULL;
        char plus[SMPP_LONG_ADDR_MAX + 2];
        plus[0] = '+';
        memcpy(plus + 1, out, strlen(out) + 1);
        if ((region &&
             in->host->address_normalise(kind, out, region, normal, sizeof normal) == 0) ||
            in->host->address_normalise(kind, plus, NULL, normal, sizeof normal) == 0)
            memcpy(out, normal, strlen(normal) + 1);
        else
            kind = CGW_ADDR_SHORTCODE; /* digits of no known country: kept as they are, never
                                          guessed */
    }
    return (struct cgw_address){.kind = kind, .len = (uint32_t)strlen(out), .text = out};
}

/* ---- receipts ---- */

void smpp_inbox_flush(struct smpp_inst *in)
{
    struct smpp_inbox *x = in->inbox;
    uint32_t n = x->n_batch;
    if (n == 0)
        return;
    x->n_batch = 0;
    uint32_t taken = in->host->receipt(in->gw, x->batch, n);
    smpp_count(in, SMPP_C_RECEIPTS, taken);
    for (uint32_t i = taken; i < n; i++)
        if (x->batch[i].ack != 0)
            push_back(in, held_by_ack(x, x->batch[i].ack));
}

static struct report *next_report(struct smpp_inst *in)
{
    if (in->inbox->n_batch == BATCH)
        smpp_inbox_flush(in);
    return &in->inbox->reports[in->inbox->n_batch];
}

static void add_report(struct smpp_inst *in, struct report *rep, uint32_t flags, uint64_t ack,
                       struct cgw_address person)
{
    const struct smpp_receipt *r = &rep->r;
    struct cgw_receipt *item = &in->inbox->batch[in->inbox->n_batch++];
    *item = (struct cgw_receipt){
        .size = sizeof(struct cgw_receipt),
        .result = r->result,
        .flags = flags,
        .provider_id = rep->id,
        .reference = r->reference ? r->reference - 1 : 0, /* ours begin at 1 */
        .person = person,
        .code = r->code,
        .code_space = r->err[0] == '\0' && r->has_network ? "smpp34.network_error_code"
                                                          : "smpp34.receipt_err",
        .raw = r->raw,
        .arrived_utc_ms = in->host->now_utc_ms(),
        .ack = ack,
    };
    for (uint32_t i = 0; i < rep->n_also; i++)
        item->also[i] = rep->also[i];
}

static void take_receipt(struct smpp_link *l, const struct smpp_pdu *pdu, uint32_t held)
{
    struct smpp_inst *in = l->inst;
    struct report *rep = next_report(in);
    if (smpp_receipt_parse(pdu, &rep->r) != 0) {
        /* An error would make the SMSC repeat it for days and never become readable. */
        smpp_count(in, SMPP_C_RECEIPTS_UNREADABLE, 1);
        answer_and_release(in, held, SMPP_ROK);
        return;
    }
    if (rep->r.result == CGW_RES_FAILED)
        rep->r.result = smpp_result_of(in, rep->r.state);
    rep->n_also = 0;
    if (rep->r.id_same) {
        smpp_msgid_same(&in->ids, rep->r.id, rep->id);
    } else {
        smpp_msgid_receipt(&in->ids, rep->r.id, rep->id);
        rep->n_also = smpp_msgid_also(&in->ids, rep->r.id, rep->id, rep->also);
    }
    struct cgw_address person = address_of(in, &pdu->source, rep->person, sizeof rep->person);
    add_report(in, rep, in->opt.receipt_is_whole ? CGW_RESF_WHOLE : 0, ack_of(in->inbox, held),
               person);
}

void smpp_inbox_report(struct smpp_inst *in, const char *provider_id, uint32_t result,
                       uint32_t flags, int32_t code, const char *raw)
{
    struct report *rep = next_report(in);
    memset(&rep->r, 0, sizeof rep->r);
    rep->n_also = 0;
    rep->r.result = result;
    rep->r.code = code;
    (void)strncpy(rep->r.raw, raw, sizeof rep->r.raw - 1);
    (void)strncpy(rep->id, provider_id, sizeof rep->id - 1);
    rep->id[sizeof rep->id - 1] = '\0';
    add_report(in, rep, flags, 0, (struct cgw_address){0, 0, ""});
}

/* ---- replies ---- */

static bool hand_over(struct smpp_inst *in, const struct smpp_mo *mo, uint64_t ack,
                      struct cgw_address from)
{
    char to[SMPP_LONG_ADDR_MAX + 2];
    struct cgw_part part = {.role = CGW_ROLE_TEXT,
                            .len = mo->utf8_len,
                            .mime = "text/plain; charset=utf-8",
                            .body = mo->utf8};
    if (!mo->utf8)
        part = (struct cgw_part){.role = CGW_ROLE_MEDIA,
                                 .len = mo->octets_len,
                                 .mime = "application/octet-stream",
                                 .body = (const char *)mo->octets};
    struct cgw_inbound item = {
        .size = sizeof item,
        .kind = CGW_IN_TEXT,
        .from = from,
        .to = address_of(in, &mo->destination, to, sizeof to),
        .n_parts = 1,
        .parts = &part,
        .arrived_utc_ms = in->host->now_utc_ms(),
        .ack = ack,
    };
    return in->host->inbound(in->gw, &item, 1) == 1;
}

/* \return true when the gateway took it (or nobody could ever use it). */
static bool offer(struct smpp_inst *in, const struct smpp_mo *mo, uint32_t first)
{
    char person[SMPP_LONG_ADDR_MAX + 2];
    struct cgw_address from = address_of(in, &mo->source, person, sizeof person);
    if (from.kind == 0) {
        smpp_count(in, SMPP_C_REPLIES_UNUSABLE, 1);
        settle_chain(in, first, SMPP_ROK, false);
        return true;
    }
    if (!hand_over(in, mo, first == NONE ? 0 : ack_of(in->inbox, first), from))
        return false;
    smpp_count(in, SMPP_C_REPLIES, 1);
    if (mo->have < mo->total)
        smpp_count(in, SMPP_C_REPLIES_INCOMPLETE, 1);
    return true;
}

/* Chain the held parts of a message. \return the first, NONE when all of them are gone. */
static uint32_t chain(struct smpp_inst *in, const struct smpp_mo *mo)
{
    struct smpp_inbox *x = in->inbox;
    uint32_t first = NONE;
    for (uint32_t k = mo->n_tags; k-- > 0;) {
        uint32_t i = held_by_ack(x, mo->tags[k]);
        if (i == NONE)
            continue;
        uint32_t tail = i;
        while (x->held[tail].next != NONE)
            tail = x->held[tail].next; /* repetitions that joined this part */
        x->held[tail].next = first;
        first = i;
    }
    return first;
}

/* A whole message, or what there is of one. Long ones the gateway has no room for wait here,
 * because their earlier parts may be answered already; a message of one part is the SMSC's to
 * repeat. mo is consumed. */
static void deliver(struct smpp_inst *in, struct smpp_mo *mo)
{
    struct smpp_inbox *x = in->inbox;
    uint32_t first = chain(in, mo);
    if (offer(in, mo, first)) {
        smpp_mo_done(mo);
    } else if (mo->total > 1 && x->n_pending < PENDING_MAX) {
        x->pending[x->n_pending++] = (struct pending){.mo = *mo, .first = first};
        x->retry_ms = in->now_ms + RETRY_MS;
    } else {
        push_back(in, first);
        smpp_mo_done(mo);
    }
}

/* A part that waits for others: answered after a moment even if they do not come, because an SMSC
 * that delivers one at a time sends part 2 only after part 1 was answered. */
static void wait_for_rest(struct smpp_inst *in, uint32_t held)
{
    struct held *h = &in->inbox->held[held];
    if (in->opt.mo_part_hold_ms == 0) {
        answer(in, held, SMPP_ROK);
        return;
    }
    h->answer_at_ms = in->now_ms + in->opt.mo_part_hold_ms;
    h->queued_part = true;
    TAILQ_INSERT_TAIL(&in->inbox->parts, h, link);
}

/* The same message is on its way to the store already: its repetition is answered together with it.
 */
static bool join_repeated(struct smpp_inst *in, uint32_t held)
{
    struct smpp_inbox *x = in->inbox;
    const struct smpp_mo_key *key = &x->held[held].key;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        struct held *h = &x->held[i];
        if (i == held || !h->used || !h->has_key || h->key.a != key->a || h->key.b != key->b)
            continue;
        x->held[held].next = h->next;
        h->next = held;
        if (h->answered || h->queued_part)
            wait_for_rest(in, held); /* a part: the others come only when this one is answered */
        return true;
    }
    return false;
}

/* \return true when the delivery is a repetition and has been dealt with. */
static bool is_repeated(struct smpp_link *l, const struct smpp_pdu *pdu, uint32_t held)
{
    struct smpp_inst *in = l->inst;
    struct smpp_inbox *x = in->inbox;
    struct held *h = &x->held[held];
    if (!x->dedupe)
        return false;
    h->key = smpp_dedupe_key(x->dedupe, pdu);
    if (smpp_dedupe_seen(x->dedupe, in->now_ms, h->key)) {
        smpp_count(in, SMPP_C_REPLIES_REPEATED, 1);
        answer_and_release(in, held, SMPP_ROK);
        return true;
    }
    if (join_repeated(in, held)) {
        smpp_count(in, SMPP_C_REPLIES_REPEATED, 1);
        return true;
    }
    h->has_key = true;
    return false;
}

static void give_up_sets(struct smpp_inst *in, int64_t at_ms)
{
    struct smpp_inbox *x = in->inbox;
    struct smpp_mo mo;
    while (x->n_pending < PENDING_MAX && smpp_reasm_expired(x->reasm, at_ms, &mo) == 1)
        deliver(in, &mo);
}

static void take_reply(struct smpp_link *l, const struct smpp_pdu *pdu, uint32_t held)
{
    struct smpp_inst *in = l->inst;
    struct smpp_inbox *x = in->inbox;
    struct smpp_concat c;
    struct smpp_mo mo;
    smpp_concat_read(pdu, &c);
    if (c.has_port) {
        smpp_count(in, SMPP_C_REPLIES_UNUSABLE, 1);
        answer_and_release(in, held, SMPP_ROK);
        return;
    }
    if (is_repeated(l, pdu, held))
        return;
    if (c.total > 1 && x->n_pending == PENDING_MAX) {
        push_back(in, held); /* before it enters a set that could not be handed over */
        return;
    }
    int rc = smpp_reasm_add(x->reasm, in->now_ms, pdu, ack_of(x, held), &mo);
    if (rc == -ENOBUFS) {
        give_up_sets(in, in->now_ms);
        rc = smpp_reasm_add(x->reasm, in->now_ms, pdu, ack_of(x, held), &mo);
    }
    if (rc == 1) {
        deliver(in, &mo);
    } else if (rc == 0) {
        wait_for_rest(in, held);
    } else if (rc == -EEXIST) {
        smpp_count(in, SMPP_C_REPLIES_REPEATED, 1);
        answer_and_release(in, held, SMPP_ROK);
    } else {
        push_back(in, held);
    }
}

/* ---- entries ---- */

void smpp_inbox_take(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    struct smpp_inst *in = l->inst;
    uint32_t held = hold(l, pdu);
    if (held == NONE) {
        smpp_count(in, SMPP_C_PUSHED_BACK, 1);
        smpp_link_say(l, pdu->command | SMPP_RESP, SMPP_RX_T_APPN, pdu->sequence);
        return;
    }
    switch (smpp_kind_of(pdu)) {
    case SMPP_KIND_RECEIPT:
    case SMPP_KIND_INTERMEDIATE:
        take_receipt(l, pdu, held);
        break;
    case SMPP_KIND_ACK:
        answer_and_release(in, held, SMPP_ROK);
        break;
    case SMPP_KIND_MO:
        take_reply(l, pdu, held);
        break;
    }
}

void smpp_inbox_stored(struct smpp_inst *in, const uint64_t *acks, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        settle_chain(in, held_by_ack(in->inbox, acks[k]), SMPP_ROK, true);
}

static void retry_pending(struct smpp_inst *in)
{
    struct smpp_inbox *x = in->inbox;
    uint32_t done = 0;
    while (done < x->n_pending && offer(in, &x->pending[done].mo, x->pending[done].first))
        smpp_mo_done(&x->pending[done++].mo);
    memmove(x->pending, x->pending + done, (x->n_pending - done) * sizeof x->pending[0]);
    x->n_pending -= done;
    x->retry_ms = in->now_ms + RETRY_MS;
}

void smpp_inbox_tick(struct smpp_inst *in)
{
    struct smpp_inbox *x = in->inbox;
    struct held *h;
    if (x->n_pending > 0 && in->now_ms >= x->retry_ms)
        retry_pending(in);
    give_up_sets(in, in->now_ms);
    while ((h = TAILQ_FIRST(&x->parts)) != NULL && h->answer_at_ms <= in->now_ms)
        answer(in, (uint32_t)(h - x->held), SMPP_ROK);
}

void smpp_inbox_drain(struct smpp_inst *in)
{
    give_up_sets(in,
                 INT64_MAX / 2); /* later parts will meet another process: pass on what is here */
}

uint32_t smpp_inbox_held(const struct smpp_inst *in)
{
    return in->inbox->n_held + in->inbox->n_pending;
}

int64_t smpp_inbox_next_ms(const struct smpp_inst *in)
{
    const struct smpp_inbox *x = in->inbox;
    const struct held *h = TAILQ_FIRST(&x->parts);
    int64_t at_ms = smpp_reasm_next_ms(x->reasm);
    if (h && h->answer_at_ms < at_ms)
        at_ms = h->answer_at_ms;
    if (x->n_pending > 0 && x->retry_ms < at_ms)
        at_ms = x->retry_ms;
    return at_ms;
}

/* ---- life ---- */

int smpp_inbox_new(struct smpp_inst *in, struct smpp_inbox **ret_inbox)
{
    struct smpp_reasm_limits limits = {.timeout_ms = in->opt.mo_parts_timeout_ms};
    uint8_t key[16] = {0};
    struct smpp_inbox *x = calloc(1, sizeof *x);
    if (!x)
        return -ENOMEM;
    TAILQ_INIT(&x->parts);
    x->held = calloc(HELD_MAX, sizeof *x->held);
    x->reasm = smpp_reasm_new(&limits, in->opt.text_rules.default_alphabet);
    bool ok = x->held && x->reasm && getrandom(key, sizeof key, 0) == (ssize_t)sizeof key;
    if (ok && in->opt.mo_duplicate_ms > 0) {
        x->dedupe = smpp_dedupe_new(0, in->opt.mo_duplicate_ms, key);
        ok = x->dedupe != NULL;
    }
    if (!ok) {
        smpp_inbox_free(x);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < HELD_MAX; i++)
        x->held[i].next = i + 1 < HELD_MAX ? i + 1 : NONE;
    *ret_inbox = x;
    return 0;
}

void smpp_inbox_free(struct smpp_inbox *x)
{
    if (!x)
        return;
    for (uint32_t i = 0; i < x->n_pending; i++)
        smpp_mo_done(&x->pending[i].mo);
    smpp_dedupe_free(x->dedupe);
    smpp_reasm_free(x->reasm);
    free(x->held);
    free(x);
}
