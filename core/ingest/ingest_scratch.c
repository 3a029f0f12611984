/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_scratch.c - see ingest_scratch.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
#endif
#include "ingest/ingest_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int scratch_fault(int err, const char *what, struct diag *diag)
{
    if (err == ENOSPC || err == EDQUOT || err == EFBIG)
        return diag_set(
            diag, CGW_ELIMIT, "",
            "The disk for scratch files is full; free space or name another spool directory.");
    return diag_set(diag, -err, "", "A scratch file could not be %s: %s.", what, strerror(err));
}

int scratch_check(const char *dir, struct diag *diag)
{
    struct stat st;
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || access(dir, W_OK | X_OK) < 0)
        return diag_set(diag, -ENOTDIR, dir,
                        "The spool directory does not exist or cannot be written.");
    return 0;
}

/* O_TMPFILE has no name at any time; where the filesystem lacks it, a name lives for a moment. */
int scratch_open(const char *dir, struct diag *diag)
{
    char path[4096];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        /* cppcheck-suppress resourceLeak ; the caller's, or -1 */
        return fd >= 0 ? fd : scratch_fault(errno, "made", diag);
    int n = snprintf(path, sizeof path, "%s/upload.XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return diag_set(diag, -ENAMETOOLONG, "", "The spool directory's name is too long.");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return scratch_fault(errno, "made", diag);
    (void)unlink(path);
    return fd;
}
