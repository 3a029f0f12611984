/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - the snapshot of running waves and routes that all workers share, reloaded when it is
 * old or somebody woke us. */
#include "dispatch/dispatch_int.h"

#include "base/clock.h"

struct control *control_ref(struct worker *w, struct diag *diag)
{
    struct dispatch *d = w->d;
    struct control *fresh = NULL, *old = NULL;
    (void)pthread_mutex_lock(&d->lock);
    bool stale = !d->control || clock_mono_ms() - d->control_mono_ms > CONTROL_AGE_MS;
    (void)pthread_mutex_unlock(&d->lock);
    int64_t asked = clock_mono_ms();
    if (stale && store_control_load(w->db, &fresh, diag) < 0)
        return NULL;
    (void)pthread_mutex_lock(&d->lock);
    if (fresh) {
        old = d->control;
        d->control = fresh;
        d->control_mono_ms = asked;
        if (old && --old->refs > 0)
            old = NULL;
    }
    struct control *c = d->control;
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
