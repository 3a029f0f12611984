/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t offset_ms = INT64_MIN; /* UTC minus monotonic */
static _Atomic int64_t shift_ms;

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_utc_ms(void)
{
    int64_t off = atomic_load(&offset_ms);
    if (off == INT64_MIN) {
        off = read_ms(CLOCK_REALTIME) - clock_mono_ms();
        int64_t expected = INT64_MIN;
        if (!atomic_compare_exchange_strong(&offset_ms, &expected, off))
            off = expected;
    }
    return clock_mono_ms() + off + atomic_load(&shift_ms);
}

void clock_set_utc(int64_t utc_ms)
{
    atomic_store(&offset_ms, utc_ms - clock_mono_ms());
}

void clock_shift(int64_t ms)
{
    atomic_store(&shift_ms, ms);
}

int64_t clock_shift_get(void)
{
    return atomic_load(&shift_ms);
}
