/* SPDX-License-Identifier: Apache-2.0 */
/* template_int.h - private to core/content: a compiled template. */
#ifndef CONTENT_TEMPLATE_INT_H
#define CONTENT_TEMPLATE_INT_H

#include "content/template.h"

struct template_piece {
    uint32_t off, len; /* literal text, or the default */
    int8_t field;      /* -1 literal, else index into names */
    bool has_default;
};

struct template
{
    char *text; /* owned, NUL-terminated */
    size_t len;
    struct template_piece *piece; /* owned */
    uint32_t n_pieces, cap_pieces;
    char *names[CGW_FIELDS_MAX]; /* owned */
    uint32_t n_names;
};

#endif
