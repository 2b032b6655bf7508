/* Zip archives, as .npz files are: the central directory, and members that are stored or deflated. What the
 * archive says of sizes and places is checked against the file before it is used. */
#ifndef SP_DATA_ZIP_H
#define SP_DATA_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

enum { SP_ZIP_NAME_BYTES = 256 };

typedef struct sp_zip_member {
    char name[SP_ZIP_NAME_BYTES];
    uint64_t packed_bytes, bytes, header_at;
    uint32_t crc;
    int method; /* 0 stored, 8 deflated */
} sp_zip_member;

typedef struct sp_zip {
    char *path;
    int file;
    uint64_t file_bytes;
    sp_zip_member *members;
    size_t n;
} sp_zip;

sp_status sp_zip_open(const char *path, sp_zip *out, sp_error *err);
void sp_zip_close(sp_zip *z);
const sp_zip_member *sp_zip_find(const sp_zip *z, const char *name); /* NULL: there is none */
/* Where the bytes of a stored member begin; its check sum is compared. */
sp_status sp_zip_locate(const sp_zip *z, const sp_zip_member *m, uint64_t *at, sp_error *err);
/* All bytes of a member, whose check sum is compared; freed with sp_free. */
sp_status sp_zip_read(const sp_zip *z, const sp_zip_member *m, uint8_t **bytes, sp_error *err);

/* Exactly n bytes at an offset; SP_E_DATA where the file ends before. [any-thread] */
sp_status sp_file_read_at(int file, const char *path, uint64_t at, void *out, size_t n, sp_error *err);

#endif
