/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check.c - campgw-plugin-check FILE.so: the whole contract suite on any plugin, one line
 * per clause. Every clause runs in a process of its own, so a crash or a hang is a result like any
 * other. Needs no gateway, no database and no peer. Clauses: plugin_check_channel.c,
 * plugin_check_campaign.c. */
#include "plugin_check.h"

#include "base/log.h"
#include "plugin/host.h"
#include "plugin/isolate.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLAUSE_SECONDS 120 /* every access is checked, and a process takes long to start */
#define ISOLATED_SECONDS 300
#else
#define CLAUSE_SECONDS 30
#define ISOLATED_SECONDS 90 /* some clauses start a hundred instances, each a process */
#endif
#define END_MS 10000  /* from its answer to the end of its process */
#define CRASH_MS 1000 /* a crashing process closes its pipe before it can be waited for */
#define INVENTED_SECRET "check"

static const char usage_text[] =
    "usage: campgw-plugin-check [--json] [--certificate FILE] [--verbose] [--option KEY=VALUE]... "
    "[--credentials DIR]\n"
    "                           [--content JSON] [--only CLAUSE] [--isolated] FILE.so\n"
    "Runs the contract suite of the plugin ABI on FILE.so. Required options that are not given are "
    "invented.\n"
    "--isolated runs each instance in a process of its own, as isolation = \"process\" does.\n"
    "CAMPGW_CHECK_SECONDS=N in the environment: a clause may take N seconds.\n"
    "Exit status: 0 all clauses passed, 1 a clause failed, 2 wrong usage.\n";

static CGW_PRINTF(2, 0) enum verdict say(char *why, const char *fmt, va_list ap, enum verdict v)
{
    (void)vsnprintf(why, CHECK_WHY_MAX, fmt, ap);
    return v;
}

static bool late; /* what the clause that runs in this process said last */

enum verdict check_fail(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum verdict v = say(why, fmt, ap, CHECK_FAIL);
    va_end(ap);
    late = false;
    return v;
}

enum verdict check_late(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum verdict v = say(why, fmt, ap, CHECK_FAIL);
    va_end(ap);
    late = true;
    return v;
}

enum verdict check_within(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum verdict v = say(why, fmt, ap, CHECK_FAIL);
    va_end(ap);
    return v;
}

enum verdict check_skip(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum verdict v = say(why, fmt, ap, CHECK_SKIP);
    va_end(ap);
    return v;
}

/* ---- one clause, one process
 * ----------------------------------------------------------------------------------------------------------------
 */

struct answer {
    int verdict;
    bool late;
    char why[CHECK_WHY_MAX];
};

static void child(const struct checker *c, const struct clause *clause, int fd)
{
    struct answer a = {0};
    a.verdict = (int)clause->run(c, a.why);
    a.late = late;
    ssize_t w = write(fd, &a, sizeof a);
    _exit(w == (ssize_t)sizeof a
              ? 0
              : 1); /* no atexit handlers: the plugin is still mapped and may have threads */
}

/* A plugin's own words, and a sanitizer's, would tear the report apart. */
static void silence(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        (void)close(fd);
    }
}

/* For what runs it slowly, such as valgrind. */
static int clause_seconds(int standard)
{
    const char *said = getenv("CAMPGW_CHECK_SECONDS");
    long n = said ? strtol(said, NULL, 10) : 0;
    return n > 0 && n <= 3600 ? (int)n : standard;
}

static bool read_answer(int fd, int limit_s, struct answer *a)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int rc = poll(&p, 1, limit_s * 1000);
    return rc == 1 && read(fd, a, sizeof *a) == (ssize_t)sizeof *a;
}

static enum verdict ended_early(const struct clause *clause, int status, int hung_s, char *why)
{
    if (hung_s)
        return check_fail(why, "hung: no answer within %d s", hung_s);
    if (WIFSIGNALED(status))
        return check_fail(why, "crashed: %s%s%s", strsignal(WTERMSIG(status)),
                          clause->crash_hint ? ": " : "",
                          clause->crash_hint ? clause->crash_hint : "");
    return check_fail(why, "ended the process with status %d", WEXITSTATUS(status));
}

static bool wait_end(pid_t pid, int ms, int *ret_status)
{
    const struct timespec nap = {.tv_nsec = 20000000};
    for (; waitpid(pid, ret_status, WNOHANG) != pid; ms -= 20) {
        if (ms <= 0)
            return false;
        (void)nanosleep(&nap, NULL);
    }
    return true;
}

static enum verdict try_clause(const struct checker *c, const struct clause *clause, bool *ret_late,
                               char *why)
{
    int fds[2], status = 0;
    struct answer a = {0};
    if (pipe(fds) < 0)
        return check_fail(why, "pipe: %s", strerror(errno));
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return check_fail(why, "fork: %s", strerror(errno));
    if (!pid) {
        (void)close(fds[0]);
        if (!c->verbose)
            silence();
        child(c, clause, fds[1]);
    }
    (void)close(fds[1]);
    int limit_s = clause_seconds(c->isolated ? ISOLATED_SECONDS : CLAUSE_SECONDS);
    bool answered = read_answer(fds[0], limit_s, &a);
    (void)close(fds[0]);
    /* Behind its answer it ends at once; what watches over it, such as valgrind, takes longer and
     * speaks through the status. */
    bool ended = wait_end(pid, answered ? END_MS : CRASH_MS, &status);
    if (!ended) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    if (!answered || (ended && status))
        return ended_early(clause, status, ended ? 0 : limit_s, why);
    (void)snprintf(why, CHECK_WHY_MAX, "%s", a.why);
    *ret_late = a.late;
    return (enum verdict)a.verdict;
}

static enum verdict run_clause(const struct checker *c, const struct clause *clause, char *why)
{
    bool was_late = true;
    enum verdict v = CHECK_FAIL;
    for (int i = 0; i < CHECK_TRIES && v == CHECK_FAIL && was_late; i++) {
        was_late = false;
        v = try_clause(c, clause, &was_late, why);
    }
    return v;
}

/* ---- options: given, or invented so that create() has something to work with
 * ------------------------------------------------------------------ */

static bool is_given(const struct checker *c, const char *key)
{
    for (size_t i = 0; i < c->n_pairs; i++)
        if (!strcmp(c->pairs[i].key, key))
            return true;
    return false;
}

static const char *invent(const struct cgw_option *o, char *room, size_t size)
{
    if (o->flags & CGW_OPTF_SECRET)
        return INVENTED_SECRET;
    if (o->type == CGW_OPT_INT) {
        int64_t v = o->min > 9             ? o->min
                    : o->max && o->max < 9 ? o->max
                                           : 9; /* port 9 is discard: nobody listens (RFC 863) */
        (void)snprintf(room, size, "%lld", (long long)v);
        return room;
    }
    if (o->type == CGW_OPT_BOOL)
        return "false";
    if (o->type == CGW_OPT_ENUM) {
        (void)snprintf(room, size, "%.*s", (int)strcspn(o->choices, "|"), o->choices);
        return room;
    }
    return strstr(o->key, "url")                              ? "http://127.0.0.1:9/"
           : strstr(o->key, "host") || strstr(o->key, "addr") ? "127.0.0.1"
                                                              : "check";
}

static void invent_options(struct checker *c)
{
    static char room[PLUGIN_OPTIONS_MAX][128];
    for (uint32_t i = 0; i < c->plugin->n_options && c->n_pairs < CHECK_PAIRS_MAX; i++) {
        const struct cgw_option *o = &c->plugin->desc.options[i];
        if (o->flags & CGW_OPTF_REQUIRED && !is_given(c, o->key))
            c->pairs[c->n_pairs++] = (struct conf_pair){o->key, invent(o, room[i], sizeof room[i])};
    }
    for (uint32_t i = 0; i < c->plugin->n_routes;
         i++) { /* the gateway's own options of authenticated routes */
        static const struct conf_pair own[] = {{CONF_CALLBACK_USER, "check"},
                                               {CONF_CALLBACK_PASSWORD, INVENTED_SECRET},
                                               {CONF_CALLBACK_ALLOW, "127.0.0.1/32"}};
        uint32_t auth = c->plugin->desc.routes[i].auth;
        for (size_t k = 0; k < ARRAY_LEN(own); k++)
            if (auth && (auth == CGW_HTTP_IP_ALLOW) == (k == 2) && !is_given(c, own[k].key) &&
                c->n_pairs < CHECK_PAIRS_MAX)
                c->pairs[c->n_pairs++] = own[k];
    }
}

/* A directory with one invented secret, for plugins that need some. */
static int make_credentials(char *dir)
{
    char path[64];
    if (!mkdtemp(dir))
        return -errno;
    (void)snprintf(path, sizeof path, "%s/%s", dir, INVENTED_SECRET);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "check", 5) != 5)
        return -errno;
    return close(fd);
}

static void remove_credentials(const char *dir)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/%s", dir, INVENTED_SECRET);
    (void)unlink(path);
    (void)rmdir(dir);
}

/* ---- main
 * ------------------------------------------------------------------------------------------------------------------------------------------
 */

struct args {
    const char *file, *credentials, *only, *certificate;
    bool json, verbose, isolated;
};

static int take_option(struct checker *c, char *pair)
{
    char *eq = strchr(pair, '=');
    if (!eq || eq == pair || c->n_pairs == CHECK_PAIRS_MAX)
        return -EINVAL;
    *eq = 0;
    c->pairs[c->n_pairs++] = (struct conf_pair){pair, eq + 1};
    return 0;
}

static int parse(int argc, char **argv, struct args *a, struct checker *c)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--json"))
            a->json = true;
        else if (!strcmp(argv[i], "--verbose"))
            a->verbose = true;
        else if (!strcmp(argv[i], "--isolated"))
            a->isolated = true;
        else if (!strcmp(argv[i], "--option") && more && !take_option(c, argv[i + 1]))
            i++;
        else if (!strcmp(argv[i], "--credentials") && more)
            a->credentials = argv[++i];
        else if (!strcmp(argv[i], "--certificate") && more)
            a->certificate = argv[++i];
        else if (!strcmp(argv[i], "--only") && more)
            a->only = argv[++i];
        else if (!strcmp(argv[i], "--content") && more)
            c->content = argv[++i];
        else if (argv[i][0] != '-' && !a->file)
            a->file = argv[i];
        else
            return -EINVAL;
    }
    return a->file ? 0 : -EINVAL;
}

static unsigned run_list(struct checker *c, const struct args *a, const struct clause *clause,
                         struct report *r)
{
    unsigned n = 0;
    for (; clause->name; clause++) {
        char why[CHECK_WHY_MAX] = "";
        if (a->only && strcmp(a->only, clause->name) != 0)
            continue;
        enum verdict v = run_clause(c, clause, why);
        report_clause(r, clause, v, why);
        n++;
    }
    return n;
}

/* \return how many clauses ran. */
static unsigned run_all(struct checker *c, const struct args *a, struct report *r)
{
    static const struct clause *const of_channel[] = {channel_clauses, fault_clauses, shape_clauses,
                                                      figure_clauses, NULL},
                                      *const of_campaign[] = {campaign_clauses,
                                                              campaign_fault_clauses,
                                                              figure_clauses, NULL};
    unsigned n = 0;
    for (const struct clause *const *l = plugin_is_channel(c->plugin) ? of_channel : of_campaign;
         *l; l++)
        n += run_list(c, a, *l, r);
    return n;
}

static int check_plugin(struct checker *c, const struct args *a, struct report *r)
{
    static const struct clause load = {
        .name = "load",
        .promise = "cgw/plugin.h: A gateway loads plugins of the same MAJOR and a "
                   "MINOR not above its own."};
    const struct clause nothing = {.name = a->only};
    struct diag d = {0};
    char cred[] = "/tmp/campgw-plugin-check.XXXXXX";
    const struct conf_isolation how = {.process = true, .memory_mb = CONF_ISOLATION_MEMORY_DEFAULT};
    if (a->isolated ? isolate_describe(a->file, &how, &c->plugin, &d)
                    : plugin_load(a->file, &c->plugin, &d)) {
        report_clause(r, &load, CHECK_FAIL, d.text);
        return report_end(r);
    }
    report_clause(r, &load, CHECK_PASS, "");
    c->isolated = a->isolated;
    c->cred_dir = a->credentials;
    if (!a->credentials && !make_credentials(cred))
        c->cred_dir = cred;
    invent_options(c);
    unsigned n = run_all(c, a, r);
    if (c->cred_dir == cred)
        remove_credentials(cred);
    if (!n)
        report_clause(r, &nothing, CHECK_FAIL, "no clause of this name for this kind of plugin");
    return report_end(r);
}

int main(int argc, char **argv)
{
    struct args a = {0};
    struct checker c = {0};
    if (parse(argc, argv, &a, &c)) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    log_set_level(a.verbose ? LOG_L_DEBUG : (enum log_level)0);
    c.verbose = a.verbose;
    c.figures = mmap(NULL, sizeof *c.figures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0); /* a clause that measures writes it from its own process */
    struct report *r = c.figures == MAP_FAILED
                           ? NULL
                           : report_new(&(struct report_args){a.file, a.certificate, a.json}, &c);
    if (!r) {
        (void)fputs("campgw-plugin-check: out of memory\n", stderr);
        return 2;
    }
    return check_plugin(&c, &a, r);
}
