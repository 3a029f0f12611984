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
    const struct metric_family *family; /* borrowed, static */
    char labels[LABELS_MAX];            /* rendered: a="x",b="y" */
    double value;                       /* sum of a histogram */
    uint64_t bucket[BUCKETS], count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct metric_family *families[FAMILIES_MAX];
static unsigned n_families;
static struct metric *series[METRICS_SERIES_MAX];
static unsigned n_series;

void metrics_register(const struct metric_family *table)
{
    (void)pthread_mutex_lock(&lock);
    for (; table->name; table++) {
        unsigned i = 0;
        while (i < n_families && strcmp(families[i]->name, table->name) != 0)
            i++;
        if (i == n_families && n_families < FAMILIES_MAX)
            families[n_families++] = table;
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
        o += (size_t)snprintf(out + o, LABELS_MAX - o, "%s%.*s=\"", i ? "," : "", (int)len, name);
        o += put_value(out + o, LABELS_MAX - o - 2, values[i]);
        out[o++] = '"';
        out[o] = 0;
        name += len + (name[len] == ',');
    }
}

static struct metric *find_or_make(const struct metric_family *f, const char *labels)
{
    for (unsigned i = 0; i < n_series; i++)
        if (series[i]->family == f && !strcmp(series[i]->labels, labels))
            return series[i];
    if (n_series == METRICS_SERIES_MAX)
        return NULL;
    struct metric *m = calloc(1, sizeof *m);
    if (m) {
        m->family = f;
        (void)snprintf(m->labels, sizeof m->labels, "%s", labels);
        series[n_series++] = m;
    }
    return m;
}

struct metric *metric_get(const char *name, const char *const *values, unsigned n)
{
    struct metric *m = NULL;
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < n_families; i++) {
        if (strcmp(families[i]->name, name) != 0)
            continue;
        char labels[LABELS_MAX];
        render_labels(families[i], values, n, labels);
        m = find_or_make(families[i], labels);
        break;
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

void metric_observe(struct metric *m, double v)
{
    if (!m)
        return;
    (void)pthread_mutex_lock(&lock);
    m->value += v;
    m->count++;
    for (unsigned i = 0; i < BUCKETS; i++)
        if (v <= bucket_le[i])
            m->bucket[i]++;
    (void)pthread_mutex_unlock(&lock);
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

static void expose_histogram(struct buf *out, const struct metric *m)
{
    const char *sep = m->labels[0] ? "," : "";
    for (unsigned i = 0; i < BUCKETS; i++)
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", m->family->name, m->labels, sep,
                   bucket_le[i], (unsigned long long)m->bucket[i]);
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", m->family->name, m->labels, sep,
               (unsigned long long)m->count);
    const char *open = m->labels[0] ? "{" : "", *close = m->labels[0] ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %.9g\n", m->family->name, open, m->labels, close, m->value);
    buf_printf(out, "%s_count%s%s%s %llu\n", m->family->name, open, m->labels, close,
               (unsigned long long)m->count);
}

void metrics_expose(struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < n_families; i++) {
        const struct metric_family *f = families[i];
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->type]);
        for (unsigned k = 0; k < n_series; k++) {
            const struct metric *m = series[k];
            if (m->family != f)
                continue;
            if (f->type == METRIC_HISTOGRAM)
                expose_histogram(out, m);
            else if (m->labels[0])
                buf_printf(out, "%s{%s} %.15g\n", f->name, m->labels, m->value);
            else
                buf_printf(out, "%s %.15g\n", f->name, m->value);
        }
    }
    (void)pthread_mutex_unlock(&lock);
}
