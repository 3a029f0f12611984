/* SPDX-License-Identifier: Apache-2.0 */
/* sip.h - calls, pings and registrations over SIP (RFC 3261), in words of our own: no libre type
 * leaves sip.c and sip_leg.c, because its interface changes from release to release. Loop thread
 * only. Knows neither flows nor outcomes. */
#ifndef IVR_SIP_H
#define IVR_SIP_H

#include "media.h"

#define IVR_CALL_ID_MAX 128u

struct ivr_sip;     /* user agent of one instance: transport, dialogs */
struct ivr_leg;     /* one INVITE and what becomes of it */
struct ivr_contact; /* OPTIONS and REGISTER towards one trunk */

struct ivr_sip_conf {
    struct in_addr local;
    uint16_t port; /* 0 = any */
    enum ivr_codec codecs[2];
    uint32_t n_codecs;
};
/* \return 0 or a positive errno */
int ivr_sip_open(struct ivr_sip **ret, const struct ivr_sip_conf *conf);
struct ivr_sip *ivr_sip_close(struct ivr_sip *s); /* all legs are gone before; returns NULL */

/* Digest credentials; borrowed as long as what uses them. user NULL: none. */
struct ivr_account {
    const char *user, *password;
};

/* ---- calls ---- */

struct ivr_end {
    int code;  /* SIP status that ended it, 0 = none; a peer's BYE: 200 */
    int error; /* errno: ETIMEDOUT no answer to a request, EPROTO no usable session description */
    bool bye;  /* the peer hung up */
    int64_t retry_after_ms; /* Retry-After, 0 = none */
    char reason[96];        /* reason phrase */
};

struct ivr_leg_events {
    void (*progress)(void *arg, int code);
    void (*answered)(void *arg, int code, const struct ivr_peer *peer);
    void (*changed)(void *arg, const struct ivr_peer *peer); /* a re-INVITE */
    void (*digit)(void *arg, char key);                      /* SIP INFO */
    /* The REFER's target answered with code, or the REFER was refused with it. 0: nobody knows. */
    void (*transferred)(void *arg, int code);
    void (*ended)(void *arg, const struct ivr_end *end); /* then only ivr_leg_free() may follow */
};

struct ivr_dial {
    const char *to, *from; /* URIs */
    const char *user;      /* of our Contact */
    const char *identity;  /* URI for P-Asserted-Identity, NULL = none */
    const struct ivr_account *account;
    uint16_t media_port;
};

/* \return 0 or a positive errno: then nothing was written. */
int ivr_leg_dial(struct ivr_leg **ret, struct ivr_sip *s, const struct ivr_dial *d,
                 const struct ivr_leg_events *events, void *arg);
const char *ivr_leg_call_id(const struct ivr_leg *leg);
/* \return 0 or a positive errno: then nothing was written. */
int ivr_leg_transfer(struct ivr_leg *leg, const char *target_uri);
/* CANCEL or BYE as it fits; no event follows. NULL-safe, returns NULL. */
struct ivr_leg *ivr_leg_free(struct ivr_leg *leg);

/* ---- trunks ---- */

struct ivr_contact_events {
    void (*ping)(void *arg, int code);       /* status of OPTIONS; 0 = no answer */
    void (*registered)(void *arg, int code); /* status of REGISTER; 0 = no answer */
};
int ivr_contact_new(struct ivr_contact **ret, struct ivr_sip *s, const char *uri,
                    const struct ivr_account *account, const struct ivr_contact_events *events,
                    void *arg);
struct ivr_contact *ivr_contact_free(struct ivr_contact *c);
int ivr_contact_ping(struct ivr_contact *c);    /* one at a time; EBUSY */
bool ivr_contact_unping(struct ivr_contact *c); /* wait no longer; false: none was open */
/* Register and keep registered. aor: our address of record. */
int ivr_contact_register(struct ivr_contact *c, const char *aor, uint32_t expires_s);

#endif
