/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_address.c - numbers and mailboxes as people write them. Input: first octet = default region
 * and kind asked for, the rest = the text. Promises: what is taken is of a normal form that is its
 * own normal form under any default region; a refusal has a code and words that do not repeat the
 * address; a mask hides digits. Source document: core/address/address.h. */
#include "address/address.h"
#include "content/utf8.h"
#include "fuzz_ingest.h"

#include <string.h>

static const char *const regions[] = {"", "CN", "US", "DE", "IT", "AR", "BR", "001"};
static const uint32_t kinds[] = {0, CGW_ADDR_E164, CGW_ADDR_EMAIL, 77};

static void check_mask(const struct address *a)
{
    char mask[ADDRESS_TEXT_MAX];
    address_mask(a->text, mask, sizeof mask);
    CHECK(strlen(mask) < sizeof mask && strchr(mask, '*'));
    /* a mailbox may be called "l***" */
    CHECK(a->kind != CGW_ADDR_E164 || strspn(mask + 1, "0123456789") < strlen(a->text) - 4);
    for (size_t room = 1; room < 12; room++) {
        char *cut = malloc(room); /* exact size */
        CHECK(cut);
        address_mask(a->text, cut, room);
        CHECK(strnlen(cut, room) < room);
        free(cut);
    }
}

static void check_number(const struct address *a)
{
    const char *zones[64];
    size_t n = strlen(a->text);
    CHECK(n >= 4 && n <= 18 && a->text[0] == '+' && a->text[1] != '0');
    CHECK(strspn(a->text + 1, "0123456789") == n - 1);
    CHECK(!a->region[0] || address_region_known(a->region));
    uint32_t n_zones = address_zones(a->text, zones, ARRAY_LEN(zones));
    for (uint32_t i = 0; i < n_zones && i < ARRAY_LEN(zones); i++)
        CHECK(address_zone_known(zones[i]));
}

static void check_taken(const struct address *a)
{
    struct address again;
    if (a->kind == CGW_ADDR_E164)
        check_number(a);
    else
        CHECK(a->kind == CGW_ADDR_EMAIL && strchr(a->text, '@') && strlen(a->text) <= 254);
    for (size_t i = 0; i < ARRAY_LEN(regions) - 1; i++) {
        CHECK(address_normalise(a->text, strlen(a->text), a->kind, regions[i], &again, NULL) == 0);
        CHECK(!strcmp(again.text, a->text) && again.kind == a->kind);
    }
    check_mask(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address a = {0};
    enum address_fault fault = ADDRESS_OK;
    struct diag why = {0};
    if (!size)
        return 0;
    const char *region = regions[data[0] & 7];
    uint32_t kind = kinds[data[0] >> 3 & 3];
    size_t len = size - 1;
    char *text = malloc(len ? len : 1); /* exact size, no NUL: reading past the end is seen */
    CHECK(text);
    memcpy(text, data + 1, len);
    int rc = address_normalise_why(text, len, kind, region, &a, &fault, &why);
    CHECK((rc == 0) == (fault == ADDRESS_OK) && (rc == 0) == (a.text[0] != 0));
    if (rc == 0) {
        check_taken(&a);
    } else {
        CHECK(rc == CGW_EINVAL && why.text[0] && utf8_valid(why.text, strlen(why.text)));
        CHECK(address_fault_code(fault)[0]);
    }
    free(text);
    return 0;
}
