/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - what read(2) and write(2) leave to do. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/cleanup.h"
#include <stddef.h>

/* All of it, however often a signal comes between. 0 or -errno; what was written before stays. */
int file_write(int fd, const void *data, size_t len) CGW_NODISCARD;

#endif
