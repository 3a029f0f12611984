/* SPDX-License-Identifier: Apache-2.0 */
/* domains.h - how fast each recipient domain may be served, and is: rate, messages at once,
 * back-off. A table of at most EMAIL_DOMAINS_MAX domains; the one idle for longest makes room.
 * Knows no messages and no sockets; time comes in as an argument. */
#ifndef EMAIL_DOMAINS_H
#define EMAIL_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMAIL_DOMAINS_MAX 4096u
#define EMAIL_DOMAIN_LEN 256u
#define EMAIL_LIMITS_MAX 256u /* domains with a limit of their own */
#define EMAIL_BACKOFF_FIRST_MS 1000
#define EMAIL_BACKOFF_MAX_MS 300000
#define EMAIL_BOOKED_MAX_MS 600000 /* nobody is told to come back later than that */
#define EMAIL_TOOK_MS 250          /* what a message takes, as long as none was sent */

struct email_limit {
    double per_s;  /* 0 = no limit */
    uint32_t most; /* messages at once, 0 = no limit */
};

struct email_domain {
    char name[EMAIL_DOMAIN_LEN];
    struct email_limit limit;
    double tokens;
    int64_t filled_ms, spared_until_ms, booked_ms, used_ms;
    int64_t backoff_ms; /* the next one */
    double took_ms;     /* a message, of late */
    uint32_t active;    /* being sent */
    uint32_t waiting;   /* lent out beyond that: the entry must stay */
    uint32_t next;      /* of its hash chain, index + 1 */
};

struct email_domains;
struct email_domains *email_domains_new(void);
void email_domains_free(struct email_domains *d);

/* "gmail.com=20/s:5", "example.org=:2", "*=100/s": rate and messages at once, either may be left
 * out; "*" is every other domain. \return 0 or CGW_EINVAL with a sentence in why. */
int email_domains_limit(struct email_domains *d, const char *word, char *why, size_t why_size);

/* The entry of a domain, made when it is new; NULL when all are busy. */
struct email_domain *email_domains_get(struct email_domains *d, const char *name, int64_t now_ms);
/* 0: may be sent to now (and is counted: active + 1, one token); else the moment to ask again. */
int64_t email_domain_take(struct email_domain *e, int64_t now_ms);
/* When one more that begins to wait now could be served, about: as the limits and the last messages
 * say. */
int64_t email_domain_outlook(const struct email_domain *e, int64_t now_ms);
/* Taken, and not begun after all. */
void email_domain_untake(struct email_domain *e);
/* The message is settled, took_ms after it was begun; ok ends the back-off. */
void email_domain_done(struct email_domain *e, bool ok, int64_t took_ms, int64_t now_ms);
/* The peer wants to be spared: doubled each time, from EMAIL_BACKOFF_FIRST_MS to _MAX_MS. */
void email_domain_spare(struct email_domain *e, int64_t now_ms);
/* When somebody who cannot be served now should come again, in ms from now: each is told a moment
 * of his own, as far apart as they can be served; by slowness at most a second. */
int64_t email_domain_book(struct email_domain *e, int64_t now_ms);

/* The mean of what messages took of late, with one more; never below 1 ms. */
double email_took(double mean_ms, int64_t took_ms);

#endif
