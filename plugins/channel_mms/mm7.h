/* SPDX-License-Identifier: Apache-2.0 */
/* mm7.h - the documents of MM7: what we write, in the order of the schema, and what we read, in any
 * order. No sockets, no clock, no gateway. Source: 3GPP TS 23.140 REL-6, clause 8.7 and annex L. */
#ifndef MMS_MM7_H
#define MMS_MM7_H

#include "xml.h"

/* ---- releases: the version must be one that the schema of the namespace lists ---- */
struct mm7_release {
    const char *name, *version;
    bool rel6; /* has the elements that release 6 added */
};
const struct mm7_release *mm7_release_find(const char *name);
#define MM7_RELEASES                                                                               \
    "REL-6-MM7-1-4|REL-6-MM7-1-3|REL-6-MM7-1-2|REL-6-MM7-1-1|REL-6-MM7-1-0|"                       \
    "REL-5-MM7-1-3|REL-5-MM7-1-2|REL-5-MM7-1-1|REL-5-MM7-1-0"
#define MM7_NS_BASE "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/"
#define MM7_SOAP_NS "http://schemas.xmlsoap.org/soap/envelope/"

struct mm7_dialect {
    char ns[160], version[16];
    bool rel6;
};

enum mm7_form { MM7_NUMBER, MM7_SHORTCODE, MM7_EMAIL };
struct mm7_address {
    enum mm7_form form;
    char text[96]; /* "" = none */
};

/* ---- what we write. A NULL or "" member is left out. ---- */
struct mm7_submit {
    const char *transaction, *vaspid, *vasid;
    struct mm7_address sender, to;
    const char *service_code, *linked_id, *message_class, *timestamp, *expiry;
    bool reply_charging;
    const char *reply_size, *reply_deadline;
    const char *delivery_report, *read_reply; /* "true", "false" */
    const char *priority, *subject, *charged_party, *charged_party_id, *distribution;
    const char *delivery_condition, *applic_id, *reply_applic_id, *aux_applic_info;
    const char *content_class, *drm_content, *allow_adaptations, *content_href;
    const char *replace_id; /* write a ReplaceReq for that message instead */
};

struct mm7_cancel {
    const char *transaction, *vaspid, *vasid, *message_id;
    struct mm7_address sender;
};

/* \return the document, valid until the writer is used again; NULL without memory. */
const char *mm7_write_submit(struct mms_xw *w, const struct mm7_dialect *d,
                             const struct mm7_submit *s, size_t *ret_len);
const char *mm7_write_cancel(struct mms_xw *w, const struct mm7_dialect *d,
                             const struct mm7_cancel *c, size_t *ret_len);
/* The answer to what the centre asked: name "DeliverRsp", "DeliveryReportRsp", "ReadReplyRsp" or
 * "VASPErrorRsp" (a SOAP fault); the transaction exactly as it came. */
const char *mm7_write_response(struct mms_xw *w, const struct mm7_dialect *d, const char *name,
                               const char *transaction, int code, const char *text,
                               size_t *ret_len);

/* ---- what we read ---- */
struct mm7_answer {
    bool has_code;
    int code;        /* StatusCode */
    int detail_code; /* StatusCode inside Details, 0 none: partial success for one person */
    char text[160];  /* StatusText, else the fault string */
    char message_id[128];
    char name[32]; /* of the body's first element */
};
int mm7_read_answer(const struct mms_xml *x, struct mm7_answer *ret);

enum mm7_kind { MM7_OTHER, MM7_DELIVER, MM7_REPORT, MM7_READ_REPLY };
struct mm7_request {
    enum mm7_kind kind;
    struct mm7_dialect dialect; /* of the sender: our answer uses it */
    char transaction[160];      /* exactly as it came, white space and all: it is echoed */
    char message_id[128], linked_id[128], reply_charging_id[128];
    char sender[96], recipient[96]; /* as written, first one */
    char vaspid[64], vasid[64], relay_id[64], applic_id[64], aux[128];
    char status[40];   /* MMStatus */
    char details[256]; /* extension, text, date: for people */
    char subject[512];
    char href[128];
};
int mm7_read_request(const struct mms_xml *x, struct mm7_request *ret);

#endif
