/* SPDX-License-Identifier: Apache-2.0 */
/* probes.h - the planner's daily test messages: makes those that are due, judges those under way,
 * and raises the alarm (log, metrics). Sends nothing itself: a probe is an echo row that dispatch
 * finds. */
#ifndef PLANNER_PROBES_H
#define PLANNER_PROBES_H

#include "base/diag.h"
#include "db/db.h"

void probes_register(void); /* metric families, once */
/* On the node that plans; at most once a second. ret_queued: dispatch has something to do. */
int probes_turn(struct db *db, int64_t now_ms, int *ret_queued, struct diag *diag) CGW_NODISCARD;
/* On every node: the gauges; at most every five seconds. */
int probes_gauges(struct db *db, int64_t now_ms, struct diag *diag) CGW_NODISCARD;

#endif
