/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - a call flow: what is said and asked, read from the JSON of a FLOW part into tables.
 * Pure: no clock, no network, no sound. Language: README.md of this folder. */
#ifndef IVR_FLOW_H
#define IVR_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- limits ---- */
#define IVR_FLOW_BYTES 65536u /* of the JSON text                                        */
#define IVR_NODES_MAX 64u     /* nodes of a flow                                         */
#define IVR_NAME_MAX 32u      /* bytes of a node's name                                  */
#define IVR_SAYS_MAX 16u      /* pieces of one prompt                                    */
#define IVR_ALL_SAYS_MAX 128u /* pieces of all prompts together                          */
#define IVR_SAY_BYTES 2000u   /* one text to speak                                       */
#define IVR_PAUSE_MAX_MS 10000
#define IVR_DIGITS_MAX 32u /* digits of one `collect`                                 */
#define IVR_WAIT_MAX_S 60  /* for a digit, and for the answer of a transfer           */
#define IVR_TRIES_MAX 10
#define IVR_CALL_MAX_S 3600   /* `max_s` of a flow; the instance may allow less          */
#define IVR_TARGET_BYTES 255u /* of a transfer's target */
#define IVR_KEYS 16           /* 0-9 * # A-D, the events of RFC 4733 3.2                 */
#define IVR_NOWHERE (-1)      /* as the next node: hang up                               */

enum ivr_say_kind { IVR_SAY_TEXT, IVR_SAY_MEDIA, IVR_SAY_PAUSE };

/* One piece of a prompt. */
struct ivr_say {
    enum ivr_say_kind kind;
    char *text;    /* owned; TEXT: UTF-8 */
    uint32_t part; /* MEDIA: index into the names given to ivr_flow_parse() */
    uint32_t ms;   /* PAUSE */
};

/* A run of pieces in ivr_flow.says. */
struct ivr_prompt {
    uint16_t first, n;
};

enum ivr_action { IVR_HANGUP, IVR_NEXT, IVR_MENU, IVR_COLLECT, IVR_TRANSFER };

struct ivr_node {
    char name[IVR_NAME_MAX + 1];
    struct ivr_prompt prompt, invalid; /* invalid: said when nothing useful was pressed */
    enum ivr_action action;
    bool barge_in;
    int16_t next;           /* NEXT, COLLECT; TRANSFER: behind a successful one */
    int16_t otherwise;      /* MENU, COLLECT: tries used up; TRANSFER: refused */
    int16_t keys[IVR_KEYS]; /* MENU: node of a key, IVR_NOWHERE = not a choice */
    uint8_t min, max;       /* COLLECT: digits */
    char end_key;           /* COLLECT: 0 = none */
    uint8_t tries;
    uint32_t wait_ms;
    char *target; /* owned; TRANSFER: SIP URI or "+" and digits */
};

struct ivr_flow {
    char voice[32]; /* "" = the instance's */
    uint32_t n_nodes, n_says;
    struct ivr_node nodes[IVR_NODES_MAX];
    struct ivr_say says[IVR_ALL_SAYS_MAX];
    int16_t start;
    char optout_key; /* 0 = none */
    struct ivr_prompt optout_prompt;
    uint32_t max_ms; /* 0 = the instance's */
};

struct ivr_flow_error {
    char where[64]; /* JSON pointer (RFC 6901), "" = the whole */
    char text[256]; /* one sentence that names it as well */
};

/**
 * Read a flow. \param names  file names of the message's MEDIA parts, what `play` may name
 * \return an owned flow, or NULL with err filled.
 */
struct ivr_flow *ivr_flow_parse(const char *json, size_t len, const char *const *names,
                                uint32_t n_names, struct ivr_flow_error *err);
void ivr_flow_free(struct ivr_flow *f);

/* Index of a key in ivr_node.keys, -1 for no key; and back. */
int ivr_key_index(char key);
char ivr_key_char(int index);

#endif
