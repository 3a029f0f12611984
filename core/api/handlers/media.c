/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - /api/v1/media: pictures, sound, films and documents that messages refer to. Named by
 * their bytes: the same upload again is the same media. What a media is, its bytes tell
 * (media/sniff.h). */
#include "api/handlers/media.h"

#include "api/api.h"
#include "content/utf8.h"
#include "media/sniff.h"
#include "store/store_media.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t max_bytes = INT64_C(16) << 20;

void media_setup(int64_t most)
{
    max_bytes = most;
}

static const struct api_member upload_query[] = {
    {.name = "name", .type = API_T_STRING, .min = 1, .max = 100}, {.name = NULL}};

/* ---- upload ---------------------------------------------------------------------------------- */
static int64_t read_at(void *ctx, int64_t offset, void *out, size_t n)
{
    const struct api_stream *s = ctx;
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(s->fd, (char *)out + got, n - got, s->at + offset + (int64_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return -EIO;
        got += (size_t)k;
    }
    return (int64_t)got;
}

/* The type to keep, or NULL with the answer written. */
static const char *type_of(struct api_request *req, struct api_response *resp, int *ret_status)
{
    struct api_stream *s = req->stream;
    char head[MEDIA_SNIFF_BYTES];
    size_t n = s->len < (int64_t)sizeof head ? (size_t)s->len : sizeof head;
    if (read_at(s, 0, head, n) < 0) {
        *ret_status = api_problem(resp, PROBLEM_INTERNAL, "The upload could not be read back.");
        return NULL;
    }
    const char *found = media_sniff(head, n), *keep = found ? media_agree(found, s->media) : NULL;
    if (!found)
        api_error(resp, "", "media_unknown",
                  "sent as %s, but the bytes are of no kind that is known here; JPEG, PNG, GIF, "
                  "WebP, BMP, MP3, WAV, AMR, Ogg, AAC, MIDI, MP4, 3GP, PDF, SMIL, XML, HTML and "
                  "text are",
                  s->media);
    else if (!keep)
        api_error(resp, "", "media_differs",
                  "sent as %s, but the bytes are %s; send it with the Content-Type that it has",
                  s->media, found);
    if (!keep)
        *ret_status = api_invalid(resp);
    return keep;
}

static int judge(struct api_request *req, struct api_response *resp, const char **ret_name)
{
    const char *name = api_query(req, "name");
    *ret_name = name ? name : req->stream->name;
    if (req->stream->gzip)
        return api_problem(resp, PROBLEM_MEDIA_TYPE,
                           "A media comes without Content-Encoding: it is kept as it is sent.");
    if (!req->stream->len) {
        api_error(resp, "", "empty", "the body is empty; send the bytes of the media");
        return api_invalid(resp);
    }
    if (req->stream->len > max_bytes) {
        char n[24];
        int status = api_problem(resp, PROBLEM_TOO_LARGE,
                                 "The media has %lld bytes, one may have %lld (media.max_mb).",
                                 (long long)req->stream->len, (long long)max_bytes);
        (void)snprintf(n, sizeof n, "%lld", (long long)max_bytes);
        api_problem_json(resp, "limit", n);
        return status;
    }
    if (!utf8_valid(*ret_name, strlen(*ret_name)) || strpbrk(*ret_name, "\r\n\t\x1b\"/\\")) {
        api_error(resp, "?name", "invalid",
                  "a name is 1 to 100 characters without slashes, quotes and line ends");
        return api_invalid(resp);
    }
    return 0;
}

static int upload(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    struct store_media_new m = {.partner_id = req->scope.partner_id,
                                .sha256 = req->stream->sha256,
                                .bytes = req->stream->len,
                                .by = req->actor.name};
    char id[40];
    int64_t media_id;
    bool is_new;
    int status = judge(req, resp, &m.name);
    if (!status)
        m.mime = type_of(req, resp, &status);
    if (status)
        return status;
    int rc = store_media_put(req->db, &m, read_at, req->stream, &media_id, id, &is_new, &d);
    if (rc == 0)
        rc = store_media_json(req->db, req->scope, id, &resp->body, &d);
    if (rc == 0 && is_new)
        rc = store_audit(req->db, &req->actor, "media.upload", id, NULL, buf_str(&resp->body), &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    return is_new ? api_created(resp, "/api/v1/media/%s", id) : api_ok(resp);
}

/* ---- read ------------------------------------------------------------------------------------ */
static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_media_list(req->db, req->scope, page.after, page.limit, &resp->body, &more,
                              cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_media_json(req->db, req->scope, api_path_param(req, "id"), &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

/* In a file without a name, so that a large one goes out without a second copy in memory. */
static int to_file(const struct buf *data)
{
    int fd = memfd_create("campgw-media", MFD_CLOEXEC);
    size_t at = 0;
    while (fd >= 0 && at < data->len) {
        ssize_t n = write(fd, data->data + at, data->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            (void)close(fd);
            return -1;
        }
        at += (size_t)n;
    }
    return fd;
}

static int content(struct api_request *req, struct api_response *resp)
{
    struct store_media_ref ref;
    struct diag d = {0};
    struct buf data;
    buf_init(&data, STORE_MEDIA_MAX);
    int rc = store_media_get(req->db, req->scope, api_path_param(req, "id"), &ref, &d);
    if (rc == 0)
        rc = store_media_load(req->db, ref.media_id, &data, &d);
    int fd = rc == 0 ? to_file(&data) : -1;
    int64_t len = (int64_t)data.len;
    buf_done(&data);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (fd < 0)
        return api_problem(resp, PROBLEM_NO_SPACE, "No memory for the bytes of the media.");
    resp->fd = fd;
    resp->fd_len = len;
    resp->content_type = arena_dup(&req->arena, ref.mime, strlen(ref.mime));
    /* people sent some of it: nobody's browser shall run it, or guess that it is something else */
    (void)api_set_header(resp, "X-Content-Type-Options", "nosniff");
    (void)api_set_header(resp, "Content-Disposition", "attachment");
    return api_ok(resp);
}

static int delete (struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_media_delete(req->db, &req->actor, req->scope, api_path_param(req, "id"), &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_no_content(resp);
}

const struct api_route api_routes_media[] = {
    {"POST", "/api/v1/media", "media:write", API_STREAM | API_FORM | API_IDEM,
     .max_body = STORE_MEDIA_MAX, .media = media_types, .query = upload_query, .handler = upload,
     .summary = "Upload a media"},
    {"GET", "/api/v1/media", "media:read", API_READ | API_LIST, .handler = list,
     .summary = "List media"},
    {"GET", "/api/v1/media/{id}", "media:read", API_READ, .handler = get,
     .summary = "Show a media"},
    {"GET", "/api/v1/media/{id}/content", "media:read", API_READ, .handler = content,
     .summary = "Read the bytes of a media"},
    {"DELETE", "/api/v1/media/{id}", "media:write", API_TX, .handler = delete,
     .summary = "Delete a media that nothing refers to"},
    {.method = NULL}};
