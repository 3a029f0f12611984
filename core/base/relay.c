/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - see relay.h. A block belongs to the filling side until it is counted in `passed`, to
 * the taking side until it is counted in `taken`. */
#include "base/relay.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct relay {
    void *block[RELAY_BLOCKS]; /* the caller's */
    relay_take_fn take;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t passed, taken;
    bool ended;
    int rc; /* of take */
    struct diag why;
};

static void *taker_main(void *arg)
{
    struct relay *r = arg;
    (void)pthread_mutex_lock(&r->lock);
    while (r->rc == 0) {
        while (r->passed == r->taken && !r->ended)
            (void)pthread_cond_wait(&r->moved, &r->lock);
        if (r->passed == r->taken)
            break;
        void *block = r->block[r->taken % RELAY_BLOCKS];
        struct diag d = {0};
        (void)pthread_mutex_unlock(&r->lock);
        int rc = r->take(r->ctx, block, &d);
        (void)pthread_mutex_lock(&r->lock);
        r->taken++;
        r->rc = rc;
        r->why = d;
        (void)pthread_cond_signal(&r->moved);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct relay *relay_new(void *const blocks[RELAY_BLOCKS], relay_take_fn take, void *ctx,
                        struct diag *diag)
{
    struct relay *r = calloc(1, sizeof *r);
    if (!r) {
        (void)diag_set(diag, -ENOMEM, "", "out of memory");
        return NULL;
    }
    memcpy(r->block, blocks, sizeof r->block);
    r->take = take;
    r->ctx = ctx;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->moved, NULL);
    int rc = pthread_create(&r->thread, NULL, taker_main, r);
    if (rc == 0)
        return r;
    (void)diag_set(diag, -rc, "", "cannot start a thread: %s", strerror(rc));
    (void)pthread_cond_destroy(&r->moved);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}

void *relay_block(const struct relay *r)
{
    return r->block[r->passed % RELAY_BLOCKS]; /* only the filling side writes it */
}

int relay_pass(struct relay *r, struct diag *diag)
{
    (void)pthread_mutex_lock(&r->lock);
    r->passed++;
    (void)pthread_cond_signal(&r->moved);
    while (r->rc == 0 && r->passed - r->taken == RELAY_BLOCKS)
        (void)pthread_cond_wait(&r->moved, &r->lock);
    int rc = r->rc;
    if (rc < 0 && diag)
        *diag = r->why;
    (void)pthread_mutex_unlock(&r->lock);
    return rc;
}

int relay_end(struct relay *r, struct diag *diag)
{
    if (!r)
        return 0;
    (void)pthread_mutex_lock(&r->lock);
    r->ended = true;
    (void)pthread_cond_signal(&r->moved);
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    int rc = r->rc;
    if (rc < 0 && diag)
        *diag = r->why;
    (void)pthread_cond_destroy(&r->moved);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    return rc;
}
