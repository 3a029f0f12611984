/* SPDX-License-Identifier: Apache-2.0 */
/* store_trouble.h - the database answers but takes no writes: it is read-only (a standby, an
 * operator's switch) or its disk is full. Whoever writes all the time reports how each attempt
 * ended; the process then complains once, /ready can say why, and it is told once when it is over.
 * Any thread. Does not decide what to do about it. */
#ifndef STORE_STORE_TROUBLE_H
#define STORE_STORE_TROUBLE_H

#include "base/diag.h"
#include <stdbool.h>

/* Writers; dispatcher n is STORE_WRITER_DISPATCH + n. */
enum { STORE_WRITER_LEASE, STORE_WRITER_PLANNER, STORE_WRITER_OUTCOME, STORE_WRITER_DISPATCH };
#define STORE_WRITERS_MAX 32u /* dispatch/ has at most 16 */

/* An attempt to write ended with rc; 0 = it was written. True: it failed for one of these reasons,
 * and nothing more needs to be said of it. */
bool store_trouble_note(unsigned writer, int rc, const struct diag *diag);
/* In words what this refusal means, when it is one of these reasons; else NULL. Static text. */
const char *store_trouble_of(const struct diag *diag);
/* This one failed at its last attempt: what it would have to write must not become more. */
bool store_trouble_with(unsigned writer);
/* Words for /ready; NULL when all is well. Static text. */
const char *store_trouble(void);

#endif
