/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ingest.h - shared by the fuzz targets of uploads, templates and opt-outs: broken promises
 * abort; a main() that replays files when there is no fuzzer (-DREPLAY_MAIN). */
#ifndef FUZZ_INGEST_H
#define FUZZ_INGEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: promise broken: %s\n", __FILE__, __LINE__, #cond);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#ifdef REPLAY_MAIN
#define REPLAY_FILE_MAX (1u << 20)
int main(int argc, char **argv)
{
    int failed = 0;
    uint8_t *data = malloc(REPLAY_FILE_MAX);
    for (int i = 1; data && i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            (void)fprintf(stderr, "%s: cannot be read\n", argv[i]);
            failed = 1;
            continue;
        }
        size_t n = fread(data, 1, REPLAY_FILE_MAX, f);
        (void)fclose(f);
        (void)LLVMFuzzerTestOneInput(data, n);
    }
    (void)printf("%d inputs replayed\n", argc - 1);
    free(data);
    return failed || argc < 2;
}
#endif

#endif
