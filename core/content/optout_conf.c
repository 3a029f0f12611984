/* SPDX-License-Identifier: Apache-2.0 */
/* optout_conf.c - see optout_conf.h. Form:
 *   sets = ( { locale = "en"; stop = [ "STOP", ... ]; all = [ ... ]; start = [ ... ]; help = [ ...
 * ]; polite = [ ... ]; }, ... ); Source: libconfig 1.5 manual. */
#include "content/optout_conf.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const list_names[OPTOUT_LISTS] = {"stop", "all", "start", "help", "polite"};

struct reading {
    const char *name; /* of the file */
    struct optout_sets *sets;
    struct diag *diag;
};

static int fault(const struct reading *r, const config_setting_t *at, const char *fmt, ...)
    CGW_PRINTF(3, 4);
static int fault(const struct reading *r, const config_setting_t *at, const char *fmt, ...)
{
    char where[96], text[CGW_DIAG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)snprintf(where, sizeof where, "%s:%u", r->name, at ? config_setting_source_line(at) : 0);
    return diag_set(r->diag, CGW_EINVAL, where, "%s", text);
}

static int read_list(const struct reading *r, struct optout_set *set, enum optout_list list,
                     const config_setting_t *words)
{
    int n = config_setting_length(words);
    if (!config_setting_is_array(words) && !config_setting_is_list(words))
        return fault(r, words, "'%s' is a list of words: [ \"STOP\", \"END\" ].", list_names[list]);
    for (int i = 0; i < n; i++) {
        struct diag why = {0};
        const char *word = config_setting_get_string_elem(words, i);
        if (!word)
            return fault(r, words, "'%s' holds something that is no string in quotes.",
                         list_names[list]);
        int rc = optout_add(set, list, word, &why);
        if (rc < 0)
            return fault(r, words, "%s", why.text);
    }
    return 0;
}

static int list_of(const char *name)
{
    for (int i = 0; i < OPTOUT_LISTS; i++)
        if (!strcmp(name, list_names[i]))
            return i;
    return -1;
}

static int read_set(const struct reading *r, const config_setting_t *group)
{
    const char *locale = NULL;
    struct optout_set *set;
    struct diag why = {0};
    if (!config_setting_is_group(group))
        return fault(r, group, "A set is %s.", "{ locale = \"en\"; stop = [ ... ]; }");
    if (!config_setting_lookup_string(group, "locale", &locale))
        return fault(r, group, "The set has no %s; write locale = \"en\".", "locale");
    if (optout_set_new(r->sets, locale, &set, &why) < 0)
        return fault(r, group, "%s", why.text);
    int n = config_setting_length(group);
    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(member);
        int list = list_of(name);
        if (!strcmp(name, "locale"))
            continue;
        if (list < 0)
            return fault(
                r, member,
                "Unknown key '%.64s'; a set has locale, stop, all, start, help and polite.", name);
        int rc = read_list(r, set, (enum optout_list)list, member);
        if (rc < 0)
            return rc;
    }
    return set->n[OPTOUT_LIST_STOP] ? 0
                                    : fault(r, group, "The set '%s' has no stop words.", locale);
}

static int read_all(const struct reading *r, const config_t *cfg)
{
    const config_setting_t *root = config_root_setting(cfg), *sets = config_lookup(cfg, "sets");
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *top = config_setting_get_elem(root, (unsigned)i);
        if (top != sets)
            return fault(r, top, "Unknown key '%.64s'; the file holds sets = ( ... ) only.",
                         config_setting_name(top));
    }
    if (!sets || !config_setting_is_list(sets) || !config_setting_length(sets))
        return fault(
            r, sets,
            "The file holds no %s; write sets = ( { locale = \"en\"; stop = [ \"STOP\" ]; } );",
            "sets");
    for (int i = 0; i < config_setting_length(sets); i++) {
        int rc = read_set(r, config_setting_get_elem(sets, (unsigned)i));
        if (rc < 0)
            return rc;
    }
    return 0;
}

int optout_conf_parse(const char *text, const char *name, struct optout_sets *ret,
                      struct diag *diag)
{
    struct optout_sets sets = {0};
    struct reading r = {name, &sets, diag};
    config_t cfg;
    int rc;
    config_init(&cfg);
    if (strstr(text, "@include")) /* one file says it all; no other file is opened from here */
        rc = fault(&r, NULL, "%s is not allowed in this file.", "@include");
    else if (config_read_string(&cfg, text) == CONFIG_TRUE)
        rc = read_all(&r, &cfg);
    else {
        char where[96];
        (void)snprintf(where, sizeof where, "%s:%d", name, config_error_line(&cfg));
        rc = diag_set(diag, CGW_EINVAL, where, "The file cannot be read: %s.",
                      config_error_text(&cfg));
    }
    config_destroy(&cfg);
    if (rc < 0)
        optout_sets_done(&sets);
    else
        *ret = sets;
    return rc;
}

/* The file as one text in `text`, which has room for OPTOUT_CONF_MAX bytes and a NUL. */
static int read_file(const char *path, char *text, struct diag *diag)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return diag_set(diag, -errno, path, "The opt-out words cannot be read: %s.",
                        strerror(errno));
    size_t n = fread(text, 1, OPTOUT_CONF_MAX + 1, f);
    bool bad = ferror(f) != 0;
    (void)fclose(f);
    if (bad)
        return diag_set(diag, -EIO, path, "The opt-out words cannot be read.");
    if (n > OPTOUT_CONF_MAX)
        return diag_set(diag, CGW_ELIMIT, path, "The file is larger than %u bytes.",
                        OPTOUT_CONF_MAX);
    text[n] = 0;
    if (strlen(text) != n)
        return diag_set(diag, CGW_EINVAL, path, "The file holds a NUL byte.");
    return 0;
}

int optout_conf_load(const char *path, struct optout_sets *ret, struct diag *diag)
{
    char *text = malloc(OPTOUT_CONF_MAX + 1);
    if (!text)
        return diag_set(diag, -ENOMEM, path, "No memory for opt-out words.");
    int rc = read_file(path, text, diag);
    if (rc == 0)
        rc = optout_conf_parse(text, path, ret, diag);
    free(text);
    return rc;
}
