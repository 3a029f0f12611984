/* SPDX-License-Identifier: Apache-2.0 */
/* audiences_who.h - who the rows of an upload are: by the uploader's own id, by number, by e-mail
 * address, in any combination. Private to the audience handlers. */
#ifndef API_HANDLERS_AUDIENCES_WHO_H
#define API_HANDLERS_AUDIENCES_WHO_H

#include "api/handlers/people.h"
#include "base/buf.h"

#define WHO_ROWS 4096u /* rows of one batch */

struct who_row { /* texts in the batch's arena; "" = absent */
    uint64_t line;
    int64_t customer_id; /* answer */
    const char *msisdn, *email, *external, *zone, *region, *lang, *params;
    size_t params_len;
    char number_region[3];
    const char *refused; /* answer: code of the reject, NULL = good */
    const char *column, *why;
    int64_t by_external, by_number, by_email; /* whom each leads to, 0 = nobody */
};

struct who {
    struct api_request *req;
    bool look_up; /* there are customers or aliases at all */
    bool need_number, need_email;
    /* the batch, borrowed */
    struct arena *texts;
    size_t n; /* at most WHO_ROWS */
    struct who_row *rows;
    /* scratch of one question */
    size_t n_asked, row_of[2 * WHO_ROWS];
    int64_t keys[2 * WHO_ROWS], alts[2 * WHO_ROWS], ids[2 * WHO_ROWS];
    const char *texts_of[WHO_ROWS];
};

/* Customers of all rows, addresses that the row leaves out and the customer has, and which rows are
 * refused. May store that two addresses are one person's. */
int who_resolve(struct who *w, struct diag *diag) CGW_NODISCARD;

#endif
