/* SPDX-License-Identifier: Apache-2.0 */
/* render.c - see render.h. Templates are compiled once per run and expanded per person; jansson
 * reads the content. */
#include "content/render.h"

#include "content/params.h"
#include "content/template.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct cached_template {
    char *text; /* owned */
    uint32_t len, role;
    struct template *t; /* owned */
    struct template_binding binding;
};

struct cgw_run {
    char id[48];
    uint32_t channel;
    char *content; /* owned */
    uint32_t content_len;
    json_t *json;                 /* owned */
    char *fields[CGW_FIELDS_MAX]; /* owned */
    uint32_t n_fields;
    struct cached_template cache[RENDER_TEMPLATES_MAX];
    uint32_t n_cached;
    struct {
        char *pointer, *text; /* owned */
    } texts[RENDER_JSON_MAX];
    uint32_t n_texts;
    struct render_media *media; /* owned */
    uint32_t n_media;
};

struct cgw_builder {
    struct cgw_run *run; /* borrowed */
    struct arena *arena; /* borrowed */
    struct render_message *messages;
    struct field_value *values; /* n * run->n_fields */
    struct cgw_field *fields;
    struct cgw_customer *customers;
    uint32_t n;
    struct buf scratch; /* owned */
};

int render_run_new(const char *run_id, uint32_t channel, const char *content_json,
                   size_t content_len, const char *const *fields, uint32_t n_fields,
                   struct cgw_run **ret, struct diag *diag)
{
    if (n_fields > CGW_FIELDS_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "%u fields, the limit is %u", n_fields,
                        CGW_FIELDS_MAX);
    struct cgw_run *run = calloc(1, sizeof *run);
    if (!run)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    (void)snprintf(run->id, sizeof run->id, "%s", run_id);
    run->channel = channel;
    run->content = strndup(content_json, content_len);
    run->content_len = (uint32_t)content_len;
    json_error_t err;
    run->json = json_loadb(content_json, content_len, JSON_REJECT_DUPLICATES, &err);
    int rc = run->content && run->json ? 0
                                       : diag_set(diag, CGW_EINVAL, "/content",
                                                  "content is not a JSON object: %s", err.text);
    for (uint32_t i = 0; i < n_fields && rc == 0; i++) {
        run->fields[i] = strdup(fields[i]);
        run->n_fields = i + 1;
        if (!run->fields[i])
            rc = diag_set(diag, -ENOMEM, "", "out of memory");
    }
    if (rc < 0)
        return (void)render_run_free(run), rc;
    *ret = run;
    return 0;
}

int render_run_media(struct cgw_run *run, const struct render_media *media, uint32_t n,
                     struct diag *diag)
{
    if (!n)
        return 0;
    run->media = malloc(n * sizeof *run->media);
    if (!run->media)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    memcpy(run->media, media, n * sizeof *run->media);
    run->n_media = n;
    return 0;
}

struct cgw_run *render_run_free(struct cgw_run *run)
{
    if (!run)
        return NULL;
    for (uint32_t i = 0; i < run->n_texts; i++) {
        free(run->texts[i].pointer);
        free(run->texts[i].text);
    }
    free(run->media);
    for (uint32_t i = 0; i < run->n_cached; i++) {
        free(run->cache[i].text);
        template_free(run->cache[i].t);
    }
    for (uint32_t i = 0; i < run->n_fields; i++)
        free(run->fields[i]);
    json_decref(run->json);
    free(run->content);
    free(run);
    return NULL;
}

int render_builder_new(struct cgw_run *run, struct arena *arena, const char *const *params,
                       const uint32_t *params_len, uint32_t n, struct cgw_builder **ret,
                       struct diag *diag)
{
    uint32_t nf = run->n_fields;
    struct cgw_builder *b = calloc(1, sizeof *b);
    if (!b)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    b->run = run;
    b->arena = arena;
    b->n = n;
    buf_init(&b->scratch, CGW_BODY_MAX);
    b->messages = arena_alloc(arena, n * sizeof *b->messages);
    b->values = arena_alloc(arena, (size_t)n * (nf + 1u) * sizeof *b->values);
    b->fields = arena_alloc(arena, (size_t)n * (nf + 1u) * sizeof *b->fields);
    b->customers = arena_alloc(arena, n * sizeof *b->customers);
    if (!b->messages || !b->values || !b->fields || !b->customers) {
        free(b);
        return diag_set(diag, CGW_ELIMIT, "",
                        "content of %u messages exceeds its memory bound of %zu bytes", n,
                        arena->max);
    }
    memset(b->messages, 0, n * sizeof *b->messages);
    for (uint32_t i = 0; i < n; i++) {
        struct field_value *v = b->values + (size_t)i * nf;
        if (params_unpack(params[i], params_len[i], v, nf) < 0)
            b->messages[i].rc = CGW_EINVAL;
        struct cgw_field *f = b->fields + (size_t)i * nf;
        for (uint32_t k = 0; k < nf; k++)
            f[k] = (struct cgw_field){.name = run->fields[k], .value = v[k].data, .len = v[k].len};
        b->customers[i] = (struct cgw_customer){
            .size = sizeof *b->customers, .n_fields = nf, .fields = f, .lang = ""};
    }
    *ret = b;
    return 0;
}

void render_builder_set_customer(struct cgw_builder *b, uint32_t i, uint64_t customer_id,
                                 const char *lang)
{
    b->customers[i].id = customer_id;
    b->customers[i].lang = lang;
}

const struct render_message *render_builder_message(const struct cgw_builder *b, uint32_t i)
{
    return &b->messages[i];
}

const struct cgw_customer *render_builder_customers(const struct cgw_builder *b)
{
    return b->customers;
}

void render_builder_free(struct cgw_builder *b)
{
    if (!b)
        return;
    buf_done(&b->scratch);
    free(b);
}

/* ---- the table
 * ----------------------------------------------------------------------------------------------------
 */
static const char *host_run_id(const struct cgw_run *run)
{
    return run->id;
}
static const char *host_run_content(const struct cgw_run *run, uint32_t *ret_len)
{
    *ret_len = run->content_len;
    return run->content;
}
static uint32_t host_run_channel(const struct cgw_run *run)
{
    return run->channel;
}
static uint32_t host_field_count(const struct cgw_run *run)
{
    return run->n_fields;
}
static const char *host_field(const struct cgw_run *run, uint32_t i)
{
    return i < run->n_fields ? run->fields[i] : NULL;
}

static void diag_out(struct cgw_diag *out, const struct diag *d)
{
    if (!out)
        return;
    out->code = d->code;
    (void)snprintf(out->where, sizeof out->where, "%.63s", d->where);
    (void)snprintf(out->text, sizeof out->text, "%s", d->text);
}

static int host_template_check(const struct cgw_run *run, const char *tmpl, uint32_t len,
                               uint32_t role, struct cgw_diag *diag)
{
    struct diag d = {0};
    struct template *t = NULL;
    int rc = template_new(tmpl, len, (const char *const *)run->fields, run->n_fields, &t, &d);
    if (rc == 0)
        rc = template_check_role(t, role, &d);
    template_free(t);
    if (rc < 0)
        diag_out(diag, &d);
    return rc < 0 ? CGW_EINVAL : 0;
}

static struct cached_template *cached(struct cgw_run *run, const char *tmpl, uint32_t len,
                                      uint32_t role)
{
    for (uint32_t i = 0; i < run->n_cached; i++) {
        struct cached_template *c = &run->cache[i];
        if (c->len == len && c->role == role && !memcmp(c->text, tmpl, len))
            return c;
    }
    if (run->n_cached == RENDER_TEMPLATES_MAX)
        return NULL;
    struct cached_template *c = &run->cache[run->n_cached];
    *c = (struct cached_template){.len = len, .role = role};
    if (template_new(tmpl, len, (const char *const *)run->fields, run->n_fields, &c->t, NULL) < 0)
        return NULL;
    c->text = malloc((size_t)len + 1);
    if (!c->text || template_bind(c->t, (const char *const *)run->fields, run->n_fields,
                                  &c->binding, NULL) < 0) {
        free(c->text);
        template_free(c->t);
        return NULL;
    }
    memcpy(c->text, tmpl, len);
    run->n_cached++;
    return c;
}

static int note(struct render_message *m, int rc, const char *what)
{
    if (m->rc == 0 && rc < 0) {
        m->rc = rc;
        (void)snprintf(m->what, sizeof m->what, "%.63s", what);
    }
    return rc;
}

static int append(struct cgw_builder *b, struct render_message *m, struct cgw_part part)
{
    if (m->n_parts == CGW_PARTS_MAX)
        return note(m, CGW_ELIMIT, "too many parts");
    if (!m->parts) { /* almost always one or two: grow by re-allocating in the arena only beyond
                        four */
        m->parts = arena_alloc(b->arena, 4 * sizeof *m->parts);
    } else if (m->n_parts >= 4 && (m->n_parts & (m->n_parts - 1)) == 0) {
        struct cgw_part *more = arena_alloc(b->arena, 2 * m->n_parts * sizeof *more);
        if (more)
            memcpy(more, m->parts, m->n_parts * sizeof *more);
        m->parts = more;
    }
    if (!m->parts)
        return note(m, CGW_ELIMIT, "message memory");
    m->parts[m->n_parts++] = part;
    return 0;
}

static int host_add_template(struct cgw_builder *b, uint32_t i, uint32_t role, const char *mime,
                             const char *tmpl, uint32_t len)
{
    if (i >= b->n)
        return CGW_EINVAL;
    struct render_message *m = &b->messages[i];
    struct cached_template *c = cached(b->run, tmpl, len, role);
    if (!c)
        return note(m, CGW_EINVAL, "template");
    struct diag d = {0};
    buf_reset(&b->scratch);
    int rc = template_expand(c->t, &c->binding, role, b->values + (size_t)i * b->run->n_fields,
                             b->run->n_fields, &b->scratch, &d);
    if (rc < 0)
        return note(m, rc, d.where);
    const char *body = arena_dup(b->arena, b->scratch.data ? b->scratch.data : "", b->scratch.len);
    if (!body)
        return note(m, CGW_ELIMIT, "message memory");
    const char *mime_copy =
        arena_dup(b->arena, mime ? mime : "text/plain", strlen(mime ? mime : "text/plain"));
    return append(
        b, m,
        (struct cgw_part){
            .role = role, .len = (uint32_t)b->scratch.len, .mime = mime_copy, .body = body});
}

static int host_add_part(struct cgw_builder *b, uint32_t i, const struct cgw_part *part)
{
    if (i >= b->n)
        return CGW_EINVAL;
    struct cgw_part copy = *part;
    copy.body = part->body ? arena_dup(b->arena, part->body, part->len) : NULL;
    copy.mime = part->mime ? arena_dup(b->arena, part->mime, strlen(part->mime)) : NULL;
    copy.name = part->name ? arena_dup(b->arena, part->name, strlen(part->name)) : NULL;
    if (part->body && !copy.body)
        return note(&b->messages[i], CGW_ELIMIT, "message memory");
    return append(b, &b->messages[i], copy);
}

/* Member by RFC 6901 pointer, at most 16 steps. */
static json_t *by_pointer(const struct cgw_run *run, const char *pointer)
{
    json_t *at = run->json;
    for (int step = 0; *pointer == '/' && at && step < 16; step++) {
        char key[128];
        size_t n = 0;
        for (pointer++; *pointer && *pointer != '/'; pointer++) {
            char ch = *pointer;
            if (ch == '~' && (pointer[1] == '0' || pointer[1] == '1'))
                ch = *++pointer == '0' ? '~' : '/';
            if (n + 1 < sizeof key)
                key[n++] = ch;
        }
        key[n] = 0;
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(key, NULL, 10))
                               : json_object_get(at, key);
    }
    return *pointer ? NULL : at;
}

static const char *host_content_str(const struct cgw_run *run, const char *pointer,
                                    uint32_t *ret_len)
{
    const json_t *v = by_pointer(run, pointer);
    if (!json_is_string(v))
        return NULL;
    if (ret_len)
        *ret_len = (uint32_t)json_string_length(v);
    return json_string_value(v);
}

static int64_t host_content_int(const struct cgw_run *run, const char *pointer, int64_t absent)
{
    const json_t *v = by_pointer(run, pointer);
    return json_is_integer(v) ? json_integer_value(v) : absent;
}

/* Kept with the run: plugins ask for every person anew, and hold the text until the run is over. */
static const char *keep_text(struct cgw_run *run, const char *pointer, const json_t *v)
{
    for (uint32_t i = 0; i < run->n_texts; i++)
        if (!strcmp(run->texts[i].pointer, pointer))
            return run->texts[i].text;
    if (!v || run->n_texts == RENDER_JSON_MAX)
        return NULL;
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY), *key = strdup(pointer);
    if (!text || !key) {
        free(text);
        free(key);
        return NULL;
    }
    run->texts[run->n_texts].pointer = key;
    return run->texts[run->n_texts++].text = text;
}

static const char *host_content_json(const struct cgw_run *run, const char *pointer,
                                     uint32_t *ret_len)
{
    /* one thread at a time has the run, and it is only lent as const */
    struct cgw_run *mine = (struct cgw_run *)(uintptr_t)run;
    const char *text = keep_text(mine, pointer, by_pointer(run, pointer));
    if (ret_len)
        *ret_len = text ? (uint32_t)strlen(text) : 0;
    return text;
}

static int32_t host_content_count(const struct cgw_run *run, const char *pointer)
{
    const json_t *v = by_pointer(run, pointer);
    return json_is_array(v)    ? (int32_t)json_array_size(v)
           : json_is_object(v) ? (int32_t)json_object_size(v)
                               : -1;
}

static const char *host_content_key(const struct cgw_run *run, const char *pointer, uint32_t i)
{
    json_t *v = by_pointer(run, pointer);
    void *at = json_object_iter(v);
    while (at && i--)
        at = json_object_iter_next(v, at);
    return at ? json_object_iter_key(at) : NULL;
}

static int host_media_part(const struct cgw_run *run, const char *id, struct cgw_part *ret)
{
    for (uint32_t i = 0; i < run->n_media; i++)
        if (!strcmp(run->media[i].id, id)) {
            *ret = (struct cgw_part){
                .role = CGW_ROLE_MEDIA, .mime = run->media[i].mime, .media = run->media[i].handle};
            return 0;
        }
    return CGW_ENOTFOUND;
}

const struct cgw_campaign_host *render_campaign_host(void)
{
    /* propose, set_state, set_timer, add_total stay NULL until a campaign plugin's step() is run:
     * the broadcast has none */
    static const struct cgw_campaign_host host = {
        .size = sizeof host,
        .abi_minor = 0,
        .run_id = host_run_id,
        .run_content = host_run_content,
        .run_channel = host_run_channel,
        .run_field_count = host_field_count,
        .run_field = host_field,
        .template_check = host_template_check,
        .add_template = host_add_template,
        .add_part = host_add_part,
        .content_str = host_content_str,
        .content_int = host_content_int,
        .content_json = host_content_json,
        .content_count = host_content_count,
        .content_key = host_content_key,
        .media_part = host_media_part,
    };
    return &host;
}
