/* SPDX-License-Identifier: Apache-2.0 */
/* voice_driver.c - loads a channel plugin into the gateway's own host and does what it is told on
 * standard input; tells on standard output, one JSON line per event. Judges nothing: that is
 * voicekit.py's. Usage: voice_driver PLUGIN.so CREDENTIALS-DIR [isolated=PATH] [option=value ...];
 * isolated: in a process of its own, which may run commands and read PATH call TOKEN LANE NUMBER
 * SUBMIT-BEFORE-MS WINDOW-MS FLOW-JSON   media NAME FILE (for later calls) cancel TOKEN   health
 * refuse N (next N inbound)   counters   drain MS
 */
#include "base/clock.h"
#include "plugin/host.h"
#include "plugin/isolate.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MEDIA_MAX 16
#define LINE_MAX 131072

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t refuse; /* under lock */
static struct {
    char name[64], path[512];
} media[MEDIA_MAX];
static uint32_t n_media;

static void tell(json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT);
    (void)pthread_mutex_lock(&lock);
    (void)puts(text);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&lock);
    free(text);
    json_decref(event);
}

/* ---- the core's side ---- */

static void on_complete(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                        uint32_t n)
{
    (void)ctx;
    (void)inst;
    for (uint32_t i = 0; i < n; i++, r++)
        tell(json_pack("{s:s,s:I,s:i,s:i,s:i,s:i,s:I,s:i,s:s,s:s}", "event", "result", "token",
                       (json_int_t)r->token, "result", (int)r->result, "sub", (int)r->sub, "flags",
                       (int)r->flags, "code", r->code, "retry_after_ms",
                       (json_int_t)r->retry_after_ms, "quantity", (int)r->quantity, "raw",
                       r->raw ? r->raw : "", "id", r->n_ids ? r->provider_ids[0] : ""));
}

static uint32_t on_receipt(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *r,
                           uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)r;
    return n;
}

static uint32_t on_inbound(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *m,
                           uint32_t n)
{
    uint64_t acks[64];
    uint32_t taken = 0;
    (void)ctx;
    for (; taken < n && taken < 64; taken++, m++) {
        (void)pthread_mutex_lock(&lock);
        bool no = refuse > 0;
        refuse -= no;
        (void)pthread_mutex_unlock(&lock);
        if (no)
            break;
        acks[taken] = m->ack;
        tell(json_pack("{s:s,s:i,s:i,s:s,s:s,s:s%,s:s,s:I,s:s}", "event", "inbound", "kind",
                       (int)m->kind, "sub", (int)m->sub, "from", m->from.text, "to", m->to.text,
                       "text", m->parts[0].body, (size_t)m->parts[0].len, "name", m->parts[0].name,
                       "reference", (json_int_t)m->reference, "peer_id",
                       m->peer_id ? m->peer_id : ""));
    }
    if (taken)
        instance_stored(inst, acks, taken);
    return taken;
}

static int64_t media_read(uint64_t handle, int64_t offset, void *out, size_t n)
{
    FILE *f = handle >= 1 && handle <= n_media ? fopen(media[handle - 1].path, "rb") : NULL;
    if (!f)
        return CGW_ENOTFOUND;
    size_t got = fseek(f, (long)offset, SEEK_SET) == 0 ? fread(out, 1, n, f) : 0;
    (void)fclose(f);
    return (int64_t)got;
}

static int64_t media_size(uint64_t handle)
{
    FILE *f = handle >= 1 && handle <= n_media ? fopen(media[handle - 1].path, "rb") : NULL;
    if (!f)
        return CGW_ENOTFOUND;
    long n = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    (void)fclose(f);
    return n;
}

/* ---- commands ---- */

static void do_call(struct plugin_instance *inst, char *args)
{
    char number[128];
    unsigned long long token;
    unsigned lane;
    long long before_ms, window_ms;
    int at = 0;
    if (sscanf(args, "%llu %u %127s %lld %lld %n", &token, &lane, number, &before_ms, &window_ms,
               &at) < 5)
        return;
    struct cgw_part parts[MEDIA_MAX + 1] = {{.role = CGW_ROLE_FLOW,
                                             .len = (uint32_t)strlen(args + at),
                                             .mime = "application/json",
                                             .body = args + at}};
    for (uint32_t i = 0; i < n_media; i++)
        parts[i + 1] = (struct cgw_part){
            .role = CGW_ROLE_MEDIA, .mime = "audio/wav", .name = media[i].name, .media = i + 1};
    struct cgw_message m = {.size = sizeof m,
                            .lane = lane,
                            .token = token,
                            .channel = CGW_CHANNEL_VOICE,
                            .contact_class = CGW_CLASS_SERVICE,
                            .to = {CGW_ADDR_E164, (uint32_t)strlen(number), number},
                            .from = {CGW_ADDR_E164, 13, "+495550000001"},
                            .submit_before_mono_ms = clock_mono_ms() + before_ms,
                            .not_after_utc_ms = clock_utc_ms() + window_ms,
                            .n_parts = n_media + 1,
                            .parts = parts};
    struct cgw_check c = {.size = sizeof c};
    instance_check(inst, &m, 1, &c);
    if (c.code != CGW_OK)
        tell(json_pack("{s:s,s:I,s:s}", "event", "unfit", "token", (json_int_t)token, "text",
                       c.text));
    else if (instance_submit(inst, &m, 1) != 1)
        tell(json_pack("{s:s,s:I}", "event", "not_taken", "token", (json_int_t)token));
}

static void do_health(struct plugin_instance *inst)
{
    struct cgw_health h = {.size = sizeof h};
    struct rusage ru;
    instance_health(inst, &h);
    (void)getrusage(RUSAGE_SELF, &ru);
    tell(json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:s,s:i,s:I}", "event", "health", "up", (int)h.up,
                   "links_up", (int)h.links_up, "links", (int)h.links, "used", (int)h.window_used,
                   "window", (int)h.window, "text", h.text, "credit",
                   (int)instance_credit(inst, CGW_LANE_BULK), "cpu_us",
                   (json_int_t)ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec +
                       (json_int_t)ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec));
}

static void do_counters(struct plugin_instance *inst)
{
    const struct plugin *p = instance_plugin(inst);
    json_t *o = json_pack("{s:s}", "event", "counters");
    for (uint32_t i = 0; i < p->n_counters; i++)
        (void)json_object_set_new(o, p->desc.counters[i].name,
                                  json_integer((json_int_t)instance_counter(inst, i)));
    tell(o);
}

static bool command(struct plugin_instance *inst, char *line)
{
    char *args = strchr(line, ' ');
    if (args)
        *args++ = '\0';
    if (strcmp(line, "call") == 0 && args)
        do_call(inst, args);
    else if (strcmp(line, "media") == 0 && args && n_media < MEDIA_MAX &&
             sscanf(args, "%63s %511s", media[n_media].name, media[n_media].path) == 2)
        n_media++;
    else if (strcmp(line, "health") == 0)
        do_health(inst);
    else if (strcmp(line, "counters") == 0)
        do_counters(inst);
    else if (strcmp(line, "cancel") == 0 && args) {
        uint64_t token = strtoull(args, NULL, 10);
        instance_cancel(inst, &token, 1);
    } else if (strcmp(line, "refuse") == 0 && args) {
        (void)pthread_mutex_lock(&lock);
        refuse = (uint32_t)strtoul(args, NULL, 10);
        (void)pthread_mutex_unlock(&lock);
    } else if (strcmp(line, "drain") == 0 && args) {
        int64_t began = clock_mono_ms();
        instance_drain(inst, began + strtol(args, NULL, 10));
        int rc = instance_drain_wait(inst);
        struct instance_stats s;
        instance_stats(inst, &s);
        tell(json_pack("{s:s,s:i,s:I,s:I,s:I,s:I}", "event", "drained", "rc", rc, "ms",
                       (json_int_t)(clock_mono_ms() - began), "double",
                       (json_int_t)s.double_completions, "slow_ops", (json_int_t)s.slow_ops,
                       "unknown_by_host", (json_int_t)s.unknown_by_host));
        return false;
    }
    return true;
}

static int open_instance(int argc, char **argv, struct plugin_instance **ret, struct diag *d)
{
    static const struct instance_sink sink = {
        .complete = on_complete, .receipt = on_receipt, .inbound = on_inbound};
    struct host_services services = {.media_size = media_size, .media_read = media_read};
    struct conf_pair pairs[64];
    struct cgw_conf *conf = NULL;
    struct plugin *p = NULL;
    struct conf_isolation how = {.memory_mb = 512, .exec = true};
    size_t n = 0;
    for (int i = 3; i < argc && n < 64; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq)
            continue;
        if (!strncmp(argv[i], "isolated=", 9)) {
            how.process = true;
            if (eq[1] && (how.read[0] = strdup(eq + 1)))
                how.n_read = 1;
            continue;
        }
        *eq = '\0';
        pairs[n++] = (struct conf_pair){argv[i], eq + 1};
    }
    host_set_services(&services);
    int rc = how.process ? isolate_describe(argv[1], &how, &p, d) : plugin_load(argv[1], &p, d);
    if (rc == 0)
        rc = conf_from_pairs(p, "voice-a", pairs, n, argv[2], &conf, d);
    if (rc == 0)
        conf_set_isolation(conf, &how);
    if (rc == 0)
        rc = instance_new(p, "voice-a", conf, &sink, ret, d);
    return rc == 0 ? instance_start(*ret, d) : rc;
}

int main(int argc, char **argv)
{
    static char line[LINE_MAX];
    struct plugin_instance *inst = NULL;
    struct diag d = {0};
    if (argc < 3)
        return 2;
    if (open_instance(argc, argv, &inst, &d) != 0) {
        tell(json_pack("{s:s,s:s}", "event", "refused", "text", d.text));
        return 1;
    }
    tell(json_pack("{s:s}", "event", "started"));
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (!command(inst, line))
            break;
    }
    (void)instance_free(inst);
    tell(json_pack("{s:s}", "event", "freed"));
    return 0;
}
