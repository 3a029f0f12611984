/* SPDX-License-Identifier: Apache-2.0 */
/* xml.h - the only door to libxml2: a writer, and a reader that trusts nobody. The reader takes no
 * DOCTYPE, no entities but the five of XML, opens no file and no connection, and ends at stated
 * bounds of size, depth, elements and attributes. Names are compared without prefix or namespace:
 * message centres get both wrong. Must not know MM7. */
#ifndef MMS_XML_H
#define MMS_XML_H

#include "cgw/types.h"

#include <stdbool.h>

#define MMS_XML_BYTES_MAX 262144u /* of one document; an MM7 document has about 2,000 */
#define MMS_XML_DEPTH_MAX 24u
#define MMS_XML_NODES_MAX 1024u
#define MMS_XML_ATTRS_MAX 32u /* of one element */

struct mms_node {
    const char *name, *ns; /* local name; namespace, "" when none */
    const char *text;      /* what stands before the first child, white space trimmed */
    const char *raw;       /* the same untrimmed */
    const char *href;      /* attribute of that name, "" when absent */
    int32_t parent;        /* index, -1 for the root */
    uint32_t depth;
};

struct mms_xml {
    struct mms_node *nodes; /* owned, in document order */
    char *strings, *raws;   /* owned */
    uint32_t n;
};

void mms_xml_global(void); /* once per process, before anything else */

/* charset: what the transport says, NULL = what the document says. \return 0, CGW_EINVAL or
 * CGW_ELIMIT with diag->text; then nothing is to be freed. */
int mms_xml_read(const char *data, size_t len, const char *charset, struct mms_xml *ret,
                 struct cgw_diag *diag);
void mms_xml_done(struct mms_xml *x);
/* First element of that name below `under` (-1: anywhere). \return its index or -1. */
int32_t mms_xml_find(const struct mms_xml *x, int32_t under, const char *name);
/* First element directly below. */
int32_t mms_xml_child(const struct mms_xml *x, int32_t under, const char *name);
/* Its text, "" when there is none. */
const char *mms_xml_text(const struct mms_xml *x, int32_t under, const char *name);

/* Writer. A failure (memory) sticks and is told by mms_xw_end. Text must be UTF-8 without control
 * characters. */
struct mms_xw {
    void *buffer, *writer; /* owned */
    bool failed;
};
int mms_xw_begin(struct mms_xw *w);
void mms_xw_open(struct mms_xw *w, const char *name, const char *ns); /* ns: xmlns, may be NULL */
void mms_xw_attr(struct mms_xw *w, const char *name, const char *value);
void mms_xw_text(struct mms_xw *w, const char *text);
void mms_xw_close(struct mms_xw *w);
void mms_xw_element(struct mms_xw *w, const char *name, const char *text); /* NULL: left out */
/* \return the document and its length, NULL when something failed; valid until mms_xw_done. */
const char *mms_xw_end(struct mms_xw *w, size_t *ret_len);
void mms_xw_done(struct mms_xw *w);

#endif
