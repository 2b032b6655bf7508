/* The parts of a package, shared by package*.c. */
#ifndef SP_REGISTRY_PACKAGE_INTERNAL_H
#define SP_REGISTRY_PACKAGE_INTERNAL_H

#include "registry/package.h"

enum { SP_PACKAGE_FORMAT = 1 };

typedef struct sp_packed_call {
    char *op, *shape, *variant, *when; /* when: tells two blocks of one id apart; "" none */
    char key[17];                      /* of its program; "" for a lowering, which has none */
    char work[160];                    /* "512 x 4 / 1 x 1; ..." for people: sizes of each pass */
} sp_packed_call;

typedef struct sp_packed_plan {
    char digest[17];
    char *about;
} sp_packed_plan;

typedef struct sp_packed_binary { /* one file may serve many programs */
    char *path;
    cl_program program;
} sp_packed_binary;

struct sp_package {
    char *folder;
    sp_target target;
    sp_packed_program *programs;
    sp_packed_call *calls;
    sp_packed_plan *plans;
    sp_packed_binary *binaries;
    size_t n_programs, n_calls, n_plans, n_binaries;
};

/* Room for one more item of `*items`; false when memory is out. */

/* The checksum of the POSIX tool `cksum`, so that a build script can make it. */
uint32_t sp_cksum(const unsigned char *bytes, size_t n);

/* manifest.json */
sp_status sp_package_save(const sp_package *p, const sp_device *dev, const sp_package_options *o,
                          sp_error *err);
sp_status sp_package_load(sp_package *p, const sp_device *dev, sp_error *err);

/* build.sh, and link.cfg for v++ */
sp_status sp_package_write_scripts(const sp_package *p, const sp_package_options *o, sp_error *err);

/* Writes a file of the package; `path` is relative to the folder. */
sp_status sp_package_write_file(const char *folder, const char *path, const void *bytes, size_t n,
                                sp_error *err);

#endif
