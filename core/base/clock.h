/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the process's time: UTC as the database sees it plus elapsed monotonic time, so that
 * all nodes agree and tests can shift it. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_utc_ms(void);         /* monotonic + offset; offset starts from the system clock */
void clock_set_utc(int64_t utc_ms); /* take over the database's time (read in a transaction) */
void clock_shift(int64_t ms);       /* tests: move UTC by ms, also against later clock_set_utc */
int64_t clock_shift_get(void);

#endif
