/* SPDX-License-Identifier: Apache-2.0 */
/* windows.c - questions to a compiled set of closed intervals: when is it open next, and who closes
 * it now? Must not allocate or touch a calendar: it only reads sorted arrays made by calendar.c. */
#include "policy/policy.h"

#include <stddef.h>

/* First interval that ends after t; w->n when none. */
static uint32_t first_ending_after(const struct windows *w, int64_t t_ms)
{
    uint32_t lo = 0, hi = w->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (w->closed[mid].to_ms > t_ms)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static void put_label(const struct windows *w, uint32_t i, int32_t *ret_rule, bool *ret_holiday)
{
    bool inside = i < w->n;
    if (ret_rule)
        *ret_rule = inside ? w->rule[i] : 0;
    if (ret_holiday)
        *ret_holiday = inside && w->holiday[i] != 0;
}

int64_t windows_next_open(const struct windows *w, int64_t t_ms, int64_t *ret_closes_ms,
                          int32_t *ret_rule, bool *ret_holiday)
{
    put_label(w, w->n, ret_rule, ret_holiday);
    if (ret_closes_ms)
        *ret_closes_ms = INT64_MAX;
    if (w->zone_unknown)
        return INT64_MAX;
    uint32_t i = first_ending_after(w, t_ms);
    if (i < w->n && w->closed[i].from_ms <= t_ms)
        put_label(w, i, ret_rule, ret_holiday);
    int64_t open_ms = t_ms > w->valid_from_ms ? t_ms : w->valid_from_ms;
    while (i < w->n && w->closed[i].from_ms <= open_ms) {
        open_ms = w->closed[i].to_ms > open_ms ? w->closed[i].to_ms : open_ms;
        i++;
    }
    if (open_ms >= w->valid_to_ms)
        return INT64_MAX;
    int64_t closes_ms = i < w->n ? w->closed[i].from_ms : w->valid_to_ms;
    if (ret_closes_ms)
        *ret_closes_ms = closes_ms < w->valid_to_ms ? closes_ms : w->valid_to_ms;
    return open_ms;
}
