/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.h - the descriptor every plugin exports, and the ABI version.
 *
 * ABI changelog
 *   1.0  first, frozen: channel and campaign operations, host services, counters, option schema,
 *        HTTP routes. SMS, MMS, voice, e-mail and task channels run on it. Since the release
 *        candidate: cgw_inbound.provider_id; cgw_result.document and document_len;
 *        cgw_channel_ops.tally with struct cgw_tally; cgw_channel_caps.pulled;
 *        cgw_campaign_host.content_json, content_count, content_key and media_part.
 * Rules: MAJOR changes when something is changed or removed; MINOR when members are
 * appended. A gateway loads plugins of the same MAJOR and a MINOR not above its own. Members a
 * plugin does not know are NULL or 0 for it. */
#ifndef CGW_PLUGIN_H
#define CGW_PLUGIN_H

#include "cgw/campaign.h"
#include "cgw/channel.h"
#include "cgw/host.h"
#include "cgw/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CGW_ABI_MAGIC 0x43475750u /* "CGWP" */
#define CGW_ABI_MAJOR 1u
#define CGW_ABI_MINOR 0u
#define CGW_KIND_CHANNEL 1u
#define CGW_KIND_CAMPAIGN 2u

/* 16 bytes, frozen for ever: guards everything behind it. */
struct cgw_abi_prefix {
    uint32_t magic;                /* CGW_ABI_MAGIC */
    uint16_t abi_major, abi_minor; /* of the headers the plugin was built with */
    uint32_t desc_size;            /* sizeof(struct cgw_plugin_desc) then */
    uint32_t kind;                 /* CGW_KIND_* */
};

#define CGW_F_SHARED_LOOP (1ull << 0) /* all instances of the plugin run on one loop thread */
#define CGW_F_OWN_THREADS                                                                          \
    (1ull << 1) /* the plugin starts threads; services marked "any thread" only from them */

#define CGW_OPT_INT 1u
#define CGW_OPT_STR 2u
#define CGW_OPT_BOOL 3u /* read with conf_int: 0 or 1 */
#define CGW_OPT_LIST 4u /* list of strings */
#define CGW_OPT_ENUM 5u /* one of the words in `choices`, separated by '|' */
#define CGW_OPTF_REQUIRED 1u
#define CGW_OPTF_SECRET 2u /* value is the NAME of a credential file; never shown */

struct cgw_option {
    const char *key;
    uint32_t type;            /* CGW_OPT_* */
    uint32_t flags;           /* CGW_OPTF_* */
    const char *default_text; /* as it would stand in the file; NULL = none */
    int64_t min, max;         /* INT: inclusive; STR: bytes */
    const char *choices;      /* ENUM */
    const char *unit;         /* "ms", "pdus" ... or NULL */
    const char *help;         /* one line */
};

struct cgw_counter {
    const char *name, *unit, *help;
}; /* exposed as campgw_plugin_<name>_total{channel_instance=} */

/* What a channel can do, as data. */
struct cgw_channel_caps {
    uint32_t size;
    uint32_t channel;             /* CGW_CHANNEL_* */
    uint32_t address_kind;        /* CGW_ADDR_* it sends to */
    uint32_t max_parts;           /* parts per message */
    uint32_t max_bytes;           /* bytes per message, 0 = see check() */
    uint32_t role_mask;           /* bit CGW_ROLE_x set: role is sent */
    uint32_t receipts;            /* 1: peer reports final results */
    uint32_t replies;             /* 1: people can answer */
    const char *cost_unit;        /* "segment", "message", "second" */
    const char *concurrency_unit; /* "window slot", "call" */
    uint32_t pulled; /* 1: nothing leaves by submit(); who works on a message reads the document of
                        its accept. What has no accept after a crash was certainly not sent */
    uint32_t reserved;
};

struct cgw_plugin_desc {
    struct cgw_abi_prefix abi;
    uint64_t flags;   /* CGW_F_* */
    const char *name; /* = file name without .so */
    const char *version, *vendor;
    const struct cgw_option *options;      /* ends with key == NULL */
    const struct cgw_counter *counters;    /* ends with name == NULL; may be NULL */
    const struct cgw_channel_caps *caps;   /* channel plugins */
    const struct cgw_http_route *routes;   /* ends with path == NULL; may be NULL */
    const struct cgw_channel_ops *channel; /* exactly one of these two */
    const struct cgw_campaign_ops *campaign;
};

#if defined(__GNUC__)
#define CGW_EXPORT __attribute__((visibility("default")))
#else
#define CGW_EXPORT
#endif

#define CGW_ABI_PREFIX(kind_)                                                                      \
    {                                                                                              \
        CGW_ABI_MAGIC, CGW_ABI_MAJOR, CGW_ABI_MINOR, (uint32_t)sizeof(struct cgw_plugin_desc),     \
            (kind_)                                                                                \
    }

/* Use once, with the remaining members as designated initialisers:
 *   CGW_CHANNEL_PLUGIN(.name = "channel_acme", .version = "1.0", ..., .channel = &ops); */
#define CGW_CHANNEL_PLUGIN(...)                                                                    \
    CGW_EXPORT const struct cgw_plugin_desc cgw_plugin = {.abi = CGW_ABI_PREFIX(CGW_KIND_CHANNEL), \
                                                          __VA_ARGS__}
#define CGW_CAMPAIGN_PLUGIN(...)                                                                   \
    CGW_EXPORT const struct cgw_plugin_desc cgw_plugin = {                                         \
        .abi = CGW_ABI_PREFIX(CGW_KIND_CAMPAIGN), __VA_ARGS__}

extern CGW_EXPORT const struct cgw_plugin_desc cgw_plugin;

#ifdef __cplusplus
}
#endif
#endif /* CGW_PLUGIN_H */
