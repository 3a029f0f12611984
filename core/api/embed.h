/* SPDX-License-Identifier: Apache-2.0 */
/* embed.h - files that scripts/embed.sh links into the program. */
#ifndef API_EMBED_H
#define API_EMBED_H

#include <stddef.h>

struct embedded {
    const char *name;          /* file name without its folder */
    const unsigned char *data; /* not NUL-terminated */
    size_t len;
};
extern const struct embedded api_openapi_files[]; /* openapi/<*>.json, ends with name NULL */

#endif
