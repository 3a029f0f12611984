/* SPDX-License-Identifier: Apache-2.0 */
/* phone_dfa.c - see phone_dfa.h. Patterns become one automaton with epsilon edges, that becomes a
 * table by the subset construction, one layer per digit read: a state knows its depth, so length
 * rules can be judged once, at build time. */
#include "address/phone_dfa.h"

#include "cgw/types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NODE_NONE UINT32_MAX
#define NEST_MAX 24   /* groups inside groups; the library's data stays below 10 */
#define PIECES_MAX 64 /* pieces of one sequence */
#define REPEAT_MAX 20
#define ANY_DIGIT 0x3ffu

enum node_kind { NODE_DIGIT, NODE_SPLIT, NODE_MATCH, NODE_MATCH_STICKY };
struct node {
    uint8_t kind;
    uint16_t digits; /* NODE_DIGIT: bit per digit */
    uint16_t id;     /* NODE_MATCH* */
    uint32_t a, b;   /* successors; b for NODE_SPLIT */
};

struct nfa {
    struct node *node;
    uint32_t n;
    int err;
};

static uint32_t add_node(struct nfa *f, struct node nd)
{
    if (f->err)
        return NODE_NONE;
    if (f->n == PHONE_DFA_NODES_MAX) {
        f->err = CGW_ELIMIT;
        return NODE_NONE;
    }
    f->node[f->n] = nd;
    return f->n++;
}

static uint32_t add_split(struct nfa *f, uint32_t a, uint32_t b)
{
    return add_node(f, (struct node){.kind = NODE_SPLIT, .a = a, .b = b});
}

/* ---- pattern → automaton, built from the back: each construct gets the node that follows it
 * ----------------------------------- */

static uint32_t compile(struct nfa *f, const char *lo, const char *hi, uint32_t next, int depth);

/* End of the atom that starts at p, NULL when it is outside the language. */
static const char *atom_end(const char *p, const char *hi)
{
    if (*p >= '0' && *p <= '9')
        return p + 1;
    if (*p == '\\')
        return p + 1 < hi && p[1] == 'd' ? p + 2 : NULL;
    if (*p == '[') {
        const char *q = memchr(p, ']', (size_t)(hi - p));
        return q ? q + 1 : NULL;
    }
    if (*p != '(')
        return NULL;
    int open = 0;
    for (; p < hi; p++) {
        open += *p == '(';
        open -= *p == ')';
        if (!open)
            return p + 1;
    }
    return NULL;
}

static uint16_t class_digits(const char *p, const char *hi)
{
    uint16_t bits = 0;
    while (p < hi) {
        int from, to;
        if (*p == '\\' && p + 1 < hi && p[1] == 'd') {
            bits = ANY_DIGIT;
            p += 2;
            continue;
        }
        if (*p < '0' || *p > '9')
            return 0;
        from = to = *p++ - '0';
        if (p + 1 < hi && *p == '-') {
            if (p[1] < '0' || p[1] > '9')
                return 0;
            to = p[1] - '0';
            p += 2;
        }
        for (int d = from; d <= to; d++)
            bits = (uint16_t)(bits | (1u << d));
    }
    return bits;
}

static uint32_t compile_atom(struct nfa *f, const char *lo, const char *hi, uint32_t next,
                             int depth)
{
    uint16_t bits = 0;
    if (*lo == '(') {
        bool plain = lo + 2 < hi && lo[1] == '?' && lo[2] == ':';
        return compile(f, lo + (plain ? 3 : 1), hi - 1, next, depth + 1);
    }
    if (*lo == '[')
        bits = class_digits(lo + 1, hi - 1);
    else if (*lo == '\\')
        bits = ANY_DIGIT;
    else
        bits = (uint16_t)(1u << (*lo - '0'));
    if (!bits)
        f->err = CGW_EINVAL;
    return add_node(f, (struct node){.kind = NODE_DIGIT, .digits = bits, .a = next});
}

struct piece {
    const char *lo, *hi;
    int min, max;
};

static const char *read_count(const char *p, const char *hi, int *ret)
{
    int v = 0;
    const char *from = p;
    for (; p < hi && *p >= '0' && *p <= '9' && v <= REPEAT_MAX; p++)
        v = v * 10 + (*p - '0');
    *ret = v;
    return p == from || v > REPEAT_MAX ? NULL : p;
}

/* "?", "{n}" or "{n,m}" behind an atom. \return where reading goes on, NULL outside the language */
static const char *read_quantifier(const char *p, const char *hi, struct piece *pc)
{
    pc->min = pc->max = 1;
    if (p < hi && *p == '?') {
        pc->min = 0;
        return p + 1;
    }
    if (p >= hi || *p != '{')
        return p;
    p = read_count(p + 1, hi, &pc->min);
    if (!p || p >= hi)
        return NULL;
    pc->max = pc->min;
    if (*p == ',') {
        p = read_count(p + 1, hi, &pc->max);
        if (!p || p >= hi)
            return NULL;
    }
    return *p == '}' && pc->max >= pc->min ? p + 1 : NULL;
}

static uint32_t compile_piece(struct nfa *f, const struct piece *pc, uint32_t next, int depth)
{
    uint32_t at = next;
    for (int i = pc->min; i < pc->max && !f->err; i++)
        at = add_split(f, compile_atom(f, pc->lo, pc->hi, at, depth), next);
    for (int i = 0; i < pc->min && !f->err; i++)
        at = compile_atom(f, pc->lo, pc->hi, at, depth);
    return at;
}

static uint32_t compile_sequence(struct nfa *f, const char *lo, const char *hi, uint32_t next,
                                 int depth)
{
    struct piece pieces[PIECES_MAX];
    int n = 0;
    while (lo < hi) {
        const char *end = atom_end(lo, hi);
        if (!end || n == PIECES_MAX) {
            f->err = CGW_EINVAL;
            return NODE_NONE;
        }
        pieces[n].lo = lo;
        pieces[n].hi = end;
        lo = read_quantifier(end, hi, &pieces[n]);
        n++;
        if (!lo) {
            f->err = CGW_EINVAL;
            return NODE_NONE;
        }
    }
    while (n > 0 && !f->err)
        next = compile_piece(f, &pieces[--n], next, depth);
    return next;
}

/* Alternatives. The recursion follows the groups of the library's own data, never input, and ends
 * at NEST_MAX. */
static uint32_t compile(struct nfa *f, const char *lo, const char *hi, uint32_t next, int depth)
{
    uint32_t all = NODE_NONE;
    if (depth > NEST_MAX) {
        f->err = CGW_EINVAL;
        return NODE_NONE;
    }
    for (const char *from = lo; !f->err;) {
        int open = 0;
        const char *p = from;
        for (; p < hi && (open || *p != '|'); p++) {
            open += *p == '(';
            open -= *p == ')';
        }
        uint32_t one = compile_sequence(f, from, p, next, depth);
        all = all == NODE_NONE ? one : add_split(f, one, all);
        if (p >= hi)
            break;
        from = p + 1;
    }
    return all;
}

/* ---- automaton → table
 * -----------------------------------------------------------------------------------------------------------
 */

/* Sets of nodes of the layer being read and the layer being made, one behind the other in a pool.
 */
struct set {
    uint32_t off, n;
};
struct layer {
    uint32_t *pool;
    size_t used, cap;
    struct set *set; /* per state of the layer */
    uint32_t n, n_cap;
    uint32_t first; /* number of the layer's first state */
};

struct builder {
    struct nfa nfa;
    struct phone_dfa *dfa;
    phone_dfa_verdict_fn verdict;
    const void *ctx;
    uint32_t *mark; /* per node: generation in which it was seen */
    uint32_t generation;
    uint32_t *stack, *work; /* PHONE_DFA_NODES_MAX each */
    uint32_t n_work;
    uint32_t *bucket; /* hash of the layer being made; 0 = free, else state index in layer + 1 */
    uint32_t n_buckets;
    struct layer now, then;
    uint16_t *ids;
};

static void visit(struct builder *b, uint32_t root)
{
    uint32_t top = 0;
    if (b->mark[root] == b->generation)
        return;
    b->mark[root] = b->generation;
    b->stack[top++] = root;
    while (top) {
        uint32_t at = b->stack[--top];
        const struct node *nd = &b->nfa.node[at];
        if (nd->kind != NODE_SPLIT) {
            b->work[b->n_work++] = at;
            continue;
        }
        uint32_t both[2] = {nd->a, nd->b};
        for (int i = 0; i < 2; i++)
            if (b->mark[both[i]] != b->generation) {
                b->mark[both[i]] = b->generation;
                b->stack[top++] = both[i];
            }
    }
}

static int cmp_u32(const void *pa, const void *pb)
{
    uint32_t a, b;
    memcpy(&a, pa, sizeof a);
    memcpy(&b, pb, sizeof b);
    return (a > b) - (a < b);
}

static int cmp_u16(const void *pa, const void *pb)
{
    uint16_t a, b;
    memcpy(&a, pa, sizeof a);
    memcpy(&b, pb, sizeof b);
    return (a > b) - (a < b);
}

static uint32_t hash_work(const struct builder *b)
{
    uint32_t h = 2166136261u; /* FNV-1a, over words */
    for (uint32_t i = 0; i < b->n_work; i++)
        h = (h ^ b->work[i]) * 16777619u;
    return h;
}

/* The array with room for cap elements, or NULL with the old one untouched. */
static void *grown(void *array, uint32_t cap, size_t size)
{
    return realloc(array, (size_t)cap * size);
}

static uint32_t larger(uint32_t cap)
{
    return cap ? cap * 2 : 256;
}

static int grow_table(struct phone_dfa *d)
{
    uint32_t cap = larger(d->cap);
    uint32_t(*next)[10] = grown(d->next, cap, sizeof *next);
    if (!next)
        return -ENOMEM;
    d->next = next;
    uint64_t *verdict = grown(d->verdict, cap, sizeof *verdict);
    if (!verdict)
        return -ENOMEM;
    d->verdict = verdict;
    d->cap = cap;
    return 0;
}

/* The state's number in the table; its verdict comes from the matching patterns among its nodes. */
static int add_table_state(struct builder *b, const uint32_t *nodes, uint32_t n, uint32_t depth)
{
    struct phone_dfa *d = b->dfa;
    if (d->n == PHONE_DFA_STATES_MAX)
        return CGW_ELIMIT;
    if (d->n == d->cap && grow_table(d) < 0)
        return -ENOMEM;
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++)
        if (b->nfa.node[nodes[i]].kind >= NODE_MATCH)
            b->ids[k++] = b->nfa.node[nodes[i]].id;
    qsort(b->ids, k, sizeof *b->ids, cmp_u16);
    memset(d->next[d->n], 0, sizeof d->next[d->n]);
    d->verdict[d->n++] = n ? b->verdict(b->ctx, b->ids, k, depth) : 0;
    return 0;
}

static int layer_push(struct layer *l, const uint32_t *nodes, uint32_t n)
{
    if (l->used + n > l->cap) {
        size_t cap = (l->used + n) * 2 + 1024;
        uint32_t *p = realloc(l->pool, cap * sizeof *p);
        if (!p)
            return -ENOMEM;
        l->pool = p;
        l->cap = cap;
    }
    if (l->n == l->n_cap) {
        struct set *more = grown(l->set, larger(l->n_cap), sizeof *more);
        if (!more)
            return -ENOMEM;
        l->set = more;
        l->n_cap = larger(l->n_cap);
    }
    if (n)
        memcpy(l->pool + l->used, nodes, (size_t)n * sizeof *nodes);
    l->set[l->n++] = (struct set){(uint32_t)l->used, n};
    l->used += n;
    return 0;
}

static int rehash(struct builder *b)
{
    uint32_t n = b->n_buckets * 2;
    uint32_t *p = calloc(n, sizeof *p);
    if (!p)
        return -ENOMEM;
    free(b->bucket);
    b->bucket = p;
    b->n_buckets = n;
    for (uint32_t i = 0; i < b->then.n; i++) {
        uint32_t h = 2166136261u;
        for (uint32_t j = 0; j < b->then.set[i].n; j++)
            h = (h ^ b->then.pool[b->then.set[i].off + j]) * 16777619u;
        for (h &= n - 1; b->bucket[h]; h = (h + 1) & (n - 1))
            ;
        b->bucket[h] = i + 1;
    }
    return 0;
}

/* The state for the nodes in `work`, new or known, in the layer being made. */
static int intern(struct builder *b, uint32_t depth, uint32_t *ret)
{
    struct layer *l = &b->then;
    qsort(b->work, b->n_work, sizeof *b->work, cmp_u32);
    if (l->n * 2 >= b->n_buckets && rehash(b) < 0)
        return -ENOMEM;
    uint32_t h = hash_work(b) & (b->n_buckets - 1);
    for (; b->bucket[h]; h = (h + 1) & (b->n_buckets - 1)) {
        const struct set *s = &l->set[b->bucket[h] - 1];
        if (s->n == b->n_work &&
            !memcmp(l->pool + s->off, b->work, (size_t)s->n * sizeof *b->work)) {
            *ret = l->first + b->bucket[h] - 1;
            return 0;
        }
    }
    int rc = layer_push(l, b->work, b->n_work);
    if (rc == 0)
        rc = add_table_state(b, b->work, b->n_work, depth);
    if (rc < 0)
        return rc;
    b->bucket[h] = l->n;
    *ret = l->first + l->n - 1;
    return 0;
}

static int step(struct builder *b, const struct set *s, uint32_t digit, uint32_t depth,
                uint32_t *ret)
{
    b->generation++;
    b->n_work = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t at = b->now.pool[s->off + i];
        const struct node *nd = &b->nfa.node[at];
        if (nd->kind == NODE_DIGIT && (nd->digits >> digit & 1u))
            visit(b, nd->a);
        else if (nd->kind == NODE_MATCH_STICKY)
            visit(b, at);
    }
    *ret = PHONE_DFA_DEAD;
    return b->n_work ? intern(b, depth, ret) : 0;
}

static int build_layers(struct builder *b)
{
    for (uint32_t depth = 1; depth <= PHONE_DFA_DEPTH && b->now.n; depth++) {
        b->then.used = 0;
        b->then.n = 0;
        b->then.first = b->dfa->n;
        memset(b->bucket, 0, b->n_buckets * sizeof *b->bucket);
        for (uint32_t i = 0; i < b->now.n; i++)
            for (uint32_t digit = 0; digit < 10; digit++) {
                uint32_t to;
                int rc = step(b, &b->now.set[i], digit, depth, &to);
                if (rc < 0)
                    return rc;
                b->dfa->next[b->now.first + i][digit] = to;
            }
        struct layer was = b->now;
        b->now = b->then;
        b->then = was;
    }
    return 0;
}

static int build(struct builder *b, const struct phone_dfa_pattern *patterns, uint32_t n)
{
    int rc = add_table_state(b, NULL, 0, 0); /* the dead state */
    if (rc < 0)
        return rc;
    b->generation = 1;
    for (uint32_t i = 0; i < n; i++) {
        struct node end = {.kind = patterns[i].prefix ? NODE_MATCH_STICKY : NODE_MATCH,
                           .id = patterns[i].id};
        uint32_t last = add_node(&b->nfa, end);
        uint32_t root = compile(&b->nfa, patterns[i].text,
                                patterns[i].text + strlen(patterns[i].text), last, 0);
        if (b->nfa.err)
            return b->nfa.err;
        visit(b, root);
    }
    qsort(b->work, b->n_work, sizeof *b->work, cmp_u32);
    b->now.first = PHONE_DFA_START;
    rc = layer_push(&b->now, b->work, b->n_work);
    if (rc == 0)
        rc = add_table_state(b, b->work, b->n_work, 0);
    return rc < 0 ? rc : build_layers(b);
}

int phone_dfa_init(struct phone_dfa *d, const struct phone_dfa_pattern *patterns, uint32_t n,
                   phone_dfa_verdict_fn verdict, const void *ctx)
{
    struct builder b = {.dfa = d, .verdict = verdict, .ctx = ctx, .n_buckets = 1024};
    *d = (struct phone_dfa){0};
    b.nfa.node = calloc(PHONE_DFA_NODES_MAX, sizeof *b.nfa.node);
    b.mark = calloc(PHONE_DFA_NODES_MAX, sizeof *b.mark);
    b.stack = calloc(PHONE_DFA_NODES_MAX, sizeof *b.stack);
    b.work = calloc(PHONE_DFA_NODES_MAX, sizeof *b.work);
    b.ids = calloc(PHONE_DFA_NODES_MAX, sizeof *b.ids);
    b.bucket = calloc(b.n_buckets, sizeof *b.bucket);
    int rc = b.nfa.node && b.mark && b.stack && b.work && b.ids && b.bucket ? build(&b, patterns, n)
                                                                            : -ENOMEM;
    void *all[] = {b.nfa.node, b.mark,     b.stack,   b.work,      b.ids,
                   b.bucket,   b.now.pool, b.now.set, b.then.pool, b.then.set};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
    if (rc < 0)
        phone_dfa_done(d);
    return rc;
}

void phone_dfa_done(struct phone_dfa *d)
{
    free(d->next);
    free(d->verdict);
    *d = (struct phone_dfa){0};
}
