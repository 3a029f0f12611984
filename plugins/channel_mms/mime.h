/* SPDX-License-Identifier: Apache-2.0 */
/* mime.h - the only door to GMime: takes a body with its Content-Type apart into leaves, whatever
 * its nesting, encodings and order. Bounds: 64 leaves, 8 levels; the body is bounded by the caller.
 * Loop thread only. Must not know MM7. */
#ifndef MMS_MIME_H
#define MMS_MIME_H

#include "cgw/types.h"

#include <stdbool.h>

#define MMS_LEAVES_MAX 64u
#define MMS_MIME_DEPTH_MAX 8u

struct mms_leaf {
    char type[80];      /* "image/jpeg", lower case */
    char charset[40];   /* "" = not said */
    char id[128];       /* Content-ID without brackets */
    char location[128]; /* Content-Location or file name */
    const char *data;   /* decoded */
    size_t len;
};

struct mms_mime {
    struct mms_leaf leaves[MMS_LEAVES_MAX];
    uint32_t n;
    uint32_t root;    /* the leaf that `start` names, else the first that is XML, else the first */
    uint32_t skipped; /* leaves beyond the bounds */
    void *keep[MMS_LEAVES_MAX]; /* owned: GByteArray */
};

void mms_mime_global(void);
/* \return NULL when there is not one leaf, or the parser would enter itself too often
 * (mime_guard.h). */
struct mms_mime *mms_mime_read(const char *content_type, const char *body, size_t len);
void mms_mime_done(struct mms_mime *m); /* frees it; NULL-safe */
/* charset parameter of a Content-Type, "" when absent. */
void mms_mime_charset(const char *content_type, char *out, size_t size);
/* Text of any charset as UTF-8; what cannot be read becomes U+FFFD. Freed with mms_mime_free. */
char *mms_mime_utf8(const char *text, size_t len, const char *charset, size_t *ret_len);
void mms_mime_free(char *text);

#endif
