/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_command.c - the commands of the control socket, one table.
 * Must not do I/O on the socket. README.md lists them for users.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "sim_text.h"

#define RAW_MAX 16384

struct request {
    struct sim *sim;
    char *rest; /* what follows the command word */
    uint64_t ticket;
    struct sim_buf *out;
};

static bool ok(struct request *r)
{
    sim_buf_printf(r->out, "{\"ok\":true}");
    return true;
}

static bool fail(struct request *r, const char *why)
{
    sim_buf_printf(r->out, "{\"ok\":false,\"error\":");
    sim_buf_json(r->out, why);
    sim_buf_printf(r->out, "}");
    return true;
}

static char *next_word(char **rest)
{
    char *word;

    *rest += strspn(*rest, " \t\r");
    if (!**rest)
        return NULL;
    word = *rest;
    *rest += strcspn(*rest, " \t\r");
    if (**rest)
        *(*rest)++ = 0;
    return word;
}

static bool cmd_stats(struct request *r)
{
    sim_buf_printf(r->out, "{\"ok\":true,");
    sim_stats_json(r->sim, r->out);
    sim_buf_printf(r->out, "}");
    return true;
}

static bool cmd_sessions(struct request *r)
{
    sim_buf_printf(r->out, "{\"ok\":true,");
    sim_sessions_json(r->sim, r->out);
    sim_buf_printf(r->out, "}");
    return true;
}

static bool cmd_get(struct request *r)
{
    sim_buf_printf(r->out, "{\"ok\":true,");
    sim_knobs_json(&r->sim->knobs, r->out);
    sim_buf_printf(r->out, "}");
    return true;
}

static bool cmd_set(struct request *r)
{
    char *name = next_word(&r->rest), *value = next_word(&r->rest);
    char why[256];

    if (!name)
        return fail(r, "expected: set KNOB VALUE");
    if (sim_knobs_set(&r->sim->knobs, name, value ? value : "", why, sizeof(why)))
        return fail(r, why);
    sim_sessions_interest(r->sim);
    for (uint32_t i = 0; i < r->sim->accounts; i++) /* deliver_window may have been opened */
        sim_deliver_pump(r->sim, &r->sim->account[i]);
    return ok(r);
}

/* refuse, silent, pause-reading: a knob with on and off. */
static bool switch_knob(struct request *r, const char *knob, const char *on)
{
    char *word = next_word(&r->rest);
    char why[256];
    bool is_on = word && !strcmp(word, "on");

    if (!is_on && (!word || strcmp(word, "off") != 0))
        return fail(r, "expected on or off");
    if (sim_knobs_set(&r->sim->knobs, knob, is_on ? on : "0", why, sizeof(why)))
        return fail(r, why);
    sim_sessions_interest(r->sim);
    return ok(r);
}

static bool cmd_refuse(struct request *r)
{
    return switch_knob(r, "refuse_bind", "0x0D");
}
static bool cmd_silent(struct request *r)
{
    return switch_knob(r, "silent", "1");
}
static bool cmd_pause(struct request *r)
{
    return switch_knob(r, "pause_reading", "1");
}

static bool cmd_listen(struct request *r)
{
    char *word = next_word(&r->rest);

    if (word && !strcmp(word, "off"))
        sim_unlisten(r->sim);
    else if (!word || strcmp(word, "on") != 0)
        return fail(r, "expected on or off");
    else if (r->sim->listen_fd < 0 && sim_listen(r->sim))
        return fail(r, "cannot listen again");
    return ok(r);
}

struct target {
    bool all, mid_pdu;
    uint64_t serial;
    char *word; /* the last one that is no option */
};

static struct target take_target(char **rest)
{
    struct target t = {false, false, 0, NULL};
    int64_t n;
    char *w;

    while ((w = next_word(rest))) {
        if (!strcmp(w, "all"))
            t.all = true;
        else if (!strcmp(w, "mid-pdu"))
            t.mid_pdu = true;
        else if (!strncmp(w, "session=", 8) && !sim_parse_int(w + 8, &n))
            t.serial = (uint64_t)n;
        else
            t.word = w;
    }
    return t;
}

typedef void each_fn(struct sim *sim, struct sim_session *s, void *arg);

/* The session named, or all, or the first that is bound. Returns how many. */
static int for_target(struct sim *sim, const struct target *t, each_fn *fn, void *arg)
{
    int n = 0;

    for (uint32_t i = 0; i < sim->sessions_high; i++) {
        struct sim_session *s = sim->session[i];

        if (!s || (t->serial ? s->serial != t->serial : !t->all && !sim_is_bound(s)))
            continue;
        fn(sim, s, arg);
        n++;
        if (!t->all)
            break;
    }
    return n;
}

static bool done_with(struct request *r, int n)
{
    if (!n)
        return fail(r, "no such session");
    sim_buf_printf(r->out, "{\"ok\":true,\"sessions\":%d}", n);
    return true;
}

static void each_drop(struct sim *sim, struct sim_session *s, void *arg)
{
    sim_drop(sim, s, ((struct target *)arg)->mid_pdu);
}

static bool cmd_drop(struct request *r)
{
    struct target t = take_target(&r->rest);

    if (t.word)
        return fail(r, "expected: drop [mid-pdu] [all | session=N]");
    return done_with(r, for_target(r->sim, &t, each_drop, &t));
}

static void each_mute(struct sim *sim, struct sim_session *s, void *arg)
{
    (void)arg;
    s->mute = true;
    sim_session_dirty(sim, s);
}

static bool cmd_mute(struct request *r)
{
    struct target t = take_target(&r->rest);

    if (t.word)
        return fail(r, "expected: mute [all | session=N]");
    return done_with(r, for_target(r->sim, &t, each_mute, NULL));
}

static void each_garbage(struct sim *sim, struct sim_session *s, void *arg)
{
    sim_garbage(sim, s, *(int64_t *)arg);
}

static bool cmd_garbage(struct request *r)
{
    struct target t = take_target(&r->rest);
    int64_t kind = sim_choose(&r->sim->knobs.garbage_kind, r->sim->stats.garbage);

    if (t.word && sim_garbage_parse(t.word, &kind))
        return fail(r, "kinds: random short zero huge tlvs unknown no-nul stall");
    return done_with(r, for_target(r->sim, &t, each_garbage, &kind));
}

static void each_enquire(struct sim *sim, struct sim_session *s, void *arg)
{
    (void)arg;
    sim_send_enquire(sim, s);
}

static bool cmd_enquire(struct request *r)
{
    struct target t = take_target(&r->rest);

    return done_with(r, for_target(r->sim, &t, each_enquire, NULL));
}

static void each_unbind(struct sim *sim, struct sim_session *s, void *arg)
{
    (void)arg;
    sim_send_unbind(sim, s);
}

static bool cmd_unbind(struct request *r)
{
    struct target t = take_target(&r->rest);

    return done_with(r, for_target(r->sim, &t, each_unbind, NULL));
}

struct bytes {
    uint8_t data[RAW_MAX];
    size_t len;
};

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c | 0x20) : NULL;

    return p && c != ' ' ? (int)(p - digits) : -1;
}

static int parse_hex(const char *text, struct bytes *ret)
{
    ret->len = 0;
    for (; *text; text += 2) {
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

        if (low < 0 || ret->len == RAW_MAX)
            return -EINVAL;
        ret->data[ret->len++] = (uint8_t)(high << 4 | low);
    }
    return ret->len ? 0 : -EINVAL;
}

static void each_raw(struct sim *sim, struct sim_session *s, void *arg)
{
    const struct bytes *b = arg;

    sim_raw(sim, s, b->data, b->len);
}

static bool cmd_raw(struct request *r)
{
    struct target t = take_target(&r->rest);
    struct bytes *b = sim_alloc(sizeof(*b));
    bool done;

    if (!t.word || parse_hex(t.word, b))
        done = fail(r, "expected: raw [all | session=N] HEX (at most 16384 octets)");
    else
        done = done_with(r, for_target(r->sim, &t, each_raw, b));
    free(b);
    return done;
}

int sim_dump_file(struct sim *sim, const char *path)
{
    char tmp[4200];
    FILE *out;
    int rc;

    snprintf(tmp, sizeof(tmp), "%.4096s.tmp", path);
    out = fopen(tmp, "w");
    if (!out)
        return -errno;
    rc = sim_count_dump(sim->count, out);
    if (fclose(out) && !rc)
        rc = -EIO;
    if (!rc && rename(tmp, path))
        rc = -errno;
    return rc;
}

static bool cmd_dump(struct request *r)
{
    char *path = next_word(&r->rest);

    if (!path)
        return fail(r, "expected: dump FILE");
    if (sim_dump_file(r->sim, path))
        return fail(r, "cannot write the file");
    return ok(r);
}

static bool cmd_dests(struct request *r)
{
    char *path = next_word(&r->rest);
    FILE *out = path ? fopen(path, "w") : NULL;
    uint64_t lines = 0;
    int rc;

    if (!out)
        return fail(r, path ? "cannot write the file" : "expected: dests FILE");
    rc = sim_count_dests(r->sim->count, out, &lines);
    if (fclose(out) || rc)
        return fail(r, "cannot write the file");
    sim_buf_printf(r->out, "{\"ok\":true,\"dests\":%llu}", (unsigned long long)lines);
    return true;
}

struct mo_words {
    struct sim_mo_order order;
    bool wait;
};

static int mo_form(const char *v, struct sim_mo_order *o)
{
    static const struct {
        const char *name;
        enum sim_concat_kind kind;
        bool payload;
    } forms[] = {{"udh8", SIM_CONCAT_UDH8, false},
                 {"udh16", SIM_CONCAT_UDH16, false},
                 {"sar", SIM_CONCAT_SAR, false},
                 {"payload", SIM_CONCAT_NONE, true}};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (!strcmp(forms[i].name, v)) {
            o->kind = forms[i].kind;
            o->payload = forms[i].payload;
            return 0;
        }
    return -EINVAL;
}

static int mo_coding(const char *v, struct sim_mo_order *o)
{
    static const char *const names[] = {"auto", "gsm", "ucs2", "latin1"};

    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], v)) {
            o->coding = i;
            return 0;
        }
    return -EINVAL;
}

static int mo_option(struct sim *sim, const char *name, const char *v, struct mo_words *m)
{
    if (!strcmp(name, "form"))
        return mo_form(v, &m->order);
    if (!strcmp(name, "coding"))
        return mo_coding(v, &m->order);
    if (!strcmp(name, "wait")) {
        m->wait = strcmp(v, "0") != 0;
    } else if (!strcmp(name, "dup")) {
        m->order.twice = strcmp(v, "0") != 0;
    } else if (!strcmp(name, "order")) {
        m->order.reverse = !strcmp(v, "reverse");
        m->order.shuffle = !strcmp(v, "shuffle");
        return m->order.reverse || m->order.shuffle || !strcmp(v, "normal") ? 0 : -EINVAL;
    } else if (!strcmp(name, "account")) {
        for (uint32_t i = 0; i < sim->accounts; i++)
            if (!strcmp(sim->account[i].system_id, v))
                m->order.account = &sim->account[i];
        return m->order.account ? 0 : -EINVAL;
    } else {
        return -EINVAL;
    }
    return 0;
}

/* \n, \r, \t and \\ in place. */
static void unescape(char *text)
{
    static const char from[] = "nrt\\", to[] = "\n\r\t\\";
    char *w = text;

    for (; *text; text++) {
        const char *p = *text == '\\' && text[1] ? strchr(from, text[1]) : NULL;

        if (p)
            text++;
        *w++ = p ? to[p - from] : *text;
    }
    *w = 0;
}

static bool cmd_mo(struct request *r)
{
    struct mo_words m = {.wait = true};
    char why[160] = "expected: mo [form= coding= order= dup= account= wait=] FROM TO TEXT";
    char *w, *value;
    int parts = 0;

    m.order.kind = SIM_CONCAT_UDH8;
    while ((w = next_word(&r->rest)) && (value = strchr(w, '='))) {
        *value++ = 0;
        if (mo_option(r->sim, w, value, &m))
            return fail(r, why);
    }
    m.order.from = w;
    m.order.to = w ? next_word(&r->rest) : NULL;
    if (!m.order.to)
        return fail(r, why);
    unescape(r->rest);
    m.order.text = r->rest;
    m.order.mo = m.wait ? r->ticket : 0;
    /* Answers come by the network, never within this call. */
    if (sim_mo_send(r->sim, &m.order, &parts, why, sizeof(why)))
        return fail(r, why);
    if (!m.wait) {
        sim_buf_printf(r->out, "{\"ok\":true,\"deliveries\":%d}", parts);
        return true;
    }
    sim_control_mo_expect(r->sim, r->ticket, parts);
    return false;
}

static bool cmd_reply(struct request *r)
{
    if (!strcmp(r->rest, "clear")) {
        r->sim->replies = 0;
        return ok(r);
    }
    unescape(r->rest);
    if (sim_reply_add(r->sim, r->rest))
        return fail(r, "expected: reply SUFFIX=TEXT (at most 16 rules, 255 octets) or reply clear");
    return ok(r);
}

static bool cmd_reset(struct request *r)
{
    sim_reset(r->sim);
    return ok(r);
}

static bool cmd_quit(struct request *r)
{
    r->sim->stop = true;
    return ok(r);
}

static bool cmd_help(struct request *r);

static const struct {
    const char *name;
    bool (*fn)(struct request *r);
    const char *help;
} commands[] = {
    {"stats", cmd_stats, "counters, messages, complaints"},
    {"sessions", cmd_sessions, "who is connected"},
    {"get", cmd_get, "all knobs"},
    {"set", cmd_set, "set KNOB VALUE"},
    {"dump", cmd_dump, "dump FILE: a line for each message"},
    {"dests", cmd_dests, "dests FILE: destinations that got something"},
    {"mo", cmd_mo,
     "mo [form=udh8|udh16|sar|payload] [coding=auto|gsm|ucs2|latin1] "
     "[order=normal|reverse|shuffle] [dup=1] [account=ID] [wait=0] FROM TO TEXT"},
    {"reply", cmd_reply, "reply SUFFIX=TEXT: answer messages to numbers ending so; reply clear"},
    {"drop", cmd_drop, "drop [mid-pdu] [all | session=N]"},
    {"mute", cmd_mute, "mute [all | session=N]: takes octets to nowhere, sends none any more"},
    {"garbage", cmd_garbage, "garbage [KIND] [all | session=N]"},
    {"raw", cmd_raw, "raw [all | session=N] HEX"},
    {"enquire", cmd_enquire, "enquire [all | session=N]: send enquire_link"},
    {"unbind", cmd_unbind, "unbind [all | session=N]: send unbind"},
    {"refuse", cmd_refuse, "refuse on|off: binds fail with 0x0D"},
    {"silent", cmd_silent, "silent on|off: no answers at all"},
    {"pause-reading", cmd_pause, "pause-reading on|off"},
    {"listen", cmd_listen, "listen on|off: refuse new TCP connections"},
    {"reset", cmd_reset, "forget counts, complaints, queues; keep sessions and knobs"},
    {"quit", cmd_quit, "end"},
    {"help", cmd_help, "this"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool cmd_help(struct request *r)
{
    sim_buf_printf(r->out, "{\"ok\":true");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        sim_buf_printf(r->out, ",\"%s\":", commands[i].name);
        sim_buf_json(r->out, commands[i].help);
    }
    sim_buf_printf(r->out, "}");
    return true;
}

bool sim_command(struct sim *sim, char *line, uint64_t ticket, struct sim_buf *out)
{
    struct request r = {sim, line, ticket, out};
    char *word = next_word(&r.rest);

    for (size_t i = 0; word && i < N_COMMANDS; i++)
        if (!strcmp(commands[i].name, word))
            return commands[i].fn(&r);
    return fail(&r, "unknown command; try help");
}
