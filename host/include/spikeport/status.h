/* Status codes and the error record that every function that can fail fills in.
 *
 * 0 is success, everything else is negative. The library never prints and never exits: it returns a status
 * and, when the caller passed an sp_error, says what was wrong, where, and what to do about it. */
#ifndef SPIKEPORT_STATUS_H
#define SPIKEPORT_STATUS_H

#if defined(__GNUC__)
#define SP_STATUS_API __attribute__((visibility("default")))
#else
#define SP_STATUS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* name, value, exit code of the program, sentence */
#define SP_STATUS_MAP(X)                                                                                     \
    X(OK, 0, 0, "success")                                                                                   \
    X(E_FAILED, -1, 1, "run-time failure")                                                                   \
    X(E_USAGE, -2, 2, "wrong use of the command line")                                                       \
    X(E_CONFIG, -3, 3, "recipe or network file is invalid")                                                  \
    X(E_DEVICE, -4, 4, "no usable OpenCL device, or too large for it")                                       \
    X(E_BUILD, -5, 5, "no kernel could be built or chosen")                                                  \
    X(E_NUMERIC, -6, 6, "a number is not finite")                                                            \
    X(E_DATA, -7, 7, "data missing or damaged")                                                              \
    X(E_MEMORY, -8, 1, "out of memory")                                                                      \
    X(E_IO, -9, 1, "file could not be read or written")                                                      \
    X(E_OPENCL, -10, 1, "an OpenCL call failed")                                                             \
    X(E_PLUGIN, -11, 5, "a plugin was refused")                                                              \
    X(E_MISMATCH, -12, 1, "a result differs from its reference")                                             \
    X(E_INTERRUPTED, -13, 130, "interrupted")                                                                \
    X(E_UNFIT, -14, 5, "a kernel that is forced does not fit")

enum {
#define SP_STATUS_ENUM(name, value, exit_code, text) SP_##name = (value),
    SP_STATUS_MAP(SP_STATUS_ENUM)
#undef SP_STATUS_ENUM
};

typedef int sp_status;

typedef struct sp_error {
    sp_status status; /* SP_OK when nothing failed */
    int cl_code;      /* OpenCL or CLBlast code behind it, 0 if none */
    const char *file; /* source file and line where the error was raised */
    int line;
    char text[768]; /* what was wrong, where, what to do; no final newline */
} sp_error;

/* "SP_E_CONFIG", the sentence of the map, and the exit code of the program. [any-thread] */
SP_STATUS_API const char *sp_status_name(sp_status status);
SP_STATUS_API const char *sp_status_text(sp_status status);
SP_STATUS_API int sp_status_exit_code(sp_status status);

#ifdef __cplusplus
}
#endif
#endif
