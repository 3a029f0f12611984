/* SPDX-License-Identifier: Apache-2.0 */
/* flow_int.h - shared by the two halves of the flow reader: flow.c (the whole) and flow_node.c (one
 * node). */
#ifndef IVR_FLOW_INT_H
#define IVR_FLOW_INT_H

#include "flow.h"

#include <jansson.h>

#define FLOW_DEPTH 8u /* deepest pointer: /nodes/NAME/prompt/N/say, and room */

struct flow_reader {
    struct ivr_flow *flow;
    const char *const *names;
    uint32_t n_names;
    char where[256];
    size_t marks[FLOW_DEPTH];
    uint32_t depth;
    struct ivr_flow_error *err;
    struct ivr_node *node; /* being read */
};

struct flow_member {
    const char *key;
    int (*take)(struct flow_reader *r, const json_t *v);
};

/* Move the pointer into a member, and back. */
void ivr_enter(struct flow_reader *r, const char *member);
void ivr_leave(struct flow_reader *r);
/* Complain about where the pointer is. \return -1 */
int ivr_bad(struct flow_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ivr_number(struct flow_reader *r, const json_t *v, int lo, int hi, const char *unit, int *ret);
int ivr_node_named(struct flow_reader *r, const json_t *v, int16_t *ret);
int ivr_key(struct flow_reader *r, const char *text, char *ret);
/* Every member of an object through its row of the table; one without a row is an error. */
int ivr_members(struct flow_reader *r, const json_t *object, const struct flow_member *table,
                size_t n);
int ivr_prompt_read(struct flow_reader *r, const json_t *v, struct ivr_prompt *ret);
int ivr_node_read(struct flow_reader *r, const json_t *v, struct ivr_node *ret);

#endif
