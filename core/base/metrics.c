/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - see metrics.h. Format: Prometheus text exposition 0.0.4. */
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FAMILIES_MAX 128u
#define LABELS_MAX 256u
#define BUCKETS 11u
static const double bucket_le[BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                          0.1,   0.25,   1,     5,    30};

struct metric {
    struct metric *next;      /* of the same family */
    char labels[LABELS_MAX];  /* rendered: a="x",b="y" */
    double value;             /* sum of a histogram */
    uint64_t bucket[BUCKETS]; /* of each alone; exposed with all below it */
    uint64_t count;
};

struct family {
    const struct metric_family *what; /* borrowed, static */
    struct metric *first, **end;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct family families[FAMILIES_MAX]; /* in the order of registration */
static unsigned n_families, n_series;
static uint8_t by_name[FAMILIES_MAX * 2]; /* open addressing: 1 + index into families, 0 = free */
_Static_assert(FAMILIES_MAX < 256, "by_name holds indexes in an octet");

/* Where the name stands, or would. */
static uint8_t *slot_of(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a: only spreads our own names */
    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    uint8_t *slot = &by_name[h % ARRAY_LEN(by_name)];
    while (*slot && strcmp(families[*slot - 1].what->name, name) != 0)
        slot = slot + 1 == by_name + ARRAY_LEN(by_name) ? by_name : slot + 1;
    return slot;
}

void metrics_register(const struct metric_family *table)
{
    (void)pthread_mutex_lock(&lock);
    for (; table->name; table++) {
        uint8_t *slot = slot_of(table->name);
        if (*slot || n_families == FAMILIES_MAX)
            continue;
        struct family *f = &families[n_families++];
        *f = (struct family){.what = table, .end = &f->first};
        *slot = (uint8_t)n_families;
    }
    (void)pthread_mutex_unlock(&lock);
}

/* Label values may hold anything: escape as the format asks (backslash, quote, newline). */
static size_t put_value(char *out, size_t room, const char *v)
{
    size_t o = 0;
    for (; *v && o + 3 < room; v++) {
        if (*v == '\\' || *v == '"' || *v == '\n')
            out[o++] = '\\';
        out[o++] = *v == '\n' ? 'n' : *v;
    }
    out[o] = 0;
    return o;
}

static void render_labels(const struct metric_family *f, const char *const *values, unsigned n,
                          char *out)
{
    size_t o = 0;
    const char *name = f->labels;
    out[0] = 0;
    for (unsigned i = 0; i < n && *name; i++) {
        size_t len = strcspn(name, ",");
        if (o + len + 8 >= LABELS_MAX)
            return;
        if (i)
            out[o++] = ',';
        memcpy(out + o, name, len);
        o += len;
        out[o++] = '=';
        out[o++] = '"';
        o += put_value(out + o, LABELS_MAX - o - 2, values[i]);
        out[o++] = '"';
        out[o] = 0;
        name += len + (name[len] == ',');
    }
}

static struct metric *find_or_make(struct family *f, const char *labels)
{
    for (struct metric *m = f->first; m; m = m->next)
        if (!strcmp(m->labels, labels))
            return m;
    struct metric *m = n_series < METRICS_SERIES_MAX ? calloc(1, sizeof *m) : NULL;
    if (m) {
        memcpy(m->labels, labels, strlen(labels) + 1);
        *f->end = m;
        f->end = &m->next;
        n_series++;
    }
    return m;
}

struct metric *metric_get(const char *name, const char *const *values, unsigned n)
{
    char labels[LABELS_MAX];
    struct metric *m = NULL;
    (void)pthread_mutex_lock(&lock);
    const uint8_t *slot = slot_of(name);
    if (*slot) {
        struct family *f = &families[*slot - 1];
        render_labels(f->what, values, n, labels);
        m = find_or_make(f, labels);
    }
    (void)pthread_mutex_unlock(&lock);
    return m;
}

void metric_add(struct metric *m, double v)
{
    if (!m)
        return;
    (void)pthread_mutex_lock(&lock);
    m->value += v;
    (void)pthread_mutex_unlock(&lock);
}

void metric_set(struct metric *m, double v)
{
    if (!m)
        return;
    (void)pthread_mutex_lock(&lock);
    m->value = v;
    (void)pthread_mutex_unlock(&lock);
}

void metric_observe_all(struct metric *m, const double *v, size_t n)
{
    if (!m || !n)
        return;
    (void)pthread_mutex_lock(&lock);
    m->count += n;
    for (size_t i = 0; i < n; i++) {
        unsigned k = 0;
        m->value += v[i];
        while (k < BUCKETS && v[i] > bucket_le[k])
            k++;
        if (k < BUCKETS)
            m->bucket[k]++;
    }
    (void)pthread_mutex_unlock(&lock);
}

void metric_observe(struct metric *m, double v)
{
    metric_observe_all(m, &v, 1);
}

double metric_value(struct metric *m)
{
    if (!m)
        return 0;
    (void)pthread_mutex_lock(&lock);
    double v = m->value;
    (void)pthread_mutex_unlock(&lock);
    return v;
}

static void expose_histogram(struct buf *out, const char *name, const struct metric *m)
{
    const char *sep = m->labels[0] ? "," : "";
    uint64_t up_to = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, m->labels, sep, bucket_le[i],
                   (unsigned long long)(up_to += m->bucket[i]));
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, m->labels, sep,
               (unsigned long long)m->count);
    const char *open = m->labels[0] ? "{" : "", *close = m->labels[0] ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %.9g\n", name, open, m->labels, close, m->value);
    buf_printf(out, "%s_count%s%s%s %llu\n", name, open, m->labels, close,
               (unsigned long long)m->count);
}

void metrics_expose(struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < n_families; i++) {
        const struct metric_family *f = families[i].what;
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->type]);
        for (const struct metric *m = families[i].first; m; m = m->next) {
            if (f->type == METRIC_HISTOGRAM)
                expose_histogram(out, f->name, m);
            else if (m->labels[0])
                buf_printf(out, "%s{%s} %.15g\n", f->name, m->labels, m->value);
            else
                buf_printf(out, "%s %.15g\n", f->name, m->value);
        }
    }
    (void)pthread_mutex_unlock(&lock);
}
