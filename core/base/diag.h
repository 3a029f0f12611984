/* SPDX-License-Identifier: Apache-2.0 */
/* diag.h - why something failed: code, place and one sentence, filled where it happened, logged
 * once by the operation. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/cleanup.h"
#include "cgw/types.h"

struct diag {
    int code;       /* 0 or CGW_E* or -errno */
    char where[96]; /* file:line, column, option, JSON pointer; "" when none */
    char text[CGW_DIAG_MAX];
};

/* Fill d (may be NULL) and return code, so that `return diag_set(d, CGW_EINVAL, "/name", "…")`
 * reads straight. */
int diag_set(struct diag *d, int code, const char *where, const char *fmt, ...) CGW_PRINTF(4, 5);
#ifdef __clang_analyzer__
/* The analyzer reads one file at a time and thinks that errno may be 0 behind a failure: tell it
 * that errors are negative, or it follows errors that look like success. */
#define diag_set(d, code, ...)                                                                     \
    __extension__({                                                                                \
        int diag_code_ = (code);                                                                   \
        (void)(diag_set)((d), diag_code_, __VA_ARGS__);                                            \
        diag_code_ < 0 ? diag_code_ : -1;                                                          \
    })
#endif
const char *diag_code_name(int code); /* "EINVAL", "EFENCED" … static */

#endif
