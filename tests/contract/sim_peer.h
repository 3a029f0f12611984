/* SPDX-License-Identifier: Apache-2.0 */
/* sim_peer.h - starts smscsim (and a TLS front) as child processes and talks to its control socket.
 * Must not end a process it did not start. */
#ifndef SIM_PEER_H
#define SIM_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sim_peer {
    pid_t pid, tls_pid; /* 0: not running */
    int control;        /* -1 closed */
    int tls_stdin;
    uint16_t port, tls_port;
    char dir[64]; /* private, removed at the end */
    char answer[16384];
};

/* args: further switches of smscsim, NULL ends. \return 0 or negative. */
int sim_peer_start(struct sim_peer *p, const char *const *args);
/* The same with another simulator that knows --listen, --port-file and --control. */
int sim_peer_start_as(struct sim_peer *p, const char *program, const char *const *args);
/* Make a certificate for `name` in the peer's directory and start the front. CA file:
 * <dir>/cert.pem. */
int sim_peer_tls(struct sim_peer *p, const char *name);
/* The same; the front asks for a client certificate too and takes its own (<dir>/cert.pem). */
int sim_peer_tls_mutual(struct sim_peer *p, const char *name);
void sim_peer_stop(struct sim_peer *p);

int sim_peer_send(struct sim_peer *p, const char *line); /* a command, without waiting */
bool sim_peer_has_answer(const struct sim_peer *p);      /* readable now */
const char *sim_peer_read(struct sim_peer *p); /* one answer, "" when there is none within 5 s */
const char *sim_peer_ask(struct sim_peer *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A number of the last answer by its JSON key, first match behind `after` (may be NULL). -1 when
 * absent. */
int64_t sim_peer_number(const struct sim_peer *p, const char *after, const char *key);
int64_t sim_peer_stat(struct sim_peer *p, const char *key); /* asks for stats first */

#endif
