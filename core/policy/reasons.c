/* SPDX-License-Identifier: Apache-2.0 */
/* reasons.c - words, stages and texts of the reason codes, all from reasons.def.
 * Must not know where a reason is stored or shown. */
#include "policy/policy.h"

#include <stddef.h>
#include <string.h>

static const struct reason_row {
    int number;
    enum funnel_stage stage;
    const char *word, *en, *zh;
} rows[] = {
#define REASON(sym, num, word, stage, en, zh) {(num), (stage), (word), (en), (zh)},
#include "policy/reasons.def"
#undef REASON
};

static const struct reason_row *reason_find(int reason)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].number == reason)
            return &rows[i];
    return NULL;
}

const char *reason_word(int reason)
{
    const struct reason_row *row = reason_find(reason);
    return row ? row->word : "?";
}

int reason_from_word(const char *word)
{
    for (size_t i = 0; word && i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].number;
    return -1;
}

enum funnel_stage reason_stage(int reason)
{
    const struct reason_row *row = reason_find(reason);
    return row ? row->stage : STAGE_NONE;
}

const char *reason_text(int reason, const char *lang)
{
    const struct reason_row *row = reason_find(reason);
    if (!row)
        return "?";
    return lang && strncmp(lang, "zh", 2) == 0 ? row->zh : row->en;
}
