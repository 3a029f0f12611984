/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_broadcast.c - the same content to everybody in the audience, once. The channel decides
 * which members of the campaign's content are used. Decides nothing about when or whether. Source:
 * cgw/campaign.h. */
#include "cgw/plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct member {
    uint32_t channel;
    uint32_t role;
    const char *pointer; /* in the campaign's content */
    const char *mime;
    int required;
};

/* Order is the order of the parts. */
static const struct member members[] = {
    {CGW_CHANNEL_SMS, CGW_ROLE_TEXT, "/text", "text/plain; charset=utf-8", 1},
    {CGW_CHANNEL_EMAIL, CGW_ROLE_SUBJECT, "/subject", "text/plain; charset=utf-8", 1},
    {CGW_CHANNEL_EMAIL, CGW_ROLE_TEXT, "/text", "text/plain; charset=utf-8", 0},
    {CGW_CHANNEL_EMAIL, CGW_ROLE_HTML, "/html", "text/html; charset=utf-8", 0},
    {CGW_CHANNEL_MMS, CGW_ROLE_SUBJECT, "/subject", "text/plain; charset=utf-8", 0},
    {CGW_CHANNEL_MMS, CGW_ROLE_TEXT, "/text", "text/plain; charset=utf-8", 1},
    {CGW_CHANNEL_VOICE, CGW_ROLE_FLOW, "/flow", "application/json", 1},
    {CGW_CHANNEL_TASK, CGW_ROLE_FLOW, "/flow", "application/json", 1},
};
#define N_MEMBERS (sizeof members / sizeof members[0])

struct broadcast {
    const struct cgw_campaign_host *host;
};

static int create(const struct cgw_campaign_host *host, void **ret_pl, struct cgw_diag *diag)
{
    (void)diag;
    struct broadcast *b = malloc(sizeof *b);
    if (!b)
        return CGW_ELIMIT;
    b->host = host;
    *ret_pl = b;
    return 0;
}

static void destroy(void *pl)
{
    free(pl);
}

static int complain(struct cgw_diag *diag, const char *where, const char *text)
{
    diag->code = CGW_EINVAL;
    (void)snprintf(diag->where, sizeof diag->where, "%s", where);
    (void)snprintf(diag->text, sizeof diag->text, "%s", text);
    return CGW_EINVAL;
}

/* Blank text is no content: it would be paid for and read as a fault. */
static int is_blank(const char *s, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", s[i]) || !s[i])
            return 0;
    return 1;
}

static const char *content(const struct broadcast *b, const struct cgw_run *run,
                           const struct member *m, uint32_t *ret_len)
{
    *ret_len = 0;
    const char *s = b->host->content_str(run, m->pointer, ret_len);
    return s && !is_blank(s, *ret_len) ? s : NULL;
}

static int check_member(const struct broadcast *b, const struct cgw_run *run,
                        const struct member *m, uint32_t *n_bodies, struct cgw_diag *diag)
{
    uint32_t len;
    const char *tmpl = content(b, run, m, &len);
    char text[CGW_DIAG_MAX];
    if (!tmpl && m->required) {
        (void)snprintf(
            text, sizeof text,
            "this channel needs the member \"%s\" of the content, a string that is not blank",
            m->pointer + 1);
        return complain(diag, m->pointer, text);
    }
    if (!tmpl)
        return 0;
    *n_bodies += m->role != CGW_ROLE_SUBJECT;
    struct cgw_diag why = {.size = sizeof why};
    int rc = b->host->template_check(run, tmpl, len, m->role, &why);
    if (!rc)
        return 0;
    /* The host says where in the text; a person looks for the member first. */
    (void)snprintf(text, sizeof text, "%.60s%s%.180s", why.where, why.where[0] ? ": " : "",
                   why.text);
    (void)complain(diag, m->pointer, text);
    return diag->code = rc;
}

static int validate(void *pl, const struct cgw_run *run, struct cgw_diag *diag)
{
    const struct broadcast *b = pl;
    uint32_t channel = b->host->run_channel(run), n_bodies = 0;
    for (size_t i = 0; i < N_MEMBERS; i++) {
        int rc =
            members[i].channel == channel ? check_member(b, run, &members[i], &n_bodies, diag) : 0;
        if (rc)
            return rc;
    }
    if (!n_bodies)
        return complain(diag, channel == CGW_CHANNEL_EMAIL ? "/text" : "",
                        channel == CGW_CHANNEL_EMAIL ? "an e-mail needs \"text\", \"html\" or both"
                                                     : "this channel is not known here");
    return 0;
}

static int render_one(const struct broadcast *b, const struct cgw_run *run, uint32_t channel,
                      struct cgw_builder *out, uint32_t i)
{
    for (size_t k = 0; k < N_MEMBERS; k++) {
        const struct member *m = &members[k];
        uint32_t len;
        const char *tmpl = m->channel == channel ? content(b, run, m, &len) : NULL;
        int rc = tmpl ? b->host->add_template(out, i, m->role, m->mime, tmpl, len) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int render(void *pl, const struct cgw_run *run, uint32_t content_no,
                  const struct cgw_customer *customers, uint32_t n, struct cgw_builder *out)
{
    const struct broadcast *b = pl;
    uint32_t channel = b->host->run_channel(run);
    (void)customers; /* the builder knows whose fields message i takes */
    if (content_no)
        return CGW_EINVAL; /* a broadcast proposes only content 0 */
    for (uint32_t i = 0; i < n; i++) {
        int rc = render_one(b, run, channel, out, i);
        if (rc && rc != CGW_ENOTFOUND) /* a missing field holds that person, not the others */
            return rc;
    }
    return 0;
}

static const struct cgw_campaign_ops ops = {
    .size = sizeof ops,
    .create = create,
    .validate = validate,
    .render = render,
    .destroy = destroy,
};

CGW_CAMPAIGN_PLUGIN(.name = "campaign_broadcast", .version = "1.0", .vendor = "campgw",
                    .campaign = &ops);
