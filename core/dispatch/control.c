/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - the snapshot of running waves and routes that all workers share, reloaded when it is
 * old or somebody said that something changed. */
#include "dispatch/dispatch_int.h"

#include "base/clock.h"

/* A load with a thousand waves is no small thing: while one thread is at it the others work with
 * what there is, for a bounded time. An old snapshot only costs a look in vain: every intent asks
 * the database again whether the wave may go on. */
static bool must_load(const struct dispatch *d)
{
    if (!d->control)
        return true;
    int64_t age = clock_mono_ms() - d->control_mono_ms;
    bool stale = d->control_changes != d->changes || age > CONTROL_AGE_MS;
    bool at_it = d->control_loading && d->loading_changes == d->changes;
    return stale && !(at_it && age <= CONTROL_AGE_MAX_MS);
}

/* The snapshot that was there, when nobody uses it any more: for the caller to free unlocked. */
static struct control *replace(struct dispatch *d, struct control *fresh, uint64_t load,
                               uint64_t changes, int64_t asked_ms)
{
    if (load < d->control_load) /* a later load was faster */
        return fresh;
    struct control *old = d->control;
    if (d->control_changes != changes) { /* who looked in vain meanwhile looks again */
        dispatch_work_here(d);
    }
    d->control = fresh;
    d->control_load = load;
    d->control_changes = changes;
    d->control_mono_ms = asked_ms;
    return old && --old->refs > 0 ? NULL : old;
}

struct control *control_ref(struct worker *w, struct diag *diag)
{
    struct dispatch *d = w->d;
    struct control *fresh = NULL, *old = NULL;
    (void)pthread_mutex_lock(&d->lock);
    bool load = must_load(d);
    uint64_t no = load ? ++d->loads : 0, changes = d->changes;
    if (load) {
        d->control_loading = true;
        d->loading_changes = changes;
    }
    (void)pthread_mutex_unlock(&d->lock);
    int64_t asked_ms = clock_mono_ms();
    int rc = load ? store_control_load(w->db, &fresh, diag) : 0;
    (void)pthread_mutex_lock(&d->lock);
    if (load)
        d->control_loading = false;
    if (fresh)
        old = replace(d, fresh, no, changes, asked_ms);
    struct control *c = rc < 0 ? NULL : d->control;
    if (c)
        c->refs++;
    (void)pthread_mutex_unlock(&d->lock);
    control_free(old);
    return c;
}

void control_unref(struct dispatch *d, struct control *c)
{
    (void)pthread_mutex_lock(&d->lock);
    bool last = --c->refs == 0;
    (void)pthread_mutex_unlock(&d->lock);
    if (last)
        control_free(c);
}
