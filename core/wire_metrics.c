/* SPDX-License-Identifier: Apache-2.0 */
/* wire_metrics.c - the gauges of the whole daemon: how its channels and its queue are. */
#include "wire_int.h"

#include "base/metrics.h"

/* Gauges are read when somebody looks. Labels: instances, a configuration-sized set. */
static const struct metric_family wire_families[] = {
    {"campgw_build_info", METRIC_GAUGE, "Version of this program; always 1.", "version"},
    {"campgw_channel_up", METRIC_GAUGE,
     "1 when the channel says of itself that it can take messages; asked every second.",
     "channel_instance"},
    {"campgw_channel_in_flight", METRIC_GAUGE, "Messages taken by the instance, without a result.",
     "channel_instance"},
    {"campgw_channel_waiting", METRIC_GAUGE, "Messages handed over, not yet taken by the instance.",
     "channel_instance"},
    {"campgw_channel_credit", METRIC_GAUGE, "Bulk messages the instance would take now.",
     "channel_instance"},
    {"campgw_inflight_messages", METRIC_GAUGE,
     "Messages of this node whose result is not yet durable.", ""},
    {"campgw_parts_held", METRIC_GAUGE, "Parts (of 64) leased by this node.", ""},
    {"campgw_last_dispatch_timestamp_seconds", METRIC_GAUGE,
     "When this node last handed a message to a channel; 0 = never.", ""},
    {NULL, METRIC_GAUGE, NULL, NULL}};

static void gauge(const char *name, const char *label, double v)
{
    const char *const values[] = {label};
    metric_set(metric_get(name, values, label ? 1 : 0), v);
}

/* health() runs on the instance's loop and may take its time: asked by the main thread, not by who
 * reads /metrics. */
void daemon_look(struct daemon *d)
{
    struct plugin_instance *inst;
    for (uint32_t i = 0; d->registry && (inst = registry_at(d->registry, i)); i++) {
        struct cgw_health h = {.size = sizeof h};
        instance_health(inst, &h);
        gauge("campgw_channel_up", instance_name(inst), h.up);
    }
}

void wire_metrics_refresh(void *ctx)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst;
    for (uint32_t i = 0; (inst = registry_at(d->registry, i)); i++) {
        struct instance_stats s;
        instance_stats(inst, &s);
        const char *name = instance_name(inst);
        gauge("campgw_channel_in_flight", name, s.taken);
        gauge("campgw_channel_waiting", name, s.waiting[0] + s.waiting[1]);
        gauge("campgw_channel_credit", name, instance_credit(inst, CGW_LANE_BULK));
    }
    gauge("campgw_build_info", PACKAGE_VERSION, 1);
    gauge("campgw_inflight_messages", NULL, dispatch_inflight(d->dispatch));
    gauge("campgw_parts_held", NULL, dispatch_parts(d->dispatch));
    gauge("campgw_last_dispatch_timestamp_seconds", NULL,
          (double)dispatch_last_submit_utc_ms(d->dispatch) / 1000.0);
}

void wire_metrics_register(void)
{
    metrics_register(wire_families);
}
