/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.h - the one way from a queued contact to a channel: facts → policy → reserve + log +
 * seal → intent → submit. Threads: one for the urgent lane, n for bulk, each with its own
 * connection. Does not choose customers (planner/) and does not keep results (outcome/). Protocol
 * and crash argument: sql/README.md. */
#ifndef DISPATCH_DISPATCH_H
#define DISPATCH_DISPATCH_H

#include "dispatch/rules_cache.h"
#include "outcome/outcome.h"
#include "plugin/registry.h"

#define DISPATCH_WINDOW_ROWS                                                                       \
    500 /* largest intent: bounds what may be in doubt, with the channels' windows */
#define DISPATCH_SUBMIT_WITHIN_MS                                                                  \
    1000 /* a message not written that long after its intent is NOT_SENT */
#define DISPATCH_CLOSE_EARLY_MS 2000 /* windows close that much early on the wire */

struct dispatch;
struct dispatch_config {
    const char *conninfo, *node, *version;
    const unsigned char *sign_key, *identity_key;
    struct registry *registry; /* borrowed */
    struct rules_cache *rules; /* borrowed */
    struct media_cache *media; /* borrowed; NULL: nobody reads media ahead of the channels */
    unsigned bulk_threads;     /* 0 = 2 */
    uint32_t inflight_slots;   /* 0 = 65536 */
    int lease_ttl_ms;          /* 0 = 10000 */
};
int dispatch_new(const struct dispatch_config *cfg, struct dispatch **ret,
                 struct diag *diag) CGW_NODISCARD;
/* The sink for every channel instance (before registry_load_config), and the callbacks for the
 * outcome writer. */
struct instance_sink dispatch_sink(struct dispatch *d);
void dispatch_settled(void *d, const struct outcome_contact *contacts, uint32_t n);
/* Somebody changed what may be sent: read it anew. */
void dispatch_wake(void *d);
/* There are new chunks of this wave. */
void dispatch_planned(void *d, int32_t wave_id);
/* Credit or retries came: sleepers look again at what they know of. */
void dispatch_poke(void *d);
int dispatch_start(struct dispatch *d, struct registry *registry, struct outcome_writer *writer,
                   const struct outcome_config *outcome, struct diag *diag) CGW_NODISCARD;
/* No new decisions and intents; returns when the threads ended. In-flight messages settle
 * afterwards through the writer. */
void dispatch_halt(struct dispatch *d);
struct dispatch *dispatch_free(struct dispatch *d);
/* Numbers for the API and the metrics. */
uint32_t dispatch_inflight(struct dispatch *d);
int64_t dispatch_last_submit_utc_ms(struct dispatch *d);
unsigned dispatch_parts(struct dispatch *d);
/* Names of a route for figures; false when the present snapshot has none of that number. */
bool dispatch_route_name(struct dispatch *d, int32_t route_id, char channel[16], char route[80]);
/* Instance of a route in the present snapshot; false when the route is not known. out at least 48
 * bytes. */
bool dispatch_route_instance(struct dispatch *d, int32_t route_id, char *out);

#endif
