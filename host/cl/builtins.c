/* Declarations of the built-in functions that a source uses, for drivers that would read all of them with
 * every program (quirk READS_ALL_BUILTINS), and the names that those drivers have for them. A source that
 * uses others than these does not build with them; it is built without. A function that is declared here is
 * declared for every type that OpenCL C 1.2 has it for and that a value of the source can have, or a call
 * could mean another one than with the driver's own declarations. The driver reads and prints all of it in
 * every start, so it is short: one declaration names all functions of the same result. */
#include "cl/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

enum { REALS = 1, INTS = 2, FLOATS = 4, NO_TYPE = 8 };
enum { SCALAR = 1, VECTORS = 2, ALL = 3 };
enum { CHAR, UCHAR, SHORT, USHORT, INT, UINT, LONG, ULONG, FLOAT, DOUBLE, HALF, NONE, SIZE, N_TYPES };
/* Results besides a type of this table with the width: the type at hand, the signed and the unsigned integer
 * of its size. */
enum { V = N_TYPES, I, U };

static const struct {
    const char *name;
    int as_int, as_uint;
    unsigned of;
} type_table[N_TYPES] = {
    {"char", CHAR, UCHAR, INTS},
    {"uchar", CHAR, UCHAR, INTS},
    {"short", SHORT, USHORT, INTS},
    {"ushort", SHORT, USHORT, INTS},
    {"int", INT, UINT, INTS},
    {"uint", INT, UINT, INTS},
    {"long", LONG, ULONG, INTS},
    {"ulong", LONG, ULONG, INTS},
    {"float", INT, UINT, REALS | FLOATS},
    {"double", LONG, ULONG, REALS | FLOATS},
    {"half", SHORT, USHORT, REALS},
    {"void", NONE, NONE, NO_TYPE},
    {"size_t", NONE, NONE, 0},
};

static const char *const all_widths[] = {"", "2", "3", "4", "8", "16"};
enum { N_WIDTHS = 6 };

typedef enum { CONST, READ, WRITE, WAIT, N_KINDS } kind;
static const char *const attributes[N_KINDS] = {"overloadable, const", "overloadable, pure", "overloadable",
                                                "overloadable, convergent"};

/* What is put behind the name of a function is listed with a space between, # is the width. In arguments T is
 * the type and V that with the width, I and U are the signed and the unsigned integer of its size with the
 * width, A is each address space, of those that may be written if there is no const. */
typedef struct function {
    const char *name, *behind;
    kind kind;
    int result;
    const char *arguments;
    unsigned types, widths;
} function;

#define REAL        "", CONST, V, "V", REALS, ALL
#define REAL2       "", CONST, V, "V, V", REALS, ALL
#define REAL3       "", CONST, V, "V, V, V", REALS, ALL
#define INDEX       "", CONST, SIZE, "uint", NO_TYPE, SCALAR
#define TO_REAL(to) "#", CONST, to, "V", REALS | INTS, ALL
#define TO_INT(to)  "# #_sat #_sat_rte", CONST, to, "V", REALS | INTS, ALL

static const function functions[] = {
    {"get_work_dim", "", CONST, UINT, "void", NO_TYPE, SCALAR},
    {"get_global_size", INDEX},
    {"get_global_id", INDEX},
    {"get_global_offset", INDEX},
    {"get_local_size", INDEX},
    {"get_local_id", INDEX},
    {"get_num_groups", INDEX},
    {"get_group_id", INDEX},
    {"barrier", "", WAIT, NONE, "cl_mem_fence_flags", NO_TYPE, SCALAR},
    {"abs", "", CONST, U, "V", INTS, ALL},
    {"acos", REAL},
    {"asin", REAL},
    {"atan", REAL},
    {"ceil", REAL},
    {"clamp", "", CONST, V, "V, V, V", REALS | INTS, ALL},
    {"clamp", "", CONST, V, "V, T, T", REALS | INTS, VECTORS},
    {"convert_char", TO_INT(CHAR)},
    {"convert_uchar", TO_INT(UCHAR)},
    {"convert_short", TO_INT(SHORT)},
    {"convert_ushort", TO_INT(USHORT)},
    {"convert_int", TO_INT(INT)},
    {"convert_uint", TO_INT(UINT)},
    {"convert_long", TO_INT(LONG)},
    {"convert_ulong", TO_INT(ULONG)},
    {"convert_float", TO_REAL(FLOAT)},
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
    {"fmax", "", CONST, V, "V, T", REALS, VECTORS},
    {"fmin", REAL2},
    {"fmin", "", CONST, V, "V, T", REALS, VECTORS},
    {"fmod", REAL2},
    {"ilogb", "", CONST, INT, "V", REALS, ALL},
    {"isfinite", "", CONST, INT, "V", REALS, SCALAR},
    {"isfinite", "", CONST, I, "V", REALS, VECTORS},
    {"isinf", "", CONST, INT, "V", REALS, SCALAR},
    {"isinf", "", CONST, I, "V", REALS, VECTORS},
    {"isnan", "", CONST, INT, "V", REALS, SCALAR},
    {"isnan", "", CONST, I, "V", REALS, VECTORS},
    {"ldexp", "", CONST, V, "V, int#", REALS, ALL},
    {"ldexp", "", CONST, V, "V, int", REALS, VECTORS},
    {"log", REAL},
    {"log1p", REAL},
    {"log2", REAL},
    {"mad", REAL3},
    {"max", "", CONST, V, "V, V", REALS | INTS, ALL},
    {"max", "", CONST, V, "V, T", REALS | INTS, VECTORS},
    {"min", "", CONST, V, "V, V", REALS | INTS, ALL},
    {"min", "", CONST, V, "V, T", REALS | INTS, VECTORS},
    {"mul_hi", "", CONST, V, "V, V", INTS, ALL},
    {"popcount", "", CONST, V, "V", INTS, ALL},
    {"pow", REAL2},
    {"rint", REAL},
    {"round", REAL},
    {"rsqrt", REAL},
    {"select", "", CONST, V, "V, V, I", REALS | INTS, ALL},
    {"select", "", CONST, V, "V, V, U", REALS | INTS, ALL},
    {"sign", REAL},
    {"sin", REAL},
    {"sinh", REAL},
    {"sqrt", REAL},
    {"tan", REAL},
    {"tanh", REAL},
    {"trunc", REAL},
    {"vload", "#", READ, V, "size_t, const A T *", REALS | INTS, VECTORS},
    {"vload_half", "#", READ, FLOAT, "size_t, const A half *", NO_TYPE, ALL},
    {"vstore", "#", WRITE, NONE, "V, size_t, A T *", REALS | INTS, VECTORS},
    {"vstore_half", "# #_rte", WRITE, NONE, "V, size_t, A half *", FLOATS, ALL},
};

/* What of a source may need declarations. */
typedef struct needs {
    char *code;                            // without comments, and without macros that nothing uses
    bool scalar[N_TYPES], vector[N_TYPES]; // whether a value may have the type
} needs;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The next place where the text has the name at the start of a word. */
static char *next_word(char *from, const char *name)
{
    for (char *at = from; (at = strstr(at, name)) != NULL; at++)
        if (at == from || !is_word(at[-1]))
            return at;
    return NULL;
}

static void blank(char *from, const char *to)
{
    for (; from < to && *from; from++)
        if (*from != '\n')
            *from = ' ';
}

static void blank_comments(char *code)
{
    for (char *at = code; (at = strchr(at, '/')) != NULL; at++)
        if (at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            blank(at, end ? end + 2 : at + strlen(at));
        } else if (at[1] == '/') {
            blank(at, at + strcspn(at, "\n"));
        }
}

/* Whether a word of the text is the name, other than where it is defined. */
static bool is_used(char *code, const char *name)
{
    const size_t n = strlen(name);
    for (char *at = code; (at = next_word(at, name)) != NULL; at++) {
        const char *before = at;
        while (before > code && (before[-1] == ' ' || before[-1] == '\t'))
            before--;
        if (!is_word(at[n]) && (before - code < 6 || strncmp(before - 6, "define", 6) != 0))
            return true;
    }
    return false;
}

/* The prelude has macros for all sources: most need few of them. */
static void blank_unused_macros(char *code)
{
    for (char *at = code; (at = next_word(at, "define")) != NULL;) {
        char name[64], *end = at;
        at += 6;
        at += strspn(at, " \t");
        size_t n = 0;
        while (is_word(at[n]))
            n++;
        do
            end += strcspn(end, "\n") + 1;
        while (end[-1] && end[-2] == '\\');
        if (!end[-1])
            return;
        if (n < sizeof name) {
            memcpy(name, at, n);
            name[n] = '\0';
            size_t stem = n;
            while (stem && isdigit((unsigned char)name[stem - 1]))
                stem--;
            const bool used = is_used(code, name);
            name[stem] = '\0'; // a number may be put behind it by the preprocessor
            if (!used && !(stem && stem < n && is_used(code, name)))
                blank(at, end);
        }
        at = end;
    }
}

/* "long" in front of a width, or of what may become one. */
static bool has_long_vectors(char *code)
{
    for (char *at = code; (at = strstr(at, "long")) != NULL;) {
        at += 4;
        at += strspn(at, " \t");
        if (isdigit((unsigned char)*at) || *at == '#' || *at == ',')
            return true;
    }
    return false;
}

/* Types that no value of the source has: no function can be called with one. A comparison of doubles or
 * halves gives an integer of their size. */
static bool find_needs(needs *s, const sp_device_info *info, const char *text)
{
    memset(s, 0, sizeof *s);
    s->code = sp_strdup(text);
    if (!s->code)
        return false;
    blank_comments(s->code);
    blank_unused_macros(s->code);
    const bool doubles = info->fp64 && strstr(s->code, "double"), halves = info->fp16 && strstr(s->code, "hal"
                                                                                                         "f");
    const bool chars = strstr(s->code, "char"), shorts = halves || strstr(s->code, "short");
    const bool longs = doubles || has_long_vectors(s->code);
    for (int t = 0; t < NONE; t++)
        s->scalar[t] = t <= UCHAR    ? chars
                       : t <= USHORT ? shorts
                       : t == HALF   ? halves
                                     : t != DOUBLE || info->fp64;
    for (int t = 0; t < NONE; t++)
        s->vector[t] = t == DOUBLE ? doubles : t == LONG || t == ULONG ? longs : s->scalar[t];
    s->scalar[NONE] = s->vector[NONE] = true;
    return true;
}

/* Whether the source may call the function with this behind its name. A width may be put there by the
 * preprocessor; where it is written, it is the one. */
static bool occurs(const needs *s, const function *f, int width)
{
    const size_t n = strlen(f->name);
    const bool has_width = f->behind[0] == '#';
    for (char *at = s->code; (at = next_word(at, f->name)) != NULL; at++) {
        const char next = at[n];
        if (!has_width                     ? !is_word(next)
            : isdigit((unsigned char)next) ? atoi(at + n) == atoi(all_widths[width])
            : is_word(next) || next == '(' ? width == 0
                                           : true)
            return true;
    }
    return false;
}

typedef struct output {
    sp_text renames, of[N_KINDS][N_TYPES][N_WIDTHS]; // declared functions, by kind and result
} output;

static void add(sp_text *t, const char *s)
{
    sp_text_append(t, s, strlen(s));
}

/* What is behind a name, up to the end or a space. */
static void add_behind(sp_text *t, const char *behind, int width)
{
    for (const char *c = behind; *c && *c != ' '; c++)
        if (*c == '#')
            add(t, all_widths[width]);
        else
            sp_text_append(t, c, 1);
}

static void add_arguments(sp_text *t, const char *arguments, int type, int width, const char *space)
{
    for (const char *c = arguments; *c; c++) {
        const int of = *c == 'I' ? type_table[type].as_int : *c == 'U' ? type_table[type].as_uint : type;
        if (*c == 'V' || *c == 'T' || *c == 'I' || *c == 'U')
            add(t, type_table[of].name);
        if (*c == 'V' || *c == 'I' || *c == 'U' || *c == '#')
            add(t, all_widths[width]);
        else if (*c == 'A')
            add(t, space);
        else if (*c != 'T')
            sp_text_append(t, c, 1);
    }
}

/* The driver has its functions under names of its own, but for those of a work-item. */
static const char *prefix_of(const function *f)
{
    return f->kind == WAIT || f->arguments[0] == 'u' || strcmp(f->arguments, "void") == 0 ? "" : "_cl_";
}

static const char *next_behind(const char *behind)
{
    behind = strchr(behind, ' ');
    return behind ? behind + 1 : NULL;
}

static void declare(output *o, const function *f, int type, int width, const char *space)
{
    const int result = f->result == V   ? type
                       : f->result == I ? type_table[type].as_int
                       : f->result == U ? type_table[type].as_uint
                                        : f->result;
    sp_text *t = &o->of[f->kind][result][result == NONE || result == SIZE ? 0 : width];
    for (const char *behind = f->behind; behind; behind = next_behind(behind)) {
        add(t, t->n ? "," : "");
        add(t, prefix_of(f));
        add(t, f->name);
        add_behind(t, behind, width);
        add(t, "(");
        add_arguments(t, f->arguments, type, width, space);
        add(t, ")");
    }
}

/* The renames of the driver, which has some for a thousand functions. */
static void rename_to(output *o, const function *f, int width)
{
    for (const char *behind = f->behind; behind && prefix_of(f)[0]; behind = next_behind(behind)) {
        add(&o->renames, "#define ");
        for (int i = 0; i < 2; i++) {
            add(&o->renames, i ? " _cl_" : "");
            add(&o->renames, f->name);
            add_behind(&o->renames, behind, width);
        }
        add(&o->renames, "\n");
    }
}

static void declare_all(output *o, const needs *s, const function *f)
{
    static const char *const spaces[] = {"__global", "__local", "__private", "__constant"};
    const int n_spaces = !strstr(f->arguments, "A ") ? 1 : strstr(f->arguments, "const A ") ? 4 : 3;
    const bool is_first = f == functions || strcmp(f->name, f[-1].name) != 0;
    for (int w = f->widths & SCALAR ? 0 : 1; w < (f->widths & VECTORS ? N_WIDTHS : 1); w++) {
        if (!occurs(s, f, w))
            continue;
        if (f->behind[0] == '#' || (is_first && w == 0))
            rename_to(o, f, w);
        for (int type = 0; type < N_TYPES; type++)
            for (int a = 0; a < n_spaces && (w ? s->vector : s->scalar)[type]; a++)
                if (type_table[type].of & f->types)
                    declare(o, f, type, w, spaces[a]);
    }
}

static void write_all(sp_text *t, output *o)
{
    add(t, "#line 1 \"host/cl/builtins.c\"\n");
    if (o->renames.s)
        add(t, o->renames.s);
    for (int k = 0; k < N_KINDS; k++)
        for (int result = 0; result < N_TYPES; result++)
            for (int w = 0; w < N_WIDTHS; w++) {
                sp_text *names = &o->of[k][result][w];
                if (names->s)
                    sp_text_add(t, "__attribute__((%s)) %s%s %s;\n", attributes[k], type_table[result].name,
                                all_widths[w], names->s);
                t->failed |= names->failed;
                sp_text_free(names);
            }
    t->failed |= o->renames.failed;
    sp_text_free(&o->renames);
}

char *sp_builtins_declare(const sp_device_info *info, const char *text)
{
    sp_text t = {0};
    needs s;
    output *o = sp_alloc(sizeof *o);
    const bool found = o && find_needs(&s, info, text);
    if (found && sp_builtins_are_others(s.code)) {
        add(&t, "");
        sp_free(s.code);
    } else if (found) {
        if (info->fp64)
            add(&t, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n");
        if (info->fp16)
            add(&t, "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n");
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
            declare_all(o, &s, &functions[i]);
        write_all(&t, o);
        add(&t, "#pragma OPENCL EXTENSION all : disable\n");
        sp_free(s.code);
    }
    sp_free(o);
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}
