/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_http.c - one connection to the gateway: its local socket, or a URL with a key; files up,
 * answers down; problems as people read them. Never shows the key. Sources: RFC 9457 (problem
 * details), RFC 9530 (Content-Digest). */
#include "ctl/ctl.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define URL_DEFAULT "http://127.0.0.1:8440"
#define SOCKET_DEFAULT CGW_RUNSTATEDIR "/campgw/api.sock"
#define KEY_MAX 256
#define CONNECT_MS 5000L

struct ctl_http {
    CURL *curl;
    char socket[108]; /* sun_path; "" = by URL */
    char url[512];    /* without a slash at the end */
    char key[KEY_MAX];
    char key_from[512];
};

/* ---- where to, with which key
 * -------------------------------------------------------------------------------------------------
 */
static int bad_key(const struct ctl *c, const char *path, const char *why, const char *next)
{
    char what[600];
    (void)snprintf(what, sizeof what, "cannot use the key in %s", path);
    return ctl_fail(c, CTL_NOT_ALLOWED, what, why, next);
}

/* A key that others may read is no key: refused like every secret of the gateway. */
static int read_key(const struct ctl *c, struct ctl_http *h, const char *path)
{
    struct stat st;
    char next[600];
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return bad_key(c, path, strerror(errno), "campgwctl key create --save FILE makes one");
    (void)snprintf(next, sizeof next, "chmod 600 %s", path);
    if (st.st_mode & 07)
        return bad_key(c, path, "everybody may read it", next);
    ssize_t n = read(fd, h->key, sizeof h->key - 1);
    if (n <= 0)
        return bad_key(c, path, n < 0 ? strerror(errno) : "it is empty", "");
    h->key[n] = 0;
    h->key[strcspn(h->key, "\r\n")] = 0;
    (void)snprintf(h->key_from, sizeof h->key_from, "%s", path);
    return 0;
}

static bool home_key(char *out, size_t size)
{
    const char *dir = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (dir && *dir)
        (void)snprintf(out, size, "%s/campgw/key", dir);
    else
        (void)snprintf(out, size, "%s/.config/campgw/key", home ? home : "");
    return access(out, F_OK) == 0;
}

static bool answers(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sun.sun_path)
        return false;
    (void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0;
}

static int take_key(const struct ctl *c, struct ctl_http *h)
{
    const char *file = ctl_opt(c, "key-file"), *env = getenv("CAMPGW_KEY");
    char path[512];
    if (file)
        return read_key(c, h, file);
    if (env && *env) {
        if (strlen(env) >= sizeof h->key)
            return ctl_fail(c, CTL_NOT_ALLOWED, "cannot use the key in $CAMPGW_KEY",
                            "it is too long for a key", "");
        (void)snprintf(h->key, sizeof h->key, "%s", env);
        (void)snprintf(h->key_from, sizeof h->key_from, "$CAMPGW_KEY");
        return 0;
    }
    return home_key(path, sizeof path) ? read_key(c, h, path) : 0;
}

static int use_url(const struct ctl *c, struct ctl_http *h, const char *url)
{
    size_t n = strlen(url);
    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || n >= sizeof h->url)
        return ctl_usage_error(c, "the server is a URL such as %s, not \"%.80s\"", URL_DEFAULT,
                               url);
    (void)snprintf(h->url, sizeof h->url, "%s", url);
    while (n && h->url[n - 1] == '/')
        h->url[--n] = 0;
    h->socket[0] = 0;
    int rc = take_key(c, h);
    bool near = !strncmp(url, "http://127.", 11) || !strncmp(url, "http://localhost", 16) ||
                !strncmp(url, "http://[::1]", 12) || url[4] == 's';
    if (rc == 0 && h->key[0] && !near)
        ctl_say(c, "warning: the key travels unencrypted to %s", url);
    return rc;
}

static int use_socket(const struct ctl *c, struct ctl_http *h, const char *path)
{
    if (strlen(path) >= sizeof h->socket)
        return ctl_usage_error(c, "the path of a socket has at most 107 bytes");
    (void)snprintf(h->socket, sizeof h->socket, "%s", path);
    (void)snprintf(h->url, sizeof h->url, "http://localhost");
    return 0;
}

/* What is named wins; a key names the TCP side (the local socket asks for none); else the local
 * socket if somebody answers there. */
static int choose(const struct ctl *c, struct ctl_http *h)
{
    const char *server = ctl_opt(c, "server"), *path = ctl_opt(c, "socket"),
               *key = getenv("CAMPGW_KEY");
    if (server)
        return use_url(c, h, server);
    if (path)
        return use_socket(c, h, path);
    server = getenv("CAMPGW_SERVER");
    path = getenv("CAMPGW_SOCKET");
    if (server && *server)
        return use_url(c, h, server);
    if (ctl_has(c, "key-file") || (key && *key))
        return use_url(c, h, URL_DEFAULT);
    if (path && *path)
        return use_socket(c, h, path);
    char file[512];
    if (!answers(SOCKET_DEFAULT) && home_key(file, sizeof file))
        return use_url(c, h, URL_DEFAULT);
    return use_socket(c, h, SOCKET_DEFAULT);
}

static int http_open(struct ctl *c)
{
    if (c->http)
        return 0;
    c->http = calloc(1, sizeof *c->http);
    if (!c->http || !(c->http->curl = curl_easy_init()))
        return ctl_fail(c, CTL_FAILED, "out of memory", "", "");
    return choose(c, c->http);
}

struct ctl_http *ctl_http_free(struct ctl_http *h)
{
    if (h) {
        curl_easy_cleanup(h->curl);
        sodium_memzero(h->key, sizeof h->key);
        free(h);
    }
    return NULL;
}

const char *ctl_http_where(struct ctl *c)
{
    return !c->http ? "" : c->http->socket[0] ? c->http->socket : c->http->url;
}

/* ---- one exchange
 * ----------------------------------------------------------------------------------------------------------------
 */
struct exchange {
    struct ctl *c;
    struct ctl_request *req;
    struct ctl_answer *answer;
    struct curl_slist *headers; /* owned */
    struct buf got;
    char *text; /* owned: body of a JSON request */
    FILE *file; /* owned unless stdin */
    int64_t size;
    struct ctl_bar bar;
    char fault[CURL_ERROR_SIZE];
};

static void header(struct exchange *x, const char *fmt, ...) CGW_PRINTF(2, 3);
static void header(struct exchange *x, const char *fmt, ...)
{
    char line[KEY_MAX + 128];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    struct curl_slist *more = curl_slist_append(x->headers, line);
    x->headers = more ? more : x->headers;
    sodium_memzero(line, sizeof line);
}

static size_t on_body(char *data, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    long status = 0;
    (void)one;
    (void)curl_easy_getinfo(x->c->http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->req->sink && status < 300)
        return fwrite(data, 1, n, x->req->sink);
    buf_put(&x->got, data, n);
    return x->got.failed ? 0 : n;
}

static size_t on_header(char *data, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    static const char name[] = "etag:";
    (void)one;
    if (n > sizeof name && !strncasecmp(data, name, sizeof name - 1)) {
        size_t from = sizeof name - 1;
        while (from < n && data[from] == ' ')
            from++;
        (void)snprintf(x->answer->etag, sizeof x->answer->etag, "%.*s", (int)(n - from),
                       data + from);
        x->answer->etag[strcspn(x->answer->etag, "\r\n")] = 0;
    }
    return n;
}

static size_t on_file(char *to, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t got = fread(to, 1, one * n, x->file);
    return ferror(x->file) ? CURL_READFUNC_ABORT : got;
}

/* Also how an upload or a long answer is interrupted. */
static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct exchange *x = ctx;
    (void)down_total;
    (void)down;
    (void)up_total;
    if (x->file && x->size > 1 << 20)
        ctl_bar_show(x->c, &x->bar, up, x->size, "bytes", -1, up == x->size ? "loading" : NULL);
    return ctl_interrupted && !x->req->finish;
}

static int digest_file(struct exchange *x)
{
    crypto_hash_sha256_state s;
    unsigned char piece[65536], sum[crypto_hash_sha256_BYTES];
    char text[64];
    size_t n;
    (void)crypto_hash_sha256_init(&s);
    while ((n = fread(piece, 1, sizeof piece, x->file)) > 0)
        (void)crypto_hash_sha256_update(&s, piece, n);
    (void)crypto_hash_sha256_final(&s, sum);
    if (ferror(x->file) || fseeko(x->file, 0, SEEK_SET) != 0)
        return -errno;
    (void)sodium_bin2base64(text, sizeof text, sum, sizeof sum, sodium_base64_VARIANT_ORIGINAL);
    header(x, "Content-Digest: sha-256=:%s:", text);
    return 0;
}

static int open_file(struct exchange *x)
{
    const char *path = x->req->file;
    char what[600];
    struct stat st;
    unsigned char magic[2] = {0, 0};
    (void)snprintf(what, sizeof what, "cannot read %s", path);
    x->file = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
    if (!x->file || fstat(fileno(x->file), &st) < 0)
        return ctl_fail(x->c, CTL_FAILED, what, strerror(errno), "");
    if (S_ISDIR(st.st_mode))
        return ctl_fail(x->c, CTL_FAILED, what, "it is a directory", "");
    header(x, "Content-Type: %s", x->req->media);
    size_t ahead =
        fread(magic, 1, 1, x->file); /* one byte can always be put back; 0x1f begins no text */
    if (ahead == 1) {
        (void)ungetc(magic[0], x->file);
        if (magic[0] == 0x1f) /* RFC 1952 2.3.1 */
            header(x, "Content-Encoding: gzip");
    }
    x->size = S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
    return x->size >= 0 && (fseeko(x->file, 0, SEEK_SET) != 0 || digest_file(x) < 0)
               ? ctl_fail(x->c, CTL_FAILED, what, strerror(errno), "")
               : 0;
}

static int set_body(struct exchange *x)
{
    CURL *h = x->c->http->curl;
    if (x->req->file) {
        int rc = open_file(x);
        (void)curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(h, CURLOPT_READFUNCTION, on_file);
        (void)curl_easy_setopt(h, CURLOPT_READDATA, x);
        (void)curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->size);
        return rc;
    }
    if (x->req->body) {
        x->text = json_dumps(x->req->body, JSON_COMPACT);
        header(x, "Content-Type: application/%sjson", x->req->merge_patch ? "merge-patch+" : "");
    }
    if (x->text || strcmp(x->req->method, "POST") == 0) {
        (void)curl_easy_setopt(h, CURLOPT_POSTFIELDS, x->text ? x->text : "");
        (void)curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)(x->text ? strlen(x->text) : 0));
        if (!x->text)
            header(x, "Content-Type:"); /* libcurl would call it a form */
    }
    return 0;
}

static int prepare(struct exchange *x)
{
    struct ctl_http *to = x->c->http;
    CURL *h = to->curl;
    char url[CTL_PATH_MAX + sizeof to->url];
    (void)snprintf(url, sizeof url, "%s%s", to->url, x->req->path);
    curl_easy_reset(h);
    (void)curl_easy_setopt(h, CURLOPT_URL, url);
    (void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    (void)curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, x->req->timeout_ms);
    (void)curl_easy_setopt(h, CURLOPT_ERRORBUFFER, x->fault);
    (void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    (void)curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
    (void)curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(h, CURLOPT_XFERINFODATA, x);
    if (to->socket[0]) {
        (void)curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, to->socket);
        (void)curl_easy_setopt(h, CURLOPT_PROXY, "");
    }
    header(x, "User-Agent: campgwctl/%s", PACKAGE_VERSION);
    header(x, "Accept: %s", x->req->accept ? x->req->accept : "application/json");
    header(x, "Expect:"); /* no pause of a second before every upload */
    if (!to->socket[0] && to->key[0])
        header(x, "Authorization: Bearer %s", to->key);
    if (x->req->if_match)
        header(x, "If-Match: %s", x->req->if_match);
    if (x->req->idem) {
        unsigned char random[16];
        char hex[40];
        randombytes_buf(random, sizeof random);
        (void)sodium_bin2hex(hex, sizeof hex, random, sizeof random);
        header(x, "Idempotency-Key: ctl-%s", hex);
    }
    int rc = set_body(x);
    (void)curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, x->req->method);
    (void)curl_easy_setopt(h, CURLOPT_HTTPHEADER, x->headers);
    return rc;
}

/* ---- what went wrong
 * ------------------------------------------------------------------------------------------------------------------
 */
static const struct {
    int status, code;
} exits[] = {{401, CTL_NOT_ALLOWED},
             {403, CTL_NOT_ALLOWED},
             {404, CTL_NOT_FOUND},
             {409, CTL_CONFLICT},
             {412, CTL_CONFLICT}};

static int exit_of(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(exits); i++)
        if (exits[i].status == status)
            return exits[i].code;
    return CTL_FAILED;
}

static const char *slug_of(const json_t *problem)
{
    const char *type = ctl_str(problem, "type", ""), *slash = strrchr(type, '/');
    return slash ? slash + 1 : type;
}

static void advice(struct ctl *c, const json_t *p, char *out, size_t size)
{
    static const struct {
        const char *slug, *next;
    } known[] = {
        {"not-signed-in", "campgwctl --key-file FILE ..., or be root or in the group campgw-admin "
                          "on the gateway's machine"},
        {"key-expired",
         "campgwctl key create --name NAME --scopes LIST, as somebody whose key is good"},
        {"not-allowed",
         "be root or in the group campgw-admin, or name a server and a key: --server " URL_DEFAULT
         " --key-file FILE"},
        {"version-mismatch", "the same command again: it reads the present version first"},
        {"rate-limited", "the same command again in a minute"},
        {"overloaded", "the same command again in a few seconds"},
        {"database-unavailable", "campgwctl doctor"},
        {"unavailable", "campgwctl status"},
        {"draining", "the same command again when the gateway is back"}};
    const char *next = ctl_str(p, "next", NULL), *scope = ctl_str(p, "scope", NULL),
               *slug = slug_of(p);
    *out = 0;
    if (next)
        (void)snprintf(out, size, "%s", next);
    else if (scope)
        (void)snprintf(
            out, size,
            "campgwctl key create --name NAME --scopes %s, as somebody who has that scope", scope);
    for (size_t i = 0; !*out && i < ARRAY_LEN(known); i++)
        if (!strcmp(known[i].slug, slug) && !(c->http->socket[0] && !strcmp(slug, "not-signed-in")))
            (void)snprintf(out, size, "%s", known[i].next);
}

static void why_of(const json_t *p, struct buf *out)
{
    const json_t *errors = json_object_get(p, "errors"), *rejects = json_object_get(p, "rejects");
    buf_puts(out, ctl_str(p, "detail", ""));
    if (ctl_num(p, "line", 0))
        buf_printf(out, " (line %lld)", (long long)ctl_num(p, "line", 0));
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *e = json_array_get(errors, i);
        buf_printf(out, "\n       %s: %s", ctl_str(e, "pointer", ctl_str(e, "parameter", "")),
                   ctl_str(e, "detail", ""));
    }
    for (size_t i = 0; i < json_array_size(rejects); i++) {
        const json_t *r = json_array_get(rejects, i);
        buf_printf(out, "\n       line %lld: %s", (long long)ctl_num(r, "line", 0),
                   ctl_str(r, "detail", ""));
    }
    const char *id = ctl_str(p, "instance", NULL);
    if (id)
        buf_printf(out, " [%s]", id);
}

static int tell_problem(struct exchange *x, int code)
{
    struct ctl *c = x->c;
    const json_t *p = x->answer->doc;
    char next[600], what[600];
    struct buf why;
    if (x->req->quiet)
        return code;
    if (!json_is_object(p) || !json_object_get(p, "title")) {
        (void)snprintf(what, sizeof what, "%s answered with status %d", ctl_http_where(c),
                       x->answer->status);
        return ctl_fail(c, code, what, "this is not an answer of campgw",
                        "check --server and --socket");
    }
    buf_init(&why, 65536);
    why_of(p, &why);
    advice(c, p, next, sizeof next);
    if (c->json) {
        ctl_print_json(p);
        (void)fprintf(stderr, "campgwctl: %s: %s\n", ctl_str(p, "title", ""),
                      ctl_str(p, "detail", ""));
    } else {
        (void)ctl_fail(c, code, ctl_str(p, "title", ""), buf_str(&why), next);
    }
    buf_done(&why);
    return code;
}

static int tell_transport(struct exchange *x, CURLcode rc)
{
    struct ctl *c = x->c;
    const struct ctl_http *h = c->http;
    char what[700], *why = x->fault[0] ? x->fault : (char *)(uintptr_t)curl_easy_strerror(rc);
    if (rc == CURLE_ABORTED_BY_CALLBACK)
        return CTL_INTERRUPTED;
    if (rc == CURLE_WRITE_ERROR && x->req->sink == stdout)
        return CTL_FAILED; /* whoever read our output has had enough */
    if (rc == CURLE_WRITE_ERROR || rc == CURLE_READ_ERROR)
        return x->req->quiet ? CTL_FAILED
                             : ctl_fail(c, CTL_FAILED, "the transfer stopped",
                                        rc == CURLE_READ_ERROR
                                            ? "the file cannot be read"
                                            : "the answer is too large or cannot be written",
                                        "");
    if (x->req->quiet)
        return CTL_UNREACHABLE;
    (void)snprintf(what, sizeof what, "the gateway does not answer at %s", ctl_http_where(c));
    if (rc == CURLE_COULDNT_CONNECT && h->socket[0] && access(h->socket, F_OK) != 0)
        why = (char *)(uintptr_t) "there is no such socket";
    return ctl_fail(
        c, CTL_UNREACHABLE, what, why,
        h->socket[0]
            ? "systemctl status campgwd, or --server URL --key-file FILE for another machine"
            : "check --server; on the gateway's machine: systemctl status campgwd");
}

/* ---- call
 * ---------------------------------------------------------------------------------------------------------------------------------
 */
static int show_only(struct exchange *x)
{
    const struct ctl_request *r = x->req;
    if (x->c->json) {
        json_t *doc =
            json_pack("{s:s, s:s, s:O?}", "method", r->method, "path", r->path, "body", r->body);
        ctl_set_str(doc, "file", r->file);
        ctl_print_json(doc);
        json_decref(doc);
        return CTL_DONE;
    }
    (void)printf("%s %s\n", r->method, r->path);
    if (r->file)
        (void)printf("with %s as %s\n", r->file, r->media);
    if (r->body)
        ctl_print_json(r->body);
    return CTL_DONE;
}

/* Those whom the local socket refuses, but who have a key of their own, go on over TCP. */
static bool go_by_key(struct exchange *x)
{
    struct ctl_http *h = x->c->http;
    char path[512];
    if (!h->socket[0] || x->answer->status != 403 ||
        strcmp(slug_of(x->answer->doc), "not-allowed") != 0 || ctl_has(x->c, "socket") ||
        getenv("CAMPGW_SOCKET") || !home_key(path, sizeof path))
        return false;
    return use_url(x->c, h, URL_DEFAULT) == 0;
}

static int exchange(struct exchange *x)
{
    int code = prepare(x);
    if (code == 0 && x->c->verbose)
        ctl_say(x->c, "%s %s", x->req->method, x->req->path);
    if (code == 0) {
        CURLcode rc = curl_easy_perform(x->c->http->curl);
        long status = 0;
        ctl_bar_end(x->c, &x->bar);
        (void)curl_easy_getinfo(x->c->http->curl, CURLINFO_RESPONSE_CODE, &status);
        x->answer->status = (int)status;
        /* an upload may be answered before it was read to its end: that answer counts */
        if (rc != CURLE_OK && !(status >= 400 && x->got.len))
            code = tell_transport(x, rc);
    }
    if (code == 0 && x->got.len)
        x->answer->doc = json_loadb(x->got.data, x->got.len, JSON_DISABLE_EOF_CHECK, NULL);
    return code;
}

static void exchange_done(struct exchange *x)
{
    curl_slist_free_all(x->headers);
    x->headers = NULL;
    buf_done(&x->got);
    free(TAKE(x->text));
    if (x->file && x->file != stdin)
        (void)fclose(x->file);
    x->file = NULL;
}

int ctl_call(struct ctl *c, struct ctl_request *req, struct ctl_answer *ret)
{
    *ret = (struct ctl_answer){0};
    struct exchange x = {.c = c, .req = req, .answer = ret};
    bool changes = strcmp(req->method, "GET") != 0 && !req->reads;
    int code = c->dry_run && changes ? show_only(&x) : http_open(c);
    for (int i = 0; code == 0 && i < 2; i++) {
        buf_init(&x.got, CTL_ANSWER_MAX);
        code = exchange(&x);
        exchange_done(&x);
        if (code != 0 || req->file || !go_by_key(&x))
            break;
        ctl_answer_done(ret);
    }
    if (code == 0 && ret->status >= 400 && ret->status != req->also_good)
        code = tell_problem(&x, exit_of(ret->status));
    json_decref(req->body);
    req->body = NULL;
    if (code)
        ctl_answer_done(ret);
    return code;
}

void ctl_answer_done(struct ctl_answer *a)
{
    json_decref(a->doc);
    a->doc = NULL;
}

static json_t *get(struct ctl *c, const char *path, bool quiet, int *ret_code)
{
    struct ctl_request req = {
        .method = "GET", .path = path, .quiet = quiet, .timeout_ms = quiet ? 3000 : 0};
    struct ctl_answer a;
    *ret_code = ctl_call(c, &req, &a);
    return a.doc;
}

json_t *ctl_get(struct ctl *c, const char *path, int *ret_code)
{
    return get(c, path, false, ret_code);
}

json_t *ctl_get_quiet(struct ctl *c, const char *path, int *ret_code)
{
    return get(c, path, true, ret_code);
}
