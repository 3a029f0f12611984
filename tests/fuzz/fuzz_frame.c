/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame.c - the frames between gateway and the process of an isolated plugin, as each side
 * reads them: either may be hostile. Input: first octet = from the plugin (odd) or from the
 * gateway, second = how many octets come first, the rest = the stream. Promises: nothing is read
 * outside the input, every text ends within its bound, every count within its own, and a stream cut
 * in two reads as the whole. Source document: core/plugin/frame.h. */
#include "fuzz_ingest.h"
#include "plugin/frame_items.h"
#include "plugin/frame_plugin.h"

#include <string.h>

static uint64_t sum; /* of all that was read, so that reading is not left out */

static void text(const char *s, size_t max)
{
    if (!s)
        return;
    size_t n = strlen(s);
    CHECK(n <= max);
    sum += n ? (unsigned char)s[n - 1] : 0;
}

static void bytes(const char *s, uint32_t len, uint32_t max)
{
    CHECK(len <= max && (s || !len));
    for (uint32_t i = 0; i < len; i++)
        sum += (unsigned char)s[i];
}

static void parts(const struct cgw_part *p, uint32_t n)
{
    CHECK(n <= CGW_PARTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        text(p[i].mime, ITEM_TEXT_MAX);
        text(p[i].name, ITEM_TEXT_MAX);
        bytes(p[i].body, p[i].len, CGW_BODY_MAX);
    }
}

static void messages(struct frame *f)
{
    static struct cgw_message m;
    static struct cgw_part room[ITEM_PARTS];
    uint32_t n = frame_get_count(f, FRAME_MESSAGES_MAX), used = 0;
    for (uint32_t i = 0; i < n && !f->bad; i++) {
        uint32_t k = item_get_message(f, &m, room + used, ITEM_PARTS - used);
        if (f->bad)
            return;
        bytes(m.to.text, m.to.len, ITEM_TEXT_MAX);
        bytes(m.from.text, m.from.len, ITEM_TEXT_MAX);
        text(m.service_code, ITEM_TEXT_MAX);
        parts(room + used, k);
        used += k;
        CHECK(used <= ITEM_PARTS);
    }
}

static void results(struct frame *f)
{
    struct cgw_result r;
    const char *ids[ITEM_IDS];
    uint32_t n = frame_get_count(f, FRAME_RESULTS_MAX);
    for (uint32_t i = 0; i < n && !f->bad; i++) {
        CHECK(item_get_result(f, &r, ids) <= ITEM_IDS);
        if (f->bad)
            return;
        text(r.raw, CGW_RAW_MAX);
        text(r.code_space, CGW_RAW_MAX);
        bytes(r.document, r.document_len, CGW_DOCUMENT_MAX);
        for (uint32_t k = 0; k < r.n_ids; k++) {
            CHECK(r.provider_ids[k]);
            text(r.provider_ids[k], CGW_PROVIDER_ID_MAX - 1);
            text(r.peer_ids ? r.peer_ids[k] : NULL, CGW_PROVIDER_ID_MAX - 1);
        }
    }
}

static void receipts(struct frame *f)
{
    struct cgw_receipt r;
    uint32_t n = frame_get_count(f, FRAME_RESULTS_MAX);
    for (uint32_t i = 0; i < n && !f->bad; i++) {
        item_get_receipt(f, &r);
        if (f->bad)
            return;
        text(r.provider_id, CGW_PROVIDER_ID_MAX - 1);
        text(r.raw, CGW_RAW_MAX);
        bytes(r.person.text, r.person.len, ITEM_TEXT_MAX);
    }
}

static void inbound(struct frame *f)
{
    struct cgw_inbound m;
    struct cgw_part room[CGW_PARTS_MAX];
    item_get_inbound(f, &m, room);
    if (f->bad)
        return;
    bytes(m.from.text, m.from.len, ITEM_TEXT_MAX);
    text(m.peer_id, ITEM_TEXT_MAX);
    text(m.provider_id, CGW_PROVIDER_ID_MAX - 1);
    parts(m.parts, m.n_parts);
}

static void request(struct frame *f)
{
    struct cgw_http_request r;
    const char *headers[ITEM_HEADERS_MAX + 1];
    item_get_request(f, &r, headers);
    if (f->bad)
        return;
    text(r.method, ITEM_TEXT_MAX);
    text(r.path, ITEM_TEXT_MAX);
    bytes(r.body, r.body_len, CGW_BODY_MAX * 4);
    for (uint32_t i = 0; headers[i]; i++)
        text(headers[i], CGW_BODY_MAX);
}

static void checks(struct frame *f)
{
    struct cgw_check c;
    uint32_t n = frame_get_count(f, FRAME_MESSAGES_MAX);
    for (uint32_t i = 0; i < n && !f->bad; i++) {
        item_get_check(f, &c);
        text(c.encoding, ITEM_ENCODING_MAX);
        text(c.text, sizeof c.text - 1);
    }
}

static void described(struct frame *f)
{
    struct described *d = NULL;
    (void)frame_get_u32(f);
    if (f->bad || plugin_get(f, &d))
        return;
    CHECK(d->n_options <= PLUGIN_OPTIONS_MAX && d->n_counters <= PLUGIN_COUNTERS_MAX &&
          d->n_routes <= PLUGIN_ROUTES_MAX);
    CHECK(!d->options[d->n_options].key && !d->counters[d->n_counters].name &&
          !d->routes[d->n_routes].path);
    text(d->name, 4096);
    for (uint32_t i = 0; i < d->n_options; i++) {
        text(d->options[i].key, 4096);
        text(d->options[i].help, 4096);
    }
    struct diag why = {0};
    (void)!conf_schema_check(d->options, d->n_options, &why);
    (void)described_free(d);
}

static void health(struct frame *f)
{
    struct cgw_health h;
    item_get_health(f, &h);
    text(h.text, sizeof h.text - 1);
}

static void tally(struct frame *f)
{
    struct cgw_tally t;
    item_get_tally(f, &t);
    CHECK(f->bad || t.size == sizeof t);
}

static void asks(struct frame *f)
{
    struct cgw_ask a;
    uint32_t n = frame_get_count(f, FRAME_MESSAGES_MAX);
    for (uint32_t i = 0; i < n && !f->bad; i++) {
        item_get_ask(f, &a);
        text(a.peer_id, CGW_PROVIDER_ID_MAX - 1);
    }
}

static void read_frame(struct frame f)
{
    static void (*const reads[FRAME_TYPES])(struct frame *) = {
        [FRAME_SUBMIT] = messages,  [FRAME_CHECK] = messages,      [FRAME_COMPLETE] = results,
        [FRAME_RECEIPT] = receipts, [FRAME_INBOUND] = inbound,     [FRAME_HTTP] = request,
        [FRAME_CHECKED] = checks,   [FRAME_DESCRIBED] = described, [FRAME_PONG] = health,
        [FRAME_QUERY] = asks,       [FRAME_RECALL] = asks,         [FRAME_TALLY] = tally,
    };
    const char *end = f.end;
    CHECK(f.at <= end);
    if (reads[f.type])
        reads[f.type](&f);
    CHECK(f.at <= end && f.end == end);
    CHECK(!(f.bad && frame_done(&f)));
}

struct story {
    uint32_t frames;
    uint64_t sum;
    int rc;
};

static int read_all(struct frame_reader *r, bool from_plugin, struct story *s)
{
    struct frame f;
    while (!s->rc && (s->rc = frame_next(r, from_plugin, &f)) > 0) {
        s->rc = 0;
        s->frames++;
        read_frame(f);
    }
    return s->rc;
}

static struct story tell(bool from_plugin, const uint8_t *data, size_t size, size_t first)
{
    struct frame_reader r = {0};
    struct story s = {0};
    sum = 0;
    CHECK(frame_feed(&r, data, first));
    (void)read_all(&r, from_plugin, &s);
    if (!s.rc) {
        CHECK(frame_feed(&r, data + first, size - first));
        (void)read_all(&r, from_plugin, &s);
    }
    CHECK(r.at <= r.len && r.len <= r.cap);
    frame_reader_done(&r);
    s.sum = sum;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    bool from_plugin = data[0] & 1;
    size_t first = data[1] < size - 2 ? data[1] : size - 2;
    struct story whole = tell(from_plugin, data + 2, size - 2, size - 2);
    struct story cut = tell(from_plugin, data + 2, size - 2, first);
    CHECK(whole.frames == cut.frames && whole.rc == cut.rc && whole.sum == cut.sum);
    return 0;
}
