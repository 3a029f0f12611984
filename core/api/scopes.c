/* SPDX-License-Identifier: Apache-2.0 */
/* scopes.c - words and bits of scopes. The words are stored, the bits live only in this process. */
#include "api/api_int.h"

#include <string.h>

static const struct {
    const char *word, *help;
} scopes[] = {
#define API_SCOPE(word, help) {word, help},
#include "api/scopes.def"
#undef API_SCOPE
};
_Static_assert(ARRAY_LEN(scopes) <= API_SCOPES_MAX, "scopes are bits of a 64-bit mask");

int api_scope_bit(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        if (!strcmp(scopes[i].word, word))
            return (int)i;
    return -1;
}

const char *api_scope_word(int bit)
{
    return bit >= 0 && (size_t)bit < ARRAY_LEN(scopes) ? scopes[bit].word : NULL;
}

const char *api_scope_help(int bit)
{
    return bit >= 0 && (size_t)bit < ARRAY_LEN(scopes) ? scopes[bit].help : NULL;
}
