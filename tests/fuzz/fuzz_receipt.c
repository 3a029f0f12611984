/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_receipt.c - the words of receipts, without the PDU around them, so that mutation stays among
 * the words. Input: first octet = options (bits 0-1 esm_class, bit 2 UCS-2, bit 3 optional
 * parameters first: length octet, value), the rest = the text. Promises: all that is kept is
 * printable and ends in time, a result is one of the six, reading twice reads the same, and what
 * stands behind "text:" is kept nowhere. Source document: plugins/channel_smpp/receipt.h. */
#include "fuzz_ingest.h"
#include "receipt.h"

#include <string.h>

static const char secret[] = "qzSECRETzq";

static void printable(const char *s, size_t size)
{
    size_t n = strnlen(s, size);
    CHECK(n < size);
    for (size_t i = 0; i < n; i++)
        CHECK(s[i] >= 0x20 && s[i] < 0x7f);
}

static void kept(const struct smpp_receipt *r)
{
    const struct {
        const char *text;
        size_t size;
    } texts[] = {{r->id, sizeof r->id},
                 {r->stat, sizeof r->stat},
                 {r->err, sizeof r->err},
                 {r->raw, sizeof r->raw},
                 {r->submit_date, sizeof r->submit_date},
                 {r->done_date, sizeof r->done_date}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        printable(texts[i].text, texts[i].size);
        CHECK(!strstr(texts[i].text, secret));
    }
}

/* A text of any length travels as message_payload (SMPP 3.4 5.3.2.32). */
static void read_text(uint8_t options, const struct smpp_tlv *id, const uint8_t *text, size_t len)
{
    static const uint8_t types[] = {0, SMPP_ESM_RECEIPT, SMPP_ESM_INTERMEDIATE,
                                    SMPP_ESM_DELIVERY_ACK};
    static struct smpp_pdu pdu;
    struct smpp_receipt r, again;
    memset(&pdu, 0, sizeof pdu);
    pdu.command = SMPP_DELIVER_SM;
    pdu.has_body = true;
    pdu.esm_class = types[options & 3];
    pdu.data_coding = options & 4 ? 8 : 0;
    if (id)
        pdu.tlvs[pdu.n_tlvs++] = *id;
    pdu.tlvs[pdu.n_tlvs++] =
        (struct smpp_tlv){SMPP_TLV_MESSAGE_PAYLOAD, (uint16_t)(len > 0xffff ? 0xffff : len), text};
    enum smpp_kind kind = smpp_kind_of(&pdu);
    int rc = smpp_receipt_parse(&pdu, &r);
    CHECK(smpp_kind_of(&pdu) == kind && smpp_receipt_parse(&pdu, &again) == rc);
    CHECK(!memcmp(&r, &again, sizeof r));
    kept(&r);
    CHECK(rc || (r.result >= CGW_RES_REFUSED && r.result <= CGW_RES_ENROUTE));
    CHECK(rc || (r.id[0] || r.reference));
    CHECK(rc || kind != SMPP_KIND_INTERMEDIATE || r.result == CGW_RES_ENROUTE);
}

static bool holds(const uint8_t *data, size_t size, const char *word)
{
    return memmem(data, size, word, strlen(word)) != NULL;
}

/* The same words with a person's message behind them. */
static void with_message(uint8_t options, const struct smpp_tlv *id, const uint8_t *text,
                         size_t len)
{
    char all[2048];
    int n = snprintf(all, sizeof all, "%.*s text:%s id:%s stat:%s err:%s", (int)len,
                     (const char *)text, secret, secret, secret, secret);
    if (n > 0 && (size_t)n < sizeof all)
        read_text(options & 3, id, (const uint8_t *)all, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint8_t options = *data++;
    struct smpp_tlv id = {SMPP_TLV_RECEIPTED_MESSAGE_ID, 0, NULL};
    size--;
    if (options & 8) {
        id.len = size ? *data : 0;
        if (size < 1 + (size_t)id.len)
            return 0;
        id.value = data + 1;
        data += 1 + id.len;
        size -= 1 + (size_t)id.len;
    }
    if (holds(data, size, secret) || (id.len && holds(id.value, id.len, secret)))
        return 0;
    uint8_t *exact = malloc(size ? size : 1); /* reading past the end is seen */
    CHECK(exact);
    memcpy(exact, data, size);
    read_text(options, id.value ? &id : NULL, exact, size);
    with_message(options, id.value ? &id : NULL, exact, size);
    free(exact);
    return 0;
}
