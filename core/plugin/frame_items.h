/* SPDX-License-Identifier: Apache-2.0 */
/* frame_items.h - the structures of the plugin contract as frames and back: messages, results,
 * receipts, inbound, requests, checks, tallies, health. What is read points into its frame. One
 * function per direction and structure, beside each other, so that they cannot drift apart. Source:
 * cgw/channel.h, cgw/host.h. */
#ifndef PLUGIN_FRAME_ITEMS_H
#define PLUGIN_FRAME_ITEMS_H

#include "cgw/plugin.h"
#include "plugin/frame.h"

#define ITEM_TEXT_MAX 4096u   /* a name, a mime type, a header, an address */
#define ITEM_HEADERS_MAX 256u /* names and values of one request */
#define ITEM_ENCODING_MAX 15u /* bytes of the name of an encoding */
#define ITEM_EVENT_MAX 63u    /* bytes of the name of a log event */
#define ITEM_LINE_MAX 1900u   /* bytes of one log line */
#define ITEM_PARTS (FRAME_MESSAGES_MAX * CGW_PARTS_MAX) /* parts of all messages of one frame */
#define ITEM_IDS (2u * CGW_SEGMENTS_MAX)                /* ids of one result, at most */

void item_put_message(struct buf *b, const struct cgw_message *m);
/* Parts are taken from the n of `parts`. \return parts used; f->bad when it does not fit. */
uint32_t item_get_message(struct frame *f, struct cgw_message *m, struct cgw_part *parts,
                          uint32_t n);

void item_put_result(struct buf *b, const struct cgw_result *r);
/* Its ids are put into `ids`, which has room for ITEM_IDS. \return how many. */
uint32_t item_get_result(struct frame *f, struct cgw_result *r, const char **ids);

void item_put_receipt(struct buf *b, const struct cgw_receipt *r);
void item_get_receipt(struct frame *f, struct cgw_receipt *r);

void item_put_inbound(struct buf *b, const struct cgw_inbound *m);
void item_get_inbound(struct frame *f, struct cgw_inbound *m, struct cgw_part *parts);

void item_put_ask(struct buf *b, const struct cgw_ask *a);
void item_get_ask(struct frame *f, struct cgw_ask *a);

/* headers: room for ITEM_HEADERS_MAX + 1. */
void item_put_request(struct buf *b, const struct cgw_http_request *r);
void item_get_request(struct frame *f, struct cgw_http_request *r, const char **headers);

void item_put_check(struct buf *b, const struct cgw_check *c);
void item_get_check(struct frame *f, struct cgw_check *c); /* c->encoding points into the frame */

void item_put_tally(struct buf *b, const struct cgw_tally *t);
void item_get_tally(struct frame *f, struct cgw_tally *t);

void item_put_health(struct buf *b, const struct cgw_health *h);
void item_get_health(struct frame *f, struct cgw_health *h);

#endif
