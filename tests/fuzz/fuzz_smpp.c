/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_smpp.c - everything an SMSC's octets pass through: framing, guard, codec library, receipts,
 * reassembly, text, ids; and the way back: what was decoded is chosen, cut and encoded again.
 * Checks promises, not only crashes. Input: first octet = options, the rest = a TCP stream. Bit 0
 * repairs each command_length, so that mutation gets further. Build with clang
 * -fsanitize=fuzzer,address,undefined, or with -DREPLAY_MAIN for a program that replays files.
 * Source document: plugins/channel_smpp headers. */
#include "address.h"
#include "guard.h"
#include "msgid.h"
#include "pdu.h"
#include "reassembly.h"
#include "receipt.h"
#include "retry.h"
#include "segment.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PDUS_MAX 32 /* PDUs of one input */
/* the library's error log holds 2048; past its end it would overwrite memory */
#define LOG_FILL_MAX 1500

extern char smpp34_strerror[2048];
extern char *ptrerror;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: promise broken: %s\n", __FILE__, __LINE__, #cond);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct world {
    struct smpp_reasm *reasm;
    struct smpp_dedupe *dedupe;
    struct smpp_msgid ids;
    enum smpp_alphabet alphabet;
    int64_t now_ms;
};

static void check_part(const struct smpp_segments *plan, const struct smpp_choice *choice,
                       const uint8_t *octets, uint32_t i)
{
    uint8_t scratch[SMPP_SEGMENT_SCRATCH];
    struct smpp_submit sm;
    memset(&sm, 0, sizeof sm);
    memcpy(sm.destination.text, "4915112345678", 14);
    sm.destination.ton = sm.destination.npi = 1;
    sm.data_coding = choice->data_coding;
    CHECK(plan->at[i] < plan->at[i + 1]);
    CHECK(!smpp_segment_fill(plan, octets, i, (uint16_t)(i * 7), scratch, &sm));
    size_t cap = SMPP_ENCODE_CAP(sm.text_len);
    uint8_t *out = malloc(cap);
    CHECK(out);
    int n = smpp_encode_submit(out, cap, 1, &sm);
    CHECK(n > (int)SMPP_HEADER_LEN && smpp_get32(out) == (uint32_t)n);
    CHECK(ptrerror - smpp34_strerror < LOG_FILL_MAX);
    free(out);
}

/* Text that came in must go out again: chosen, encoded and cut without loss. */
static void round_trip(const struct world *w, const char *utf8, uint32_t len)
{
    static uint8_t octets[SMPP_PAYLOAD_MAX];
    const struct smpp_text_rules rules = {w->alphabet,
                                          SMPP_ALLOW(SMPP_ALPHA_GSM) | SMPP_ALLOW(SMPP_ALPHA_UCS2)};
    struct smpp_choice choice;
    struct smpp_segments plan;
    int rc = smpp_text_choose(utf8, len, &rules, &choice, NULL);
    CHECK(rc == 0 || rc == CGW_ELIMIT); /* UCS-2 says everything */
    if (rc)
        return;
    int n = smpp_text_encode(utf8, len, choice.alphabet, octets, sizeof octets);
    CHECK(n >= 0 && (uint32_t)n == choice.octets);
    char *back = malloc((size_t)n * 3 + 1);
    CHECK(back);
    CHECK(smpp_text_decode(octets, (size_t)n, choice.alphabet, back, (size_t)n * 3 + 1) ==
          (int)len);
    CHECK(!len || !memcmp(back, utf8, len));
    free(back);
    for (enum smpp_split split = SMPP_SPLIT_UDH8; split <= SMPP_SPLIT_PAYLOAD; split++) {
        rc = smpp_segment_plan(octets, (uint32_t)n, &choice, split, 0, &plan);
        CHECK(rc == 0 || rc == CGW_ELIMIT);
        if (rc || !n)
            continue;
        CHECK(plan.at[0] == 0 && plan.at[plan.n] == (uint32_t)n);
        for (uint32_t i = 0; i < plan.n; i++)
            check_part(&plan, &choice, octets, i);
    }
}

static void take_mo(const struct world *w, struct smpp_mo *mo)
{
    CHECK(mo->have && mo->have <= mo->total && mo->n_tags == mo->have);
    if (mo->utf8) {
        CHECK(strlen(mo->utf8) == mo->utf8_len);
        round_trip(w, mo->utf8, mo->utf8_len);
    }
    smpp_mo_done(mo);
}

static void take_receipt(struct world *w, const struct smpp_pdu *pdu)
{
    struct smpp_receipt r;
    char id[CGW_PROVIDER_ID_MAX];
    if (smpp_receipt_parse(pdu, &r))
        return;
    CHECK(strlen(r.id) < sizeof r.id && strlen(r.raw) < sizeof r.raw);
    CHECK(r.result >= CGW_RES_REFUSED && r.result <= CGW_RES_ENROUTE);
    smpp_msgid_receipt(&w->ids, r.id, id);
    CHECK(strlen(id) < sizeof id && (!r.id[0] == !id[0]));
}

static void take_message(struct world *w, const struct smpp_pdu *pdu)
{
    char address[SMPP_LONG_ADDR_MAX + 2];
    struct smpp_mo mo;
    bool plain = false;
    (void)smpp_addr_read(&pdu->source, address, sizeof address, &plain);
    if (smpp_kind_of(pdu) != SMPP_KIND_MO) {
        take_receipt(w, pdu);
        return;
    }
    struct smpp_mo_key key = smpp_dedupe_key(w->dedupe, pdu);
    if (smpp_dedupe_seen(w->dedupe, w->now_ms, key))
        return;
    smpp_dedupe_put(w->dedupe, w->now_ms, key);
    CHECK(smpp_dedupe_seen(w->dedupe, w->now_ms, key));
    if (smpp_reasm_add(w->reasm, w->now_ms, pdu, pdu->sequence, &mo) == 1)
        take_mo(w, &mo);
}

static void take_pdu(struct world *w, const uint8_t *octets, uint32_t len)
{
    struct smpp_pdu pdu;
    struct smpp_retry table;
    char id[CGW_PROVIDER_ID_MAX], text[64];
    uint32_t command = 0, status = 0;
    int rc = smpp_decode(octets, len, &pdu);
    CHECK(!rc || !pdu.has_body);
    (void)smpp_decode_answer(rc, pdu.command, &command, &status);
    if (rc)
        return;
    (void)smpp_retry_init(&table, NULL, NULL);
    (void)smpp_retry_submit(&table, pdu.status);
    smpp_pdu_error_text(&pdu, text, sizeof text);
    if (pdu.message_id[0])
        smpp_msgid_resp(&w->ids, pdu.message_id, id);
    if (pdu.command == SMPP_DELIVER_SM || pdu.command == SMPP_DATA_SM)
        take_message(w, &pdu);
}

/* Every PDU in memory of exactly its size, so that one octet too far is seen. */
static void take_stream(struct world *w, const uint8_t *p, size_t left, bool repair)
{
    for (int i = 0; i < PDUS_MAX && left; i++) {
        uint32_t len = 0;
        int rc = smpp_frame(p, left, &len);
        if (repair && left >= SMPP_HEADER_LEN && rc != 1) {
            len = left < SMPP_PDU_MAX ? (uint32_t)left : SMPP_PDU_MAX;
            rc = 1;
        }
        if (rc != 1)
            return;
        uint8_t *pdu = malloc(len);
        CHECK(pdu);
        memcpy(pdu, p, len);
        smpp_put32(pdu, len);
        take_pdu(w, pdu, len);
        free(pdu);
        p += len;
        left -= len;
        w->now_ms += 100;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16] = {1, 2, 3};
    const struct smpp_reasm_limits limits = {4, 8192, 2000};
    struct smpp_mo mo;
    struct world w;
    if (!size)
        return 0;
    memset(&w, 0, sizeof w);
    w.alphabet = (enum smpp_alphabet)((data[0] >> 1) % 3);
    w.reasm = smpp_reasm_new(&limits, w.alphabet);
    w.dedupe = smpp_dedupe_new(16, 500, key);
    CHECK(w.reasm && w.dedupe);
    CHECK(!smpp_msgid_init(&w.ids, (enum smpp_idform)(data[0] >> 3 & 3),
                           (enum smpp_idform)(data[0] >> 5 & 3)));
    take_stream(&w, data + 1, size - 1, data[0] & 1);
    while (smpp_reasm_expired(w.reasm, w.now_ms + 10000, &mo) == 1)
        take_mo(&w, &mo);
    CHECK(!smpp_reasm_sets(w.reasm));
    smpp_msgid_done(&w.ids);
    smpp_dedupe_free(w.dedupe);
    smpp_reasm_free(w.reasm);
    return 0;
}

#ifdef REPLAY_MAIN
#define FILE_MAX (1u << 20)
int main(int argc, char **argv)
{
    uint8_t *buf = malloc(FILE_MAX);
    if (!buf)
        return 1;
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            (void)fprintf(stderr, "%s: cannot open\n", argv[i]);
            free(buf);
            return 1;
        }
        size_t n = fread(buf, 1, FILE_MAX, f);
        (void)fclose(f);
        (void)LLVMFuzzerTestOneInput(buf, n);
    }
    (void)printf("%d files replayed\n", argc - 1);
    free(buf);
    return 0;
}
#endif
