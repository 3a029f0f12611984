/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - message texts with fields: compile once, expand per person. A compiled template is
 * immutable: any number of threads.
 *   {{field}}          the person's value; absent and without default = the person cannot be
 * written to (CGW_ENOTFOUND)
 *   {{field|default}}  the default when the value is absent; may be empty; may hold neither {{ nor
 * }}
 *   {{{{               a literal {{
 * Blanks around a field name are ignored. Everything else, single braces too, stands for itself. */
#ifndef CONTENT_TEMPLATE_H
#define CONTENT_TEMPLATE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "cgw/types.h"
#include "content/params.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEMPLATE_MAX 65536u /* bytes of the source */
#define TEMPLATE_PIECES_MAX 4096u
#define TEMPLATE_OUT_MAX CGW_BODY_MAX

struct template; /* opaque */

/* Compile. fields: names the audience has, in the order of its params; NULL = not known yet, names
 * are only checked for their form. \return 0; CGW_EINVAL with diag.where = "column N" (characters
 * from 1; "line L, column N" in a text of several lines); CGW_ELIMIT when it is too large or uses
 * more than CGW_FIELDS_MAX fields */
int template_new(const char *text, size_t len, const char *const *fields, uint32_t n_fields,
                 struct template **ret, struct diag *diag) CGW_NODISCARD;
void template_free(struct template *t);

/* Fields the text uses, each once, in order of appearance. \return how many. Borrowed from t. */
uint32_t template_fields(const struct template *t, const char *const **ret_names);
/* May the text stand in a part of this role? HEADER and SUBJECT refuse CR and LF; FLOW is JSON
 * before its fields are put in, so it is after. */
int template_check_role(const struct template *t, uint32_t role, struct diag *diag) CGW_NODISCARD;

/* Where each of the template's fields stands in an audience's params. Plain value, no ownership. */
struct template_binding {
    uint8_t index[CGW_FIELDS_MAX];
    uint32_t n;
};
int template_bind(const struct template *t, const char *const *fields, uint32_t n_fields,
                  struct template_binding *ret, struct diag *diag) CGW_NODISCARD;

/* Append the text for one person to out. Values (and defaults) are escaped for the role, the
 * author's own text is not: HTML: & < > " ' as entities; FLOW: as inside a JSON string (a default
 * stands inside one already and is left as it is); HEADER, SUBJECT: CR, LF, NUL refused; TEXT:
 * none. \return 0; CGW_ENOTFOUND (where = field name): value absent, no default; CGW_EINVAL: value
 * not allowed in this role; CGW_ELIMIT: out's ceiling passed. On failure out is as long as before.
 */
int template_expand(const struct template *t, const struct template_binding *b, uint32_t role,
                    const struct field_value *values, uint32_t n_values, struct buf *out,
                    struct diag *diag) CGW_NODISCARD;

#endif
