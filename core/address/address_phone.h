/* SPDX-License-Identifier: Apache-2.0 */
/* address_phone.h - private to core/address: one number in any written form. */
#ifndef ADDRESS_ADDRESS_PHONE_H
#define ADDRESS_ADDRESS_PHONE_H

#include "address/address.h"

/* \return ADDRESS_OK with kind, text, line and region of ret filled */
enum address_fault address_phone(const char *text, size_t len, const char *default_region,
                                 struct address *ret);
enum address_fault address_email(const char *text, size_t len, struct address *ret);

#endif
