/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_describe.c - what a plugin file is, asked of a process that may load it. The gateway
 * keeps a descriptor whose texts and tables it owns, judged like one it loaded, and whose
 * operations are frames. */
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "plugin/descriptor.h"
#include <errno.h>
#include <stdio.h>

static int get_refused(struct frame *f, struct diag *diag)
{
    int rc = (int32_t)frame_get_u32(f);
    const char *where = frame_get_word(f, sizeof diag->where - 1);
    const char *text = frame_get_word(f, sizeof diag->text - 1);
    return diag_set(diag, rc < 0 ? rc : CGW_EINVAL, where, "%s", text);
}

static int ask(const char *path, const struct conf_isolation *how, struct described **ret,
               struct diag *diag)
{
    struct child_process c;
    struct frame_reader r = {0};
    struct frame f;
    int64_t until = clock_mono_ms() + ISOLATE_CREATE_MS;
    int rc = child_spawn(path, how, &c, diag), got = 0;
    if (rc)
        return rc;
    while (!got && child_wait(c.main_fd, until)) {
        int64_t n = frame_fill(&r, c.main_fd);
        if (n <= 0 && n != -EAGAIN && n != -EINTR)
            break;
        got = frame_next(&r, true, &f);
    }
    if (got > 0 && f.type == FRAME_REFUSED) {
        rc = get_refused(&f, diag);
    } else {
        if (got > 0 && f.type == FRAME_DESCRIBED)
            (void)frame_get_u32(&f);
        rc = got > 0 && f.type == FRAME_DESCRIBED ? plugin_get(&f, ret) : CGW_EINVAL;
        if (rc)
            (void)diag_set(diag, rc, path, "%.160s: its process ended, or did not say what it is",
                           path);
    }
    (void)shutdown(c.main_fd, SHUT_RDWR);
    (void)child_end(&c, ISOLATE_STOP_MS);
    frame_reader_done(&r);
    return rc;
}

static struct cgw_plugin_desc *make_desc(struct described *d, struct cgw_channel_ops *ops)
{
    struct cgw_plugin_desc *desc = calloc(1, sizeof *desc);
    if (!desc)
        return NULL;
    *ops = isolate_ops;
    ops->stored = d->ops & PLUGIN_OP_STORED ? isolate_ops.stored : NULL;
    ops->cancel = d->ops & PLUGIN_OP_CANCEL ? isolate_ops.cancel : NULL;
    ops->query = d->ops & PLUGIN_OP_QUERY ? isolate_ops.query : NULL;
    ops->recall = d->ops & PLUGIN_OP_RECALL ? isolate_ops.recall : NULL;
    ops->tally = d->ops & PLUGIN_OP_TALLY ? isolate_ops.tally : NULL;
    for (uint32_t i = 0; i < d->n_routes; i++)
        d->routes[i].handler = isolate_http;
    *desc = (struct cgw_plugin_desc){
        .abi = CGW_ABI_PREFIX(CGW_KIND_CHANNEL),
        .flags = d->flags & ~(uint64_t)CGW_F_SHARED_LOOP, /* each instance has its own process */
        .name = d->name,
        .version = d->version,
        .vendor = d->vendor,
        .options = d->n_options ? d->options : NULL,
        .counters = d->n_counters ? d->counters : NULL,
        .caps = &d->caps,
        .routes = d->n_routes ? d->routes : NULL,
        .channel = ops};
    desc->abi.abi_minor = (uint16_t)d->abi_minor;
    return desc;
}

int isolate_describe(const char *path, const struct conf_isolation *how, struct plugin **ret,
                     struct diag *diag)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    struct described *d = NULL;
    int rc = ask(path, how, &d, diag);
    if (rc)
        return rc;
    struct cgw_channel_ops ops;
    struct cgw_plugin_desc *desc = make_desc(d, &ops);
    struct plugin *p = calloc(1, sizeof *p);
    if (p && asprintf(&p->path, "%s", path) < 0)
        p->path = NULL;
    rc = desc && p && p->path ? descriptor_accept(&desc->abi, 0, file, p, diag) : -ENOMEM;
    free(desc); /* copied; what it points to stays */
    if (!rc) {
        p->isolated = true;
        rc = plugin_adopt(p, diag);
    }
    if (rc) {
        free(p ? p->path : NULL);
        free(p);
        (void)described_free(d);
        return rc;
    }
    *ret = p; /* d lives as long as it: tables and texts */
    return 0;
}
