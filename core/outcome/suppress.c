/* SPDX-License-Identifier: Apache-2.0 */
/* suppress.c - addresses that bounce for good, bounce again and again, or complain: from then on
 * the person is not contacted on that channel; others stay open. Hard bounces at once, soft ones
 * after `soft_bounces` of different messages in `soft_bounce_days`. Effective with this flush, like
 * an opt-out (inbound.c). Rare, so one look each. */
#include "outcome/outcome_int.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/word.h"
#include "store/store_dnd.h"

#define DAY_MS INT64_C(86400000)

bool flush_bounces(uint32_t sub)
{
    return sub == CGW_SUB_HARD_BOUNCE || sub == CGW_SUB_SOFT_BOUNCE || sub == CGW_SUB_COMPLAINT;
}

void flush_bounce(struct flush *f, const struct bounce *b)
{
    if (flush_bounces(b->sub) && f->n_bounces < f->max * 2)
        f->bounces[f->n_bounces++] = *b;
}

/* Whom and where, when only the contact is known; then whoever the person is joined with by now. */
static int find_who(struct flush *f, struct bounce *b, bool *ret_known)
{
    int rc = 0;
    *ret_known = true;
    if (!b->customer_id)
        rc =
            store_contact_who(f->db, b->part, b->contact_id, &b->customer_id, &b->channel, f->diag);
    if (rc == CGW_ENOTFOUND) {
        *ret_known = false;
        return 0;
    }
    if (rc == 0)
        rc = store_alias_find(f->db, b->customer_id, &b->customer_id, f->diag);
    b->part = (int32_t)(b->customer_id % STORE_PARTS);
    return rc;
}

static int forbid(struct flush *f, const struct bounce *b, int32_t scope, int16_t reason)
{
    int64_t added = 0;
    const struct store_dnd_fact fact = {.part = b->part,
                                        .customer_id = b->customer_id,
                                        .scopes = &scope,
                                        .n_scopes = 1,
                                        .list_id = STORE_DND_BOUNCES,
                                        .reason = reason,
                                        .at_utc_ms = b->at_ms};
    int rc = store_dnd_put(f->db, &fact, &f->facts, &added, f->diag);
    if (rc < 0 || !added)
        return rc;
    METRIC_INC("campgw_suppressed_total", sub_word(b->sub));
    log_info("outcome.suppressed", "why=%s channel=%s contact=%lld", sub_word(b->sub),
             channel_word((uint32_t)b->channel),
             (long long)(b->contact_id > 0 ? b->contact_id : 0));
    return 0;
}

static int on_soft(struct flush *f, const struct bounce *b)
{
    const struct outcome_config *cfg = &f->w->cfg;
    int64_t n = 0;
    METRIC_INC("campgw_soft_bounces_total", channel_word((uint32_t)b->channel));
    if (!cfg->soft_bounces)
        return 0;
    int rc = store_soft_bounce(f->db, b->part, b->customer_id, b->channel, b->contact_id, b->at_ms,
                               b->at_ms - cfg->soft_bounce_days * DAY_MS, &n, f->diag);
    if (rc < 0 || n < cfg->soft_bounces)
        return rc;
    rc = forbid(f, b, DND_SCOPE_CHANNEL(b->channel), REASON_DND_BOUNCE);
    /* who is taken off the list begins anew */
    return rc < 0 ? rc
                  : store_soft_bounce_forget(f->db, b->part, b->customer_id, b->channel, f->diag);
}

static int by_person(const void *a, const void *b)
{
    const struct bounce *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->customer_id < y->customer_id ? -1 : x->customer_id > y->customer_id;
}

int flush_suppress(struct flush *f)
{
    int rc = 0, n = 0;
    for (int i = 0; rc == 0 && i < f->n_bounces; i++) {
        bool known = false;
        rc = find_who(f, &f->bounces[i], &known);
        if (known)
            f->bounces[n++] = f->bounces[i];
    }
    if (n > 1) /* two flushes must not wait for each other's rows */
        qsort(f->bounces, (size_t)n, sizeof *f->bounces, by_person);
    for (int i = 0; rc == 0 && i < n; i++) {
        const struct bounce *b = &f->bounces[i];
        if (b->sub == CGW_SUB_SOFT_BOUNCE)
            rc = on_soft(f, b);
        else if (b->sub == CGW_SUB_HARD_BOUNCE)
            rc = forbid(f, b, DND_SCOPE_CHANNEL(b->channel), REASON_DND_BOUNCE);
        else
            rc = forbid(f, b, DND_SCOPE_CLASS(CGW_CLASS_MARKETING), REASON_DND_COMPLAINT);
    }
    return rc;
}
