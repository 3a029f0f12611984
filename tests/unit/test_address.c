/* SPDX-License-Identifier: Apache-2.0 */
/* test_address.c - numbers and e-mail addresses as people write them; the fast tables against the
 * library; zones; customer ids. */
#include "address/address.h"
#include "address/phone_dfa.h"
#include "address/phone_fast.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct number_case {
    const char *text, *region, *want; /* E.164, or the fault's code */
    int line;                         /* enum address_line, -1 = does not matter */
};

static const struct number_case numbers[] = {
    /* China */
    {"+8613800138000", "", "+8613800138000", ADDRESS_LINE_MOBILE},
    {"+86 138 0013 8000", "", "+8613800138000", ADDRESS_LINE_MOBILE},
    {"+86-138-0013-8000", "", "+8613800138000", -1},
    {"+86.138.0013.8000", "", "+8613800138000", -1},
    {"(+86) 13800138000", "", "+8613800138000", -1},
    {"+86 (138) 0013/8000", "", "+8613800138000", -1},
    {"008613800138000", "", "+8613800138000", -1},
    {"00 86 138 0013 8000", "", "+8613800138000", -1},
    {"008613800138000", "CN", "+8613800138000", -1},
    {"13800138000", "CN", "+8613800138000", ADDRESS_LINE_MOBILE},
    {"138-0013-8000", "CN", "+8613800138000", -1},
    {" 138 0013 8000 ", "CN", "+8613800138000", -1},
    {"８６", "CN", "number_too_short", -1},
    {"＋８６１３８００１３８０００", "", "+8613800138000", -1},
    {"１３８００１３８０００", "CN", "+8613800138000", -1},
    {"138　0013　8000", "CN", "+8613800138000", -1},
    {"8613800138000", "CN", "+8613800138000", -1},
    {"8613800138000", "", "number_no_country", -1},
    {"13800138000", "", "number_no_country", -1},
    {"010 6552 9988", "CN", "+861065529988", ADDRESS_LINE_FIXED},
    {"+86 10 6552 9988", "", "+861065529988", ADDRESS_LINE_FIXED},
    {"0755-86013388", "CN", "+8675586013388", ADDRESS_LINE_FIXED},
    {"+862161234567", "", "+862161234567", ADDRESS_LINE_FIXED},
    {"4008123123", "CN", "+864008123123", ADDRESS_LINE_OTHER},
    {"+861380013800", "", "number_not_valid", -1},
    {"+86138001380001", "", "number_not_valid", -1},
    {"+861380013800012", "", "number_too_long", -1},
    {"1380013", "CN", "number_not_valid", -1},
    {"+86 1", "", "number_too_short", -1},
    /* elsewhere */
    {"+1 212 555 0123", "", "+12125550123", ADDRESS_LINE_FIXED_OR_MOBILE},
    {"(212) 555-0123", "US", "+12125550123", -1},
    {"1-212-555-0123", "US", "+12125550123", -1},
    {"212.555.0123", "US", "+12125550123", -1},
    {"011 86 138 0013 8000", "US", "+8613800138000", -1},
    {"0086 138 0013 8000", "US", "+8613800138000", -1},
    {"+1 800 253 0000", "", "+18002530000", ADDRESS_LINE_OTHER},
    {"+1 242 365 1234", "", "+12423651234", -1},
    {"+44 7400 123456", "", "+447400123456", ADDRESS_LINE_MOBILE},
    {"+44 (0)7400 123456", "", "+447400123456", -1},
    {"07400 123456", "GB", "+447400123456", -1},
    {"+44 20 7031 3000", "", "+442070313000", ADDRESS_LINE_FIXED},
    {"+49 1512 3456789", "", "+4915123456789", ADDRESS_LINE_MOBILE},
    {"01512 3456789", "DE", "+4915123456789", -1},
    {"+49 (0) 1512 3456789", "", "+4915123456789", -1},
    {"+39 06 1234 5678", "", "+390612345678", ADDRESS_LINE_FIXED},
    {"312 345 6789", "IT", "+393123456789", ADDRESS_LINE_MOBILE},
    {"+33 6 12 34 56 78", "", "+33612345678", ADDRESS_LINE_MOBILE},
    {"06 12 34 56 78", "FR", "+33612345678", -1},
    {"+81 90-1234-5678", "", "+819012345678", ADDRESS_LINE_MOBILE},
    {"090-1234-5678", "JP", "+819012345678", -1},
    {"010 86 138 0013 8000", "JP", "+8613800138000", -1},
    {"+7 912 345 67 89", "", "+79123456789", ADDRESS_LINE_MOBILE},
    {"8 (912) 345-67-89", "RU", "+79123456789", -1},
    {"+7 771 000 9998", "", "+77710009998", ADDRESS_LINE_MOBILE},
    {"+91 81234 56789", "", "+918123456789", ADDRESS_LINE_MOBILE},
    {"081234 56789", "IN", "+918123456789", -1},
    {"+98 912 345 6789", "", "+989123456789", ADDRESS_LINE_MOBILE},
    {"۰۹۱۲۳۴۵۶۷۸۹", "IR", "+989123456789", -1},
    {"٠٥٠١٢٣٤٥٦٧", "SA", "+966501234567", -1},
    {"+852 5123 4567", "", "+85251234567", ADDRESS_LINE_MOBILE},
    {"0061 412 345 678", "", "+61412345678", ADDRESS_LINE_MOBILE},
    {"0011 86 138 0013 8000", "AU", "+8613800138000", -1},
    {"+54 9 11 2345 6789", "", "+5491123456789", ADDRESS_LINE_MOBILE},
    {"+55 11 96123 4567", "", "+5511961234567", ADDRESS_LINE_MOBILE},
    {"+52 222 123 4567", "", "+522221234567", -1},
    {"+870 773 111 632", "", "+870773111632", ADDRESS_LINE_MOBILE},
    {"+800 1234 5678", "", "+80012345678", ADDRESS_LINE_OTHER},
    {"\xe2\x80\xaa+86 138 0013 8000\xe2\x80\xac", "", "+8613800138000", -1},
    {"+86\xc2\xa0"
     "138\xc2\xa0"
     "0013\xc2\xa0"
     "8000",
     "", "+8613800138000", -1},
    {"138–0013–8000", "CN", "+8613800138000", -1},
    /* wrong */
    {"", "", "address_empty", -1},
    {"   ", "CN", "address_empty", -1},
    {"+", "", "address_empty", -1},
    {"-", "CN", "address_empty", -1},
    {"abc", "CN", "number_letters", -1},
    {"1380013800O", "CN", "number_letters", -1},
    {"1-800-FLOWERS", "US", "number_letters", -1},
    {"tel:+8613800138000", "", "number_letters", -1},
    {"+8613800138000 ext 5", "", "number_letters", -1},
    {"13800138000;13900139000", "CN", "number_letters", -1},
    {"13800138000,13900139000", "CN", "number_letters", -1},
    {"13800138000 13900139000", "CN", "number_too_long", -1},
    {"++8613800138000", "", "number_letters", -1},
    {"86+13800138000", "", "number_letters", -1},
    {"8.61E+12", "CN", "number_letters", -1},
    {"'13800138000", "CN", "number_letters", -1},
    {"*100#", "CN", "number_letters", -1},
    {"\xff\xfe", "CN", "number_letters", -1},
    {"1", "CN", "number_too_short", -1},
    {"110", "CN", "number_too_short", -1},
    {"+999 1234567", "", "number_unknown_country", -1},
    {"+0 1234567", "", "number_unknown_country", -1},
    {"000000000000", "", "number_unknown_country", -1},
    {"+1 111 111 1111", "", "number_not_valid", -1},
    {"+12345678901234567890", "", "number_too_long", -1},
    {"1234567890123456789012345", "CN", "number_too_long", -1},
    {"+86", "", "number_too_short", -1},
    {"13800138000", "XX", "default_region", -1},
    {"13800138000", "cn", "default_region", -1},
    {"13800138000", "CHN", "default_region", -1},
};

TestSuite(address, .timeout = 120);

Test(address, reads_numbers_as_people_write_them)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct number_case *c = &numbers[i];
        struct address a = {0};
        enum address_fault fault;
        struct diag why = {0};
        int rc = address_normalise_why(c->text, strlen(c->text), CGW_ADDR_E164, c->region, &a,
                                       &fault, &why);
        cr_expect_str_eq(rc == 0 ? a.text : address_fault_code(fault), c->want, "'%s' in '%s': %s",
                         c->text, c->region, why.text);
        if (rc == 0 && c->line >= 0)
            cr_expect_eq(a.line, c->line, "'%s': line %d", c->text, a.line);
        if (rc < 0) {
            cr_expect_eq(rc, CGW_EINVAL);
            cr_expect_eq(a.text[0], 0);
            cr_expect(why.text[0] && !strstr(why.text, "13800"));
        }
    }
}

Test(address, gives_a_normal_number_back_unchanged)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct address a, b;
        struct diag why;
        if (numbers[i].want[0] != '+')
            continue;
        cr_assert_eq(address_normalise(numbers[i].want, strlen(numbers[i].want), 0, "US", &a, &why),
                     0, "%s", numbers[i].want);
        cr_assert_eq(address_normalise(a.text, strlen(a.text), 0, NULL, &b, &why), 0);
        cr_expect_str_eq(a.text, numbers[i].want);
        cr_expect_str_eq(b.text, a.text);
        cr_expect_str_eq(b.region, a.region);
    }
}

Test(address, reads_e_mail_addresses)
{
    static const struct {
        const char *text, *want;
    } t[] = {
        {"a@example.com", "a@example.com"},
        {" A.B@Example.COM ", "A.B@example.com"},
        {"a+tag@sub.example.co.uk", "a+tag@sub.example.co.uk"},
        {"o'neil@example.com", "o'neil@example.com"},
        {"!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
        {"1@2.cn", "1@2.cn"},
        {"用户@例子.公司", "用户@例子.公司"},
        {"x@xn--fsqu00a.xn--0zwm56d", "x@xn--fsqu00a.xn--0zwm56d"},
        {"@example.com", "email_syntax"},
        {"a@", "email_syntax"},
        {"a@example", "email_syntax"},
        {"a@.com", "email_syntax"},
        {"a@example..com", "email_syntax"},
        {"a@example.com.", "email_syntax"},
        {".a@example.com", "email_syntax"},
        {"a.@example.com", "email_syntax"},
        {"a..b@example.com", "email_syntax"},
        {"a b@example.com", "email_syntax"},
        {"a@exa mple.com", "email_syntax"},
        {"a@b@example.com", "email_syntax"},
        {"a@-example.com", "email_syntax"},
        {"a@example-.com", "email_syntax"},
        {"a@192.168.0.1", "email_syntax"},
        {"a@[192.168.0.1]", "email_syntax"},
        {"\"a b\"@example.com", "email_syntax"},
        {"Li <a@example.com>", "email_syntax"},
        {"a@example.com,b@example.com", "email_syntax"},
        {"a\r\nBcc:b@example.com", "email_syntax"},
        {"a\xff@example.com", "email_syntax"},
        {"a@exam\xe2\x80\x8bple.com", "email_syntax"},
        {"a(comment)@example.com", "email_syntax"},
        {"a@ex_ample.com", "email_syntax"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct address a = {0};
        enum address_fault fault;
        struct diag why;
        int rc = address_normalise_why(t[i].text, strlen(t[i].text), 0, "CN", &a, &fault, &why);
        cr_expect_str_eq(rc == 0 ? a.text : address_fault_code(fault), t[i].want, "'%s'",
                         t[i].text);
    }
    char longest[400];
    struct address a;
    struct diag why;
    memset(longest, 'a', sizeof longest);
    memcpy(longest + 64, "@", 1);
    for (size_t i = 64 + 60; i < 250; i += 60)
        longest[i] = '.';
    cr_expect_eq(address_normalise(longest, 254, 0, "", &a, &why), 0);
    cr_expect_eq(strlen(a.text), 254);
    cr_expect_eq(address_normalise(longest, 255, 0, "", &a, &why), CGW_EINVAL);
    memmove(longest + 1, longest, 200);
    cr_expect_eq(address_normalise(longest, 200, 0, "", &a, &why), CGW_EINVAL,
                 "a local part of 65 bytes");
}

Test(address, keeps_to_the_hinted_kind)
{
    struct address a;
    enum address_fault fault;
    cr_expect_eq(address_normalise_why("a@example.com", 13, CGW_ADDR_E164, "CN", &a, &fault, NULL),
                 CGW_EINVAL);
    cr_expect_eq(fault, ADDRESS_LETTERS);
    cr_expect_eq(
        address_normalise_why("+8613800138000", 14, CGW_ADDR_EMAIL, "CN", &a, &fault, NULL),
        CGW_EINVAL);
    cr_expect_eq(fault, ADDRESS_EMAIL_SYNTAX);
    cr_expect_eq(address_normalise_why("10086", 5, CGW_ADDR_SHORTCODE, "CN", &a, &fault, NULL),
                 CGW_EINVAL);
    cr_expect_eq(fault, ADDRESS_KIND);
}

Test(address, masks_what_it_shows)
{
    static const char *const t[][2] = {{"+8613800138000", "+86138****8000"},
                                       {"+12125550123", "+12125****0123"},
                                       {"+4512345678", "+45****5678"},
                                       {"jan@example.com", "j***@example.com"},
                                       {"+12", "****"},
                                       {"", "****"}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        char out[64];
        address_mask(t[i][0], out, sizeof out);
        cr_expect_str_eq(out, t[i][1]);
    }
}

/* ---- fast tables against the library
 * ------------------------------------------------------------------------------------------- */

static uint64_t seed = 20261122;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

struct tally {
    unsigned long compared, valid, fast, wrong;
};

static void compare(struct tally *t, const char *digits, bool plus, const char *region)
{
    struct phone_number lib = {0}, fast = {0};
    char text[64];
    int len = snprintf(text, sizeof text, "%s%s", plus ? "+" : "", digits);
    bool answered = phone_fast_parse(digits, strlen(digits), plus, region, &fast);
    bool valid = phone_lib_parse(text, (size_t)len, region, &lib) == ADDRESS_OK;
    t->compared++;
    t->valid += valid;
    t->fast += answered;
    if (!answered)
        return;
    if (valid && !strcmp(lib.e164, fast.e164) && !strcmp(lib.region, fast.region) &&
        lib.line == fast.line)
        return;
    if (t->wrong++ < 10)
        cr_log_error("%s in '%s': library %s %s %d, tables %s %s %d", text, region, lib.e164,
                     lib.region, lib.line, fast.e164, fast.region, fast.line);
}

/* One number in the forms people write, from a real number of the region with a random tail. */
static void compare_forms(struct tally *t, const char *region, const char *example, size_t code_len)
{
    char d[40], x[48];
    size_t len = strlen(example);
    memcpy(d, example, len + 1);
    for (size_t i = code_len + rnd((uint32_t)(len - code_len + 1)); i < len; i++)
        d[i] = (char)('0' + rnd(10));
    if (!rnd(8))
        d[len - 1] = 0;
    else if (!rnd(8))
        (void)snprintf(d + len, sizeof d - len, "%u", rnd(10));
    compare(t, d, true, "");
    compare(t, d + code_len, false, region);
    compare(t, d, false, region);
    (void)snprintf(x, sizeof x, "00%s", d);
    compare(t, x, false, region);
    (void)snprintf(x, sizeof x, "%c%s", "0018"[rnd(4)], d + code_len);
    compare(t, x, false, region);
}

Test(address, fast_tables_agree_with_the_library_on_200000_numbers)
{
    struct tally t = {0};
    for (char a = 'A'; a <= 'Z'; a++)
        for (char b = 'A'; b <= 'Z'; b++) {
            char region[3] = {a, b, 0}, code[8];
            struct phone_number example;
            uint32_t cc = phone_lib_country_code(region);
            if (!cc || !phone_lib_example(region, &example))
                continue;
            int code_len = snprintf(code, sizeof code, "%u", cc);
            for (int i = 0; i < 180; i++)
                compare_forms(&t, region, example.e164 + 1, (size_t)code_len);
        }
    cr_log_info("%lu compared, %lu valid, %lu by the tables", t.compared, t.valid, t.fast);
    cr_expect_geq(t.compared, 200000);
    cr_expect_eq(t.wrong, 0);
    cr_expect_gt(t.fast * 10, t.valid * 8, "the tables answer only %lu of %lu", t.fast, t.valid);
}

static uint64_t all_ids(const void *ctx, const uint16_t *ids, uint32_t n, uint32_t depth)
{
    uint64_t v = 0;
    (void)ctx;
    (void)depth;
    for (uint32_t i = 0; i < n; i++)
        v |= ids[i];
    return v;
}

Test(address, dfa_reads_the_language_of_the_metadata)
{
    static const struct phone_dfa_pattern p[] = {
        {"1(?:[38]\\d|4[57])\\d{3}", 1, false},
        {"(12|13)4?5{2,3}", 2, false},
        {"9", 4, true},
        {"", 8, false},
        {"[0-29]{2}", 16, false},
    };
    static const struct {
        const char *digits;
        uint64_t ids;
    } t[] = {
        {"", 8},           {"131234", 1},   {"145123", 1}, {"146123", 0},
        {"13123", 0},      {"1312345", 0},  {"1255", 2},   {"124555", 2},
        {"1355", 2},       {"12455555", 0}, {"9", 4},      {"91", 4 | 16},
        {"9123456789", 4}, {"09", 16},      {"03", 0},     {"134555", 1 | 2},
    };
    static const char *const outside[] = {"a",  "(1", "1)",  "[1",   "1{2",   "1{9,2}",
                                          "1*", ".",  "\\w", "[^1]", "1{99}", "[]"};
    struct phone_dfa d;
    cr_assert_eq(phone_dfa_init(&d, p, ARRAY_LEN(p), all_ids, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        cr_expect_eq(d.verdict[phone_dfa_run(&d, t[i].digits, strlen(t[i].digits))], t[i].ids, "%s",
                     t[i].digits);
    phone_dfa_done(&d);
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        struct phone_dfa_pattern bad = {outside[i], 1, false};
        cr_expect_eq(phone_dfa_init(&d, &bad, 1, all_ids, NULL), CGW_EINVAL, "%s", outside[i]);
    }
}

/* ---- zones
 * ----------------------------------------------------------------------------------------------------------------------
 */

static bool holds(const char *const *zones, uint32_t n, const char *zone)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(zones[i], zone))
            return true;
    return false;
}

Test(address, knows_the_zones_a_number_may_live_in)
{
    const char *z[64];
    uint32_t n = address_zones("+8613800138000", z, 64);
    cr_expect(n >= 2 && holds(z, n, "Asia/Shanghai") && holds(z, n, "Asia/Urumqi"));
    n = address_zones("+12125550123", z, 64);
    cr_expect(n >= 20 && n <= 32 && holds(z, n, "America/New_York") &&
              holds(z, n, "Pacific/Honolulu"));
    n = address_zones("+81312345678", z, 64);
    cr_expect(n == 1 && holds(z, n, "Asia/Tokyo"));
    n = address_zones("+77710009998", z, 64);
    cr_expect(holds(z, n, "Asia/Almaty") && !holds(z, n, "Europe/Moscow"));
    n = address_zones("+447400123456", z, 64);
    cr_expect(n == 1 && holds(z, n, "Europe/London"));
    n = address_zones("+18002530000", z, 64);
    cr_expect_gt(n, 40, "a toll-free number of +1 may be anywhere in its plan");
    cr_expect_eq(address_zones("+80012345678", z, 64), 0);
    cr_expect_eq(address_zones("a@example.com", z, 64), 0);
    cr_expect_eq(address_zones("+999", z, 64), 0);
    cr_expect_gt(address_zones("+12125550123", z, 2), 2, "a cut list says so");
    cr_expect_eq(address_region_zones("CN-GD", z, 64), address_region_zones("CN", z, 64));
    cr_expect_eq(address_region_zones("ZZ", z, 64), 0);
    cr_expect_eq(address_region_zones("CHN", z, 64), 0);
}

Test(address, reads_only_real_zone_tables)
{
    const char *z[4];
    struct diag why;
    cr_expect_eq(address_zones_load("/nonexistent.tab", &why), -2);
    cr_expect_lt(address_zones_load("/etc/passwd", &why), 0);
    cr_expect_eq(address_zones_load("/usr/share/zoneinfo/zone.tab", &why), 0);
    cr_expect_eq(address_region_zones("NO", z, 4), 1);
    cr_expect_str_eq(z[0], "Europe/Oslo");
}

Test(address, knows_which_zone_names_exist)
{
    static const char *const yes[] = {"Asia/Shanghai",  "UTC",
                                      "Etc/GMT+8",      "America/Argentina/Buenos_Aires",
                                      "Asia/Chongqing", "Europe/Kiev"};
    static const char *const no[] = {
        "",          "asia/shanghai", "Asia/Shangai",   "Asia",        "+08:00",
        "CST6CDT8",  "../etc/passwd", "/etc/localtime", "localtime",   "posix/UTC",
        "right/UTC", "zone.tab",      "tzdata.zi",      "Asia/../UTC", "Asia//Shanghai",
        "A\nB",      "Beijing"};
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < ARRAY_LEN(yes); i++)
            cr_expect(address_zone_known(yes[i]), "%s", yes[i]);
        for (size_t i = 0; i < ARRAY_LEN(no); i++)
            cr_expect_not(address_zone_known(no[i]), "%s", no[i]);
    }
}

/* ---- ids
 * -------------------------------------------------------------------------------------------------------------------------
 */

Test(address, keys_customers_by_secret_and_address)
{
    uint8_t k1[ADDRESS_KEY_BYTES] = {1}, k2[ADDRESS_KEY_BYTES] = {2}, c1[ADDRESS_KEY_CHECK_BYTES],
            c2[ADDRESS_KEY_CHECK_BYTES];
    cr_assert_geq(sodium_init(), 0);
    int64_t a = customer_key(k1, "+8613800138000", 14), b = customer_key(k1, "+8613800138001", 14),
            c = customer_key(k2, "+8613800138000", 14);
    cr_expect(a > 0 && b > 0 && c > 0 && a != b && a != c);
    cr_expect_eq(a, customer_key(k1, "+8613800138000", 14));
    /* pinned: an id that changes loses every do-not-disturb row */
    cr_expect_eq(a, INT64_C(1138844947933226750), "%lld", (long long)a);
    address_key_check(k1, c1);
    address_key_check(k2, c2);
    cr_expect_neq(memcmp(c1, c2, sizeof c1), 0);
    uint32_t seen[CUSTOMER_PARTS] = {0};
    for (int i = 0; i < 64000; i++) {
        char text[20];
        int len = snprintf(text, sizeof text, "+86138%08d", i);
        seen[customer_part(customer_key(k1, text, (size_t)len))]++;
    }
    for (uint32_t i = 0; i < CUSTOMER_PARTS; i++)
        cr_expect(seen[i] > 800 && seen[i] < 1200, "part %u holds %u of 1000", i, seen[i]);
}
