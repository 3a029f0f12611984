/* SPDX-License-Identifier: Apache-2.0 */
/* content.h - from the parts of a message to the content of an MM: what is in it, whether it can be
 * sent, how large it is, and its SMIL. Pure but for the size of shared media; any thread. */
#ifndef MMS_CONTENT_H
#define MMS_CONTENT_H

#include "options.h"

#define MMS_SMIL_MAX 8192u
#define MMS_NAME_MAX 64u

enum mms_item_kind { MMS_TEXT, MMS_IMAGE, MMS_AUDIO, MMS_VIDEO, MMS_OTHER };
struct mms_item {
    const struct cgw_part *part; /* borrowed */
    enum mms_item_kind kind;
    char type[96];           /* Content-Type, clean */
    char name[MMS_NAME_MAX]; /* Content-ID and Content-Location */
    uint64_t bytes;
};

struct mms_plan {
    struct mms_item items[CGW_PARTS_MAX];
    uint32_t n;
    const struct cgw_part *smil;                                              /* given, else NULL */
    char subject[1024];                                                       /* "" none */
    char linked_id[128], replace_id[128], reply_size[16], reply_deadline[40]; /* HEADER parts */
    uint64_t bytes;          /* of all content, the SMIL with it */
    char made[MMS_SMIL_MAX]; /* SMIL made by us, "" none */
};

/* \return 0, CGW_EINVAL or CGW_ELIMIT with why. */
int mms_plan_make(struct mms_plan *p, const struct mms_options *o, const struct cgw_host *host,
                  const struct cgw_message *m, char *why, size_t why_size);

/* Our address as MM7 writes it; from->kind 0: the account's default. \return 0 or CGW_EINVAL. */
int mms_sender(const struct mms_options *o, const struct cgw_address *from,
               struct mm7_address *ret);
int mms_recipient(const struct mms_options *o, const struct cgw_address *to,
                  struct mm7_address *ret);
/* What a peer wrote, without suffix, blanks and such. */
void mms_address_strip(const char *text, char *out, size_t size);

/* xs:dateTime in UTC; xs:duration. */
void mms_date(int64_t utc_ms, char *out, size_t size);
void mms_duration(int64_t ms, char *out, size_t size);

#endif
