/* SPDX-License-Identifier: Apache-2.0 */
/* email_driver.c - one instance of a channel plugin in the gateway's own host, with the gateway's
 * own callback listener, no database: commands in as lines of JSON on stdin, what comes back out as
 * lines of JSON on stdout. For tests that bring their own mail server (run_email.py) and for
 * scripts/bench. What is "stored" here is stored at once, later (hold), or refused (refuse).
 * Usage: email_driver PLUGIN.so CREDENTIALS-DIRECTORY KEY=VALUE... */
#include "api/callback.h"
#include "base/clock.h"
#include "base/log.h"
#include "plugin/host.h"

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES (4u << 20)
#define MEDIA_MAX 16u
#define ACKS_MAX 1024u
#define OPTIONS_MAX 64u
#define BATCH 64u

static struct plugin_instance *inst;
static struct callback *listener;
static const char *allow[] = {"127.0.0.0/8", NULL};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool hold, refuse, quiet;
static uint64_t acks[ACKS_MAX];
static unsigned n_acks;
static atomic_uint n_results, by_result[16], n_throttled;
static struct {
    char *bytes;
    size_t len;
} media[MEDIA_MAX];

/* ---- out ---- */

static void say(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)pthread_mutex_lock(&lock);
    (void)printf("%s\n", text ? text : "{}");
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&lock);
    free(text);
    json_decref(o);
}

static json_t *text_of(const char *s)
{
    json_t *t = s ? json_string(s) : json_null();
    return t ? t : json_string("(no UTF-8)");
}

static void on_complete(void *ctx, struct plugin_instance *in, const struct cgw_result *r,
                        uint32_t n)
{
    (void)ctx;
    (void)in;
    for (uint32_t i = 0; i < n; i++) {
        atomic_fetch_add(&by_result[r[i].result & 15], 1);
        atomic_fetch_add(&n_throttled, r[i].flags & CGW_RESF_THROTTLED ? 1 : 0);
        atomic_fetch_add(&n_results, 1);
        if (!quiet)
            say(json_pack("{s:s,s:I,s:i,s:i,s:i,s:i,s:o,s:o,s:I,s:o,s:o}", "event", "result",
                          "token", (json_int_t)r[i].token, "result", r[i].result, "flags",
                          r[i].flags, "sub", r[i].sub, "code", r[i].code, "space",
                          text_of(r[i].code_space), "raw", text_of(r[i].raw), "retry_ms",
                          (json_int_t)r[i].retry_after_ms, "id",
                          text_of(r[i].n_ids ? r[i].provider_ids[0] : NULL), "peer_id",
                          text_of(r[i].n_ids && r[i].peer_ids ? r[i].peer_ids[0] : NULL)));
    }
}

static uint32_t keep(uint64_t ack)
{
    (void)pthread_mutex_lock(&lock);
    bool now = !hold, taken = !refuse && n_acks < ACKS_MAX;
    if (taken && !now)
        acks[n_acks++] = ack;
    (void)pthread_mutex_unlock(&lock);
    if (taken && now && ack)
        instance_stored(inst, &ack, 1);
    return taken;
}

static uint32_t on_receipt(void *ctx, struct plugin_instance *in, const struct cgw_receipt *r,
                           uint32_t n)
{
    (void)ctx;
    (void)in;
    (void)n; /* one at a time is a prefix */
    if (!keep(r->ack))
        return 0;
    say(json_pack("{s:s,s:i,s:i,s:o,s:i,s:o,s:o,s:o,s:I}", "event", "receipt", "result", r->result,
                  "sub", r->sub, "id", text_of(r->provider_id), "code", r->code, "space",
                  text_of(r->code_space), "raw", text_of(r->raw), "person",
                  text_of(r->person.kind ? r->person.text : ""), "reference",
                  (json_int_t)r->reference));
    return 1;
}

static uint32_t on_inbound(void *ctx, struct plugin_instance *in, const struct cgw_inbound *m,
                           uint32_t n)
{
    (void)ctx;
    (void)in;
    (void)n;
    if (!keep(m->ack))
        return 0;
    json_t *parts = json_array();
    for (uint32_t i = 0; i < m->n_parts; i++) {
        json_t *body = json_stringn(m->parts[i].body, m->parts[i].len);
        (void)json_array_append_new(parts, json_pack("{s:i,s:o}", "role", m->parts[i].role, "body",
                                                     body ? body : json_string("(no UTF-8)")));
    }
    say(json_pack("{s:s,s:i,s:i,s:o,s:o,s:o,s:o,s:o}", "event", "inbound", "kind", m->kind, "sub",
                  m->sub, "from", text_of(m->from.kind ? m->from.text : NULL), "to",
                  text_of(m->to.text), "id", text_of(m->provider_id), "peer_id",
                  text_of(m->peer_id), "parts", parts));
    return 1;
}

static void on_reply(void *ctx, struct plugin_instance *in, uint64_t id, uint32_t status,
                     const char *type, const char *body, uint32_t len)
{
    (void)ctx;
    (void)in;
    callback_reply(listener, id, status, type, body, len);
}

/* ---- services ---- */

static int64_t media_size(uint64_t m)
{
    return m < MEDIA_MAX && media[m].bytes ? (int64_t)media[m].len : CGW_ENOTFOUND;
}

static int64_t media_read(uint64_t m, int64_t offset, void *out, size_t n)
{
    if (m >= MEDIA_MAX || !media[m].bytes || offset < 0 || (size_t)offset > media[m].len)
        return CGW_ENOTFOUND;
    size_t left = media[m].len - (size_t)offset, take = n < left ? n : left;
    memcpy(out, media[m].bytes + offset, take);
    return (int64_t)take;
}

static int find(void *ctx, const char *name, const char *method, const char *path,
                struct callback_route *ret)
{
    (void)ctx;
    int route = strcmp(name, "mail") ? CALLBACK_NO_PATH : instance_route(inst, method, path);
    if (route < 0)
        return route;
    const struct cgw_http_route *r = &instance_plugin(inst)->desc.routes[route];
    *ret = (struct callback_route){.method = r->method,
                                   .path = r->path,
                                   .auth = r->auth,
                                   .max_body = r->max_body,
                                   .allow = allow};
    return route;
}

static int deliver(void *ctx, const char *name, int route, const struct cgw_http_request *req)
{
    (void)ctx;
    (void)name;
    return instance_http(inst, (uint32_t)route, req);
}

/* ---- in ---- */

static uint32_t role_of(const char *word)
{
    static const char *const words[] = {"", "text", "html", "subject", "header", "media", "flow"};
    for (uint32_t i = 1; word && i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(word, words[i]))
            return i;
    return 0;
}

static uint32_t read_parts(const json_t *list, struct cgw_part *parts)
{
    size_t i;
    json_t *o;
    uint32_t n = 0;
    json_array_foreach(list, i, o)
    {
        if (n == CGW_PARTS_MAX)
            break;
        const json_t *body = json_object_get(o, "body");
        parts[n++] =
            (struct cgw_part){.role = role_of(json_string_value(json_object_get(o, "role"))),
                              .mime = json_string_value(json_object_get(o, "mime")),
                              .name = json_string_value(json_object_get(o, "name")),
                              .body = json_string_value(body),
                              .len = (uint32_t)json_string_length(body),
                              .media = (uint64_t)json_integer_value(json_object_get(o, "media"))};
        if (!parts[n - 1].mime)
            parts[n - 1].mime = "text/plain; charset=utf-8";
    }
    return n;
}

static int64_t number(const json_t *o, const char *key, int64_t absent)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : absent;
}

/* "name%d@domain" with the number put in; with domains, "name%d@" and one of so many. */
static void address_at(char *out, size_t size, const char *pattern, int64_t at, int64_t domains)
{
    const char *mark = strstr(pattern, "%d");
    (void)snprintf(out, size, "%s", pattern);
    if (mark)
        (void)snprintf(out, size, "%.*s%lld%s", (int)(mark - pattern), pattern, (long long)at,
                       mark + 2);
    size_t len = strlen(out);
    if (domains)
        (void)snprintf(out + len, size - len, "d%lld.example", (long long)(at % domains));
}

static void fill(struct cgw_message *m, const json_t *o, const char *to,
                 const struct cgw_part *parts, uint32_t n_parts)
{
    static uint64_t token;
    const char *from = json_string_value(json_object_get(o, "from"));
    *m = (struct cgw_message){
        .size = sizeof *m,
        .lane = (uint32_t)number(o, "lane", 0),
        .token = ++token,
        .channel = CGW_CHANNEL_EMAIL,
        .contact_class = (uint32_t)number(o, "class", CGW_CLASS_MARKETING),
        .to = {CGW_ADDR_EMAIL, (uint32_t)strlen(to), to},
        .from = {from ? CGW_ADDR_EMAIL : 0, from ? (uint32_t)strlen(from) : 0, from},
        .submit_before_mono_ms = clock_mono_ms() + number(o, "submit_ms", 1000),
        .not_after_utc_ms = clock_utc_ms() + number(o, "window_ms", 3600000),
        .want_receipt = 1,
        .reference = (uint64_t)number(o, "reference", 0),
        .n_parts = n_parts,
        .parts = parts};
}

/* n messages; tokens count on. Waits for credit, at most patience_ms. */
static void do_send(const json_t *o)
{
    struct cgw_part parts[CGW_PARTS_MAX];
    struct cgw_message msgs[BATCH];
    char to[BATCH][300];
    uint32_t n_parts = read_parts(json_object_get(o, "parts"), parts);
    uint32_t lane = (uint32_t)number(o, "lane", 0);
    int64_t n = number(o, "n", 1), sent = 0;
    int64_t until = clock_mono_ms() + number(o, "patience_ms", 10000);
    while (sent < n && clock_mono_ms() < until) {
        uint32_t batch = n - sent < BATCH ? (uint32_t)(n - sent) : BATCH;
        batch = instance_reserve(inst, lane, batch);
        for (uint32_t i = 0; i < batch; i++) {
            address_at(to[i], sizeof to[i], json_string_value(json_object_get(o, "to")), sent + i,
                       number(o, "domains", 0));
            fill(&msgs[i], o, to[i], parts, n_parts);
        }
        uint32_t taken = batch ? instance_submit_reserved(inst, msgs, batch) : 0;
        if (batch > taken)
            instance_unreserve(inst, lane, batch - taken);
        sent += taken;
        if (!taken) {
            struct timespec pause = {.tv_nsec = 500000};
            (void)nanosleep(&pause, NULL);
        }
    }
    say(json_pack("{s:s,s:I}", "event", "sent", "n", (json_int_t)sent));
}

static void do_check(const json_t *o)
{
    struct cgw_part parts[CGW_PARTS_MAX];
    const char *to = json_string_value(json_object_get(o, "to"));
    struct cgw_check verdict = {.size = sizeof verdict};
    struct cgw_message m = {.size = sizeof m,
                            .channel = CGW_CHANNEL_EMAIL,
                            .to = {CGW_ADDR_EMAIL, (uint32_t)strlen(to), to},
                            .n_parts = read_parts(json_object_get(o, "parts"), parts),
                            .parts = parts};
    instance_check(inst, &m, 1, &verdict);
    say(json_pack("{s:s,s:i,s:i,s:s}", "event", "check", "code", verdict.code, "units",
                  verdict.units, "text", verdict.text));
}

static void do_media(const json_t *o)
{
    uint64_t m = (uint64_t)number(o, "id", 1);
    FILE *f = fopen(json_string_value(json_object_get(o, "file")), "rb");
    if (!f || m >= MEDIA_MAX)
        abort();
    media[m].bytes = realloc(media[m].bytes, 64u << 20);
    media[m].len = media[m].bytes ? fread(media[m].bytes, 1, 64u << 20, f) : 0;
    (void)fclose(f);
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void do_stats(const json_t *o)
{
    (void)o;
    struct instance_stats st;
    struct cgw_health h = {.size = sizeof h};
    json_t *counters = json_object(), *results = json_array();
    const struct cgw_plugin_desc *d = &instance_plugin(inst)->desc;
    instance_stats(inst, &st);
    instance_health(inst, &h);
    for (uint32_t i = 0; d->counters && d->counters[i].name; i++)
        (void)json_object_set_new(counters, d->counters[i].name,
                                  json_integer((json_int_t)instance_counter(inst, i)));
    for (uint32_t i = 0; i < 10; i++)
        (void)json_array_append_new(results, json_integer(atomic_load(&by_result[i])));
    say(json_pack("{s:s,s:b,s:s,s:i,s:i,s:i,s:I,s:I,s:f,s:i,s:i,s:o,s:o}", "event", "stats", "up",
                  h.up, "text", h.text, "links_up", h.links_up, "held", h.window_used, "n_results",
                  atomic_load(&n_results), "slow_ops", (json_int_t)st.slow_ops, "slowest_op_us",
                  (json_int_t)st.slowest_op_us, "cpu_s", cpu_s(), "throttled",
                  atomic_load(&n_throttled), "bad_results",
                  (int)(st.bad_results + st.double_completions + st.unknown_tokens), "counters",
                  counters, "results", results));
}

static void do_set(const json_t *o)
{
    (void)pthread_mutex_lock(&lock);
    hold = number(o, "hold", hold);
    refuse = number(o, "refuse", refuse);
    quiet = number(o, "quiet", quiet);
    (void)pthread_mutex_unlock(&lock);
}

static void do_release(const json_t *o)
{
    (void)o;
    uint64_t all[ACKS_MAX];
    (void)pthread_mutex_lock(&lock);
    unsigned n = n_acks;
    memcpy(all, acks, n * sizeof all[0]);
    n_acks = 0;
    (void)pthread_mutex_unlock(&lock);
    if (n)
        instance_stored(inst, all, n);
}

/* Waits until that many results came; says how long it took from now. */
static void do_wait(const json_t *o)
{
    int64_t began = clock_mono_us(), until = clock_mono_ms() + number(o, "ms", 60000);
    unsigned want = (unsigned)number(o, "n", 0);
    while (atomic_load(&n_results) < want && clock_mono_ms() < until) {
        struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    say(json_pack("{s:s,s:i,s:f}", "event", "waited", "n_results", atomic_load(&n_results), "s",
                  (double)(clock_mono_us() - began) / 1e6));
}

static void do_drain(const json_t *o)
{
    int64_t began = clock_mono_ms();
    instance_drain(inst, began + number(o, "ms", 2000));
    int rc = instance_drain_wait(inst);
    say(json_pack("{s:s,s:i,s:I}", "event", "drained", "rc", rc, "ms",
                  (json_int_t)(clock_mono_ms() - began)));
}

static void obey(const char *line)
{
    static const struct {
        const char *word;
        void (*run)(const json_t *o);
    } words[] = {{"send", do_send}, {"check", do_check},     {"media", do_media},
                 {"set", do_set},   {"release", do_release}, {"stats", do_stats},
                 {"wait", do_wait}, {"drain", do_drain}};
    json_t *o = json_loads(line, 0, NULL);
    const char *word = json_string_value(json_object_get(o, "do"));
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(word, words[i].word))
            words[i].run(o);
    json_decref(o);
}

/* ---- life ---- */

static int open_instance(int argc, char **argv, struct diag *d)
{
    struct conf_pair pairs[OPTIONS_MAX];
    size_t n = 0;
    struct plugin *p;
    struct cgw_conf *conf = NULL;
    const struct instance_sink sink = {NULL, on_complete, on_receipt, on_inbound, NULL, on_reply};
    const struct host_services services = {.media_size = media_size, .media_read = media_read};
    host_set_services(&services);
    int rc = plugin_load(argv[1], &p, d);
    for (int i = 3; i < argc && n < OPTIONS_MAX; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq)
            continue;
        *eq = 0;
        pairs[n++] = (struct conf_pair){argv[i], eq + 1};
    }
    rc = rc ? rc : conf_from_pairs(p, "mail", pairs, n, argv[2], &conf, d);
    return rc ? rc : instance_new(p, "mail", conf, &sink, &inst, d);
}

int main(int argc, char **argv)
{
    struct diag d = {0};
    const struct callback_config cc = {.listen_address = "127.0.0.1", .deadline_ms = 5000};
    const struct callback_services cs = {.find = find, .deliver = deliver};
    if (argc < 3) {
        (void)fprintf(stderr, "usage: email_driver PLUGIN.so CREDENTIALS KEY=VALUE...\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_L_WARNING);
    int rc = open_instance(argc, argv, &d);
    rc = rc ? rc : callback_start(&cc, &cs, &listener, &d);
    rc = rc ? rc : instance_start(inst, &d);
    if (rc) {
        say(json_pack("{s:s,s:s,s:s}", "event", "refused", "where", d.where, "text", d.text));
        return 1;
    }
    say(json_pack("{s:s,s:i}", "event", "ready", "callback", callback_port(listener)));
    char *line = malloc(LINE_MAX_BYTES);
    while (line && fgets(line, LINE_MAX_BYTES, stdin))
        obey(line);
    free(line);
    inst = instance_free(inst);
    listener = callback_stop(listener);
    for (size_t i = 0; i < MEDIA_MAX; i++)
        free(media[i].bytes);
    return 0;
}
