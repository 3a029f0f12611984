/* SPDX-License-Identifier: Apache-2.0 */
/* mime_guard.h - may these bytes of a stranger be given to GMime? Pure; shared by the plugins that
 * read MIME. */
#ifndef PLUGINS_MIME_GUARD_H
#define PLUGINS_MIME_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define MIME_NESTING_MAX 256u   /* lines "Content-Type:" */
#define MIME_FIELDS_MAX 20000u  /* lines that look like a header field */
#define MIME_MARKS_MAX 5000u    /* lines that begin with "--" */
#define MIME_FIELD_BYTES 65536u /* of one address field */
#define MIME_COLONS_MAX 32u     /* ":" in one address field: groups within groups */

bool mime_guard(const char *bytes, size_t len);

#endif
