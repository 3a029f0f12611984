/* SPDX-License-Identifier: Apache-2.0 */
/* instance_mail.c - everything small that other threads leave for an instance's loop: posts, acks
 * of stored rows, recalls of unsent messages and callback requests; questions are in
 * instance_asks.c. Each list has a stated limit (host.h) and pushes back to whoever fills it. */
#include "plugin/host_int.h"

#include <errno.h>
#include <string.h>

#define POSTS_PER_TURN 256u

/* ---- lists of numbers
 * ------------------------------------------------------------------------------------------------------------
 */

/* Locked. \return how many were put. */
static uint32_t list_put(struct u64_list *l, const uint64_t *v, uint32_t n, uint32_t max)
{
    if (n > max - l->n)
        n = max - l->n;
    if (l->n + n > l->cap) {
        uint32_t cap = (l->n + n) * 2;
        uint64_t *p = realloc(l->v, cap * sizeof *p);
        if (!p)
            return 0;
        l->v = p;
        l->cap = cap;
    }
    if (n)
        memcpy(l->v + l->n, v, n * sizeof *v);
    l->n += n;
    return n;
}

static struct u64_list list_take(struct plugin_instance *in, struct u64_list *l)
{
    (void)pthread_mutex_lock(&in->lock);
    struct u64_list got = *l;
    *l = (struct u64_list){0};
    (void)pthread_mutex_unlock(&in->lock);
    return got;
}

/* Acks were reserved when the items were taken, so their list is never full; a recall is a wish:
 * without room the message goes its way. */
void instance_stored(struct plugin_instance *inst, const uint64_t *acks, uint32_t n)
{
    uint32_t had = atomic_load(&inst->acks_outstanding);
    while (!atomic_compare_exchange_weak(&inst->acks_outstanding, &had, had > n ? had - n : 0))
        continue;
    (void)pthread_mutex_lock(&inst->lock);
    (void)list_put(&inst->acks, acks, n, INSTANCE_ACKS * 2);
    (void)pthread_mutex_unlock(&inst->lock);
    inst_wake(inst);
}

void instance_cancel(struct plugin_instance *inst, const uint64_t *tokens, uint32_t n)
{
    (void)pthread_mutex_lock(&inst->lock);
    (void)list_put(&inst->cancels, tokens, n, INSTANCE_INFLIGHT);
    (void)pthread_mutex_unlock(&inst->lock);
    inst_wake(inst);
}

static void turn_acks(struct plugin_instance *in)
{
    struct u64_list l = list_take(in, &in->acks);
    if (l.n && in->plugin->channel.stored) {
        inst_enter(in, "stored");
        in->plugin->channel.stored(in->ch, l.v, l.n);
        inst_leave(in);
    }
    free(l.v);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void keep_taken(struct plugin_instance *in, struct u64_list *l)
{
    uint32_t k = 0;
    (void)pthread_mutex_lock(&in->lock);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct token_slot *s = tokens_find(&in->tokens, l->v[i]);
        if (s && s->state == TOKEN_TAKEN)
            l->v[k++] = l->v[i];
    }
    l->n = k;
    (void)pthread_mutex_unlock(&in->lock);
}

static void turn_cancels(struct plugin_instance *in)
{
    struct u64_list l = list_take(in, &in->cancels);
    if (l.n) {
        qsort(l.v, l.n, sizeof *l.v, by_value);
        submit_recall(in, &l);
        keep_taken(in, &l);
    }
    if (l.n && in->plugin->channel.cancel) {
        inst_enter(in, "cancel");
        in->plugin->channel.cancel(in->ch, l.v, l.n);
        inst_leave(in);
    }
    free(l.v);
}

/* ---- tally
 * ------------------------------------------------------------------------------------------------------------------------
 */

void instance_tally(struct plugin_instance *inst, const struct cgw_tally *t)
{
    if (!inst->plugin->channel.tally || inst_state(inst) != INSTANCE_RUNNING)
        return;
    (void)pthread_mutex_lock(&inst->lock);
    inst->tally = *t;
    inst->tally.size = sizeof inst->tally;
    (void)pthread_mutex_unlock(&inst->lock);
    inst_wake(inst);
}

static void turn_tally(struct plugin_instance *in)
{
    (void)pthread_mutex_lock(&in->lock);
    struct cgw_tally t = in->tally;
    in->tally.size = 0;
    (void)pthread_mutex_unlock(&in->lock);
    if (!t.size)
        return;
    inst_enter(in, "tally");
    in->plugin->channel.tally(in->ch, &t);
    inst_leave(in);
}

/* ---- posts
 * ----------------------------------------------------------------------------------------------------------------------------
 */

int mail_post(struct plugin_instance *in, cgw_timer_cb cb, void *arg)
{
    int rc = CGW_EBUSY;
    (void)pthread_mutex_lock(&in->lock);
    if (in->n_posts < INSTANCE_POSTS) {
        in->posts[(in->posts_head + in->n_posts++) % INSTANCE_POSTS] = (struct post){cb, arg};
        rc = 0;
    }
    (void)pthread_mutex_unlock(&in->lock);
    inst_wake(in);
    return rc;
}

static bool take_post(struct plugin_instance *in, struct post *ret)
{
    (void)pthread_mutex_lock(&in->lock);
    bool some = in->n_posts > 0;
    if (some) {
        *ret = in->posts[in->posts_head];
        in->posts_head = (in->posts_head + 1) % INSTANCE_POSTS;
        in->n_posts--;
    }
    (void)pthread_mutex_unlock(&in->lock);
    return some;
}

static bool turn_posts(struct plugin_instance *in)
{
    struct post p;
    for (uint32_t i = 0; i < POSTS_PER_TURN; i++) {
        if (!take_post(in, &p))
            return false;
        inst_enter(in, "post");
        p.cb(p.arg);
        inst_leave(in);
    }
    return true;
}

/* ---- callback requests
 * --------------------------------------------------------------------------------------------------------------------
 */

int instance_route(const struct plugin_instance *inst, const char *method, const char *path)
{
    int known = -1;
    for (uint32_t i = 0; i < inst->plugin->n_routes; i++) {
        const struct cgw_http_route *r = &inst->plugin->desc.routes[i];
        if (strcmp(r->path, path) != 0)
            continue;
        if (!strcmp(r->method, method))
            return (int)i;
        known = -2;
    }
    return known;
}

static uint32_t header_count(const struct cgw_http_request *req)
{
    uint32_t n = 0;
    while (req->headers && n < 256 && req->headers[n] && req->headers[n + 1])
        n += 2;
    return n;
}

static struct http_node *copy_request(uint32_t route, const struct cgw_http_request *req)
{
    uint32_t n = header_count(req);
    size_t room = (n + 1) * sizeof(char *) + text_room(req->method) + text_room(req->path) +
                  text_room(req->query) + text_room(req->content_type) + req->body_len + 1;
    for (uint32_t i = 0; i < n; i++)
        room += text_room(req->headers[i]);
    struct http_node *node = calloc(1, sizeof *node + room);
    if (!node)
        return NULL;
    const char **headers = (const char **)(void *)(node + 1);
    char *at = (char *)(headers + n + 1);
    *node = (struct http_node){
        .route = route,
        .req = {.size = sizeof node->req, .id = req->id, .body_len = req->body_len}};
    for (uint32_t i = 0; i < n; i++)
        headers[i] = put_text(&at, req->headers[i]);
    node->req.headers = headers;
    node->req.method = put_text(&at, req->method);
    node->req.path = put_text(&at, req->path);
    node->req.query = put_text(&at, req->query);
    node->req.content_type = put_text(&at, req->content_type);
    node->req.body = at;
    if (req->body_len)
        memcpy(at, req->body, req->body_len);
    if (!node->req.query)
        node->req.query = "";
    return node;
}

int instance_http(struct plugin_instance *inst, uint32_t route, const struct cgw_http_request *req)
{
    if (route >= inst->plugin->n_routes)
        return CGW_ENOTFOUND;
    if (req->body_len > inst->plugin->desc.routes[route].max_body)
        return CGW_ELIMIT;
    struct http_node *node = copy_request(route, req);
    if (!node)
        return -ENOMEM;
    int rc = 0;
    (void)pthread_mutex_lock(&inst->lock);
    struct http_node **end = &inst->http;
    if (inst_state(inst) != INSTANCE_RUNNING)
        rc = CGW_ESTATE;
    else if (inst->n_http == INSTANCE_HTTP)
        rc = CGW_EBUSY;
    while (*end && !rc) {
        if ((*end)->req.id == req->id)
            rc = CGW_EEXISTS;
        end = &(*end)->next;
    }
    if (!rc) {
        *end = node;
        inst->n_http++;
    }
    (void)pthread_mutex_unlock(&inst->lock);
    if (rc)
        free(node);
    else
        inst_wake(inst);
    return rc;
}

static struct http_node *next_request(struct plugin_instance *in)
{
    (void)pthread_mutex_lock(&in->lock);
    struct http_node *node = in->http;
    while (node && node->handed)
        node = node->next;
    if (node)
        node->handed = true;
    (void)pthread_mutex_unlock(&in->lock);
    return node;
}

static void turn_http(struct plugin_instance *in)
{
    struct http_node *node;
    while ((node = next_request(in))) {
        inst_enter(in, "http");
        in->plugin->desc.routes[node->route].handler(
            in->ch, &node->req); /* may reply and so free it before it returns */
        inst_leave(in);
    }
}

static struct http_node *unlink_request(struct plugin_instance *in, uint64_t id)
{
    (void)pthread_mutex_lock(&in->lock);
    struct http_node **at = &in->http;
    while (*at && (*at)->req.id != id)
        at = &(*at)->next;
    struct http_node *node = *at;
    if (node) {
        *at = node->next;
        in->n_http--;
    }
    (void)pthread_mutex_unlock(&in->lock);
    return node;
}

void mail_reply(struct plugin_instance *in, uint64_t request_id, uint32_t status,
                const char *content_type, const char *body, uint32_t len)
{
    struct http_node *node = unlink_request(in, request_id);
    if (!node) {
        inst_count(in, &in->unknown_tokens, "campgw_plugin_unknown_tokens_total");
        return;
    }
    if (in->sink.reply)
        in->sink.reply(in->sink.ctx, in, request_id, status >= 200 && status < 600 ? status : 500,
                       content_type, body ? body : "", body ? len : 0);
    free(node);
}

/* ---- together
 * --------------------------------------------------------------------------------------------------------------------------------
 */

bool mail_turn(struct plugin_instance *in)
{
    bool more = turn_posts(in);
    turn_acks(in);
    turn_cancels(in);
    asks_turn(in);
    turn_tally(in);
    turn_http(in);
    return more;
}

void mail_done(struct plugin_instance *in)
{
    static const char gone[] = "the channel instance is stopping\n";
    while (in->http) /* destroy() has run: nobody else answers any more */
        mail_reply(in, in->http->req.id, 503, "text/plain; charset=utf-8", gone, sizeof gone - 1);
    asks_done(in);
    free(in->acks.v);
    free(in->cancels.v);
    free(in->posts);
}
