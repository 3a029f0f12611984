/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - who calls: API keys with a small positive cache and a rate limit per key, and peers of
 * the local socket. A key revoked on this node stops at once, on other nodes within AUTH_CACHE_MS.
 * Bearer tokens: RFC 6750. RateLimit headers: draft-ietf-httpapi-ratelimit-headers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct ucred */
#endif
#include "api/api_int.h"

#include "store/store_key.h"

#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TOKEN_SECRET 43 /* base64url of 32 bytes */
#define RATE_WINDOW_MS 60000
#define PROBES 16u

struct entry { /* one key: what we know of it and how much it asked */
    char public_id[API_CLIENT_ID_MAX];
    unsigned char sha256[32];
    struct api_caller caller;
    int64_t checked_ms, expires_ms, used_ms; /* monotonic; checked_ms 0 = must be looked up again */
    int64_t window_ms;
    unsigned window_n;
};

struct auth {
    pthread_mutex_t lock;
    unsigned rate_per_min;
    struct entry entries[AUTH_CACHE_MAX];
};

struct auth *auth_new(unsigned rate_per_min)
{
    struct auth *a = calloc(1, sizeof *a);
    if (a) {
        a->rate_per_min = rate_per_min;
        (void)pthread_mutex_init(&a->lock, NULL);
    }
    return a;
}

struct auth *auth_free(struct auth *a)
{
    if (a) {
        (void)pthread_mutex_destroy(&a->lock);
        sodium_memzero(a->entries, sizeof a->entries);
        free(a);
    }
    return NULL;
}

/* ---- tokens --------------------------------------------------------------------------------- */
static const char *bearer(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    return authorization + 7 + strspn(authorization + 7, " ");
}

/* "cgk_<id>_<43 characters>" → "key_<id>" and the hash of the whole token. */
static bool token_parse(const char *token, char public_id[API_CLIENT_ID_MAX],
                        unsigned char sha256[32])
{
    size_t len = strlen(token);
    if (strncmp(token, "cgk_", 4) != 0 || len < 4 + 1 + 1 + TOKEN_SECRET)
        return false;
    size_t id_len = len - 4 - 1 - TOKEN_SECRET;
    if (token[4 + id_len] != '_' || id_len + 5 > API_CLIENT_ID_MAX)
        return false;
    for (size_t i = 0; i < id_len; i++)
        if (!((token[4 + i] >= '0' && token[4 + i] <= '9') ||
              (token[4 + i] >= 'a' && token[4 + i] <= 'z')))
            return false;
    (void)snprintf(public_id, API_CLIENT_ID_MAX, "key_%.*s", (int)id_len, token + 4);
    return crypto_hash_sha256(sha256, (const unsigned char *)token, len) == 0;
}

static enum auth_answer refuse(struct api_call *call, enum api_problem_id id, const char *why)
{
    (void)api_problem(&call->resp, id, "%s", why);
    (void)api_set_header(&call->resp, "WWW-Authenticate", "Bearer realm=\"campgw\"%s",
                         id == PROBLEM_KEY_EXPIRED ? ", error=\"invalid_token\"" : "");
    return AUTH_REFUSED;
}

/* ---- cache ---------------------------------------------------------------------------------- */
/* Entry of the key; with make, the least recently used of the probed ones gives way. */
static struct entry *entry_of(struct auth *a, const char *public_id, bool make)
{
    /* FNV-1a; ids are made by us, not by the client, once they are in here */
    uint32_t h = 2166136261u;
    for (const char *p = public_id; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    struct entry *oldest = NULL;
    for (uint32_t i = 0; i < PROBES; i++) {
        struct entry *e = &a->entries[(h + i) % AUTH_CACHE_MAX];
        if (!strcmp(e->public_id, public_id))
            return e;
        if (!oldest || e->used_ms < oldest->used_ms)
            oldest = e;
    }
    if (!make)
        return NULL;
    *oldest = (struct entry){0};
    (void)snprintf(oldest->public_id, sizeof oldest->public_id, "%s", public_id);
    return oldest;
}

/* One request of this key; false when its minute is used up. */
static bool rate_take(const struct auth *a, struct entry *e, struct api_call *call, int64_t now_ms)
{
    if (now_ms - e->window_ms >= RATE_WINDOW_MS) {
        e->window_ms = now_ms;
        e->window_n = 0;
    }
    call->keyed = true;
    call->rate_reset_s = (unsigned)((e->window_ms + RATE_WINDOW_MS - now_ms + 999) / 1000);
    bool ok = e->window_n < a->rate_per_min;
    e->window_n += ok;
    call->rate_left = a->rate_per_min - e->window_n;
    return ok;
}

static enum auth_answer admit(const struct auth *a, struct entry *e, struct api_call *call,
                              int64_t now_ms)
{
    e->used_ms = now_ms;
    call->req.caller = e->caller;
    if (e->expires_ms <= now_ms)
        return refuse(call, PROBLEM_KEY_EXPIRED, "This API key has expired; ask for a new one.");
    if (rate_take(a, e, call, now_ms))
        return AUTH_OK;
    call->rs.retry_after_s = (int)call->rate_reset_s;
    (void)api_problem(&call->resp, PROBLEM_RATE_LIMITED,
                      "This key may make %u requests a minute; the next minute begins in %u s.",
                      a->rate_per_min, call->rate_reset_s);
    return AUTH_REFUSED;
}

enum auth_answer auth_cached(struct auth *a, struct api_call *call, const char *authorization,
                             int64_t now_ms)
{
    char id[API_CLIENT_ID_MAX];
    unsigned char sha[32];
    const char *token = bearer(authorization);
    if (!token)
        return refuse(call, PROBLEM_NOT_SIGNED_IN, "Send Authorization: Bearer with an API key.");
    if (!token_parse(token, id, sha))
        return refuse(call, PROBLEM_NOT_SIGNED_IN,
                      "This is not an API key; they look like cgk_<id>_<secret>.");
    enum auth_answer answer = AUTH_ASK;
    (void)pthread_mutex_lock(&a->lock);
    struct entry *e = entry_of(a, id, false);
    /* a wrong secret is never judged from the cache: the key may just have been rotated on another
     * node */
    if (e && e->checked_ms && now_ms - e->checked_ms < AUTH_CACHE_MS &&
        sodium_memcmp(e->sha256, sha, 32) == 0)
        answer = admit(a, e, call, now_ms);
    (void)pthread_mutex_unlock(&a->lock);
    return answer;
}

static void entry_fill(struct entry *e, const struct store_key *k, const unsigned char sha[32],
                       int64_t now_ms)
{
    memcpy(e->sha256, sha, 32);
    e->checked_ms = now_ms ? now_ms : 1;
    e->expires_ms = k->expires_in_ms > INT64_MAX / 2 ? INT64_MAX : now_ms + k->expires_in_ms;
    e->caller = (struct api_caller){.partner_id = k->partner_id, .class_mask = k->class_mask};
    (void)snprintf(e->caller.name, sizeof e->caller.name, "%s", k->public_id);
    for (unsigned i = 0; i < k->n_scopes; i++) {
        int bit = api_scope_bit(k->scopes[i]);
        if (bit >= 0) /* a word of a newer version: this node cannot grant it */
            e->caller.scopes |= UINT64_C(1) << bit;
    }
}

enum auth_answer auth_lookup(struct auth *a, struct db *db, struct api_call *call,
                             const char *authorization, int64_t now_ms)
{
    char id[API_CLIENT_ID_MAX];
    unsigned char sha[32];
    const char *token = bearer(authorization);
    if (!token || !token_parse(token, id, sha))
        return refuse(call, PROBLEM_NOT_SIGNED_IN, "Send Authorization: Bearer with an API key.");
    struct store_key k;
    struct diag d = {0};
    int rc = store_key_find(db, id, &k, &d);
    if (rc < 0 && rc != CGW_ENOTFOUND) {
        (void)api_fail(&call->req, &call->resp, rc, &d);
        return AUTH_REFUSED;
    }
    /* the same words for an unknown key and a wrong secret */
    if (rc == CGW_ENOTFOUND || sodium_memcmp(k.secret_sha256, sha, 32) != 0)
        return refuse(call, PROBLEM_NOT_SIGNED_IN, "This API key is not known.");
    if (k.revoked)
        return refuse(call, PROBLEM_NOT_SIGNED_IN, "This API key was revoked.");
    if (k.expired)
        return refuse(call, PROBLEM_KEY_EXPIRED, "This API key has expired; ask for a new one.");
    (void)pthread_mutex_lock(&a->lock);
    struct entry *e = entry_of(a, id, true);
    entry_fill(e, &k, sha, now_ms);
    enum auth_answer answer = admit(a, e, call, now_ms);
    (void)pthread_mutex_unlock(&a->lock);
    return answer;
}

void auth_forget(struct auth *a, const char *public_id)
{
    (void)pthread_mutex_lock(&a->lock);
    struct entry *e = entry_of(a, public_id, false);
    if (e)
        e->checked_ms = 0;
    (void)pthread_mutex_unlock(&a->lock);
}

void auth_forget_partner(struct auth *a, int32_t partner_id)
{
    (void)pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < ARRAY_LEN(a->entries); i++)
        if (a->entries[i].caller.partner_id == partner_id)
            a->entries[i].checked_ms = 0;
    (void)pthread_mutex_unlock(&a->lock);
}

bool auth_scope(struct api_call *call)
{
    const char *scope = call->req.route->scope;
    if (!scope || api_has_scope(&call->req, scope))
        return true;
    (void)api_problem(&call->resp, PROBLEM_SCOPE_MISSING,
                      "This needs the scope %s, which the key does not have.", scope);
    api_problem_text(&call->resp, "scope", "%s", scope);
    return false;
}

/* ---- local socket --------------------------------------------------------------------------- */
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* asm-generic/socket.h, Linux 4.13 */
#endif

static bool in_group(int fd, gid_t primary, gid_t wanted)
{
    if (primary == wanted)
        return true;
    gid_t groups[256]; /* more: the peer uses a key */
    socklen_t len = sizeof groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
        return false;
    for (size_t i = 0; i < len / sizeof groups[0]; i++)
        if (groups[i] == wanted)
            return true;
    return false;
}

bool peer_read(int fd, const char *admin_group, struct peer *ret)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return false;
    *ret = (struct peer){.uid = cred.uid, .allowed = cred.uid == 0 || cred.uid == getuid()};
    char room[2048];
    struct group g, *found_group = NULL;
    if (!ret->allowed && admin_group &&
        getgrnam_r(admin_group, &g, room, sizeof room, &found_group) == 0 && found_group)
        ret->allowed = in_group(fd, cred.gid, g.gr_gid);
    struct passwd pw, *found = NULL;
    if (getpwuid_r(cred.uid, &pw, room, sizeof room, &found) == 0 && found)
        (void)snprintf(ret->name, sizeof ret->name, "%.40s", pw.pw_name);
    else
        (void)snprintf(ret->name, sizeof ret->name, "uid-%u", (unsigned)cred.uid);
    return true;
}

bool auth_local(struct api_call *call, const struct peer *peer)
{
    if (!peer || !peer->allowed) {
        (void)api_problem(&call->resp, PROBLEM_NOT_ALLOWED,
                          "The local socket is for root, the gateway's own user and members of %s; "
                          "others use a key over TCP.",
                          call->listener->api->conf.admin_group);
        return false;
    }
    struct api_caller *c = &call->req.caller;
    *c = (struct api_caller){.scopes = UINT64_MAX, .class_mask = UINT32_MAX, .local = true};
    (void)snprintf(c->name, sizeof c->name, "local:%s", peer->name);
    return true;
}
