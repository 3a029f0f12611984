/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - read UTF-8 strictly: no overlong forms, no surrogates, nothing above U+10FFFF. Source:
 * RFC 3629, section 4. */
#ifndef CONTENT_UTF8_H
#define CONTENT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decode one character. \return its bytes (1..4), or 0 when the bytes at s are not UTF-8 or len is
 * 0 */
size_t utf8_next(const char *s, size_t len, uint32_t *ret_char);
/* Encode; \return bytes written (1..4), 0 for a value that is no character. out has room for 4. */
size_t utf8_put(uint32_t c, char out[4]);
bool utf8_valid(const char *s, size_t len);
/* Characters in s; broken bytes count one each. */
size_t utf8_count(const char *s, size_t len);

#endif
