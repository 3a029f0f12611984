/* SPDX-License-Identifier: Apache-2.0 */
/* word.c - see word.h. */
#include "base/word.h"

#include "base/cleanup.h"
#include "cgw/channel.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define WORD_MAX 64u /* longer ones are near nothing */

const char *channel_word(uint32_t channel)
{
    static const char *const words[] = {[CGW_CHANNEL_SMS] = "sms",
                                        [CGW_CHANNEL_MMS] = "mms",
                                        [CGW_CHANNEL_VOICE] = "voice",
                                        [CGW_CHANNEL_EMAIL] = "email",
                                        [CGW_CHANNEL_TASK] = "task"};
    return channel && channel < ARRAY_LEN(words) ? words[channel] : "";
}

const char *class_word(uint32_t contact_class)
{
    static const char *const words[] = {[CGW_CLASS_MARKETING] = "marketing",
                                        [CGW_CLASS_SERVICE] = "service",
                                        [CGW_CLASS_REPLY] = "reply",
                                        [CGW_CLASS_OPTOUT_CONFIRM] = "optout_confirm",
                                        [CGW_CLASS_EMERGENCY] = "emergency"};
    return contact_class && contact_class < ARRAY_LEN(words) ? words[contact_class] : "";
}

const char *sub_word(uint32_t sub)
{
    static const char *const words[] = {
        [CGW_SUB_ANSWERED] = "answered",       [CGW_SUB_BUSY] = "busy",
        [CGW_SUB_NO_ANSWER] = "no_answer",     [CGW_SUB_REJECTED] = "rejected",
        [CGW_SUB_BAD_ADDRESS] = "bad_address", [CGW_SUB_ROUTE_DOWN] = "route_down",
        [CGW_SUB_HARD_BOUNCE] = "hard_bounce", [CGW_SUB_SOFT_BOUNCE] = "soft_bounce",
        [CGW_SUB_COMPLAINT] = "complaint",     [CGW_SUB_MACHINE] = "machine"};
    return sub && sub < ARRAY_LEN(words) ? words[sub] : "";
}

static unsigned differ(char a, char b)
{
    return tolower((unsigned char)a) != tolower((unsigned char)b);
}

/* Levenshtein's, with one row. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return UINT_MAX;
    for (unsigned j = 0; j <= nb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned least = diagonal + differ(a[i - 1], b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < least)
                least = row[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            row[j] = least;
        }
    }
    return row[nb];
}

const char *word_nearer(const char *word, const char *candidate, const char *best)
{
    size_t n = strlen(word), most = n / 3 + 1;
    unsigned d = distance(word, candidate);
    /* as many changes as letters make any word of any other */
    return d <= most && d < n && (!best || d < distance(word, best)) ? candidate : best;
}
