/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - see log.h. Lines longer than LOG_LINE_MAX are cut: a log line is never a way to run out
 * of memory. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

static _Atomic int current_level = LOG_L_INFO;
static log_writer writer;
static const char *const level_names[] = {"emerg",   "alert",  "crit", "error",
                                          "warning", "notice", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load(&current_level);
}

void log_set_writer(log_writer fn)
{
    writer = fn;
}

int log_level_parse(const char *word)
{
    for (int i = LOG_L_ERROR; i <= LOG_L_DEBUG; i++)
        if (!strcasecmp(word, level_names[i]))
            return i;
    return -1;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    if ((int)level > atomic_load(&current_level))
        return;
    char line[LOG_LINE_MAX];
    struct timespec ts;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    if (writer) {
        va_list words;
        va_start(words, fmt);
        (void)vsnprintf(line, sizeof line, fmt, words);
        va_end(words);
        writer(level, event, line);
        return;
    }
    int n =
        snprintf(line, sizeof line, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s event=%s ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 ts.tv_nsec / 1000000, level_names[level], event);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (m > 0 ? (size_t)m : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    for (size_t i = (size_t)n; i < len; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[len++] = '\n';
    ssize_t w = write(STDERR_FILENO, line, len);
    (void)w; /* nowhere left to complain */
}

void log_mask(const char *address, char *out, size_t out_size)
{
    size_t n = strlen(address);
    const char *at = memchr(address, '@', n);
    if (at)
        (void)snprintf(out, out_size, "%.1s***%s", address, at);
    else if (n >= 9)
        (void)snprintf(out, out_size, "%.6s****%s", address, address + n - 4);
    else
        (void)snprintf(out, out_size, "****");
}

const char *log_quote(const char *text, char *out, size_t out_size)
{
    size_t o = 0;
    for (const char *p = text; *p && o + 3 < out_size; p++) {
        if (*p == '"' || *p == '\\')
            out[o++] = '\\';
        out[o++] = (unsigned char)*p < 0x20 ? ' ' : *p;
    }
    out[o] = 0;
    return out;
}
