/* SPDX-License-Identifier: Apache-2.0 */
/* writer.c - the one writer thread: collects items, flushes them, then tells channels (stored) and
 * dispatch (settled). What cannot be flushed stays in hand and is tried again for as long as it
 * takes: results are never dropped because the database is away. */
#include "outcome/flush.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "content/utf8.h"
#include "content/optout_conf.h"
#include "store/store_trouble.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RING_SLOTS (OUTCOME_RING * 3u) /* in-flight slots + receipts and inbound + sent chunks */
#define STOP_TRIES 20                  /* of a stopping writer whose database is up and refuses */
#define QUIET_MS 3                     /* without a new item for so long, flush what is there */
#define FEW 100                        /* results that are worth a flush of their own */
#define MANY 500  /* items that are: each flush costs a lock and a seal per part, and a commit */
#define BITE 250  /* taken from the ring at a time */
#define SPARE 256 /* places of a flush kept for sent chunks */
#define CHUNKS_MS 20
#define IDLE_MS 250

/* ---- items
 * ----------------------------------------------------------------------------------------------------------
 */
struct packer {
    char *at;
};

static const char *pack(struct packer *p, const char *s, size_t len)
{
    char *out = p->at;
    if (len)
        memcpy(out, s, len);
    out[len] = 0;
    p->at += len + 1;
    /* peers' texts are what they are; a byte that PostgreSQL refuses must not cost us the row. Ids
     * are treated alike on both ways. */
    for (size_t i = 0; i < len;) {
        uint32_t c;
        if ((unsigned char)(out[i] - 1) < 0x7f) { /* ASCII, but for NUL: nearly all that comes */
            i++;
            continue;
        }
        size_t n = utf8_next(out + i, len - i, &c);
        if (n == 0 || c == 0)
            out[i] = '?';
        i += n ? n : 1;
    }
    return out;
}

static size_t text_len(const char *s, size_t max)
{
    return s ? strnlen(s, max) : 0;
}

static size_t id_len(const char *const *ids, uint32_t i)
{
    return ids ? text_len(ids[i], CGW_PROVIDER_ID_MAX - 1) : 0;
}

/* A word that a later plugin may know and we do not is no word. */
static uint32_t sub_outcome(uint32_t sub)
{
    return sub <= CGW_SUB_MACHINE ? sub : 0;
}

static int32_t quantity_of(uint32_t quantity)
{
    return quantity < INT32_MAX ? (int32_t)quantity : INT32_MAX;
}

static void put(struct outcome_writer *w, struct item *it)
{
    while (ring_put(&w->ring, &it, 1) ==
           0) /* cannot be: there are more places than in-flight slots; rather wait than lose */
        (void)usleep(1000);
}

void outcome_result(struct outcome_writer *w, const struct outcome_contact *c, const char *instance,
                    const struct cgw_result *r)
{
    uint32_t n_ids = r->n_ids < SEGS_MAX ? r->n_ids : SEGS_MAX;
    size_t space = text_len(r->code_space, 31), raw = text_len(r->raw, CGW_RAW_MAX - 1),
           bytes = space + raw + 2 + n_ids * 2 * sizeof(char *);
    for (uint32_t i = 0; i < n_ids; i++)
        bytes += id_len(r->provider_ids, i) + id_len(r->peer_ids, i) + 2;
    size_t document = r->document ? r->document_len : 0;
    bytes += document + 1;
    struct item *it = calloc(1, sizeof *it + bytes);
    if (!it)
        abort(); /* a result that cannot be kept would be a contact lost: let the supervisor restart
                    us, the takeover flags it in doubt */
    it->kind = ITEM_RESULT;
    (void)snprintf(it->instance, sizeof it->instance, "%s", instance);
    it->contact = *c;
    it->result = r->result;
    it->flags = r->flags;
    it->sub = sub_outcome(r->sub);
    it->quantity = quantity_of(r->quantity);
    it->retry_after_ms = r->retry_after_ms;
    it->code = r->code;
    it->segments = r->segments;
    it->n_ids = n_ids;
    it->arrived_ms = clock_utc_ms();
    it->ids = (const char **)(void *)it->bytes;
    it->peer_ids = it->ids + n_ids;
    struct packer p = {it->bytes + n_ids * 2 * sizeof(char *)};
    it->code_space = pack(&p, r->code_space, space);
    it->raw = pack(&p, r->raw, raw);
    for (uint32_t i = 0; i < n_ids; i++) {
        it->ids[i] = pack(&p, r->provider_ids[i], id_len(r->provider_ids, i));
        it->peer_ids[i] = pack(&p, r->peer_ids ? r->peer_ids[i] : NULL, id_len(r->peer_ids, i));
    }
    it->document_len = (uint32_t)document;
    it->document = document ? pack(&p, r->document, document) : NULL;
    put(w, it);
}

static bool room(struct outcome_writer *w)
{
    if (atomic_load(&w->stop) || atomic_fetch_add(&w->waiting, 1) >= OUTCOME_RING) {
        if (!atomic_load(&w->stop))
            atomic_fetch_sub(&w->waiting, 1);
        return false;
    }
    return true;
}

struct item *receipt_item(const char *instance, const struct cgw_receipt *r)
{
    size_t ref = text_len(r->provider_id, CGW_PROVIDER_ID_MAX - 1),
           space = text_len(r->code_space, 31), raw = text_len(r->raw, CGW_RAW_MAX - 1);
    /* digits of no known country name nobody: no comparison, rather than a wrong one */
    bool named = r->person.kind == CGW_ADDR_E164 || r->person.kind == CGW_ADDR_EMAIL;
    size_t person = named && r->person.len < 256 ? r->person.len : 0,
           bytes = ref + space + raw + person + 5;
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        bytes += id_len(r->also, i) + 1;
    struct item *it = calloc(1, sizeof *it + bytes);
    if (!it)
        return NULL;
    struct packer p = {it->bytes};
    it->kind = ITEM_RECEIPT;
    (void)snprintf(it->instance, sizeof it->instance, "%s", instance);
    it->result = r->result;
    it->flags = r->flags;
    it->sub = sub_outcome(r->sub);
    it->quantity = quantity_of(r->quantity);
    it->code = r->code;
    it->reference = (int32_t)(r->reference & 0xffff);
    it->ack = r->ack;
    it->arrived_ms = r->arrived_utc_ms ? r->arrived_utc_ms : clock_utc_ms();
    it->ref = pack(&p, r->provider_id, ref);
    it->code_space = pack(&p, r->code_space, space);
    it->raw = pack(&p, r->raw, raw);
    it->person = pack(&p, r->person.text, person);
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        it->also[i] = pack(&p, r->also[i], id_len(r->also, i));
    return it;
}

uint32_t outcome_receipts(struct outcome_writer *w, const char *instance,
                          const struct cgw_receipt *items, uint32_t n)
{
    uint32_t taken = 0;
    for (; taken < n && room(w); taken++) {
        struct item *it = receipt_item(instance, &items[taken]);
        if (!it) {
            atomic_fetch_sub(&w->waiting, 1);
            break; /* the peer repeats it */
        }
        put(w, it);
    }
    return taken;
}

/* What the person wrote: a text that is no layout, else the subject. */
static const struct cgw_part *text_part(const struct cgw_inbound *in)
{
    const struct cgw_part *subject = NULL;
    for (uint32_t i = 0; i < in->n_parts; i++) {
        const struct cgw_part *p = &in->parts[i];
        if (p->role == CGW_ROLE_TEXT && p->body &&
            !(p->mime && !strncmp(p->mime, "application/smil", 16)))
            return p;
        if (p->role == CGW_ROLE_SUBJECT && p->body && !subject)
            subject = p;
    }
    return subject;
}

static struct item *inbound_item(const char *instance, uint32_t channel,
                                 const struct cgw_inbound *in)
{
    const struct cgw_part *part = text_part(in);
    size_t body = part ? part->len : 0, from = in->from.len < 256 ? in->from.len : 0,
           to = in->to.len < 256 ? in->to.len : 0,
           peer = text_len(in->peer_id, CGW_PROVIDER_ID_MAX - 1),
           answers = text_len(in->provider_id, CGW_PROVIDER_ID_MAX - 1);
    body = body < CGW_BODY_MAX ? body : CGW_BODY_MAX;
    struct item *it = calloc(1, sizeof *it + body + from + to + peer + answers + 5);
    if (!it)
        return NULL;
    struct packer p = {it->bytes};
    it->kind = ITEM_INBOUND;
    (void)snprintf(it->instance, sizeof it->instance, "%s", instance);
    it->channel = channel;
    it->in_kind = in->kind;
    it->sub = sub_outcome(in->sub);
    it->ack = in->ack;
    it->arrived_ms = in->arrived_utc_ms ? in->arrived_utc_ms : clock_utc_ms();
    it->person = pack(&p, in->from.text, from);
    it->own = pack(&p, in->to.text, to);
    it->peer_id = pack(&p, in->peer_id, peer);
    it->answers = pack(&p, in->provider_id, answers);
    it->body = pack(&p, part ? part->body : NULL, body);
    it->body_len = (uint32_t)body;
    return it;
}

uint32_t outcome_inbound(struct outcome_writer *w, const char *instance, uint32_t channel,
                         const struct cgw_inbound *items, uint32_t n)
{
    uint32_t taken = 0;
    for (; taken < n && room(w); taken++) {
        struct inbound_media *media;
        if (inbound_media_take(w, &items[taken], &media) < 0) {
            atomic_fetch_sub(&w->waiting, 1);
            break; /* the peer repeats it */
        }
        struct item *it = inbound_item(instance, channel, &items[taken]);
        if (!it) {
            inbound_media_free(w, media);
            atomic_fetch_sub(&w->waiting, 1);
            break;
        }
        it->media = media;
        put(w, it);
    }
    return taken;
}

void outcome_chunk_sent(struct outcome_writer *w, int32_t part, int32_t wave_id, int32_t chunk_no,
                        void *run, bool (*finished)(void *run), void (*done)(void *run))
{
    struct item *it = calloc(1, sizeof *it);
    if (!it)
        abort();
    it->kind = ITEM_CHUNK;
    it->part = part;
    it->wave_id = wave_id;
    it->chunk_no = chunk_no;
    it->run = run;
    it->finished = finished;
    it->done = done;
    put(w, it);
}

/* ---- flushing
 * -------------------------------------------------------------------------------------------------------------
 */
int outcome_connected(struct outcome_writer *w, struct diag *diag)
{
    if (!w->db)
        return db_open(w->cfg.conninfo, "outcome", &w->db, diag);
    return db_is_up(w->db) ? 0 : db_reopen(w->db, diag);
}

/* 0 durable; else why not. A lost answer to COMMIT is looked up, never guessed. */
static int try_flush(struct outcome_writer *w, struct item **items, int n, bool *ret_wake,
                     struct diag *diag)
{
    struct flush_proof proof = {0};
    int rc = outcome_connected(w, diag);
    if (rc == 0)
        rc = flush_run(w, w->db, items, n, &proof, ret_wake, diag);
    while (rc == -ENOTCONN && proof.xid) {
        bool committed = false;
        /* a FATAL answer came over a connection that libpq may still call good: take a new one */
        if (db_reopen(w->db, diag) == 0 && store_xact_over(w->db, proof.xid, diag) == 0 &&
            (!proof.sealed || store_seal_stands(w->db, proof.part, proof.seal_no, proof.digest,
                                                &committed, diag) == 0)) {
            rc = committed ? 0 : CGW_EBUSY;
            break;
        }
        (void)usleep(200000);
        if (atomic_load(&w->stop)) /* halting without a database: what is not stored is in doubt at
                                      the next start */
            return rc;
    }
    return rc;
}

static bool from_peer(const struct item *it)
{
    return (it->kind == ITEM_RECEIPT || it->kind == ITEM_INBOUND) && !it->early_id;
}

/* One call for what came in a row over the same instance: each call wakes its loop. */
static void tell_stored(struct outcome_writer *w, struct item **items, int n)
{
    uint64_t acks[128];
    uint32_t m = 0;
    const char *instance = "";
    for (int i = 0; i < n; i++) {
        const struct item *it = items[i];
        if (!from_peer(it) || !it->ack)
            continue;
        if (m && (m == ARRAY_LEN(acks) || strcmp(instance, it->instance) != 0)) {
            w->cfg.stored(w->cfg.ctx, instance, acks, m);
            m = 0;
        }
        instance = it->instance;
        acks[m++] = it->ack;
    }
    if (m)
        w->cfg.stored(w->cfg.ctx, instance, acks, m);
}

/* durable: false when the writer stops without the database; then no peer is told that its words
 * are kept. */
static void tell(struct outcome_writer *w, struct item **items, int n, bool wake, bool durable)
{
    struct outcome_contact *settled = malloc((size_t)n * sizeof *settled);
    uint32_t m = 0;
    if (durable && w->cfg.stored)
        tell_stored(w, items, n);
    for (int i = 0; i < n; i++) {
        struct item *it = items[i];
        tasks_included(w, it);
        if (from_peer(it)) {
            atomic_fetch_sub(&w->waiting, 1);
        } else if (it->kind == ITEM_CHUNK) {
            it->done(it->run);
            wake = true;
        } else if (it->kind == ITEM_RESULT && settled) {
            settled[m++] = it->contact;
        } else if (it->kind == ITEM_RESULT) {
            w->cfg.settled(w->cfg.ctx, &it->contact, 1);
        }
        inbound_media_free(w, it->media);
        free(it);
    }
    if (m)
        w->cfg.settled(w->cfg.ctx, settled, m);
    free(settled);
    if (wake && w->cfg.wake)
        w->cfg.wake(w->cfg.ctx);
}

/* Would this batch be refused for ever? Only what PostgreSQL says of the data (SQLSTATE classes 22
 * and 23), or what we cannot hold. All else - a full disk, a standby, missing rights - ends some
 * day, and until then nothing may be called stored. */
static bool poison(const struct outcome_writer *w, int rc)
{
    const char *state = rc == CGW_EDB ? db_sqlstate(w->db) : "";
    return rc == CGW_ELIMIT || rc == CGW_EINVAL || !strncmp(state, "22", 2) ||
           !strncmp(state, "23", 2);
}

/* Flush for as long as it takes. A batch that the database refuses is halved until the one bad item
 * stands alone; that one is logged and let go: its contact stays in doubt, all others are stored.
 */
static void flush_all(struct outcome_writer *w, struct item **items, int n)
{
    static _Thread_local unsigned complaints;
    for (int tries_at_stop = 0;;) {
        struct diag d = {0};
        bool wake = false;
        int rc = try_flush(w, items, n, &wake, &d);
        bool told = store_trouble_note(STORE_WRITER_OUTCOME, rc, &d);
        if (rc == 0) {
            complaints = 0;
            METRIC_ADD("campgw_outcome_flushed_total", n, "ok");
            tell(w, items, n, wake, true);
            return;
        }
        char text[CGW_DIAG_MAX];
        if (!told && complaints++ % 50 == 0)
            log_warning("outcome.flush.failed", "items=%d code=%s where=%s msg=\"%s\"", n,
                        diag_code_name(rc), d.where, log_quote(d.text, text, sizeof text));
        if (poison(w, rc) && n > 1) {
            flush_all(w, items, n / 2); /* depth is log2 of a flush */
            flush_all(w, items + n / 2, n - n / 2);
            return;
        }
        if (poison(w, rc) && n == 1) {
            log_error("outcome.item.refused", "kind=%d instance=%s contact=%lld code=%s msg=\"%s\"",
                      (int)items[0]->kind, items[0]->instance,
                      (long long)items[0]->contact.contact_id, diag_code_name(rc), d.text);
            METRIC_ADD("campgw_outcome_flushed_total", 1, "refused");
            tell(w, items, 1, false, true);
            return;
        }
        if (atomic_load(&w->stop) && (rc == -ENOTCONN || ++tries_at_stop > STOP_TRIES)) {
            log_error("outcome.stop.unflushed",
                      "items=%d msg=\"database away; these contacts will be in doubt\"", n);
            tell(w, items, n, false, false);
            return;
        }
        (void)usleep(rc == CGW_EBUSY ? 1000 : 250000);
    }
}

/* Sent chunks whose last result is stored go into the next flush. */
static int ready_chunks(struct outcome_writer *w, struct item **batch, int n, int max)
{
    for (int i = 0; i < w->n_chunks && n < max;) {
        if (w->chunks[i]->finished(w->chunks[i]->run)) {
            batch[n++] = w->chunks[i];
            w->chunks[i] = w->chunks[--w->n_chunks];
        } else {
            i++;
        }
    }
    return n;
}

/* Chunks wait aside until their results are in. Adds to what is the batch already; counts results.
 */
static int sort_out(struct outcome_writer *w, struct item **batch, int n, size_t more,
                    int *io_results)
{
    for (size_t i = 0, from = (size_t)n; i < more; i++) {
        struct item *it = batch[from + i];
        if (it->kind == ITEM_CHUNK && w->n_chunks < (int)ARRAY_LEN(w->chunks)) {
            w->chunks[w->n_chunks++] = it;
            continue;
        }
        *io_results += it->kind == ITEM_RESULT;
        batch[n++] = it;
    }
    return n;
}

/* Few items wait a little for company; many are taken as long as there are more. Receipts wait
 * longer than results: after a crash a peer repeats them, while a result would be in doubt. */
static int collect(struct outcome_writer *w, struct item **batch, int max)
{
    int n = 0, results = 0;
    /* sent chunks are looked at again and again until their last result is in */
    int idle_ms = atomic_load(&w->poked) || w->n_again ? 0 : w->n_chunks ? CHUNKS_MS : IDLE_MS;
    size_t more = ring_take(&w->ring, batch, 1, BITE, idle_ms);
    int64_t until = clock_mono_ms() + OUTCOME_FLUSH_MS;
    while (more) { /* ends when nobody else is coming: peers wait for these rows before they send
                      more */
        n = sort_out(w, batch, n, more, &results);
        if (n + BITE > max || results + BITE > (int)OUTCOME_FLUSH_ROWS)
            break;
        bool few = results < FEW && n < MANY && !atomic_load(&w->stop);
        int64_t left = few ? until - clock_mono_ms() : 0;
        int wait_ms = left > QUIET_MS ? QUIET_MS : left > 0 ? (int)left : 0;
        more = ring_take(&w->ring, batch + n, wait_ms ? FEW : 1, BITE, wait_ms);
    }
    return n;
}

static void *writer_main(void *arg)
{
    struct outcome_writer *w = arg;
    struct item **batch = w->batch;
    const int max = OUTCOME_FLUSH_ITEMS;
    for (;;) {
        bool stopping = atomic_load(&w->stop);
        int n = ready_chunks(w, batch, collect(w, batch, max - SPARE), max);
        if (outcome_connected(w, &(struct diag){0}) == 0)
            n = tasks_sweep(w, batch, n, max);
        n = early_bring(w, batch, n);
        if (n)
            flush_all(w, batch, n);
        else if (stopping && ring_len(&w->ring) == 0)
            break;
        tasks_tally(w);
    }
    for (int i = 0; i < w->n_chunks; i++) { /* not finished: resumed at the next start */
        w->chunks[i]->done(w->chunks[i]->run);
        free(w->chunks[i]);
    }
    db_close(w->db);
    return NULL;
}

int outcome_start(const struct outcome_config *cfg, struct outcome_writer **ret, struct diag *diag)
{
    static const struct metric_family families[] = {
        {"campgw_receipts_total", METRIC_COUNTER, "Receipts by what became of them.", "result"},
        {"campgw_recalls_asked_total", METRIC_COUNTER,
         "Messages of cancelled campaigns that channels were asked to take back.", ""},
        {"campgw_receipts_asked_total", METRIC_COUNTER,
         "Messages asked about because their receipt is overdue.", "result"},
        {"campgw_responses_total", METRIC_COUNTER, "Inbound messages by meaning.", "meaning"},
        {"campgw_optouts_total", METRIC_COUNTER, "New opt-outs.", "scope"},
        {"campgw_suppressed_total", METRIC_COUNTER,
         "People not contacted on a channel any more, by what made it so.", "reason"},
        {"campgw_soft_bounces_total", METRIC_COUNTER, "Messages that came back for now.",
         "channel"},
        {"campgw_outcome_flushed_total", METRIC_COUNTER,
         "Items made durable, or refused by the database.", "result"},
        {NULL, METRIC_COUNTER, NULL, NULL}};
    metrics_register(families);
    figures_register();
    struct outcome_writer *w = calloc(1, sizeof *w);
    if (!w)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    w->cfg = *cfg;
    if (!w->cfg.sweep_ms)
        w->cfg.sweep_ms = OUTCOME_SWEEP_MS;
    w->swept_mono_ms = clock_mono_ms();
    (void)snprintf(w->owner, sizeof w->owner, "%.48s/w", cfg->node);
    int rc = cfg->optout_conf ? optout_conf_load(cfg->optout_conf, &w->words, diag) : 0;
    if (rc == 0)
        rc = ring_init(&w->ring, sizeof(struct item *), RING_SLOTS);
    if (rc == 0)
        rc = refmap_init(&w->refs);
    if (rc == 0)
        rc = outcome_connected(w, diag);
    if (rc == 0)
        rc = store_early_count(w->db, &w->early_known, diag);
    if (rc == 0)
        rc = store_doubt_count(w->db, &w->doubts_known, diag);
    if (rc == 0) {
        int err = pthread_create(&w->thread, NULL, writer_main, w);
        if (err)
            rc = diag_set(diag, -err, "", "cannot start the outcome thread");
    }
    if (rc < 0) {
        db_close(w->db);
        ring_done(&w->ring);
        refmap_done(&w->refs);
        optout_sets_done(&w->words);
        free(w);
        return rc;
    }
    *ret = w;
    return 0;
}

void outcome_poke(struct outcome_writer *w)
{
    atomic_store(&w->poked, true);
}

void outcome_stop(struct outcome_writer *w)
{
    if (!w)
        return;
    atomic_store(&w->stop, true);
    (void)pthread_join(w->thread, NULL);
    ring_done(&w->ring);
    refmap_done(&w->refs);
    optout_sets_done(&w->words);
    free(w);
}
