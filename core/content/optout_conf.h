/* SPDX-License-Identifier: Apache-2.0 */
/* optout_conf.h - opt-out words from a libconfig file (conf/optout.conf): the one place where they
 * are written down. Errors say file:line and what would be right; on failure nothing is loaded. Any
 * thread. */
#ifndef CONTENT_OPTOUT_CONF_H
#define CONTENT_OPTOUT_CONF_H

#include "content/optout.h"

#define OPTOUT_CONF_MAX 262144u /* bytes of the file */

int optout_conf_load(const char *path, struct optout_sets *ret, struct diag *diag) CGW_NODISCARD;
/* The same from memory; `name` stands for the file in messages. text is NUL-terminated. */
int optout_conf_parse(const char *text, const char *name, struct optout_sets *ret,
                      struct diag *diag) CGW_NODISCARD;

#endif
