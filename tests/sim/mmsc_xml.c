/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_xml.c - finds elements in well-formed XML by walking its tags. Local names only. */
#include "mmsc.h"

#include <string.h>

struct tag {
    struct mmsc_str name; /* local */
    bool is_end, is_empty;
    const char *from, *after;
};

static bool next_tag(const char *at, const char *end, struct tag *ret)
{
    for (const char *p = at; (p = memchr(p, '<', (size_t)(end - p))); p++) {
        const char *stop = memchr(p, '>', (size_t)(end - p));
        if (!stop)
            return false;
        if (p[1] == '?' || p[1] == '!')
            continue;
        *ret = (struct tag){.from = p, .after = stop + 1};
        ret->is_end = p[1] == '/';
        ret->is_empty = stop[-1] == '/';
        const char *name = p + 1 + ret->is_end, *last = name;
        while (last < stop && !strchr(" \t\r\n/", *last))
            last++;
        const char *colon = memchr(name, ':', (size_t)(last - name));
        name = colon ? colon + 1 : name;
        ret->name = (struct mmsc_str){name, (size_t)(last - name)};
        return true;
    }
    return false;
}

static bool is_name(const struct tag *t, const char *name)
{
    return strlen(name) == t->name.len && !memcmp(t->name.at, name, t->name.len);
}

struct mmsc_str mmsc_text(struct mmsc_str xml, const char *name)
{
    const char *end = xml.at + xml.len;
    struct tag t, stop;
    for (const char *at = xml.at; at && next_tag(at, end, &t); at = t.after) {
        if (t.is_end || !is_name(&t, name))
            continue;
        if (t.is_empty)
            return (struct mmsc_str){t.from, 0};
        int depth = 1;
        for (const char *in = t.after; next_tag(in, end, &stop); in = stop.after) {
            depth += stop.is_empty ? 0 : stop.is_end ? -1 : 1;
            if (depth == 0)
                return (struct mmsc_str){t.after, (size_t)(stop.from - t.after)};
        }
        return (struct mmsc_str){NULL, 0};
    }
    return (struct mmsc_str){NULL, 0};
}

bool mmsc_has(struct mmsc_str s, const char *word)
{
    return s.at && memmem(s.at, s.len, word, strlen(word)) != NULL;
}

const char *mmsc_out_of_order(struct mmsc_str xml, const char *outer, const char *const *order)
{
    static char wrong[64];
    struct mmsc_str in = mmsc_text(xml, outer);
    const char *at = in.at, *end = in.at ? in.at + in.len : NULL;
    struct tag t;
    int depth = 0, place = 0;
    while (at && next_tag(at, end, &t)) {
        if (!t.is_end && depth == 0) {
            int found = place;
            while (order[found] && !is_name(&t, order[found]))
                found++;
            if (!order[found]) {
                size_t n = t.name.len < sizeof wrong - 1 ? t.name.len : sizeof wrong - 1;
                memcpy(wrong, t.name.at, n);
                wrong[n] = '\0';
                return wrong;
            }
            place = found + 1; /* each at most once */
        }
        depth += t.is_empty ? 0 : t.is_end ? -1 : 1;
        at = t.after;
    }
    return NULL;
}
