/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_isolated.c - channel instances in a process of their own: a plugin that crashes, hangs,
 * eats memory or breaks the protocol costs a route a moment and no message its single result; one
 * that attacks gets nothing; a new file replaces the old without a restart. Usage: plugin_isolated
 * HOSTILE.so HOSTILE_V2.so LOOPBACK.so TASK.so; prints TAP. Waits for conditions with a deadline.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "plugin/host.h"
#include "plugin/isolate.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOKENS 4096u
#define WAIT_MS 20000

static unsigned n_tests, n_failed;
static char dir[] = "/tmp/campgw-isolated.XXXXXX";

static void ok(bool good, const char *what, const char *of, long long got)
{
    n_failed += !good;
    printf("%s %u - %s%s%s\n", good ? "ok" : "not ok", ++n_tests, what, *of ? ": " : "", of);
    if (!good)
        printf("# got %lld\n", got);
    (void)fflush(stdout);
}

static void skip(const char *what, const char *why)
{
    printf("ok %u - %s # SKIP %s\n", ++n_tests, what, why);
}

/* ---- the core's side
 * ------------------------------------------------------------------------------------------------------------------------
 */

struct core {
    pthread_mutex_t lock;
    uint32_t times[TOKENS], by_result[16], n_results, n_inbound, n_replies, reply_status,
        n_documents, n_answers; /* answers: inbound that names our message */
    atomic_uint at_results; /* calls that brought results, those that wait for the lock as well */
    uint64_t ack;
    bool refuse;
    char texts[64][160];
};

static void core_complete(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                          uint32_t n)
{
    struct core *c = ctx;
    (void)inst;
    atomic_fetch_add(&c->at_results, 1);
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < n; i++) {
        c->times[r[i].token % TOKENS]++;
        c->by_result[r[i].result & 15]++;
        c->n_results++;
        c->n_documents += r[i].result == CGW_RES_ACCEPTED && r[i].document_len > 2 &&
                          r[i].document[0] == '{' && r[i].document[r[i].document_len - 1] == '}';
    }
    (void)pthread_mutex_unlock(&c->lock);
}

static uint32_t core_receipt(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *r,
                             uint32_t n)
{
    (void)ctx;
    (void)inst;
    (void)r;
    return n;
}

static uint32_t core_inbound(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *m,
                             uint32_t n)
{
    struct core *c = ctx;
    (void)inst;
    (void)pthread_mutex_lock(&c->lock);
    if (c->refuse)
        n = 0;
    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(c->texts[c->n_inbound % 64], sizeof c->texts[0], "%.*s",
                       (int)m[i].parts[0].len, m[i].parts[0].body);
        c->ack = m[i].ack;
        c->n_answers += m[i].provider_id && strlen(m[i].provider_id) > 2 &&
                        !strncmp(m[i].provider_id, m[i].parts[0].body, strlen(m[i].provider_id));
        c->n_inbound++;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

static void core_reply(void *ctx, struct plugin_instance *inst, uint64_t id, uint32_t status,
                       const char *type, const char *body, uint32_t len)
{
    struct core *c = ctx;
    (void)inst;
    (void)id;
    (void)type;
    (void)body;
    (void)len;
    (void)pthread_mutex_lock(&c->lock);
    c->n_replies++;
    c->reply_status = status;
    (void)pthread_mutex_unlock(&c->lock);
}

static struct core *core_new(void)
{
    struct core *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

static uint32_t seen(struct core *c, const uint32_t *figure)
{
    (void)pthread_mutex_lock(&c->lock);
    uint32_t n = *figure;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

static void nap(void)
{
    const struct timespec ts = {.tv_nsec = 2000000};
    (void)nanosleep(&ts, NULL);
}

static bool wait_for(struct core *c, const uint32_t *figure, uint32_t want)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (seen(c, figure) < want && clock_mono_ms() < until)
        nap();
    return seen(c, figure) >= want;
}

/* ---- instances
 * ------------------------------------------------------------------------------------------------------------------------
 */

static const struct plugin *hostile, *loopback;

/* What every instance of a test gets, beside its options. */
static struct conf_isolation allowed;

static int try_instance(const struct plugin *p, const char *name, struct core *c,
                        const struct conf_pair *pairs, size_t n, struct plugin_instance **ret,
                        struct diag *d)
{
    struct instance_sink sink = {c, core_complete, core_receipt, core_inbound, NULL, core_reply};
    struct cgw_conf *conf = NULL;
    struct conf_isolation how = {.process = true, .memory_mb = 256, .exec = allowed.exec};
    if (allowed.n_read && (how.read[0] = strdup(allowed.read[0])))
        how.n_read = 1;
    int rc = conf_from_pairs(p, name, pairs, n, dir, &conf, d);
    if (rc) {
        conf_isolation_done(&how);
        return rc;
    }
    conf_set_isolation(conf, &how);
    if ((rc = instance_new(p, name, conf, &sink, ret, d)))
        return rc;
    return instance_start(*ret, d);
}

static struct plugin_instance *open_instance(const struct plugin *p, const char *name,
                                             struct core *c, const struct conf_pair *pairs,
                                             size_t n)
{
    struct plugin_instance *inst = NULL;
    struct diag d = {0};
    if (try_instance(p, name, c, pairs, n, &inst, &d)) {
        printf("# %s\n", d.text);
        abort();
    }
    return inst;
}

static void plain(struct cgw_message *m, struct cgw_part *part, uint64_t token)
{
    *part = (struct cgw_part){
        .role = CGW_ROLE_TEXT, .len = 5, .mime = "text/plain; charset=utf-8", .body = "hello"};
    *m = (struct cgw_message){.size = sizeof *m,
                              .token = token,
                              .channel = CGW_CHANNEL_SMS,
                              .contact_class = CGW_CLASS_SERVICE,
                              .to = {CGW_ADDR_E164, 12, "+99900000001"},
                              .submit_before_mono_ms = clock_mono_ms() + 60000,
                              .n_parts = 1,
                              .parts = part};
}

static uint32_t hand_over(struct plugin_instance *inst, uint64_t token)
{
    struct cgw_part part;
    struct cgw_message m;
    plain(&m, &part, token);
    return instance_submit(inst, &m, 1);
}

static uint32_t hand_over_all(struct plugin_instance *inst, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t t = from; t <= to; t++)
        n += hand_over(inst, t);
    return n;
}

static bool each_once(struct core *c, uint32_t from, uint32_t to)
{
    bool once = true;
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t t = from; t <= to; t++)
        once &= c->times[t] == 1;
    (void)pthread_mutex_unlock(&c->lock);
    return once;
}

static double lost_by(const char *instance, const char *reason)
{
    const char *const labels[] = {instance, reason};
    return metric_value(metric_get("campgw_plugin_child_restarts_total", labels, 2));
}

static bool wait_up(struct plugin_instance *inst, bool up)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    struct cgw_health h;
    do {
        instance_health(inst, &h);
        nap();
    } while ((h.up != 0) != up && clock_mono_ms() < until);
    return (h.up != 0) == up;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
        abort();
}

static void copy_file(const char *from, const char *to)
{
    char room[65536], part[512];
    (void)snprintf(part, sizeof part, "%s.part", to);
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ssize_t n;
    while ((n = read(in, room, sizeof room)) > 0)
        if (write(out, room, (size_t)n) != n)
            abort();
    if (in < 0 || out < 0 || n < 0 || close(in) || close(out) || rename(part, to))
        abort();
}

static int pid_of(struct plugin_instance *inst)
{
    struct isolate_status st;
    isolate_status(inst, &st);
    return st.pid;
}

/* ---- harm
 * ------------------------------------------------------------------------------------------------------------------------
 */

#define KEPT 100u /* messages it takes before it does what it came for */

/* 300 messages, of which the process gets at least 100; half of those it answers. Whatever it then
 * does, each has one result: the answers are kept, what it held is UNKNOWN. */
static void settles_once_behind(const char *act, const char *reason)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", act}, {"after", "100"}};
    struct plugin_instance *inst = open_instance(hostile, act, c, o, ARRAY_LEN(o));
    uint32_t n = hand_over_all(inst, 1, 300);
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (lost_by(act, reason) < 1 && clock_mono_ms() < until)
        nap();
    ok(lost_by(act, reason) >= 1, "the end is seen and counted by its reason", act,
       (long long)lost_by(act, reason));
    instance_drain(inst, clock_mono_ms() + 2000);
    (void)instance_drain_wait(inst);
    ok(n == 300 && seen(c, &c->n_results) == 300 && each_once(c, 1, 300),
       "each message has exactly one result", act, seen(c, &c->n_results));
    uint32_t unknown = seen(c, &c->by_result[CGW_RES_UNKNOWN]),
             delivered = seen(c, &c->by_result[CGW_RES_DELIVERED]);
    ok(unknown >= KEPT / 2 && delivered <= 150, "what it held is UNKNOWN, what it answered is not",
       act, unknown);
    ok(delivered + unknown + seen(c, &c->by_result[CGW_RES_NOT_SENT]) == 300,
       "nothing else is invented", act, delivered);
    struct instance_stats st;
    instance_stats(inst, &st);
    ok(st.submitted == st.completed && !st.taken && !st.waiting[0], "the books are even", act,
       (long long)st.completed);
    (void)instance_free(inst);
    free(c);
}

/* While its file is none that loads, no new process hides that the old one is gone. */
static void comes_back(const char *v1, const char *file)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", "none"}};
    struct plugin_instance *inst = open_instance(hostile, "back", c, o, ARRAY_LEN(o));
    int before = pid_of(inst);
    (void)unlink(file); /* the process has the old one mapped */
    write_file(file, "no plugin at all");
    (void)kill(before, SIGABRT); /* SIGSEGV a sanitizer takes for itself first */
    ok(wait_up(inst, false) && instance_credit(inst, CGW_LANE_BULK) == 0,
       "a dead process takes its health and its credit along", "",
       instance_credit(inst, CGW_LANE_BULK));
    copy_file(v1, file);
    ok(wait_up(inst, true) && pid_of(inst) != before, "another one comes", "", pid_of(inst));
    ok(hand_over_all(inst, 1, 50) == 50 && wait_for(c, &c->by_result[CGW_RES_DELIVERED], 50) &&
           each_once(c, 1, 50),
       "and works", "", seen(c, &c->n_results));
    (void)instance_free(inst);
    ok(kill(before, 0) < 0 && waitpid(-1, NULL, WNOHANG) <= 0, "nobody is left behind", "", 0);
    free(c);
}

/* Each failure doubles the wait: after n the next one is not yet there. */
static void backs_off(void)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", "segv"}, {"after", "1"}};
    struct plugin_instance *inst = open_instance(hostile, "backoff", c, o, ARRAY_LEN(o));
    int64_t since = clock_mono_ms();
    for (uint32_t t = 1; lost_by("backoff", "crash") < 4 && clock_mono_ms() - since < WAIT_MS;
         t++) {
        if (instance_credit(inst, CGW_LANE_BULK))
            (void)hand_over(inst, t);
        nap();
    }
    int64_t ms = clock_mono_ms() - since;
    /* 250 + 500 + 1000 between the four */
    ok(ms >= 1750, "the wait for a new process doubles", "", ms);
    (void)instance_free(inst);
    free(c);
}

static void explains_failures(void)
{
    struct core *c = core_new();
    struct plugin_instance *inst = NULL;
    struct diag d = {0};
    const struct conf_pair no[] = {{"act", "no_create"}}, die[] = {{"act", "die_in_create"}};
    ok(try_instance(hostile, "no", c, no, 1, &inst, &d) == CGW_EINVAL &&
           strstr(d.text, "it does not want to"),
       "create()'s own words arrive", d.text, 0);
    d = (struct diag){0};
    ok(try_instance(hostile, "die", c, die, 1, &inst, &d) < 0 && strstr(d.text, "status 3"),
       "a process that ends in create() is told", d.text, 0);
    free(c);
}

static void check_is_bounded(void)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", "hang_in_check"}};
    struct plugin_instance *inst = open_instance(hostile, "check", c, o, ARRAY_LEN(o));
    struct cgw_part part;
    struct cgw_message m;
    struct cgw_check check = {0};
    plain(&m, &part, 1);
    int64_t since = clock_mono_ms();
    instance_check(inst, &m, 1, &check);
    int64_t ms = clock_mono_ms() - since;
    /* a bound there is: the room above it is for pauses of the machine */
    ok(check.code == CGW_EBUSY && ms <= ISOLATE_CHECK_MS + 8000, "a check that hangs is given up",
       check.text, ms);
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (lost_by("check", "hang") < 1 && clock_mono_ms() < until)
        nap();
    ok(lost_by("check", "hang") >= 1, "and so is its process", "", 0);
    (void)instance_free(inst);
    free(c);
}

/* It dies while the loop is held up; a check learns of it first, and the loop's timer is due before
 * it reads the end of the socket. It was a crash all the same. */
static void a_crash_is_no_hang(void)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", "none"}};
    struct plugin_instance *inst = open_instance(hostile, "late", c, o, ARRAY_LEN(o));
    struct cgw_part part;
    struct cgw_message m;
    struct cgw_check check = {0};
    const struct timespec tick = {.tv_nsec = 2 * ISOLATE_PING_MS * 1000000};
    int pid = pid_of(inst);
    (void)pthread_mutex_lock(&c->lock);
    (void)hand_over(inst, 1); /* its result holds the loop up */
    for (int64_t until = clock_mono_ms() + WAIT_MS;
         !atomic_load(&c->at_results) && clock_mono_ms() < until;)
        nap();
    (void)kill(pid, SIGABRT); /* as above */
    plain(&m, &part, 2);
    for (int64_t until = clock_mono_ms() + WAIT_MS;
         check.code != CGW_EBUSY && clock_mono_ms() < until;)
        instance_check(inst, &m, 1, &check);
    (void)nanosleep(&tick, NULL);
    (void)pthread_mutex_unlock(&c->lock);
    for (int64_t until = clock_mono_ms() + WAIT_MS; pid_of(inst) == pid && clock_mono_ms() < until;)
        nap();
    ok(lost_by("late", "crash") == 1 && lost_by("late", "hang") == 0,
       "a crash that is learned of late is still a crash", "", (long long)lost_by("late", "hang"));
    ok(wait_for(c, &c->by_result[CGW_RES_DELIVERED], 1), "what it answered still counts", "", 0);
    (void)instance_free(inst);
    free(c);
}

/* ---- attacks
 * ------------------------------------------------------------------------------------------------------------------------
 */

static const char *answer_of(struct core *c, const char *what)
{
    size_t len = strlen(what);
    for (uint32_t i = 0; i < c->n_inbound && i < 64; i++)
        if (!strncmp(c->texts[i], what, len) && c->texts[i][len] == '=')
            return c->texts[i] + len + 1;
    return "no answer";
}

static void refuses_every_attack(void)
{
    static const struct {
        const char *what, *answer;
        bool landlock;
    } want[] = {
        {"file", "EACCES", true},        {"passwd", "EACCES", true},
        {"proc", "EACCES", true},        {"mem", "EACCES", false},
        {"ptrace", "EPERM", false},      {"vm_read", "EPERM", false},
        {"kill", "EPERM", false},        {"kill_group", "EPERM", false},
        {"kill_all", "EPERM", false},    {"tgkill", "EPERM", false},
        {"pidfd", "EPERM", false},       {"local_socket", "EAFNOSUPPORT", false},
        {"command", "EPERM", false},     {"mount", "EPERM", false},
        {"unshare", "EPERM", false},     {"bpf", "EPERM", false},
        {"keyctl", "EPERM", false},      {"io_uring", "EPERM", false},
        {"descriptors", "EBADF", false}, {"environment", "EPERM", false},
        {"write", "EACCES", true},       {"network", "DONE", false},
        {"secret", "DONE", false},
    };
    struct core *c = core_new();
    char key[256], password[256];
    (void)snprintf(key, sizeof key, "%s/identity.key", dir);
    (void)snprintf(password, sizeof password, "%s/own.password", dir);
    write_file(key, "0123456789abcdef");
    write_file(password, "open sesame\n");
    const struct conf_pair o[] = {{"act", "attack"}, {"file", key}, {"password", "own.password"}};
    struct plugin_instance *inst = open_instance(hostile, "attack", c, o, ARRAY_LEN(o));
    (void)wait_for(c, &c->n_inbound, ARRAY_LEN(want) + 1);
    struct isolate_status st;
    isolate_status(inst, &st);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const char *got = answer_of(c, want[i].what);
        if (want[i].landlock && !st.landlock)
            skip(want[i].what, "this kernel has no Landlock: file permissions are all there is");
        else
            ok(!strcmp(got, want[i].answer), want[i].what, got, 0);
    }
    ok(seen(c, &c->n_answers) == seen(c, &c->n_inbound),
       "the id of the message that is answered comes through", "", seen(c, &c->n_answers));
    (void)instance_free(inst);
    free(c);
}

static void allows_what_the_configuration_says(void)
{
    struct core *c = core_new();
    char file[256];
    (void)snprintf(file, sizeof file, "%s/identity.key", dir);
    const struct conf_pair o[] = {{"act", "attack"}, {"file", file}};
    allowed = (struct conf_isolation){.exec = true, .read = {file}, .n_read = 1};
    struct plugin_instance *inst = open_instance(hostile, "allowed", c, o, ARRAY_LEN(o));
    allowed = (struct conf_isolation){0};
    (void)wait_for(c, &c->n_inbound, 24);
    ok(!strcmp(answer_of(c, "command"), "DONE"), "isolation_exec lets it run a command",
       answer_of(c, "command"), 0);
    ok(!strcmp(answer_of(c, "file"), "DONE"), "isolation_read lets it read a path",
       answer_of(c, "file"), 0);
    ok(!strcmp(answer_of(c, "kill"), "EPERM") && !strcmp(answer_of(c, "ptrace"), "EPERM"),
       "and nothing else", answer_of(c, "kill"), 0);
    (void)instance_free(inst);
    free(c);
}

/* ---- media: read here, asked for there
 * ------------------------------------------------------------------------------------------------------------------------
 */

#define MEDIA_SIZE 150000

static int64_t media_size(uint64_t media)
{
    (void)media;
    return MEDIA_SIZE;
}

static int64_t media_read(uint64_t media, int64_t offset, void *out, size_t n)
{
    (void)media;
    size_t left = offset < MEDIA_SIZE ? (size_t)(MEDIA_SIZE - offset) : 0;
    if (n > left)
        n = left;
    for (size_t i = 0; i < n; i++)
        ((char *)out)[i] = (char)((size_t)offset + i);
    return (int64_t)n;
}

static void reads_its_own_media_only(void)
{
    static const struct host_services services = {NULL, media_size, media_read};
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", "media"}};
    struct cgw_part part;
    struct cgw_message m;
    host_set_services(&services);
    struct plugin_instance *inst = open_instance(hostile, "media", c, o, ARRAY_LEN(o));
    plain(&m, &part, 1);
    part = (struct cgw_part){.role = CGW_ROLE_TEXT, .mime = "image/png", .media = 4711};
    ok(instance_submit(inst, &m, 1) == 1 && wait_for(c, &c->n_inbound, 2) &&
           !strcmp(answer_of(c, "own_media"), "DONE"),
       "media of its messages can be read, in pieces", answer_of(c, "own_media"), 0);
    ok(!strcmp(answer_of(c, "other_media"), "EPERM"), "those of others cannot",
       answer_of(c, "other_media"), 0);
    (void)instance_free(inst);
    free(c);
}

/* ---- what the core does not take
 * ------------------------------------------------------------------------------------------------------------------------
 */

static int ask(struct plugin_instance *inst, uint64_t id)
{
    static const char body[] = "+99900000001 10086 STOP ALL";
    struct cgw_http_request req = {.size = sizeof req,
                                   .id = id,
                                   .method = "POST",
                                   .path = "/inbound",
                                   .query = "",
                                   .body = body,
                                   .body_len = sizeof body - 1};
    return instance_http(inst, 0, &req);
}

static void refused_inbound_waits_and_the_next_is_refused(void)
{
    struct core *c = core_new();
    struct plugin_instance *inst = open_instance(loopback, "inbound", c, NULL, 0);
    int64_t until = clock_mono_ms() + WAIT_MS;
    c->refuse = true;
    /* a full queue in front of a process that is slow (CGW_EBUSY) is none that the core refuses */
    for (uint64_t id = 1; !seen(c, &c->n_replies) && clock_mono_ms() < until; id++) {
        (void)ask(inst, id);
        nap();
    }
    ok(seen(c, &c->n_replies) && seen(c, &c->reply_status) == 503,
       "while the core takes nothing, peers are told to repeat", "", seen(c, &c->reply_status));
    (void)pthread_mutex_lock(&c->lock);
    c->refuse = false;
    (void)pthread_mutex_unlock(&c->lock);
    ok(wait_for(c, &c->n_inbound, 1), "what was on the way arrives later", "", 0);
    uint32_t replies = seen(c, &c->n_replies);
    uint64_t ack = c->ack;
    instance_stored(inst, &ack, 1);
    ok(wait_for(c, &c->n_replies, replies + 1), "and is answered when it is stored", "", 0);
    int pid = pid_of(inst);
    uint32_t inbound = seen(c, &c->n_inbound);
    ok(!ask(inst, 5000) && wait_for(c, &c->n_inbound, inbound + 1), "the next one comes through",
       "", 0);
    (void)kill(pid, SIGKILL);
    ok(wait_up(inst, false) || wait_up(inst, true), "it ends with a request in hand", "", 0);
    until = clock_mono_ms() + WAIT_MS;
    struct instance_stats st;
    do {
        instance_stats(inst, &st);
        nap();
    } while (st.http_outstanding && clock_mono_ms() < until);
    ok(!st.http_outstanding && seen(c, &c->reply_status) == 503, "which is answered 503", "",
       seen(c, &c->reply_status));
    (void)wait_up(inst, true);
    (void)pthread_mutex_lock(&c->lock);
    ack = c->ack;
    (void)pthread_mutex_unlock(&c->lock);
    instance_stored(inst, &ack, 1);
    ok(wait_up(inst, true), "an ack of the dead one harms nobody", "", 0);
    (void)instance_free(inst);
    free(c);
}

/* ---- a channel that is pulled
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void tell(struct plugin_instance *inst, uint64_t durable)
{
    instance_tally(inst, &(struct cgw_tally){.size = sizeof(struct cgw_tally),
                                             .day = durable,
                                             .month = durable,
                                             .open = durable,
                                             .included = durable});
}

/* It gives out no more than the figures allow, whatever becomes of its process. */
static bool gives_out(struct plugin_instance *inst, struct core *c, uint64_t durable, uint32_t want)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    do {
        tell(inst, durable);
        nap();
    } while (seen(c, &c->n_documents) < want && clock_mono_ms() < until);
    for (int i = 0; i < 25; i++)
        nap();
    return seen(c, &c->n_documents) == want;
}

static void pulled_channel_keeps_its_capacity(const struct plugin *task)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"capacity_day", "20"}, {"window", "8"}};
    ok(task->caps.pulled == 1 && task->channel.tally && !loopback->channel.tally &&
           !loopback->caps.pulled,
       "that a channel is pulled is known", "", task->caps.pulled);
    struct plugin_instance *inst = open_instance(task, "desk", c, o, ARRAY_LEN(o));
    ok(hand_over_all(inst, 1, 30) == 30 && !seen(c, &c->n_documents),
       "before the first tally it takes nothing", "", seen(c, &c->n_documents));
    ok(gives_out(inst, c, 0, 8), "the first lets its window through, with documents", "",
       seen(c, &c->n_documents));
    ok(gives_out(inst, c, 8, 16), "the next one as much again", "", seen(c, &c->n_documents));
    int before = pid_of(inst);
    (void)kill(before, SIGKILL);
    int64_t until = clock_mono_ms() + WAIT_MS;
    while ((pid_of(inst) == before || !pid_of(inst)) && clock_mono_ms() < until)
        nap();
    ok(pid_of(inst) != before && wait_up(inst, true), "its process is replaced", "", pid_of(inst));
    ok(gives_out(inst, c, 8, 16), "figures without what the old one gave out say nothing to it", "",
       seen(c, &c->n_documents));
    ok(gives_out(inst, c, 16, 20), "with it they leave the rest of the day", "",
       seen(c, &c->n_documents));
    (void)instance_free(inst);
    ok(each_once(c, 1, 30) && seen(c, &c->by_result[CGW_RES_NOT_SENT]) == 10 &&
           !seen(c, &c->by_result[CGW_RES_UNKNOWN]),
       "nobody is in doubt", "", seen(c, &c->by_result[CGW_RES_UNKNOWN]));
    free(c);
}

/* ---- upgrade
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void upgrades_without_a_restart(const char *v2, const char *file)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"act", "none"}};
    struct plugin_instance *inst = open_instance(hostile, "upgrade", c, o, ARRAY_LEN(o));
    struct isolate_status before, after;
    struct diag d = {0};
    isolate_status(inst, &before);
    copy_file(v2, file);
    ok(!isolate_restart(inst, &d), "a restart is begun", d.text, 0);
    uint32_t n = 0;
    int64_t until = clock_mono_ms() + WAIT_MS;
    for (uint32_t t = 1; t <= 500; t++)
        n += hand_over(inst, t);
    do {
        isolate_status(inst, &after);
        nap();
    } while ((after.pid == before.pid || strcmp(after.version, "2") != 0) &&
             clock_mono_ms() < until);
    ok(!strcmp(before.version, "1") && !strcmp(after.version, "2"),
       "the new file runs, this process goes on", after.version, after.pid);
    ok(n == 500 && wait_for(c, &c->by_result[CGW_RES_DELIVERED], 500) && each_once(c, 1, 500),
       "messages that came meanwhile waited, none is unknown", "", seen(c, &c->n_results));
    ok(lost_by("upgrade", "restart") == 1 && after.restarts == 1, "counted as a restart", "",
       after.restarts);
    write_file(file, "no plugin at all");
    ok(!isolate_restart(inst, &d) && wait_up(inst, false), "a file that does not load", "", 0);
    copy_file(v2, file);
    ok(wait_up(inst, true), "is tried again until it does", "", 0);
    (void)instance_free(inst);
    free(c);
}

static void describes_without_loading(const char *file)
{
    struct diag d = {0};
    struct plugin *p = NULL;
    ok(!plugin_find("hostile") && plugin_find_isolated("hostile") == hostile && !hostile->dl &&
           hostile->n_options == 4,
       "a plugin is described without being loaded here", "", hostile->n_options);
    const struct conf_isolation how = {.process = true};
    ok(isolate_describe("/nowhere/x.so", &how, &p, &d) == CGW_ENOTFOUND && strstr(d.text, "x.so"),
       "a missing file is told", d.text, 0);
    d = (struct diag){0};
    ok(isolate_describe(file, &how, &p, &d) == CGW_EEXISTS, "twice is once too often", d.text, 0);
    ok(!isolate_is_own("hostile") && isolate_is_own("channel_smpp") &&
           !strcmp(hostile->desc.vendor, "campgw"),
       "whose plugin it is does not depend on what it says", "", 0);
}

static const struct plugin *setup(char **argv, char *file, size_t size)
{
    struct diag d = {0};
    struct plugin *p = NULL;
    struct conf_isolation how = {.process = true, .memory_mb = 256};
    if (!mkdtemp(dir))
        abort();
    (void)snprintf(file, size, "%s/hostile.so", dir);
    copy_file(argv[1], file);
    if (isolate_describe(file, &how, &p, &d)) {
        (void)fprintf(stderr, "%s\n", d.text);
        exit(2);
    }
    hostile = p;
    if (isolate_describe(argv[3], &how, &p, &d)) {
        (void)fprintf(stderr, "%s\n", d.text);
        exit(2);
    }
    loopback = p;
    if (isolate_describe(argv[4], &how, &p, &d)) {
        (void)fprintf(stderr, "%s\n", d.text);
        exit(2);
    }
    return p;
}

int main(int argc, char **argv)
{
    static const char *const acts[][2] = {
        {"segv", "crash"},
        {"kill", "crash"},
        {"exit", "exit"},
        {"stop", "hang"},
        {"hang", "hang"},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        {"memory", "crash"}, /* a sanitizer needs all addresses, so there is no limit */
#endif
        {"garbage", "protocol"},
        {"foreign_result", "protocol"},
    };
    char file[256], left[300];
    if (argc != 5) {
        (void)fprintf(stderr,
                      "usage: plugin_isolated HOSTILE.so HOSTILE_V2.so LOOPBACK.so TASK.so\n");
        return 2;
    }
    (void)alarm(300); /* whatever hangs */
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_L_ERROR);
    host_metrics_register();
    isolate_metrics_register();
    const struct plugin *task = setup(argv, file, sizeof file);
    describes_without_loading(file);
    for (size_t i = 0; i < ARRAY_LEN(acts); i++)
        settles_once_behind(acts[i][0], acts[i][1]);
    comes_back(argv[1], file);
    backs_off();
    explains_failures();
    check_is_bounded();
    a_crash_is_no_hang();
    refuses_every_attack();
    allows_what_the_configuration_says();
    reads_its_own_media_only();
    refused_inbound_waits_and_the_next_is_refused();
    pulled_channel_keeps_its_capacity(task);
    upgrades_without_a_restart(argv[2], file);
    static const char *const made[] = {"hostile.so", "identity.key", "own.password"};
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        (void)snprintf(left, sizeof left, "%s/%s", dir, made[i]);
        (void)unlink(left);
    }
    (void)rmdir(dir);
    printf("1..%u\n", n_tests);
    return n_failed != 0;
}
