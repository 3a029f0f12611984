/* SPDX-License-Identifier: Apache-2.0 */
/* form.c - one file out of a multipart/form-data body (RFC 7578), for routes with API_FORM. Reads
 * the spooled body and moves the borders of the stream: nothing is copied, and nothing is taken of
 * a body that is not whole. Strict: what browsers and curl never send is refused. libmicrohttpd's
 * post processor is not used: it does not tell where a part begins whose first octet is a line end,
 * and forgives what lies outside the parts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "api/api_int.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BOUNDARY_MAX 70u /* RFC 2046 5.1.1 */
#define HEAD_MAX 8192u   /* octets of the headers of one part */
#define PARTS_MAX 8u     /* one file, one name: more is no form of ours */
#define PIECE 65536u     /* octets read at once */

struct form {
    struct api_call *call;
    char delim[4 + BOUNDARY_MAX + 1]; /* CRLF -- boundary */
    size_t n;
    int64_t file_at, file_len; /* file_at 0: no file seen */
    char type[64], file_name[API_STREAM_NAME_MAX], name[API_STREAM_NAME_MAX];
};

struct part {
    char head[HEAD_MAX + 1];
    size_t head_len;
    int64_t at, len; /* of its content */
    char field[64], file_name[256], type[64];
    bool has_file;
};

static bool malformed(const struct form *f, const char *what)
{
    (void)api_problem(&f->call->resp, PROBLEM_MALFORMED_UPLOAD,
                      "The form cannot be read: %s. Nothing was kept.", what);
    return false;
}

/* As many octets as there are, at most n; -1 = the scratch file cannot be read. */
static ssize_t read_some(const struct form *f, int64_t at, char *out, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(f->call->stream.fd, out + got, n - got, at + (int64_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        if (k == 0)
            break;
        got += (size_t)k;
    }
    return (ssize_t)got;
}

/* Where the next delimiter begins at or behind `at`; -1 there is none. What only begins like one is
 * content. */
static int64_t find_delim(const struct form *f, int64_t at)
{
    char piece[PIECE];
    size_t need = f->n + 2; /* with the line end or the "--" behind it */
    for (;;) {
        ssize_t got = read_some(f, at, piece, sizeof piece);
        if (got < (ssize_t)need)
            return -1;
        const char *p = piece, *end = piece + got;
        while ((p = memmem(p, (size_t)(end - p), f->delim, f->n)) && end - p >= (ssize_t)need) {
            if (!memcmp(p + f->n, "\r\n", 2) || !memcmp(p + f->n, "--", 2))
                return at + (p - piece);
            p++;
        }
        at += got - (ssize_t)need + 1;
    }
}

/* ---- headers -------------------------------------------------------------------------------- */
/* One value: a token, or a quoted string in which \" is a quote and any other backslash itself, as
 * browsers write the names of files. NULL: malformed or too long. */
static const char *take_value(const char *p, char *out, size_t size)
{
    bool quoted = *p == '"';
    size_t n = 0;
    for (p += quoted; *p && (quoted ? *p != '"' : !strchr("; \t", *p)); p++) {
        if (quoted && p[0] == '\\' && p[1] == '"')
            p++;
        if (n + 1 >= size)
            return NULL;
        out[n++] = *p;
    }
    out[n] = 0;
    if (quoted && *p++ != '"')
        return NULL;
    return p;
}

/* A parameter of a header's value: 1 there, 0 absent, -1 malformed, too long or doubled. */
static int take_param(const char *header, const char *name, char *out, size_t size)
{
    char other[512] = "";
    int found = 0;
    const char *p = header + strcspn(header, ";");
    while (*p == ';') {
        p += 1 + strspn(p + 1, " \t");
        size_t n = strcspn(p, "=; \t");
        bool wanted = n == strlen(name) && !strncasecmp(p, name, n);
        p += n;
        if (*p != '=' || (wanted && found))
            return *p == 0 && !wanted ? found : -1;
        found |= wanted;
        p = take_value(p + 1, wanted ? out : other, wanted ? size : sizeof other);
        if (!p)
            return -1;
        p += strspn(p, " \t");
    }
    return *p ? -1 : found;
}

/* The value of a header of the part, "" absent. */
static const char *part_header(const struct part *p, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = p->head; *line; line += strlen(line) + 1)
        if (!strncasecmp(line, name, n) && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
    return "";
}

/* Reads the headers at `at` as strings one behind the other; moves p->at behind them. */
static const char *read_head(const struct form *f, int64_t at, struct part *p)
{
    ssize_t got = read_some(f, at, p->head, HEAD_MAX);
    if (got < 0)
        return "it cannot be read back";
    const char *end = memmem(p->head, (size_t)got, "\r\n\r\n", 4);
    if (!end || memchr(p->head, 0, (size_t)(end - p->head)))
        return end ? "a header holds a NUL" : "the headers of a part do not end within 8192 bytes";
    p->head_len = (size_t)(end - p->head);
    p->at = at + (int64_t)p->head_len + 4;
    p->head[p->head_len] = p->head[p->head_len + 1] = 0;
    for (char *c = p->head; (c = strstr(c, "\r\n"));) { /* a line that goes on is none of ours */
        if (c[2] == ' ' || c[2] == '\t')
            return "a header is folded";
        *c = 0;
        memmove(c + 1, c + 2, p->head_len - (size_t)(c + 2 - p->head) + 2);
        p->head_len--;
        c++;
    }
    return NULL;
}

static const char *judge_head(struct part *p)
{
    const char *what = part_header(p, "Content-Disposition"),
               *coding = part_header(p, "Content-Transfer-Encoding"),
               *type = part_header(p, "Content-Type");
    if (strncasecmp(what, "form-data;", 10) != 0 ||
        take_param(what, "name", p->field, sizeof p->field) != 1)
        return "a part has no Content-Disposition: form-data with a name of at most 63 bytes";
    int has_file = take_param(what, "filename", p->file_name, sizeof p->file_name);
    if (has_file < 0)
        return "the name of a file is malformed or longer than 255 bytes";
    p->has_file = has_file == 1;
    if (*coding && strcasecmp(coding, "binary") != 0 && strcasecmp(coding, "8bit") != 0 &&
        strcasecmp(coding, "7bit") != 0)
        return "a part has a Content-Transfer-Encoding; send the bytes as they are";
    if (!media_type_parse(*type ? type : "application/octet-stream", p->type, sizeof p->type))
        return "a part is in another character set than UTF-8";
    return NULL;
}

/* ---- parts ---------------------------------------------------------------------------------- */
/* What stands behind the last slash, cut to what a name may have, at a character's border. */
static void base_name(const char *path, char out[API_STREAM_NAME_MAX])
{
    const char *base = path;
    for (const char *p = path; *p; p++)
        if (*p == '/' || *p == '\\')
            base = p + 1;
    size_t n = strlen(base);
    if (n >= API_STREAM_NAME_MAX)
        for (n = API_STREAM_NAME_MAX - 1; n && ((unsigned char)base[n] & 0xc0) == 0x80;)
            n--;
    memcpy(out, base, n);
    out[n] = 0;
}

static bool take_file(struct form *f, const struct part *p)
{
    struct api_response *resp = &f->call->resp;
    if (f->file_at) {
        api_error(resp, "", "file_twice",
                  "the form has more than one file; send each in a request of its own");
        return true;
    }
    if (!media_type_listed(f->call->req.route->media, p->type)) {
        (void)api_problem(resp, PROBLEM_MEDIA_TYPE,
                          "The file is sent as %s, which is not taken "
                          "here.",
                          p->type);
        api_problem_text(resp, "accept", "%s", f->call->req.route->media);
        return false;
    }
    f->file_at = p->at;
    f->file_len = p->len;
    memcpy(f->type, p->type, sizeof f->type);
    base_name(p->file_name, f->file_name);
    return true;
}

static bool take_part(struct form *f, const struct part *p)
{
    struct api_response *resp = &f->call->resp;
    if (p->has_file)
        return take_file(f, p);
    if (strcmp(p->field, "name") != 0 || f->name[0])
        api_error(resp, "", "unknown_member",
                  "the form has a field \"%s\"%s; known are one file and one field \"name\"",
                  text_is_utf8(p->field, strlen(p->field)) ? p->field : "?",
                  f->name[0] ? " again" : "");
    else if (p->len < 1 || p->len >= API_STREAM_NAME_MAX)
        api_error(resp, "", "out_of_range",
                  "the field \"name\" has %lld bytes; it may have 1 to %u", (long long)p->len,
                  API_STREAM_NAME_MAX - 1);
    else if (read_some(f, p->at, f->name, (size_t)p->len) != p->len ||
             strlen(f->name) < (size_t)p->len)
        return malformed(f, "the field \"name\" is no text");
    return true;
}

static bool take_parts(struct form *f)
{
    char two[4], first[sizeof f->delim];
    struct part p;
    if (read_some(f, 0, first, f->n - 2) != (ssize_t)f->n - 2 ||
        memcmp(first, f->delim + 2, f->n - 2) != 0)
        return malformed(f, "it does not begin with the boundary that Content-Type names");
    int64_t at = (int64_t)f->n - 2;
    for (unsigned i = 0;; i++) {
        ssize_t got = read_some(f, at, two, sizeof two);
        if (got >= 2 && !memcmp(two, "--", 2))
            return got == 2 || (got == 4 && !memcmp(two + 2, "\r\n", 2) &&
                                f->call->stream.spooled == at + 4)
                       ? true
                       : malformed(f, "bytes follow its end");
        if (got < 2 || memcmp(two, "\r\n", 2) != 0)
            return malformed(f, "it ends without its last boundary");
        if (i == PARTS_MAX)
            return malformed(f, "it has more than 8 parts");
        memset(&p, 0, sizeof p);
        const char *fault = read_head(f, at + 2, &p);
        if (!fault)
            fault = judge_head(&p);
        if (fault)
            return malformed(f, fault);
        int64_t end = find_delim(f, p.at);
        if (end < 0)
            return malformed(f, "it ends without its last boundary");
        p.len = end - p.at;
        if (!take_part(f, &p))
            return false;
        at = end + (int64_t)f->n;
    }
}

bool form_unwrap(struct api_call *call)
{
    struct api_stream *s = &call->stream;
    struct form f = {.call = call};
    char boundary[BOUNDARY_MAX + 1];
    if (s->gzip) {
        (void)api_problem(&call->resp, PROBLEM_MEDIA_TYPE,
                          "A form comes without Content-Encoding.");
        return false;
    }
    if (take_param(api_header(&call->req, "Content-Type"), "boundary", boundary, sizeof boundary) !=
            1 ||
        !boundary[0])
        return malformed(&f, "Content-Type names no boundary of 1 to 70 characters");
    f.n = (size_t)snprintf(f.delim, sizeof f.delim, "\r\n--%s", boundary);
    if (!take_parts(&f))
        return false;
    if (!f.file_at)
        api_error(&call->resp, "", "file_missing",
                  "the form has no file; send one part with a filename: curl -F file=@photo.jpg");
    if (api_errors(&call->resp))
        return true; /* told together with other faults */
    s->at = f.file_at;
    s->len = f.file_len;
    memcpy(s->media, f.type, sizeof s->media);
    memcpy(s->name, f.name[0] ? f.name : f.file_name, sizeof s->name);
    if (spool_hash(s, s->sha256) == 0)
        return true;
    (void)api_problem(&call->resp, PROBLEM_INTERNAL, "The upload could not be read back.");
    return false;
}
