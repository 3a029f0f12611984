/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_main.c - campgwctl: the life of one command, from its words to its exit code. */
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

volatile int ctl_interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    ctl_interrupted = 1;
}

static void look_around(struct ctl *c)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR"); /* https://no-color.org */
    c->tty_out = isatty(STDOUT_FILENO) == 1;
    c->tty_err = isatty(STDERR_FILENO) == 1;
    c->json = ctl_has(c, "json");
    c->yes = ctl_has(c, "yes");
    c->dry_run = ctl_has(c, "dry-run");
    c->verbose = ctl_has(c, "verbose");
    c->color = c->tty_out && !ctl_has(c, "no-color") && !(no_color && *no_color) && term &&
               strcmp(term, "dumb") != 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "__complete"))
        return ctl_complete(c, argc - 2, argv + 2);
    if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
        (void)printf("campgwctl %s\n", PACKAGE_VERSION);
        return CTL_OK;
    }
    if (argc > 1 &&
        !strcmp(argv[1], "__commands")) { /* "noun verb" per line: the manual's test compares */
        for (const struct ctl_command *k = ctl_commands; k->noun; k++)
            (void)printf("%s%s%s\n", k->noun, k->verb ? " " : "", k->verb ? k->verb : "");
        return CTL_OK;
    }
    int rc = ctl_parse(c, argc, argv);
    look_around(c);
    return rc ? rc : c->cmd->run(c);
}

int main(int argc, char **argv)
{
    struct ctl c = {0};
    struct sigaction act = {.sa_handler = on_interrupt};
    (void)setlocale(LC_CTYPE, "");
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return CTL_FAILED;
    (void)sigaction(SIGINT, &act, NULL); /* without SA_RESTART: reading an answer ends, too */
    (void)signal(SIGPIPE, SIG_IGN);
    int rc = run(&c, argc, argv);
    c.http = ctl_http_free(c.http);
    curl_global_cleanup();
    if (fflush(stdout) != 0 || ferror(stdout))
        rc = rc == CTL_OK ? CTL_FAILED : rc;
    return ctl_interrupted ? CTL_INTERRUPTED : rc == CTL_DONE ? CTL_OK : rc;
}
