/* SPDX-License-Identifier: Apache-2.0 */
/* netguard.h - in a sandbox nothing leaves this machine: connect(), sendto(), sendmsg() and
 * sendmmsg() of this program (campgwd, campgw-plugin-host) stand in front of the C library's for
 * all plugins and libraries, and refuse every address that is not loopback or a local socket with
 * EACCES. Accepted connections are answered, wherever they come from. A plugin that makes raw
 * system calls gets around it: whom to trust is a decision of the deployment. */
#ifndef NETGUARD_H
#define NETGUARD_H

#include <stdint.h>

void netguard_on(void);          /* for good; before any thread */
uint64_t netguard_refused(void); /* so many attempts so far */

#endif
