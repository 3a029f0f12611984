/* SPDX-License-Identifier: Apache-2.0 */
/* phone_fast.h - the common forms of a number judged by tables made from the library's own plans, a
 * thousand times faster than the library and with the same answer: only valid numbers whose reading
 * leaves no choice are answered, all else is the library's. */
#ifndef ADDRESS_PHONE_FAST_H
#define ADDRESS_PHONE_FAST_H

#include "address/phone_lib.h"

/* digits: only '0'..'9'. plus: they follow a "+". region: default region, "" = none. Any thread;
 * tables are made at first use. \return true with ret filled, or false = ask the library */
bool phone_fast_parse(const char *digits, size_t len, bool plus, const char *region,
                      struct phone_number *ret);

#endif
