/* SPDX-License-Identifier: Apache-2.0 */
/* race_rules.c - rules cache and control snapshot: several threads read, compile and let go while
 * another changes the rules. Needs CAMPGW_TEST_DB, a migrated database. Source documents:
 * dispatch/rules_cache.h, dispatch/control.c. */
#include "dispatch/dispatch_int.h"
#include "dispatch/rules_cache.h"
#include "race.h"
#include "store/store_place.h"

#include <stdatomic.h>
#include <string.h>

#define READERS 4u
#define TURNS 300u
#define CHANGES 60u

static struct rules_cache *cache;
static struct dispatch shared;
static atomic_uint wrong;
static atomic_bool done;
static int16_t place;

static struct db *open_db(void)
{
    struct db *db = NULL;
    struct diag why = {0};
    if (db_open(getenv("CAMPGW_TEST_DB"), "race", &db, &why) != 0) {
        (void)printf("Bail out! %s\n", why.text);
        exit(1);
    }
    return db;
}

static void look(struct worker *w, int32_t *last, struct dice *d)
{
    struct diag why = {0};
    struct rules_ref *r = NULL;
    const struct windows *windows = NULL, *again = NULL;
    struct control *c = control_ref(w, &why);
    uint32_t class = CGW_CLASS_MARKETING + dice(d, 2), channel = 1 + dice(d, 3);
    if (!c || rules_cache_get(cache, w->db, 0, &r, &why) != 0) {
        (void)printf("# %s\n", why.text);
        atomic_fetch_add(&wrong, 1u);
        return;
    }
    int32_t version = rules_of(r)->version;
    if (version < *last || !c->running ||
        rules_windows(r, w->db, place, class, channel, &windows, &why) != 0 ||
        rules_windows(r, w->db, place, class, channel, &again, &why) != 0 || windows != again)
        atomic_fetch_add(&wrong, 1u);
    *last = version;
    rules_unref(r);
    control_unref(&shared, c);
}

static void *reader(void *arg)
{
    struct dice d = {(uint32_t)(uintptr_t)arg};
    struct worker w = {.d = &shared, .db = open_db()};
    int32_t last = 0;
    for (unsigned i = 0; i < TURNS; i++)
        look(&w, &last, &d);
    db_close(w.db);
    return NULL;
}

static void *changer(void *arg)
{
    struct db *db = open_db();
    struct diag why = {0};
    (void)arg;
    for (unsigned i = 0; i < CHANGES; i++)
        if (store_rules_touch(db, &why) != 0)
            atomic_fetch_add(&wrong, 1u);
    db_close(db);
    return NULL;
}

/* What wakes a dispatcher makes the snapshot old as well (dispatch.c). */
static void *waker(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        (void)pthread_mutex_lock(&shared.lock);
        shared.control_mono_ms = 0;
        (void)pthread_mutex_unlock(&shared.lock);
        (void)sched_yield();
    }
    return NULL;
}

int main(void)
{
    pthread_t t[READERS + 1], w;
    struct diag why = {0};
    if (!getenv("CAMPGW_TEST_DB")) {
        (void)printf("1..0 # SKIP CAMPGW_TEST_DB is not set\n");
        return 0;
    }
    struct db *db = open_db();
    static const char *const zones[] = {"Asia/Shanghai"};
    if (store_place_get(db, "CN", zones, 1, &place, &why) != 0) {
        (void)printf("Bail out! %s\n", why.text);
        return 1;
    }
    cache = rules_cache_new();
    (void)pthread_mutex_init(&shared.lock, NULL);
    for (unsigned i = 0; i < READERS; i++)
        t[i] = run(reader, (void *)(uintptr_t)(i + 1));
    t[READERS] = run(changer, NULL);
    w = run(waker, NULL);
    join(t, READERS + 1);
    atomic_store(&done, true);
    join(&w, 1);
    ok(atomic_load(&wrong) == 0, "rules never go back, windows are compiled once",
       atomic_load(&wrong));
    ok(shared.control && shared.control->refs == 1, "one snapshot remains, held by nobody",
       shared.control ? shared.control->refs : -1);
    control_free(shared.control);
    rules_cache_free(cache);
    db_close(db);
    return race_end();
}
