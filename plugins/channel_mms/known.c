/* SPDX-License-Identifier: Apache-2.0 */
/* known.c - see known.h. */
#include "known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS MMS_KNOWN_MAX

static uint32_t hash_text(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (uint32_t)((h ^ h >> 32) % BUCKETS);
}

static uint32_t hash_token(uint64_t t)
{
    t *= 0x9e3779b97f4a7c15u;
    return (uint32_t)((t >> 32) % BUCKETS);
}

int mms_known_init(struct mms_known *k)
{
    k->entries = calloc(MMS_KNOWN_MAX, sizeof *k->entries);
    k->by_id = malloc(BUCKETS * sizeof *k->by_id);
    k->by_token = malloc(BUCKETS * sizeof *k->by_token);
    k->next = 0;
    if (!k->entries || !k->by_id || !k->by_token) {
        mms_known_done(k);
        return -1;
    }
    memset(k->by_id, 0xff, BUCKETS * sizeof *k->by_id);
    memset(k->by_token, 0xff, BUCKETS * sizeof *k->by_token);
    return 0;
}

void mms_known_done(struct mms_known *k)
{
    for (uint32_t i = 0; k->entries && i < MMS_KNOWN_MAX; i++)
        free(k->entries[i].id);
    free(k->entries);
    free(k->by_id);
    free(k->by_token);
    *k = (struct mms_known){0};
}

/* Takes the oldest out of its chains. */
static void forget(struct mms_known *k, uint32_t i)
{
    struct mms_known_entry *e = &k->entries[i];
    if (!e->id)
        return;
    int32_t *at = &k->by_id[hash_text(e->id)];
    while (*at != (int32_t)i)
        at = &k->entries[*at].next_id;
    *at = e->next_id;
    at = &k->by_token[hash_token(e->token)];
    while (*at != (int32_t)i)
        at = &k->entries[*at].next_token;
    *at = e->next_token;
    free(e->id);
    e->id = NULL;
}

void mms_known_put(struct mms_known *k, const char *id, const char *person, uint64_t token)
{
    uint32_t i = k->next;
    char *copy = strndup(id, MMS_ID_SIZE - 1);
    if (!copy)
        return; /* a memory, not a record */
    forget(k, i);
    k->next = (i + 1) % MMS_KNOWN_MAX;
    struct mms_known_entry *e = &k->entries[i];
    int32_t *head = &k->by_id[hash_text(copy)], *tokens = &k->by_token[hash_token(token)];
    *e = (struct mms_known_entry){
        .id = copy, .token = token, .next_id = *head, .next_token = *tokens};
    (void)snprintf(e->person, sizeof e->person, "%s", person);
    *head = *tokens = (int32_t)i;
}

const struct mms_known_entry *mms_known_id(const struct mms_known *k, const char *id)
{
    for (int32_t i = k->by_id[hash_text(id)]; i >= 0; i = k->entries[i].next_id)
        if (!strcmp(k->entries[i].id, id))
            return &k->entries[i];
    return NULL;
}

const struct mms_known_entry *mms_known_token(const struct mms_known *k, uint64_t token)
{
    for (int32_t i = k->by_token[hash_token(token)]; i >= 0; i = k->entries[i].next_token)
        if (k->entries[i].token == token)
            return &k->entries[i];
    return NULL;
}
