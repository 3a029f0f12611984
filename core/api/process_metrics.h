/* SPDX-License-Identifier: Apache-2.0 */
/* process_metrics.h - the process_* family as every Prometheus client library names it. */
#ifndef API_PROCESS_METRICS_H
#define API_PROCESS_METRICS_H

#include "base/buf.h"

void process_metrics(struct buf *out);

#endif
