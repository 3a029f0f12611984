/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - pins the binary layout of every struct of the plugin ABI 1.0: a plugin built last year
 * must still fit. A failure here means that the ABI changed: members may only be appended (then the
 * new size goes here and abi_minor rises). Numbers hold for LP64 on x86-64; elsewhere the file only
 * proves that the headers compile. */
#include "cgw/plugin.h"
#include <stdio.h>

#if defined(__x86_64__) && defined(__LP64__)
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), "size of struct " #type)
#define AT(type, member, offset)                                                                   \
    _Static_assert(offsetof(struct type, member) == (offset), #type "." #member)

SIZE(cgw_address, 16);
AT(cgw_address, kind, 0);
AT(cgw_address, len, 4);
AT(cgw_address, text, 8);

SIZE(cgw_part, 40);
AT(cgw_part, role, 0);
AT(cgw_part, len, 4);
AT(cgw_part, mime, 8);
AT(cgw_part, name, 16);
AT(cgw_part, body, 24);
AT(cgw_part, media, 32);

SIZE(cgw_diag, 328);
AT(cgw_diag, size, 0);
AT(cgw_diag, code, 4);
AT(cgw_diag, where, 8);
AT(cgw_diag, text, 72);

SIZE(cgw_message, 112);
AT(cgw_message, size, 0);
AT(cgw_message, lane, 4);
AT(cgw_message, token, 8);
AT(cgw_message, channel, 16);
AT(cgw_message, contact_class, 20);
AT(cgw_message, to, 24);
AT(cgw_message, from, 40);
AT(cgw_message, submit_before_mono_ms, 56);
AT(cgw_message, not_after_utc_ms, 64);
AT(cgw_message, want_receipt, 72);
AT(cgw_message, n_parts, 76);
AT(cgw_message, parts, 80);
AT(cgw_message, group, 88);
AT(cgw_message, service_code, 96);
AT(cgw_message, reference, 104);

SIZE(cgw_result, 96);
AT(cgw_result, size, 0);
AT(cgw_result, result, 4);
AT(cgw_result, token, 8);
AT(cgw_result, flags, 16);
AT(cgw_result, sub, 20);
AT(cgw_result, retry_after_ms, 24);
AT(cgw_result, code, 32);
AT(cgw_result, n_ids, 36);
AT(cgw_result, code_space, 40);
AT(cgw_result, raw, 48);
AT(cgw_result, provider_ids, 56);
AT(cgw_result, segments, 64);
AT(cgw_result, quantity, 68);
AT(cgw_result, peer_ids, 72);
AT(cgw_result, document, 80);
AT(cgw_result, document_len, 88);

SIZE(cgw_receipt, 104);
AT(cgw_receipt, size, 0);
AT(cgw_receipt, result, 4);
AT(cgw_receipt, flags, 8);
AT(cgw_receipt, sub, 12);
AT(cgw_receipt, provider_id, 16);
AT(cgw_receipt, reference, 24);
AT(cgw_receipt, person, 32);
AT(cgw_receipt, code, 48);
AT(cgw_receipt, quantity, 52);
AT(cgw_receipt, code_space, 56);
AT(cgw_receipt, raw, 64);
AT(cgw_receipt, arrived_utc_ms, 72);
AT(cgw_receipt, ack, 80);
AT(cgw_receipt, also, 88);

SIZE(cgw_inbound, 96);
AT(cgw_inbound, size, 0);
AT(cgw_inbound, kind, 4);
AT(cgw_inbound, from, 8);
AT(cgw_inbound, to, 24);
AT(cgw_inbound, n_parts, 40);
AT(cgw_inbound, sub, 44);
AT(cgw_inbound, parts, 48);
AT(cgw_inbound, reference, 56);
AT(cgw_inbound, peer_id, 64);
AT(cgw_inbound, arrived_utc_ms, 72);
AT(cgw_inbound, ack, 80);
AT(cgw_inbound, provider_id, 88);

SIZE(cgw_check, 280);
AT(cgw_check, size, 0);
AT(cgw_check, code, 4);
AT(cgw_check, segments, 8);
AT(cgw_check, units, 12);
AT(cgw_check, encoding, 16);
AT(cgw_check, text, 24);

SIZE(cgw_health, 288);
AT(cgw_health, size, 0);
AT(cgw_health, up, 4);
AT(cgw_health, links_up, 8);
AT(cgw_health, links, 12);
AT(cgw_health, window_used, 16);
AT(cgw_health, window, 20);
AT(cgw_health, since_utc_ms, 24);
AT(cgw_health, text, 32);

SIZE(cgw_tally, 40);
AT(cgw_tally, size, 0);
AT(cgw_tally, reserved, 4);
AT(cgw_tally, day, 8);
AT(cgw_tally, month, 16);
AT(cgw_tally, open, 24);
AT(cgw_tally, included, 32);

SIZE(cgw_channel_ops, 104);
AT(cgw_channel_ops, size, 0);
AT(cgw_channel_ops, create, 8);
AT(cgw_channel_ops, start, 16);
AT(cgw_channel_ops, check, 24);
AT(cgw_channel_ops, submit, 32);
AT(cgw_channel_ops, stored, 40);
AT(cgw_channel_ops, cancel, 48);
AT(cgw_channel_ops, query, 56);
AT(cgw_channel_ops, health, 64);
AT(cgw_channel_ops, drain, 72);
AT(cgw_channel_ops, destroy, 80);
AT(cgw_channel_ops, tally, 88);
AT(cgw_channel_ops, recall, 96);

SIZE(cgw_http_request, 64);
AT(cgw_http_request, size, 0);
AT(cgw_http_request, body_len, 4);
AT(cgw_http_request, id, 8);
AT(cgw_http_request, method, 16);
AT(cgw_http_request, path, 24);
AT(cgw_http_request, query, 32);
AT(cgw_http_request, content_type, 40);
AT(cgw_http_request, body, 48);
AT(cgw_http_request, headers, 56);

SIZE(cgw_http_route, 32);
AT(cgw_http_route, method, 0);
AT(cgw_http_route, path, 8);
AT(cgw_http_route, auth, 16);
AT(cgw_http_route, max_body, 20);
AT(cgw_http_route, handler, 24);

SIZE(cgw_host, 208);
AT(cgw_host, size, 0);
AT(cgw_host, abi_minor, 4);
AT(cgw_host, now_mono_ms, 8);
AT(cgw_host, now_utc_ms, 16);
AT(cgw_host, log, 24);
AT(cgw_host, mask, 32);
AT(cgw_host, count, 40);
AT(cgw_host, conf_int, 48);
AT(cgw_host, conf_str, 56);
AT(cgw_host, conf_count, 64);
AT(cgw_host, conf_item, 72);
AT(cgw_host, inst_name, 80);
AT(cgw_host, credit, 88);
AT(cgw_host, complete, 96);
AT(cgw_host, receipt, 104);
AT(cgw_host, inbound, 112);
AT(cgw_host, drained, 120);
AT(cgw_host, timer_new, 128);
AT(cgw_host, timer_set, 136);
AT(cgw_host, timer_free, 144);
AT(cgw_host, watch_fd, 152);
AT(cgw_host, unwatch_fd, 160);
AT(cgw_host, post, 168);
AT(cgw_host, address_normalise, 176);
AT(cgw_host, media_size, 184);
AT(cgw_host, media_read, 192);
AT(cgw_host, reply, 200);

SIZE(cgw_field, 24);
AT(cgw_field, name, 0);
AT(cgw_field, value, 8);
AT(cgw_field, len, 16);

SIZE(cgw_customer, 32);
AT(cgw_customer, size, 0);
AT(cgw_customer, n_fields, 4);
AT(cgw_customer, id, 8);
AT(cgw_customer, fields, 16);
AT(cgw_customer, lang, 24);

SIZE(cgw_item, 88);
AT(cgw_item, size, 0);
AT(cgw_item, kind, 4);
AT(cgw_item, customer, 8);
AT(cgw_item, at_utc_ms, 40);
AT(cgw_item, result, 48);
AT(cgw_item, channel, 52);
AT(cgw_item, text, 56);
AT(cgw_item, text_len, 64);
AT(cgw_item, state_len, 68);
AT(cgw_item, state, 72);
AT(cgw_item, timer, 80);

SIZE(cgw_proposal, 32);
AT(cgw_proposal, size, 0);
AT(cgw_proposal, channel, 4);
AT(cgw_proposal, customer, 8);
AT(cgw_proposal, content, 16);
AT(cgw_proposal, weight, 20);
AT(cgw_proposal, not_before_utc_ms, 24);

SIZE(cgw_campaign_host, 152);
AT(cgw_campaign_host, size, 0);
AT(cgw_campaign_host, abi_minor, 4);
AT(cgw_campaign_host, run_id, 8);
AT(cgw_campaign_host, run_content, 16);
AT(cgw_campaign_host, run_channel, 24);
AT(cgw_campaign_host, run_field_count, 32);
AT(cgw_campaign_host, run_field, 40);
AT(cgw_campaign_host, template_check, 48);
AT(cgw_campaign_host, add_template, 56);
AT(cgw_campaign_host, add_part, 64);
AT(cgw_campaign_host, propose, 72);
AT(cgw_campaign_host, set_state, 80);
AT(cgw_campaign_host, set_timer, 88);
AT(cgw_campaign_host, add_total, 96);
AT(cgw_campaign_host, content_str, 104);
AT(cgw_campaign_host, content_int, 112);
AT(cgw_campaign_host, content_json, 120);
AT(cgw_campaign_host, content_count, 128);
AT(cgw_campaign_host, content_key, 136);
AT(cgw_campaign_host, media_part, 144);

SIZE(cgw_campaign_ops, 56);
AT(cgw_campaign_ops, size, 0);
AT(cgw_campaign_ops, create, 8);
AT(cgw_campaign_ops, validate, 16);
AT(cgw_campaign_ops, render, 24);
AT(cgw_campaign_ops, step, 32);
AT(cgw_campaign_ops, scan, 40);
AT(cgw_campaign_ops, destroy, 48);

SIZE(cgw_abi_prefix, 16);
AT(cgw_abi_prefix, magic, 0);
AT(cgw_abi_prefix, abi_major, 4);
AT(cgw_abi_prefix, abi_minor, 6);
AT(cgw_abi_prefix, desc_size, 8);
AT(cgw_abi_prefix, kind, 12);

SIZE(cgw_option, 64);
AT(cgw_option, key, 0);
AT(cgw_option, type, 8);
AT(cgw_option, flags, 12);
AT(cgw_option, default_text, 16);
AT(cgw_option, min, 24);
AT(cgw_option, max, 32);
AT(cgw_option, choices, 40);
AT(cgw_option, unit, 48);
AT(cgw_option, help, 56);

SIZE(cgw_counter, 24);
AT(cgw_counter, name, 0);
AT(cgw_counter, unit, 8);
AT(cgw_counter, help, 16);

SIZE(cgw_channel_caps, 56);
AT(cgw_channel_caps, size, 0);
AT(cgw_channel_caps, channel, 4);
AT(cgw_channel_caps, address_kind, 8);
AT(cgw_channel_caps, max_parts, 12);
AT(cgw_channel_caps, max_bytes, 16);
AT(cgw_channel_caps, role_mask, 20);
AT(cgw_channel_caps, receipts, 24);
AT(cgw_channel_caps, replies, 28);
AT(cgw_channel_caps, cost_unit, 32);
AT(cgw_channel_caps, concurrency_unit, 40);
AT(cgw_channel_caps, pulled, 48);

SIZE(cgw_plugin_desc, 96);
AT(cgw_plugin_desc, abi, 0);
AT(cgw_plugin_desc, flags, 16);
AT(cgw_plugin_desc, name, 24);
AT(cgw_plugin_desc, version, 32);
AT(cgw_plugin_desc, vendor, 40);
AT(cgw_plugin_desc, options, 48);
AT(cgw_plugin_desc, counters, 56);
AT(cgw_plugin_desc, caps, 64);
AT(cgw_plugin_desc, routes, 72);
AT(cgw_plugin_desc, channel, 80);
AT(cgw_plugin_desc, campaign, 88);
#endif

/* Limits are part of the contract too. */
_Static_assert(CGW_ABI_MAJOR == 1 && CGW_ABI_MINOR == 0, "layout of 1.0");
_Static_assert(CGW_ABI_MAGIC == 0x43475750, "CGW_ABI_MAGIC");
_Static_assert(CGW_DOCUMENT_MAX == 65536, "CGW_DOCUMENT_MAX");
_Static_assert(CGW_PARTS_MAX == 32, "CGW_PARTS_MAX");
_Static_assert(CGW_SEGMENTS_MAX == 255, "CGW_SEGMENTS_MAX");
_Static_assert(CGW_BODY_MAX == 1048576, "CGW_BODY_MAX");
_Static_assert(CGW_FIELDS_MAX == 32, "CGW_FIELDS_MAX");
_Static_assert(CGW_FIELD_MAX == 256, "CGW_FIELD_MAX");
_Static_assert(CGW_DIAG_MAX == 256, "CGW_DIAG_MAX");
_Static_assert(CGW_STATE_MAX == 4096, "CGW_STATE_MAX");
_Static_assert(CGW_PROVIDER_ID_MAX == 128, "CGW_PROVIDER_ID_MAX");
_Static_assert(CGW_RAW_MAX == 256, "CGW_RAW_MAX");

int main(void)
{
    /* everything was decided when this file was compiled */
    return puts("ok 1 - the ABI's layout is as pinned\n1..1") < 0;
}
