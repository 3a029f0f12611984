/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - private to campgwctl: the command table, what a command gets to work with, HTTP and
 * output. Knows the gateway only through its HTTP API; the commands that work without a daemon
 * (setup, db, doctor) use config/, store/ and plugin/. Never prints a whole telephone number back.
 * Manual: man/campgwctl.1. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/buf.h"
#include "base/diag.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- exit codes; stable, scripts depend on them
 * ----------------------------------------------------------------------- */
enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_NOT_FOUND = 3,
    CTL_NOT_ALLOWED = 4,
    CTL_CONFLICT = 5,
    CTL_HELD = 6, /* policy says no, or not now */
    CTL_UNREACHABLE = 7,
    CTL_INTERRUPTED = 130,
    CTL_DONE = -1, /* --dry-run has shown what would be done: ends with 0 */
};

#define CTL_ARGS_MAX 64
#define CTL_OPTS_MAX 48
#define CTL_PATH_MAX 1024u
#define CTL_ANSWER_MAX (64u << 20) /* bytes of a JSON answer */
#define CTL_FILE_MAX (1u << 20)    /* bytes of a JSON file given with -f */

/* ---- command table
 * ------------------------------------------------------------------------------------------------------
 */
enum ctl_type {
    CTL_FLAG = 'f',
    CTL_TEXT = 's',
    CTL_INT = 'i',
    CTL_WORD = 'w',
    CTL_WORDS = 'l',
    CTL_FILE = 'p',
    CTL_TIME = 't'
};

struct ctl_option {
    const char *name;    /* "channels" */
    char letter;         /* 0 none */
    char type;           /* enum ctl_type */
    const char *value;   /* placeholder in the help; NULL for flags */
    const char *choices; /* "sms|email" for WORD and WORDS, NULL any */
    const char *help;
};

#define CTL_F_LOCAL 1u       /* works without a daemon; --dry-run makes no sense */
#define CTL_F_DESTRUCTIVE 2u /* asks on a terminal, wants --yes elsewhere */
#define CTL_F_WATCH 4u       /* takes --watch */
#define CTL_F_LIST 8u        /* takes --limit and --all */

struct ctl;
struct ctl_command {
    const char *noun, *verb; /* verb NULL: the noun alone is the command */
    const char *args;        /* "FILE", "NUMBER ...", "[ID]" for the help */
    uint8_t min, max;        /* number of arguments */
    unsigned flags;          /* CTL_F_* */
    const char
        *kind; /* what the first argument names: "campaign", "file", "number" ...; NULL nothing */
    const struct ctl_option *options; /* ends with name NULL; NULL none */
    int (*run)(struct ctl *c);        /* enum ctl_exit */
    const char *help;                 /* one line */
};
extern const struct ctl_command
    ctl_commands[]; /* ends with noun NULL; commands of one noun stand together */
extern const struct ctl_option ctl_global_options[]; /* ends with name NULL */
extern const struct ctl_option ctl_list_options[];
extern const struct ctl_option ctl_watch_options[];
/* The option of this name that the command takes, its own, its flags' or global; NULL none. */
const struct ctl_option *ctl_option_find(const struct ctl_command *cmd, const char *name,
                                         size_t len, char letter);

/* ---- one run
 * -------------------------------------------------------------------------------------------------------------
 */
struct ctl {
    const struct ctl_command *cmd;
    const char *argv[CTL_ARGS_MAX]; /* arguments behind noun and verb */
    int argc;
    struct {
        const struct ctl_option *option;
        const char *value;
    } opts[CTL_OPTS_MAX];
    int n_opts;
    bool json, yes, dry_run, color, tty_out, tty_err, verbose;
    struct ctl_http *http; /* owned */
};
const char *ctl_opt(const struct ctl *c, const char *name); /* NULL absent; the last one counts */
bool ctl_has(const struct ctl *c, const char *name);
/* Whole number with bounds; false: not given or bad (then the usage error is printed and *bad set).
 */
bool ctl_opt_int(const struct ctl *c, const char *name, int64_t min, int64_t max, int64_t *ret,
                 bool *bad);
extern volatile int ctl_interrupted;

int ctl_parse(struct ctl *c, int argc,
              char **argv); /* 0 = run c->cmd; CTL_USAGE printed; CTL_DONE = help was printed */
int ctl_complete(struct ctl *c, int argc, char **argv);
void ctl_help(FILE *out, const char *noun, const char *verb);
int ctl_usage_error(const struct ctl *c, const char *fmt, ...)
    CGW_PRINTF(2, 3); /* returns CTL_USAGE */

/* What is wrong, why, and what to type next ("" = none); returns code. With --json the same as a
 * document on stdout. */
int ctl_fail(const struct ctl *c, enum ctl_exit code, const char *what, const char *why,
             const char *next);
int ctl_fail_diag(const struct ctl *c, const char *what, const struct diag *d, const char *next);
/* A remark on stderr. */
void ctl_say(const struct ctl *c, const char *fmt, ...) CGW_PRINTF(2, 3);
/* Destructive steps: asks on a terminal (a count of 10,000 or more has to be typed), wants --yes
 * elsewhere. 0 = go on. */
int ctl_confirm(const struct ctl *c, const char *question, int64_t count);

/* ---- HTTP
 * ------------------------------------------------------------------------------------------------------------------
 */
struct ctl_request {
    const char *method, *path; /* path with query, escaped */
    json_t *body;              /* taken over */
    bool merge_patch;
    const char *if_match;
    const char *file;  /* body from a file, "-" = stdin */
    const char *media; /* of the file */
    bool idem;         /* send an Idempotency-Key */
    const char *accept;
    FILE *sink;      /* a good answer is written there instead of being parsed */
    bool reads;      /* a POST that changes nothing: done with --dry-run, too */
    int also_good;   /* a status >= 400 that is an answer, too */
    bool finish;     /* not ended by an interrupt */
    bool quiet;      /* say nothing on failure; the caller reads the code */
    long timeout_ms; /* 0 = none beyond the connection's */
};
struct ctl_answer {
    int status;
    json_t *doc; /* owned; NULL when there was no JSON */
    char etag[80];
};
int ctl_call(struct ctl *c, struct ctl_request *req,
             struct ctl_answer *ret); /* 0 or enum ctl_exit; the error is printed */
void ctl_answer_done(struct ctl_answer *a);
struct ctl_http *ctl_http_new(struct ctl *c);
struct ctl_http *ctl_http_free(struct ctl_http *h);
const char *ctl_http_where(struct ctl *c); /* "http://127.0.0.1:8440" or the socket's path */
/* GET that fills a document; NULL after a printed error (*ret_code). */
json_t *ctl_get(struct ctl *c, const char *path, int *ret_code);
json_t *ctl_get_quiet(struct ctl *c, const char *path, int *ret_code);
void ctl_query_add(struct buf *path, const char *name,
                   const char *value); /* "?a=b", "&c=d"; value NULL = nothing */
/* "cmp_…" as it is, else the one thing of that name. 0 or a printed error. out at least 80 bytes.
 */
int ctl_resolve(struct ctl *c, const char *kind, const char *word, char *out, size_t out_size);
/* Id of the thing with this name or id among the first 500, "" when there is none. */
int ctl_find_named(struct ctl *c, const char *base, const char *name, char *out, size_t size);
/* PATCH what is there, with the version just read; POST when id is "". Takes body over;
 * create_only: member that a change may not name, NULL none. */
int ctl_put_named(struct ctl *c, const char *base, const char *id, json_t *body,
                  const char *create_only, struct ctl_answer *a);
/* GET into --output, whole or not at all, or to standard output. accept NULL: as it comes. */
int ctl_download(struct ctl *c, const char *path, const char *accept);
const char *ctl_kind_path(const char *kind); /* "/api/v1/campaigns", NULL unknown */

/* ---- output
 * ------------------------------------------------------------------------------------------------------------------
 */
struct ctl_column {
    const char *title;
    const char *path; /* "node.waiting"; alternatives behind '|': the first that is there */
    char form;        /* 's' as it is, 'n' number, 't' time, 'b' yes/no, 'c' state in colour */
};
#define CTL_COLUMNS_END                                                                            \
    {                                                                                              \
        NULL, NULL, 0                                                                              \
    }
void ctl_print_json(const json_t *doc); /* one document */
void ctl_print_line(const json_t *doc); /* one line of NDJSON */
void ctl_print_table(const struct ctl *c, const json_t *rows,
                     const struct ctl_column *columns); /* columns end with title NULL */
void ctl_print_fields(const struct ctl *c, const json_t *doc, const struct ctl_column *columns);
/* The answer of a command that returns one thing: a document with --json, else fields. Frees the
 * answer; returns 0. */
int ctl_print_answer(const struct ctl *c, struct ctl_answer *a, const struct ctl_column *columns);
/* A whole list command: pages, --limit, --all, --json. */
int ctl_list(struct ctl *c, const char *path, const struct ctl_column *columns, const char *empty);
const json_t *ctl_at(const json_t *doc, const char *path);
const char *ctl_str(const json_t *doc, const char *path, const char *absent);
int64_t ctl_num(const json_t *doc, const char *path, int64_t absent);
void ctl_format(const json_t *value, char form, char *out,
                size_t size);                   /* without colour; control characters become '?' */
void ctl_clean(char *text);                     /* control characters become '?' */
void ctl_format_count(int64_t n, char out[32]); /* 1,234,567 */
void ctl_format_size(int64_t bytes, char out[32]);
const char *ctl_color(const struct ctl *c, const char *state); /* escape sequence or "" */
const char *ctl_plain(const struct ctl *c);

struct ctl_bar {
    int64_t start_ms, last_ms, first_done;
    bool open; /* a bar stands on the terminal's line */
    bool begun;
};
/* [####....] 3,912/5,000 rows 842/s ETA 0:02 on a terminal, else one line every 10 s. rate < 0:
 * measured here. note may be NULL. */
void ctl_bar_show(const struct ctl *c, struct ctl_bar *b, int64_t done, int64_t total,
                  const char *unit, double rate, const char *note);
void ctl_bar_end(const struct ctl *c, struct ctl_bar *b);

/* ---- small helpers
 * -------------------------------------------------------------------------------------------------------------
 */
/* RFC 3339 as given, or "now", "+30m", "+2h", "+7d" from now; 0 or CTL_USAGE (printed). */
int ctl_time(const struct ctl *c, const char *option, const char *text, char out[40]);
/* {"msisdn":…}, {"email":…}, {"customer":…} or, of ext:ID, {"external_id":…} as the word looks
 * like. */
json_t *ctl_person(const struct ctl *c, const char *word);
void ctl_mask(const char *word, char *out, size_t size);
json_t *ctl_words(const char *list);                        /* "a,b" -> ["a","b"]; NULL for NULL */
void ctl_set(json_t *doc, const char *name, json_t *value); /* takes value over; NULL is left out */
void ctl_set_str(json_t *doc, const char *name, const char *value); /* NULL is left out */
int ctl_read_json(const struct ctl *c, const char *file, json_t **ret);
/* Media type by name ("x.csv.gz", "x.ndjson") or --format; 0 or CTL_USAGE (printed). */
int ctl_media(const struct ctl *c, const char *file, const char **ret);

/* ---- commands (ctl_<area>.c)
 * ---------------------------------------------------------------------------------------------------
 */
#define CTL_RUN(name) int ctl_##name(struct ctl *c)
CTL_RUN(status);
CTL_RUN(doctor);
CTL_RUN(version);
CTL_RUN(setup);
CTL_RUN(db_migrate);
CTL_RUN(db_check);
CTL_RUN(key_create);
CTL_RUN(key_list);
CTL_RUN(key_rotate);
CTL_RUN(key_revoke);
CTL_RUN(audience_upload);
CTL_RUN(audience_list);
CTL_RUN(audience_show);
CTL_RUN(audience_rejects);
CTL_RUN(media_upload);
CTL_RUN(media_list);
CTL_RUN(media_show);
CTL_RUN(media_download);
CTL_RUN(media_delete);
CTL_RUN(campaign_create);
CTL_RUN(campaign_change);
CTL_RUN(campaign_list);
CTL_RUN(campaign_show);
CTL_RUN(campaign_start);
CTL_RUN(campaign_action);
CTL_RUN(campaign_schedule);
CTL_RUN(campaign_cancel);
CTL_RUN(campaign_watch);
CTL_RUN(campaign_funnel);
CTL_RUN(campaign_responses);
CTL_RUN(campaign_answers);
CTL_RUN(customer_why);
CTL_RUN(customer_link);
CTL_RUN(customer_reassigned);
CTL_RUN(customer_erase);
CTL_RUN(customer_show);
CTL_RUN(customer_upload);
CTL_RUN(contact_list);
CTL_RUN(contact_show);
CTL_RUN(contact_export);
CTL_RUN(task_list);
CTL_RUN(task_lease);
CTL_RUN(task_export);
CTL_RUN(task_show);
CTL_RUN(task_outcome);
CTL_RUN(task_release);
CTL_RUN(task_import);
CTL_RUN(dnd_list);
CTL_RUN(dnd_create);
CTL_RUN(dnd_entries);
CTL_RUN(dnd_add);
CTL_RUN(dnd_remove);
CTL_RUN(dnd_check);
CTL_RUN(consent_grant);
CTL_RUN(consent_withdraw);
CTL_RUN(consent_show);
CTL_RUN(cap_list);
CTL_RUN(cap_set);
CTL_RUN(calendar_list);
CTL_RUN(calendar_import);
CTL_RUN(calendar_quiet);
CTL_RUN(calendar_show);
CTL_RUN(calendar_export);
CTL_RUN(route_list);
CTL_RUN(route_create);
CTL_RUN(route_show);
CTL_RUN(route_set);
CTL_RUN(route_action);
CTL_RUN(probe_list);
CTL_RUN(probe_show);
CTL_RUN(probe_set);
CTL_RUN(probe_remove);
CTL_RUN(partner_list);
CTL_RUN(partner_show);
CTL_RUN(partner_create);
CTL_RUN(partner_set);
CTL_RUN(settlement_show);
CTL_RUN(thing_remove);
CTL_RUN(queue_list);
CTL_RUN(queue_action);
CTL_RUN(dispatch_status);
CTL_RUN(dispatch_set);
CTL_RUN(plugin_list);
CTL_RUN(plugin_show);
CTL_RUN(instance_list);
CTL_RUN(instance_restart);

#endif
