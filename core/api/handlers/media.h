/* SPDX-License-Identifier: Apache-2.0 */
/* media.h - private to the handlers: what main wires in for /media. */
#ifndef API_HANDLERS_MEDIA_H
#define API_HANDLERS_MEDIA_H

#include <stdint.h>

/* Bytes that one media may have. Call once before api_start(); without it 16 MiB. */
void media_setup(int64_t max_bytes);

#endif
