/* SPDX-License-Identifier: Apache-2.0 */
/* test_media.c - what media are by their bytes; and what a campaign plugin reads of a content that
 * is more than strings. */
#include "content/render.h"
#include "media/sniff.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define BYTES(s) (s), sizeof(s) - 1

Test(sniff, tells_kinds_by_their_bytes)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *mime;
    } t[] = {
        {BYTES("\xff\xd8\xff\xe0\0\x10JFIF"), "image/jpeg"},
        {BYTES("\x89PNG\r\n\x1a\n....IHDR"), "image/png"},
        {BYTES("GIF87a.."), "image/gif"},
        {BYTES("GIF89a.."), "image/gif"},
        {BYTES("RIFF\x10\0\0\0WEBPVP8 "), "image/webp"},
        {BYTES("RIFF\x10\0\0\0WAVEfmt "), "audio/wav"},
        {BYTES("RIFF\x10\0\0\0AVI LIST"), NULL},
        {BYTES("BM\x3a\0\0\0\0\0\0\0\x36"), "image/bmp"},
        {BYTES("BMW is a car"), "text/plain"},
        {BYTES("ID3\x03\0"), "audio/mpeg"},
        {BYTES("\xff\xfb\x90\x64"), "audio/mpeg"},
        {BYTES("#!AMR\n\x3c"), "audio/amr"},
        {BYTES("#!AMR-WB\n\x3c"), "audio/amr-wb"},
        {BYTES("OggS\0\2"), "audio/ogg"},
        {BYTES("\0\0\0\x18"
               "ftyp3gp4"),
         "video/3gpp"},
        {BYTES("\0\0\0\x18"
               "ftypisom"),
         "video/mp4"},
        {BYTES("\0\0\0\x18"
               "ftypM4A "),
         "audio/mp4"},
        {BYTES("%PDF-1.7"), "application/pdf"},
        {BYTES("<smil><head/></smil>"), "application/smil"},
        {BYTES("<?xml version=\"1.0\"?>\n<!DOCTYPE smil>\n<smil>"), "application/smil"},
        {BYTES("<?xml version=\"1.0\"?><a/>"), "application/xml"},
        {BYTES("\xef\xbb\xbf  <HTML>"), "text/html"},
        {BYTES("BEGIN:VCARD\r\n"), "text/vcard"},
        {BYTES("您好"), "text/plain"},
        {BYTES("您\xe5\xa5"), "text/plain"}, /* cut by the end of the look */
        {BYTES("a\0b"), NULL},
        {BYTES("\x7f"
               "ELF\x02"),
         NULL},
        {BYTES("MZ\x90\0"), NULL},
        {BYTES("PK\x03\x04"), NULL},
        {BYTES("\xc3("), NULL},
        {BYTES(" \n"), NULL},
        {BYTES(""), NULL},
        {BYTES("\xff"), NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        const char *got = media_sniff(t[i].bytes, t[i].len);
        cr_expect(got == t[i].mime || (got && t[i].mime && !strcmp(got, t[i].mime)),
                  "%zu: %s, not %s", i, got ? got : "-", t[i].mime ? t[i].mime : "-");
    }
}

Test(sniff, looks_at_no_byte_behind_the_end)
{
    static const char whole[] = "RIFF\x10\0\0\0WEBPVP8 ";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *exact = malloc(n ? n : 1); /* a sanitizer or valgrind sees a step too far */
        memcpy(exact, whole, n);
        (void)media_sniff(exact, n);
        free(exact);
    }
}

Test(sniff, other_names_agree_and_other_kinds_do_not)
{
    cr_expect_str_eq(media_agree("image/jpeg", "image/jpg"), "image/jpeg");
    cr_expect_str_eq(media_agree("video/3gpp", "audio/3gpp"), "audio/3gpp");
    cr_expect_str_eq(media_agree("text/plain", "text/csv"), "text/csv");
    cr_expect_str_eq(media_agree("image/png", ""), "image/png");
    cr_expect_str_eq(media_agree("image/png", "application/octet-stream"), "image/png");
    cr_expect_null(media_agree("image/png", "image/jpeg"));
    cr_expect_null(media_agree("text/plain", "text/html"));
    cr_expect_null(media_agree("text/html", "image/png"));
}

/* ---- content ------------------------------------------------------------------------------------
 */
static struct cgw_run *run_of(const char *content)
{
    static const char *const fields[] = {"name"};
    static const struct render_media media[] = {
        {.handle = 77, .size = 5, .id = "med_one", .mime = "image/png"}};
    struct cgw_run *run = NULL;
    struct diag d = {0};
    cr_assert_eq(
        render_run_new("cmp", CGW_CHANNEL_VOICE, content, strlen(content), fields, 1, &run, &d), 0,
        "%s", d.text);
    cr_assert_eq(render_run_media(run, media, 1, &d), 0);
    return run;
}

Test(content, a_plugin_reads_objects_arrays_and_media)
{
    const struct cgw_campaign_host *h = render_campaign_host();
    struct cgw_run *run =
        run_of("{\"flow\":{\"say\":\"a\\\"b\",\"n\":[1, 2]},\"x/y\":\"z\",\"e\":[]}");
    uint32_t len = 0;
    const char *text = h->content_json(run, "/flow", &len);
    cr_expect_str_eq(text, "{\"say\":\"a\\\"b\",\"n\":[1,2]}");
    cr_expect_eq(len, strlen(text));
    cr_expect_eq(h->content_json(run, "/flow", NULL), text, "kept with the run");
    cr_expect_null(h->content_json(run, "/none", &len));
    cr_expect_eq(len, 0);
    cr_expect_eq(h->content_count(run, ""), 3);
    cr_expect_eq(h->content_count(run, "/flow/n"), 2);
    cr_expect_eq(h->content_count(run, "/e"), 0);
    cr_expect_eq(h->content_count(run, "/x~1y"), -1);
    cr_expect_str_eq(h->content_key(run, "", 1), "x/y");
    cr_expect_null(h->content_key(run, "", 3));
    cr_expect_null(h->content_key(run, "/flow/n", 0), "an array has no names");
    struct cgw_part part;
    cr_expect_eq(h->media_part(run, "med_one", &part), 0);
    cr_expect(part.role == CGW_ROLE_MEDIA && part.media == 77 && !strcmp(part.mime, "image/png"));
    cr_expect_eq(h->media_part(run, "med_two", &part), CGW_ENOTFOUND);
    (void)render_run_free(run);
}

Test(content, json_texts_of_a_run_are_bounded)
{
    const struct cgw_campaign_host *h = render_campaign_host();
    struct cgw_run *run = run_of("[0,1,2,3,4,5,6,7,8,9]");
    char at[8];
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(at, sizeof at, "/%u", i);
        cr_expect_eq(h->content_json(run, at, NULL) != NULL, i < RENDER_JSON_MAX, "%u", i);
    }
    (void)render_run_free(run);
}

Test(content, a_flow_takes_values_inside_its_strings_only)
{
    const struct cgw_campaign_host *h = render_campaign_host();
    struct cgw_run *run = run_of("{\"flow\":{\"say\":\"Hi {{name|\\\"you\\\"}}\"}}");
    struct cgw_diag why = {.size = sizeof why};
    uint32_t len;
    const char *flow = h->content_json(run, "/flow", &len);
    cr_expect_eq(h->template_check(run, flow, len, CGW_ROLE_FLOW, &why), 0, "%s", why.text);
    cr_expect_eq(h->template_check(run, BYTES("{\"n\":{{name}}}"), CGW_ROLE_FLOW, &why),
                 CGW_EINVAL);
    cr_expect(strstr(why.text, "JSON") != NULL, "%s", why.text);
    static const char *const params[] = {"a\"}\\", ""};
    static const uint32_t lens[] = {4, 0};
    static const char *const out[] = {"{\"say\":\"Hi a\\\"}\\\\\"}",
                                      "{\"say\":\"Hi \\\"you\\\"\"}"};
    struct arena arena;
    struct cgw_builder *b = NULL;
    struct diag d = {0};
    arena_init(&arena, 1u << 20);
    cr_assert_eq(render_builder_new(run, &arena, params, lens, 2, &b, &d), 0);
    for (uint32_t i = 0; i < 2; i++) {
        cr_expect_eq(h->add_template(b, i, CGW_ROLE_FLOW, "application/json", flow, len), 0);
        const struct render_message *m = render_builder_message(b, i);
        cr_expect_eq(m->n_parts, 1);
        cr_expect_str_eq(m->parts[0].body, out[i]);
    }
    render_builder_free(b);
    arena_done(&arena);
    (void)render_run_free(run);
}
