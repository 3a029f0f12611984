/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - start and stop of the modules, in order. wire_*.c connect them. No rule of its own. */
#include "wire_int.h"

#include "address/address.h"
#include "base/clock.h"
#include "media/media.h"
#include "store/store_schema.h"

#include <errno.h>

static int check_database(const struct config *c, struct diag *diag)
{
    struct db *db = NULL;
    unsigned char check[ADDRESS_KEY_CHECK_BYTES];
    db_set_node(c->node);
    int rc = db_open(c->conninfo, "start", &db, diag);
    if (rc < 0)
        return rc;
    address_key_check(c->identity_key, check);
    rc = store_schema_check(db, diag);
    if (rc == 0)
        rc = store_role_check(db, diag);
    if (rc == 0)
        rc = store_identity_check(db, check, c->sign_key, diag);
    int64_t now = 0;
    if (rc == 0)
        rc = store_now(db, &now, diag);
    int64_t skew = now - (clock_utc_ms() - clock_shift_get());
    if (rc == 0 && (skew > 60000 || skew < -60000))
        rc = diag_set(
            diag, CGW_EDENIED, "",
            "this machine's clock is %lld s away from the database's: set it right (limit 60 s)",
            (long long)(skew / 1000));
    if (rc == 0)
        clock_set_utc(now);
    db_close(db);
    return rc;
}

int daemon_start(struct daemon *d, struct diag *diag)
{
    const struct config *c = d->config;
    int rc = check_database(c, diag);
    d->rules = rules_cache_new();
    d->media = media_cache_new(c->conninfo, (size_t)c->media_cache_mb << 20);
    if (rc == 0 && !d->media)
        rc = diag_set(diag, -ENOMEM, "", "out of memory");
    if (rc == 0 && c->media_cache_mb < c->media_max_mb)
        rc = diag_set(diag, CGW_EINVAL, "media.cache_mb",
                      "is %d, less than media.max_mb (%d): one media must fit", c->media_cache_mb,
                      c->media_max_mb);
    struct dispatch_config dc = {.conninfo = c->conninfo,
                                 .node = c->node,
                                 .version = PACKAGE_VERSION,
                                 .sign_key = c->sign_key,
                                 .identity_key = c->identity_key,
                                 .rules = d->rules,
                                 .media = d->media,
                                 .bulk_threads = (unsigned)c->dispatch_threads,
                                 .inflight_slots = (uint32_t)c->dispatch_inflight,
                                 .lease_ttl_ms = c->dispatch_lease_ms};
    if (rc == 0)
        rc = dispatch_new(&dc, &d->dispatch, diag);
    if (rc == 0)
        rc = wire_start_plugins(d, diag);
    wire_outcome(d);
    if (rc == 0)
        rc = outcome_start(&d->outcome, &d->writer, diag);
    if (rc == 0)
        rc = dispatch_start(d->dispatch, d->registry, d->writer, &d->outcome, diag);
    if (rc == 0)
        rc = registry_start(d->registry, diag);
    if (rc == 0)
        rc = wire_start_planner(d, diag);
    if (rc == 0)
        rc = wire_start_api(d, diag);
    if (rc == 0 && c->callback_port >= 0)
        rc = wire_start_callback(d, diag);
    return rc;
}

void daemon_stop(struct daemon *d, int deadline_ms)
{
    if (d->api)
        api_set_draining(d->api, true);
    planner_halt(d->planner); /* the writer and the API may wake it until they end */
    if (d->dispatch)
        dispatch_halt(d->dispatch);
    int64_t deadline = clock_mono_ms() + deadline_ms;
    struct plugin_instance *inst;
    for (uint32_t i = 0; d->registry && (inst = registry_at(d->registry, i)); i++)
        instance_drain(inst, deadline);
    for (uint32_t i = 0; d->registry && (inst = registry_at(d->registry, i)); i++)
        (void)instance_drain_wait(inst);
    d->callback = callback_stop(d->callback);
    outcome_stop(d->writer);
    d->api = api_stop(d->api, 1000);
    planner_stop(d->planner);
    outcome_recaller_done(&d->recaller);
    d->planner = NULL;
    wire_stop_plugins(d);
    d->dispatch = dispatch_free(d->dispatch);
    rules_cache_free(d->rules);
    media_cache_free(d->media);
}
