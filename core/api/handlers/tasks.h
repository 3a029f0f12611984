/* SPDX-License-Identifier: Apache-2.0 */
/* tasks.h - what the files of /api/v1/tasks share. */
#ifndef API_HANDLERS_TASKS_H
#define API_HANDLERS_TASKS_H

#include "api/api.h"
#include "store/store_task.h"

#define TASKS_ROWS_MAX 5000 /* rows of one POST /tasks/outcomes */

/* 0 with the task's key, else the status of an answer already written. */
int tasks_id(struct api_request *req, struct api_response *resp, int64_t *ret_key);

/* ---- tasks_lines.c: tasks as lines for agents' systems ----------------------------------------
 */
void tasks_csv_head(struct buf *out);
void tasks_csv_row(struct buf *out, const struct task_given *t);
void tasks_json_row(struct buf *out, const struct task_given *t);

/* ---- tasks_report.c ---------------------------------------------------------------------------
 */
int tasks_outcome(struct api_request *req, struct api_response *resp);
int tasks_outcomes(struct api_request *req, struct api_response *resp);
extern const struct api_member tasks_outcome_body[];

/* CSV by RFC 4180: the next row of text[*at, len), cut in place into at most `max` cells, each
 * ended by NUL. \return cells, 0 at the end, -1 when a quote is not closed. *io_line counts lines.
 */
int tasks_csv_cells(char *text, size_t len, size_t *at, char **cells, int max, long *io_line);

#endif
