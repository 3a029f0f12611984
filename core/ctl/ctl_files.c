/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_files.c - files that `setup` writes: whole or not at all, never over another, and the
 * configuration's text from its own table. Source of the syntax: libconfig's manual. */
#include "ctl/ctl_local.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int local_mkdir(const char *path, unsigned mode, bool *ret_made, struct diag *diag)
{
    char part[4096];
    struct stat st;
    size_t n = strlen(path);
    *ret_made = false;
    if (n == 0 || n >= sizeof part)
        return diag_set(diag, CGW_EINVAL, "", "a path has 1 to %zu bytes", sizeof part - 1);
    for (size_t i = 1; i <= n;
         i++) { /* each parent with the usual rights, the last one with mode */
        if (path[i] && path[i] != '/')
            continue;
        (void)snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, path[i] ? 0755 : mode) == 0)
            *ret_made = path[i] == 0;
        else if (errno != EEXIST)
            return diag_set(diag, -errno, part, "cannot make the directory: %s", strerror(errno));
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode)
               ? 0
               : diag_set(diag, -ENOTDIR, path, "is no directory");
}

int local_write_new(const char *path, const void *data, size_t len, unsigned mode,
                    struct diag *diag)
{
    char tmp[4200];
    (void)snprintf(tmp, sizeof tmp, "%s.%ld.tmp", path, (long)getpid());
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return diag_set(diag, -errno, path, "cannot write: %s", strerror(errno));
    int rc = file_write(fd, data, len);
    if (rc == 0 && (fsync(fd) != 0 || fchmod(fd, (mode_t)mode) != 0))
        rc = -errno;
    (void)close(fd);
    if (rc == 0 && link(tmp, path) != 0) /* link(2) refuses an existing name, rename(2) does not */
        rc = -errno;
    (void)unlink(tmp);
    return rc < 0 ? diag_set(diag, rc, path, "cannot write: %s", strerror(-rc)) : 0;
}

/* ---- the configuration's text
 * --------------------------------------------------------------------------------------------------
 */
static void put_value(struct buf *out, const struct config_key *k, const char *value)
{
    if (k->type != 's') {
        buf_puts(out, value);
        return;
    }
    buf_putc(out, '"');
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *p);
    }
    buf_putc(out, '"');
}

static const char *value_of(const struct local_setting *set, const char *key)
{
    for (; set->key; set++)
        if (!strcmp(set->key, key))
            return set->value;
    return NULL;
}

static void put_key(struct buf *out, const struct config_key *k, const char *name,
                    const char *value, const char *indent)
{
    char def[32];
    const char *absent = k->text_default;
    if (k->type != 's') {
        (void)snprintf(def, sizeof def, "%d", k->int_default);
        absent = def;
    }
    buf_printf(out, "%s# %s", indent, k->help);
    if (k->type != 's')
        buf_printf(out, " (%d to %d%s%s)", k->min, k->max, k->unit ? " " : "",
                   k->unit ? k->unit : "");
    /* a key that is reread says so in its help */
    buf_printf(out, "%s\n%s%s%s = ", strstr(k->help, "HUP") ? "" : "; takes a restart", indent,
               value ? "" : "# ", name);
    put_value(out, k, value ? value : absent);
    buf_puts(out, ";\n");
}

static void put_groups(struct buf *out, const struct local_setting *set)
{
    char group[64] = "";
    for (const struct config_key *k = config_keys; k->key; k++) {
        const char *dot = strchr(k->key, '.');
        char now[64] = "";
        if (dot)
            (void)snprintf(now, sizeof now, "%.*s", (int)(dot - k->key), k->key);
        if (strcmp(now, group) != 0) {
            buf_puts(out, group[0] ? "};\n" : "");
            buf_printf(out, now[0] ? "\n%s: {\n" : "%s\n", now);
            (void)snprintf(group, sizeof group, "%s", now);
        }
        put_key(out, k, dot ? dot + 1 : k->key, value_of(set, k->key), dot ? "    " : "");
    }
    buf_puts(out, group[0] ? "};\n" : "");
}

void local_conf_text(const struct local_setting *set, const char *conf_dir, struct buf *out)
{
    buf_printf(out,
               "# campgw.conf - configuration of campgwd; written by `campgwctl setup`. Manual: "
               "campgw.conf(5).\n"
               "# What is commented out is the default. `campgwd -c %s/campgw.conf --check-config` "
               "judges changes.\n\n",
               conf_dir);
    put_groups(out, set);
    buf_printf(out,
               "\n# Plugins and channel instances; the options of a plugin: `campgwctl plugin show "
               "NAME`, and its README.\n"
               "plugins: {\n"
               "    # directory = \"" CGW_PKGLIBDIR "\";   # where NAME.so is\n"
               "    # credentials = \"%s\";   # files that secret options name; "
               "$CREDENTIALS_DIRECTORY wins\n"
               "    load = [ \"campaign_broadcast\" ];   # plugins without an instance\n"
               "};\n"
               "instances = (\n"
               "    # { name = \"smsc-a\"; plugin = \"channel_smpp\"; host = \"smsc.example.net\"; "
               "system_id = \"campgw\"; password = \"smsc-a.password\"; }\n"
               ");\n",
               value_of(set, "credentials") ? value_of(set, "credentials")
                                            : CGW_SYSCONFDIR "/credentials");
}
