/* SPDX-License-Identifier: Apache-2.0 */
/* document.h - the document of one task: what an agent's system reads. Private to channel_task. */
#ifndef CHANNEL_TASK_DOCUMENT_H
#define CHANNEL_TASK_DOCUMENT_H

#include "cgw/channel.h"

/* Bytes of the document of this message with the name `reference`, written into out when they fit
 * into CGW_DOCUMENT_MAX and out (of that size) is given. */
size_t document_make(const struct cgw_message *m, const char *reference, char *out);

/* Is this one JSON text (RFC 8259), nested at most DOCUMENT_DEPTH deep? */
#define DOCUMENT_DEPTH 32
int document_is_json(const char *s, size_t len);

#endif
