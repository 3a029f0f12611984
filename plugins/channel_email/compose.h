/* SPDX-License-Identifier: Apache-2.0 */
/* compose.h - one mail out of the parts of one message: header, text, HTML, pictures inside the
 * HTML, attachments. Media are referred to, not copied. Must not know SMTP; MIME's details are
 * mime.c's. Source: RFC 5322, 2046, 2387 (related), 2231, 2369, 8058. */
#ifndef EMAIL_COMPOSE_H
#define EMAIL_COMPOSE_H

#include "blobs.h"
#include "cgw/channel.h"
#include "token.h"

#define COMPOSE_PIECES (2 * CGW_PARTS_MAX + 1)
#define COMPOSE_TEXT_MAX ((size_t)8 << 20) /* bytes of a mail without its media */
#define COMPOSE_LINK_MAX 900u
#define COMPOSE_PLACEHOLDER "%unsubscribe_url%" /* in TEXT and HTML: the link of this message */

struct compose_conf { /* texts borrowed; NULL = not set */
    const char *from, *from_name, *reply_to, *list_id, *message_id_domain;
    const char *bounce_domain;   /* VERP and unsubscribing by mail */
    const char *unsubscribe_url; /* public address of the route /u, without the token */
    uint64_t max_bytes;
};

/* A mail in pieces: from the text, or a blob. */
struct compose_piece {
    size_t from, to;         /* of text */
    const struct blob *blob; /* NULL: text */
};
struct compose_mail {
    struct text text;
    struct compose_piece pieces[COMPOSE_PIECES];
    uint32_t n_pieces;
};

/* May this be sent? code CGW_OK, CGW_EINVAL, CGW_ELIMIT with the sentence in text; units = bytes of
 * the mail, about. Any thread. */
void compose_check(const struct compose_conf *c, const struct cgw_host *host,
                   const struct cgw_message *m, struct cgw_check *ret);
/* blobs[i] belongs to part i, NULL where it has none. \return 0 or CGW_ELIMIT. */
int compose(const struct compose_conf *c, const struct email_key *key, const char *id,
            const struct cgw_message *m, struct blob *const *blobs, int64_t now_utc_ms,
            struct compose_mail *ret);
void compose_done(struct compose_mail *mail);
uint64_t compose_bytes(const struct compose_mail *mail); /* when all its blobs are ready */

#endif
