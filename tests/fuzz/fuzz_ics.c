/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ics.c - any bytes as a calendar: checked, compiled for places with and without DST, asked,
 * never crashing or hanging. libFuzzer target; with -DREPLAY_MAIN a main() that replays files, for
 * `make check`. */
#include "policy/calendar.h"

#include "cgw/types.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM_MS INT64_C(1767225600000) /* 2026-01-01T00:00Z */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_windows(const struct windows *w)
{
    int64_t last_ms = INT64_MIN, t_ms = FROM_MS;
    for (uint32_t i = 0; i < w->n; i++) {
        must(w->closed[i].from_ms >= last_ms && w->closed[i].from_ms < w->closed[i].to_ms);
        must(w->closed[i].from_ms >= w->valid_from_ms && w->closed[i].to_ms <= w->valid_to_ms);
        last_ms = w->closed[i].to_ms;
    }
    for (uint32_t i = 0; i <= w->n; i++) {
        int64_t closes_ms = 0, open_ms = windows_next_open(w, t_ms, &closes_ms, NULL, NULL);
        if (open_ms == INT64_MAX)
            return;
        must(open_ms >= t_ms && closes_ms > open_ms && closes_ms <= w->valid_to_ms);
        t_ms = closes_ms;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const zones[][2] = {{"Asia/Shanghai", "UTC"},
                                           {"America/New_York", "Australia/Lord_Howe"}};
    struct diag diag = {0};
    uint32_t n = 0;
    char *text = malloc(size + 1); /* exact size: reading past the end is seen */
    must(text != NULL);
    memcpy(text, data, size);
    int rc = calendar_check_ics(text, size, &n, &diag);
    must(rc == 0 ? n <= CALENDAR_EVENTS_MAX : diag.text[0] != '\0');
    struct calendar_def def = {.number = 1, .holiday = true, .ics = text, .ics_len = size};
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        struct place place = {.n_zones = 2, .zones = {zones[i][0], zones[i][1]}};
        struct windows *w = NULL;
        if (windows_compile(&def, 1, &place, CGW_CLASS_MARKETING, CGW_CHANNEL_SMS, FROM_MS, &w,
                            &diag) == 0) {
            check_windows(w);
            windows_free(w);
        }
    }
    free(text);
    return 0;
}

#ifdef REPLAY_MAIN
static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        (void)fprintf(stderr, "%s: cannot be opened\n", path);
        return 1;
    }
    uint8_t *data = malloc(CALENDAR_ICS_MAX + 1);
    must(data != NULL);
    size_t n = fread(data, 1, CALENDAR_ICS_MAX + 1, f);
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad += replay(argv[i]);
    (void)printf("%d files replayed\n", argc - 1 - bad);
    return bad != 0;
}
#endif
