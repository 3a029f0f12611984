/* SPDX-License-Identifier: Apache-2.0 */
/* validity.h - validity_period: the SMSC must not deliver after the legal window. Pure, any thread.
 * Source: SMPP 3.4 7.1.1 (time formats). */
#ifndef SMPP_VALIDITY_H
#define SMPP_VALIDITY_H

#include "proto.h"

enum smpp_validity { SMPP_VALIDITY_NONE, SMPP_VALIDITY_ABSOLUTE, SMPP_VALIDITY_RELATIVE };

struct smpp_validity_rules {
    enum smpp_validity form;
    int64_t min_ms;    /* shortest the SMSC accepts; less time left = not sent. 0 = 1 s */
    int64_t max_ms;    /* longest it accepts, 0 = 30 days. Never above 30 days: days are the largest
                          clear unit of the relative form */
    int64_t margin_ms; /* taken off the end: clock difference or time on the way */
};
/* Option words none, absolute, relative. \return 0 or -EINVAL. */
int smpp_validity_parse(const char *word, enum smpp_validity *ret);
/* Write validity_period for a message that must not be delivered after not_after_utc_ms (0 = no
 * end: max_ms). Rounds down, never up. \return 0; -ETIME = less than min_ms is left: do not send.
 * NONE writes "" (and still says -ETIME after the end). */
int smpp_validity_write(const struct smpp_validity_rules *rules, int64_t now_utc_ms,
                        int64_t not_after_utc_ms, char out[SMPP_TIME_LEN + 1]);

#endif
