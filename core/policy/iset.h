/* SPDX-License-Identifier: Apache-2.0 */
/* iset.h - growing set of half-open intervals with union and difference, private to this folder.
 * After a failed allocation the set stays valid but `failed`; ask once at the end. */
#ifndef POLICY_ISET_H
#define POLICY_ISET_H

#include "policy/policy.h"

#include <stddef.h>

struct iset {
    struct interval *v; /* owned; sorted, disjoint and not touching unless `unsorted` */
    size_t n, cap;
    bool unsorted, failed;
};

void iset_done(struct iset *s);
void iset_clear(struct iset *s);                               /* keeps the memory */
void iset_add(struct iset *s, int64_t from_ms, int64_t to_ms); /* empty intervals are ignored */
void iset_normalize(struct iset *s);                           /* after adding in any order */
/* Both operands normalized; the result replaces dst, which must be another set. */
void iset_union(struct iset *dst, const struct iset *a, const struct iset *b);
void iset_subtract(struct iset *dst, const struct iset *a, const struct iset *b);
void iset_clip(struct iset *s, int64_t from_ms, int64_t to_ms); /* normalized in, normalized out */
void iset_swap(struct iset *a, struct iset *b);

#endif
