/* SPDX-License-Identifier: Apache-2.0 */
/* sniff.c - see sniff.h. */
#include "media/sniff.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

const char media_types[] =
    "image/jpeg|image/jpg|image/png|image/gif|image/webp|image/bmp|audio/mpeg|audio/mp3|audio/"
    "wav|audio/x-wav|audio/wave|audio/amr|audio/amr-wb|audio/ogg|audio/aac|audio/midi|audio/mp4|"
    "audio/3gpp|video/mp4|video/3gpp|video/3gpp2|application/pdf|application/smil|"
    "application/xml|text/xml|text/html|text/plain|text/csv|text/vcard|text/calendar|"
    "application/octet-stream";

/* The first that fits. Two places, because containers name their kind behind their size. */
static const struct signature {
    const char *mime;
    uint8_t at, len;
    const char *bytes;
    uint8_t at2, len2;
    const char *bytes2;
} signatures[] = {
    {"image/jpeg", 0, 3, "\xff\xd8\xff", 0, 0, ""},
    {"image/png", 0, 8, "\x89PNG\r\n\x1a\n", 0, 0, ""},
    {"image/gif", 0, 6, "GIF87a", 0, 0, ""},
    {"image/gif", 0, 6, "GIF89a", 0, 0, ""},
    {"image/webp", 0, 4, "RIFF", 8, 6, "WEBPVP"},
    {"image/bmp", 0, 2, "BM", 6, 4, "\0\0\0\0"},
    {"audio/wav", 0, 4, "RIFF", 8, 4, "WAVE"},
    {"audio/amr", 0, 6, "#!AMR\n", 0, 0, ""},
    {"audio/amr-wb", 0, 9, "#!AMR-WB\n", 0, 0, ""},
    {"audio/ogg", 0, 5, "OggS\0", 0, 0, ""},
    {"audio/midi", 0, 4, "MThd", 0, 0, ""},
    {"audio/mpeg", 0, 3, "ID3", 0, 0, ""},
    {"audio/mpeg", 0, 2, "\xff\xfb", 0, 0, ""},
    {"audio/mpeg", 0, 2, "\xff\xfa", 0, 0, ""},
    {"audio/mpeg", 0, 2, "\xff\xf3", 0, 0, ""},
    {"audio/mpeg", 0, 2, "\xff\xf2", 0, 0, ""},
    {"audio/aac", 0, 2, "\xff\xf1", 0, 0, ""},
    {"audio/aac", 0, 2, "\xff\xf9", 0, 0, ""},
    {"audio/mp4", 4, 8, "ftypM4A ", 0, 0, ""},
    {"video/3gpp", 4, 6, "ftyp3g", 0, 0, ""},
    {"video/mp4", 4, 4, "ftyp", 0, 0, ""},
    {"application/pdf", 0, 5, "%PDF-", 0, 0, ""},
};

/* Texts by how they begin, behind a byte order mark and blanks, in any case. */
static const struct {
    const char *mime, *begin;
} texts[] = {
    {"application/smil", "<smil"},
    {"text/html", "<!doctype html"},
    {"text/html", "<html"},
    {"text/vcard", "BEGIN:VCARD"},
    {"text/calendar", "BEGIN:VCALENDAR"},
    {"application/xml", "<?xml"},
};

/* What may be declared of bytes that look like `found`: other names of the type (kept under ours),
 * and kinds that bytes alone do not tell (kept as declared). */
static const struct {
    const char *found, *declared, *keep;
} agreed[] = {
    {"image/jpeg", "image/jpg", "image/jpeg"},
    {"audio/mpeg", "audio/mp3", "audio/mpeg"},
    {"audio/wav", "audio/x-wav", "audio/wav"},
    {"audio/wav", "audio/wave", "audio/wav"},
    {"video/3gpp", "audio/3gpp", "audio/3gpp"},
    {"video/3gpp", "video/3gpp2", "video/3gpp2"},
    {"video/mp4", "audio/mp4", "audio/mp4"},
    {"video/mp4", "video/3gpp", "video/3gpp"}, /* written with a general brand by many phones */
    {"text/plain", "text/csv", "text/csv"},
    {"text/html", "text/plain", "text/plain"},
    {"text/vcard", "text/plain", "text/plain"},
    {"text/calendar", "text/plain", "text/plain"},
    {"application/xml", "text/xml", "application/xml"},
    {"application/xml", "application/smil", "application/smil"},
    {"application/xml", "text/plain", "text/plain"},
    {"application/smil", "application/xml", "application/smil"},
    {"application/smil", "text/xml", "application/smil"},
};

static bool fits(const struct signature *s, const char *data, size_t len)
{
    return len >= (size_t)s->at + s->len && len >= (size_t)s->at2 + s->len2 &&
           !memcmp(data + s->at, s->bytes, s->len) && !memcmp(data + s->at2, s->bytes2, s->len2);
}

/* Bytes of the character at s (0 = not UTF-8, or a control character that texts do not hold); what
 * is cut off at the end of the look counts as whole. */
static size_t text_char(const unsigned char *s, size_t len)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    if (n == 1)
        return s[0] >= 0x20 ? s[0] != 0x7f
                            : s[0] == '\t' || s[0] == '\n' || s[0] == '\r' || s[0] == '\f';
    for (size_t i = 1; i < n && i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n < len ? n : n ? len : 0;
}

static const char *sniff_text(const char *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = text_char((const unsigned char *)data + i, len - i);
        if (!n)
            return NULL;
        i += n;
    }
    if (len >= 3 && !memcmp(data, "\xef\xbb\xbf", 3))
        data += 3, len -= 3;
    while (len && strchr(" \t\r\n", *data))
        data++, len--;
    if (!len)
        return NULL; /* nothing but blanks: no media */
    /* an XML declaration or a DOCTYPE may stand before the root that tells more */
    const char *root = memmem(data, len < 1024 ? len : 1024, "<smil", 5);
    if (root && data[0] == '<')
        return "application/smil";
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t n = strlen(texts[i].begin);
        if (len >= n && !strncasecmp(data, texts[i].begin, n))
            return texts[i].mime;
    }
    return "text/plain";
}

const char *media_sniff(const void *data, size_t len)
{
    size_t look = len < MEDIA_SNIFF_BYTES ? len : MEDIA_SNIFF_BYTES;
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++)
        if (fits(&signatures[i], data, look))
            return signatures[i].mime;
    return look ? sniff_text(data, look) : NULL;
}

const char *media_agree(const char *found, const char *declared)
{
    if (!declared[0] || !strcmp(declared, "application/octet-stream") || !strcmp(found, declared))
        return found;
    for (size_t i = 0; i < ARRAY_LEN(agreed); i++)
        if (!strcmp(agreed[i].found, found) && !strcmp(agreed[i].declared, declared))
            return agreed[i].keep;
    return NULL;
}
