/* SPDX-License-Identifier: Apache-2.0 */
/* dnd_intake.h - the people of an upload to a do-not-disturb list: from bytes to in_person, or to
 * sorted ids where nobody is known yet (the short way, store_dnd_fill). Private to the handler. */
#ifndef API_HANDLERS_DND_INTAKE_H
#define API_HANDLERS_DND_INTAKE_H

#include "api/handlers/people.h"
#include "ingest/ingest_ids.h"
#include "store/store_customer.h"
#include "store/store_dnd.h"

struct intake {
    struct api_request *req;
    struct ingest *in; /* owned */
    struct store_people people;
    struct ids *ids; /* owned; the short way: people are sorted here instead */
    uint32_t part;   /* of ids, loaded */
    bool no_space;   /* the error came from the scratch files */
    struct relay *relay;
    struct people_rejects rejects;
};
void intake_init(struct intake *k, struct api_request *req);
void intake_done(struct intake *k);
/* Reads the whole body. refuse_invalid: one bad row is an error, CGW_EINVAL. */
int intake_read(struct intake *k, bool short_way, bool refuse_invalid, struct diag *diag);
/* The second half of the short way: into the empty list. */
int intake_fill(struct intake *k, const struct store_dnd_list *l, struct store_dnd_counts *ret,
                uint64_t *ret_parts, struct diag *diag);

#endif
