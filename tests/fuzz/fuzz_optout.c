/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_optout.c - replies against the shipped kind of words, and the file they come from. Input:
 * first octet even = a reply, odd = a configuration. Promises: levelling twice is levelling once; a
 * hit names its word; blanks and case around a reply change nothing. */
#include "content/utf8.h"
#include "fuzz_ingest.h"
#include "content/optout_conf.h"

#include <string.h>

/* libconfig 1.5 forgets the string and the token it is reading when a syntax error ends the file;
 * nothing of ours is excused by this. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static const char words[] = "sets = ( { locale = \"en\"; stop = [\"STOP\", \"END\", \"OPT OUT\"]; "
                            "all = [\"STOP ALL\"]; start = [\"START\"];"
                            " help = [\"HELP\"]; polite = [\"PLEASE\", \"THANKS\"]; },"
                            "{ locale = \"zh\"; stop = [\"退订\", \"TD\", \"T\", \"R\"]; all = "
                            "[\"全部退订\"]; polite = [\"请\", \"谢谢\"]; } );";

static struct optout_sets *sets(void)
{
    static struct optout_sets s;
    if (!s.n)
        CHECK(optout_conf_parse(words, "words", &s, NULL) == 0);
    return &s;
}

static void reply(const char *text, size_t len)
{
    static char once[OPTOUT_LOOK_MAX + 1], twice[OPTOUT_LOOK_MAX + 1];
    struct optout_hit hit, same;
    bool cut;
    size_t n = optout_normalise(text, len, once, sizeof once, &cut);
    CHECK(n == strlen(once) && utf8_valid(once, n));
    CHECK(optout_normalise(once, n, twice, sizeof twice, NULL) == n && !strcmp(once, twice));
    optout_match(sets(), text, len, &hit);
    CHECK((hit.kind == OPTOUT_NONE) == !hit.word[0] && (hit.kind == OPTOUT_NONE) == !hit.locale[0]);
    CHECK(hit.kind == OPTOUT_NONE || strstr(once, hit.word) || n > OPTOUT_WHOLE_MAX ||
          strchr(once, ' '));
    if (cut)
        return;
    optout_match(sets(), once, n, &same);
    CHECK(same.kind == hit.kind && same.word == hit.word);
    CHECK(optout_is_word(sets(), text, len) ==
          (hit.kind == OPTOUT_MARKETING || hit.kind == OPTOUT_ALL));
}

static void configuration(const uint8_t *data, size_t size)
{
    struct optout_sets s = {0};
    struct diag why = {0};
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = 0;
    int rc = optout_conf_parse(text, "words", &s, &why);
    CHECK(rc == 0 ? s.n > 0 : s.n == 0 && why.text[0]);
    struct optout_hit hit;
    optout_match(&s, "please stop", 11, &hit);
    optout_sets_done(&s);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] & 1)
        configuration(data + 1, size - 1);
    else
        reply((const char *)data + 1, size - 1);
    return 0;
}
