/* SPDX-License-Identifier: Apache-2.0 */
/* sip.c - the user agent, pings and registrations. See sip.h. */
#include "sip_int.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_SIZE 1024 /* transactions and dialogs; ended INVITEs stay 32 s (RFC 3261, timer D) */
#define NAME_SERVERS 4

/* Name servers of the host: trunks may be named, and may have SRV records (RFC 3263). */
static int open_dns(struct dnsc **ret)
{
    struct sa servers[NAME_SERVERS];
    char domain[64];
    uint32_t n = NAME_SERVERS;
    int err = dns_srv_get(domain, sizeof domain, servers, &n);
    return err ? err : dnsc_alloc(ret, NULL, servers, n);
}

int ivr_sip_open(struct ivr_sip **ret, const struct ivr_sip_conf *conf)
{
    struct ivr_sip *s = calloc(1, sizeof *s);
    if (!s)
        return ENOMEM;
    s->conf = *conf;
    (void)open_dns(&s->dns); /* without one, trunks given by address still work */
    sa_set_in(&s->local, ntohl(conf->local.s_addr), conf->port);
    int err = sip_alloc(&s->sip, s->dns, HASH_SIZE, HASH_SIZE, HASH_SIZE, "campgw", NULL, NULL);
    if (!err)
        err = sip_transp_add(s->sip, SIP_TRANSP_UDP, &s->local);
    if (!err)
        err = sip_transp_laddr(s->sip, &s->local, SIP_TRANSP_UDP, &s->local);
    if (!err)
        err = sipsess_listen(&s->sessions, s->sip, HASH_SIZE, NULL, NULL);
    if (!err)
        err = sipevent_listen(&s->events, s->sip, 64, 64, NULL, NULL);
    if (err)
        s = ivr_sip_close(s);
    *ret = s;
    return err;
}

struct ivr_sip *ivr_sip_close(struct ivr_sip *s)
{
    if (!s)
        return NULL;
    if (s->sessions)
        sipsess_close_all(s->sessions);
    if (s->sip)
        sip_close(s->sip, true);
    mem_deref(s->events);
    mem_deref(s->sessions);
    mem_deref(s->sip);
    mem_deref(s->dns);
    free(s);
    return NULL;
}

int ivr_auth(char **user, char **password, const char *realm, void *arg)
{
    const struct ivr_account *a = arg;
    (void)realm;
    if (!a || !a->user || !a->password)
        return EAUTH;
    int err = str_dup(user, a->user);
    return err ? err : str_dup(password, a->password);
}

/* ---- a trunk's pings and registration ---- */

struct ivr_contact {
    struct ivr_sip *sip;
    char *uri; /* owned */
    const struct ivr_account *account;
    const struct ivr_contact_events *events;
    void *arg;
    struct sip_request *ping;
    struct sipreg *reg;
    uint32_t sequence;
};

int ivr_contact_new(struct ivr_contact **ret, struct ivr_sip *s, const char *uri,
                    const struct ivr_account *account, const struct ivr_contact_events *events,
                    void *arg)
{
    struct ivr_contact *c = mem_zalloc(sizeof *c, NULL);
    int err = c ? str_dup(&c->uri, uri) : ENOMEM;
    if (err) {
        mem_deref(c);
        return err;
    }
    c->sip = s;
    c->account = account;
    c->events = events;
    c->arg = arg;
    *ret = c;
    return 0;
}

struct ivr_contact *ivr_contact_free(struct ivr_contact *c)
{
    if (!c)
        return NULL;
    mem_deref(c->ping);
    mem_deref(c->reg); /* takes the registration back */
    mem_deref(c->uri);
    mem_deref(c);
    return NULL;
}

static void on_ping(int err, const struct sip_msg *msg, void *arg)
{
    struct ivr_contact *c = arg;
    if (!err && msg && msg->scode < 200)
        return;
    c->ping = NULL; /* libre frees it behind this handler */
    c->events->ping(c->arg, err || !msg ? 0 : msg->scode);
}

int ivr_contact_ping(struct ivr_contact *c)
{
    struct sa *local = &c->sip->local;
    if (c->ping)
        return EBUSY;
    return sip_requestf(&c->ping, c->sip->sip, true, "OPTIONS", c->uri, NULL, NULL, NULL, on_ping,
                        c,
                        "To: <%s>\r\n"
                        "From: <sip:ping@%J>;tag=%08x\r\n"
                        "Call-ID: %08x%08x\r\n"
                        "CSeq: %u OPTIONS\r\n"
                        "Contact: <sip:ping@%J>\r\n"
                        "Content-Length: 0\r\n"
                        "\r\n",
                        c->uri, local, rand_u32(), rand_u32(), rand_u32(), ++c->sequence, local);
}

bool ivr_contact_unping(struct ivr_contact *c)
{
    bool open = c->ping != NULL;
    c->ping = mem_deref(c->ping);
    return open;
}

static void on_register(int err, const struct sip_msg *msg, void *arg)
{
    struct ivr_contact *c = arg;
    if (!err && msg && msg->scode < 200)
        return;
    c->events->registered(c->arg, err || !msg ? 0 : msg->scode);
}

int ivr_contact_register(struct ivr_contact *c, const char *aor, uint32_t expires_s)
{
    return sipreg_register(&c->reg, c->sip->sip, c->uri, aor, NULL, aor, expires_s,
                           c->account->user, NULL, 0, 0, ivr_auth, (void *)c->account, false,
                           on_register, c, NULL, NULL);
}
