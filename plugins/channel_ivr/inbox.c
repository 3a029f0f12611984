/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.c - what people press, until the gateway has taken it. A call may be over by then, so an
 * answer is a copy of its own. Bounded: when the gateway takes nothing for long, keys are dropped
 * with a counter while there is room left for opt-outs. */
#include "instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 100

struct ivr_answer {
    struct ivr_answer *next;
    uint32_t kind, sub, from_kind, to_kind;
    uint64_t token, ack;
    int64_t utc_ms;
    char from[256], to[128], peer_id[CGW_PROVIDER_ID_MAX], text[64], name[IVR_NAME_MAX + 1];
};

static bool offer(struct ivr_chan *ch, const struct ivr_answer *a)
{
    struct cgw_part part = {.role = CGW_ROLE_TEXT,
                            .len = (uint32_t)strlen(a->text),
                            .mime = "text/plain; charset=utf-8",
                            .name = a->name,
                            .body = a->text};
    struct cgw_inbound in = {.size = sizeof in,
                             .kind = a->kind,
                             .from = {a->from_kind, (uint32_t)strlen(a->from), a->from},
                             .to = {a->to_kind, (uint32_t)strlen(a->to), a->to},
                             .n_parts = 1,
                             .sub = a->sub,
                             .parts = &part,
                             .reference = a->token,
                             .peer_id = a->peer_id,
                             .arrived_utc_ms = a->utc_ms,
                             .ack = a->ack};
    return ch->host->inbound(ch->inst, &in, 1) == 1;
}

/* In order: an opt-out may not overtake the key before it. */
void ivr_inbox_push(struct ivr_chan *ch)
{
    while (ch->answers && offer(ch, ch->answers)) {
        struct ivr_answer *a = ch->answers;
        ch->answers = a->next;
        if (!ch->answers)
            ch->last_answer = &ch->answers;
        ch->n_answers--;
        free(a);
    }
    if (ch->answers)
        ivr_timer_set(ch->inbox_timer, AGAIN_MS);
}

static uint32_t kind_of_caller(const struct ivr_call *c)
{
    if (c->from_kind)
        return c->from_kind;
    return c->from[0] == '+' ? CGW_ADDR_E164 : CGW_ADDR_SHORTCODE;
}

void ivr_inbox_put(struct ivr_call *c, uint32_t kind, uint32_t sub, const char *text,
                   const char *name)
{
    struct ivr_chan *ch = c->ch;
    uint32_t room = kind == CGW_IN_OPTOUT ? IVR_INBOX_MAX : IVR_INBOX_MAX / 2;
    struct ivr_answer *a = ch->n_answers < room ? calloc(1, sizeof *a) : NULL;
    if (!a) {
        ivr_count(ch, IVR_C_INBOX_FULL, 1);
        ivr_log(ch, CGW_LOG_ERROR, "ivr.answer.dropped", "kind=%u waiting=%u", kind, ch->n_answers);
        return;
    }
    a->kind = kind;
    a->sub = sub;
    a->token = c->token;
    a->ack = ++ch->next_ack;
    a->utc_ms = ch->host->now_utc_ms();
    a->from_kind = c->to_kind;
    a->to_kind = kind_of_caller(c);
    (void)snprintf(a->from, sizeof a->from, "%s", c->to);
    (void)snprintf(a->to, sizeof a->to, "%s", c->from);
    (void)snprintf(a->peer_id, sizeof a->peer_id, "%.110s/%u", c->call_id, ++c->n_answers);
    (void)snprintf(a->text, sizeof a->text, "%s", text);
    (void)snprintf(a->name, sizeof a->name, "%s", name);
    *ch->last_answer = a;
    ch->last_answer = &a->next;
    ch->n_answers++;
    ivr_inbox_push(ch);
}

void ivr_inbox_free(struct ivr_chan *ch)
{
    while (ch->answers) {
        struct ivr_answer *a = ch->answers;
        ch->answers = a->next;
        free(a);
    }
    ch->last_answer = &ch->answers;
    ch->n_answers = 0;
}
