/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_refusals.c - one bad plugin per refusal: the loader must say the right sentence and take
 * none of them. Usage: plugin_refusals [DIRECTORY of the fixture .so files]; prints TAP. */
#include "plugin/loader.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct refusal {
    const char *name;
    int code;
    const char *sentence;
};

static const struct refusal refusals[] = {
    {"bad_magic", CGW_EINVAL,
     "bad_magic.so: not a campgw plugin: its magic is 0x0badf00d instead of 0x43475750; export the "
     "descriptor with "
     "CGW_CHANNEL_PLUGIN() or CGW_CAMPAIGN_PLUGIN()"},
    {"bad_major", CGW_EVERSION,
     "bad_major.so: built for plugin ABI 2.0, this gateway offers 1.0; rebuild against "
     "campgw-plugin 1.x"},
    {"bad_minor", CGW_EVERSION,
     "bad_minor.so: built for plugin ABI 1.1, this gateway offers only 1.0; upgrade the gateway or "
     "rebuild "
     "against campgw-plugin 1.0"},
    {"bad_size", CGW_EINVAL,
     "bad_size.so: its descriptor has 40 bytes, ABI 1.0 began with 96; rebuild against the "
     "installed headers"},
    {"bad_missing_op", CGW_EINVAL,
     "bad_missing_op.so: lacks the required channel operation submit(); see cgw/channel.h"},
    {"bad_both", CGW_EINVAL,
     "bad_both.so: offers channel and campaign operations; a plugin is one of the two, make two "
     "files"},
    {"bad_none", CGW_EINVAL,
     "bad_none.so: offers no operations; set .channel or .campaign in the descriptor"},
    {"bad_kind", CGW_EINVAL,
     "bad_kind.so: says kind 2 but has channel operations (kind 1); use CGW_CHANNEL_PLUGIN()"},
    {"bad_name", CGW_EINVAL,
     "bad_name.so: calls itself \"channel_else\"; rename the file to channel_else.so or the plugin "
     "to match"},
    {"bad_option", CGW_EINVAL,
     "bad_option.so: option window: its default does not fit its own schema: 0 is below the "
     "minimum 1 (pdus)"},
    {"bad_ops_size", CGW_EINVAL,
     "bad_ops_size.so: its channel operations have 24 bytes, ABI 1.0 began with 96; set .size = "
     "sizeof(struct "
     "cgw_channel_ops)"},
    {"bad_symbol", CGW_ENOTFOUND,
     "bad_symbol.so: exports no symbol cgw_plugin, so it is no campgw plugin; export one with "
     "CGW_CHANNEL_PLUGIN() or CGW_CAMPAIGN_PLUGIN()"},
};

static unsigned n_tests, n_failed;

static void ok(bool good, const char *what, const char *detail)
{
    n_failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++n_tests, what);
    if (!good)
        printf("# %s\n", detail);
}

static void refuses(const char *dir, const struct refusal *r)
{
    char path[1024], what[128];
    struct diag d = {0};
    struct plugin *p = NULL;
    (void)snprintf(path, sizeof path, "%s/%s.so", dir, r->name);
    int rc = plugin_load(path, &p, &d);
    (void)snprintf(what, sizeof what, "%s is refused with its own sentence", r->name);
    ok(rc == r->code && !p && !strcmp(d.text, r->sentence), what, d.text);
}

static void duplicate(const char *dir)
{
    char path[1024], twin_dir[1024], twin[1100], want[256];
    struct diag d = {0};
    struct plugin *p = NULL, *q = NULL;
    (void)snprintf(path, sizeof path, "%s/fine.so", dir);
    ok(!plugin_load(path, &p, &d) && p && !strcmp(p->desc.name, "fine"),
       "a plugin without fault is taken", d.text);
    ok(plugin_load(path, &q, &d) == CGW_EEXISTS && !q, "the same file a second time is refused",
       d.text);
    /* another file with the same name, as an upgrade beside the old one would be */
    (void)snprintf(twin_dir, sizeof twin_dir, "%s", "plugin_refusals.XXXXXX");
    if (!mkdtemp(twin_dir)) {
        ok(false, "a directory for the twin", twin_dir);
        return;
    }
    (void)snprintf(twin, sizeof twin, "%s/fine.so", twin_dir);
    char absolute[4096];
    ok(realpath(path, absolute) && !symlink(absolute, twin), "the twin can be made", twin);
    (void)snprintf(want, sizeof want,
                   "fine.so: a plugin named \"fine\" is already loaded from %.100s; load it once",
                   path);
    ok(plugin_load(twin, &q, &d) == CGW_EEXISTS && !strcmp(d.text, want),
       "a second plugin of that name is refused and told from where", d.text);
    (void)unlink(twin);
    (void)rmdir(twin_dir);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "tests/fixtures/plugins/.libs";
    struct diag d = {0};
    struct plugin *p = NULL;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        refuses(dir, &refusals[i]);
    ok(plugin_load("/nonexistent/channel_x.so", &p, &d) == CGW_ENOTFOUND &&
           strstr(d.text, "channel_x.so: cannot be loaded"),
       "a missing file is named", d.text);
    duplicate(dir);
    ok(plugin_at(0) == plugin_find("fine") && !plugin_at(1),
       "nothing that was refused is in the list", "plugin_at");
    printf("1..%u\n", n_tests);
    return n_failed != 0;
}
