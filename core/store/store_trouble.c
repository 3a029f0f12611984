/* SPDX-License-Identifier: Apache-2.0 */
/* store_trouble.c - see store_trouble.h. The only file of this folder that logs: it speaks for all
 * who write. */
#include "store/store_trouble.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <string.h>

/* A writer that failed and then has nothing to write is forgotten: longer than any of them waits
 * between two attempts. */
#define FORGET_MS 10000

static const struct {
    const char *sqlstate, *words;
} reasons[] = {
    /* PostgreSQL, appendix A */
    {"25006", "database: read-only, nothing is sent until it takes writes"},
    {"53100", "database: its disk is full, nothing is sent until there is room"},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t failed_mono_ms[STORE_WRITERS_MAX]; /* 0 = fine; under lock */
static const char *told;                          /* what the log said; under lock */

const char *store_trouble_of(const struct diag *diag)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (diag->code == CGW_EDB && !strcmp(diag->where, reasons[i].sqlstate))
            return reasons[i].words;
    return NULL;
}

static bool any_failed(int64_t now_ms)
{
    for (unsigned i = 0; i < STORE_WRITERS_MAX; i++)
        if (failed_mono_ms[i] && now_ms - failed_mono_ms[i] < FORGET_MS)
            return true;
    return false;
}

/* Under lock. */
static void tell_when_over(int64_t now_ms)
{
    if (!told || any_failed(now_ms))
        return;
    told = NULL;
    memset(failed_mono_ms, 0, sizeof failed_mono_ms);
    log_notice("database.writes_again", "msg=\"going on where it stood\"");
}

bool store_trouble_note(unsigned writer, int rc, const struct diag *diag)
{
    const char *words = rc == CGW_EDB ? store_trouble_of(diag) : NULL;
    int64_t now_ms = clock_mono_ms();
    if (writer >= STORE_WRITERS_MAX || (rc != 0 && !words))
        return false;
    (void)pthread_mutex_lock(&lock);
    failed_mono_ms[writer] = words ? now_ms : 0;
    if (!words)
        tell_when_over(now_ms);
    else if (!told)
        log_error("database.cannot_write", "msg=\"%s\"", told = words);
    (void)pthread_mutex_unlock(&lock);
    return words != NULL;
}

bool store_trouble_with(unsigned writer)
{
    (void)pthread_mutex_lock(&lock);
    bool failed = failed_mono_ms[writer] && clock_mono_ms() - failed_mono_ms[writer] < FORGET_MS;
    (void)pthread_mutex_unlock(&lock);
    return failed;
}

const char *store_trouble(void)
{
    (void)pthread_mutex_lock(&lock);
    tell_when_over(clock_mono_ms());
    const char *words = told;
    (void)pthread_mutex_unlock(&lock);
    return words;
}
