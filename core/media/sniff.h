/* SPDX-License-Identifier: Apache-2.0 */
/* sniff.h - what a media is, told by its bytes and never by its name: one table of signatures. What
 * the table does not know is not kept. Pure. Sources: WHATWG MIME Sniffing, RFC 4867 (AMR), RFC
 * 3533 (Ogg), ISO/IEC 14496-12 (ftyp), 3GPP TS 26.244 (3gp brands). */
#ifndef MEDIA_SNIFF_H
#define MEDIA_SNIFF_H

#include <stddef.h>
#include <stdint.h>

#define MEDIA_SNIFF_BYTES 4096u /* as many of the first bytes as it looks at */

/* Media types that may be declared at the door, separated by '|': what API_STREAM routes take. */
extern const char media_types[];

/* By the first bytes: a static "image/jpeg" …, or NULL for what is not known. A text that the look
 * cuts in the middle of a character is a text all the same. */
const char *media_sniff(const void *data, size_t len);
/* May bytes that look like `found` be called `declared`? The type to keep (static), or NULL: they
 * contradict. "application/octet-stream" and "" declare nothing. */
const char *media_agree(const char *found, const char *declared);

#endif
