/* SPDX-License-Identifier: Apache-2.0 */
/* receipts.c - receipts find their message and move it forward, only forward, once.
 * A message is known by (instance, provider id), and because peers use ids again, by the person
 * whom the receipt names and by time. A receipt that comes before its accept is stored, or fits
 * nobody, waits in receipt_early; one for a message in doubt settles it when exactly one candidate
 * fits the person, the time and our own reference where the peer echoes it. */
#include "outcome/outcome_int.h"

#include "address/address.h"
#include "base/metrics.h"

#include <string.h>

#define SETTLE_AFTER_MS 3000
#define DOUBTS_MAX 16 /* candidates looked at: who has more in doubt cannot be told apart */
/* How long after its accept a receipt may still mean it. One that names the person: as long as we
 * keep it waiting for an accept. One that names nobody: the longest validity, and grace. */
#define NAMED_WITHIN_MS INT64_C(604800000)
#define NAMELESS_WITHIN_MS INT64_C(172800000)
/* A receipt may come before the answer to its submit, but not longer before it than an answer
 * takes. One that names the person may: our clock may have been set forward by an hour in between.
 */
#define BEFORE_ANSWER_MS INT64_C(600000)
#define NAMED_BEFORE_ANSWER_MS INT64_C(10800000)

#define ACCEPTS_PER_ID 4 /* peers use ids again: so many are looked at, on the average */

static void count_receipt(const char *what)
{
    METRIC_INC("campgw_receipts_total", what);
}

struct resolved *flush_resolved(struct flush *f, const struct ref_match *m, const struct item *it)
{
    struct resolved *x = &f->resolved[f->n_resolved++];
    *x = (struct resolved){.m = *m,
                           .result = (int16_t)it->result,
                           .flags = it->flags,
                           .code = it->code,
                           .sub = (int16_t)it->sub,
                           .quantity = it->quantity,
                           .arrived_ms = it->arrived_ms,
                           .code_space = it->code_space,
                           .raw = it->raw};
    f->parts |= UINT64_C(1) << m->part;
    if (it->early_id)
        f->early_del[f->n_early_del++] = it->early_id;
    return x;
}

static int by_refh(const void *a, const void *b)
{
    const struct ref_match *x = a, *y = b;
    if (x->refh != y->refh)
        return x->refh < y->refh ? -1 : 1;
    return x->ts_ms > y->ts_ms ? -1 : x->ts_ms < y->ts_ms; /* the newest first */
}

/* What a receipt says of whom and when; key 0 = names nobody. */
struct claim {
    int64_t key, arrived_ms;
};

static bool fits(const struct flush *f, const struct ref_match *m, struct claim c)
{
    bool named = c.key && m->address_key;
    int64_t age_ms = c.arrived_ms - m->ts_ms,
            least_ms = named ? -NAMED_BEFORE_ANSWER_MS : -BEFORE_ANSWER_MS,
            most_ms = named ? NAMED_WITHIN_MS : NAMELESS_WITHIN_MS + f->w->cfg.receipt_grace_ms;
    return (!named || c.key == m->address_key) && age_ms >= least_ms && age_ms <= most_ms;
}

/* The newest accept of this id that fits. ret_other: there is one, and none fits. */
static const struct ref_match *lookup(const struct flush *f, const struct ref_match *known, int n,
                                      int64_t refh, const char *ref, struct claim c,
                                      bool *ret_other)
{
    int lo = 0, hi = n;
    *ret_other = false;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (known[mid].refh < refh)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n && known[lo].refh == refh; lo++) {
        if (strcmp(known[lo].ref, ref) != 0)
            continue;
        if (fits(f, &known[lo], c))
            return &known[lo];
        *ret_other = true;
    }
    return NULL;
}

/* Accepts of this very flush count as known. */
static int add_own(struct flush *f, struct ref_match *known, int n, int max)
{
    for (int i = 0; i < f->n_submits && n < max; i++) {
        const struct submit_row *s = &f->submits[i];
        if (!s->refh)
            continue;
        known[n] = (struct ref_match){.refh = s->refh,
                                      .address_key = s->address_key,
                                      .ts_ms = s->ts_ms,
                                      .receipt = s->receipt,
                                      .part = s->part,
                                      .route_id = s->route_id,
                                      .contact_id = s->contact_id,
                                      .attempt = s->attempt,
                                      .seg = s->seg,
                                      .n_segs = s->n_segs};
        (void)strncpy(known[n].ref, s->ref, sizeof known[n].ref - 1);
        n++;
    }
    qsort(known, (size_t)n, sizeof *known, by_refh);
    return n;
}

static int64_t person_key(const struct flush *f, const struct item *it)
{
    const char *person = it->person;
    if (it->person_key)
        return it->person_key;
    struct address a;
    char plus[260] = "+"; /* SMSCs often leave out the "+" of an international number */
    if (!person[0])
        return 0;
    (void)strncat(plus, person + (person[0] == '+'), sizeof plus - 2);
    if (address_normalise(strchr(person, '@') ? person : plus,
                          strlen(strchr(person, '@') ? person : plus), 0, NULL, &a, NULL) < 0)
        return 0;
    return customer_key(f->w->cfg.identity_key, a.text, strlen(a.text));
}

/* Where the peer echoes our reference, it rules out all others. */
static int echoed(const struct item *it, struct doubt_row *d, int n)
{
    int keep = 0;
    if (!it->reference)
        return n;
    for (int i = 0; i < n; i++)
        if (outcome_reference(d[i].contact_id, d[i].attempt) == it->reference)
            d[keep++] = d[i];
    return keep;
}

/* In doubt over this very instance, and only one can be meant. */
static int settle_doubt(struct flush *f, const struct item *it, int64_t refh, int64_t key,
                        bool *ret_found)
{
    struct doubt_row d[DOUBTS_MAX];
    int n = 0;
    *ret_found = false;
    /* First it waits a moment: the accept that it belongs to may be on its way, and the person in
     * doubt with another message. */
    if (!it->early_id || f->now_ms - it->arrived_ms < SETTLE_AFTER_MS)
        return 0;
    if (!key || !f->w->doubts_known)
        return 0;
    int rc = store_doubt_find(f->db, key, it->instance, it->arrived_ms, d, DOUBTS_MAX, &n, f->diag);
    if (rc < 0 || n == DOUBTS_MAX || echoed(it, d, n) != 1)
        return rc;
    for (int i = 0; i < f->n_resolved;
         i++) /* two receipts of one flush must not settle the same contact twice */
        if (f->resolved[i].settles && f->resolved[i].m.contact_id == d[0].contact_id)
            return 0;
    struct ref_match m = {.refh = refh,
                          .part = d[0].part,
                          .route_id = d[0].route_id,
                          .contact_id = d[0].contact_id,
                          .attempt = d[0].attempt,
                          .address_key = key,
                          .seg = 0,
                          .n_segs = 1,
                          .receipt = true};
    (void)strncpy(m.ref, it->ref, sizeof m.ref - 1);
    struct resolved *x = flush_resolved(f, &m, it);
    x->settles = true;
    x->later_segs = d[0].later_segs;
    x->flags |= CGW_RESF_WHOLE; /* how many segments it had, nobody told us */
    *ret_found = true;
    return 0;
}

/* Receipts that waited for accepts which this flush stores. */
static int wake_early(struct flush *f, const struct ref_match *known, int n_known)
{
    if (!f->w->early_known || !f->n_submits)
        return 0;
    int64_t *refh = arena_alloc(&f->arena, (size_t)f->n_submits * sizeof *refh);
    struct early_receipt *early = arena_alloc(&f->arena, (size_t)f->max * sizeof *early);
    int n = 0, found = 0;
    if (!refh || !early)
        return diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
    for (int i = 0; i < f->n_submits; i++)
        if (f->submits[i].refh)
            refh[n++] = f->submits[i].refh;
    int rc = n ? store_early_find(f->db, refh, n, early, f->max, &found, f->diag) : 0;
    for (int i = 0; rc == 0 && i < found; i++) {
        struct claim claim = {early[i].person_key, early[i].arrived_ms};
        bool other;
        const struct ref_match *m =
            lookup(f, known, n_known, early[i].refh, early[i].ref, claim, &other);
        if (!m || f->n_resolved == f->max || f->n_early_del == f->max)
            continue;
        struct item it = {.early_id = early[i].id,
                          .result = (uint32_t)early[i].result,
                          .flags = (uint32_t)early[i].flags,
                          .sub = (uint32_t)early[i].sub,
                          .quantity = early[i].quantity,
                          .code = early[i].code,
                          .arrived_ms = early[i].arrived_ms,
                          .code_space = early[i].code_space,
                          .raw = early[i].raw};
        bool looked_at = false; /* the sweep may have brought the same row as an item */
        for (int k = 0; k < f->n_early_del; k++)
            looked_at = looked_at || f->early_del[k] == early[i].id;
        if (!looked_at)
            (void)flush_resolved(f, m, &it);
    }
    return rc;
}

/* What this node accepted itself, and short ago. */
static bool remembered(struct flush *f, const struct item *it, int64_t refh)
{
    struct ref_match m;
    uint32_t era;
    if (!it->ref[0] || !refmap_take(&f->w->refs, refh, it->ref, &m, &era) ||
        !fits(f, &m, (struct claim){person_key(f, it), it->arrived_ms}))
        return false;
    struct resolved *x = flush_resolved(f, &m, it);
    x->remembered = true;
    x->era = era;
    return true;
}

/* A receipt whose message is to be found, and where its hashes begin: of its id, and of what that
 * may also be. */
struct sought {
    const struct item *it;
    int first;
};

static int hashes_of(const struct item *it, int64_t *ret)
{
    int n = 0;
    ret[n++] = store_ref_hash(it->instance, it->ref);
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        if (it->also[i] && it->also[i][0])
            ret[n++] = store_ref_hash(it->instance, it->also[i]);
    return n;
}

/* The accept of its id, or of another that it may mean; that only for the person it names. */
static const struct ref_match *find(const struct flush *f, const struct ref_match *known, int n,
                                    const struct item *it, const int64_t *refh, struct claim claim,
                                    bool *ret_other)
{
    const struct ref_match *m =
        it->ref[0] ? lookup(f, known, n, *refh, it->ref, claim, ret_other) : NULL;
    for (uint32_t i = 0; !m && claim.key && i < CGW_ALSO_MAX; i++) {
        bool other;
        if (!it->also[i] || !it->also[i][0])
            continue;
        m = lookup(f, known, n, *++refh, it->also[i], claim, &other);
        if (m && !m->address_key)
            m = NULL;
    }
    return m;
}

/* Before the locks: which contacts do they speak of? Unknown ones are kept. Runs inside the
 * transaction. */
int flush_resolve(struct flush *f)
{
    int64_t *refh = arena_alloc(&f->arena, (size_t)f->n * (1 + CGW_ALSO_MAX) * sizeof *refh);
    struct sought *open = arena_alloc(&f->arena, (size_t)f->n * sizeof *open);
    int n = 0, n_refh = 0, n_known = 0, rc = 0;
    if (!refh || !open)
        return diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
    for (int i = 0; i < f->n; i++) {
        const struct item *it = f->items[i];
        if (it->kind != ITEM_RECEIPT)
            continue;
        open[n] = (struct sought){it, n_refh};
        int more = hashes_of(it, refh + n_refh);
        if (remembered(f, it, refh[n_refh]))
            continue;
        n++;
        n_refh += more;
    }
    int most = n_refh * ACCEPTS_PER_ID + 16;
    struct ref_match *known = arena_alloc(&f->arena, (size_t)(most + f->n_submits) * sizeof *known);
    if (!known)
        return diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
    if (n)
        rc = store_refs_find(f->db, refh, n_refh, known, most, &n_known, f->diag);
    if (rc == 0 && (n || f->w->early_known))
        n_known = add_own(f, known, n_known, most + f->n_submits);
    for (int i = 0; rc == 0 && i < n; i++) {
        const struct item *it = open[i].it;
        int64_t h = refh[open[i].first];
        struct claim claim = {person_key(f, it), it->arrived_ms};
        bool settled = false, other = false;
        const struct ref_match *m =
            find(f, known, n_known, it, refh + open[i].first, claim, &other);
        if (m && m->refh != h)
            refmap_forget(&f->w->refs, m->refh, m->ref);
        if (m)
            (void)flush_resolved(f, m, it);
        else if ((rc = settle_doubt(f, it, h, claim.key, &settled)) == 0 && !settled)
            rc = early_keep(f, it, h, claim.key, other);
    }
    return rc < 0 ? rc : wake_early(f, known, n_known);
}

/* ---- forward only
 * ---------------------------------------------------------------------------------------------------------
 */
static const struct {
    int16_t kind, stat;
    enum figure figure;
} finals[] = {[CGW_RES_REFUSED] = {EVENT_FAILED, STAT_FAILED, FIGURE_FAILED},
              [CGW_RES_DELIVERED] = {EVENT_DELIVERED, STAT_DELIVERED, FIGURE_DELIVERED},
              [CGW_RES_FAILED] = {EVENT_FAILED, STAT_FAILED, FIGURE_FAILED},
              [CGW_RES_EXPIRED] = {EVENT_EXPIRED, STAT_EXPIRED, FIGURE_EXPIRED},
              [CGW_RES_RECALLED] = {EVENT_RECALLED, STAT_RECALLED, FIGURE_RECALLED}};

static bool is_final(int16_t kind)
{
    return kind == EVENT_DELIVERED || kind == EVENT_FAILED || kind == EVENT_EXPIRED ||
           kind == EVENT_REFUSED || kind == EVENT_CANCELLED || kind == EVENT_RECALLED;
}

struct so_far {
    int delivered, delivered_other; /* segments, of this attempt and of others */
    bool ended, closed;             /* closed: by more than a part that was taken back */
    bool seg_final, enroute, unknown, settled, unsent, kept;
    bool counted; /* another attempt, in doubt or sent once more, has had its end */
};

static void learn(struct so_far *s, const struct resolved *x, int16_t attempt, int16_t seg,
                  int16_t kind)
{
    s->unknown = s->unknown || kind == EVENT_UNKNOWN;
    if (attempt != x->m.attempt) {
        s->delivered_other += kind == EVENT_DELIVERED && seg >= 0;
        s->counted = s->counted || (is_final(kind) && kind != EVENT_CANCELLED &&
                                    (kind != EVENT_DELIVERED || seg == -1));
        return;
    }
    bool mine = seg == x->m.seg || seg == -1;
    s->delivered += kind == EVENT_DELIVERED && seg >= 0;
    bool ends = is_final(kind) && (kind != EVENT_DELIVERED || seg == -1);
    s->ended = s->ended || ends;
    s->closed = s->closed || (ends && (kind != EVENT_RECALLED || seg == -1));
    s->seg_final = s->seg_final || (mine && is_final(kind));
    s->enroute = s->enroute || (mine && kind == EVENT_ENROUTE);
    s->kept = s->kept || (mine && kind == EVENT_NOT_RECALLED);
    s->settled = s->settled || kind == EVENT_SETTLED;
    s->unsent = s->unsent || kind == EVENT_NOT_SENT || kind == EVENT_RETRY;
}

/* Where a contact's events stand: in the database, among those that results of this flush made, and
 * behind those, made by receipts since the first one of this contact. */
struct past {
    const struct event_key *ev;
    int n_ev, first, n_first, since;
};

static struct so_far history(const struct flush *f, const struct resolved *x, const struct past *p)
{
    struct so_far s = {0};
    for (int i = 0; i < p->n_ev; i++)
        learn(&s, x, p->ev[i].attempt, p->ev[i].seg, p->ev[i].kind);
    for (int i = p->first; i < p->first + p->n_first; i++)
        learn(&s, x, f->events[i].e.attempt, f->events[i].e.seg, f->events[i].e.kind);
    for (int i = p->since; i < f->n_events; i++)
        learn(&s, x, f->events[i].e.attempt, f->events[i].e.seg, f->events[i].e.kind);
    s.counted = s.counted || (x->later_segs && s.delivered_other >= x->later_segs);
    s.ended = s.ended || s.delivered >= x->m.n_segs;
    return s;
}

static void put_event(struct flush *f, const struct resolved *x, int16_t seg, int16_t kind)
{
    bool settled = kind == EVENT_SETTLED; /* what was said stands in the other event */
    flush_event(f, x->m.part,
                &(struct event_row){.contact_id = x->m.contact_id,
                                    .attempt = x->m.attempt,
                                    .seg = seg,
                                    .kind = kind,
                                    .ts_ms = x->arrived_ms,
                                    .route_id = x->m.route_id,
                                    .code = x->code,
                                    .sub = settled ? (int16_t)0 : x->sub,
                                    .quantity = settled ? 0 : x->quantity,
                                    .code_space = x->code_space,
                                    .detail = x->raw});
}

static void settle(struct flush *f, const struct resolved *x)
{
    f->submits[f->n_submits++] =
        (struct submit_row){.part = x->m.part,
                            .contact_id = x->m.contact_id,
                            .attempt = x->m.attempt,
                            .seg = 0,
                            .n_segs = 1,
                            .receipt = true,
                            .ts_ms = f->now_ms,
                            .route_id = x->m.route_id,
                            .refh = x->m.refh,
                            .address_key = x->m.address_key,
                            .ref = arena_dup(&f->arena, x->m.ref, strlen(x->m.ref)),
                            .peer_ref = ""};
    put_event(f, x, -1, EVENT_SETTLED);
    flush_stat(f, x->m.contact_id, STAT_SETTLED, 0, 1);
    f->doubt_del[f->n_doubt_del].part = x->m.part;
    f->doubt_del[f->n_doubt_del++].contact_id = x->m.contact_id;
    f->unsend[f->n_unsend].part = x->m.part;
    f->unsend[f->n_unsend++].contact_id = x->m.contact_id;
    count_receipt("settled");
}

static void apply(struct flush *f, const struct resolved *x, const struct past *p)
{
    struct so_far s = history(f, x, p);
    if (x->settles && s.unsent)
        return; /* its node came back meanwhile and knows better: the receipt is somebody else's */
    if (x->settles && !s.settled) /* else another node looked at the same receipt, or has the accept
                                   */
        settle(f, x);
    /* also when another word was final before: mail may be called delivered, and come back later */
    if (x->result == CGW_RES_FAILED || x->result == CGW_RES_REFUSED || x->result == CGW_RES_EXPIRED)
        flush_bounce(f, &(struct bounce){.sub = (uint32_t)x->sub,
                                         .part = x->m.part,
                                         .contact_id = x->m.contact_id,
                                         .at_ms = x->arrived_ms});
    int16_t seg = (x->flags & CGW_RESF_WHOLE) || x->m.n_segs == 1
                      ? (int16_t)((x->flags & CGW_RESF_WHOLE) ? -1 : x->m.seg)
                      : x->m.seg;
    if (x->result == CGW_RES_NOT_RECALLED) {
        if (!s.kept && !s.seg_final)
            put_event(f, x, seg, EVENT_NOT_RECALLED);
        return;
    }
    if (x->result == CGW_RES_ENROUTE || (size_t)x->result >= ARRAY_LEN(finals) ||
        !finals[x->result].kind) {
        if (!s.enroute && !s.seg_final && !s.ended)
            put_event(f, x, seg, EVENT_ENROUTE);
        return;
    }
    int16_t kind = finals[x->result].kind;
    /* repeated, or a second opinion: the first final word stands. But each segment that is taken
     * back is noted, so that nobody asks for it again, and beside those each that came through. */
    bool noted = kind == EVENT_RECALLED || (kind == EVENT_DELIVERED && seg >= 0 && !s.closed);
    if (s.seg_final || (s.ended && !noted)) {
        count_receipt("repeated");
        return;
    }
    put_event(f, x, seg, kind);
    f->n_stored++;
    bool ends = kind != EVENT_DELIVERED || seg == -1 || s.delivered + 1 >= x->m.n_segs;
    if (!ends || s.ended || s.counted)
        return;
    flush_stat(f, x->m.contact_id, finals[x->result].stat, 0, 1);
    figure_add(f, x->m.route_id, finals[x->result].figure,
               x->m.ts_ms && x->arrived_ms > x->m.ts_ms ? x->arrived_ms - x->m.ts_ms : 0);
    if (!x->m.receipt) /* a route without receipts that sends one all the same */
        flush_stat(f, x->m.contact_id, STAT_NO_RECEIPT, 0, -1);
    if (s.unknown) /* we had given up on it: knowledge moves forward */
        flush_stat(f, x->m.contact_id, STAT_UNKNOWN, 0, -1);
}

static int by_part_contact(const void *a, const void *b)
{
    const struct resolved *x = a, *y = b;
    if (x->m.part != y->m.part)
        return x->m.part < y->m.part ? -1 : 1;
    if (x->m.contact_id != y->m.contact_id)
        return x->m.contact_id < y->m.contact_id ? -1 : 1;
    return x->arrived_ms < y->arrived_ms ? -1 : x->arrived_ms > y->arrived_ms;
}

static int by_event_contact(const void *a, const void *b)
{
    const struct event_key *x = a, *y = b;
    return x->contact_id < y->contact_id ? -1 : x->contact_id > y->contact_id;
}

/* What the database knows of the contacts of one part; the part is locked. Not asked about those
 * that we remember from their accept, while nobody else wrote events of the part. */
static int read_past(struct flush *f, const struct resolved *x, int n, int64_t *ids,
                     struct event_key *ev, int max, int *ret_n)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if ((!x[i].remembered || x[i].era != f->w->era[x->m.part]) &&
            (m == 0 || ids[m - 1] != x[i].m.contact_id))
            ids[m++] = x[i].m.contact_id;
    int rc = store_events_find(f->db, x->m.part, ids, m, ev, max, ret_n, f->diag);
    if (rc == 0)
        qsort(ev, (size_t)*ret_n, sizeof *ev, by_event_contact);
    return rc;
}

/* All receipts of one part, contact by contact; n_made events of results are sorted before them. */
static void apply_part(struct flush *f, const struct resolved *x, int n, const struct event_key *ev,
                       int n_ev, int n_made)
{
    struct past p = {.ev = ev};
    const struct event_key *end = ev + n_ev;
    for (int i = 0; i < n; i++) {
        if (i == 0 || x[i].m.contact_id != x[i - 1].m.contact_id) {
            int64_t id = x[i].m.contact_id;
            p.since = f->n_events;
            p.ev += p.n_ev;
            p.n_ev = 0;
            while (p.ev < end && p.ev->contact_id < id)
                p.ev++;
            while (p.ev + p.n_ev < end && p.ev[p.n_ev].contact_id == id)
                p.n_ev++;
            p.first = flush_events_of(f, n_made, x->m.part, id, &p.n_first);
        }
        apply(f, &x[i], &p);
    }
}

/* Under the locks: what is known already, then the new rows. */
int flush_receipts(struct flush *f)
{
    int rc = 0, max = f->n_resolved * 64 + 16, n_made = f->n_events;
    qsort(f->resolved, (size_t)f->n_resolved, sizeof *f->resolved, by_part_contact);
    int64_t *ids = arena_alloc(&f->arena, (size_t)(f->n_resolved + 1) * sizeof *ids);
    struct event_key *ev = arena_alloc(&f->arena, (size_t)max * sizeof *ev);
    if (!ids || !ev)
        return diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
    flush_events_sort(f);
    for (int i = 0, m, n_ev; rc == 0 && i < f->n_resolved; i += m) {
        const struct resolved *x = &f->resolved[i];
        for (m = 1; i + m < f->n_resolved && x[m].m.part == x->m.part;)
            m++;
        rc = read_past(f, x, m, ids, ev, max, &n_ev);
        if (rc == 0)
            apply_part(f, x, m, ev, n_ev, n_made);
    }
    return rc;
}
