/* SPDX-License-Identifier: Apache-2.0 */
/* loader.c - see loader.h. Opens files and keeps the list; the judging is descriptor.c's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr1 */
#endif
#include "plugin/loader.h"

#include "plugin/descriptor.h"
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plugin *list[PLUGINS_MAX]; /* owned, for ever */
static uint32_t n_list;

static const char *file_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static size_t symbol_size(const void *addr)
{
    Dl_info info;
    void *extra = NULL;
    if (!dladdr1(addr, &info, &extra, RTLD_DL_SYMENT) || !extra)
        return 0;
    return ((const ElfW(Sym) *)extra)->st_size;
}

static struct plugin *find_locked(const char *name, bool isolated)
{
    for (uint32_t i = 0; i < n_list; i++)
        if (!strcmp(list[i]->desc.name, name) && list[i]->isolated == isolated)
            return list[i];
    return NULL;
}

static int open_and_judge(struct plugin *p, const char *file, struct diag *diag)
{
    p->dl = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    if (!p->dl) {
        const char *why = dlerror();
        return diag_set(diag, CGW_ENOTFOUND, file, "%s: cannot be loaded: %.160s", file,
                        why ? why : "no reason given");
    }
    const struct cgw_abi_prefix *exported = dlsym(p->dl, "cgw_plugin");
    if (!exported)
        return diag_set(
            diag, CGW_ENOTFOUND, file,
            "%s: exports no symbol cgw_plugin, so it is no campgw plugin; export one with "
            "CGW_CHANNEL_PLUGIN() or CGW_CAMPAIGN_PLUGIN()",
            file);
    int rc = descriptor_accept(exported, symbol_size(exported), file, p, diag);
    if (rc)
        return rc;
    const struct plugin *twin = find_locked(p->desc.name, false);
    if (twin)
        return diag_set(diag, CGW_EEXISTS, file,
                        "%s: a plugin named \"%s\" is already loaded from %.100s; load it once",
                        file, p->desc.name, twin->path);
    return 0;
}

/* diag holds copies of all it prints, so the file may go. A coverage or leak run keeps it mapped
 * for its symbols. */
static void refuse(struct plugin *p)
{
#ifndef CGW_KEEP_REFUSED_PLUGINS
    if (p->dl)
        (void)dlclose(p->dl);
#endif
    free(p->path);
    free(p);
}

int plugin_load(const char *path, struct plugin **ret, struct diag *diag)
{
    const char *file = file_of(path);
    struct plugin *p = calloc(1, sizeof *p);
    /* Without a slash dlopen() would search the library path: a plugin is a file that somebody
     * named. */
    if (p && asprintf(&p->path, "%s%s", file == path ? "./" : "", path) < 0)
        p->path = NULL;
    if (!p || !p->path) {
        free(p);
        return diag_set(diag, -ENOMEM, file, "%s: out of memory", file);
    }
    (void)pthread_mutex_lock(&list_lock);
    int rc = n_list < PLUGINS_MAX ? open_and_judge(p, file, diag)
                                  : diag_set(diag, CGW_ELIMIT, file,
                                             "%s: %u plugins are loaded already, which is the most",
                                             file, PLUGINS_MAX);
    if (rc)
        refuse(p);
    else
        list[n_list++] = p;
    (void)pthread_mutex_unlock(&list_lock);
    if (!rc)
        *ret = p;
    return rc;
}

int plugin_adopt(struct plugin *p, struct diag *diag)
{
    (void)pthread_mutex_lock(&list_lock);
    bool twin = find_locked(p->desc.name, true) != NULL, full = n_list == PLUGINS_MAX;
    if (!twin && !full)
        list[n_list++] = p;
    (void)pthread_mutex_unlock(&list_lock);
    if (full)
        return diag_set(diag, CGW_ELIMIT, p->desc.name,
                        "%s: %u plugins are loaded already, which is the most", p->desc.name,
                        PLUGINS_MAX);
    return twin ? diag_set(diag, CGW_EEXISTS, p->desc.name, "%s: is known already", p->desc.name)
                : 0;
}

static struct plugin *find(const char *name, bool isolated)
{
    (void)pthread_mutex_lock(&list_lock);
    struct plugin *p = find_locked(name, isolated);
    (void)pthread_mutex_unlock(&list_lock);
    return p;
}

struct plugin *plugin_find(const char *name)
{
    return find(name, false);
}

struct plugin *plugin_find_isolated(const char *name)
{
    return find(name, true);
}

struct plugin *plugin_at(uint32_t i)
{
    (void)pthread_mutex_lock(&list_lock);
    struct plugin *p = i < n_list ? list[i] : NULL;
    (void)pthread_mutex_unlock(&list_lock);
    return p;
}
