/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - what may be said to the rows of a batch: facts → policy → content → route. Reads and
 * computes; writes nothing, ends no transaction. The caller holds the part lock where the verdict
 * is to be written. Source: sql/README.md, "Protocol". */
#include "dispatch/dispatch_int.h"

#include "store/store_partner.h"

#include <string.h>

static struct policy_request request_of(const struct wave_info *w)
{
    return (struct policy_request){.contact_class = w->contact_class,
                                   .channel = w->channel,
                                   .not_before_ms = w->not_before_ms,
                                   .not_after_ms = w->not_after_ms,
                                   .validity_ms = w->validity_ms};
}

uint32_t judge_caps(const struct batch *b)
{
    struct policy_request req = request_of(b->wave);
    return policy_caps_for(rules_of(b->rules), &req);
}

int judge_facts(struct worker *w, int64_t now_ms, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct facts_query q = {.habit = &w->habit,
                            .part = b->chunk.part,
                            .partner_id = b->wave->partner_id,
                            .contact_class = b->wave->contact_class,
                            .channel = b->wave->channel,
                            .purpose = b->wave->purpose,
                            .wave_id = b->chunk.wave_id,
                            .now_ms = now_ms,
                            .rules = rules_of(b->rules),
                            .cap_mask = judge_caps(b)};
    int rc = store_facts(w->db, &q, b->rows + b->at, b->n - b->at, diag);
    for (int i = b->at; rc == 0 && i < b->n;
         i++) { /* consecutive rows share a place as a rule: one look each */
        if (i > b->at && b->rows[i].place == b->rows[i - 1].place)
            b->rows[i].facts.windows = b->rows[i - 1].facts.windows;
        else
            rc = rules_windows(b->rules, w->db, (int16_t)b->rows[i].place, b->wave->contact_class,
                               b->wave->channel, &b->rows[i].facts.windows, diag);
        b->rows[i].facts.holds_reservation = b->rows[i].keeps;
    }
    return rc < 0 ? rc
                  : store_partner_left(w->db, b->wave->partner_id, now_ms, &b->quota_left,
                                       &b->quota_next_ms, diag);
}

/* Who is above the partner's quota waits for its next day, if the campaign lives that long. The
 * intent takes the quota itself: what is told here only spares it the attempt. */
static void judge_quota(struct batch *b, struct verdict *v)
{
    if (v->kind != VERDICT_ALLOW || b->quota_left-- > 0)
        return;
    b->quota_left = 0;
    bool lives = !b->wave->not_after_ms || b->quota_next_ms < b->wave->not_after_ms;
    *v = (struct verdict){.kind = lives ? VERDICT_DEFER : VERDICT_DENY,
                          .reason = REASON_PARTNER_QUOTA,
                          .until_ms = lives ? b->quota_next_ms : 0};
}

/* A desk takes whatever there is; all others can use one kind. */
void judge_addresses(struct batch *b)
{
    static const struct {
        bool number, email;
    } takes[] = {[CGW_CHANNEL_SMS] = {true, false},
                 [CGW_CHANNEL_MMS] = {true, false},
                 [CGW_CHANNEL_VOICE] = {true, false},
                 [CGW_CHANNEL_EMAIL] = {false, true},
                 [CGW_CHANNEL_TASK] = {true, true}};
    uint32_t ch = b->wave->channel < ARRAY_LEN(takes) ? b->wave->channel : 0;
    if (takes[ch].number && !takes[ch].email)
        return; /* as read */
    for (int i = 0; i < b->n; i++) {
        struct contact_row *r = &b->rows[i];
        if (!takes[ch].number || !r->address[0])
            r->address = takes[ch].email ? r->email : "";
    }
}

static void deny(struct contact_row *r, int reason)
{
    r->verdict = (struct verdict){.kind = VERDICT_DENY, .reason = reason};
}

void judge_policy(struct batch *b, struct contact_row *r, int64_t now_ms)
{
    struct policy_request req = request_of(b->wave);
    if (b->wave->cancelled)
        r->verdict = (struct verdict){.kind = VERDICT_DENY, .reason = REASON_CAMPAIGN_CANCELLED};
    else
        policy_decide(rules_of(b->rules), &req, &r->facts, now_ms, &r->verdict);
    if (r->verdict.kind != VERDICT_DENY && !r->address[0]) /* waiting would not give it one */
        deny(r, REASON_ADDRESS_NONE);
    judge_quota(b, &r->verdict);
}

void judge_message(const struct batch *b, const struct contact_row *r, const struct route_info *t,
                   struct cgw_message *m)
{
    *m = (struct cgw_message){
        .size = sizeof *m,
        .lane = b->wave->lane,
        .channel = b->wave->channel,
        .contact_class = b->wave->contact_class,
        .to = {.kind = strchr(r->address, '@') ? CGW_ADDR_EMAIL : CGW_ADDR_E164,
               .len = (uint32_t)strlen(r->address),
               .text = r->address},
        .want_receipt = t->receipts,
        .n_parts = r->n_parts,
        .parts = r->parts,
        .group = (uint64_t)b->wave->campaign_id,
        .service_code = t->service_code[0] ? t->service_code : NULL,
        .reference = outcome_reference((int64_t)b->wave->wave_id << 32 | r->seq, r->attempt)};
    routing_sender(t, &m->from);
}

int judge_content(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct campaign_plugin *plugin = registry_campaign(w->d->cfg.registry, b->wave->plugin);
    if (!plugin)
        return diag_set(diag, CGW_EINVAL, "", "campaign plugin %s is not loaded", b->wave->plugin);
    int n = b->n - b->at;
    const char **params = arena_alloc(&b->arena, (size_t)n * sizeof *params);
    uint32_t *lens = arena_alloc(&b->arena, (size_t)n * sizeof *lens), m = 0;
    int *row_of = arena_alloc(&b->arena, (size_t)n * sizeof *row_of);
    if (!params || !lens || !row_of)
        return diag_set(diag, CGW_ELIMIT, "", "content of one chunk exceeds %u bytes",
                        BATCH_ARENA_MAX);
    for (int i = b->at; i < b->n; i++) {
        if (b->rows[i].verdict.kind != VERDICT_ALLOW || b->rows[i].gone)
            continue;
        params[m] = b->rows[i].params;
        lens[m] = b->rows[i].params_len;
        row_of[m++] = i;
    }
    if (m == 0)
        return 0;
    struct cgw_builder *builder = NULL;
    int rc = render_builder_new(b->render, &b->arena, params, lens, m, &builder, diag);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < m; i++)
        render_builder_set_customer(builder, i, (uint64_t)b->rows[row_of[i]].customer_id,
                                    b->rows[row_of[i]].lang);
    rc = campaign_render(plugin, b->render, 0, render_builder_customers(builder), m, builder);
    for (uint32_t i = 0; rc == 0 && i < m; i++) {
        struct contact_row *r = &b->rows[row_of[i]];
        const struct render_message *msg = render_builder_message(builder, i);
        r->parts = msg->parts;
        r->n_parts = msg->n_parts;
        if (msg->rc == CGW_ENOTFOUND)
            deny(r, REASON_CONTENT_FIELD_MISSING);
        else if (msg->rc < 0 || msg->n_parts == 0)
            deny(r, msg->rc == CGW_ELIMIT ? REASON_CONTENT_TOO_LONG : REASON_CONTENT_FIELD_MISSING);
    }
    render_builder_free(builder);
    return rc < 0 ? diag_set(diag, rc, "", "campaign plugin %s cannot render: %s", b->wave->plugin,
                             diag_code_name(rc))
                  : 0;
}

/* Messages of one instance, asked about together: a plugin in a process of its own is asked over a
 * socket. */
#define ASKED_MAX 64u
struct asked {
    const struct plugin_instance *inst;
    uint32_t n;
    struct contact_row *rows[ASKED_MAX];
    const struct route_info *routes[ASKED_MAX];
    struct cgw_message msgs[ASKED_MAX];
    struct cgw_check checks[ASKED_MAX];
};

static void settle_asked(struct asked *a)
{
    if (a->n)
        instance_check(a->inst, a->msgs, a->n, a->checks);
    for (uint32_t i = 0; i < a->n; i++) {
        struct contact_row *r = a->rows[i];
        const struct cgw_check *check = &a->checks[i];
        r->segments = check->segments ? check->segments : 1;
        r->route_id = a->routes[i]->route_id;
        if (check->code == CGW_ELIMIT || r->segments > (uint32_t)a->routes[i]->max_segments)
            deny(r, REASON_CONTENT_TOO_LONG);
        else if (check->code < 0 &&
                 check->code != CGW_EBUSY) /* not judged: submit() judges again */
            deny(r, REASON_ADDRESS_INVALID);
    }
    a->n = 0;
}

void judge_routes(struct worker *w)
{
    struct batch *b = &w->batch;
    struct asked a = {.n = 0};
    for (int i = b->at; i < b->n; i++) {
        struct contact_row *r = &b->rows[i];
        if (r->verdict.kind != VERDICT_ALLOW || r->gone)
            continue;
        const struct route_info *t =
            routing_choose(b->control, w->d->cfg.registry, b->wave, r, false);
        if (!t) {
            deny(r, REASON_ROUTE_NONE);
            continue;
        }
        const struct plugin_instance *inst = registry_find(w->d->cfg.registry, t->instance);
        if (a.n == ASKED_MAX || inst != a.inst)
            settle_asked(&a);
        a.inst = inst;
        a.rows[a.n] = r;
        a.routes[a.n] = t;
        judge_message(b, r, t, &a.msgs[a.n++]);
    }
    settle_asked(&a);
}
