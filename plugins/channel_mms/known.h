/* SPDX-License-Identifier: Apache-2.0 */
/* known.h - which MessageIDs this account accepted lately: for reports that name sender and
 * recipient the wrong way round, for reports that come before their SubmitRsp, and for CancelReq.
 * The newest 16,384; older ones are the gateway's to know. */
#ifndef MMS_KNOWN_H
#define MMS_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#define MMS_KNOWN_MAX 16384u
#define MMS_ID_SIZE 128u
#define MMS_PERSON_SIZE 24u

struct mms_known_entry {
    char *id; /* owned; NULL = free */
    char person[MMS_PERSON_SIZE];
    uint64_t token;
    int32_t next_id, next_token;
};

struct mms_known {
    struct mms_known_entry *entries; /* owned, a ring */
    int32_t *by_id, *by_token;       /* owned, chains of hashes */
    uint32_t next;
};

int mms_known_init(struct mms_known *k);
void mms_known_done(struct mms_known *k);
void mms_known_put(struct mms_known *k, const char *id, const char *person, uint64_t token);
const struct mms_known_entry *mms_known_id(const struct mms_known *k, const char *id);
const struct mms_known_entry *mms_known_token(const struct mms_known *k, uint64_t token);

#endif
