/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - the operations of the channel contract, implemented in instance.c and listed in plugin.c.
 * Contract: cgw/channel.h. */
#ifndef SMPP_OPS_H
#define SMPP_OPS_H

#include "instance.h"

int smpp_op_create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                   void **ret_ch, struct cgw_diag *diag);
int smpp_op_start(void *ch);
void smpp_op_check(void *ch, const struct cgw_message *msgs, uint32_t n,
                   struct cgw_check *ret_checks);
uint32_t smpp_op_submit(void *ch, const struct cgw_message *msgs, uint32_t n);
void smpp_op_stored(void *ch, const uint64_t *acks, uint32_t n);
void smpp_op_cancel(void *ch, const uint64_t *tokens, uint32_t n);
void smpp_op_query(void *ch, const struct cgw_ask *asks, uint32_t n);
uint32_t smpp_op_recall(void *ch, const struct cgw_ask *asks, uint32_t n);
void smpp_op_health(void *ch, struct cgw_health *ret);
void smpp_op_drain(void *ch, int64_t deadline_mono_ms);
void smpp_op_destroy(void *ch);

#endif
