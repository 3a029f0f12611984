/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.h - judge what a plugin exports, before any of its code is called. Pure: no files, no
 * dlopen. Source: the ABI rules in cgw/plugin.h. */
#ifndef PLUGIN_DESCRIPTOR_H
#define PLUGIN_DESCRIPTOR_H

#include "plugin/loader.h"

/* Sizes of the first release of this MAJOR: less than that cannot be a descriptor of it. */
#define DESC_SIZE_FIRST 96u
#define CHANNEL_OPS_SIZE_FIRST 96u
#define CAMPAIGN_OPS_SIZE_FIRST 56u
#define CAPS_SIZE_FIRST 56u

/**
 * Judge the object behind the symbol `cgw_plugin` and copy what this gateway knows of it into *ret
 * (path and dl untouched). \param file      file name without directory, leads every sentence
 * \param obj_size  bytes of the exported object according to the symbol table, 0 = unknown
 */
int descriptor_accept(const struct cgw_abi_prefix *exported, size_t obj_size, const char *file,
                      struct plugin *ret, struct diag *diag) CGW_NODISCARD;

#endif
