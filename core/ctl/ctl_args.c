/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_args.c - words of the command line against the table of ctl_commands.c: parse, help,
 * completion. Runs nothing. */
#include "ctl/ctl.h"

#include "base/clock.h"
#include "base/word.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* ---- looking up
 * ----------------------------------------------------------------------------------------------------------
 */
static const struct ctl_option *in_table(const struct ctl_option *t, const char *name, size_t len,
                                         char letter)
{
    for (; t && t->name; t++)
        if (letter ? t->letter == letter : strlen(t->name) == len && !memcmp(t->name, name, len))
            return t;
    return NULL;
}

const struct ctl_option *ctl_option_find(const struct ctl_command *cmd, const char *name,
                                         size_t len, char letter)
{
    const struct ctl_option *o = cmd ? in_table(cmd->options, name, len, letter) : NULL;
    if (!o && cmd && (cmd->flags & CTL_F_LIST))
        o = in_table(ctl_list_options, name, len, letter);
    if (!o && cmd && (cmd->flags & CTL_F_WATCH))
        o = in_table(ctl_watch_options, name, len, letter);
    return o ? o : in_table(ctl_global_options, name, len, letter);
}

static const struct ctl_command *find_command(const char *noun, const char *verb)
{
    for (const struct ctl_command *k = ctl_commands; k->noun; k++)
        if (!strcmp(k->noun, noun) && (!k->verb || (verb && !strcmp(k->verb, verb))))
            return k;
    return NULL;
}

static bool is_noun(const char *word)
{
    for (const struct ctl_command *k = ctl_commands; k->noun; k++)
        if (!strcmp(k->noun, word))
            return true;
    return false;
}

const char *ctl_opt(const struct ctl *c, const char *name)
{
    for (int i = c->n_opts - 1; i >= 0; i--)
        if (!strcmp(c->opts[i].option->name, name))
            return c->opts[i].value;
    return NULL;
}

bool ctl_has(const struct ctl *c, const char *name)
{
    return ctl_opt(c, name) != NULL;
}

bool ctl_opt_int(const struct ctl *c, const char *name, int64_t min, int64_t max, int64_t *ret,
                 bool *bad)
{
    const char *text = ctl_opt(c, name);
    char *end;
    if (!text)
        return false;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < min || v > max) {
        *bad = true;
        (void)ctl_usage_error(c, "--%s must be a whole number from %lld to %lld, not \"%s\"", name,
                              (long long)min, (long long)max, text);
        return false;
    }
    *ret = v;
    return true;
}

/* ---- did you mean
 * ------------------------------------------------------------------------------------------------------------
 */
static const char *near_command(const char *noun, const char *word)
{
    const char *best = NULL;
    for (const struct ctl_command *k = ctl_commands; k->noun; k++)
        if (!noun)
            best = word_nearer(word, k->noun, best);
        else if (!strcmp(k->noun, noun) && k->verb)
            best = word_nearer(word, k->verb, best);
    return best;
}

/* ---- help
 * -----------------------------------------------------------------------------------------------------------------------
 */
static void print_options(FILE *out, const char *title, const struct ctl_option *t)
{
    if (!t || !t->name)
        return;
    (void)fprintf(out, "%s", title);
    for (; t->name; t++) {
        char left[80];
        (void)snprintf(left, sizeof left, "%s%c%s--%s%s%s", t->letter ? "-" : " ",
                       t->letter ? t->letter : ' ', t->letter ? ", " : "  ", t->name,
                       t->value ? " " : "", t->value ? t->value : "");
        (void)fprintf(out, "  %-28s %s%s%s%s\n", left, t->help, t->choices ? " (" : "",
                      t->choices ? t->choices : "", t->choices ? ")" : "");
    }
}

static void help_command(FILE *out, const struct ctl_command *k)
{
    (void)fprintf(out, "usage: campgwctl [options] %s%s%s%s%s\n%s\n", k->noun, k->verb ? " " : "",
                  k->verb ? k->verb : "", *k->args ? " " : "", k->args, k->help);
    print_options(out, "\noptions:\n", k->options);
    if (k->flags & CTL_F_LIST)
        print_options(out, k->options ? "" : "\noptions:\n", ctl_list_options);
    if (k->flags & CTL_F_WATCH)
        print_options(out, k->options ? "" : "\noptions:\n", ctl_watch_options);
    print_options(out, "\noptions of every command:\n", ctl_global_options);
}

static void help_line(FILE *out, const struct ctl_command *k)
{
    char left[64];
    (void)snprintf(left, sizeof left, "%s %s %s", k->noun, k->verb ? k->verb : "", k->args);
    (void)fprintf(out, "  %-28s %s\n", left, k->help);
}

void ctl_help(FILE *out, const char *noun, const char *verb)
{
    const struct ctl_command *k = noun ? find_command(noun, verb) : NULL;
    if (k) {
        help_command(out, k);
        return;
    }
    (void)fprintf(out, "usage: campgwctl [options] %s VERB [arguments]\n\n", noun ? noun : "NOUN");
    for (k = ctl_commands; k->noun; k++)
        if (!noun || !strcmp(k->noun, noun))
            help_line(out, k);
    if (!noun)
        print_options(out, "\noptions:\n", ctl_global_options);
    (void)fprintf(
        out,
        "\ncampgwctl NOUN VERB --help shows the options of a command; campgwctl(1) is the manual.\n"
        "exit: 0 ok, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 state conflict, 6 held by "
        "policy, 7 unreachable, 130 interrupted\n");
}

int ctl_usage_error(const struct ctl *c, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "campgwctl: %s\n  next: campgwctl %s%s%s%s--help\n", text,
                  c->cmd ? c->cmd->noun : "", c->cmd ? " " : "",
                  c->cmd && c->cmd->verb ? c->cmd->verb : "", c->cmd && c->cmd->verb ? " " : "");
    return CTL_USAGE;
}

/* ---- parse
 * ------------------------------------------------------------------------------------------------------------------------
 */
static bool one_of(const char *choices, const char *word, size_t len)
{
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        if (n == len && !memcmp(p, word, n))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static int check_value(const struct ctl *c, const struct ctl_option *o, const char *value)
{
    if (!*value && o->type != CTL_TEXT)
        return ctl_usage_error(c, "--%s needs a value", o->name);
    if (!o->choices)
        return 0;
    for (const char *p = value; *p;) {
        size_t n = o->type == CTL_WORDS ? strcspn(p, ",") : strlen(p);
        if (!one_of(o->choices, p, n))
            return ctl_usage_error(c, "--%s takes %s, not \"%.*s\"", o->name, o->choices,
                                   (int)(n > 40 ? 40 : n), p);
        p += n + (p[n] == ',');
    }
    return 0;
}

static int put_option(struct ctl *c, const struct ctl_option *o, const char *value)
{
    if (c->n_opts == CTL_OPTS_MAX)
        return ctl_usage_error(c, "more than %d options", CTL_OPTS_MAX);
    c->opts[c->n_opts].option = o;
    c->opts[c->n_opts++].value = value;
    return o->type == CTL_FLAG ? 0 : check_value(c, o, value);
}

/* One option at argv[*i]: --name, --name=value, --name value, -x, -xvalue, -x value. */
static int take_option(struct ctl *c, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *value = NULL;
    const struct ctl_option *o;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        o = ctl_option_find(c->cmd, word + 2, len, 0);
        value = word[2 + len] ? word + 3 + len : NULL;
    } else {
        o = ctl_option_find(c->cmd, "", 0, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (!o && c->cmd)
        return ctl_usage_error(c, "unknown option %s", word);
    if (!o)
        return ctl_usage_error(c, "unknown option %s; options of a command stand behind it", word);
    if (o->type == CTL_FLAG)
        return value ? ctl_usage_error(c, "--%s takes no value", o->name) : put_option(c, o, "1");
    if (!value) {
        if (*i + 1 >= argc)
            return ctl_usage_error(c, "--%s needs %s", o->name, o->value);
        value = argv[++*i];
    }
    return put_option(c, o, value);
}

static int take_word(struct ctl *c, const char **noun, const char *word)
{
    if (c->cmd) {
        if (c->argc == CTL_ARGS_MAX)
            return ctl_usage_error(c, "more than %d arguments", CTL_ARGS_MAX);
        c->argv[c->argc++] = word;
        return 0;
    }
    if (!*noun) {
        *noun = word;
        c->cmd = find_command(word, NULL);
        if (is_noun(word))
            return 0;
        const char *near = near_command(NULL, word);
        return ctl_usage_error(c, "there is no \"%s\"%s%s%s", word, near ? "; did you mean " : "",
                               near ? near : "", near ? "?" : "");
    }
    c->cmd = find_command(*noun, word);
    if (c->cmd)
        return 0;
    const char *near = near_command(*noun, word);
    (void)fprintf(stderr, "campgwctl: %s has no \"%s\"%s%s%s\n  next: campgwctl %s --help\n", *noun,
                  word, near ? "; did you mean " : "", near ? near : "", near ? "?" : "", *noun);
    return CTL_USAGE;
}

static int check_counts(struct ctl *c, const char *noun)
{
    if (ctl_has(c, "help") || !noun) {
        bool asked = ctl_has(c, "help");
        ctl_help(asked ? stdout : stderr, noun, c->cmd ? c->cmd->verb : NULL);
        return asked ? CTL_DONE : CTL_USAGE;
    }
    if (!c->cmd) {
        ctl_help(stderr, noun, NULL);
        return CTL_USAGE;
    }
    if (c->argc < c->cmd->min)
        return ctl_usage_error(c, "%s is missing", c->cmd->args);
    if (c->argc > c->cmd->max)
        return ctl_usage_error(c, "unexpected argument \"%s\"", c->argv[c->cmd->max]);
    if ((c->cmd->flags & CTL_F_LOCAL) && ctl_has(c, "dry-run"))
        return ctl_usage_error(c, "--dry-run is for commands that talk to the gateway");
    return 0;
}

int ctl_parse(struct ctl *c, int argc, char **argv)
{
    const char *noun = NULL;
    bool words_only = false;
    for (int i = 1; i < argc; i++) {
        int rc;
        if (!words_only && !strcmp(argv[i], "--")) {
            words_only = true;
            continue;
        }
        if (!words_only && i == 1 && !strcmp(argv[i], "help"))
            rc = put_option(c, in_table(ctl_global_options, "help", 4, 0), "1");
        else if (!words_only && argv[i][0] == '-' && argv[i][1])
            rc = take_option(c, argc, argv, &i);
        else
            rc = take_word(c, &noun, argv[i]);
        if (rc)
            return rc;
    }
    return check_counts(c, noun);
}

/* ---- completion
 * -----------------------------------------------------------------------------------------------------------------------
 */
static void offer(const char *candidate, const char *partial)
{
    if (!strncmp(candidate, partial, strlen(partial)))
        (void)printf("%s\n", candidate);
}

static void offer_options(const struct ctl_option *t, const char *partial)
{
    for (; t && t->name; t++) {
        char word[64];
        (void)snprintf(word, sizeof word, "--%s", t->name);
        offer(word, partial);
    }
}

static void offer_choices(const char *choices, const char *partial)
{
    char word[64];
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        (void)snprintf(word, sizeof word, "%.*s", (int)n, p);
        offer(word, partial);
        p += n + (p[n] == '|');
    }
}

static void offer_nouns(const char *partial)
{
    const char *before = "";
    for (const struct ctl_command *k = ctl_commands; k->noun; k++) {
        if (strcmp(k->noun, before) != 0)
            offer(k->noun, partial);
        before = k->noun;
    }
}

/* Ids of what the argument names; silent when the gateway does not answer within a second. */
static void offer_things(struct ctl *c, const char *partial)
{
    const char *base = c->cmd->kind ? ctl_kind_path(c->cmd->kind) : NULL;
    char path[256];
    int code;
    if (!base)
        return;
    (void)snprintf(path, sizeof path, "%s%s", base,
                   !strcmp(c->cmd->kind, "plugin") ? "" : "?limit=200");
    json_t *doc = ctl_get_quiet(c, path, &code);
    const json_t *rows = json_object_get(doc, "data");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char id[80];
        ctl_format(json_object_get(row, "id"), 's', id, sizeof id); /* a partner's is a number */
        offer(strcmp(id, "-") != 0 ? id : ctl_str(row, "name", ""), partial);
    }
    json_decref(doc);
}

static const struct ctl_option *option_of(const struct ctl_command *cmd, const char *word)
{
    if (word[0] != '-' || !word[1])
        return NULL;
    return word[1] == '-' ? ctl_option_find(cmd, word + 2, strlen(word + 2), 0)
                          : ctl_option_find(cmd, "", 0, word[1]);
}

static void offer_for(struct ctl *c, const char *noun, const char *partial)
{
    if (partial[0] == '-') {
        offer_options(c->cmd ? c->cmd->options : NULL, partial);
        if (c->cmd && (c->cmd->flags & CTL_F_LIST))
            offer_options(ctl_list_options, partial);
        if (c->cmd && (c->cmd->flags & CTL_F_WATCH))
            offer_options(ctl_watch_options, partial);
        offer_options(ctl_global_options, partial);
        return;
    }
    if (!noun) {
        offer_nouns(partial);
        return;
    }
    for (const struct ctl_command *k = ctl_commands; !c->cmd && k->noun; k++)
        if (!strcmp(k->noun, noun) && k->verb)
            offer(k->verb, partial);
    if (c->cmd && c->argc < c->cmd->max)
        offer_things(c, partial);
}

/* Words so far, the last one partial (perhaps empty): candidates, one per line. */
int ctl_complete(struct ctl *c, int argc, char **argv)
{
    const char *noun = NULL;
    const struct ctl_option *wants = NULL;
    for (int i = 0; i + 1 < argc; i++) {
        const struct ctl_option *o = wants ? NULL : option_of(c->cmd, argv[i]);
        if (wants) {
            if (c->n_opts < CTL_OPTS_MAX) {
                c->opts[c->n_opts].option = wants;
                c->opts[c->n_opts++].value = argv[i];
            }
            wants = NULL;
        } else if (o) {
            wants = o->type == CTL_FLAG ? NULL : o;
        } else if (argv[i][0] == '-') {
            continue;
        } else if (!noun) {
            noun = argv[i];
            c->cmd = find_command(noun, NULL);
        } else if (!c->cmd) {
            c->cmd = find_command(noun, argv[i]);
        } else {
            c->argc++;
        }
    }
    const char *partial = argc ? argv[argc - 1] : "";
    if (wants && wants->choices)
        offer_choices(wants->choices, partial);
    else if (!wants)
        offer_for(c, noun, partial);
    return 0;
}
