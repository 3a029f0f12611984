/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - the daemon's modules and how they reach each other. Only main.c and wire*.c see it. */
#ifndef WIRE_H
#define WIRE_H

#include "api/api.h"
#include "api/callback.h"
#include "config/config.h"
#include "dispatch/dispatch.h"
#include "outcome/outcome.h"
#include "planner/planner.h"

struct daemon {
    struct config *config;
    struct registry *registry;
    struct rules_cache *rules;
    struct dispatch *dispatch;
    struct outcome_writer *writer;
    struct planner *planner;
    struct api *api;
    struct callback *callback;
    struct media_cache *media;
    struct outcome_config outcome;
    struct outcome_asker asker; /* the planner's thread */
    struct outcome_recaller recaller;
    struct optout_sets *words;
    bool sandbox;
};
/* Start everything in the order of the data path, from the end to the beginning; stop in the order
 * of the path. */
int daemon_start(struct daemon *d, struct diag *diag) CGW_NODISCARD;
void daemon_stop(struct daemon *d, int deadline_ms);
/* Once a second, between start and stop: how the channels are. */
void daemon_look(struct daemon *d);

#endif
