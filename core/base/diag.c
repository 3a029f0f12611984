/* SPDX-License-Identifier: Apache-2.0 */
/* diag.c - see diag.h. */
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* in brackets: diag.h makes the name a macro for the analyzer */
int(diag_set)(struct diag *d, int code, const char *where, const char *fmt, ...)
{
    if (!d)
        return code;
    d->code = code;
    (void)snprintf(d->where, sizeof d->where, "%s", where ? where : "");
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    return code;
}

const char *diag_code_name(int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {CGW_OK, "OK"},           {CGW_EINVAL, "EINVAL"},
        {CGW_ELIMIT, "ELIMIT"},   {CGW_EBUSY, "EBUSY"},
        {CGW_ESTATE, "ESTATE"},   {CGW_EFENCED, "EFENCED"},
        {CGW_EDB, "EDB"},         {CGW_ENOTFOUND, "ENOTFOUND"},
        {CGW_EEXISTS, "EEXISTS"}, {CGW_EVERSION, "EVERSION"},
        {CGW_EDENIED, "EDENIED"}, {CGW_ECONFLICT, "ECONFLICT"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].code == code)
            return names[i].name;
    return code < 0 && code > -1000 ? strerror(-code) : "?";
}
