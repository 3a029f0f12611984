/* SPDX-License-Identifier: Apache-2.0 */
/* process_metrics.c - what /proc says about this process. Source: proc(5); names: Prometheus
 * "Writing client libraries". */
#include "api/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct stat_fields {
    unsigned long long utime, stime, start, vsize;
    long long rss_pages, threads;
};

static bool read_stat(struct stat_fields *ret)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    if (!p)
        return false;
    /* fields 3…: state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime
     * cutime cstime prio nice threads itreal start vsize rss */
    return sscanf(p + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %lld %*d "
                  "%llu %llu %lld",
                  &ret->utime, &ret->stime, &ret->threads, &ret->start, &ret->vsize,
                  &ret->rss_pages) == 6;
}

static unsigned long long boot_time(void)
{
    char line[256];
    unsigned long long t = 0;
    FILE *f = fopen("/proc/stat", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "btime %llu", &t) == 1)
            break;
    if (f)
        (void)fclose(f);
    return t;
}

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the one we read with */
}

static void put(struct buf *out, const char *name, const char *type, const char *help, double v)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, v);
}

void process_metrics(struct buf *out)
{
    struct stat_fields s;
    struct rlimit r;
    double hz = (double)sysconf(_SC_CLK_TCK);
    if (read_stat(&s)) {
        put(out, "process_cpu_seconds_total", "counter", "CPU time used, user and system.",
            (double)(s.utime + s.stime) / hz);
        put(out, "process_resident_memory_bytes", "gauge", "Memory resident in RAM.",
            (double)s.rss_pages * (double)sysconf(_SC_PAGESIZE));
        put(out, "process_virtual_memory_bytes", "gauge", "Address space.", (double)s.vsize);
        put(out, "process_threads", "gauge", "Threads.", (double)s.threads);
        put(out, "process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.",
            (double)boot_time() + (double)s.start / hz);
    }
    put(out, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
    if (getrlimit(RLIMIT_NOFILE, &r) == 0)
        put(out, "process_max_fds", "gauge", "Limit of open file descriptors.", (double)r.rlim_cur);
}
