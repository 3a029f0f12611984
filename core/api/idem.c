/* SPDX-License-Identifier: Apache-2.0 */
/* idem.c - idempotency keys: reading the header, fingerprint of a request, envelope of a stored
 * answer. Pure; the table is store/store_idem. Source:
 * draft-ietf-httpapi-idempotency-key-header-07. */
#include "api/api_int.h"

#include "store/store_idem.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* The draft sends a structured string ("…", RFC 8941 3.3.3); many clients send the bare key. Both
 * name the same key. */
bool idem_key_parse(const char *header, char *out, size_t out_size)
{
    size_t n = strlen(header), o = 0;
    bool quoted = n >= 2 && header[0] == '"' && header[n - 1] == '"';
    if (quoted) {
        header++;
        n -= 2;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)header[i];
        if (quoted && c == '\\' && i + 1 < n)
            c = (unsigned char)header[++i];
        if (c < 0x21 || c > 0x7e || o + 1 >= out_size || o >= API_IDEM_KEY_MAX)
            return false;
        out[o++] = (char)c;
    }
    out[o] = 0;
    return o > 0;
}

void idem_fingerprint(const char *method, const char *path, const unsigned char body_sha256[32],
                      unsigned char out[32])
{
    crypto_hash_sha256_state st;
    crypto_hash_sha256_init(&st);
    /* the NUL keeps the parts apart */
    crypto_hash_sha256_update(&st, (const unsigned char *)method, strlen(method) + 1);
    crypto_hash_sha256_update(&st, (const unsigned char *)path, strlen(path) + 1);
    crypto_hash_sha256_update(&st, body_sha256, 32);
    crypto_hash_sha256_final(&st, out);
}

/* The body as it may be kept: the secret becomes null and "<name>_shown": true says that it was
 * there. NULL: not JSON. */
static char *without_secret(const struct api_response *resp)
{
    const char *name = resp->secret_json_pointer + 1;
    json_t *doc = json_loadb(resp->body.data, resp->body.len, 0, NULL);
    if (!json_is_object(doc)) {
        json_decref(doc);
        return NULL;
    }
    char shown[80];
    (void)snprintf(shown, sizeof shown, "%s_shown", name);
    int rc = json_object_set_new(doc, name, json_null());
    rc |= json_object_set_new(doc, shown, json_true());
    char *text = rc == 0 ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    return text;
}

bool idem_pack(const struct api_response *resp, struct buf *ret)
{
    if (resp->fd >= 0 || resp->body.failed || resp->content_type)
        return false;
    char *stripped = NULL;
    const char *body = resp->body.len ? resp->body.data : "";
    size_t len = resp->body.len;
    if (resp->secret_json_pointer && len) {
        stripped = without_secret(resp);
        if (!stripped)
            return false;
        body = stripped;
        len = strlen(stripped);
    }
    buf_puts(ret, "{\"location\":");
    buf_put_json(ret, resp->priv->location, strlen(resp->priv->location));
    buf_puts(ret, ",\"etag\":");
    buf_put_json(ret, resp->priv->etag, strlen(resp->priv->etag));
    buf_puts(ret, ",\"body\":");
    buf_put_json(ret, body, len);
    buf_putc(ret, '}');
    free(stripped);
    return !ret->failed && ret->len <= STORE_IDEM_ANSWER_MAX;
}

bool idem_unpack(struct api_response *resp, int status, const char *text, size_t len)
{
    json_t *doc = json_loadb(text, len, 0, NULL);
    const json_t *body = json_object_get(doc, "body");
    if (!json_is_string(body)) {
        json_decref(doc);
        return false;
    }
    buf_reset(&resp->body);
    buf_put(&resp->body, json_string_value(body), json_string_length(body));
    (void)snprintf(resp->priv->location, sizeof resp->priv->location, "%s",
                   api_str(doc, "location", ""));
    (void)snprintf(resp->priv->etag, sizeof resp->priv->etag, "%s", api_str(doc, "etag", ""));
    resp->status = status;
    resp->priv->replayed = true;
    json_decref(doc);
    return !resp->body.failed;
}
