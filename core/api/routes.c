/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the tables of all nouns. Nothing else. */
#include "api/api.h"

#define TABLE(noun) extern const struct api_route api_routes_##noun[];
#include "api/nouns.def"
#undef TABLE

const struct api_route *const api_route_tables[] = {
#define TABLE(noun) api_routes_##noun,
#include "api/nouns.def"
#undef TABLE
    NULL};
