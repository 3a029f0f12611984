/* SPDX-License-Identifier: Apache-2.0 */
/* people.h - what the handlers of audiences, customers, consents and dnd-lists share: from what a
 * client wrote to a customer's keys, feeding a spooled body through the parser, and reporting
 * rejected rows. Holds no identity key: api_services.identity hashes. */
#ifndef API_HANDLERS_PEOPLE_H
#define API_HANDLERS_PEOPLE_H

#include "address/address.h"
#include "api/api.h"
#include "ingest/ingest.h"
#include "store/store_audience.h"

#define PEOPLE_REJECTS_SHOWN 20u

/* ---- names
 * ------------------------------------------------------------------------------------------------------------------
 */
#define PEOPLE_CHANNELS "sms|mms|voice|email|task"
#define PEOPLE_CLASSES "marketing|service|reply|optout_confirm|emergency"
/* Position of word in "a|b|c", from 1; 0 when it is not there. Numbers are those of CGW_CHANNEL_*
 * and CGW_CLASS_*. */
unsigned people_word(const char *choices, const char *word);

/* ---- one person
 * ---------------------------------------------------------------------------------------------------------------
 */
struct people_ref {
    int64_t key, alt;               /* alt 0: key is a customer id already */
    char address[ADDRESS_TEXT_MAX]; /* normal form, "" with a known id */
};
/* Members that name a person, for validation tables; exactly one must be given. */
#define PEOPLE_MEMBERS                                                                             \
    {"msisdn", API_T_STRING, 0, .min = 1, .max = 64},                                              \
        {"email", API_T_STRING, 0, .min = 3, .max = 254},                                          \
        {"customer", API_T_ID, 0, .choices = "cus"},                                               \
        {"external_id", API_T_STRING, 0, .min = 1, .max = 128},                                    \
    {                                                                                              \
        "default_region", API_T_STRING, 0, .min = 2, .max = 2                                      \
    }
/* 0; or the status of an answer already written; faults of members go to api_error() below pointer
 * and give -1. */
int people_ref_json(struct api_request *req, struct api_response *resp, const json_t *obj,
                    const char *pointer, struct people_ref *ret);
/* Keys of a normal address; ret_alt may be NULL. -EOPNOTSUPP when this node has no identity key. */
int people_keys(const struct api_request *req, const char *address, int64_t *ret_key,
                int64_t *ret_alt, struct diag *diag);
/* The customer a reference leads to, by alias and collision rule. */
int people_resolve(struct api_request *req, const struct people_ref *ref, int64_t *ret,
                   struct diag *diag);
/* Status of a written problem for rc of the above. */
int people_fail(struct api_request *req, struct api_response *resp, int rc,
                const struct diag *diag);

/* ---- rejected rows
 * ------------------------------------------------------------------------------------------------------------
 */
struct people_rejects {
    struct arena texts;
    struct store_set_reject *item; /* owned, at most STORE_REJECTS_MAX */
    size_t n, cap;
    uint64_t total;
};
void people_rejects_init(struct people_rejects *r);
void people_rejects_done(struct people_rejects *r);
void people_rejects_add(struct people_rejects *r, const struct ingest_reject *reject);
void people_rejects_sort(struct people_rejects *r); /* by line */
/* [{"line":…,"column":…,"code":…,"detail":…}…], the first PEOPLE_REJECTS_SHOWN */
void people_rejects_json(const struct people_rejects *r, struct buf *out);

/* ---- uploads
 * -------------------------------------------------------------------------------------------------------------------
 */
#define PEOPLE_MEDIA "text/csv|application/x-ndjson"
enum ingest_format people_format(const struct api_stream *s);
/* Read the whole body into the parser, finish included. CGW_EINVAL when every row was rejected. */
int people_feed(const struct api_stream *s, struct ingest *in, struct diag *diag);
/* Status of the answer for an upload that failed as a whole (rc of people_feed): 400
 * malformed-upload with line and column where known, 413 for a bound, else as api_fail(). */
int people_upload_failed(struct api_request *req, struct api_response *resp, int rc,
                         const struct diag *diag, struct people_rejects *rejects);

/* ---- dictionary: bytes to small number
 * ------------------------------------------------------------------------------------------- */
struct people_map {
    struct arena keys;
    struct people_map_slot *slot; /* owned */
    size_t n, cap;                /* cap: power of two */
};
struct people_map_slot {
    const char *key; /* NULL = free */
    uint32_t len, hash;
    int16_t value;
};
void people_map_init(struct people_map *m, size_t max_key_bytes);
void people_map_done(struct people_map *m);
bool people_map_get(const struct people_map *m, const void *key, size_t len, int16_t *ret);
int people_map_put(struct people_map *m, const void *key, size_t len,
                   int16_t value); /* 0, CGW_ELIMIT, -ENOMEM */

/* Where upload scratch files are made and how many bytes one upload may use; registers
 * campgw_upload_rows_total. Call once before api_start(); without it: /var/tmp, 64 GiB, not
 * counted. */
void people_setup(const char *dir, uint64_t max_bytes);
const char *people_scratch_dir(uint64_t *ret_max_bytes);

#endif
