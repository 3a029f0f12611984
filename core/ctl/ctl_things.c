/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_things.c - what is the same for many nouns: taking a thing away, and an answer that becomes a
 * file. */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *noun, *state, *question; /* %s: its id */
} removals[] = {
    {"audience", "archived", "Archive %s: no new campaign can use it."},
    {"campaign", "deleted", "Delete the draft %s."},
    {"dnd", "deleted", "Delete %s and its entries: these people may be contacted again."},
    {"cap", "deleted", "Delete %s: nothing counts against it any more."},
    {"calendar", "deleted", "Delete %s: it holds nobody back any more."},
    {"route", "archived", "Archive %s: nothing is handed to it any more."},
    {"partner", "archived", "Archive partner %s: its keys are revoked, nothing of it is sent."},
};

int ctl_thing_remove(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"id", "id", 's'}, {"state", "state", 'c'}, CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX], question[200] = "";
    const char *state = "deleted";
    int code = ctl_resolve(c, c->cmd->noun, c->argv[0], id, sizeof id);
    for (size_t i = 0; i < ARRAY_LEN(removals); i++)
        if (!strcmp(removals[i].noun, c->cmd->noun)) {
            const char *at = strstr(removals[i].question, "%s");
            (void)snprintf(question, sizeof question, "%.*s%s%s", (int)(at - removals[i].question),
                           removals[i].question, id, at + 2);
            state = removals[i].state;
        }
    if (code == 0)
        code = ctl_confirm(c, question, 1);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "%s/%s", ctl_kind_path(c->cmd->noun), id);
    struct ctl_request req = {.method = "DELETE", .path = path};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code)
        return code;
    ctl_answer_done(&a);
    a.doc = json_pack("{s:s, s:s}", "id", id, "state", state);
    return ctl_print_answer(c, &a, fields);
}

static int receive(struct ctl *c, const char *path, const char *accept, FILE *to)
{
    struct ctl_request req = {.method = "GET", .path = path, .accept = accept, .sink = to};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    ctl_answer_done(&a);
    return code;
}

int ctl_download(struct ctl *c, const char *path, const char *accept)
{
    char what[600], tmp[600];
    const char *file = ctl_opt(c, "output");
    if (!file)
        return receive(c, path, accept, stdout);
    (void)snprintf(tmp, sizeof tmp, "%s.part", file);
    (void)snprintf(what, sizeof what, "cannot write %s", file);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f) {
        int why = errno;
        if (fd >= 0)
            (void)close(fd);
        return ctl_fail(c, CTL_FAILED, what, strerror(why), "");
    }
    int code = receive(c, path, accept, f);
    bool whole = fflush(f) == 0 && fsync(fd) == 0;
    whole = fclose(f) == 0 && whole;
    if (code == 0 && (!whole || rename(tmp, file) != 0))
        code = ctl_fail(c, CTL_FAILED, what, strerror(errno), "");
    if (code)
        (void)unlink(tmp);
    else
        ctl_say(c, "written: %s", file);
    return code;
}
