/* SPDX-License-Identifier: Apache-2.0 */
/* store_json.h - SQL fragments shared by store files that build JSON documents. Only string
 * literals: pasted into statements. */
#ifndef STORE_STORE_JSON_H
#define STORE_STORE_JSON_H

/* RFC 3339 UTC text of a timestamptz expression (sessions run in UTC); NULL stays null. */
#define SQL_TIME(x) "to_char(" x ", 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
/* When a wave w of campaign c begins: the later of its own two conditions, NULL = with the
 * campaign. now: the time as this process sees it (tests shift it), started_at is the database's.
 */
#define SQL_WAVE_BEGINS(now)                                                                       \
    "greatest(w.not_before, CASE WHEN w.after_ms > 0 THEN greatest(c.started_at + (" now           \
    "::timestamptz - now()), c.not_before) + make_interval(secs => w.after_ms / 1000.0) END)"
/* Names of channel numbers (CGW_CHANNEL_*) and classes (CGW_CLASS_*). */
#define SQL_CHANNEL(x) "(ARRAY['sms','mms','voice','email','task'])[" x "]"
#define SQL_CLASS(x) "(ARRAY['marketing','service','reply','optout_confirm','emergency'])[" x "]"
/* clang-format off */
/* Sub-outcomes (CGW_SUB_*), as sub_word(); 0 becomes null. */
#define SQL_SUB(x) \
    "(ARRAY['answered','busy','no_answer','rejected','bad_address','route_down','hard_bounce','soft_bounce'," \
    "'complaint','machine'])[" x "]"
/* JSON array of the channels of a mask (bit CGW_CHANNEL_*). */
#define SQL_CHANNELS(mask) \
    "(SELECT json_agg(" SQL_CHANNEL("b") " ORDER BY b) FROM generate_series(1, 5) b WHERE " mask " >> b & 1 = 1)"
/* Masked number and mailbox: the same shape as address_mask(). */
#define SQL_MASK_NUMBER(x) \
    "CASE WHEN length(" x ") > 10 THEN left(" x ", length(" x ") - 8) || '****' || right(" x ", 4)" \
    " ELSE left(" x ", 3) || '****' END"
#define SQL_MASK_EMAIL(x) "left(" x ", 1) || '***' || substring(" x " FROM '@[^@]*$')"
/* Members of a do-not-disturb scope: exactly one of them is not null. */
#define SQL_SCOPE(x) \
    "'scope', CASE WHEN " x " = 0 THEN 'all' END," \
    " 'channel', CASE WHEN " x " BETWEEN 1001 AND 1999 THEN " SQL_CHANNEL(x " - 1000") " END," \
    " 'class', CASE WHEN " x " > 2000 THEN " SQL_CLASS(x " - 2000") " END"
/* clang-format on */

#endif
