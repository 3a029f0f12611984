/* SPDX-License-Identifier: Apache-2.0 */
/* wire_int.h - what the files of the wiring give to wire.c; each of them connects one direction. */
#ifndef WIRE_INT_H
#define WIRE_INT_H

#include "wire.h"

/* d->outcome, d->asker and d->recaller: who is told of results, who is asked for missing receipts
 * and to take messages back. */
void wire_outcome(struct daemon *d);
int wire_start_planner(struct daemon *d, struct diag *diag) CGW_NODISCARD;
/* Loads and checks every instance of the configuration; nothing runs yet. */
int wire_start_plugins(struct daemon *d, struct diag *diag) CGW_NODISCARD;
void wire_stop_plugins(struct daemon *d);
/* The listener for what peers post to plugins. */
int wire_start_callback(struct daemon *d, struct diag *diag) CGW_NODISCARD;
int wire_start_api(struct daemon *d, struct diag *diag) CGW_NODISCARD;
void wire_metrics_register(void);
void wire_metrics_refresh(void *ctx);

#endif
