/* SPDX-License-Identifier: Apache-2.0 */
/* mms_harness.h - what the cases of the channel_mms harness share. */
#ifndef MMS_HARNESS_H
#define MMS_HARNESS_H

#include "mms_bench.h"

struct mms_case {
    const char *name;
    void (*run)(void);
};
extern const struct mms_case mms_submit_cases[], mms_answer_cases[], mms_inbound_cases[];

bool check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Simulator with these switches, plugin with these options ("key=value"); NULL ends either. */
bool begin(struct mms_bench *b, const char *const *args, const char *const *options);
/* What every case ends with: nothing owed, nothing broken, and the simulator content with us. */
void end(struct mms_bench *b, bool no_complaints);
/* A figure of the simulator; `after` may be NULL. */
int64_t stat_of(struct mms_bench *b, const char *after, const char *key);

#endif
