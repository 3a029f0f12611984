/* SPDX-License-Identifier: Apache-2.0 */
/* test_optout.c - replies that revoke and replies that do not, against the shipped words of
 * conf/optout.conf. */
#include "content/optout_conf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#ifndef TEST_SRCDIR
#define TEST_SRCDIR "."
#endif

static struct optout_sets sets;

static void load(void)
{
    struct diag why;
    cr_assert_eq(optout_conf_load(TEST_SRCDIR "/conf/optout.conf", &sets, &why), 0, "%s %s",
                 why.where, why.text);
}
static void unload(void)
{
    optout_sets_done(&sets);
}
TestSuite(optout, .init = load, .fini = unload, .timeout = 30);

struct reply {
    const char *text;
    enum optout_kind kind;
};

static void check(const struct reply *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct optout_hit hit;
        optout_match(&sets, r[i].text, strlen(r[i].text), &hit);
        cr_expect_eq(hit.kind, r[i].kind, "reply '%s': %s, expected %s (word '%s')", r[i].text,
                     optout_kind_word(hit.kind), optout_kind_word(r[i].kind), hit.word);
        cr_expect_eq(hit.kind == OPTOUT_NONE, hit.word[0] == 0, "reply '%s'", r[i].text);
    }
}

Test(optout, takes_every_stop_word_in_any_case_and_dress)
{
    static const char *const words[] = {
        "stop", "quit", "end",  "revoke", "opt out", "optout", "cancel",   "unsubscribe", "退订",
        "退訂", "拒收", "取消", "td",     "t",       "r",      "不要再发", "不要再发了"};
    static const char *const dress[] = {"%s",
                                        " %s ",
                                        "%s.",
                                        "%s!!!",
                                        "\"%s\"",
                                        "'%s'",
                                        "“%s”",
                                        "「%s」",
                                        "(%s)",
                                        "%s\r\n",
                                        "\t%s",
                                        "%s。",
                                        "%s！",
                                        "*%s*",
                                        "%s \xf0\x9f\x9b\x91",
                                        "\xf0\x9f\x98\xa1%s",
                                        "\xe2\x80\x8b%s",
                                        "%s\xef\xb8\x8f",
                                        "\xef\xbb\xbf%s",
                                        "- %s -",
                                        "【%s】",
                                        "　%s　",
                                        "%s…",
                                        "<%s>",
                                        "#%s"};
    for (size_t w = 0; w < ARRAY_LEN(words); w++)
        for (size_t d = 0; d < ARRAY_LEN(dress); d++)
            for (int upper = 0; upper < 2; upper++) {
                char text[128], word[32];
                struct optout_hit hit;
                (void)snprintf(word, sizeof word, "%s", words[w]);
                for (char *p = word; upper && *p; p++)
                    if (*p >= 'a' && *p <= 'z')
                        *p = (char)(*p - 32);
                const char *mark = strstr(dress[d], "%s");
                (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(mark - dress[d]), dress[d],
                               word, mark + 2);
                optout_match(&sets, text, strlen(text), &hit);
                cr_expect_eq(hit.kind, OPTOUT_MARKETING, "'%s' is %s", text,
                             optout_kind_word(hit.kind));
            }
}

Test(optout, takes_polite_and_repeated_forms)
{
    static const struct reply r[] = {
        {"ＳＴＯＰ", OPTOUT_MARKETING},
        {"ｔｄ", OPTOUT_MARKETING},
        {"Ｔ", OPTOUT_MARKETING},
        {"opt-out", OPTOUT_MARKETING},
        {"OPT_OUT", OPTOUT_MARKETING},
        {"Opt\nOut", OPTOUT_MARKETING},
        {"please stop", OPTOUT_MARKETING},
        {"Stop, please!", OPTOUT_MARKETING},
        {"STOP STOP STOP", OPTOUT_MARKETING},
        {"stop. thanks", OPTOUT_MARKETING},
        {"stop now", OPTOUT_MARKETING},
        {"Hello, unsubscribe please. Thank you", OPTOUT_MARKETING},
        {"S T O P", OPTOUT_MARKETING},
        {"s.t.o.p.", OPTOUT_MARKETING},
        {"S-T-O-P", OPTOUT_MARKETING},
        {"退 订", OPTOUT_MARKETING},
        {"退订，谢谢", OPTOUT_MARKETING},
        {"请退订", OPTOUT_MARKETING},
        {"您好，请取消，谢谢！", OPTOUT_MARKETING},
        {"退订TD", OPTOUT_MARKETING},
        {"TD退订", OPTOUT_MARKETING},
        {"td td", OPTOUT_MARKETING},
        {"退订退订", OPTOUT_MARKETING},
        {"我要退订", OPTOUT_MARKETING},
        {"退订短信", OPTOUT_MARKETING},
        {"别发了", OPTOUT_MARKETING},
        {"stop texting me", OPTOUT_MARKETING},
        {"st\xe2\x80\x8bop", OPTOUT_MARKETING},
        {"STOP 退订", OPTOUT_MARKETING},
        {"stop / cancel / end", OPTOUT_MARKETING},
    };
    check(r, ARRAY_LEN(r));
}

Test(optout, widens_to_all_classes_only_when_asked)
{
    static const struct reply r[] = {
        {"STOP ALL", OPTOUT_ALL},
        {"stop-all", OPTOUT_ALL},
        {"StopAll!", OPTOUT_ALL},
        {"全部退订", OPTOUT_ALL},
        {"请全部退订", OPTOUT_ALL},
        {"退订全部", OPTOUT_ALL},
        {"全部 退订", OPTOUT_ALL},
        {"stop stop all", OPTOUT_ALL},
        {"stop all please", OPTOUT_ALL},
        {"全部退订，谢谢", OPTOUT_ALL},
        {"全部退訂", OPTOUT_ALL},
        {"ＳＴＯＰ　ＡＬＬ", OPTOUT_ALL},
        {"all", OPTOUT_NONE},
        {"全部", OPTOUT_NONE},
    };
    check(r, ARRAY_LEN(r));
}

Test(optout, keeps_longer_texts_as_unclear)
{
    static const struct reply r[] = {
        {"When does the bus stop?", OPTOUT_UNCLEAR},
        {"I want to cancel my order", OPTOUT_UNCLEAR},
        {"don't stop", OPTOUT_UNCLEAR},
        {"I am on holiday until the end of May. Reply STOP to end.", OPTOUT_UNCLEAR},
        {"怎么退订这个业务", OPTOUT_UNCLEAR},
        {"我没有要求退订", OPTOUT_UNCLEAR},
        {"START or STOP", OPTOUT_UNCLEAR},
        {"stop start", OPTOUT_UNCLEAR},
        {"help stop", OPTOUT_UNCLEAR},
        {"stop 2", OPTOUT_UNCLEAR},
        {"TD银行在哪里", OPTOUT_UNCLEAR},
    };
    check(r, ARRAY_LEN(r));
}

Test(optout, leaves_other_replies_alone)
{
    static const struct reply r[] = {
        {"", OPTOUT_NONE},           {" ", OPTOUT_NONE},
        {"?", OPTOUT_NONE},          {"\xf0\x9f\x91\x8d", OPTOUT_NONE},
        {"Y", OPTOUT_NONE},          {"N", OPTOUT_NONE},
        {"yes please", OPTOUT_NONE}, {"Thanks!", OPTOUT_NONE},
        {"谢谢", OPTOUT_NONE},       {"stopped", OPTOUT_NONE},
        {"nonstop", OPTOUT_NONE},    {"ending", OPTOUT_NONE},
        {"T shirt?", OPTOUT_NONE},   {"R u there", OPTOUT_NONE},
        {"plan T", OPTOUT_NONE},     {"TT", OPTOUT_NONE},
        {"mtd", OPTOUT_NONE},        {"TDX", OPTOUT_NONE},
        {"1", OPTOUT_NONE},          {"请问几点开门", OPTOUT_NONE},
        {"START", OPTOUT_START},     {"start please", OPTOUT_START},
        {"订阅", OPTOUT_START},      {"HELP", OPTOUT_HELP},
        {"help!", OPTOUT_HELP},      {"帮助", OPTOUT_HELP},
        {"Info", OPTOUT_HELP},       {"\xff\xfe\x80", OPTOUT_NONE},
    };
    check(r, ARRAY_LEN(r));
}

Test(optout, takes_broken_bytes_as_blanks)
{
    struct optout_hit hit;
    optout_match(&sets, "\xff\xc0STOP\xe4\xbd", 8, &hit);
    cr_expect_eq(hit.kind, OPTOUT_MARKETING);
    optout_match(&sets, "\0STOP\0", 6, &hit);
    cr_expect_eq(hit.kind, OPTOUT_MARKETING);
}

Test(optout, does_not_take_a_cut_message_for_a_plain_word)
{
    static char text[20000];
    struct optout_hit hit;
    memset(text, ' ', sizeof text);
    memcpy(text, "STOP", 4);
    memcpy(text + sizeof text - 7, "bananas", 7);
    optout_match(&sets, text, sizeof text, &hit);
    cr_expect_eq(hit.kind, OPTOUT_UNCLEAR);
    memset(text, 'a', sizeof text);
    optout_match(&sets, text, sizeof text, &hit);
    cr_expect_eq(hit.kind, OPTOUT_NONE);
}

Test(optout, knows_which_words_no_campaign_may_use)
{
    static const char *const yes[] = {"stop", "Stop!",    "TD",       "t",           "R",
                                      "退订", "全部退订", "stop all", "please stop", "opt-out"};
    static const char *const no[] = {"WIN",  "Y", "N",    "stopwatch",           "START",
                                     "HELP", "",  "抽奖", "stop me now or never"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        cr_expect(optout_is_word(&sets, yes[i], strlen(yes[i])), "%s", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        cr_expect_not(optout_is_word(&sets, no[i], strlen(no[i])), "%s", no[i]);
}

Test(optout, normalises_to_the_same_text)
{
    static const struct {
        const char *in, *out;
    } t[] = {
        {"  A  B ", "a b"},
        {"ÄÖÜ Éa", "äöü éa"},
        {"СТОП", "стоп"},
        {"ΤΕΛΟΣ", "τελοσ"},
        {"ŁÓDŹ Ž", "łódź ž"},
        {"退 订 T D", "退订 t d"},
        {"a\xc2\xad"
         "b",
         "ab"},
        {"x—y", "x y"},
        {"STOP®", "stop"},
        {"İı", "ii"},
        {"１２３", "123"},
        {"", ""},
        {"!?", ""},
        {"Ａ．Ｂ", "a b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        char out[64];
        bool cut;
        size_t n = optout_normalise(t[i].in, strlen(t[i].in), out, sizeof out, &cut);
        cr_expect_str_eq(out, t[i].out, "'%s'", t[i].in);
        cr_expect_eq(n, strlen(out));
        cr_expect_not(cut);
    }
}

Test(optout, cuts_at_a_character)
{
    char out[6];
    bool cut;
    size_t n = optout_normalise("退订退订", 12, out, sizeof out, &cut);
    cr_expect_eq(n, 3);
    cr_expect_str_eq(out, "退");
    cr_expect(cut);
}

Test(optout, refuses_a_wrong_file_with_line_and_remedy)
{
    static const struct {
        const char *text, *where, *says;
    } t[] = {
        {"sets = ( { locale = \"en\"\n stop = [ \"STOP\" ] ", "x:2", "cannot be read"},
        {"", "x:0", "no sets"},
        {"sets = ();", "x:1", "no sets"},
        {"words = 1;\nsets = ( { locale = \"en\"; stop = [\"A\"]; } );", "x:1",
         "Unknown key 'words'"},
        {"sets = (\n { stop = [\"A\"]; } );", "x:2", "no locale"},
        {"sets = ( { locale = \"en\"; stopp = [\"A\"]; } );", "x:1", "Unknown key 'stopp'"},
        {"sets = ( { locale = \"en\"; stop = \"A\"; } );", "x:1", "list of words"},
        {"sets = ( { locale = \"en\"; stop = [ 1 ]; } );", "x:1", "no string"},
        {"sets = ( { locale = \"en\"; stop = [ \"!!\" ]; } );", "x:1", "punctuation"},
        {"sets = ( { locale = \"en\"; } );", "x:1", "no stop words"},
        {"sets = ( { locale = \"en\"; stop=[\"A\"]; },\n{ locale = \"en\"; stop=[\"B\"]; } );",
         "x:2", "twice"},
        {"sets = ( 3 );", "x:1", "A set is"},
        {"@include \"/etc/passwd\"\n", "x:0", "not allowed"},
        {"sets = ( { locale = \"a-very-long-locale-name\"; stop=[\"A\"]; } );", "x:1", "1 to 15"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct optout_sets s = {0};
        struct diag why = {0};
        cr_expect_eq(optout_conf_parse(t[i].text, "x", &s, &why), CGW_EINVAL, "%zu", i);
        cr_expect_str_eq(why.where, t[i].where, "%zu", i);
        cr_expect(strstr(why.text, t[i].says) != NULL, "%zu: %s", i, why.text);
        cr_expect_eq(s.n, 0);
    }
    struct optout_sets s = {0};
    struct diag why = {0};
    cr_expect_eq(optout_conf_load("/nonexistent/optout.conf", &s, &why), -2);
}
