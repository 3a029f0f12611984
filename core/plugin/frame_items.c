/* SPDX-License-Identifier: Apache-2.0 */
/* frame_items.c - see frame_items.h. */
#include "plugin/frame_items.h"

#include <stdio.h>
#include <string.h>

/* ---- addresses and parts
 * ------------------------------------------------------------------------------------------------------------
 */

static void put_address(struct buf *b, const struct cgw_address *a)
{
    frame_u32(b, a->kind);
    frame_bytes(b, a->text, a->len < ITEM_TEXT_MAX ? a->len : ITEM_TEXT_MAX);
}

static void get_address(struct frame *f, struct cgw_address *a)
{
    a->kind = frame_get_u32(f);
    a->text = frame_get_bytes(f, ITEM_TEXT_MAX, &a->len);
    if (!a->text)
        a->text = "";
}

static void put_part(struct buf *b, const struct cgw_part *p)
{
    frame_u32(b, p->role);
    frame_cut(b, p->mime, ITEM_TEXT_MAX);
    frame_cut(b, p->name, ITEM_TEXT_MAX);
    frame_bytes(b, p->media ? NULL : p->body, p->len);
    frame_u64(b, p->media);
}

static void get_part(struct frame *f, struct cgw_part *p)
{
    p->role = frame_get_u32(f);
    p->mime = frame_get_text(f, ITEM_TEXT_MAX);
    p->name = frame_get_text(f, ITEM_TEXT_MAX);
    p->body = frame_get_bytes(f, CGW_BODY_MAX, &p->len);
    p->media = frame_get_u64(f);
}

/* ---- messages
 * ------------------------------------------------------------------------------------------------------------------------
 */

void item_put_message(struct buf *b, const struct cgw_message *m)
{
    frame_u32(b, m->lane);
    frame_u64(b, m->token);
    frame_u32(b, m->channel);
    frame_u32(b, m->contact_class);
    put_address(b, &m->to);
    put_address(b, &m->from);
    frame_i64(b, m->submit_before_mono_ms);
    frame_i64(b, m->not_after_utc_ms);
    frame_u32(b, m->want_receipt);
    frame_u64(b, m->group);
    frame_cut(b, m->service_code, ITEM_TEXT_MAX);
    frame_u64(b, m->reference);
    frame_u32(b, m->n_parts);
    for (uint32_t i = 0; i < m->n_parts; i++)
        put_part(b, &m->parts[i]);
}

uint32_t item_get_message(struct frame *f, struct cgw_message *m, struct cgw_part *parts,
                          uint32_t n)
{
    *m = (struct cgw_message){.size = sizeof *m, .lane = frame_get_u32(f)};
    m->token = frame_get_u64(f);
    m->channel = frame_get_u32(f);
    m->contact_class = frame_get_u32(f);
    get_address(f, &m->to);
    get_address(f, &m->from);
    m->submit_before_mono_ms = frame_get_i64(f);
    m->not_after_utc_ms = frame_get_i64(f);
    m->want_receipt = frame_get_u32(f);
    m->group = frame_get_u64(f);
    m->service_code = frame_get_text(f, ITEM_TEXT_MAX);
    m->reference = frame_get_u64(f);
    m->n_parts = frame_get_count(f, n < CGW_PARTS_MAX ? n : CGW_PARTS_MAX);
    for (uint32_t i = 0; i < m->n_parts; i++)
        get_part(f, &parts[i]);
    m->parts = parts;
    return m->n_parts;
}

/* ---- results
 * ------------------------------------------------------------------------------------------------------------------------
 */

void item_put_result(struct buf *b, const struct cgw_result *r)
{
    frame_u32(b, r->result);
    frame_u64(b, r->token);
    frame_u32(b, r->flags);
    frame_u32(b, r->sub);
    frame_i64(b, r->retry_after_ms);
    frame_u32(b, (uint32_t)r->code);
    frame_cut(b, r->code_space, CGW_RAW_MAX);
    frame_cut(b, r->raw, CGW_RAW_MAX);
    frame_u32(b, r->segments);
    frame_u32(b, r->quantity);
    frame_bytes(b, r->document_len <= CGW_DOCUMENT_MAX ? r->document : NULL, r->document_len);
    frame_u32(b, r->n_ids);
    frame_u32(b, r->peer_ids != NULL);
    for (uint32_t i = 0; i < r->n_ids; i++)
        frame_cut(b, r->provider_ids[i], CGW_PROVIDER_ID_MAX - 1);
    for (uint32_t i = 0; r->peer_ids && i < r->n_ids; i++)
        frame_cut(b, r->peer_ids[i], CGW_PROVIDER_ID_MAX - 1);
}

uint32_t item_get_result(struct frame *f, struct cgw_result *r, const char **ids)
{
    *r = (struct cgw_result){.size = sizeof *r, .result = frame_get_u32(f)};
    r->token = frame_get_u64(f);
    r->flags = frame_get_u32(f);
    r->sub = frame_get_u32(f);
    r->retry_after_ms = frame_get_i64(f);
    r->code = (int32_t)frame_get_u32(f);
    r->code_space = frame_get_word(f, CGW_RAW_MAX);
    r->raw = frame_get_text(f, CGW_RAW_MAX);
    r->segments = frame_get_u32(f);
    r->quantity = frame_get_u32(f);
    r->document = frame_get_bytes(f, CGW_DOCUMENT_MAX, &r->document_len);
    r->n_ids = frame_get_count(f, CGW_SEGMENTS_MAX);
    bool peers = frame_get_count(f, 1);
    for (uint32_t i = 0; i < r->n_ids; i++)
        ids[i] = frame_get_word(f, CGW_PROVIDER_ID_MAX - 1);
    for (uint32_t i = 0; peers && i < r->n_ids; i++)
        ids[r->n_ids + i] = frame_get_text(f, CGW_PROVIDER_ID_MAX - 1);
    r->provider_ids = r->n_ids ? ids : NULL;
    r->peer_ids = r->n_ids && peers ? ids + r->n_ids : NULL;
    return r->n_ids * (peers ? 2 : 1);
}

/* ---- receipts and inbound
 * ------------------------------------------------------------------------------------------------------------
 */

void item_put_receipt(struct buf *b, const struct cgw_receipt *r)
{
    frame_u32(b, r->result);
    frame_u32(b, r->flags);
    frame_u32(b, r->sub);
    frame_cut(b, r->provider_id, CGW_PROVIDER_ID_MAX - 1);
    frame_u64(b, r->reference);
    put_address(b, &r->person);
    frame_u32(b, (uint32_t)r->code);
    frame_u32(b, r->quantity);
    frame_cut(b, r->code_space, CGW_RAW_MAX);
    frame_cut(b, r->raw, CGW_RAW_MAX);
    frame_i64(b, r->arrived_utc_ms);
    frame_u64(b, r->ack);
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        frame_cut(b, r->also[i], CGW_PROVIDER_ID_MAX - 1);
}

void item_get_receipt(struct frame *f, struct cgw_receipt *r)
{
    *r = (struct cgw_receipt){.size = sizeof *r, .result = frame_get_u32(f)};
    r->flags = frame_get_u32(f);
    r->sub = frame_get_u32(f);
    r->provider_id = frame_get_word(f, CGW_PROVIDER_ID_MAX - 1);
    r->reference = frame_get_u64(f);
    get_address(f, &r->person);
    r->code = (int32_t)frame_get_u32(f);
    r->quantity = frame_get_u32(f);
    r->code_space = frame_get_word(f, CGW_RAW_MAX);
    r->raw = frame_get_text(f, CGW_RAW_MAX);
    r->arrived_utc_ms = frame_get_i64(f);
    r->ack = frame_get_u64(f);
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        r->also[i] = frame_get_text(f, CGW_PROVIDER_ID_MAX - 1);
}

void item_put_inbound(struct buf *b, const struct cgw_inbound *m)
{
    frame_u32(b, m->kind);
    put_address(b, &m->from);
    put_address(b, &m->to);
    frame_u32(b, m->sub);
    frame_u64(b, m->reference);
    frame_cut(b, m->peer_id, ITEM_TEXT_MAX);
    frame_cut(b, m->provider_id, CGW_PROVIDER_ID_MAX - 1);
    frame_i64(b, m->arrived_utc_ms);
    frame_u64(b, m->ack);
    frame_u32(b, m->n_parts);
    for (uint32_t i = 0; i < m->n_parts; i++)
        put_part(b, &m->parts[i]);
}

void item_get_inbound(struct frame *f, struct cgw_inbound *m, struct cgw_part *parts)
{
    *m = (struct cgw_inbound){.size = sizeof *m, .kind = frame_get_u32(f)};
    get_address(f, &m->from);
    get_address(f, &m->to);
    m->sub = frame_get_u32(f);
    m->reference = frame_get_u64(f);
    m->peer_id = frame_get_text(f, ITEM_TEXT_MAX);
    m->provider_id = frame_get_text(f, CGW_PROVIDER_ID_MAX - 1);
    m->arrived_utc_ms = frame_get_i64(f);
    m->ack = frame_get_u64(f);
    m->n_parts = frame_get_count(f, CGW_PARTS_MAX);
    for (uint32_t i = 0; i < m->n_parts; i++)
        get_part(f, &parts[i]);
    m->parts = parts;
}

/* ---- the rest
 * ------------------------------------------------------------------------------------------------------------------------
 */

void item_put_ask(struct buf *b, const struct cgw_ask *a)
{
    frame_cut(b, a->peer_id, CGW_PROVIDER_ID_MAX - 1);
    put_address(b, &a->from);
}

void item_get_ask(struct frame *f, struct cgw_ask *a)
{
    *a = (struct cgw_ask){.size = sizeof *a, .peer_id = frame_get_word(f, CGW_PROVIDER_ID_MAX - 1)};
    get_address(f, &a->from);
}

void item_put_request(struct buf *b, const struct cgw_http_request *r)
{
    uint32_t n = 0;
    while (r->headers && n < ITEM_HEADERS_MAX && r->headers[n] && r->headers[n + 1])
        n += 2;
    frame_u64(b, r->id);
    frame_cut(b, r->method, ITEM_TEXT_MAX);
    frame_cut(b, r->path, ITEM_TEXT_MAX);
    frame_cut(b, r->query, CGW_BODY_MAX);
    frame_cut(b, r->content_type, CGW_BODY_MAX);
    frame_bytes(b, r->body ? r->body : "", r->body ? r->body_len : 0);
    frame_u32(b, n);
    for (uint32_t i = 0; i < n; i++)
        frame_cut(b, r->headers[i], CGW_BODY_MAX);
}

void item_get_request(struct frame *f, struct cgw_http_request *r, const char **headers)
{
    *r = (struct cgw_http_request){.size = sizeof *r, .id = frame_get_u64(f)};
    r->method = frame_get_word(f, ITEM_TEXT_MAX);
    r->path = frame_get_word(f, ITEM_TEXT_MAX);
    r->query = frame_get_word(f, CGW_BODY_MAX);
    r->content_type = frame_get_text(f, CGW_BODY_MAX);
    r->body = frame_get_bytes(f, CGW_BODY_MAX * 4, &r->body_len);
    uint32_t n = frame_get_count(f, ITEM_HEADERS_MAX);
    for (uint32_t i = 0; i < n; i++)
        headers[i] = frame_get_word(f, CGW_BODY_MAX);
    headers[n] = NULL;
    r->headers = headers;
}

void item_put_check(struct buf *b, const struct cgw_check *c)
{
    frame_u32(b, (uint32_t)c->code);
    frame_u32(b, c->segments);
    frame_u32(b, c->units);
    frame_bytes(b, c->encoding ? c->encoding : "",
                c->encoding ? (uint32_t)strnlen(c->encoding, ITEM_ENCODING_MAX) : 0);
    frame_bytes(b, c->text, (uint32_t)strnlen(c->text, sizeof c->text - 1));
}

void item_get_check(struct frame *f, struct cgw_check *c)
{
    *c = (struct cgw_check){.size = sizeof *c, .code = (int32_t)frame_get_u32(f)};
    c->segments = frame_get_u32(f);
    c->units = frame_get_u32(f);
    c->encoding = frame_get_word(f, ITEM_ENCODING_MAX);
    (void)snprintf(c->text, sizeof c->text, "%s", frame_get_word(f, sizeof c->text - 1));
}

void item_put_tally(struct buf *b, const struct cgw_tally *t)
{
    frame_u64(b, t->day);
    frame_u64(b, t->month);
    frame_u64(b, t->open);
    frame_u64(b, t->included);
}

void item_get_tally(struct frame *f, struct cgw_tally *t)
{
    *t = (struct cgw_tally){.size = sizeof *t, .day = frame_get_u64(f)};
    t->month = frame_get_u64(f);
    t->open = frame_get_u64(f);
    t->included = frame_get_u64(f);
}

void item_put_health(struct buf *b, const struct cgw_health *h)
{
    frame_u32(b, h->up);
    frame_u32(b, h->links_up);
    frame_u32(b, h->links);
    frame_u32(b, h->window_used);
    frame_u32(b, h->window);
    frame_i64(b, h->since_utc_ms);
    frame_bytes(b, h->text, (uint32_t)strnlen(h->text, sizeof h->text - 1));
}

void item_get_health(struct frame *f, struct cgw_health *h)
{
    *h = (struct cgw_health){.size = sizeof *h, .up = frame_get_u32(f)};
    h->links_up = frame_get_u32(f);
    h->links = frame_get_u32(f);
    h->window_used = frame_get_u32(f);
    h->window = frame_get_u32(f);
    h->since_utc_ms = frame_get_i64(f);
    (void)snprintf(h->text, sizeof h->text, "%s", frame_get_word(f, sizeof h->text - 1));
}
