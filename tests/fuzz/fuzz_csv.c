/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_csv.c - uploads in CSV, plain and gzip: no input may crash, hang, or come out differently in
 * other pieces. See fuzz_upload.h. */
#include "fuzz_upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    upload_twice(INGEST_CSV, data, size);
    return 0;
}
