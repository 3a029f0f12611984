/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.c - reads receipts: optional parameters first, then the text form.
 * Must not pass on what follows "text:" (a person's message), and must take any octets.
 * Source: SMPP 3.4 appendix B, 5.2.12, 5.2.28, 5.3.2.12, .30, .35, .43; SMPP 5.0 4.7.15; habits of
 * real SMSCs. */
#include "receipt.h"

#include "reassembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX 1024u /* characters of a receipt that are read */
#define STATE_UNKNOWN 255u

/* ---- states ---- */

static const uint32_t RESULTS[] = {
    [0] = CGW_RES_ENROUTE,   /* SCHEDULED (5.0) */
    [1] = CGW_RES_ENROUTE,   /* ENROUTE */
    [2] = CGW_RES_DELIVERED, /* DELIVERED */
    [3] = CGW_RES_EXPIRED,   /* EXPIRED */
    [4] = CGW_RES_FAILED,    /* DELETED */
    [5] = CGW_RES_FAILED,    /* UNDELIVERABLE */
    [6] = CGW_RES_ENROUTE,   /* ACCEPTED: read by customer service for the subscriber; not final in
                                practice */
    [7] = CGW_RES_UNKNOWN,   /* UNKNOWN */
    [8] = CGW_RES_REFUSED,   /* REJECTED */
    [9] = CGW_RES_FAILED,    /* SKIPPED (5.0) */
};

uint32_t smpp_state_result(uint8_t state)
{
    return state < sizeof RESULTS / sizeof RESULTS[0] ? RESULTS[state] : CGW_RES_UNKNOWN;
}

/* First five letters of the words peers write, in capitals: DELIVRD, DELIVERED, UNDELIV,
 * UNDELIVERABLE ... */
static uint8_t state_of_word(const char *word)
{
    static const struct {
        const char *head;
        uint8_t state;
    } words[] = {
        {"SCHED", 0}, {"ENROU", 1}, {"BUFFE", 1}, {"PENDI", 1}, {"DELIV", 2}, {"EXPIR", 3},
        {"DELET", 4}, {"CANCE", 4}, {"UNDEL", 5}, {"FAILE", 5}, {"ACCEP", 6}, {"ACKED", 6},
        {"UNKNO", 7}, {"REJEC", 8}, {"REJCT", 8}, {"SKIPP", 9},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strncmp(word, words[i].head, 5))
            return words[i].state;
    return STATE_UNKNOWN;
}

/* ---- the text form ---- */

enum key { K_ID, K_SUB, K_DLVRD, K_SUBMIT, K_DONE, K_STAT, K_ERR, K_TEXT, KEYS };
static const struct {
    const char *name;
    enum key key;
} NAMES[] = {
    /* longer ones first: "sub" is the head of "submit date" */
    {"submit date", K_SUBMIT},
    {"submitdate", K_SUBMIT},
    {"submit_date", K_SUBMIT},
    {"done date", K_DONE},
    {"donedate", K_DONE},
    {"done_date", K_DONE},
    {"dlvrd", K_DLVRD},
    {"stat", K_STAT},
    {"text", K_TEXT},
    {"sub", K_SUB},
    {"err", K_ERR},
    {"id", K_ID},
};

struct words {
    char text[TEXT_MAX + 1]; /* printable ASCII */
    uint32_t len;
    uint32_t at[KEYS]; /* where the value begins, 0 = absent (no value can begin at 0) */
    uint32_t end;      /* where the part we may keep ends: before "text:" */
};

static bool same_letters(const char *s, uint32_t left, const char *name)
{
    uint32_t n = (uint32_t)strlen(name);
    if (left < n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 0x20) : s[i];
        if (c != name[i])
            return false;
    }
    return true;
}

/* A key stands at the beginning or behind a separator, and is followed by ':' (blanks before it are
 * seen). */
static uint32_t match_key(const struct words *w, uint32_t at, enum key *ret_key)
{
    if (at && (w->text[at - 1] != ' ' && w->text[at - 1] != ',' && w->text[at - 1] != ';'))
        return 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (!same_letters(w->text + at, w->len - at, NAMES[i].name))
            continue;
        uint32_t end = at + (uint32_t)strlen(NAMES[i].name);
        while (end < w->len && w->text[end] == ' ')
            end++;
        if (end < w->len && (w->text[end] == ':' || w->text[end] == '=')) {
            *ret_key = NAMES[i].key;
            return end + 1;
        }
    }
    return 0;
}

static void scan(struct words *w)
{
    memset(w->at, 0, sizeof w->at);
    w->end = w->len;
    for (uint32_t i = 0; i < w->len;) {
        enum key key = KEYS;
        uint32_t value = match_key(w, i, &key);
        if (!value) {
            i++;
            continue;
        }
        if (!w->at[key])
            w->at[key] = value;
        if (key == K_TEXT) { /* all the rest is a person's message, whatever it looks like */
            w->end = i;
            return;
        }
        i = value;
    }
}

/* Printable ASCII of a receipt's text; UCS-2 receipts exist. Everything else becomes '?'. */
static void load(struct words *w, const struct smpp_pdu *pdu)
{
    struct smpp_concat c;
    smpp_concat_read(pdu, &c);
    bool wide = smpp_text_alphabet(pdu->data_coding, SMPP_ALPHA_ASCII) == SMPP_ALPHA_UCS2;
    /* Some peers set data_coding 8 and write ASCII all the same: then the first octet is no zero.
     */
    wide = wide && c.text_len >= 2 && c.text[0] == 0;
    uint32_t step = wide ? 2 : 1;
    w->len = 0;
    for (uint32_t i = 0; i + step <= c.text_len && w->len < TEXT_MAX; i += step) {
        uint32_t u = wide ? smpp_get16(c.text + i) : c.text[i];
        w->text[w->len++] = u >= 0x20 && u < 0x7F                           ? (char)u
                            : u == '\r' || u == '\n' || u == '\t' || u == 0 ? ' '
                                                                            : '?';
    }
    w->text[w->len] = 0;
    scan(w);
}

/* One word of a value into out; false when absent or empty. */
static bool word(const struct words *w, enum key key, char *out, size_t out_size)
{
    uint32_t i = w->at[key];
    size_t n = 0;
    out[0] = 0;
    if (!i)
        return false;
    while (i < w->end && w->text[i] == ' ')
        i++;
    enum key other = KEYS;
    if (match_key(w, i, &other))
        return false; /* "err: text:" - empty, the next key follows */
    for (; i < w->end && w->text[i] != ' ' && w->text[i] != ',' && w->text[i] != ';' &&
           n + 1 < out_size;
         i++)
        out[n++] = w->text[i];
    out[n] = 0;
    return n > 0;
}

static uint32_t count(const struct words *w, enum key key)
{
    char s[12];
    if (!word(w, key, s, sizeof s) || s[0] < '0' || s[0] > '9')
        return 0;
    unsigned long v = strtoul(s, NULL, 10);
    return v < 100000 ? (uint32_t)v : 0;
}

/* An id may be longer than a receipt may say: cut never, dropped instead. */
static void take_id(const struct words *w, struct smpp_receipt *ret)
{
    char id[CGW_PROVIDER_ID_MAX + 1];
    if (word(w, K_ID, id, sizeof id) && strlen(id) < CGW_PROVIDER_ID_MAX)
        memcpy(ret->id, id, strlen(id) + 1);
}

static void take_text(const struct words *w, struct smpp_receipt *ret)
{
    take_id(w, ret);
    if (word(w, K_STAT, ret->stat, sizeof ret->stat)) {
        for (char *p = ret->stat; *p; p++)
            *p = *p >= 'a' && *p <= 'z' ? (char)(*p & ~0x20) : *p;
        ret->state = state_of_word(ret->stat);
    }
    (void)word(w, K_ERR, ret->err, sizeof ret->err);
    (void)word(w, K_SUBMIT, ret->submit_date, sizeof ret->submit_date);
    (void)word(w, K_DONE, ret->done_date, sizeof ret->done_date);
    ret->sub = count(w, K_SUB);
    ret->dlvrd = count(w, K_DLVRD);
    /* Without a "stat" the text is no receipt and may be a person's words: keep nothing of it. */
    uint32_t n = ret->stat[0] || ret->id[0] ? w->end : 0;
    while (n && w->text[n - 1] == ' ')
        n--;
    if (n > CGW_RAW_MAX - 1)
        n = CGW_RAW_MAX - 1;
    memcpy(ret->raw, w->text, n);
    ret->raw[n] = 0;
}

/* ---- kind ---- */

static bool has_state_tlv(const struct smpp_pdu *pdu)
{
    uint32_t state = 0;
    return smpp_pdu_tlv(pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID) ||
           smpp_pdu_tlv_uint(pdu, SMPP_TLV_MESSAGE_STATE, 1, &state);
}

/* The form of appendix B that no person writes by chance: id, a known state, and one more field,
 * before any "text:". */
static bool looks_like_receipt(const struct smpp_pdu *pdu)
{
    struct words w;
    char s[16];
    load(&w, pdu);
    if (!word(&w, K_ID, s, sizeof s) || !word(&w, K_STAT, s, sizeof s))
        return false;
    for (char *p = s; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p & ~0x20) : *p;
    return state_of_word(s) != STATE_UNKNOWN &&
           (w.at[K_SUB] || w.at[K_DLVRD] || w.at[K_SUBMIT] || w.at[K_DONE] || w.at[K_ERR]);
}

enum smpp_kind smpp_kind_of(const struct smpp_pdu *pdu)
{
    uint8_t type = pdu->esm_class & SMPP_ESM_TYPE;
    if (type == SMPP_ESM_RECEIPT || type == (SMPP_ESM_RECEIPT | SMPP_ESM_INTERMEDIATE))
        return SMPP_KIND_RECEIPT;
    if (type == SMPP_ESM_INTERMEDIATE)
        return SMPP_KIND_INTERMEDIATE;
    if (type == SMPP_ESM_DELIVERY_ACK || type == SMPP_ESM_MANUAL_ACK)
        return SMPP_KIND_ACK;
    return has_state_tlv(pdu) || looks_like_receipt(pdu) ? SMPP_KIND_RECEIPT : SMPP_KIND_MO;
}

/* ---- optional parameters ---- */

/* The same characters but for padding and case. */
static bool same_id(const char *a, const char *b)
{
    a += strspn(a, "0");
    b += strspn(b, "0");
    return !strcasecmp(a, b);
}

/* receipted_message_id, with or without its NUL. */
static void take_id_tlv(const struct smpp_tlv *t, struct smpp_receipt *ret)
{
    char id[CGW_PROVIDER_ID_MAX];
    size_t n = t->len ? strnlen((const char *)t->value, t->len) : 0;
    if (!n || n >= sizeof id)
        return;
    for (size_t i = 0; i < n; i++)
        if (t->value[i] <= 0x20 || t->value[i] >= 0x7F)
            return;
    memcpy(id, t->value, n);
    id[n] = 0;
    ret->id_same = ret->id[0] && !same_id(id, ret->id);
    memcpy(ret->id, id, n + 1);
}

/* type and code; some peers write three digits instead, and no network type is that large. */
static void take_network(const struct smpp_tlv *t, struct smpp_receipt *ret)
{
    const uint8_t *v = t->value;
    if (t->len != 3)
        return;
    ret->has_network = true;
    bool digits =
        v[0] >= '0' && v[0] <= '9' && v[1] >= '0' && v[1] <= '9' && v[2] >= '0' && v[2] <= '9';
    ret->network_type = digits ? 0 : v[0];
    ret->network_code = digits ? (uint16_t)((v[0] - '0') * 100 + (v[1] - '0') * 10 + (v[2] - '0'))
                               : smpp_get16(v + 1);
}

static void take_tlvs(const struct smpp_pdu *pdu, struct smpp_receipt *ret)
{
    const struct smpp_tlv *id = smpp_pdu_tlv(pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID);
    const struct smpp_tlv *net = smpp_pdu_tlv(pdu, SMPP_TLV_NETWORK_ERROR_CODE);
    uint32_t v = 0;
    if (id)
        take_id_tlv(id, ret);
    if (net)
        take_network(net, ret);
    if (smpp_pdu_tlv_uint(pdu, SMPP_TLV_MESSAGE_STATE, 1, &v) &&
        v < sizeof RESULTS / sizeof RESULTS[0])
        ret->state = (uint8_t)v;
    if (smpp_pdu_tlv_uint(pdu, SMPP_TLV_USER_MESSAGE_REFERENCE, 2, &v))
        ret->reference = (uint64_t)v + 1;
}

static int32_t error_code(const struct smpp_receipt *r)
{
    char *end = NULL;
    if (r->err[0] >= '0' && r->err[0] <= '9') {
        long v = strtol(r->err, &end, 10);
        if (!*end && v > 0 && v <= INT32_MAX)
            return (int32_t)v;
    }
    return r->has_network ? r->network_code : 0;
}

int smpp_receipt_parse(const struct smpp_pdu *pdu, struct smpp_receipt *ret)
{
    struct words w;
    memset(ret, 0, sizeof *ret);
    ret->state = STATE_UNKNOWN;
    load(&w, pdu);
    take_text(&w, ret);
    take_tlvs(pdu, ret); /* these count where the two disagree */
    if (!ret->id[0] && !ret->reference)
        return -EBADMSG;
    ret->code = error_code(ret);
    ret->result = smpp_state_result(ret->state);
    if (smpp_kind_of(pdu) == SMPP_KIND_INTERMEDIATE)
        ret->result = CGW_RES_ENROUTE;
    return 0;
}
