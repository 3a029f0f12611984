/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h - scope-bound freeing inside the core (public headers and templates use plain C11
 * instead). For memory and descriptors only; locks and transactions use one `goto out` label. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cgw_freep(void *p)
{
    free(*(void **)p);
}
static inline void cgw_closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#ifdef __cppcheck__ /* does not know the attribute and would see a leak at each return */
#define auto_free static
#define auto_close static
#else
#define auto_free __attribute__((cleanup(cgw_freep)))
#define auto_close __attribute__((cleanup(cgw_closep)))
#endif
/* Hand over: yields the pointer and nulls the source. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) *take_p_ = &(p);                                                             \
        __typeof__(p) take_v_ = *take_p_;                                                          \
        *take_p_ = NULL;                                                                           \
        take_v_;                                                                                   \
    })
#define CGW_NODISCARD __attribute__((warn_unused_result))
#define CGW_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
