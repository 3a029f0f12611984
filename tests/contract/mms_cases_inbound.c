/* SPDX-License-Identifier: Apache-2.0 */
/* mms_cases_inbound.c - what MMSCs send to us: reports, read replies, messages of people, and what
 * strangers send. The shapes are those of real centres with invented numbers. */
#include "mms_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS6 "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
#define NS5 "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-2"
#define ENV "http://schemas.xmlsoap.org/soap/envelope/"
#define SOAP6(tid, body)                                                                           \
    "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"" ENV "\"><e:Header><TransactionID xmlns=\"" NS6 \
    "\" e:mustUnderstand=\"1\">" tid "</TransactionID></e:Header><e:Body>" body                    \
    "</e:Body></e:Envelope>"
#define REPORT(id, people, status)                                                                 \
    SOAP6("t1",                                                                                    \
          "<DeliveryReportReq xmlns=\"" NS6 "\"><MM7Version>6.8.0</MM7Version><MessageID>" id      \
          "</MessageID>" people "<Date>2026-03-04T10:34:50+08:00</Date><MMStatus>" status          \
          "</MMStatus></DeliveryReportReq>")
#define PEOPLE                                                                                     \
    "<Recipient><Number>+8613800000001</Number></Recipient><Sender><ShortCode>12345</ShortCode>"   \
    "</Sender>"

static void post(struct mms_bench *b, const char *type, const char *body)
{
    mms_post(b, type, body, strlen(body));
    mms_turn(b);
}

static void reports_of_every_kind(void)
{
    static const struct {
        const char *status;
        uint32_t result;
    } cases[] = {{"Retrieved", CGW_RES_DELIVERED}, {"Expired", CGW_RES_EXPIRED},
                 {"Rejected", CGW_RES_FAILED},     {"Unrecognised", CGW_RES_FAILED},
                 {"Unrecognized", CGW_RES_FAILED}, {"Deferred", CGW_RES_ENROUTE},
                 {"Forwarded", CGW_RES_ENROUTE},   {"Indeterminate", CGW_RES_UNKNOWN},
                 {"retrieved", CGW_RES_DELIVERED}, {"Eaten", CGW_RES_UNKNOWN}};
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[2000];
        (void)snprintf(body, sizeof body, REPORT("<id-1>", PEOPLE, "%s"), cases[i].status);
        /* the id is an element's text: brackets would be a tag */
        char *at = strstr(body, "<id-1>");
        memcpy(at, "\"id-1\"", 6);
        post(&b, "text/xml; charset=utf-8", body);
        check(b.receipt.result == cases[i].result && !strcmp(b.receipt_id, "id-1") &&
                  !strcmp(b.receipt_person, "+8613800000001"),
              "%s is result %u for %s", cases[i].status, b.receipt.result, b.receipt_person);
        check(b.reply_status == 200 && strstr(b.reply, "DeliveryReportRsp") &&
                  strstr(b.reply, ">1000<") && strstr(b.reply, ">t1<"),
              "answered 1000");
    }
    check(strstr(b.receipt_raw, "2026-03-04") != NULL, "the peer's clock is kept as words (%s)",
          b.receipt_raw);
    end(&b, true);
}

/* Whom it is about, whichever way round and however written. */
static void whose_report_it_is(void)
{
    static const char *const people[] = {
        "<Recipient><Number>12345</Number></Recipient><Sender><Number>+8613800000001</Number>"
        "</Sender>",
        "<Recipient>12345</Recipient><Sender>8613800000001</Sender>",
        "<Recipient><Number>+8613800000001/TYPE=PLMN</Number></Recipient><Sender>12345</Sender>",
        "<Sender><Number> 12345 </Number></Sender><Recipient><To><Number>8613800000001</Number>"
        "</To></Recipient>",
        "<Recipient><Number>tel:+86 138 0000 0001</Number></Recipient>",
        "<Recipient><RFC2822Address>+8613800000001@mmsc.example</RFC2822Address></Recipient>",
    };
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        char body[2000];
        (void)snprintf(body, sizeof body, REPORT("id-2", "%s", "Retrieved"), people[i]);
        b.receipt_person[0] = '\0';
        post(&b, "text/xml", body);
        check(!strcmp(b.receipt_person, "+8613800000001"), "form %zu: %s", i, b.receipt_person);
    }
    end(&b, true);
}

static void swapped_for_a_known_message(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--report-swap", "1", "--shape", "1", NULL};
    static const char *const options[] = {"default_sender=+8613900000000", NULL};
    (void)options;
    if (!begin(&b, args, NULL))
        return;
    check(mms_send(&b, 5, 5000) && mms_wait(&b, &b.in.n_receipts, 5, 5000), "five come back");
    check(!strncmp(b.receipt_person, "+861300", 7), "for the person, not for us (%s)",
          b.receipt_person);
    end(&b, true);
}

/* A report that overtakes its SubmitRsp is passed on with it, not before. */
static void early_reports(void)
{
    struct mms_bench b;
    /* the answers are that much later than the reports: longer than a pause of the machine */
    static const char *const args[] = {"--report-early-ms", "4000", NULL};
    if (!begin(&b, args, NULL))
        return;
    b.total = 3;
    check(mms_wait(&b, (uint32_t *)&b.in.counters[7], 3, 5000), "three are noticed as early");
    check(b.in.n_receipts == 0, "and held");
    check(mms_wait(&b, &b.in.n_receipts, 3, 10000) && b.by_result[CGW_RES_ACCEPTED] == 3,
          "until their answers came");
    check(mms_wait(&b, &b.n_replies, 3, 2000) && stat_of(&b, NULL, "reports_acked") == 3,
          "answered once");
    end(&b, true);
}

static void early_reports_of_lost_answers(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--hang-permille", "1000", NULL};
    static const char *const options[] = {"response_timeout_ms=400", "connect_timeout_ms=100",
                                          "early_hold_ms=20000", NULL};
    if (!begin(&b, args, options))
        return;
    b.total = 2;
    check(mms_wait(&b, &b.by_result[CGW_RES_UNKNOWN], 2, 5000), "two stay unanswered");
    check(mms_wait(&b, &b.in.n_receipts, 2, 2000), "their reports go on then, to settle them");
    end(&b, true);
}

static void repeated_until_taken(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--report-repeat-ms", "60", NULL};
    if (!begin(&b, args, NULL))
        return;
    b.in.full = true;
    check(mms_send(&b, 4, 5000), "four are accepted");
    check(mms_wait(&b, &b.n_replies, 8, 5000) && b.reply_status == 503,
          "a full gateway says 503 (%u)", b.reply_status);
    b.in.full = false;
    check(mms_wait(&b, &b.in.n_receipts, 4, 5000), "and gets them again");
    check(stat_of(&b, NULL, "reports_pushed_back") >= 4, "the MMSC repeated them");
    end(&b, true);
}

static void answered_when_stored(void)
{
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    b.in.keep_acks = true;
    post(&b, "text/xml", REPORT("id-3", PEOPLE, "Retrieved"));
    for (int i = 0; i < 20; i++)
        mms_turn(&b);
    check(b.in.n_receipts == 1 && b.n_replies == 0, "not before it is stored");
    b.in.keep_acks = false;
    mms_turn(&b);
    check(b.n_replies == 1 && b.reply_status == 200, "but then");
    end(&b, true);
}

static void transactions_come_back_unchanged(void)
{
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    post(&b, "text/xml",
         "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"" ENV "\"><s:Header><m:TransactionID "
         "xmlns:m=\"" NS5 "\">  a &amp; b \n</m:TransactionID></s:Header><s:Body>"
         "<m:DeliveryReportReq xmlns:m=\"" NS5 "\"><m:MM7Version>5.3.0</m:MM7Version><m:MessageID>"
         "x</m:MessageID><m:Recipient><m:Number>+8613800000001</m:Number></m:Recipient><m:MMStatus>"
         "Retrieved</m:MMStatus></m:DeliveryReportReq></s:Body></s:Envelope>");
    check(strstr(b.reply, ">  a &amp; b \n<") != NULL, "white space and all");
    check(strstr(b.reply, NS5) && strstr(b.reply, "5.3.0") && !strstr(b.reply, NS6),
          "in the release of the one who asked");
    end(&b, true);
}

static void read_replies(void)
{
    struct mms_bench b;
    static const char *const args[] = {"--read-permille", "1000", NULL};
    if (!begin(&b, args, NULL))
        return;
    check(mms_send(&b, 3, 5000) && mms_wait(&b, &b.in.n_inbound, 3, 5000), "three are read");
    check(b.inbound.kind == CGW_IN_CLICK && !strncmp(b.in_provider, "mm-", 3) &&
              !strncmp(b.in_from, "+8613", 5),
          "a click on the message (%s %s)", b.in_provider, b.in_from);
    end(&b, true);
}

/* ---- people ---- */

static void messages_of_people(void)
{
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    (void)sim_peer_ask(&b.sim, "mo media=50000 +8613800000001 12345 STOP it");
    check(mms_wait(&b, &b.in.n_inbound, 1, 5000), "one comes in");
    check(b.inbound.kind == CGW_IN_TEXT && !strcmp(b.in_text, "STOP it") && b.in_media == 50000,
          "with its text and its picture (%s, %u)", b.in_text, b.in_media);
    check(!strcmp(b.in_from, "+8613800000001") && !strcmp(b.in_to, "12345") &&
              !strncmp(b.in_peer, "mo-", 3),
          "from %s to %s, %s", b.in_from, b.in_to, b.in_peer);
    check(stat_of(&b, NULL, "mo_acked") == 1 || mms_wait(&b, &b.n_replies, 1, 2000), "answered");
    end(&b, true);
}

#define DELIVER                                                                                    \
    SOAP6("t9",                                                                                    \
          "<DeliverReq xmlns=\"" NS6 "\"><MM7Version>6.8.0</MM7Version><LinkedID>L1"               \
          "</LinkedID><Sender>+8613800000001/TYPE=PLMN</Sender><Recipients><To><ShortCode>12345"   \
          "</ShortCode></To></Recipients><Subject>Hi</Subject><Content href=\"cid:c\"/>"           \
          "</DeliverReq>")

/* Layouts of multiparts: each carries "TD" and nothing else that is text. */
static void multiparts_of_every_kind(void)
{
    static const struct {
        const char *type, *body, *text;
    } cases[] = {
        {"multipart/related; boundary=\"x\"; start=\"<s>\"; type=text/xml",
         "--x\r\nContent-ID: <c>\r\nContent-Type: text/plain\r\n\r\nTD\r\n--x\r\nContent-ID: "
         "<s>\r\n"
         "Content-Type: text/xml\r\n\r\n" DELIVER "\r\n--x--\r\n",
         "TD"},
        {"multipart/related; boundary=x",
         "--x\nContent-Type: text/xml\n\n" DELIVER "\n--x\nContent-Type: multipart/mixed; "
         "boundary=y\n\n--y\nContent-Type: application/smil\n\n<smil/>\n--y\nContent-Type: "
         "text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nVEQ=\n--y--\n--x--\n",
         "TD"},
        {NULL, /* a multipart that forgets to say so */
         "--x\r\nContent-Type: text/xml\r\n\r\n" DELIVER
         "\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
         "TD\r\n--x--\r\n",
         "TD"},
        {"multipart/mixed; boundary=x",
         "--x\r\nContent-Type: text/xml; charset=GB2312\r\n\r\n" DELIVER "\r\n--x\r\nContent-Type: "
         "text/plain; charset=GB2312\r\n\r\n\xcd\xcb\xb6\xa9\r\n--x--\r\n",
         "\xe9\x80\x80\xe8\xae\xa2"},
        {"multipart/related; boundary=x",
         "--x\r\nContent-Type: text/xml\r\n\r\n" DELIVER "\r\n--x\r\nContent-Type: text/plain; "
         "charset=euc-kr\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=BC=BA\r\n--x--\r\n",
         "\xec\x84\xb1"},
        {"multipart/related; boundary=x; start=\"<nobody>\"",
         "preamble\r\n--x\r\nContent-Type: application/xml\r\n\r\n" DELIVER
         "\r\n--x\r\nContent-Type: "
         "text/plain\r\n\r\nTD\r\n",
         "TD"}, /* and no end */
    };
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        b.in_text[0] = '\0';
        post(&b, cases[i].type, cases[i].body);
        size_t n = strlen(cases[i].text);
        check(!strncmp(b.in_text, cases[i].text, n) && strlen(b.in_text) <= n + 2 &&
                  !strcmp(b.in_subject, "Hi") && b.reply_status == 200,
              "layout %zu: \"%s\"", i, b.in_text);
    }
    check(!strcmp(b.in_peer, "L1"), "the LinkedID names it");
    end(&b, true);
}

/* ---- strangers ---- */

/* GMime enters itself for each of these: without a guard the process ends here. */
static void nested_beyond_reason(struct mms_bench *b)
{
    const size_t size = 4000000;
    char *deep = calloc(size, 1);
    static const char part[] = "--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n",
                      head[] = "--a\r\nContent-Type: message/rfc822\r\n\r\nFrom: ";
    for (size_t n = 0; n + sizeof part < size; n += sizeof part - 1)
        memcpy(deep + n, part, sizeof part - 1);
    post(b, "multipart/related; boundary=a", deep);
    check(b->reply_status == 400, "nesting: %s", b->reply);
    memset(deep, 0, size);
    memcpy(deep, head, sizeof head - 1);
    for (size_t n = sizeof head - 1; n + 3 < size; n += 2)
        memcpy(deep + n, "a:", 2);
    post(b, "multipart/related; boundary=a", deep);
    check(b->reply_status == 400, "groups: %s", b->reply);
    free(deep);
}

static void hostile_documents(void)
{
    static const char *const bodies[] = {
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!DOCTYPE lolz [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><l>&b;</l>",
        "<a>&undefined;</a>",
        "<a><b></a></b>",
        "",
        "\xff\xfe\x00",
        "<a",
        "not XML at all",
    };
    struct mms_bench b;
    if (!begin(&b, NULL, NULL))
        return;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        post(&b, "text/xml", bodies[i]);
        check(b.reply_status == 400, "refused: %s", b.reply);
    }
    static char deep[200000];
    for (size_t i = 0; i < 30; i++)
        memcpy(deep + 3 * i, "<a>", 3);
    post(&b, "text/xml", deep);
    check(b.reply_status == 400 && strstr(b.reply, "deeper"), "depth: %s", b.reply);
    memset(deep, ' ', sizeof deep - 1);
    memcpy(deep, "<a>", 3);
    for (size_t i = 3; i + 4 < 8000; i += 4)
        memcpy(deep + i, "<b/>", 4);
    post(&b, "text/xml", deep);
    check(b.reply_status == 400 && strstr(b.reply, "elements"), "number: %s", b.reply);
    nested_beyond_reason(&b);
    char *big = malloc(300001);
    memset(big, ' ', 300000);
    big[300000] = '\0';
    post(&b, "text/xml", big);
    free(big);
    check(b.reply_status == 400 && strstr(b.reply, "262,144"), "size: %s", b.reply);
    check(b.in.n_receipts == 0 && b.in.n_inbound == 0, "nothing of it was believed");
    end(&b, true);
}

static void strangers(void)
{
    struct mms_bench b;
    static const char *const options[] = {"relay_server_id=our-mmsc", NULL};
    if (!begin(&b, NULL, options))
        return;
    post(&b, "text/xml", SOAP6("t", "<SubmitReq xmlns=\"" NS6 "\"/>"));
    check(b.reply_status == 500 && strstr(b.reply, "4003") && strstr(b.reply, "Fault"),
          "what is no business of ours is a fault");
    post(&b, "text/xml",
         REPORT("id", PEOPLE "<MMSRelayServerID>another</MMSRelayServerID>", "Retrieved"));
    check(b.reply_status == 500 && strstr(b.reply, "4001") && b.in.n_receipts == 0,
          "another centre is not believed");
    post(&b, "text/xml",
         REPORT("id", PEOPLE "<MMSRelayServerID>our-mmsc</MMSRelayServerID>", "Retrieved"));
    check(b.reply_status == 200 && b.in.n_receipts == 1, "ours is");
    end(&b, true);
}

const struct mms_case mms_inbound_cases[] = {
    {"reports_of_every_kind", reports_of_every_kind},
    {"whose_report_it_is", whose_report_it_is},
    {"swapped_for_a_known_message", swapped_for_a_known_message},
    {"early_reports", early_reports},
    {"early_reports_of_lost_answers", early_reports_of_lost_answers},
    {"repeated_until_taken", repeated_until_taken},
    {"answered_when_stored", answered_when_stored},
    {"transactions_come_back_unchanged", transactions_come_back_unchanged},
    {"read_replies", read_replies},
    {"messages_of_people", messages_of_people},
    {"multiparts_of_every_kind", multiparts_of_every_kind},
    {"hostile_documents", hostile_documents},
    {"strangers", strangers},
    {NULL, NULL},
};
