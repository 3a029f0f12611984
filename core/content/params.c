/* SPDX-License-Identifier: Apache-2.0 */
/* params.c - see params.h. */
#include "content/params.h"

#include <string.h>

int params_pack(const struct field_value *values, uint32_t n, struct buf *out)
{
    if (n > CGW_FIELDS_MAX)
        return CGW_ELIMIT;
    for (uint32_t i = 0; i < n; i++) {
        const struct field_value *v = &values[i];
        if (v->len > CGW_FIELD_MAX)
            return CGW_ELIMIT;
        if (v->len && (memchr(v->data, PARAMS_SEPARATOR, v->len) || memchr(v->data, 0, v->len)))
            return CGW_EINVAL;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, PARAMS_SEPARATOR);
        buf_put(out, values[i].data, values[i].len);
    }
    return out->failed ? CGW_ELIMIT : 0;
}

int params_unpack(const char *text, size_t len, struct field_value *values, uint32_t n)
{
    uint32_t i = 0;
    const char *end = text + len;
    while (len && text <= end) {
        const char *sep = text < end ? memchr(text, PARAMS_SEPARATOR, (size_t)(end - text)) : NULL;
        const char *stop = sep ? sep : end;
        if (i == n || stop - text > (ptrdiff_t)CGW_FIELD_MAX)
            return CGW_EINVAL;
        values[i++] = (struct field_value){text, (uint32_t)(stop - text)};
        if (!sep)
            break;
        text = sep + 1;
    }
    for (; i < n; i++)
        values[i] = (struct field_value){"", 0};
    return 0;
}
