/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - cgw_address to and from SMPP address, TON and NPI. Pure, any thread.
 * Source: SMPP 3.4 5.2.5, 5.2.6; ITU-T E.164; the usual routes' habits (rules of a route override
 * all). */
#ifndef SMPP_ADDRESS_H
#define SMPP_ADDRESS_H

#include "cgw/types.h"
#include "proto.h"

#define SMPP_ADDR_AUTO (-1)
#define SMPP_ALPHA_SENDER_MAX 11u

/* Of a route; SMPP_ADDR_AUTO takes the value of the table in address.c. */
struct smpp_addr_rules {
    int source_ton, source_npi; /* override for every sender */
    int short_ton, short_npi;   /* senders that are short codes; auto: 3/0 */
    int dest_ton, dest_npi;     /* auto: 1/1 */
    bool dest_plus;             /* send "+" before international numbers (some routes want it) */
};
#define SMPP_ADDR_RULES_AUTO                                                                       \
    {                                                                                              \
        SMPP_ADDR_AUTO, SMPP_ADDR_AUTO, SMPP_ADDR_AUTO, SMPP_ADDR_AUTO, SMPP_ADDR_AUTO,            \
            SMPP_ADDR_AUTO, false                                                                  \
    }

/* Option value "auto" or "TON/NPI" ("5/0"). \return 0 or CGW_EINVAL with diag (may be NULL). */
int smpp_addr_rule_parse(const char *text, int *ret_ton, int *ret_npi, struct cgw_diag *diag);
/* Kind of a configured sender: "+49..." E164, 3..8 digits SHORTCODE, 9..15 digits E164, else ALPHA;
 * 0 = none of them. */
uint32_t smpp_addr_guess(const char *text);
/* \return 0 or CGW_EINVAL with diag (may be NULL). from->kind 0 with empty text gives the empty
 * address 0/0. */
int smpp_addr_source(const struct cgw_address *from, const struct smpp_addr_rules *rules,
                     struct smpp_addr *ret, struct cgw_diag *diag);
int smpp_addr_dest(const struct cgw_address *to, const struct smpp_addr_rules *rules,
                   struct smpp_addr *ret, struct cgw_diag *diag);
/* Received address → text and CGW_ADDR_* kind: E.164 gets its "+" when TON says international or
 * the digits say so (00, +). National or unknown numbers of 9 to 15 digits come out as digits with
 * kind E164 and *ret_plain true: the caller normalises them with the route's region. \return kind,
 * 0 = empty or unusable. out at least SMPP_LONG_ADDR_MAX + 2 bytes. */
uint32_t smpp_addr_read(const struct smpp_addr *addr, char *out, size_t out_size, bool *ret_plain);

#endif
