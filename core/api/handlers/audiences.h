/* SPDX-License-Identifier: Apache-2.0 */
/* audiences.h - between audiences.c (routes) and audiences_upload.c. */
#ifndef API_HANDLERS_AUDIENCES_H
#define API_HANDLERS_AUDIENCES_H

#include "api/api.h"

/* PUT /audiences/{id}/recipients. Opens its own transaction: the database is only held while sorted
 * rows flow into it. */
int audiences_upload(struct api_request *req, struct api_response *resp);

#endif
