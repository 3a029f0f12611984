/* SPDX-License-Identifier: Apache-2.0 */
/* address_zones.c - candidate time zones of a number by its country, and which zone names exist
 * (address.h). A wrong zone wakes people at night: in doubt the list grows, never shrinks. Source:
 * tzdata, zone1970.tab (codes, coordinates, TZ, comments; tab separated), tzfile(5). */
#include "address/address.h"

#include "address/phone_lib.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZONEINFO_DIR "/usr/share/zoneinfo"
#define ZONE_TABLE ZONEINFO_DIR "/zone1970.tab"
#define ENTRIES_MAX 4096u
#define ZONE_NAME_MAX 64u
#define CODES_PER_ENTRY_MAX 64u
#define KNOWN_MAX 1024u /* tzdata has about 600 names */

struct entry {
    char country[3];
    char *zone; /* owned, lives as long as the process */
};
static struct entry *entries; /* owned; sorted by country, in the file's order inside a country */
static uint32_t n_entries;
static bool loaded;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the table
 * ------------------------------------------------------------------------------------------------------------------
 */

struct table {
    struct entry *e;
    uint32_t n;
};

static void table_free(struct table *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        free(t->e[i].zone);
    free(t->e);
    *t = (struct table){0};
}

static int table_add(struct table *t, const char *country, const char *zone, size_t zone_len)
{
    if (t->n == ENTRIES_MAX)
        return CGW_ELIMIT;
    char *copy = strndup(zone, zone_len);
    if (!copy)
        return -ENOMEM;
    t->e[t->n] = (struct entry){.zone = copy};
    memcpy(t->e[t->n].country, country, 2);
    t->n++;
    return 0;
}

/* "CN,HK\t+3114+12128\tAsia/Shanghai\tBeijing Time" */
static int read_line(struct table *t, const char *line)
{
    const char *tab = strchr(line, '\t');
    const char *zone = tab ? strchr(tab + 1, '\t') : NULL;
    if (line[0] == '#' || line[0] == '\n' || !line[0])
        return 0;
    if (!zone)
        return CGW_EINVAL;
    zone++;
    size_t zone_len = strcspn(zone, "\t\n");
    if (!zone_len || zone_len >= ZONE_NAME_MAX)
        return CGW_EINVAL;
    const char *code = line;
    for (uint32_t i = 0; i < CODES_PER_ENTRY_MAX; i++, code += 3) {
        if (tab - code < 2)
            return CGW_EINVAL;
        int rc = table_add(t, code, zone, zone_len);
        if (rc < 0 || code[2] != ',')
            return rc;
    }
    return CGW_EINVAL;
}

/* Stable: insertion in file order, then by country. */
static void table_sort(struct table *t)
{
    for (uint32_t i = 1; i < t->n; i++) {
        struct entry e = t->e[i];
        uint32_t j = i;
        for (; j > 0 && memcmp(t->e[j - 1].country, e.country, 2) > 0; j--)
            t->e[j] = t->e[j - 1];
        t->e[j] = e;
    }
}

static int table_read(FILE *f, struct table *t, uint32_t *ret_line)
{
    char line[1024];
    *ret_line = 0;
    while (fgets(line, sizeof line, f)) {
        (*ret_line)++;
        int rc = strchr(line, '\n') || feof(f) ? read_line(t, line) : CGW_EINVAL;
        if (rc < 0)
            return rc;
    }
    if (ferror(f))
        return -EIO;
    return t->n ? 0 : CGW_EINVAL;
}

static int load(const char *path, struct diag *diag)
{
    struct table t = {.e = calloc(ENTRIES_MAX, sizeof *t.e)};
    uint32_t line = 0;
    FILE *f = fopen(path, "re");
    int rc = !f ? -errno : t.e ? table_read(f, &t, &line) : -ENOMEM;
    if (f)
        (void)fclose(f);
    if (rc < 0) {
        table_free(&t);
        return diag_set(diag, rc, path,
                        "line %u: not a zone table; name tzdata's zone1970.tab or zone.tab", line);
    }
    table_sort(&t);
    /* zone strings already handed out stay valid: an earlier table is kept, not freed */
    entries = t.e;
    n_entries = t.n;
    return 0;
}

int address_zones_load(const char *path, struct diag *diag)
{
    (void)pthread_mutex_lock(&load_lock);
    int rc = load(path, diag);
    loaded = loaded || rc == 0;
    (void)pthread_mutex_unlock(&load_lock);
    return rc;
}

static void need_table(void)
{
    (void)pthread_mutex_lock(&load_lock);
    if (!loaded) {
        (void)load(ZONE_TABLE, NULL); /* unreadable = no zones = nobody is called at night */
        loaded = true;
    }
    (void)pthread_mutex_unlock(&load_lock);
}

/* ---- lookups
 * --------------------------------------------------------------------------------------------------------------------
 */

/* Add the country's zones behind the n already there; a zone stands once. */
static uint32_t add_country(const char *country, const char *zones[], uint32_t n, uint32_t max)
{
    uint32_t lo = 0, hi = n_entries;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (memcmp(entries[mid].country, country, 2) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n_entries && !memcmp(entries[lo].country, country, 2); lo++) {
        bool seen = false;
        for (uint32_t i = 0; i < n && i < max && !seen; i++)
            seen = !strcmp(zones[i], entries[lo].zone);
        if (seen)
            continue;
        if (n < max)
            zones[n] = entries[lo].zone;
        n++;
    }
    return n;
}

uint32_t address_region_zones(const char *region, const char *zones[], uint32_t max)
{
    if (strlen(region) < 2 || (region[2] && region[2] != '-'))
        return 0;
    need_table();
    return add_country(region, zones, 0, max);
}

uint32_t address_zones(const char *e164, const char *zones[], uint32_t max)
{
    struct address a;
    struct diag unused;
    if (e164[0] != '+' ||
        address_normalise(e164, strlen(e164), CGW_ADDR_E164, "", &a, &unused) < 0 || !a.region[0])
        return 0;
    need_table();
    const struct phone_plan *const *plans;
    uint32_t n_plans = phone_lib_plans(phone_lib_country_code(a.region), &plans), n = 0;
    /* a toll-free or personal number of a shared country code may be anywhere in that plan */
    if (a.line != ADDRESS_LINE_OTHER || n_plans < 2)
        return add_country(a.region, zones, 0, max);
    for (uint32_t i = 0; i < n_plans; i++)
        n = add_country(plans[i]->region, zones, n, max);
    return n;
}

/* ---- names
 * -------------------------------------------------------------------------------------------------------------------------
 */

static char *known[KNOWN_MAX]; /* open hash, owned, only grows */
static uint32_t n_known;
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

static bool name_ok(const char *zone)
{
    static const char *const not_zones[] = {"localtime", "posixrules", "Factory"};
    size_t len = strlen(zone);
    if (!len || len >= ZONE_NAME_MAX || zone[0] == '/' || strstr(zone, "..") || strstr(zone, "//"))
        return false;
    if (strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") != len)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(not_zones); i++)
        if (!strcmp(zone, not_zones[i]))
            return false;
    return strncmp(zone, "posix/", 6) != 0 &&
           strncmp(zone, "right/", 6) != 0; /* copies, the latter with leap seconds */
}

static bool on_disk(const char *zone)
{
    char path[sizeof ZONEINFO_DIR + ZONE_NAME_MAX + 2], magic[4];
    (void)snprintf(path, sizeof path, ZONEINFO_DIR "/%s", zone);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
           !memcmp(magic, "TZif", 4);
}

static uint32_t slot_of(const char *zone)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (const char *p = zone; *p; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    for (h &= KNOWN_MAX - 1; known[h] && strcmp(known[h], zone) != 0; h = (h + 1) & (KNOWN_MAX - 1))
        ;
    return h;
}

bool address_zone_known(const char *zone)
{
    if (!name_ok(zone))
        return false;
    (void)pthread_mutex_lock(&known_lock);
    uint32_t at = slot_of(zone);
    bool yes = known[at] != NULL;
    if (!yes && on_disk(zone)) {
        yes = true;
        if (n_known < KNOWN_MAX * 3 / 4 && (known[at] = strdup(zone)))
            n_known++;
    }
    (void)pthread_mutex_unlock(&known_lock);
    return yes;
}
