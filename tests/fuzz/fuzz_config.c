/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - campgw.conf and the options of one instance. Input: a configuration. Promises: it
 * is refused with file:line and words, or every value is of its type and range; options are checked
 * against a schema with one of each type. The parser reads a file, so the text stands in memory
 * behind a path. Source document: core/config/config.h, core/plugin/conf.h. */
#include "config/config.h"
#include "fuzz_ingest.h"
#include "plugin/conf.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* libconfig 1.5 forgets the string and the token it is reading when a syntax error ends the file;
 * nothing of ours is excused by this. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static void check_values(const struct config *c)
{
    for (const struct config_key *k = config_keys; k->key; k++) {
        const char *at = (const char *)c + k->offset;
        if (k->type == 's') {
            CHECK(*(const char *const *)(const void *)at != NULL);
        } else {
            int v = *(const int *)(const void *)at;
            CHECK(v >= k->min && v <= k->max);
        }
    }
}

static const struct cgw_option options[] = {
    {"host", CGW_OPT_STR, CGW_OPTF_REQUIRED, NULL, 1, 64, NULL, NULL, "a text"},
    {"port", CGW_OPT_INT, 0, "2775", 1, 65535, NULL, NULL, "a number"},
    {"tls", CGW_OPT_BOOL, 0, "false", 0, 0, NULL, NULL, "yes or no"},
    {"mode", CGW_OPT_ENUM, 0, "a", 0, 0, "a|b|c", NULL, "a word"},
    {"words", CGW_OPT_LIST, 0, NULL, 0, 0, NULL, NULL, "texts"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL}};

static void check_instance(const config_setting_t *group)
{
    static const struct plugin plugin = {.desc = {.options = options},
                                         .n_options = ARRAY_LEN(options) - 1};
    struct cgw_conf *conf = NULL;
    struct diag why = {0};
    int rc = conf_from_group(&plugin, "one", group, NULL, &conf, &why);
    CHECK(rc == 0 ? conf != NULL : conf == NULL && why.text[0]);
    if (rc == 0) {
        int64_t port = conf_int(conf, "port"), tls = conf_int(conf, "tls");
        size_t host = strlen(conf_str(conf, "host"));
        CHECK(port >= 1 && port <= 65535 && (tls == 0 || tls == 1) && host >= 1 && host <= 64);
        CHECK(strstr("a b c", conf_str(conf, "mode")) && conf_count(conf, "words") <= 256);
    }
    (void)conf_free(conf);
}

static void load(const char *path)
{
    struct config *c = NULL;
    struct diag why = {0};
    int rc = config_load(path, &c, &why);
    CHECK(rc == 0 ? c != NULL : c == NULL && why.text[0] && why.where[0]);
    if (rc < 0)
        return;
    check_values(c);
    const config_setting_t *list = config_lookup(&c->file, "instances");
    for (int i = 0; list && i < config_setting_length(list); i++) {
        const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        if (group && config_setting_is_group(group))
            check_instance(group);
    }
    config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    if (size && memmem(data, size, "@include", 8))
        return 0; /* would read files of this machine */
    int fd = memfd_create("campgw.conf", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    load(path);
    (void)close(fd);
    return 0;
}
