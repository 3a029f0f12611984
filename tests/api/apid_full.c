/* SPDX-License-Identifier: Apache-2.0 */
/* apid_full.c - the HTTP API with every noun, real campaign and channel plugins, real policy and a
 * test identity key; no planner and no dispatcher, so that what a campaign waits for stays put.
 * Prints {"port":…} when it listens; ends on SIGTERM. Options come as NAME=VALUE arguments:
 * conninfo spool socket rate plugins (directory of the .so files) smpp (any: an idle SMPP instance
 * "smsc-a" too) optout (word sets). */
#include "address/address.h"
#include "api/api.h"
#include "api/handlers/campaigns.h"
#include "api/handlers/people.h"
#include "base/clock.h"
#include "content/check.h"
#include "content/render.h"
#include "dispatch/services.h"
#include "content/optout_conf.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static struct registry *registry;
static struct rules_cache *rules;
static struct optout_sets words;
static unsigned wakes;

static const char *option(int argc, char **argv, const char *name, const char *absent)
{
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], name, n) && argv[i][n] == '=')
            return argv[i] + n + 1;
    return absent;
}

/* ---- services -------------------------------------------------------------------------------- */
static void wake(void *ctx, unsigned what)
{
    (void)ctx;
    __atomic_or_fetch(&wakes, what, __ATOMIC_SEQ_CST);
}

static int identity(void *ctx, const char *normalised, int32_t *ret_part, int64_t *ret_customer_id)
{
    static const uint8_t key[ADDRESS_KEY_BYTES] = "a test key everyone may know";
    (void)ctx;
    *ret_customer_id = customer_key(key, normalised, strlen(normalised));
    *ret_part = (int32_t)customer_part(*ret_customer_id);
    return 0;
}

static int instance_channel(void *ctx, const char *instance)
{
    (void)ctx;
    return registry_find(registry, instance) ? (int)CGW_CHANNEL_SMS : CGW_ENOTFOUND;
}

/* "loop-b" says that it is down. */
static int channels(void *ctx, struct buf *ret, struct diag *diag)
{
    (void)ctx;
    (void)diag;
    buf_puts(ret, "{\"name\":\"loop-a\",\"up\":true},{\"name\":\"loop-b\",\"up\":false}");
    return 0;
}

static int check_content(void *ctx, const char *plugin, uint32_t channel, const char *content_json,
                         size_t content_len, const char *const *fields, uint32_t n_fields,
                         const char *const *instances, uint32_t n_instances,
                         const struct render_media *media, uint32_t n_media,
                         struct api_content *ret, struct diag *diag)
{
    struct content_found found;
    (void)ctx;
    int rc = content_check(registry, plugin, channel, content_json, content_len, fields, n_fields,
                           instances, n_instances, media, n_media, &found, diag);
    ret->segments_max = found.segments;
    (void)snprintf(ret->encoding, sizeof ret->encoding, "%s", found.encoding);
    (void)snprintf(ret->text, sizeof ret->text, "%s", found.text);
    return rc;
}

static int check_keyword(void *ctx, const char *word, size_t len, struct diag *diag)
{
    (void)ctx;
    return content_check_keyword(&words, word, len, diag);
}

static int decide(void *ctx, struct db *db, const struct api_decide *a, struct buf *ret,
                  struct diag *diag)
{
    struct decide_ask ask = {.part = a->part,
                             .partner_id = a->partner_id,
                             .customer_id = a->customer_id,
                             .address = a->address,
                             .channel = a->channel,
                             .contact_class = a->contact_class,
                             .purpose = a->purpose,
                             .at_utc_ms = a->at_utc_ms};
    (void)ctx;
    return dispatch_decide(rules, db, &ask, ret, diag);
}

static int windows(void *ctx, struct db *db, const char *calendar_id, const char *region,
                   int64_t from_ms, int64_t to_ms, struct buf *ret, struct diag *diag)
{
    (void)ctx;
    return dispatch_windows(db, calendar_id, region, from_ms, to_ms, ret, diag);
}

/* ---- channel results: nothing is sent here --------------------------------------------------- */
static void no_result(void *ctx, struct plugin_instance *inst, const struct cgw_result *results,
                      uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)results;
    (void)n;
}

static uint32_t no_receipt(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *items,
                           uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)items;
    return n;
}

static uint32_t no_inbound(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *items,
                           uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)items;
    return n;
}

/* smpp: also an instance of channel_smpp, which is never started: it only says how many parts a
 * text has. */
static int load_plugins(const char *dir, bool smpp, struct diag *diag)
{
    char text[1024];
    config_t cfg;
    struct registry_opts opts = {
        .sink = {.complete = no_result, .receipt = no_receipt, .inbound = no_inbound},
        .campaign_host = render_campaign_host()};
    (void)snprintf(text, sizeof text,
                   "plugins: { directory = \"%s\"; load = [ \"campaign_broadcast\" ]; };\n"
                   "instances = ( { name = \"loop-a\"; plugin = \"channel_loopback\"; }, { name = "
                   "\"loop-b\"; plugin = \"channel_loopback\"; }%s );\n",
                   dir,
                   smpp ? ", { name = \"smsc-a\"; plugin = \"channel_smpp\"; host = \"127.0.0.1\"; "
                          "system_id = \"test\"; }"
                        : "");
    config_init(&cfg);
    int rc = config_read_string(&cfg, text)
                 ? registry_new(&opts, &registry, diag)
                 : diag_set(diag, CGW_EINVAL, "plugins", "%s", config_error_text(&cfg));
    if (rc == 0)
        rc = registry_load_config(registry, &cfg, diag);
    config_destroy(&cfg);
    return rc;
}

static int dump_routes(void)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    api_dump_routes(&out);
    (void)fputs(buf_str(&out), stdout);
    buf_done(&out);
    return 0;
}

int main(int argc, char **argv)
{
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct api_services services = {.wake = wake,
                                    .identity = identity,
                                    .instance_channel = instance_channel,
                                    .channels = channels,
                                    .check_content = check_content,
                                    .decide = decide,
                                    .windows = windows};
    struct api_config conf = {.listen_address = "127.0.0.1",
                              .admin_group = "campgw-admin",
                              .version = "test",
                              .node = "test-node",
                              .conninfo = option(argc, argv, "conninfo", NULL),
                              .spool_dir = option(argc, argv, "spool", "/tmp"),
                              .socket_path = option(argc, argv, "socket", NULL),
                              .rate_per_min =
                                  (unsigned)strtoul(option(argc, argv, "rate", "0"), NULL, 10)};
    struct api *api = NULL;
    struct diag d = {0};
    if (argc > 1 && !strcmp(argv[1], "--dump-routes"))
        return dump_routes();
    int rc = sodium_init() < 0 ? -1
                               : load_plugins(option(argc, argv, "plugins", "."),
                                              option(argc, argv, "smpp", NULL), &d);
    if (rc == 0)
        rc = optout_conf_load(option(argc, argv, "optout", "optout.conf"), &words, &d);
    rules = rules_cache_new();
    campaigns_keyword_check(check_keyword, NULL);
    people_setup(conf.spool_dir, 1u << 30);
    if (rc == 0)
        rc = api_start(&conf, &services, &api, &d);
    if (rc < 0) {
        (void)fprintf(stderr, "%s: %s\n", d.where, d.text);
    } else {
        (void)printf("{\"port\":%u}\n", (unsigned)api_port(api));
        (void)fflush(stdout);
        int sig;
        (void)sigwait(&stop, &sig);
    }
    api = api_stop(api, 2000);
    registry = registry_free(registry);
    rules_cache_free(rules);
    optout_sets_done(&words);
    return rc < 0;
}
