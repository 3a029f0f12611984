/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value.c - judge one option value against its schema entry. Knows neither files of settings
 * nor instances. Never puts the content of a secret into a diag. */
#include "plugin/conf_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <strings.h>

static const char *unit_of(const struct cgw_option *o, char *out, size_t size)
{
    (void)snprintf(out, size, o->unit && *o->unit ? " (%s)" : "%s",
                   o->unit && *o->unit ? o->unit : "");
    return out;
}

int conf_value_from_int(struct conf_value *v, int64_t num, struct diag *diag)
{
    const struct cgw_option *o = v->opt;
    char unit[48];
    bool ranged = o->type == CGW_OPT_INT && (o->min || o->max);
    if (ranged && num < o->min)
        return diag_set(diag, CGW_EINVAL, "", "%" PRId64 " is below the minimum %" PRId64 "%s", num,
                        o->min, unit_of(o, unit, sizeof unit));
    if (ranged && num > o->max)
        return diag_set(diag, CGW_EINVAL, "", "%" PRId64 " is above the maximum %" PRId64 "%s", num,
                        o->max, unit_of(o, unit, sizeof unit));
    v->num = num;
    v->has = true;
    return 0;
}

static int int_from_text(struct conf_value *v, const char *text, struct diag *diag)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return diag_set(diag, CGW_EINVAL, "", "\"%.60s\" is not a whole number", text);
    return conf_value_from_int(v, n, diag);
}

static int bool_from_text(struct conf_value *v, const char *text, struct diag *diag)
{
    static const struct {
        const char *word;
        int value;
    } words[] = {
        {"true", 1}, {"false", 0}, {"on", 1}, {"off", 0}, {"yes", 1}, {"no", 0}, {"1", 1}, {"0", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcasecmp(text, words[i].word)) {
            v->num = words[i].value;
            v->has = true;
            return 0;
        }
    return diag_set(diag, CGW_EINVAL, "", "\"%.60s\" is neither true nor false", text);
}

static int keep_text(struct conf_value *v, const char *text, size_t len, struct diag *diag)
{
    v->text = strndup(text, len);
    v->has = v->text != NULL;
    return v->has ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
}

static int text_bounds(const struct cgw_option *o, size_t len, struct diag *diag)
{
    size_t max = o->max > 0 ? (size_t)o->max : CONF_TEXT_MAX;
    if (o->flags & CGW_OPTF_SECRET && o->max <= 0)
        max = CONF_SECRET_MAX;
    if (o->min > 0 && len < (size_t)o->min)
        return diag_set(diag, CGW_EINVAL, "", "%zu bytes are below the minimum %" PRId64, len,
                        o->min);
    if (len > max)
        return diag_set(diag, CGW_EINVAL, "", "%zu bytes are above the maximum %zu", len, max);
    return 0;
}

static int enum_from_text(struct conf_value *v, const char *text, struct diag *diag)
{
    size_t len = strlen(text);
    for (const char *w = v->opt->choices; *w;) {
        size_t n = strcspn(w, "|");
        if (n == len && n && !memcmp(w, text, n))
            return keep_text(v, text, len, diag);
        w += n + (w[n] == '|');
    }
    return diag_set(diag, CGW_EINVAL, "", "\"%.60s\" is not one of %.120s", text, v->opt->choices);
}

/* Whole file without its last line end. *ret is wiped by the owner. */
static int read_secret(const char *dir, const char *name, char **ret, size_t *ret_len,
                       struct diag *diag)
{
    char path[1024];
    if (!*name || *name == '.' || strchr(name, '/'))
        return diag_set(
            diag, CGW_EINVAL, "",
            "a secret is the NAME of a file in the credentials directory, without a path");
    if (!dir || !*dir)
        return diag_set(diag, CGW_ENOTFOUND, "",
                        "no credentials directory is configured; set plugins.credentials");
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return diag_set(diag, CGW_EINVAL, "", "the path of the credential file is too long");
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "credential file %.150s: %s", path,
                        strerror(errno));
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & 07))
        return diag_set(
            diag, CGW_EDENIED, "",
            "credential file %.120s may be read by everybody (mode %04o): chmod 0600 it", path,
            (unsigned)st.st_mode & 07777u);
    char *buf = malloc(CONF_SECRET_MAX + 2);
    size_t len = 0;
    ssize_t n = 1;
    while (buf && len <= CONF_SECRET_MAX &&
           (n = read(fd, buf + len, CONF_SECRET_MAX + 1 - len)) > 0)
        len += (size_t)n;
    if (!buf || n < 0 || len > CONF_SECRET_MAX || memchr(buf, 0, len)) {
        if (buf)
            explicit_bzero(buf, len);
        free(buf);
        return diag_set(
            diag, CGW_EINVAL, "",
            "credential file %.120s cannot be read, holds a NUL or is larger than %u bytes", path,
            CONF_SECRET_MAX);
    }
    if (len && buf[len - 1] == '\n')
        len--;
    if (len && buf[len - 1] == '\r')
        len--;
    buf[len] = 0;
    *ret = buf;
    *ret_len = len;
    return 0;
}

static int secret_from_name(struct conf_value *v, const char *name, const char *cred_dir,
                            struct diag *diag)
{
    char *content = NULL;
    size_t len = 0;
    int rc = read_secret(cred_dir, name, &content, &len, diag);
    if (rc)
        return rc;
    v->text = content;
    v->has = true;
    return text_bounds(v->opt, len, diag);
}

int conf_value_from_items(struct conf_value *v, const char *const *items, uint32_t n,
                          struct diag *diag)
{
    if (n > CONF_ITEMS_MAX)
        return diag_set(diag, CGW_EINVAL, "", "%u members are above the maximum %u", n,
                        CONF_ITEMS_MAX);
    v->items = calloc(n ? n : 1, sizeof *v->items);
    if (!v->items)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    v->has = true;
    for (; v->n_items < n; v->n_items++) {
        int rc = text_bounds(v->opt, strlen(items[v->n_items]), diag);
        if (rc)
            return rc;
        if (!(v->items[v->n_items] = strdup(items[v->n_items])))
            return diag_set(diag, -ENOMEM, "", "out of memory");
    }
    return 0;
}

/* Trims blanks and one pair of quotes in place. */
static char *bare(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n && strchr(" \t", s[n - 1]))
        s[--n] = 0;
    if (n >= 2 && s[0] == '"' && s[n - 1] == '"') {
        s[n - 1] = 0;
        s++;
    }
    return s;
}

static int list_from_text(struct conf_value *v, char *text, struct diag *diag)
{
    const char *items[CONF_ITEMS_MAX];
    uint32_t n = 0;
    size_t len = strlen(text);
    if (len >= 2 && strchr("([", text[0]) && strchr(")]", text[len - 1])) {
        text[len - 1] = 0;
        text++;
    }
    text = bare(text);
    while (*text) {
        size_t w = strcspn(text, ",");
        bool more = text[w] == ',';
        text[w] = 0;
        if (n == CONF_ITEMS_MAX)
            return diag_set(diag, CGW_EINVAL, "", "more than %u members", CONF_ITEMS_MAX);
        items[n++] = bare(text);
        text += w + more;
    }
    return conf_value_from_items(v, items, n, diag);
}

int conf_value_from_text(struct conf_value *v, const char *text, const char *cred_dir,
                         struct diag *diag)
{
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc) - the analyzer forgets the attribute */
    auto_free char *copy = strdup(text);
    if (!copy)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    if (v->opt->type == CGW_OPT_LIST)
        return list_from_text(v, copy, diag);
    const char *word = bare(copy);
    switch (v->opt->type) {
    case CGW_OPT_INT:
        return int_from_text(v, word, diag);
    case CGW_OPT_BOOL:
        return bool_from_text(v, word, diag);
    case CGW_OPT_ENUM:
        return enum_from_text(v, word, diag);
    default:
        break;
    }
    if (v->opt->flags & CGW_OPTF_SECRET)
        return secret_from_name(v, word, cred_dir, diag);
    int rc = text_bounds(v->opt, strlen(word), diag);
    return rc ? rc : keep_text(v, word, strlen(word), diag);
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

void conf_value_done(struct conf_value *v)
{
    if (v->text && v->opt->flags & CGW_OPTF_SECRET)
        explicit_bzero(v->text, strlen(v->text));
    free(v->text);
    for (uint32_t i = 0; v->items && i < v->n_items; i++)
        free(v->items[i]);
    free(v->items);
    v->text = NULL;
    v->items = NULL;
    v->n_items = 0;
    v->has = false;
}
