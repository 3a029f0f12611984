/* SPDX-License-Identifier: Apache-2.0 */
/* params.h - a recipient's field values as one text: values in the order of the set's fields,
 * joined by U+001F (unit separator). An empty value means "absent". Trailing absent values may be
 * left out. Input that holds U+001F is refused at the door, so no escaping is needed. n values have
 * n - 1 separators; no field at all is "". */
#ifndef CONTENT_PARAMS_H
#define CONTENT_PARAMS_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "cgw/types.h"
#include <stddef.h>
#include <stdint.h>

#define PARAMS_SEPARATOR '\x1f'
#define PARAMS_MAX (CGW_FIELDS_MAX * (CGW_FIELD_MAX + 1u)) /* bytes of one packed text */

struct field_value {
    const char *data; /* borrowed, not NUL-terminated; UTF-8 */
    uint32_t len;     /* 0 = absent */
};

/* Append the values to out. \return 0, or CGW_EINVAL when a value holds the separator or NUL,
 * CGW_ELIMIT when one is too long. */
int params_pack(const struct field_value *values, uint32_t n, struct buf *out) CGW_NODISCARD;
/* Split a packed text; values beyond the text's own are set absent. values points into text.
 * \return 0, or CGW_EINVAL when the text holds more than n values. */
int params_unpack(const char *text, size_t len, struct field_value *values,
                  uint32_t n) CGW_NODISCARD;

#endif
