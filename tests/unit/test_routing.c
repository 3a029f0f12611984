/* SPDX-License-Identifier: Apache-2.0 */
/* test_routing.c - which route carries a contact, and what a pause means. The registry is a table
 * in this file. */
#include "dispatch/dispatch_int.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- the registry as routing.c sees it: an instance is up when its name says so
 * -------------------------------------- */
struct plugin_instance *registry_find(const struct registry *r, const char *name)
{
    static struct {
        const char *name;
    } known[] = {{"up-a"}, {"up-b"}, {"down"}};
    (void)r;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(known[i].name, name))
            return (struct plugin_instance *)(void *)&known[i];
    return NULL;
}

void instance_stats(const struct plugin_instance *inst, struct instance_stats *ret)
{
    const char *const *name = (const void *)inst;
    *ret = (struct instance_stats){.state = INSTANCE_RUNNING,
                                   .told = {strncmp(*name, "up", 2) ? 0u : 5u, 0}};
}

static struct route_info route(int32_t id, const char *instance, int32_t priority, bool active,
                               bool paused)
{
    struct route_info r = {.route_id = id,
                           .channel = 1,
                           .priority = priority,
                           .weight = 1,
                           .active = active,
                           .paused = {paused, false}};
    (void)strncpy(r.instance, instance, sizeof r.instance - 1);
    return r;
}

static const struct wave_info wave = {.channel = 1, .contact_class = 1};
static const struct contact_row row = {.customer_id = 64, .address = "+4915112345678"};

static int32_t choose(struct route_info *routes, uint32_t n, bool up)
{
    struct control c = {.routes = routes, .n_routes = n};
    const struct route_info *r = routing_choose(&c, NULL, &wave, &row, up);
    return r ? r->route_id : 0;
}

static bool can_go(struct route_info *routes, uint32_t n)
{
    struct control c = {.routes = routes, .n_routes = n};
    return routing_can_go(&c, NULL, &wave);
}

Test(routing, a_contact_whose_only_route_is_paused_waits_and_is_not_held)
{
    struct route_info queue_paused[] = {route(1, "up-a", 1, true, true)},
                      route_paused[] = {route(2, "up-a", 1, false, false)};
    cr_assert_eq(choose(queue_paused, 1, false), 1);
    cr_assert_eq(choose(queue_paused, 1, true), 0);
    cr_assert_not(can_go(queue_paused, 1));
    cr_assert_eq(choose(route_paused, 1, false), 2);
    cr_assert_eq(choose(route_paused, 1, true), 0);
    cr_assert_not(can_go(route_paused, 1));
}

Test(routing, an_open_route_of_lower_priority_is_taken_before_a_paused_one)
{
    struct route_info r[] = {route(1, "up-a", 1, true, true), route(2, "up-b", 5, true, false)};
    cr_assert_eq(choose(r, 2, false), 2);
    cr_assert_eq(choose(r, 2, true), 2);
    cr_assert(can_go(r, 2));
}

Test(routing, fails_over_to_the_next_priority_while_the_first_is_down)
{
    struct route_info r[] = {route(1, "down", 1, true, false), route(2, "up-b", 5, true, false)};
    cr_assert_eq(choose(r, 2, true), 2);
    cr_assert_eq(choose(r, 1, true), 0);
    cr_assert_not(can_go(r, 1));
}

Test(routing, without_any_route_the_decision_may_say_so)
{
    struct route_info elsewhere[] = {route(1, "nobody", 1, true, false)};
    cr_assert_eq(choose(elsewhere, 1, false), 0);
    cr_assert(can_go(elsewhere, 1));
    cr_assert(can_go(elsewhere, 0));
}
