/* SPDX-License-Identifier: Apache-2.0 */
/* rtp.c - see rtp.h. */
#include "rtp.h"
#include "flow.h"

bool rtp_read(const uint8_t *d, size_t len, struct rtp_packet *ret)
{
    if (len < RTP_HEADER || d[0] >> 6 != 2)
        return false;
    size_t head = RTP_HEADER + 4u * (d[0] & 15u); /* CSRC list */
    if (d[0] & 0x10) {                            /* header extension, 5.3.1 */
        if (len < head + 4)
            return false;
        head += 4 + 4u * ((size_t)d[head + 2] << 8 | d[head + 3]);
    }
    if (len < head)
        return false;
    size_t pad = d[0] & 0x20 ? d[len - 1] : 0;
    if (pad > len - head)
        return false;
    *ret = (struct rtp_packet){
        .pt = d[1] & 0x7f,
        .seq = (uint16_t)(d[2] << 8 | d[3]),
        .ts = (uint32_t)d[4] << 24 | (uint32_t)d[5] << 16 | (uint32_t)d[6] << 8 | d[7],
        .ssrc = (uint32_t)d[8] << 24 | (uint32_t)d[9] << 16 | (uint32_t)d[10] << 8 | d[11],
        .payload = d + head,
        .len = len - head - pad};
    return true;
}

static void put32(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

void rtp_write_header(uint8_t *out, bool marker, uint8_t pt, uint16_t seq, uint32_t ts,
                      uint32_t ssrc)
{
    out[0] = 0x80;
    out[1] = (uint8_t)((marker ? 0x80 : 0) | pt);
    out[2] = (uint8_t)(seq >> 8);
    out[3] = (uint8_t)seq;
    put32(out + 4, ts);
    put32(out + 8, ssrc);
}

char rtp_digit(struct rtp_digits *d, const struct rtp_packet *p)
{
    uint32_t kept = d->n < RTP_EVENTS_KEPT ? d->n : RTP_EVENTS_KEPT;
    if (p->len < 4 || p->payload[0] >= IVR_KEYS) /* event, flags, duration: RFC 4733, 2.3 */
        return 0;
    for (uint32_t i = 0; i < kept; i++)
        if (d->seen[i].ssrc == p->ssrc && d->seen[i].ts == p->ts)
            return 0;
    d->seen[d->n % RTP_EVENTS_KEPT].ssrc = p->ssrc;
    d->seen[d->n % RTP_EVENTS_KEPT].ts = p->ts;
    d->n++;
    return ivr_key_char(p->payload[0]);
}
