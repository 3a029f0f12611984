/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mail.c - mails that come back to channel_email: MIME, bounces, complaints, answers. Input:
 * one mail; "@BOUNCE@", "@LEAVE@" and "@ID@" in it become addresses and an id that are genuine.
 * Promises: every mail is read or refused within its limits, all that is kept ends in time and is
 * printable where it is a peer's word, an id is only ever one of ours, and reading twice reads the
 * same. Source documents: plugins/channel_email/mime.h, report.h. */
#include "fuzz_ingest.h"
#include "report.h"

#include "cgw/channel.h"

#include <stdio.h>
#include <string.h>

#define WRITTEN_TO "a@a" /* nobody else may be named as proven */

static struct email_key key;
static char id[EMAIL_ID_LEN + 1], bounce[64], leave[64];

static void make_names(void)
{
    char token[EMAIL_TOKEN_LEN + 1], who[EMAIL_WHO_LEN + 1];
    if (id[0])
        return;
    CHECK(email_key_init(&key, "a secret of the fuzzer") == 0);
    email_id_new(&key, id);
    email_token_make(&key, EMAIL_FOR_BOUNCE, id, token);
    email_who_make(&key, id, 7, WRITTEN_TO, who);
    (void)snprintf(bounce, sizeof bounce, "b+%s-%s@b", token, who);
    email_token_make(&key, EMAIL_FOR_LEAVE, id, token);
    (void)snprintf(leave, sizeof leave, "u+%s@b", token);
}

/* The mail with its words replaced; owned by the caller. */
static char *fill_in(const uint8_t *data, size_t size, size_t *ret_len)
{
    const struct {
        const char *word, *value;
    } words[] = {{"@BOUNCE@", bounce}, {"@LEAVE@", leave}, {"@ID@", id}};
    char *out = malloc(size * 8 + 1);
    size_t n = 0;
    CHECK(out);
    for (size_t i = 0; i < size;) {
        size_t k = 0, len = 0;
        for (; k < 3; k++) {
            len = strlen(words[k].word);
            if (size - i >= len && !memcmp(data + i, words[k].word, len))
                break;
        }
        if (k == 3) {
            out[n++] = (char)data[i++];
            continue;
        }
        memcpy(out + n, words[k].value, strlen(words[k].value));
        n += strlen(words[k].value);
        i += len;
    }
    char *exact = realloc(out, n ? n : 1); /* reading past the end is seen */
    *ret_len = n;
    return exact ? exact : out;
}

static void kept(const struct report *r)
{
    CHECK(strnlen(r->raw, sizeof r->raw) < sizeof r->raw);
    CHECK(strnlen(r->person, sizeof r->person) < sizeof r->person);
    CHECK(!r->id[0] || !strcmp(r->id, id));
    CHECK(r->kind != REPORT_BOUNCE || (r->id[0] && r->result));
    CHECK(r->kind != REPORT_REPLY || r->text);
    CHECK(!r->sealed || (!strcmp(r->person, WRITTEN_TO) && r->reference == 7 && r->id[0]));
    for (const char *p = r->raw; *p; p++)
        CHECK((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
}

static void own_words(const struct report *r)
{
    static char words[REPORT_TEXT_MAX];
    for (size_t size = 1; r->text && size <= sizeof words; size *= 16) {
        size_t n = report_own_words(r->text, words, size);
        CHECK(n < size && !words[n]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mime_mail m, again;
    struct report r, twice;
    size_t len;
    if (size > 65536)
        return 0;
    make_names();
    char *text = fill_in(data, size, &len);
    int rc = mime_read(text, len, &m);
    CHECK(mime_read(text, len, &again) == rc);
    if (!rc) {
        CHECK(m.n_parts <= MIME_PARTS_MAX && m.n_parts == again.n_parts);
        for (unsigned i = 0; i < m.n_parts; i++) {
            CHECK(!m.parts[i].body[m.parts[i].len]);
            CHECK(m.parts[i].len <= 4u * MIME_PART_BYTES);
        }
        report_read(&key, &m, &r);
        report_read(&key, &again, &twice);
        CHECK(r.kind == twice.kind && r.result == twice.result && r.sub == twice.sub);
        CHECK(!strcmp(r.id, twice.id) && !strcmp(r.raw, twice.raw));
        kept(&r);
        own_words(&r);
        mime_done(&m);
        mime_done(&again);
    }
    free(text);
    return 0;
}
