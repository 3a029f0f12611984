/* SPDX-License-Identifier: Apache-2.0 */
/* types.h - values shared by every part of the plugin contract.
 * Only fixed-width integers, `const char *` with a length, and structs led by a size cross the
 * boundary between gateway and plugin. Times are int64_t milliseconds: `_utc_ms` since
 * 1970-01-01T00:00Z, `_mono_ms` of the host clock. Text is UTF-8 unless a member says otherwise.
 * Pointers given to an operation are borrowed until it returns. */
#ifndef CGW_TYPES_H
#define CGW_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits: every list that crosses the boundary is bounded
 * ------------------------------------------------- */
#define CGW_PARTS_MAX 32u /* parts of one message (text, subject, media ...)                   */
#define CGW_SEGMENTS_MAX                                                                           \
    255u /* network pieces of one message (SMS segments; octet `total` of 3GPP TS 23.040) */
#define CGW_BODY_MAX                                                                               \
    1048576u                /* bytes of one inline part; larger content travels as a media handle */
#define CGW_FIELDS_MAX 32u  /* template fields of one customer                                   */
#define CGW_FIELD_MAX 256u  /* bytes of one field value                                          */
#define CGW_DIAG_MAX 256u   /* bytes of a diagnostic text with its NUL                           */
#define CGW_STATE_MAX 4096u /* bytes of campaign-plugin state per customer */
#define CGW_PROVIDER_ID_MAX                                                                        \
    128u /* bytes of a peer's message id with its NUL                         */
#define CGW_DOCUMENT_MAX 65536u /* bytes of the document kept with an accept */
#define CGW_ALSO_MAX 2u  /* other ids that a receipt may mean                                 */
#define CGW_RAW_MAX 256u /* bytes of a peer's raw status text with its NUL                    */

/* ---- channel kinds
 * -------------------------------------------------------------------------------------------- */
#define CGW_CHANNEL_SMS 1u
#define CGW_CHANNEL_MMS 2u
#define CGW_CHANNEL_VOICE 3u
#define CGW_CHANNEL_EMAIL 4u
#define CGW_CHANNEL_TASK 5u

/* ---- address kinds
 * -------------------------------------------------------------------------------------------- */
#define CGW_ADDR_E164 1u      /* "+" and 8..15 digits (ITU-T E.164)          */
#define CGW_ADDR_EMAIL 2u     /* addr-spec, domain in lower case (RFC 5322)  */
#define CGW_ADDR_SIP 3u       /* SIP URI (RFC 3261)                          */
#define CGW_ADDR_SHORTCODE 4u /* digits only, no country                    */
#define CGW_ADDR_ALPHA 5u     /* alphanumeric sender, at most 11 GSM chars   */
#define CGW_ADDR_EXTERNAL 6u  /* an agent system's own customer id           */

struct cgw_address {
    uint32_t kind;    /* CGW_ADDR_* */
    uint32_t len;     /* bytes of text, without a NUL */
    const char *text; /* UTF-8, NUL-terminated as a courtesy */
};

/* ---- contact classes
 * ------------------------------------------------------------------------------------------ */
#define CGW_CLASS_MARKETING 1u
#define CGW_CLASS_SERVICE 2u
#define CGW_CLASS_REPLY 3u          /* answer to the person's own act                */
#define CGW_CLASS_OPTOUT_CONFIRM 4u /* the one confirmation of an opt-out            */
#define CGW_CLASS_EMERGENCY 5u

/* ---- lanes: urgent messages never wait behind bulk
 * ---------------------------------------------------------------- */
#define CGW_LANE_BULK 0u
#define CGW_LANE_URGENT 1u
#define CGW_LANES 2u

/* ---- part roles
 * ------------------------------------------------------------------------------------------------
 */
#define CGW_ROLE_TEXT 1u
#define CGW_ROLE_HTML 2u
#define CGW_ROLE_SUBJECT 3u
#define CGW_ROLE_HEADER 4u /* "Name: value" without CR, LF, NUL */
#define CGW_ROLE_MEDIA 5u
#define CGW_ROLE_FLOW 6u /* call flow or task script, JSON    */

struct cgw_part {
    uint32_t role;    /* CGW_ROLE_* */
    uint32_t len;     /* bytes of body; 0 when media != 0 */
    const char *mime; /* "text/plain; charset=utf-8" ... */
    const char *name; /* file name or header name, may be NULL */
    const char *body; /* inline bytes, NULL when media != 0 */
    uint64_t media;   /* handle for cgw_host.media_read, 0 = none; shared by many messages */
};

/* A plugin answers questions of "why" with this; the gateway logs or returns it. */
struct cgw_diag {
    uint32_t size;           /* set by the caller to sizeof(struct cgw_diag) */
    int32_t code;            /* 0 or a CGW_E value */
    char where[64];          /* option, field or JSON pointer, "" when none */
    char text[CGW_DIAG_MAX]; /* one sentence: what is wrong and what would be right */
};

/* ---- status codes
 * ------------------------------------------------------------------------------------------------
 */
#define CGW_OK 0
#define CGW_EINVAL (-1000)  /* bad option, field or content */
#define CGW_ELIMIT (-1001)  /* a stated bound was passed */
#define CGW_EBUSY (-1002)   /* not now, ask again */
#define CGW_ESTATE (-1003)  /* not in this state */
#define CGW_EFENCED (-1004) /* another node owns this part now */
#define CGW_EDB (-1005)     /* the database said no */
#define CGW_ENOTFOUND (-1006)
#define CGW_EEXISTS (-1007)
#define CGW_EVERSION (-1008) /* schema, ABI or key is not the one expected */
#define CGW_EDENIED (-1009)
#define CGW_ECONFLICT (-1010)

#ifdef __cplusplus
}
#endif
#endif /* CGW_TYPES_H */
