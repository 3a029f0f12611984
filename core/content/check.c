/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - see check.h. */
#include "content/check.h"

#include "content/params.h"
#include "content/template.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_VALUE "Abcdefgh" /* eight letters: a name, a code */
#define SAMPLES 2u              /* everybody's fields filled; nobody's, so that defaults show */
#define CHECK_ARENA_MAX (8u << 20)
#define STRINGS_MAX 256u /* strings of a content looked at for field names */

/* ---- field names of a content when the audience is not known --------------------------------- */
struct names {
    const char *name[CGW_FIELDS_MAX];
    uint32_t n;
    struct arena *arena; /* borrowed */
};

static int add_name(struct names *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->name[i], name))
            return 0;
    if (s->n == CGW_FIELDS_MAX)
        return CGW_ELIMIT;
    s->name[s->n] = arena_dup(s->arena, name, strlen(name));
    return s->name[s->n++] ? 0 : CGW_ELIMIT;
}

static int add_names(struct names *s, const json_t *text)
{
    struct template *t = NULL;
    const char *const *used = NULL;
    int rc = 0;
    if (template_new(json_string_value(text), json_string_length(text), NULL, 0, &t, NULL) < 0)
        return 0; /* not a template, or a broken one: the plugin knows which members are and says
                     what is wrong */
    uint32_t n = template_fields(t, &used);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = add_name(s, used[i]);
    template_free(t);
    return rc;
}

/* Every string of the document, without recursion. */
static int collect_names(struct names *s, const char *json, size_t len, struct diag *diag)
{
    json_t *root = json_loadb(json, len, 0, NULL);
    json_t *todo[STRINGS_MAX];
    size_t n = 0;
    int rc = root ? 0 : diag_set(diag, CGW_EINVAL, "", "the content is not JSON");
    if (root)
        todo[n++] = root;
    while (rc == 0 && n) {
        json_t *at = todo[--n], *v;
        const char *name;
        size_t i;
        if (json_is_string(at))
            rc = add_names(s, at);
        json_object_foreach(at, name, v) if (n < STRINGS_MAX) todo[n++] = v;
        json_array_foreach(at, i, v) if (n < STRINGS_MAX) todo[n++] = v;
    }
    json_decref(root);
    return rc == CGW_ELIMIT
               ? diag_set(diag, rc, "", "the content uses more than %u fields", CGW_FIELDS_MAX)
               : rc;
}

/* ---- rendering for sample people ------------------------------------------------------------- */
struct sample {
    const struct registry *reg;
    struct campaign_plugin *plugin;
    struct cgw_run *run;
    struct arena arena;
    uint32_t channel;
};

static int sample_params(struct sample *k, uint32_t n_fields, const char **params, uint32_t *lens,
                         struct diag *diag)
{
    struct field_value values[CGW_FIELDS_MAX];
    struct buf text;
    for (uint32_t i = 0; i < n_fields; i++)
        values[i] = (struct field_value){.data = SAMPLE_VALUE, .len = sizeof SAMPLE_VALUE - 1};
    buf_init(&text, PARAMS_MAX);
    int rc = params_pack(values, n_fields, &text);
    lens[0] = (uint32_t)text.len;
    params[0] = rc < 0 ? NULL : arena_dup(&k->arena, buf_str(&text), text.len);
    params[1] = "";
    lens[1] = 0;
    buf_done(&text);
    return params[0] ? 0 : diag_set(diag, CGW_ELIMIT, "", "too many fields");
}

static void ask_instance(struct plugin_instance *inst, const struct cgw_message *m,
                         struct content_found *ret, int *rc)
{
    struct cgw_check c = {.size = sizeof c, .encoding = ""};
    instance_check(inst, m, 1, &c);
    if (c.segments > ret->segments || (c.code < 0 && *rc == 0)) {
        ret->segments = c.segments;
        (void)snprintf(ret->encoding, sizeof ret->encoding, "%s", c.encoding ? c.encoding : "");
    }
    if (c.code < 0 && *rc == 0) {
        *rc = c.code == CGW_ELIMIT || c.code == CGW_EBUSY ? c.code : CGW_EINVAL;
        (void)snprintf(ret->text, sizeof ret->text, "%.*s", (int)sizeof ret->text - 1, c.text);
    }
}

static int ask_instances(struct sample *k, const struct render_message *msg,
                         const char *const *instances, uint32_t n, struct content_found *ret,
                         struct diag *diag)
{
    /* +999 is assigned to nobody */
    static const struct cgw_address number = {CGW_ADDR_E164, 12, "+99900000001"},
                                    mailbox = {CGW_ADDR_EMAIL, 22, "nobody@example.invalid"};
    struct cgw_message m = {.size = sizeof m,
                            .channel = k->channel,
                            .contact_class = CGW_CLASS_MARKETING,
                            .to = k->channel == CGW_CHANNEL_EMAIL ? mailbox : number,
                            .want_receipt = 1,
                            .n_parts = msg->n_parts,
                            .parts = msg->parts};
    int rc = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct plugin_instance *inst = registry_find(k->reg, instances[i]);
        if (inst)
            ask_instance(inst, &m, ret, &rc);
    }
    return rc < 0 ? diag_set(diag, rc, "", "%s",
                             ret->text[0] ? ret->text : "the channel cannot send this content")
                  : 0;
}

static int judge(struct sample *k, const struct cgw_builder *b, const char *const *instances,
                 uint32_t n_instances, struct content_found *ret, struct diag *diag)
{
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const struct render_message *msg = render_builder_message(b, i);
        if (msg->rc == CGW_ENOTFOUND && i > 0)
            continue; /* a field without default: such people are held, content.field_missing */
        if (msg->rc < 0)
            return diag_set(diag, msg->rc == CGW_ELIMIT ? CGW_ELIMIT : CGW_EINVAL, "",
                            "the content cannot be made: %s", msg->what);
        int rc = ask_instances(k, msg, instances, n_instances, ret, diag);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int render_samples(struct sample *k, uint32_t n_fields, const char *const *instances,
                          uint32_t n_instances, struct content_found *ret, struct diag *diag)
{
    const char *params[SAMPLES];
    uint32_t lens[SAMPLES];
    struct cgw_builder *b = NULL;
    int rc = sample_params(k, n_fields, params, lens, diag);
    if (rc == 0)
        rc = render_builder_new(k->run, &k->arena, params, lens, SAMPLES, &b, diag);
    if (rc < 0)
        return rc;
    rc = campaign_render(k->plugin, k->run, 0, render_builder_customers(b), SAMPLES, b);
    rc = rc < 0 ? diag_set(diag, CGW_EINVAL, "",
                           "the campaign plugin cannot make a message of this content")
                : judge(k, b, instances, n_instances, ret, diag);
    render_builder_free(b);
    return rc;
}

int content_check(const struct registry *reg, const char *plugin, uint32_t channel,
                  const char *content_json, size_t content_len, const char *const *fields,
                  uint32_t n_fields, const char *const *instances, uint32_t n_instances,
                  const struct render_media *media, uint32_t n_media, struct content_found *ret,
                  struct diag *diag)
{
    struct sample k = {.reg = reg, .plugin = registry_campaign(reg, plugin), .channel = channel};
    struct names names = {.arena = &k.arena};
    *ret = (struct content_found){0};
    if (!k.plugin)
        return diag_set(diag, CGW_ENOTFOUND, "", "no campaign plugin %.63s is loaded here", plugin);
    arena_init(&k.arena, CHECK_ARENA_MAX);
    int rc = fields ? 0 : collect_names(&names, content_json, content_len, diag);
    if (!fields) {
        fields = names.name;
        n_fields = names.n;
    }
    if (rc == 0)
        rc = render_run_new("check", channel, content_json, content_len, fields, n_fields, &k.run,
                            diag);
    if (rc == 0)
        rc = render_run_media(k.run, media, n_media, diag);
    if (rc == 0)
        rc = campaign_validate(k.plugin, k.run, diag);
    if (rc == 0)
        rc = render_samples(&k, n_fields, instances, n_instances, ret, diag);
    k.run = render_run_free(k.run);
    arena_done(&k.arena);
    return rc;
}

int content_check_keyword(const struct optout_sets *sets, const char *word, size_t len,
                          struct diag *diag)
{
    if (!optout_is_word(sets, word, len))
        return 0;
    return diag_set(diag, CGW_EINVAL, "/keyword",
                    "a reply of this word opts the person out, whatever the campaign means by it; "
                    "choose another");
}
