/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - two steps of one job on two cores: this thread fills a block while another takes the
 * one before it. RELAY_BLOCKS blocks go round, so whoever is quicker waits; blocks are taken one at
 * a time, in the order in which they were passed. */
#ifndef BASE_RELAY_H
#define BASE_RELAY_H

#include "base/cleanup.h"
#include "base/diag.h"

#define RELAY_BLOCKS 2u

struct relay; /* opaque */

/* Runs on the relay's thread; what it uses besides the block is its own until relay_end(). An error
 * ends the relay: nothing is taken after it. */
typedef int (*relay_take_fn)(void *ctx, void *block, struct diag *diag);

/* blocks: the caller's, kept until relay_end(). NULL with diag when there is no memory or no
 * thread.
 */
struct relay *relay_new(void *const blocks[RELAY_BLOCKS], relay_take_fn take, void *ctx,
                        struct diag *diag) CGW_NODISCARD;
/* The block to fill. */
void *relay_block(const struct relay *r);
/* Hands it over and waits until there is another one to fill. \return 0, or the error of take */
int relay_pass(struct relay *r, struct diag *diag) CGW_NODISCARD;
/* Waits until all that was passed is taken, and frees r (NULL-safe). \return 0, or the error of
 * take
 */
int relay_end(struct relay *r, struct diag *diag);

#endif
