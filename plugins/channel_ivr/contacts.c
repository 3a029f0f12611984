/* SPDX-License-Identifier: Apache-2.0 */
/* contacts.c - looks after the trunks: OPTIONS pings, registrations, and what health() says. */
#include "instance.h"

#include <stdio.h>
#include <string.h>

#define PING_WAIT_MS 3000 /* libre would wait 32 s (timer F); it repeats three times in these */
#define DOWN_PING_MS                                                                               \
    5000 /* a trunk that is down is asked this often, so that it is found back soon */

static void look(struct ivr_trunk_link *l, bool was_up)
{
    struct ivr_chan *ch = l->ch;
    const struct ivr_trunk *t = &ch->opt.trunks[l->index];
    bool up = ivr_trunk_is_up(t, ivr_now_ms(ch));
    if (up != was_up)
        ivr_log(ch, up ? CGW_LOG_INFO : CGW_LOG_WARNING, up ? "ivr.trunk.up" : "ivr.trunk.down",
                "trunk=%s why=\"%s\"", t->host, t->why);
    ivr_health_update(ch);
    if (up && !was_up)
        ivr_dial_kick(ch);
}

static void on_pinged(void *arg, int code)
{
    struct ivr_trunk_link *l = arg;
    struct ivr_chan *ch = l->ch;
    struct ivr_trunk *t = &ch->opt.trunks[l->index];
    bool was_up = ivr_trunk_is_up(t, ivr_now_ms(ch));
    if (!code)
        ivr_count(ch, IVR_C_PINGS_LOST, 1);
    (void)ivr_trunk_pinged(t, ivr_now_ms(ch), code);
    look(l, was_up);
    int64_t next = t->reachable && !t->lost_pings ? ch->opt.ping_ms : DOWN_PING_MS;
    ivr_timer_set(l->timer, next < ch->opt.ping_ms ? next : ch->opt.ping_ms);
}

static void on_registered(void *arg, int code)
{
    struct ivr_trunk_link *l = arg;
    struct ivr_trunk *t = &l->ch->opt.trunks[l->index];
    bool was_up = ivr_trunk_is_up(t, ivr_now_ms(l->ch));
    t->registered = code >= 200 && code < 300;
    if (t->registered)
        t->why[0] = '\0';
    else if (code)
        (void)snprintf(t->why, sizeof t->why, "registration was refused with %d", code);
    else
        (void)snprintf(t->why, sizeof t->why, "registration was not answered");
    look(l, was_up);
}

static const struct ivr_contact_events contact_events = {on_pinged, on_registered};

static void on_ping_due(void *arg)
{
    struct ivr_trunk_link *l = arg;
    if (ivr_contact_unping(l->contact) || ivr_contact_ping(l->contact) != 0)
        on_pinged(l, 0); /* no answer in time, or no network to ask through */
    else
        ivr_timer_set(l->timer, PING_WAIT_MS);
}

static int start_one(struct ivr_trunk_link *l)
{
    struct ivr_chan *ch = l->ch;
    const struct ivr_trunk *t = &ch->opt.trunks[l->index];
    char uri[160], aor[256];
    (void)snprintf(uri, sizeof uri, "sip:%s", t->host);
    (void)snprintf(aor, sizeof aor, "sip:%s@%s", t->user, t->host);
    l->account = (struct ivr_account){t->user[0] ? t->user : NULL, ch->opt.passwords[l->index]};
    l->timer = ivr_timer_new(on_ping_due, l);
    int err = ivr_contact_new(&l->contact, ch->sip, uri, &l->account, &contact_events, l);
    if (!err && t->registers)
        err = ivr_contact_register(l->contact, aor, ch->opt.register_s);
    if (!err && l->timer && ch->opt.ping_ms > 0)
        ivr_timer_set(l->timer, 0);
    return err;
}

void ivr_contacts_start(struct ivr_chan *ch)
{
    for (uint32_t i = 0; i < ch->opt.n_trunks; i++) {
        ch->links[i].ch = ch;
        ch->links[i].index = i;
        int err = start_one(&ch->links[i]);
        if (err)
            ivr_log(ch, CGW_LOG_ERROR, "ivr.trunk.start_failed", "trunk=%s error=\"%s\"",
                    ch->opt.trunks[i].host, strerror(err));
    }
    ivr_health_update(ch);
}

void ivr_contacts_stop(struct ivr_chan *ch)
{
    for (uint32_t i = 0; i < ch->opt.n_trunks; i++) {
        ch->links[i].contact = ivr_contact_free(ch->links[i].contact);
        ch->links[i].timer = ivr_timer_free(ch->links[i].timer);
    }
}

/* ---- health ---- */

static void say_why(const struct ivr_chan *ch, char *out, size_t size)
{
    if (ch->sip_error) {
        (void)snprintf(out, size, "SIP cannot be opened: %s", strerror(ch->sip_error));
        return;
    }
    for (uint32_t i = 0; i < ch->opt.n_trunks; i++)
        if (!ivr_trunk_is_up(&ch->opt.trunks[i], ivr_now_ms(ch))) {
            const struct ivr_trunk *t = &ch->opt.trunks[i];
            (void)snprintf(out, size, "trunk %.100s: %s", t->host,
                           t->why[0] ? t->why : "not registered yet");
            return;
        }
}

/* Looks again when the next trunk has rested: nothing else may happen by then. */
static void look_after_rest(struct ivr_chan *ch)
{
    int64_t now = ivr_now_ms(ch), first = INT64_MAX;
    for (uint32_t i = 0; i < ch->opt.n_trunks; i++)
        if (ch->opt.trunks[i].rest_until_mono_ms > now &&
            ch->opt.trunks[i].rest_until_mono_ms < first)
            first = ch->opt.trunks[i].rest_until_mono_ms;
    if (ch->rest_timer && !atomic_load(&ch->draining))
        ivr_timer_set(ch->rest_timer, first == INT64_MAX ? -1 : first - now);
}

void ivr_health_update(struct ivr_chan *ch)
{
    struct cgw_health h = {.size = sizeof h,
                           .links = ch->opt.n_trunks,
                           .window = ch->opt.calls,
                           .window_used = ch->n_active};
    uint32_t cps = 0;
    for (uint32_t i = 0; ch->sip && i < ch->opt.n_trunks; i++)
        if (ivr_trunk_is_up(&ch->opt.trunks[i], ivr_now_ms(ch))) {
            h.links_up++;
            cps += ch->opt.trunks[i].cps;
        }
    h.up = h.links_up > 0;
    say_why(ch, h.text, sizeof h.text);
    (void)pthread_mutex_lock(&ch->lock);
    h.since_utc_ms = h.up == ch->health.up && ch->health.since_utc_ms ? ch->health.since_utc_ms
                                                                      : ch->host->now_utc_ms();
    ch->health = h;
    (void)pthread_mutex_unlock(&ch->lock);
    atomic_store(&ch->cps_up, cps);
    look_after_rest(ch);
    ivr_tell_credit(ch);
}
