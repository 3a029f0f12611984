/* SPDX-License-Identifier: Apache-2.0 */
/* media.h - the sound of calls: RTP out every 20 ms, digits in (RFC 4733). Loop thread only.
 * Packets leave in buckets of 5 ms: a wave of answers at one instant does not become a burst every
 * 20 ms. Sends silence while nothing plays, because border controllers end calls that fall silent.
 */
#ifndef IVR_MEDIA_H
#define IVR_MEDIA_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVR_FRAME 160u /* samples of 20 ms */

enum ivr_codec { IVR_ULAW, IVR_ALAW };

/* Sound as both codecs want it; n is a multiple of IVR_FRAME. */
struct ivr_sound {
    uint32_t n;
    const uint8_t *ulaw, *alaw;
};

/* Where and how to send: from the peer's session description. */
struct ivr_peer {
    struct sockaddr_in addr;
    enum ivr_codec codec;
    uint8_t pt;
    int16_t event_pt; /* telephone-event, -1 = the peer has none */
    bool sending;     /* false: the peer holds the call (RFC 3264, 8.4) */
};

struct ivr_media_events {
    void (*digit)(void *arg, char key);
    void (*played)(void *arg); /* the sound given to ivr_media_play() ended by itself */
};

struct ivr_media;

/* Ports are even ones of first..last, tried from a moving start. \return 0 or a positive errno. */
int ivr_media_open(struct ivr_media **ret, const struct in_addr *local, uint16_t first,
                   uint16_t last, const struct ivr_media_events *events, void *arg);
struct ivr_media *ivr_media_close(struct ivr_media *m); /* NULL-safe, returns NULL */
uint16_t ivr_media_port(const struct ivr_media *m);
/* Begin to send, or change where to. */
void ivr_media_connect(struct ivr_media *m, const struct ivr_peer *peer);
/* Borrowed until played() or ivr_media_quiet(). */
void ivr_media_play(struct ivr_media *m, const struct ivr_sound *sound);
void ivr_media_silence(struct ivr_media *m, uint32_t ms); /* as play(), but silent */
void ivr_media_quiet(struct ivr_media *m);
int64_t ivr_media_heard_ms(const struct ivr_media *m); /* last packet in, 0 = none */

/* Ends the pacer; when the loop ends. */
void ivr_media_stop(void);

#endif
