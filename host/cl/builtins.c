/* Declarations of the built-in functions that a source uses, for drivers that would read all of them with
 * every program (quirk READS_ALL_BUILTINS). A function that is declared here is declared for every type that
 * OpenCL C 1.2 has it for, or a call could mean another one than with the driver's own declarations. A source
 * that uses others than these does not build with them; it is built without. */
#include "cl/internal.h"

#include <ctype.h>
#include <string.h>
#include "base/mem.h"

/* Types in the order of this table, with the integers of their size. */
typedef enum { REALS = 1, INTS = 2, FLOATS = 4, NO_TYPE = 8 } types;
typedef enum { SCALAR = 1, VECTORS = 2, ALL = 3 } widths;

static const struct {
    const char *name, *as_int, *as_uint;
    unsigned of;
} type_table[] = {
    {"char", "char", "uchar", INTS},
    {"uchar", "char", "uchar", INTS},
    {"short", "short", "ushort", INTS},
    {"ushort", "short", "ushort", INTS},
    {"int", "int", "uint", INTS},
    {"uint", "int", "uint", INTS},
    {"long", "long", "ulong", INTS},
    {"ulong", "long", "ulong", INTS},
    {"float", "int", "uint", REALS | FLOATS},
    {"double", "long", "ulong", REALS | FLOATS},
    {"half", "short", "ushort", REALS},
    {"", "", "", NO_TYPE},
};
enum { DOUBLE = 9, HALF = 10 };

/* In a declaration, @ is the name, T the type and V that with the width #, I and U are the signed and the
 * unsigned integer of its size with the width, A is each address space, of those that may be written if there
 * is no const. */
typedef struct function {
    const char *name, *declaration;
    unsigned types, widths;
} function;

#define REAL        "sp_const V @(V);", REALS, ALL
#define REAL2       "sp_const V @(V, V);", REALS, ALL
#define REAL3       "sp_const V @(V, V, V);", REALS, ALL
#define INDEX       "sp_const size_t @(uint);", NO_TYPE, SCALAR
#define TO_REAL(to) "sp_const " to "# @#(V);", REALS | INTS, ALL
#define TO_INT(to)                                                                                           \
    "sp_const " to "# @#(V); sp_const " to "# @#_sat(V); sp_const " to "# @#_sat_rte(V);", REALS | INTS, ALL

static const function functions[] = {
    {"get_work_dim", "sp_const uint @(void);", NO_TYPE, SCALAR},
    {"get_global_size", INDEX},
    {"get_global_id", INDEX},
    {"get_global_offset", INDEX},
    {"get_local_size", INDEX},
    {"get_local_id", INDEX},
    {"get_num_groups", INDEX},
    {"get_group_id", INDEX},
    {"barrier", "sp_wait void @(cl_mem_fence_flags);", NO_TYPE, SCALAR},
    {"abs", "sp_const U @(V);", INTS, ALL},
    {"acos", REAL},
    {"asin", REAL},
    {"atan", REAL},
    {"ceil", REAL},
    {"clamp", "sp_const V @(V, V, V);", REALS | INTS, ALL},
    {"clamp", "sp_const V @(V, T, T);", REALS | INTS, VECTORS},
    {"convert_char", TO_INT("char")},
    {"convert_uchar", TO_INT("uchar")},
    {"convert_short", TO_INT("short")},
    {"convert_ushort", TO_INT("ushort")},
    {"convert_int", TO_INT("int")},
    {"convert_uint", TO_INT("uint")},
    {"convert_long", TO_INT("long")},
    {"convert_ulong", TO_INT("ulong")},
    {"convert_float", TO_REAL("float")},
    {"copysign", REAL2},
    {"cos", REAL},
    {"cosh", REAL},
    {"erf", REAL},
    {"exp", REAL},
    {"exp2", REAL},
    {"expm1", REAL},
    {"fabs", REAL},
    {"floor", REAL},
    {"fma", REAL3},
    {"fmax", REAL2},
    {"fmax", "sp_const V @(V, T);", REALS, VECTORS},
    {"fmin", REAL2},
    {"fmin", "sp_const V @(V, T);", REALS, VECTORS},
    {"fmod", REAL2},
    {"ilogb", "sp_const int# @(V);", REALS, ALL},
    {"isfinite", "sp_const int @(V);", REALS, SCALAR},
    {"isfinite", "sp_const I @(V);", REALS, VECTORS},
    {"isinf", "sp_const int @(V);", REALS, SCALAR},
    {"isinf", "sp_const I @(V);", REALS, VECTORS},
    {"isnan", "sp_const int @(V);", REALS, SCALAR},
    {"isnan", "sp_const I @(V);", REALS, VECTORS},
    {"ldexp", "sp_const V @(V, int#);", REALS, ALL},
    {"ldexp", "sp_const V @(V, int);", REALS, VECTORS},
    {"log", REAL},
    {"log1p", REAL},
    {"log2", REAL},
    {"mad", REAL3},
    {"max", "sp_const V @(V, V);", REALS | INTS, ALL},
    {"max", "sp_const V @(V, T);", REALS | INTS, VECTORS},
    {"min", "sp_const V @(V, V);", REALS | INTS, ALL},
    {"min", "sp_const V @(V, T);", REALS | INTS, VECTORS},
    {"mul_hi", "sp_const V @(V, V);", INTS, ALL},
    {"popcount", "sp_const V @(V);", INTS, ALL},
    {"pow", REAL2},
    {"rint", REAL},
    {"round", REAL},
    {"rsqrt", REAL},
    {"select", "sp_const V @(V, V, I);", REALS | INTS, ALL},
    {"select", "sp_const V @(V, V, U);", REALS | INTS, ALL},
    {"sign", REAL},
    {"sin", REAL},
    {"sinh", REAL},
    {"sqrt", REAL},
    {"tan", REAL},
    {"tanh", REAL},
    {"trunc", REAL},
    {"vload", "sp_read V @#(size_t, const A T *);", REALS | INTS, VECTORS},
    {"vload_half", "sp_read float# @#(size_t, const A half *);", NO_TYPE, ALL},
    {"vstore", "sp_write void @#(V, size_t, A T *);", REALS | INTS, VECTORS},
    {"vstore_half", "sp_write void @#(V, size_t, A half *); sp_write void @#_rte(V, size_t, A half *);",
     FLOATS, ALL},
};

static const char head[] = "#line 1 \"host/cl/builtins.c\"\n"
                           "#define sp_const __attribute__((overloadable, const))\n"
                           "#define sp_read __attribute__((overloadable, pure))\n"
                           "#define sp_write __attribute__((overloadable))\n"
                           "#define sp_wait __attribute__((overloadable, convergent))\n";

static void add(sp_text *t, const char *s)
{
    sp_text_append(t, s, strlen(s));
}

static void declare(sp_text *t, const function *f, size_t type, const char *width, const char *space)
{
    for (const char *c = f->declaration; *c; c++) {
        const char *with_width = *c == 'V'   ? type_table[type].name
                                 : *c == 'I' ? type_table[type].as_int
                                 : *c == 'U' ? type_table[type].as_uint
                                             : NULL;
        if (with_width) {
            add(t, with_width);
            add(t, width);
        } else if (*c == 'T' || *c == '@' || *c == '#' || *c == 'A') {
            add(t, *c == 'T' ? type_table[type].name : *c == '@' ? f->name : *c == '#' ? width : space);
        } else {
            sp_text_append(t, c, 1);
        }
    }
    add(t, "\n");
}

static void declare_all(sp_text *t, const function *f, const sp_device_info *info)
{
    static const char *const all_widths[] = {"", "2", "3", "4", "8", "16"};
    static const char *const spaces[] = {"__global", "__local", "__private", "__constant"};
    const int n_spaces = !strstr(f->declaration, "A ") ? 1 : strstr(f->declaration, "const A ") ? 4 : 3;
    for (size_t type = 0; type < sizeof type_table / sizeof *type_table; type++) {
        if (!(type_table[type].of & f->types) || (type == DOUBLE && !info->fp64) ||
            (type == HALF && !info->fp16))
            continue;
        for (int w = f->widths & SCALAR ? 0 : 1; w < (f->widths & VECTORS ? 6 : 1); w++)
            for (int s = 0; s < n_spaces; s++)
                declare(t, f, type, all_widths[w], spaces[s]);
    }
}

/* Whether a word of the text begins with the name: width and mode may be put behind it by the preprocessor.
 */
static bool occurs(const char *text, const char *name)
{
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++)
        if (at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_'))
            return true;
    return false;
}

char *sp_builtins_declare(const sp_device_info *info, const char *text)
{
    sp_text t = {0};
    add(&t, head);
    if (info->fp64)
        add(&t, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n");
    if (info->fp16)
        add(&t, "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (occurs(text, functions[i].name))
            declare_all(&t, &functions[i], info);
    add(&t, "#pragma OPENCL EXTENSION all : disable\n");
    add(&t, text);
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}
