/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and tokens of channel_email: nobody else can make one, and each is good for its use only. */
#include "token.h"

#include "cgw/types.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct email_key key(const char *secret)
{
    struct email_key k;
    cr_assert_eq(email_key_init(&k, secret), 0);
    return k;
}

static const char secret[] = "sixteen bytes or more";

Test(email_token, short_secrets_are_refused)
{
    struct email_key k;
    cr_assert_eq(email_key_init(&k, "fifteen bytes.."), CGW_EINVAL);
    cr_assert_eq(email_key_init(&k, "sixteen bytes..."), 0);
}

Test(email_token, ids_differ_within_a_run_and_between_runs)
{
    struct email_key a = key(secret), b = key(secret);
    char ids[4][EMAIL_ID_LEN + 1];
    email_id_new(&a, ids[0]);
    email_id_new(&a, ids[1]);
    email_id_new(&b, ids[2]);
    email_id_new(&b, ids[3]);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(strlen(ids[i]), EMAIL_ID_LEN);
        cr_assert_eq(strspn(ids[i], "abcdefghijklmnopqrstuvwxyz234567"), EMAIL_ID_LEN);
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(ids[i], ids[j]);
    }
}

Test(email_token, a_token_is_good_for_its_use_and_its_secret_only)
{
    struct email_key k = key(secret), again = key(secret), other = key("another secret of 16");
    char id[EMAIL_ID_LEN + 1], token[EMAIL_TOKEN_LEN + 1], got[EMAIL_ID_LEN + 1] = "";
    email_id_new(&k, id);
    email_token_make(&k, EMAIL_FOR_BOUNCE, id, token);
    cr_assert_eq(strlen(token), EMAIL_TOKEN_LEN);
    cr_assert(email_token_read(&again, EMAIL_FOR_BOUNCE, token, EMAIL_TOKEN_LEN, got));
    cr_assert_str_eq(got, id);
    cr_assert_not(email_token_read(&k, EMAIL_FOR_LEAVE, token, EMAIL_TOKEN_LEN, got));
    cr_assert_not(email_token_read(&other, EMAIL_FOR_BOUNCE, token, EMAIL_TOKEN_LEN, got));
}

Test(email_token, one_changed_letter_anywhere_spoils_it)
{
    struct email_key k = key(secret);
    char id[EMAIL_ID_LEN + 1], token[EMAIL_TOKEN_LEN + 1], got[EMAIL_ID_LEN + 1];
    email_id_new(&k, id);
    email_token_make(&k, EMAIL_FOR_LEAVE, id, token);
    for (size_t i = 0; i < EMAIL_TOKEN_LEN; i++) {
        char old = token[i];
        token[i] = old == 'q' ? 'r' : 'q';
        cr_assert_not(email_token_read(&k, EMAIL_FOR_LEAVE, token, EMAIL_TOKEN_LEN, got), "at %zu",
                      i);
        token[i] = old;
    }
    cr_assert_not(email_token_read(&k, EMAIL_FOR_LEAVE, token, EMAIL_TOKEN_LEN - 1, got));
    cr_assert_not(email_token_read(&k, EMAIL_FOR_LEAVE, "", 0, got));
}

Test(email_token, addresses_are_found_whatever_their_case_and_surroundings)
{
    struct email_key k = key(secret);
    char id[EMAIL_ID_LEN + 1], token[EMAIL_TOKEN_LEN + 1], text[300], got[EMAIL_ID_LEN + 1] = "";
    email_id_new(&k, id);
    email_token_make(&k, EMAIL_FOR_BOUNCE, id, token);
    (void)snprintf(text, sizeof text, "\"b+x@\" <someone@else.example>, <b+%s@b.example>", token);
    cr_assert(email_token_find(&k, EMAIL_FOR_BOUNCE, text, got, NULL));
    cr_assert_str_eq(got, id);
    for (char *p = text; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    cr_assert(email_token_find(&k, EMAIL_FOR_BOUNCE, text, got, NULL));
    cr_assert_str_eq(got, id);
    cr_assert_not(email_token_find(&k, EMAIL_FOR_LEAVE, text, got, NULL));
    cr_assert_not(email_token_find(&k, EMAIL_FOR_BOUNCE, "b+short@b.example", got, NULL));
    cr_assert_not(email_token_find(&k, EMAIL_FOR_BOUNCE, NULL, got, NULL));
}

Test(email_token, an_id_in_references_is_ours_only_with_its_proof_and_left_alone_else)
{
    struct email_key k = key(secret);
    char id[EMAIL_ID_LEN + 1], text[200], got[EMAIL_ID_LEN + 1] = "";
    email_id_new(&k, id);
    (void)snprintf(text, sizeof text, "<other@a.example> <%s@shop.example>", id);
    cr_assert(email_id_find(&k, text, got));
    cr_assert_str_eq(got, id);
    got[0] = 0;
    cr_assert_not(email_id_find(&k, "<aaaaaaaaaaaaaaaaaaaaaaaaaa@shop.example>", got));
    cr_assert_str_eq(got, "");
}

Test(email_token, the_person_in_a_link_is_read_by_nobody_else_and_for_no_other_message)
{
    struct email_key k = key(secret), other = key("another secret of another gateway");
    char id[EMAIL_ID_LEN + 1], second[EMAIL_ID_LEN + 1], sealed[EMAIL_SEALED_MAX],
        got[EMAIL_PERSON_MAX + 1] = "";
    static const char person[] = "li.wei+news@mail.example";
    email_id_new(&k, id);
    email_id_new(&k, second);
    email_person_seal(&k, id, person, sizeof person - 1, sealed);
    cr_assert_null(strstr(sealed, "li.wei")); /* less would come up by chance */
    cr_assert(email_person_open(&k, id, sealed, strlen(sealed), got));
    cr_assert_str_eq(got, person);
    cr_assert_not(email_person_open(&k, second, sealed, strlen(sealed), got));
    cr_assert_not(email_person_open(&other, id, sealed, strlen(sealed), got));
    cr_assert_not(email_person_open(&k, id, sealed, strlen(sealed) - 1, got));
    sealed[3] = sealed[3] == 'A' ? 'B' : 'A';
    cr_assert_not(email_person_open(&k, id, sealed, strlen(sealed), got));
    cr_assert_not(email_person_open(&k, id, "", 0, got));
}

Test(email_token, the_longest_address_fits_a_link_and_a_longer_one_is_left_out)
{
    struct email_key k = key(secret);
    char id[EMAIL_ID_LEN + 1], sealed[EMAIL_SEALED_MAX], got[EMAIL_PERSON_MAX + 1],
        person[EMAIL_PERSON_MAX + 2];
    email_id_new(&k, id);
    memset(person, 'a', sizeof person - 1);
    person[EMAIL_PERSON_MAX] = 0;
    email_person_seal(&k, id, person, EMAIL_PERSON_MAX, sealed);
    cr_assert(email_person_open(&k, id, sealed, strlen(sealed), got));
    cr_assert_str_eq(got, person);
    email_person_seal(&k, id, person, EMAIL_PERSON_MAX + 1, sealed);
    cr_assert_str_eq(sealed, "");
}

Test(email_token, an_address_of_bounces_says_whom_it_was_for_to_us_only)
{
    struct email_key k = key(secret), other = key("another secret of 16");
    char id[EMAIL_ID_LEN + 1], token[EMAIL_TOKEN_LEN + 1], who[EMAIL_WHO_LEN + 1], text[300],
        got[EMAIL_ID_LEN + 1] = "", found[EMAIL_WHO_LEN + 1] = "x";
    uint64_t reference = 0;
    email_id_new(&k, id);
    email_token_make(&k, EMAIL_FOR_BOUNCE, id, token);
    email_who_make(&k, id, 65535, "Ann@x.example", who);
    int local = snprintf(text, sizeof text, "b+%s-%s", token, who);
    cr_assert_leq(local, 64); /* RFC 5321 4.5.3.1.1 */
    (void)snprintf(text, sizeof text, "To: <B+%s-%s@b.example>", token, who);
    cr_assert(email_token_find(&k, EMAIL_FOR_BOUNCE, text, got, found));
    cr_assert_str_eq(found, who);
    cr_assert(email_who_is(&k, got, found, "Ann@x.example", &reference));
    cr_assert_eq(reference, 65535);
    cr_assert_not(email_who_is(&k, got, found, "ann@x.example", &reference));
    cr_assert_not(email_who_is(&k, got, found, "", &reference));
    cr_assert_not(email_who_is(&other, got, found, "Ann@x.example", &reference));
    for (size_t i = 0; i < EMAIL_WHO_LEN; i++) {
        char old = found[i];
        found[i] = old == 'q' ? 'r' : 'q';
        cr_assert_not(email_who_is(&k, got, found, "Ann@x.example", &reference), "at %zu", i);
        found[i] = old;
    }
    email_id_new(&k, id);
    cr_assert_not(email_who_is(&k, id, found, "Ann@x.example", &reference), "another message");
    cr_assert(email_token_find(&k, EMAIL_FOR_BOUNCE, "", got, found) == false);
    (void)snprintf(text, sizeof text, "b+%s-%.13s@b.example", token, who);
    cr_assert_not(email_token_find(&k, EMAIL_FOR_BOUNCE, text, got, found), "one letter short");
    (void)snprintf(text, sizeof text, "b+%s@b.example", token);
    cr_assert(email_token_find(&k, EMAIL_FOR_BOUNCE, text, got, found));
    cr_assert_str_eq(found, "", "nothing is said");
}
