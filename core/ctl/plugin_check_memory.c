/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_memory.c - see plugin_check_sabotage.h: the memory half. Only the import slots of
 * the plugin's own file are turned, not malloc itself: what fails is what the plugin asked for,
 * neither the gateway's memory nor that of a library that is known to abort. So it also works
 * beneath valgrind and sanitizers. Source: the ELF gABI, dynamic section and relocations. */
#include "plugin_check_sabotage.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint32_t n_calls, fail_at;
static _Atomic bool fail_after;

static bool fails(void)
{
    uint32_t nth = atomic_fetch_add(&n_calls, 1) + 1, at = atomic_load(&fail_at);
    bool yes = at && (nth == at || (nth > at && atomic_load(&fail_after)));
    if (yes)
        errno = ENOMEM;
    return yes;
}

static void *hook_malloc(size_t n)
{
    return fails() ? NULL : malloc(n);
}
static void *hook_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}
static void *hook_realloc(void *p, size_t n)
{
    return fails() ? NULL : realloc(p, n);
}
static void *hook_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : reallocarray(p, n, size);
}
static void *hook_aligned(size_t align, size_t n)
{
    return fails() ? NULL : aligned_alloc(align, n);
}
static int hook_posix_memalign(void **ret, size_t align, size_t n)
{
    return fails() ? ENOMEM : posix_memalign(ret, align, n);
}
static char *hook_strdup(const char *s)
{
    return fails() ? NULL : strdup(s);
}
static char *hook_strndup(const char *s, size_t n)
{
    return fails() ? NULL : strndup(s, n);
}
static CGW_PRINTF(2, 0) int hook_vasprintf(char **ret, const char *fmt, va_list ap)
{
    return fails() ? -1 : vasprintf(ret, fmt, ap);
}
static CGW_PRINTF(2, 3) int hook_asprintf(char **ret, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = hook_vasprintf(ret, fmt, ap);
    va_end(ap);
    return n;
}

#define HOOK(name_, fn_)                                                                           \
    {                                                                                              \
        name_, (uintptr_t)(fn_)                                                                    \
    }
static const struct hook {
    const char *name;
    uintptr_t to;
} hooks[] = {
    HOOK("malloc", hook_malloc),
    HOOK("calloc", hook_calloc),
    HOOK("realloc", hook_realloc),
    HOOK("reallocarray", hook_reallocarray),
    HOOK("aligned_alloc", hook_aligned),
    HOOK("memalign", hook_aligned),
    HOOK("posix_memalign", hook_posix_memalign),
    HOOK("strdup", hook_strdup),
    HOOK("__strdup", hook_strdup),
    HOOK("strndup", hook_strndup),
    HOOK("__strndup", hook_strndup),
    HOOK("vasprintf", hook_vasprintf),
    HOOK("asprintf", hook_asprintf),
};

/* ---- the file's imports */

struct imports {
    const ElfW(Sym) * symbols;
    const char *names;
    struct table {
        const ElfW(Rela) * v;
        size_t n;
    } tables[2];
    ElfW(Addr) base;
};

static int read_imports(const struct plugin *p, struct imports *im)
{
    struct link_map *map = NULL;
    *im = (struct imports){0};
    if (!p->dl || dlinfo(p->dl, RTLD_DI_LINKMAP, &map) || !map) /* isolated: not loaded here */
        return -ENOENT;
    im->base = map->l_addr;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        const void *at = (const void *)d->d_un.d_ptr;
        if (d->d_tag == DT_SYMTAB)
            im->symbols = at;
        else if (d->d_tag == DT_STRTAB)
            im->names = at;
        else if (d->d_tag == DT_JMPREL)
            im->tables[0].v = at;
        else if (d->d_tag == DT_PLTRELSZ)
            im->tables[0].n = d->d_un.d_val / sizeof(ElfW(Rela));
        else if (d->d_tag == DT_RELA)
            im->tables[1].v = at;
        else if (d->d_tag == DT_RELASZ)
            im->tables[1].n = d->d_un.d_val / sizeof(ElfW(Rela));
    }
    for (size_t t = 0; t < ARRAY_LEN(im->tables); t++)
        if (!im->tables[t].v) /* a length without its table: nothing to walk */
            im->tables[t].n = 0;
    return im->symbols && im->names ? 0 : -ENOENT;
}

/* ELF32_R_SYM and ELF64_R_SYM: the half of r_info that names the symbol. */
static const char *import_name(const struct imports *im, const ElfW(Rela) * r)
{
    size_t i = sizeof(r->r_info) == 8 ? (size_t)(r->r_info >> 32) : (size_t)(r->r_info >> 8);
    return i ? im->names + im->symbols[i].st_name : "";
}

static int turn_slot(ElfW(Addr) at, uintptr_t to)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)(at & ~(ElfW(Addr))(page - 1));
    if (mprotect(start, page, PROT_READ | PROT_WRITE)) /* RELRO made it read-only */
        return -errno;
    memcpy((void *)at, &to, sizeof to);
    return 0;
}

static const struct hook *hook_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
        if (!strcmp(hooks[i].name, name))
            return &hooks[i];
    return NULL;
}

int memory_hook(const struct plugin *p)
{
    struct imports im;
    int n = 0, rc = read_imports(p, &im);
    for (size_t t = 0; t < ARRAY_LEN(im.tables) && !rc; t++)
        for (size_t i = 0; i < im.tables[t].n && !rc; i++) {
            const ElfW(Rela) *r = &im.tables[t].v[i];
            const struct hook *h = hook_of(import_name(&im, r));
            if (h && !(rc = turn_slot(im.base + r->r_offset, h->to)))
                n++;
        }
    return rc ? rc : n;
}

void memory_fail_at(uint32_t nth, bool and_after)
{
    atomic_store(&fail_at, 0);
    atomic_store(&n_calls, 0);
    atomic_store(&fail_after, and_after);
    atomic_store(&fail_at, nth);
}

uint32_t memory_calls(void)
{
    return atomic_load(&n_calls);
}

bool memory_imports(const struct plugin *p, const char *function)
{
    struct imports im;
    if (read_imports(p, &im))
        return false;
    for (size_t t = 0; t < ARRAY_LEN(im.tables); t++)
        for (size_t i = 0; i < im.tables[t].n; i++)
            if (!strcmp(import_name(&im, &im.tables[t].v[i]), function))
                return true;
    return false;
}
