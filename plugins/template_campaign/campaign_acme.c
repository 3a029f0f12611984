/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_acme.c - a small campaign: a text, and a thank-you to everybody who answers. Pure
 * functions of their arguments: nothing is kept between calls but what set_state() stores, nothing
 * is sent from here. */
#include <cgw/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENT_FIRST, CONTENT_THANKS };
static const char *const pointers[] = {[CONTENT_FIRST] = "/text", [CONTENT_THANKS] = "/thanks"};

struct acme {
    const struct cgw_campaign_host *host;
};

static int create(const struct cgw_campaign_host *host, void **ret_pl, struct cgw_diag *diag)
{
    struct acme *a = malloc(sizeof *a);
    (void)diag;
    if (!a)
        return CGW_ELIMIT;
    a->host = host;
    *ret_pl = a;
    return CGW_OK;
}

static int complain(struct cgw_diag *diag, const char *where, const char *text)
{
    snprintf(diag->where, sizeof diag->where, "%s", where);
    snprintf(diag->text, sizeof diag->text, "%s", text);
    return diag->code = CGW_EINVAL;
}

static int validate(void *pl, const struct cgw_run *run, struct cgw_diag *diag)
{
    const struct acme *a = pl;
    for (int i = CONTENT_FIRST; i <= CONTENT_THANKS; i++) {
        struct cgw_diag why = {.size = sizeof why};
        uint32_t len = 0;
        const char *text = a->host->content_str(run, pointers[i], &len);
        if ((!text || !len) && i == CONTENT_FIRST)
            return complain(diag, pointers[i], "the content needs a member \"text\", a string");
        if (text && a->host->template_check(run, text, len, CGW_ROLE_TEXT, &why))
            return complain(diag, pointers[i], why.text);
    }
    return CGW_OK;
}

static int render(void *pl, const struct cgw_run *run, uint32_t content,
                  const struct cgw_customer *customers, uint32_t n, struct cgw_builder *b)
{
    const struct acme *a = pl;
    uint32_t len = 0;
    const char *text =
        content <= CONTENT_THANKS ? a->host->content_str(run, pointers[content], &len) : NULL;
    (void)customers;
    if (!text)
        return CGW_EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        int rc = a->host->add_template(b, i, CGW_ROLE_TEXT, "text/plain; charset=utf-8", text, len);
        if (rc && rc != CGW_ENOTFOUND) /* a missing field holds that person only */
            return rc;
    }
    return CGW_OK;
}

static int step(void *pl, const struct cgw_run *run, const struct cgw_item *items, uint32_t n,
                struct cgw_out *out)
{
    const struct acme *a = pl;
    uint32_t len = 0;
    if (!a->host->content_str(run, pointers[CONTENT_THANKS], &len) || !len)
        return CGW_OK;
    for (uint32_t i = 0; i < n; i++) {
        struct cgw_proposal p = {.size = sizeof p,
                                 .channel = items[i].channel,
                                 .customer = items[i].customer.id,
                                 .content = CONTENT_THANKS};
        if (items[i].kind != CGW_ITEM_RESPONSE || items[i].state_len) /* thanked already */
            continue;
        int rc = a->host->propose(out, &p);
        if (!rc)
            rc = a->host->set_state(out, p.customer, "t", 1);
        if (rc)
            return rc;
    }
    return CGW_OK;
}

static void destroy(void *pl)
{
    free(pl);
}

static const struct cgw_campaign_ops ops = {
    .size = sizeof ops,
    .create = create,
    .validate = validate,
    .render = render,
    .step = step,
    .destroy = destroy,
};
CGW_CAMPAIGN_PLUGIN(.name = "campaign_acme", .version = "0.1", .vendor = "Acme", .campaign = &ops);
