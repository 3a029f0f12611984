/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_conf.c - instance options from a configuration file: values, and a sentence with file and
 * line for each mistake. Usage: plugin_conf LOOPBACK.so; prints TAP. */
#include "plugin/conf.h"
#include "plugin/registry.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static unsigned n_tests, n_failed;

static void ok(bool good, const char *what, const char *detail)
{
    n_failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++n_tests, what);
    if (!good)
        printf("# %s\n", detail);
}

static char dir[] = "plugin_conf.XXXXXX";
static char file[64];
static bool write_file(const char *name, const char *text);

static int load(const char *text, struct registry *r, struct diag *d)
{
    FILE *f = fopen(file, "w");
    config_t cfg;
    config_init(&cfg);
    if (!f || fputs(text, f) < 0 || fclose(f) || !config_read_file(&cfg, file)) {
        printf("# %s\n", config_error_text(&cfg));
        abort();
    }
    memset(d, 0, sizeof *d);
    int rc = registry_check_config(r, &cfg, d);
    config_destroy(&cfg);
    return rc;
}

struct mistake {
    const char *text;
    unsigned line;
    const char *sentence;
};

static const struct mistake mistakes[] = {
    {"instances = ( { name = \"smsc-a\"; plugin = \"channel_loopback\";\n window = 0; } );", 2,
     "instance smsc-a: option window: 0 is below the minimum 1 (messages)"},
    {"instances = ( { name = \"a\"; plugin = \"channel_loopback\";\n\n windw = 5; } );", 3,
     "instance a: option windw is not known; did you mean window?"},
    {"instances = ( { name = \"a\"; plugin = \"channel_loopback\"; window = \"5\"; } );", 1,
     "instance a: option window: must be a number"},
    {"instances = ( { name = \"a\"; plugin = \"channel_loopback\"; window = 5.0; } );", 1,
     "instance a: option window: must be a number"},
    {"instances = ( { name = \"a\"; plugin = \"channel_loopback\"; delay_ms = 99999999999L; } );",
     1, "instance a: option delay_ms: 99999999999 is above the maximum 60000 (ms)"},
    {"instances = ( { name = \"a b\"; plugin = \"channel_loopback\"; } );", 1,
     "an instance needs a name of letters, digits, - and _ in quotes"},
    {"instances = (\n { name = \"a\"; plugin = \"channel_loopback\"; },\n { name = \"a\"; plugin = "
     "\"channel_loopback\"; } );",
     3, "a second instance has the name a"},
    {"instances = ( { name = \"a\"; plugin = \"channel_nowhere\"; } );", 1,
     "plugin channel_nowhere: plugins.directory is not set"},
    {"plugins = { directry = \"/x\"; };", 1,
     "plugins.directry is not known; did you mean directory?"},
    {"plugins = { directory = 5; };", 1, "must be a string in quotes: plugins.directory"},
    {"instances = 5;", 1,
     "instances must be a list of groups: instances = ( { name = \"…\"; … } );"},
};

static void tells_each_mistake(struct registry *r)
{
    struct diag d;
    char where[96], what[160];
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        int rc = load(mistakes[i].text, r, &d);
        (void)snprintf(where, sizeof where, "%s:%u", file, mistakes[i].line);
        (void)snprintf(what, sizeof what, "mistake %zu: %s", i + 1, mistakes[i].sentence);
        ok(rc && !strcmp(d.text, mistakes[i].sentence) && !strcmp(d.where, where), what, d.text);
    }
    int rc = load("instances = ( { name = \"a\"; plugin = \"channel_loopback\"; window = 7; } );",
                  r, &d);
    ok(!rc, "a good configuration passes", d.text);
}

/* ---- types that loopback has not
 * ------------------------------------------------------------------------------------------------
 */

static const struct cgw_option schema[] = {
    {.key = "host", .type = CGW_OPT_STR, .flags = CGW_OPTF_REQUIRED, .max = 20, .help = "peer"},
    {.key = "password", .type = CGW_OPT_STR, .flags = CGW_OPTF_SECRET, .max = 8, .help = "secret"},
    {.key = "tls", .type = CGW_OPT_ENUM, .default_text = "off", .choices = "off|on", .help = "tls"},
    {.key = "verify", .type = CGW_OPT_BOOL, .default_text = "true", .help = "verify"},
    {.key = "codes", .type = CGW_OPT_LIST, .default_text = "[ \"8\", \"88\" ]", .help = "codes"},
    {0},
};

struct shown {
    char text[256];
};
static void collect(void *ctx, const struct cgw_option *o, const char *shown, bool from_default)
{
    struct shown *s = ctx;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof s->text - n, "%s=%s%s;", o->key, shown,
                   from_default ? "*" : "");
}

static void reads_all_types(const char *cred_dir)
{
    struct plugin p = {.n_options = ARRAY_LEN(schema) - 1,
                       .desc = {.name = "x", .options = schema}};
    const struct conf_pair good[] = {
        {"host", "smsc.example"}, {"password", "pw"}, {"tls", "on"}, {"codes", "1, 2,3"}};
    const struct conf_pair bad_enum[] = {{"host", "h"}, {"tls", "maybe"}},
                           bad_secret[] = {{"host", "h"}, {"password", "../pw"}};
    const struct conf_pair none[] = {{"tls", "on"}},
                           long_secret[] = {{"host", "h"}, {"password", "long"}};
    struct cgw_conf *c = NULL;
    struct shown s = {""};
    struct diag d = {0};
    ok(!conf_from_pairs(&p, "a", good, ARRAY_LEN(good), cred_dir, &c, &d), "every type is read",
       d.text);
    ok(c && !strcmp(conf_str(c, "password"), "s3cret") && conf_count(c, "codes") == 3 &&
           !strcmp(conf_item(c, "codes", 2), "3") && conf_int(c, "verify") == 1,
       "with its value, secrets by the content of their file", d.text);
    conf_foreach(c, collect, &s);
    ok(!strcmp(s.text, "host=smsc.example;password=set;tls=on;verify=true*;codes=1, 2, 3;"),
       "and is shown without the secret", s.text);
    c = conf_free(c);
    ok(conf_from_pairs(&p, "a", bad_enum, 2, cred_dir, &c, &d) &&
           !strcmp(d.text, "instance a: option tls: \"maybe\" is not one of off|on"),
       "a wrong word is told the right ones", d.text);
    ok(conf_from_pairs(&p, "a", none, 1, cred_dir, &c, &d) &&
           !strcmp(d.text, "instance a: option host is required: peer"),
       "a missing required option is named", d.text);
    ok(conf_from_pairs(&p, "a", bad_secret, 2, cred_dir, &c, &d) &&
           strstr(d.text, "NAME of a file"),
       "a secret is no path", d.text);
    ok(conf_from_pairs(&p, "a", long_secret, 2, cred_dir, &c, &d) && !strstr(d.text, "0123") &&
           strstr(d.text, "above the maximum 8"),
       "a secret that is too long is not printed", d.text);
}

static void no_result(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                      uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)r;
    (void)n;
}

static void makes_and_drains_instances(void)
{
    static const char text[] =
        "instances = ( { name = \"a\"; plugin = \"channel_loopback\"; window = 7; },\n"
        "              { name = \"b-2\"; plugin = \"channel_loopback\"; } );";
    struct registry_opts opts = {.sink = {.complete = no_result}};
    struct registry *r = NULL;
    struct diag d = {0};
    config_t cfg;
    char where[96];
    config_init(&cfg);
    int rc = registry_new(&opts, &r, &d);
    if (!rc && write_file("c.conf", text) && config_read_file(&cfg, file))
        rc = registry_load_config(r, &cfg, &d);
    config_destroy(&cfg);
    struct plugin_instance *b = r ? registry_find(r, "b-2") : NULL;
    (void)snprintf(where, sizeof where, "%s:2", file);
    ok(!rc && b && !registry_at(r, 2) && !strcmp(registry_where(r, b), where),
       "instances are made as configured", d.text);
    ok(!registry_start(r, &d) && b && instance_credit(registry_find(r, "a"), CGW_LANE_BULK) == 6,
       "and take messages", d.text);
    ok(!registry_drain(r, 0) && b && !instance_credit(b, CGW_LANE_BULK), "until they are drained",
       d.text);
    (void)registry_free(r);
}

static bool write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    return f && fchmod(fileno(f), 0600) == 0 && fputs(text, f) >= 0 && !fclose(f);
}

static void remove_file(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)remove(path);
}

int main(int argc, char **argv)
{
    struct plugin *p;
    struct registry *r = NULL;
    struct registry_opts opts = {.plugin_dir = NULL};
    struct diag d = {0};
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    if (argc != 2 || plugin_load(argv[1], &p, &d) || !mkdtemp(dir) || registry_new(&opts, &r, &d)) {
        (void)fprintf(stderr, "usage: plugin_conf LOOPBACK.so: %s\n", d.text);
        return 2;
    }
    (void)snprintf(file, sizeof file, "%s/c.conf", dir);
    tells_each_mistake(r);
    ok(write_file("pw", "s3cret\n") && write_file("long", "0123456789"),
       "credential files can be made", dir);
    reads_all_types(dir);
    makes_and_drains_instances();
    (void)registry_free(r);
    remove_file("c.conf");
    remove_file("pw");
    remove_file("long");
    (void)rmdir(dir);
    printf("1..%u\n", n_tests);
    return n_failed != 0;
}
