/* SPDX-License-Identifier: Apache-2.0 */
/* bind.c - one link's life as a table of states and events: connect, TLS, bind, keep alive, unbind,
 * come back. Must not decide about messages (pump.c) or replies (inbox.c). Source: SMPP v3.4
 * issue 1.2, 2.2 (states), 4.1, 4.2, 4.11. */
#include "bind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RESOLVE_POLL_MS 20

typedef enum smpp_state (*move)(struct smpp_link *l);

const char *smpp_state_name(enum smpp_state s)
{
    static const char *const names[SMPP_STATES] = {"closed",  "connecting", "tls",
                                                   "binding", "bound",      "unbinding"};
    return names[s];
}

/* ---- small helpers ---- */

void smpp_link_set_why(struct smpp_link *l, const char *why)
{
    if (why != l->why)
        (void)snprintf(l->why, sizeof l->why, "%s", why);
}

static void unwatch(struct smpp_link *l)
{
    if (l->watched != 0)
        l->inst->host->unwatch_fd(l->inst->gw, l->conn.fd);
    l->watched = 0;
}

/* Complain at the 1st, 2nd, 4th, 8th ... failure in a row. */
bool smpp_is_worth_saying(uint32_t tries)
{
    return (tries & (tries - 1)) == 0;
}

static uint32_t bind_command(enum smpp_role role)
{
    static const uint32_t commands[] = {SMPP_BIND_TRANSCEIVER, SMPP_BIND_TRANSMITTER,
                                        SMPP_BIND_RECEIVER};
    return commands[role];
}

static void append_or_lose(struct smpp_link *l, const void *pdu, int len)
{
    if (len > 0 && smpp_conn_append(&l->conn, pdu, (uint32_t)len) == 0)
        return;
    smpp_link_set_why(l, len > 0 ? l->conn.why : "a PDU could not be encoded");
    smpp_link_fire(l, SMPP_EV_LOST);
}

void smpp_link_say(struct smpp_link *l, uint32_t command, uint32_t status, uint32_t sequence)
{
    uint8_t pdu[SMPP_HEADER_LEN + 8u];
    append_or_lose(l, pdu, smpp_encode_simple(pdu, sizeof pdu, command, status, sequence));
}

/* ---- moves: each does its work and returns the next state ---- */

/* Everything that leads back to CLOSED goes through here. pause_ms < 0: as the back-off says. */
static enum smpp_state close_link(struct smpp_link *l, int64_t pause_ms)
{
    struct smpp_inst *in = l->inst;
    bool was_up = l->state == SMPP_BOUND || l->state == SMPP_UNBINDING;
    l->state = SMPP_CLOSED; /* first: what follows must not take this link for usable */
    unwatch(l);
    smpp_conn_close(&l->conn);
    l->resolve = smpp_resolve_free(l->resolve);
    l->epoch++;
    l->enquire_due_ms = 0;
    l->enquire_seq = 0;
    if (was_up) {
        l->since_utc_ms = in->host->now_utc_ms();
        smpp_count(in, SMPP_C_LINKS_LOST, 1);
    }
    smpp_pump_lost(l);
    if (in->draining) {
        l->step_ms = 0;
        return SMPP_CLOSED;
    }
    int64_t backoff_ms = smpp_backoff_step(&l->backoff, smpp_random(in));
    l->step_ms = in->now_ms + (pause_ms >= 0 ? pause_ms : backoff_ms);
    if (was_up || smpp_is_worth_saying(l->backoff.tries))
        smpp_log(in, CGW_LOG_WARNING, was_up ? "channel.bind.lost" : "channel.bind.failed",
                 "bind=%u try=%u next_ms=%lld msg=\"%s\"", l->index, l->backoff.tries,
                 (long long)(l->step_ms - in->now_ms), l->why);
    return SMPP_CLOSED;
}

static enum smpp_state do_lost(struct smpp_link *l)
{
    return close_link(l, -1);
}

static enum smpp_state do_timeout(struct smpp_link *l)
{
    char why[80];
    (void)snprintf(why, sizeof why, "no progress while %s within %lld ms",
                   smpp_state_name(l->state), (long long)l->inst->opt.bind_timeout_ms);
    smpp_link_set_why(l, why);
    return close_link(l, -1);
}

static void step_limit(struct smpp_link *l)
{
    l->step_ms = l->inst->now_ms + l->inst->opt.bind_timeout_ms;
}

/* Try the addresses in turn. \return false when none is left. */
static bool connect_next(struct smpp_link *l)
{
    while (l->next_addr < l->n_addrs) {
        unwatch(l);
        if (smpp_conn_open(&l->conn, &l->addrs[l->next_addr++], l->inst->opt.response_timeout_ms) ==
            0) {
            step_limit(l);
            return true;
        }
        smpp_link_set_why(l, l->conn.why);
    }
    return false;
}

static void poll_resolver(struct smpp_link *l)
{
    const char *why = "";
    int n = smpp_resolve_poll(l->resolve, l->addrs, SMPP_PEER_ADDRS_MAX, &why);
    if (n == -EAGAIN) {
        l->resolve_ms = l->inst->now_ms + RESOLVE_POLL_MS;
        return;
    }
    l->resolve = smpp_resolve_free(l->resolve);
    l->next_addr = 0;
    l->n_addrs = n > 0 ? (uint32_t)n : 0;
    if (n < 0)
        smpp_link_set_why(l, why);
    if (!connect_next(l))
        smpp_link_fire(l, SMPP_EV_LOST);
}

static enum smpp_state do_open(struct smpp_link *l)
{
    struct smpp_options *o = &l->inst->opt;
    l->n_addrs = l->next_addr = 0;
    step_limit(l);
    int rc = smpp_resolve_start(&l->inst->asked, o->host, o->port, &l->resolve);
    if (rc) {
        smpp_link_set_why(l, rc == -EBUSY ? "too many names are being looked up" : strerror(-rc));
        return close_link(l, -1);
    }
    l->resolve_ms = l->inst->now_ms; /* the next tick asks it */
    return SMPP_CONNECTING;
}

static enum smpp_state begin_bind(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    struct smpp_options *o = &in->opt;
    struct smpp_bind bind = {
        .command = bind_command(l->role),
        .system_id = o->system_id,
        .password = o->password,
        .system_type = o->system_type,
        .address_range = o->address_range,
        .interface_version = 0x34,
        .addr_ton = o->addr_ton,
        .addr_npi = o->addr_npi,
    };
    uint32_t seq = smpp_inflight_add(&l->inflight, SMPP_SLOT_BIND, NULL, 0, in->now_ms);
    int len = smpp_encode_bind(in->encode, sizeof in->encode, seq, &bind);
    if (len <= 0 || smpp_conn_append(&l->conn, in->encode, (uint32_t)len) != 0) {
        smpp_link_set_why(l, "the bind could not be encoded");
        return close_link(l, -1);
    }
    l->heard_ms = in->now_ms;
    step_limit(l);
    return SMPP_BINDING;
}

static enum smpp_state do_tcp_up(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    if (!in->opt.tls)
        return begin_bind(l);
    if (smpp_conn_start_tls(&l->conn, in->tls, in->opt.tls_name) != 0) {
        smpp_link_set_why(l, l->conn.why);
        return close_link(l, -1);
    }
    step_limit(l);
    return SMPP_TLS;
}

static enum smpp_state do_bound(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    bool again = l->epoch > 0;
    l->refusals = 0;
    l->step_ms = 0;
    l->why[0] = '\0';
    l->since_utc_ms = in->host->now_utc_ms();
    l->ramp_from_ms = again && in->opt.ramp_ms > 0 ? in->now_ms : 0;
    smpp_aimd_init(&l->aimd, &in->opt.throttle, in->now_ms);
    smpp_bucket_init(&l->limit, 0, in->now_ms);
    l->slow = false;
    l->more = true;
    smpp_count(in, SMPP_C_BINDS, 1);
    smpp_log(in, CGW_LOG_INFO, "channel.bind.up", "bind=%u peer=%s:%u tries=%u tls=%d", l->index,
             in->opt.host, in->opt.port, l->backoff.tries, in->opt.tls);
    smpp_backoff_reset(&l->backoff);
    return SMPP_BOUND;
}

/* l->why and l->step_ms (pause) were set by on_bind_resp(). */
static enum smpp_state do_refused(struct smpp_link *l)
{
    smpp_count(l->inst, SMPP_C_BINDS_REFUSED, 1);
    return close_link(l, l->step_ms);
}

static enum smpp_state do_unbind(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    uint8_t pdu[SMPP_HEADER_LEN + 8u];
    uint32_t seq = smpp_inflight_add(&l->inflight, SMPP_SLOT_UNBIND, NULL, 0, in->now_ms);
    int len = seq ? smpp_encode_simple(pdu, sizeof pdu, SMPP_UNBIND, SMPP_ROK, seq) : -ENOBUFS;
    if (len <= 0 || smpp_conn_append(&l->conn, pdu, (uint32_t)len) != 0)
        return close_link(l, -1);
    step_limit(l);
    return SMPP_UNBINDING;
}

static enum smpp_state do_gone(struct smpp_link *l)
{
    smpp_link_set_why(l, "unbound");
    return close_link(l, -1);
}

static const move moves[SMPP_STATES][SMPP_EVENTS] = {
    [SMPP_CLOSED] = {[SMPP_EV_OPEN] = do_open},
    [SMPP_CONNECTING] = {[SMPP_EV_TCP_UP] = do_tcp_up,
                         [SMPP_EV_UNBIND] = do_gone,
                         [SMPP_EV_TIMEOUT] = do_timeout,
                         [SMPP_EV_LOST] = do_lost},
    [SMPP_TLS] = {[SMPP_EV_TLS_UP] = begin_bind,
                  [SMPP_EV_UNBIND] = do_gone,
                  [SMPP_EV_TIMEOUT] = do_timeout,
                  [SMPP_EV_LOST] = do_lost},
    [SMPP_BINDING] = {[SMPP_EV_BIND_OK] = do_bound,
                      [SMPP_EV_BIND_REFUSED] = do_refused,
                      [SMPP_EV_UNBIND] = do_gone,
                      [SMPP_EV_UNBIND_DONE] = do_gone,
                      [SMPP_EV_TIMEOUT] = do_timeout,
                      [SMPP_EV_LOST] = do_lost},
    [SMPP_BOUND] = {[SMPP_EV_UNBIND] = do_unbind,
                    [SMPP_EV_UNBIND_DONE] = do_gone,
                    [SMPP_EV_TIMEOUT] = do_timeout,
                    [SMPP_EV_LOST] = do_lost},
    [SMPP_UNBINDING] =
        {[SMPP_EV_UNBIND_DONE] = do_gone, [SMPP_EV_TIMEOUT] = do_timeout, [SMPP_EV_LOST] = do_lost},
};

void smpp_link_fire(struct smpp_link *l, enum smpp_event ev)
{
    move m = moves[l->state][ev];
    if (m)
        l->state = m(l); /* events that mean nothing in a state are ignored */
}

/* ---- what the loop calls ---- */

/* The client speaks first in TLS: nobody else would wake us. */
static void hello(struct smpp_link *l)
{
    if (smpp_conn_progress(&l->conn) >= 0)
        return; /* it cannot be complete before the peer has answered */
    smpp_link_set_why(l, l->conn.why);
    smpp_link_fire(l, SMPP_EV_LOST);
}

static void progress(struct smpp_link *l)
{
    int rc = smpp_conn_progress(&l->conn);
    if (rc < 0) {
        smpp_link_set_why(l, l->conn.why);
        if (l->state != SMPP_CONNECTING || !connect_next(l))
            smpp_link_fire(l, SMPP_EV_LOST);
    } else if (rc > 0 && l->state == SMPP_TLS) {
        smpp_link_fire(l, SMPP_EV_TLS_UP);
    } else if (rc > 0) {
        smpp_link_fire(l, SMPP_EV_TCP_UP);
        if (l->state == SMPP_TLS)
            hello(l);
    }
}

static void on_fd(void *arg, int fd, uint32_t events)
{
    struct smpp_link *l = arg;
    smpp_enter(l->inst);
    if (fd == l->conn.fd) {
        if (l->state == SMPP_CONNECTING || l->state == SMPP_TLS)
            progress(l);
        if (l->state >= SMPP_BINDING && (events & (CGW_FD_READ | CGW_FD_HANGUP)))
            smpp_link_read(l);
    }
    smpp_leave(l->inst);
}

static void on_timer(void *arg)
{
    struct smpp_link *l = arg;
    smpp_enter(l->inst);
    smpp_link_tick(l);
    smpp_leave(l->inst);
}

static void ask_alive(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    if (l->enquire_due_ms != 0 && in->now_ms >= l->enquire_due_ms) {
        smpp_count(in, SMPP_C_ENQUIRE_TIMEOUT, 1);
        smpp_link_set_why(l, "no answer to enquire_link");
        smpp_link_fire(l, SMPP_EV_LOST);
        return;
    }
    if (l->enquire_due_ms != 0 || in->now_ms - l->heard_ms < in->opt.enquire_link_ms)
        return;
    struct smpp_slot stale;
    (void)smpp_inflight_take(&l->inflight, l->enquire_seq,
                             &stale); /* a peer that talks but skipped our last question */
    uint32_t seq = smpp_inflight_add(&l->inflight, SMPP_SLOT_ENQUIRE, NULL, 0, in->now_ms);
    if (seq == 0)
        return; /* not possible while queries leave room; the next turn tries again */
    l->enquire_seq = seq;
    l->enquire_due_ms = in->now_ms + in->opt.enquire_timeout_ms;
    smpp_link_say(l, SMPP_ENQUIRE_LINK, SMPP_ROK, seq);
}

void smpp_link_tick(struct smpp_link *l)
{
    int64_t now_ms = l->inst->now_ms;
    if (l->resolve && now_ms >= l->resolve_ms)
        poll_resolver(l);
    if (l->step_ms != 0 && now_ms >= l->step_ms)
        smpp_link_fire(l, l->state == SMPP_CLOSED ? SMPP_EV_OPEN : SMPP_EV_TIMEOUT);
    if (l->state == SMPP_BOUND)
        ask_alive(l);
    smpp_pump_timeouts(l);
    smpp_pump_expire(l);
}

void smpp_link_settle(struct smpp_link *l)
{
    smpp_recall_pump(l); /* before bulk, if nothing urgent waits; else behind what is urgent */
    int rc = smpp_pump(l);
    if (rc == 0 && l->state == SMPP_BOUND) {
        smpp_recall_pump(l);
        smpp_query_pump(l);
    }
    if (rc == 0 && l->state >= SMPP_BINDING)
        rc = smpp_conn_flush(&l->conn);
    if (rc < 0) {
        smpp_link_set_why(l, l->conn.why);
        smpp_link_fire(l, SMPP_EV_LOST);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return b != 0 && b < a ? b : a;
}

void smpp_link_arm(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    if (!l->timer)
        return;
    if (l->conn.fd >= 0) {
        uint32_t events = smpp_conn_events(&l->conn);
        if (events != l->watched) {
            int rc = in->host->watch_fd(in->gw, l->conn.fd, events, on_fd, l);
            l->watched = events;
            if (rc != 0) {
                l->watched = 0;
                smpp_link_set_why(l, "the gateway cannot watch the connection");
                smpp_link_close(l, l->why);
            }
        }
    }
    int64_t at_ms = earlier(smpp_pump_next_ms(l), l->step_ms);
    at_ms = earlier(at_ms, smpp_recall_next_ms(l));
    if (l->resolve)
        at_ms = earlier(at_ms, l->resolve_ms);
    if (l->state == SMPP_BOUND)
        at_ms = earlier(at_ms, l->enquire_due_ms != 0 ? l->enquire_due_ms
                                                      : l->heard_ms + in->opt.enquire_link_ms);
    in->host->timer_set(l->timer, at_ms == INT64_MAX ? 0 : at_ms);
}

int smpp_link_init(struct smpp_link *l, struct smpp_inst *in, uint32_t index, enum smpp_role role)
{
    l->inst = in;
    l->index = index;
    l->role = role;
    l->state = SMPP_CLOSED;
    l->expiry_ms = INT64_MAX;
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        TAILQ_INIT(&l->queue[lane]);
    TAILQ_INIT(&l->flying);
    TAILQ_INIT(&l->waiting);
    smpp_backoff_init(&l->backoff, in->opt.reconnect_min_ms, in->opt.reconnect_max_ms);
    smpp_aimd_init(&l->aimd, &in->opt.throttle, 0);
    (void)snprintf(l->why, sizeof l->why, "not started");
    int rc = smpp_conn_init(&l->conn);
    return rc ? rc : smpp_inflight_init(&l->inflight, in->opt.window);
}

void smpp_link_done(struct smpp_link *l)
{
    l->resolve = smpp_resolve_free(l->resolve);
    smpp_conn_done(&l->conn);
    smpp_inflight_done(&l->inflight);
}

int smpp_link_start(struct smpp_link *l, int64_t at_ms)
{
    l->timer = l->inst->host->timer_new(l->inst->gw, on_timer, l);
    if (!l->timer)
        return CGW_ELIMIT;
    l->step_ms = at_ms;
    l->since_utc_ms = l->inst->host->now_utc_ms();
    smpp_link_set_why(l, "not connected yet");
    l->inst->host->timer_set(l->timer, at_ms);
    return 0;
}

void smpp_link_unbind(struct smpp_link *l)
{
    if (l->state == SMPP_CLOSED)
        l->step_ms = 0;
    else
        smpp_link_fire(l, SMPP_EV_UNBIND);
}

void smpp_link_close(struct smpp_link *l, const char *why)
{
    smpp_link_set_why(l, why);
    smpp_link_fire(l, SMPP_EV_LOST);
}

bool smpp_link_can_send(const struct smpp_link *l)
{
    return l->state == SMPP_BOUND && l->role != SMPP_ROLE_RX;
}
