/* SPDX-License-Identifier: Apache-2.0 */
/* mime_guard.h - may this mail be given to the parser? Pure; limits: mime.h. */
#ifndef EMAIL_MIME_GUARD_H
#define EMAIL_MIME_GUARD_H

#include <stdbool.h>
#include <stddef.h>

bool mime_guard(const char *bytes, size_t len);

#endif
