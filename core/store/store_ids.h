/* SPDX-License-Identifier: Apache-2.0 */
/* store_ids.h - the public form of 63-bit keys: con_ (contacts), cus_ (customers), msg_ (messages).
 * "cus_" + 13 base32 digits + 1 check digit, lower case. The check digit catches every single wrong
 * character and every swapped pair, so that a mistyped id is refused instead of naming a stranger.
 * Ids are no secret: the scope is checked on every read. */
#ifndef STORE_STORE_IDS_H
#define STORE_STORE_IDS_H

#include "base/cleanup.h"
#include "base/diag.h"
#include <stddef.h>
#include <stdint.h>

#define STORE_ID_TEXT_MAX                                                                          \
    32 /* bytes of an encoded id with its NUL; prefixes have three letters                         \
        */

/* id >= 0. out at least STORE_ID_TEXT_MAX bytes. */
void store_id_encode(const char *prefix, int64_t id, char *out, size_t out_size);
/* CGW_EINVAL with a sentence when text is not an id of this kind or its check digit is wrong. Upper
 * case is accepted. */
int store_id_decode(const char *prefix, const char *text, int64_t *ret,
                    struct diag *diag) CGW_NODISCARD;

#endif
