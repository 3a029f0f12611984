/* SPDX-License-Identifier: Apache-2.0 */
/* xml.c - see xml.h. The reader listens to libxml2's SAX events and keeps a flat list of elements:
 * there is no tree to expand anything into, and the first DOCTYPE stops the parser before its
 * inside is looked at. */
#include "xml.h"

#include <libxml/parser.h>
#include <libxml/xmlwriter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void mms_xml_global(void)
{
    xmlInitParser();
}

/* ---- reader ---- */

/* Offsets into `strings` while it grows; pointers are made at the end. 0 is the empty string. */
struct raw_node {
    size_t name, ns, text, text_len, href;
    int32_t parent;
    uint32_t depth;
};

struct reading {
    xmlParserCtxtPtr ctxt;
    struct raw_node *nodes;
    uint32_t n, cap;
    char *strings;
    size_t len, size;
    int32_t open; /* innermost open element, -1 none */
    const char *refused;
    int code;
};

static void refuse(struct reading *r, int code, const char *why)
{
    if (!r->refused) {
        r->refused = why;
        r->code = code;
    }
    xmlStopParser(r->ctxt);
}

/* The document is bounded, so is what is kept of it: names once per element, text once. */
static bool put(struct reading *r, const void *bytes, size_t n)
{
    if (r->len + n + 1 > r->size) {
        size_t size = r->size ? r->size * 2 : 4096;
        while (size < r->len + n + 1)
            size *= 2;
        char *p = size <= 8u * MMS_XML_BYTES_MAX ? realloc(r->strings, size) : NULL;
        if (!p) {
            refuse(r, CGW_ELIMIT, "has more text than is kept");
            return false;
        }
        r->strings = p;
        r->size = size;
    }
    memcpy(r->strings + r->len, bytes, n);
    r->len += n;
    r->strings[r->len] = '\0';
    return true;
}

static size_t put_string(struct reading *r, const xmlChar *s, size_t n)
{
    size_t at = r->len;
    if (n == 0 || !put(r, s, n) || !put(r, "", 1))
        return 0;
    return at;
}

static bool room_for_node(struct reading *r)
{
    if (r->n < r->cap)
        return true;
    uint32_t cap = r->cap ? r->cap * 2 : 64;
    struct raw_node *p = cap <= MMS_XML_NODES_MAX ? realloc(r->nodes, cap * sizeof *p) : NULL;
    if (!p) {
        refuse(r, CGW_ELIMIT, "has more than 1,024 elements");
        return false;
    }
    r->nodes = p;
    r->cap = cap;
    return true;
}

/* libxml2 hands attributes over in fives: name, prefix, namespace, begin and end of the value. */
static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns,
                     int n_ns, const xmlChar **namespaces, int n_attrs, int n_default,
                     const xmlChar **attrs)
{
    struct reading *r = ((xmlParserCtxtPtr)ctx)->_private;
    uint32_t depth = r->open < 0 ? 0 : r->nodes[r->open].depth + 1;
    (void)prefix, (void)namespaces, (void)n_default;
    if (r->refused)
        return;
    if (depth >= MMS_XML_DEPTH_MAX) {
        refuse(r, CGW_ELIMIT, "is nested deeper than 24 elements");
        return;
    }
    if (n_attrs + n_ns > (int)MMS_XML_ATTRS_MAX) {
        refuse(r, CGW_ELIMIT, "has an element with more than 32 attributes");
        return;
    }
    if (!room_for_node(r))
        return;
    struct raw_node *node = &r->nodes[r->n];
    *node = (struct raw_node){.parent = r->open, .depth = depth};
    node->name = put_string(r, name, strlen((const char *)name));
    node->ns = ns ? put_string(r, ns, strlen((const char *)ns)) : 0;
    for (int i = 0; i < n_attrs; i++)
        if (!strcasecmp((const char *)attrs[5 * i], "href"))
            node->href =
                put_string(r, attrs[5 * i + 3], (size_t)(attrs[5 * i + 4] - attrs[5 * i + 3]));
    r->open = (int32_t)r->n++;
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns)
{
    struct reading *r = ((xmlParserCtxtPtr)ctx)->_private;
    (void)name, (void)prefix, (void)ns;
    if (!r->refused && r->open >= 0)
        r->open = r->nodes[r->open].parent;
}

/* Text in front of the first child; MM7 has no mixed content. Pieces of one text arrive in turn. */
static void on_text(void *ctx, const xmlChar *text, int len)
{
    struct reading *r = ((xmlParserCtxtPtr)ctx)->_private;
    if (r->refused || r->open < 0 || len <= 0)
        return;
    struct raw_node *node = &r->nodes[r->open];
    if ((uint32_t)r->open + 1 != r->n)
        return;
    if (node->text_len == 0) {
        node->text = r->len;
    } else {
        r->len--; /* over the end of the piece before */
    }
    if (put(r, text, (size_t)len) && put(r, "", 1))
        node->text_len += (size_t)len;
}

static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
    (void)name, (void)id, (void)system;
    refuse(((xmlParserCtxtPtr)ctx)->_private, CGW_EINVAL, "has a DOCTYPE, which is never needed");
}

static void on_reference(void *ctx, const xmlChar *name)
{
    (void)name;
    refuse(((xmlParserCtxtPtr)ctx)->_private, CGW_EINVAL, "uses an entity, which is never needed");
}

static xmlEntityPtr on_get_entity(void *ctx, const xmlChar *name)
{
    xmlEntityPtr known = xmlGetPredefinedEntity(name);
    if (!known)
        on_reference(ctx, name);
    return known;
}

static xmlParserInputPtr no_external(void *ctx, const xmlChar *id, const xmlChar *system)
{
    (void)id, (void)system;
    on_reference(ctx, NULL);
    return NULL;
}

static const xmlSAXHandler HANDLER = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .cdataBlock = on_text,
    .ignorableWhitespace = on_text,
    .internalSubset = on_doctype,
    .externalSubset = on_doctype,
    .reference = on_reference,
    .getEntity = on_get_entity,
    .resolveEntity = no_external,
};

/* What the words in declarations really are: senders that say GB2312 or EUC-KR write their
 * supersets, and an unknown word is no reason to lose a report. */
static const char *real_charset(const char *said)
{
    static const char *const supersets[][2] = {
        {"gb2312", "GB18030"},  {"gbk", "GB18030"},     {"gb_2312-80", "GB18030"},
        {"euc-kr", "CP949"},    {"ks_c_5601", "CP949"}, {"ks_c_5601-1987", "CP949"},
        {"utf8", "UTF-8"},      {"us-ascii", "UTF-8"},  {"ascii", "UTF-8"},
        {"big5", "BIG5-HKSCS"}, {"shift_jis", "CP932"},
    };
    for (size_t i = 0; i < sizeof supersets / sizeof supersets[0]; i++)
        if (!strcasecmp(said, supersets[i][0]))
            return supersets[i][1];
    return said;
}

/* encoding="..." of the declaration, "" when there is none. */
static void declared(const char *data, size_t len, char *out, size_t size)
{
    char head[256];
    size_t n = len < sizeof head - 1 ? len : sizeof head - 1;
    memcpy(head, data, n);
    head[n] = '\0';
    out[0] = '\0';
    char *end = strstr(head, "?>"), *at = strstr(head, "encoding");
    if (!end || !at || at > end || !(at = strpbrk(at, "\"'")))
        return;
    size_t word = strcspn(at + 1, "\"'");
    if (at + 1 + word < end && word < size) {
        memcpy(out, at + 1, word);
        out[word] = '\0';
    }
}

/* libxml2 would tell standard error about each bad octet that a stranger sends. */
static void quiet(void *ctx, xmlErrorPtr error)
{
    (void)ctx, (void)error;
}

static void run(struct reading *r, const char *data, size_t len, const char *charset)
{
    const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                        (charset ? XML_PARSE_IGNORE_ENC : 0);
    r->n = 0;
    r->len = 1;
    r->open = -1;
    xmlSetStructuredErrorFunc(NULL, quiet); /* a setting of the thread */
    r->ctxt = xmlNewParserCtxt();
    if (!r->ctxt) {
        r->refused = "does not fit into memory";
        r->code = CGW_ELIMIT;
        return;
    }
    *r->ctxt->sax = HANDLER;
    r->ctxt->_private = r;
    xmlDocPtr doc = xmlCtxtReadMemory(r->ctxt, data, (int)len, NULL, charset, options);
    if (doc) /* SAX only: there is none */
        xmlFreeDoc(doc);
    if (!r->refused && (!r->ctxt->wellFormed || r->n == 0)) {
        r->refused = "is not well-formed";
        r->code = CGW_EINVAL;
    }
    if (r->ctxt->myDoc)
        xmlFreeDoc(r->ctxt->myDoc);
    r->ctxt->myDoc = NULL;
    xmlFreeParserCtxt(r->ctxt);
}

static const char *trim(char *s)
{
    static const char blank[] = " \t\r\n";
    s += strspn(s, blank);
    size_t n = strlen(s);
    while (n && strchr(blank, s[n - 1]))
        s[--n] = '\0';
    return s;
}

static int hand_over(struct reading *r, struct mms_xml *ret)
{
    ret->nodes = calloc(r->n, sizeof *ret->nodes);
    ret->raws = malloc(r->len + 1);
    if (!ret->nodes || !ret->raws) {
        mms_xml_done(ret);
        return CGW_ELIMIT;
    }
    memcpy(ret->raws, r->strings, r->len + 1);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct raw_node *from = &r->nodes[i];
        ret->nodes[i] = (struct mms_node){.name = r->strings + from->name,
                                          .ns = r->strings + from->ns,
                                          .text = trim(r->strings + from->text),
                                          .raw = ret->raws + from->text,
                                          .href = r->strings + from->href,
                                          .parent = from->parent,
                                          .depth = from->depth};
    }
    ret->n = r->n;
    ret->strings = r->strings;
    r->strings = NULL;
    return 0;
}

static int fail(struct cgw_diag *diag, int code, const char *why)
{
    diag->code = code;
    (void)snprintf(diag->text, sizeof diag->text, "the document %s", why);
    return code;
}

/* RFC 7303: the transport's word comes first. When the bytes contradict it, the document's. */
int mms_xml_read(const char *data, size_t len, const char *charset, struct mms_xml *ret,
                 struct cgw_diag *diag)
{
    struct reading r = {.open = -1};
    char said[64];
    *ret = (struct mms_xml){0};
    if (len == 0)
        return fail(diag, CGW_EINVAL, "is empty");
    if (len > MMS_XML_BYTES_MAX)
        return fail(diag, CGW_ELIMIT, "is larger than 262,144 bytes");
    declared(data, len, said, sizeof said);
    const char *first = charset && *charset ? real_charset(charset) : NULL;
    const char *second = said[0] ? real_charset(said) : NULL;
    if (!put(&r, "", 0))
        return fail(diag, CGW_ELIMIT, "does not fit into memory");
    run(&r, data, len, first ? first : second);
    if (first && r.code == CGW_EINVAL && r.refused && strstr(r.refused, "well-formed") &&
        (!second || strcasecmp(first, second) != 0)) {
        r.refused = NULL;
        r.code = 0;
        run(&r, data, len, second);
    }
    int rc = r.refused ? fail(diag, r.code, r.refused) : hand_over(&r, ret);
    free(r.nodes);
    free(r.strings);
    return rc;
}

void mms_xml_done(struct mms_xml *x)
{
    free(x->nodes);
    free(x->strings);
    free(x->raws);
    *x = (struct mms_xml){0};
}

static bool is_below(const struct mms_xml *x, int32_t node, int32_t under)
{
    for (int32_t i = x->nodes[node].parent; i >= 0; i = x->nodes[i].parent)
        if (i == under)
            return true;
    return false;
}

int32_t mms_xml_find(const struct mms_xml *x, int32_t under, const char *name)
{
    for (int32_t i = under + 1; i < (int32_t)x->n; i++)
        if (!strcmp(x->nodes[i].name, name) && (under < 0 || is_below(x, i, under)))
            return i;
    return -1;
}

int32_t mms_xml_child(const struct mms_xml *x, int32_t under, const char *name)
{
    for (int32_t i = under + 1; i < (int32_t)x->n; i++)
        if (x->nodes[i].parent == under && (!name || !strcmp(x->nodes[i].name, name)))
            return i;
    return -1;
}

const char *mms_xml_text(const struct mms_xml *x, int32_t under, const char *name)
{
    int32_t i = mms_xml_find(x, under, name);
    return i < 0 ? "" : x->nodes[i].text;
}

/* ---- writer ---- */

int mms_xw_begin(struct mms_xw *w)
{
    if (!w->buffer)
        w->buffer = xmlBufferCreateSize(4096);
    else
        xmlBufferEmpty(w->buffer);
    w->writer = w->buffer ? xmlNewTextWriterMemory(w->buffer, 0) : NULL;
    w->failed = !w->writer;
    if (!w->failed && xmlTextWriterStartDocument(w->writer, "1.0", "UTF-8", NULL) < 0)
        w->failed = true;
    return w->failed ? CGW_ELIMIT : 0;
}

static void note(struct mms_xw *w, int rc)
{
    if (rc < 0)
        w->failed = true;
}

void mms_xw_open(struct mms_xw *w, const char *name, const char *ns)
{
    if (w->failed)
        return;
    note(w, xmlTextWriterStartElement(w->writer, BAD_CAST name));
    if (ns)
        note(w, xmlTextWriterWriteAttribute(w->writer, BAD_CAST "xmlns", BAD_CAST ns));
}

void mms_xw_attr(struct mms_xw *w, const char *name, const char *value)
{
    if (!w->failed)
        note(w, xmlTextWriterWriteAttribute(w->writer, BAD_CAST name, BAD_CAST value));
}

void mms_xw_text(struct mms_xw *w, const char *text)
{
    if (!w->failed)
        note(w, xmlTextWriterWriteString(w->writer, BAD_CAST text));
}

void mms_xw_close(struct mms_xw *w)
{
    if (!w->failed)
        note(w, xmlTextWriterEndElement(w->writer));
}

void mms_xw_element(struct mms_xw *w, const char *name, const char *text)
{
    if (!w->failed && text)
        note(w, xmlTextWriterWriteElement(w->writer, BAD_CAST name, BAD_CAST text));
}

const char *mms_xw_end(struct mms_xw *w, size_t *ret_len)
{
    if (w->writer) {
        note(w, xmlTextWriterEndDocument(w->writer));
        xmlFreeTextWriter(w->writer);
        w->writer = NULL;
    }
    if (w->failed)
        return NULL;
    *ret_len = (size_t)xmlBufferLength(w->buffer);
    return (const char *)xmlBufferContent(w->buffer);
}

void mms_xw_done(struct mms_xw *w)
{
    if (w->writer)
        xmlFreeTextWriter(w->writer);
    if (w->buffer)
        xmlBufferFree(w->buffer);
    *w = (struct mms_xw){0};
}
