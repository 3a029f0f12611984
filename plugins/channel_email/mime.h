/* SPDX-License-Identifier: Apache-2.0 */
/* mime.h - MIME both ways; GMime and GLib stay in mime.c. Outwards: header fields and bodies in a
 * form that any mail system passes on (UTF-8, CRLF, lines of at most 998 bytes, RFC 5322 2.1.1).
 * Inwards: a mail as a flat list of parts within stated limits. Understands no reports. Source:
 * RFC 2045-2047, RFC 5322. Any thread. */
#ifndef EMAIL_MIME_H
#define EMAIL_MIME_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define MIME_PARTS_MAX 64u      /* parts looked at; a mail with more is cut there */
#define MIME_DEPTH_MAX 8u       /* multiparts in one another; deeper ones are not looked into */
#define MIME_PART_BYTES 262144u /* of one part's text */

void mime_init(void);

/* ---- outwards ---- */
enum mime_encoding { MIME_7BIT, MIME_QUOTED, MIME_BASE64 };
const char *mime_encoding_name(enum mime_encoding e);
/* The smallest encoding in which this text passes every system. */
enum mime_encoding mime_encoding_for(const char *text, size_t len);
void mime_put_body(struct text *t, enum mime_encoding e, const char *body, size_t len);
/* Bytes of any kind, in lines of base64. Pieces whose length is a multiple of MIME_BASE64_STEP may
 * be encoded one after the other. */
#define MIME_BASE64_STEP 57u
void mime_put_base64(struct text *t, const char *bytes, size_t len);
/* "Name: value", encoded and folded, with CRLF. value is UTF-8 without line ends. */
void mime_put_header(struct text *t, const char *name, const char *value);
/* "Name: display <addr>" */
void mime_put_mailbox(struct text *t, const char *name, const char *display, const char *addr);

/* ---- inwards ---- */
struct mime_part {
    char type[80];    /* "text/plain", small letters */
    const char *body; /* decoded, text as UTF-8; message/rfc822: its header only; ends with NUL */
    size_t len;
};
struct mime_mail {
    char type[80], report_type[64]; /* of the whole */
    struct mime_part parts[MIME_PARTS_MAX];
    unsigned n_parts;
    bool cut; /* parts were left out */
    void *message;
    void *owned[MIME_PARTS_MAX];
};
/* \return 0, CGW_ELIMIT (nested too much) or CGW_EINVAL (no mail). */
int mime_read(const char *bytes, size_t len, struct mime_mail *ret);
void mime_done(struct mime_mail *m);
/* First header field of that name, decoded; NULL = none. Lives as long as m. */
const char *mime_field(const struct mime_mail *m, const char *name);
/* Header field i; false behind the last (or the 200th). */
bool mime_field_at(const struct mime_mail *m, unsigned i, const char **ret_name,
                   const char **ret_value);
/* The address of a mailbox header; "" = none. */
void mime_mailbox(const struct mime_mail *m, const char *name, char *out, size_t size);

#endif
