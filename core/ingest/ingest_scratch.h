/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_scratch.h - private to core/ingest: files without a name, and what their faults are
 * called.
 */
#ifndef INGEST_INGEST_SCRATCH_H
#define INGEST_INGEST_SCRATCH_H

#include "base/cleanup.h"
#include "base/diag.h"

/* 0, or -ENOTDIR when nothing can be written there. */
int scratch_check(const char *dir, struct diag *diag) CGW_NODISCARD;
/* Descriptor of a new file, 0600, unlinked at once; the caller closes it. */
int scratch_open(const char *dir, struct diag *diag) CGW_NODISCARD;
/* err (errno, positive) in words; CGW_ELIMIT when the disk is full, else -err. what: "read" … */
int scratch_fault(int err, const char *what, struct diag *diag) CGW_NODISCARD;

#endif
