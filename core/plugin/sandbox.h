/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - may an instance with these options run in a sandbox? The rule: the plugin is
 * channel_loopback, or it has at least one option that names a peer and every such option is a
 * loopback address. An option names a peer when one of the words of its key, which underscores
 * separate, is one of sandbox_words. */
#ifndef PLUGIN_SANDBOX_H
#define PLUGIN_SANDBOX_H

#include "plugin/conf.h"

#define SANDBOX_PLUGIN "channel_loopback"

/* 0, or CGW_EDENIED with the option and its value in diag. */
int sandbox_check(const struct plugin *p, const char *instance, const struct cgw_conf *conf,
                  struct diag *diag) CGW_NODISCARD;
/* "localhost", 127.0.0.0/8 or ::1, also inside "scheme://user@host:port/path", "sip:user@host;x"
 * and
 * "[::1]:25". */
bool sandbox_is_loopback(const char *peer);

#endif
