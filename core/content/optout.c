/* SPDX-License-Identifier: Apache-2.0 */
/* optout.c - see optout.h: word sets and the matcher. Levelling of text: optout_text.c. */
#include "content/optout.h"

#include "content/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *optout_kind_word(enum optout_kind k)
{
    static const char *const words[] = {"none", "stop", "stop_all", "unclear", "start", "help"};
    return (size_t)k < ARRAY_LEN(words) ? words[k] : "?";
}

/* ---- sets
 * --------------------------------------------------------------------------------------------------------------------------
 */

int optout_set_new(struct optout_sets *sets, const char *locale, struct optout_set **ret,
                   struct diag *diag)
{
    size_t len = strlen(locale);
    if (!len || len >= sizeof sets->set->locale)
        return diag_set(diag, CGW_EINVAL, "locale",
                        "A locale has 1 to 15 characters, such as en or zh-CN.");
    if (sets->n == OPTOUT_SETS_MAX)
        return diag_set(diag, CGW_ELIMIT, "sets", "There are more than %u locales.",
                        OPTOUT_SETS_MAX);
    for (uint32_t i = 0; i < sets->n; i++)
        if (!strcmp(sets->set[i].locale, locale))
            return diag_set(diag, CGW_EEXISTS, "locale",
                            "The locale '%s' stands twice; join its words.", locale);
    struct optout_set *more = realloc(sets->set, (sets->n + 1) * sizeof *more);
    if (!more)
        return diag_set(diag, -ENOMEM, "", "No memory for opt-out words.");
    sets->set = more;
    *ret = &sets->set[sets->n++];
    **ret = (struct optout_set){0};
    memcpy((*ret)->locale, locale, len + 1);
    return 0;
}

static int insert_word(struct optout_set *set, enum optout_list list, const char *word, size_t len)
{
    uint32_t n = set->n[list], at = 0;
    char **more = realloc(set->words[list], (n + 1) * sizeof *more);
    char *copy = strndup(word, len);
    if (more)
        set->words[list] = more;
    if (!more || !copy) {
        free(copy);
        return -ENOMEM;
    }
    while (at < n && strlen(more[at]) >= len) /* longest first: "stop all" before "stop" */
        at++;
    memmove(more + at + 1, more + at, (n - at) * sizeof *more);
    more[at] = copy;
    set->n[list]++;
    return 0;
}

int optout_add(struct optout_set *set, enum optout_list list, const char *word, struct diag *diag)
{
    char norm[OPTOUT_WORD_MAX + 1];
    bool cut;
    size_t len = optout_normalise(word, strlen(word), norm, sizeof norm, &cut);
    if (cut)
        return diag_set(diag, CGW_ELIMIT, set->locale, "A word is longer than %u bytes.",
                        OPTOUT_WORD_MAX);
    if (!len)
        return diag_set(diag, CGW_EINVAL, set->locale,
                        "A word is empty or holds punctuation only.");
    for (uint32_t i = 0; i < set->n[list]; i++)
        if (!strcmp(set->words[list][i], norm))
            return 0;
    if (set->n[list] == OPTOUT_WORDS_MAX)
        return diag_set(diag, CGW_ELIMIT, set->locale, "A list has more than %u words.",
                        OPTOUT_WORDS_MAX);
    if (insert_word(set, list, norm, len) < 0)
        return diag_set(diag, -ENOMEM, "", "No memory for opt-out words.");
    return 0;
}

void optout_sets_done(struct optout_sets *sets)
{
    for (uint32_t i = 0; i < sets->n; i++)
        for (int list = 0; list < OPTOUT_LISTS; list++) {
            for (uint32_t w = 0; w < sets->set[i].n[list]; w++)
                free(sets->set[i].words[list][w]);
            free(sets->set[i].words[list]);
        }
    free(sets->set);
    *sets = (struct optout_sets){0};
}

/* ---- matching
 * ------------------------------------------------------------------------------------------------------------------------
 */

/* Han, kana and their neighbours are written without blanks, so words begin and end anywhere. */
static bool is_unspaced(uint32_t c)
{
    return (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x3ffff);
}

static uint32_t char_before(const char *from, const char *at)
{
    const char *p = at;
    uint32_t c = ' ';
    while (p > from && ((uint8_t) * --p & 0xc0) == 0x80)
        ;
    if (p < at)
        (void)utf8_next(p, (size_t)(at - p), &c);
    return c;
}

static uint32_t char_at(const char *at, const char *end)
{
    uint32_t c = ' ';
    if (at < end)
        (void)utf8_next(at, (size_t)(end - at), &c);
    return c;
}

/* May a word end at `at`? At a blank, or where one of both neighbours needs none. */
static bool is_boundary(const char *from, const char *at, const char *end)
{
    uint32_t a = char_before(from, at), b = char_at(at, end);
    return a == ' ' || b == ' ' || is_unspaced(a) || is_unspaced(b);
}

struct scan {
    const char *from, *end;
};

static bool stands_at(const struct scan *s, const char *at, const char *word)
{
    size_t len = strlen(word);
    return len <= (size_t)(s->end - at) && !memcmp(at, word, len) &&
           is_boundary(s->from, at, s->end) && is_boundary(s->from, at + len, s->end);
}

static bool one_char(const char *word)
{
    return utf8_count(word, strlen(word)) == 1;
}

static const enum optout_kind kind_of_list[OPTOUT_LISTS] = {
    [OPTOUT_LIST_STOP] = OPTOUT_MARKETING, [OPTOUT_LIST_ALL] = OPTOUT_ALL,
    [OPTOUT_LIST_START] = OPTOUT_START,    [OPTOUT_LIST_HELP] = OPTOUT_HELP,
    [OPTOUT_LIST_POLITE] = OPTOUT_NONE,
};

/* Longest word of any list at `at`; single characters are left to the whole-message test. */
struct found {
    const struct optout_set *set;
    const char *word; /* NULL: none */
    enum optout_list list;
    size_t len;
};

static struct found longest_at(const struct optout_sets *sets, const struct scan *s, const char *at)
{
    struct found best = {0};
    for (uint32_t i = 0; i < sets->n; i++)
        for (int list = 0; list < OPTOUT_LISTS; list++)
            for (uint32_t w = 0; w < sets->set[i].n[list]; w++) {
                const char *word = sets->set[i].words[list][w];
                size_t len = strlen(word);
                if (len <= best.len || (list != OPTOUT_LIST_POLITE && one_char(word)) ||
                    !stands_at(s, at, word))
                    continue;
                best = (struct found){&sets->set[i], word, (enum optout_list)list, len};
                break; /* longest first inside a list */
            }
    return best;
}

static bool is_stop(enum optout_kind k)
{
    return k == OPTOUT_MARKETING || k == OPTOUT_ALL;
}

/* Two wishes in one message: the wider stop wins, a stop beside a start or a question for help is
 * unclear. */
static void combine(struct optout_hit *hit, const struct found *f)
{
    enum optout_kind k = kind_of_list[f->list];
    bool wider = hit->kind == OPTOUT_NONE || (hit->kind == OPTOUT_MARKETING && k == OPTOUT_ALL);
    if (k == OPTOUT_NONE || hit->kind == OPTOUT_UNCLEAR)
        return;
    if (hit->kind != OPTOUT_NONE && is_stop(hit->kind) != is_stop(k))
        hit->kind = OPTOUT_UNCLEAR;
    else if (wider)
        *hit = (struct optout_hit){k, f->set->locale, f->word};
}

/* Nothing but known words? */
static bool match_words_only(const struct optout_sets *sets, const struct scan *s,
                             struct optout_hit *hit)
{
    *hit = (struct optout_hit){OPTOUT_NONE, "", ""};
    for (const char *at = s->from; at < s->end;) {
        if (*at == ' ') {
            at++;
            continue;
        }
        struct found f = longest_at(sets, s, at);
        if (!f.word)
            return false;
        combine(hit, &f);
        at += f.len;
    }
    return hit->kind != OPTOUT_NONE;
}

/* The whole message is one word of a list, of one character maybe. */
static bool match_exact(const struct optout_sets *sets, const struct scan *s,
                        struct optout_hit *hit)
{
    size_t len = (size_t)(s->end - s->from);
    *hit = (struct optout_hit){OPTOUT_NONE, "", ""};
    for (uint32_t i = 0; i < sets->n; i++)
        for (int list = 0; list < OPTOUT_LIST_POLITE; list++)
            for (uint32_t w = 0; w < sets->set[i].n[list]; w++) {
                const char *word = sets->set[i].words[list][w];
                if (strlen(word) != len || memcmp(word, s->from, len) != 0)
                    continue;
                combine(hit, &(struct found){&sets->set[i], word, (enum optout_list)list, len});
            }
    return hit->kind != OPTOUT_NONE;
}

/* A stop word anywhere: worth a person's look. */
static bool match_inside(const struct optout_sets *sets, const struct scan *s,
                         struct optout_hit *hit)
{
    for (const char *at = s->from; at < s->end; at++) {
        if (*at == ' ' || ((uint8_t)*at & 0xc0) == 0x80 || !is_boundary(s->from, at, s->end))
            continue;
        struct found f = longest_at(sets, s, at);
        if (f.word && is_stop(kind_of_list[f.list])) {
            *hit = (struct optout_hit){OPTOUT_UNCLEAR, f.set->locale, f.word};
            return true;
        }
    }
    return false;
}

/* "S T O P": single letters with blanks between them are one word. \return new length, 0 when it is
 * something else */
static size_t join_letters(const char *s, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if ((i % 2 == 0) != (s[i] >= 'a' && s[i] <= 'z') || (i % 2 == 1 && s[i] != ' '))
            return 0;
        if (i % 2 == 0)
            out[n++] = s[i];
    }
    return len % 2 == 1 && n > 1 ? n : 0;
}

static bool match_whole(const struct optout_sets *sets, const char *text, size_t len,
                        struct optout_hit *ret)
{
    char joined[OPTOUT_WHOLE_MAX + 1];
    struct scan s = {text, text + len};
    if (match_exact(sets, &s, ret) || match_words_only(sets, &s, ret))
        return true;
    size_t n = join_letters(text, len, joined);
    struct scan j = {joined, joined + n};
    return n && match_exact(sets, &j, ret);
}

void optout_match(const struct optout_sets *sets, const char *text, size_t len,
                  struct optout_hit *ret)
{
    char norm[OPTOUT_LOOK_MAX + 1];
    bool cut;
    size_t n = optout_normalise(text, len, norm, sizeof norm, &cut);
    struct scan s = {norm, norm + n};
    *ret = (struct optout_hit){OPTOUT_NONE, "", ""};
    if (!n)
        return;
    if (!cut && n <= OPTOUT_WHOLE_MAX && match_whole(sets, norm, n, ret))
        return;
    *ret = (struct optout_hit){OPTOUT_NONE, "", ""};
    (void)match_inside(sets, &s, ret);
}

bool optout_is_word(const struct optout_sets *sets, const char *word, size_t len)
{
    struct optout_hit hit;
    optout_match(sets, word, len, &hit);
    return is_stop(hit.kind);
}
