/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line per event on stderr in logfmt: `ts=… level=info event=route.bind.failed route=…
 * msg="…"`. Thread-safe (one write(2) per line). Event names are stable. Never pass bodies or
 * secrets; numbers go through log_mask(). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/cleanup.h"
#include <stddef.h>

enum log_level {
    LOG_L_ERROR = 3,
    LOG_L_WARNING = 4,
    LOG_L_NOTICE = 5,
    LOG_L_INFO = 6,
    LOG_L_DEBUG = 7
};

void log_set_level(enum log_level level);
enum log_level log_level_get(void);
#define LOG_LEVELS "error, warning, notice, info or debug" /* what log_level_parse() knows */
int log_level_parse(const char *word);                     /* -1: none of them */
/* kv is printf-formatted "key=value …". Free text goes through log_quote() into msg="%s". */
void log_event(enum log_level level, const char *event, const char *fmt, ...) CGW_PRINTF(3, 4);
/* "+8613812345678" → "+86138****5678"; e-mail → "a***@example.org". out at least 24 bytes. */
void log_mask(const char *address, char *out, size_t out_size);
/* Copies text with quotes, backslashes and control characters escaped, for msg="…". Returns out. */
const char *log_quote(const char *text, char *out, size_t out_size);

/* Lines go to fn instead of stderr, unformatted; NULL = stderr again. For a process whose lines
 * somebody else writes. Set before any other thread is made. */
typedef void (*log_writer)(enum log_level level, const char *event, const char *text);
void log_set_writer(log_writer fn);

#define log_error(...) log_event(LOG_L_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(LOG_L_WARNING, __VA_ARGS__)
#define log_notice(...) log_event(LOG_L_NOTICE, __VA_ARGS__)
#define log_info(...) log_event(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...) log_event(LOG_L_DEBUG, __VA_ARGS__)

#endif
