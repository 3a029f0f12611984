/* SPDX-License-Identifier: Apache-2.0 */
/* audiences_upload.h - one upload of recipients: what its two sides share. The worker's side reads
 * and writes (audiences_upload.c), the relay's side makes scratch of batches (audiences_batch.c).
 * Private to the audience handlers. */
#ifndef API_HANDLERS_AUDIENCES_UPLOAD_H
#define API_HANDLERS_AUDIENCES_UPLOAD_H

#include "api/handlers/audiences_who.h"
#include "api/handlers/people.h"
#include "base/relay.h"
#include "ingest/ingest_spool.h"

#include <pthread.h>

struct batch {
    size_t n;
    struct who_row rows[WHO_ROWS];
    struct arena texts;
    int32_t dim_field[STORE_DIMS_MAX]; /* position among the fields of its rows, -1 not seen */
};

struct upload {
    struct api_request *req;
    struct store_audience audience;
    struct ingest *in;   /* owned */
    struct spool *spool; /* owned */
    struct people_rejects rejects;
    pthread_mutex_t rejects_lock;      /* both sides refuse rows */
    int32_t dim_field[STORE_DIMS_MAX]; /* position among the upload's fields, -1 not seen */
    uint32_t fields_seen;
    struct batch *batches; /* owned, RELAY_BLOCKS */
    struct relay *relay;
    /* the relay's side until all is read */
    struct people_map places;
    struct people_map dims[STORE_DIMS_MAX];
    struct who who;
    uint64_t refused;  /* rows refused here, not by the parser */
    bool spool_failed; /* rc came from the scratch files */
};

/* From either side. */
void upload_reject(struct upload *u, const struct ingest_reject *reject);
/* relay_take_fn of a struct batch, ctx the struct upload: customers, places, scratch. Empties it.
 */
int upload_take_batch(void *ctx, void *block, struct diag *diag);

#endif
