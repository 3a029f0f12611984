/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json.c - uploads in NDJSON, plain and gzip: no input may crash, hang, or come out
 * differently in other pieces. See fuzz_upload.h. */
#include "fuzz_upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    upload_twice(INGEST_NDJSON, data, size);
    return 0;
}
