/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mm7.c - what an MMSC (or whoever says to be one) sends: MIME, XML, MM7. Input: first line =
 * the Content-Type, the rest = the body. Promises: bounds hold, what is kept is one line of text
 * that ends, reading twice reads the same, and no DOCTYPE is ever accepted. */
#include "fuzz_ingest.h"

#include "mime.h"
#include "mm7.h"

#include <string.h>

static void line(const char *s, size_t size)
{
    size_t n = strnlen(s, size);
    CHECK(n < size);
    for (size_t i = 0; i < n; i++)
        CHECK((unsigned char)s[i] >= 0x20 && s[i] != 0x7f);
}

static void read_xml(const char *data, size_t len, const char *charset)
{
    struct cgw_diag diag = {.size = sizeof diag};
    struct mms_xml x, y;
    struct mm7_request q, again;
    struct mm7_answer a;
    char *exact = malloc(len ? len : 1); /* reading past the end is seen */
    CHECK(exact);
    memcpy(exact, data, len);
    int rc = mms_xml_read(exact, len, charset, &x, &diag);
    CHECK(rc == 0 || diag.text[0]);
    if (rc == 0) {
        CHECK(x.n > 0 && x.n <= MMS_XML_NODES_MAX && len <= MMS_XML_BYTES_MAX);
        for (uint32_t i = 0; i < x.n; i++)
            CHECK(x.nodes[i].depth < MMS_XML_DEPTH_MAX && x.nodes[i].parent < (int32_t)i);
        if (mm7_read_request(&x, &q) == 0) {
            line(q.message_id, sizeof q.message_id);
            line(q.sender, sizeof q.sender);
            line(q.recipient, sizeof q.recipient);
            line(q.subject, sizeof q.subject);
            line(q.dialect.ns, sizeof q.dialect.ns);
            CHECK(mms_xml_read(exact, len, charset, &y, &diag) == 0);
            CHECK(mm7_read_request(&y, &again) == 0 && !memcmp(&q, &again, sizeof q));
            mms_xml_done(&y);
        }
        if (mm7_read_answer(&x, &a) == 0) {
            CHECK(a.has_code && a.code > 0);
            line(a.text, sizeof a.text);
            line(a.message_id, sizeof a.message_id);
        }
        mms_xml_done(&x);
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;
    if (!begun) {
        mms_xml_global();
        mms_mime_global();
        begun = true;
    }
    const uint8_t *end = memchr(data, '\n', size < 300 ? size : 300);
    if (!end || size > 300000)
        return 0;
    char type[301], charset[40];
    memcpy(type, data, (size_t)(end - data));
    type[end - data] = '\0';
    const char *body = (const char *)end + 1;
    size_t len = size - (size_t)(end + 1 - data);
    mms_mime_charset(type, charset, sizeof charset);
    read_xml(body, len, charset[0] ? charset : NULL);
    struct mms_mime *m = mms_mime_read(type, body, len);
    if (m) {
        CHECK(m->n > 0 && m->n <= MMS_LEAVES_MAX && m->root < m->n);
        read_xml(m->leaves[m->root].data, m->leaves[m->root].len, m->leaves[m->root].charset);
        for (uint32_t i = 0; i < m->n; i++) {
            size_t n = 0;
            char *text =
                mms_mime_utf8(m->leaves[i].data, m->leaves[i].len, m->leaves[i].charset, &n);
            CHECK(text && strlen(text) <= n);
            mms_mime_free(text);
        }
        mms_mime_done(m);
    }
    return 0;
}
