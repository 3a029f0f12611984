/* SPDX-License-Identifier: Apache-2.0 */
/* call_flow.c - walks an answered call through its flow: plays, listens, collects, transfers. The
 * language: README.md; its tables: flow.h. */
#include "instance.h"

#include <stdio.h>
#include <string.h>

static void enter(struct ivr_call *c, int node);

static const struct ivr_node *node_of(const struct ivr_call *c)
{
    return &c->flow->nodes[c->node];
}

static bool asks(const struct ivr_call *c)
{
    return node_of(c)->action == IVR_MENU || node_of(c)->action == IVR_COLLECT;
}

/* The call ends in its own turn of the loop: here its memory is still in use up the stack. */
static void finish(struct ivr_call *c, const char *end)
{
    c->over = end;
    c->listening = false;
    ivr_timer_set(c->wait, 0);
}

/* ---- playing ---- */

static void prompt_ended(struct ivr_call *c);

static void play_piece(struct ivr_call *c)
{
    if (c->piece >= c->prompt.n) {
        c->playing = false;
        prompt_ended(c);
        return;
    }
    uint32_t i = c->prompt.first + c->piece++;
    c->playing = true;
    if (c->flow->says[i].kind == IVR_SAY_PAUSE)
        ivr_media_silence(c->media, c->flow->says[i].ms);
    else
        ivr_media_play(c->media, ivr_clip_sound(c->clips[i]));
}

static void play(struct ivr_call *c, struct ivr_prompt prompt)
{
    c->prompt = prompt;
    c->piece = 0;
    play_piece(c);
}

void ivr_flow_played(struct ivr_call *c)
{
    if (!c->over)
        play_piece(c);
}

/* ---- listening ---- */

static void take_key(struct ivr_call *c, char key);

static void hear(struct ivr_call *c)
{
    c->listening = true;
    ivr_timer_set(c->wait, node_of(c)->wait_ms);
    while (c->listening && c->n_ahead > 0) { /* pressed before it was asked for */
        char key = c->ahead[0];
        memmove(c->ahead, c->ahead + 1, --c->n_ahead);
        take_key(c, key);
    }
}

/* Nothing useful was pressed: say so and ask again, or go where `otherwise` says. */
static void try_again(struct ivr_call *c)
{
    const struct ivr_node *n = node_of(c);
    c->listening = false;
    c->n_digits = c->n_ahead = 0;
    ivr_timer_set(c->wait, -1);
    if (++c->tries >= n->tries) {
        enter(c, n->otherwise);
        return;
    }
    c->complaining = n->invalid.n > 0;
    play(c, c->complaining ? n->invalid : n->prompt);
}

static void answered_with(struct ivr_call *c, const char *digits, int next)
{
    c->listening = false;
    ivr_timer_set(c->wait, -1);
    ivr_count(c->ch, IVR_C_KEYS, 1);
    ivr_inbox_put(c, CGW_IN_KEYS, 0, digits, node_of(c)->name);
    enter(c, next);
}

static void collected(struct ivr_call *c)
{
    c->digits[c->n_digits] = '\0';
    answered_with(c, c->digits, node_of(c)->next);
}

static void collect_key(struct ivr_call *c, char key)
{
    const struct ivr_node *n = node_of(c);
    if (key == n->end_key) {
        if (c->n_digits >= n->min)
            collected(c);
        else
            try_again(c);
        return;
    }
    c->digits[c->n_digits++] = key;
    if (c->n_digits == n->max)
        collected(c);
    else
        ivr_timer_set(c->wait, n->wait_ms);
}

static void take_key(struct ivr_call *c, char key)
{
    const struct ivr_node *n = node_of(c);
    if (n->action == IVR_COLLECT) {
        collect_key(c, key);
        return;
    }
    int next = n->keys[ivr_key_index(key)];
    char text[2] = {key, '\0'};
    if (next == IVR_NOWHERE)
        try_again(c);
    else
        answered_with(c, text, next);
}

void ivr_flow_timeout(struct ivr_call *c)
{
    if (c->over) {
        ivr_call_hang_up(c, c->over);
    } else if (c->transferring) {
        c->transferring = false;
        ivr_inbox_put(c, CGW_IN_TASK, CGW_SUB_NO_ANSWER, "no final answer", node_of(c)->name);
        enter(c, node_of(c)->otherwise);
    } else if (c->listening) {
        if (node_of(c)->action == IVR_COLLECT && c->n_digits >= node_of(c)->min)
            collected(c);
        else
            try_again(c);
    }
}

/* ---- nodes ---- */

static void transfer(struct ivr_call *c)
{
    char uri[512];
    ivr_trunk_uri(&c->ch->opt.trunks[c->trunk], node_of(c)->target, uri, sizeof uri);
    ivr_count(c->ch, IVR_C_TRANSFERS, 1);
    c->transferring = true;
    if (ivr_leg_transfer(c->leg, uri) != 0)
        ivr_flow_transferred(c, 500);
    else
        ivr_timer_set(c->wait, node_of(c)->wait_ms);
}

/* 0: the peer ended the subscription without saying how it went. */
void ivr_flow_transferred(struct ivr_call *c, int status)
{
    char text[48];
    if (c->over || !c->transferring)
        return;
    const struct ivr_node *n = node_of(c);
    bool good = status >= 200 && status < 300;
    c->transferring = false;
    ivr_timer_set(c->wait, -1);
    (void)snprintf(text, sizeof text, "%d", status);
    ivr_inbox_put(c, CGW_IN_TASK, ivr_transfer_sub(status), text, n->name);
    if (good && n->next == IVR_NOWHERE)
        finish(c, "transferred");
    else
        enter(c, good ? n->next : n->otherwise);
}

static void prompt_ended(struct ivr_call *c)
{
    if (c->ending) {
        finish(c, c->ending);
        return;
    }
    const struct ivr_node *n = node_of(c);
    if (c->complaining) {
        c->complaining = false;
        play(c, n->prompt);
    } else if (n->action == IVR_HANGUP) {
        finish(c, "completed");
    } else if (n->action == IVR_NEXT) {
        enter(c, n->next);
    } else if (n->action == IVR_TRANSFER) {
        transfer(c);
    } else {
        hear(c);
    }
}

static void enter(struct ivr_call *c, int node)
{
    if (node == IVR_NOWHERE) {
        finish(c, "completed");
        return;
    }
    if (++c->steps > IVR_STEPS_MAX) {
        finish(c, "circle");
        return;
    }
    c->node = node;
    c->tries = 0;
    c->n_digits = 0;
    c->listening = c->complaining = false;
    play(c, node_of(c)->prompt);
}

/* ---- keys ---- */

static void opt_out(struct ivr_call *c)
{
    ivr_count(c->ch, IVR_C_OPTOUTS, 1);
    ivr_inbox_put(c, CGW_IN_OPTOUT, 0, "opt-out key", node_of(c)->name);
    c->listening = false;
    ivr_timer_set(c->wait, -1);
    ivr_media_quiet(c->media);
    c->ending = "optout";
    play(c, c->flow->optout_prompt);
}

void ivr_flow_digit(struct ivr_call *c, char key)
{
    if (c->n_pressed < IVR_PRESSED_MAX) {
        c->pressed[c->n_pressed++] = key;
        c->pressed[c->n_pressed] = '\0';
    }
    if (c->over || c->ending || c->transferring)
        return;
    /* while digits are collected the key is a digit like any other */
    if (key == c->flow->optout_key && node_of(c)->action != IVR_COLLECT) {
        opt_out(c);
    } else if (c->listening) {
        take_key(c, key);
    } else {
        if (c->n_ahead < IVR_AHEAD_MAX)
            c->ahead[c->n_ahead++] = key;
        if (c->playing && asks(c) && node_of(c)->barge_in) {
            ivr_media_quiet(c->media);
            c->playing = c->complaining = false;
            hear(c);
        }
    }
}

static void on_wait(void *arg)
{
    ivr_flow_timeout(arg);
}

void ivr_flow_begin(struct ivr_call *c)
{
    c->wait = ivr_timer_new(on_wait, c);
    if (c->wait)
        enter(c, c->flow->start);
    else
        ivr_call_hang_up(c, "memory");
}
