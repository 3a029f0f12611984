/* SPDX-License-Identifier: Apache-2.0 */
/* test_mms_mm7.c - what channel_mms writes against the schema, and what it reads. The schema
 * (tests/contract/mm7.xsd) is our own, after 3GPP TS 23.140 annex L. */
#include "content.h"
#include "mm7.h"

#include <criterion/criterion.h>
#include <libxml/xmlschemas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(mms_mm7, .timeout = 30);

/* ---- the schema of one release ---- */

static char *file_text(const char *path)
{
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    char *text = calloc(1, 40000);
    cr_assert(fread(text, 1, 39999, f) > 0);
    (void)fclose(f);
    return text;
}

static char *replaced(char *text, const char *word, const char *with)
{
    char *out = calloc(1, 60000), *at;
    char *from = text;
    while ((at = strstr(from, word))) {
        (void)strncat(out, from, (size_t)(at - from));
        (void)strcat(out, with);
        from = at + strlen(word);
    }
    (void)strcat(out, from);
    free(text);
    return out;
}

static xmlSchemaPtr schema_of(const struct mm7_dialect *d)
{
    char *text = file_text(TEST_SRCDIR "/tests/contract/mm7.xsd");
    text = replaced(text, "TARGET_NS", d->ns);
    text = replaced(text, "VERSION_PATTERN", d->rel6 ? "6\\.[0-9]+\\.0" : "5\\.[0-9]+\\.0");
    xmlSchemaParserCtxtPtr p = xmlSchemaNewMemParserCtxt(text, (int)strlen(text));
    xmlSchemaPtr s = xmlSchemaParse(p);
    xmlSchemaFreeParserCtxt(p);
    free(text);
    cr_assert(s);
    return s;
}

static void silent(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

/* The element inside Body (or inside the fault's detail) as a document of its own. */
static int judge(xmlSchemaPtr schema, const char *soap, size_t len, const char *name)
{
    xmlDocPtr whole = xmlReadMemory(soap, (int)len, NULL, NULL, XML_PARSE_NONET);
    cr_assert(whole);
    xmlNodePtr n = xmlDocGetRootElement(whole);
    while (n && strcmp((const char *)n->name, name) != 0) {
        xmlNodePtr next = n->children ? n->children : n->next;
        for (xmlNodePtr up = n->parent; !next && up; up = up->parent)
            next = up->next;
        n = next;
    }
    cr_assert(n, "%s is not there", name);
    xmlDocPtr alone = xmlNewDoc(BAD_CAST "1.0");
    xmlDocSetRootElement(alone, xmlDocCopyNode(n, alone, 1));
    xmlSchemaValidCtxtPtr v = xmlSchemaNewValidCtxt(schema);
    xmlSchemaSetValidErrors(v, silent, silent, NULL);
    int rc = xmlSchemaValidateDoc(v, alone);
    xmlSchemaFreeValidCtxt(v);
    xmlFreeDoc(alone);
    xmlFreeDoc(whole);
    return rc;
}

static struct mm7_dialect dialect_of(const char *release)
{
    struct mm7_dialect d = {0};
    const struct mm7_release *r = mm7_release_find(release);
    cr_assert(r);
    (void)snprintf(d.ns, sizeof d.ns, MM7_NS_BASE "%s", r->name);
    (void)snprintf(d.version, sizeof d.version, "%s", r->version);
    d.rel6 = r->rel6;
    return d;
}

/* A message with the optional elements that the bits of `pick` name. */
static struct mm7_submit message(uint32_t pick)
{
#define SOME(bit, value) (pick >> (bit)&1 ? (value) : NULL)
    struct mm7_submit s = {
        .transaction = "t-1",
        .vaspid = SOME(0, "vasp"),
        .vasid = SOME(1, "vas"),
        .to = {MM7_NUMBER, "+8613800000000"},
        .service_code = SOME(3, "svc"),
        .linked_id = SOME(4, "link"),
        .message_class = SOME(5, "Advertisement"),
        .timestamp = SOME(6, "2026-11-28T00:00:00Z"),
        .reply_charging = pick >> 7 & 1,
        .reply_size = SOME(8, "100"),
        .reply_deadline = SOME(9, "PT60S"),
        .expiry = SOME(10, "2026-11-29T00:00:00Z"),
        .delivery_report = SOME(11, "true"),
        .read_reply = SOME(12, "false"),
        .priority = SOME(13, "High"),
        .subject = SOME(14, "a & <b> \xe4\xbd\xa0"),
        .charged_party = SOME(15, "Sender"),
        .charged_party_id = SOME(16, "id"),
        .distribution = SOME(17, "true"),
        .delivery_condition = SOME(18, "c"),
        .applic_id = SOME(19, "a"),
        .reply_applic_id = SOME(20, "r"),
        .aux_applic_info = SOME(21, "x"),
        .content_class = SOME(22, "text"),
        .drm_content = SOME(23, "false"),
        .allow_adaptations = SOME(24, "true"),
        .content_href = SOME(25, "cid:c"),
    };
    if (pick >> 2 & 1)
        s.sender = (struct mm7_address){pick >> 26 & 1 ? MM7_SHORTCODE : MM7_EMAIL, "a@b.example"};
    return s;
}

/* Every element alone with its neighbours, all of them, none, and 2,000 draws. */
Test(mms_mm7, every_submit_is_valid_against_the_schema)
{
    static const char *const releases[] = {"REL-6-MM7-1-4", "REL-6-MM7-1-0", "REL-5-MM7-1-2"};
    struct mms_xw w = {0};
    for (size_t k = 0; k < 3; k++) {
        struct mm7_dialect d = dialect_of(releases[k]);
        xmlSchemaPtr schema = schema_of(&d);
        uint32_t draw = 12345;
        for (uint32_t i = 0; i < 2060; i++) {
            draw = draw * 1664525u + 1013904223u;
            uint32_t pick = i < 27 ? 1u << i : i < 54 ? ~(1u << (i - 27)) : i == 54 ? 0 : draw;
            struct mm7_submit s = message(pick);
            size_t len = 0;
            const char *doc = mm7_write_submit(&w, &d, &s, &len);
            cr_assert(doc);
            cr_assert_eq(judge(schema, doc, len, "SubmitReq"), 0, "pick %08x: %.*s", pick, (int)len,
                         doc);
        }
        xmlSchemaFree(schema);
    }
    mms_xw_done(&w);
}

#define ONE_RECIPIENT "<Recipients><To><Number>1</Number></To></Recipients>"

Test(mms_mm7, the_schema_refuses_another_order)
{
    struct mm7_dialect d = dialect_of("REL-6-MM7-1-4");
    xmlSchemaPtr schema = schema_of(&d);
    static const char *const bad[] = {"<ServiceCode>s</ServiceCode>" ONE_RECIPIENT,
                                      ONE_RECIPIENT
                                      "<Priority>High</Priority><ReadReply>true</ReadReply>",
                                      ONE_RECIPIENT "<ExpiryDate>tomorrow</ExpiryDate>",
                                      "<Recipients><To><Number/></To></Recipients>", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char doc[1000];
        int n = snprintf(doc, sizeof doc,
                         "<SubmitReq xmlns=\"%s\"><MM7Version>6.8.0</MM7Version>"
                         "<SenderIdentification/>%s</SubmitReq>",
                         d.ns, bad[i]);
        cr_assert_neq(judge(schema, doc, (size_t)n, "SubmitReq"), 0, "%s", doc);
    }
    xmlSchemaFree(schema);
}

Test(mms_mm7, the_other_documents_are_valid_too)
{
    struct mms_xw w = {0};
    struct mm7_dialect d = dialect_of("REL-6-MM7-1-4");
    xmlSchemaPtr schema = schema_of(&d);
    struct mm7_cancel c = {"t", "v", "s", "m", {MM7_SHORTCODE, "12345"}};
    size_t len = 0;
    const char *doc = mm7_write_cancel(&w, &d, &c, &len);
    cr_assert_eq(judge(schema, doc, len, "CancelReq"), 0);
    static const char *const names[] = {"DeliverRsp", "DeliveryReportRsp", "ReadReplyRsp",
                                        "VASPErrorRsp"};
    for (size_t i = 0; i < 4; i++) {
        doc = mm7_write_response(&w, &d, names[i], " t ", 1000, "Success", &len);
        cr_assert_eq(judge(schema, doc, len, names[i]), 0);
        cr_assert(strstr(doc, "> t <"));
    }
    for (uint32_t pick = 0; pick < 64; pick++) {
        struct mm7_submit s =
            message(pick << 3 | (pick & 1) << 12 | (pick & 2) << 16 | (pick & 4) << 23);
        s.replace_id = "mm-1";
        doc = mm7_write_submit(&w, &d, &s, &len);
        cr_assert_eq(judge(schema, doc, len, "ReplaceReq"), 0, "%.*s", (int)len, doc);
    }
    xmlSchemaFree(schema);
    mms_xw_done(&w);
}

Test(mms_mm7, versions_fit_their_namespaces)
{
    const char *at = MM7_RELEASES;
    for (size_t n; *at; at += n + (at[n] == '|')) {
        char name[40];
        n = strcspn(at, "|");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, at);
        const struct mm7_release *r = mm7_release_find(name);
        cr_assert(r, "%s", name);
        cr_assert_eq(r->version[0], name[4], "%s %s", name, r->version);
        cr_assert_str_neq(r->version, "6.7.0", "stands in no schema");
    }
    cr_assert_str_eq(mm7_release_find("REL-6-MM7-1-4")->version, "6.8.0");
    cr_assert_null(mm7_release_find("REL-7"));
}

/* ---- reading ---- */

static int read_text(const char *doc, const char *charset, struct mms_xml *x)
{
    struct cgw_diag diag = {.size = sizeof diag};
    return mms_xml_read(doc, strlen(doc), charset, x, &diag);
}

Test(mms_mm7, only_the_status_code_counts)
{
    struct mms_xml x;
    struct mm7_answer a;
    cr_assert_eq(read_text("<Envelope><Body><Fault><faultcode>Server</faultcode><faultstring>s"
                           "</faultstring><detail><RSErrorRsp><Status><Details><StatusCode>2002"
                           "</StatusCode></Details><StatusCode>1100</StatusCode></Status>"
                           "</RSErrorRsp></detail></Fault></Body></Envelope>",
                           NULL, &x),
                 0);
    cr_assert_eq(mm7_read_answer(&x, &a), 0);
    cr_assert_eq(a.code, 1100);
    cr_assert_eq(a.detail_code, 2002);
    cr_assert_str_eq(a.text, "s");
    mms_xml_done(&x);
    cr_assert_eq(read_text("<Envelope><Body><SubmitRsp><MessageID>1</MessageID></SubmitRsp></Body>"
                           "</Envelope>",
                           NULL, &x),
                 0);
    cr_assert_neq(mm7_read_answer(&x, &a), 0, "no code is no success");
    mms_xml_done(&x);
}

Test(mms_mm7, the_transport_s_charset_comes_first)
{
    struct mms_xml x;
    static const struct {
        const char *doc, *charset, *text;
    } cases[] = {
        {"<?xml version=\"1.0\" encoding=\"GB2312\"?><a>\xb3\xc9\xb9\xa6</a>", NULL,
         "\xe6\x88\x90\xe5\x8a\x9f"},
        {"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>\xbc\xba</a>", "EUC-KR", "\xec\x84\xb1"},
        {"<a>\xe6\x88\x90</a>", "utf8", "\xe6\x88\x90"},
        {"<a>\xe6\x88\x90</a>", "us-ascii", "\xe6\x88\x90"},
        {"<?xml version=\"1.0\" encoding=\"GBK\"?><a>\xb3\xc9</a>", "UTF-8",
         "\xe6\x88\x90"}, /* the bytes say no */
        {"<a>x</a>", "no-such-charset", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(read_text(cases[i].doc, cases[i].charset, &x), 0, "case %zu", i);
        cr_assert_str_eq(x.nodes[0].text, cases[i].text, "case %zu", i);
        mms_xml_done(&x);
    }
}

Test(mms_mm7, hostile_xml_is_refused)
{
    static const char *const bad[] = {
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://127.0.0.1:9/\"> %p;]><a/>",
        "<a>&x;</a>",
        "<a b=\"&x;\"/>",
        "<a></b>",
        "<a/><b/>",
        "<a>\x01</a>",
        "plain",
    };
    struct mms_xml x;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_neq(read_text(bad[i], NULL, &x), 0, "%s", bad[i]);
    char many[2000] = "<a ";
    for (int i = 0; i < 40; i++)
        (void)snprintf(many + strlen(many), 20, "b%d='' ", i);
    (void)strcat(many, "/>");
    cr_assert_eq(read_text(many, NULL, &x), CGW_ELIMIT);
    cr_assert_eq(read_text("<a>&lt;&amp;&#65;<![CDATA[<x>]]></a>", NULL, &x), 0);
    cr_assert_str_eq(x.nodes[0].text, "<&A<x>");
    mms_xml_done(&x);
}

Test(mms_mm7, requests_are_read_in_any_order_and_form)
{
    struct mms_xml x;
    struct mm7_request q;
    cr_assert_eq(read_text("<x:Envelope xmlns:x='e' xmlns:m='http://a/REL-5-MM7-1-0'><x:Header>"
                           "<m:TransactionID> 7 </m:TransactionID></x:Header><x:Body><DeliverReq>"
                           "<Content HREF='cid:c'/><Subject>s</Subject><Recipients><Cc><Number>1"
                           "</Number></Cc></Recipients><Sender><ShortCode>99</ShortCode></Sender>"
                           "<LinkedID>L</LinkedID></DeliverReq></x:Body></x:Envelope>",
                           NULL, &x),
                 0);
    cr_assert_eq(mm7_read_request(&x, &q), 0);
    cr_assert_eq(q.kind, MM7_DELIVER);
    cr_assert_str_eq(q.transaction, " 7 ");
    cr_assert_str_eq(q.sender, "99");
    cr_assert_str_eq(q.recipient, "1");
    cr_assert_str_eq(q.linked_id, "L");
    cr_assert_str_eq(q.href, "cid:c");
    cr_assert_str_eq(q.dialect.ns, "http://a/REL-5-MM7-1-0");
    cr_assert(!q.dialect.rel6);
    mms_xml_done(&x);
}
