/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.h - what a campaign plugin implements: pure reducers from rows to proposals.
 * A campaign plugin never sends and never sees a database: it proposes, policy disposes. Every
 * operation is a pure function of its arguments (replayable); the host commits state and proposals
 * in one transaction. Any thread, one call at a time per run. */
#ifndef CGW_CAMPAIGN_H
#define CGW_CAMPAIGN_H

#include "cgw/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cgw_run;     /* one campaign as the plugin sees it; opaque */
struct cgw_builder; /* collects the content of messages; opaque   */
struct cgw_out;     /* collects the outputs of step(); opaque      */

struct cgw_field {
    const char *name;
    const char *value;
    uint32_t len;
};

struct cgw_customer {
    uint32_t size;
    uint32_t n_fields;
    uint64_t id;                    /* pseudonymous, stable */
    const struct cgw_field *fields; /* template fields of the audience row */
    const char *lang;               /* BCP 47 or "" */
};

#define CGW_ITEM_RECIPIENT 1u
#define CGW_ITEM_RESPONSE 2u
#define CGW_ITEM_OUTCOME 3u
#define CGW_ITEM_TIMER 4u
struct cgw_item {
    uint32_t size;
    uint32_t kind; /* CGW_ITEM_* */
    struct cgw_customer customer;
    int64_t at_utc_ms;
    uint32_t result;  /* OUTCOME: CGW_RES_* */
    uint32_t channel; /* CGW_CHANNEL_* it happened on */
    const char *text; /* RESPONSE: the person's words or digits */
    uint32_t text_len;
    uint32_t state_len; /* bytes of state kept for (campaign, customer), at most CGW_STATE_MAX */
    const void *state;
    const char *timer; /* TIMER: its name */
};

/* A proposal: "contact this customer". Policy decides whether and when. */
struct cgw_proposal {
    uint32_t size;
    uint32_t channel; /* CGW_CHANNEL_* */
    uint64_t customer;
    uint32_t content; /* number that render() receives back */
    int32_t weight;   /* higher first when capacity is short */
    int64_t not_before_utc_ms;
};

/* The host's half, handed to every operation. */
struct cgw_campaign_host {
    uint32_t size;
    uint32_t abi_minor;
    const char *(*run_id)(const struct cgw_run *run);
    /* The campaign's own JSON (member `content` of the wave or campaign), UTF-8; len without NUL.
     */
    const char *(*run_content)(const struct cgw_run *run, uint32_t *ret_len);
    uint32_t (*run_channel)(const struct cgw_run *run);
    /* Fields the audience offers. */
    uint32_t (*run_field_count)(const struct cgw_run *run);
    const char *(*run_field)(const struct cgw_run *run, uint32_t i);
    /* validate(): is this a well-formed template whose {{fields}} the audience has? 0 or CGW_EINVAL
     * with diag. */
    int (*template_check)(const struct cgw_run *run, const char *tmpl, uint32_t len, uint32_t role,
                          struct cgw_diag *diag);
    /* render(): add a part to message i; `tmpl` is expanded with that customer's fields and escaped
     * by role. \return 0, CGW_ENOTFOUND (field without value and default: the contact is held
     * content.field_missing), CGW_ELIMIT. */
    int (*add_template)(struct cgw_builder *b, uint32_t i, uint32_t role, const char *mime,
                        const char *tmpl, uint32_t len);
    /* Same without expansion. */
    int (*add_part)(struct cgw_builder *b, uint32_t i, const struct cgw_part *part);
    /* step(): outputs. */
    int (*propose)(struct cgw_out *out, const struct cgw_proposal *p);
    int (*set_state)(struct cgw_out *out, uint64_t customer, const void *state, uint32_t len);
    int (*set_timer)(struct cgw_out *out, uint64_t customer, const char *name, int64_t at_utc_ms);
    int (*add_total)(struct cgw_out *out, const char *name, int64_t delta);
    /* JSON helper so that simple plugins need no parser: string at an RFC 6901 pointer of
     * run_content, NULL when absent. */
    const char *(*content_str)(const struct cgw_run *run, const char *pointer, uint32_t *ret_len);
    int64_t (*content_int)(const struct cgw_run *run, const char *pointer, int64_t absent);
    /* The value at the pointer as compact JSON text, so that an object can be a template of role
     * FLOW; valid as long as the run. NULL when absent. */
    const char *(*content_json)(const struct cgw_run *run, const char *pointer, uint32_t *ret_len);
    /* Members of the object or array there; -1 when it is neither. Name of an object's i-th member,
     * in the order of the document, NULL beyond the last. */
    int32_t (*content_count)(const struct cgw_run *run, const char *pointer);
    const char *(*content_key)(const struct cgw_run *run, const char *pointer, uint32_t i);
    /* A part of role MEDIA for an uploaded media ("med_..."), ready for add_part() once its name is
     * set. \return 0; CGW_ENOTFOUND: not one of this campaign's. */
    int (*media_part)(const struct cgw_run *run, const char *id, struct cgw_part *ret);
};

struct cgw_campaign_ops {
    uint32_t size;
    /* REQUIRED. One object per process and plugin. */
    int (*create)(const struct cgw_campaign_host *host, void **ret_pl, struct cgw_diag *diag);
    /* REQUIRED. Is this campaign well-formed? Called when it is created or changed; diag->where is
     * a JSON pointer. */
    int (*validate)(void *pl, const struct cgw_run *run, struct cgw_diag *diag);
    /* REQUIRED. Content for n customers: add parts to messages 0..n-1 of the builder. `content` is
     * the number of the proposal. */
    int (*render)(void *pl, const struct cgw_run *run, uint32_t content,
                  const struct cgw_customer *customers, uint32_t n, struct cgw_builder *b);
    /* Optional. React to what happened. */
    int (*step)(void *pl, const struct cgw_run *run, const struct cgw_item *items, uint32_t n,
                struct cgw_out *out);
    /* Optional. Feeds draws and rankings in the given order; \return how many of `max` it wrote. */
    int (*scan)(void *pl, const struct cgw_run *run, uint32_t order, uint32_t max,
                struct cgw_out *out);
    /* REQUIRED. */
    void (*destroy)(void *pl);
    /* abi_minor 1 appends here */
};

#ifdef __cplusplus
}
#endif
#endif /* CGW_CAMPAIGN_H */
