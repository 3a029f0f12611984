/* SPDX-License-Identifier: Apache-2.0 */
/* rtp.h - RTP packets (RFC 3550, 5.1) and the digits in them (RFC 4733). Pure. */
#ifndef IVR_RTP_H
#define IVR_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_HEADER 12u

struct rtp_packet {
    uint8_t pt;
    uint16_t seq;
    uint32_t ts, ssrc;
    const uint8_t *payload;
    size_t len;
};

/* \return false when it is no RTP packet of version 2. */
bool rtp_read(const uint8_t *data, size_t len, struct rtp_packet *ret);
void rtp_write_header(uint8_t *out, bool marker, uint8_t pt, uint16_t seq, uint32_t ts,
                      uint32_t ssrc);

/* All packets of one event share a timestamp, and the last is sent three times (RFC 4733, 2.5.1.4):
 * an event is (ssrc, timestamp), never a packet. */
#define RTP_EVENTS_KEPT 4u /* late packets of an event may come behind the next one's first */
struct rtp_digits {
    struct {
        uint32_t ssrc, ts;
    } seen[RTP_EVENTS_KEPT];
    uint32_t n;
};
/* \return the key of a new event, 0 when it was seen or is no key. */
char rtp_digit(struct rtp_digits *d, const struct rtp_packet *p);

#endif
