/* The host's side of spiking_link.v: sends the golden inputs of an export to a board, time step by time step,
 * reads the potentials of the last layer and compares them with the golden ones. Ends with exit code 1 at the
 * first difference.
 *
 *     cc -o host host.c && ./host DIR TO FROM
 *
 * TO and FROM are pipes to a simulated board (./board), or both the serial port of a real one, such as
 * /dev/ttyUSB0, at the speed that `stty` has set. It is an example: a program of your own takes its inputs
 * from a camera in place of DIR. */
#define _DEFAULT_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

typedef struct layer {
    int number, in_bits, u_bits;
    long inputs, outputs;
} layer;

static void stop(const char *what, const char *where)
{
    fprintf(stderr, "host: %s%s%s\n", what, *where ? ": " : "", where);
    exit(1);
}

/* NAME=VALUE of a line of layers.txt. */
static long parameter(const char *line, const char *name)
{
    char word[32];
    snprintf(word, sizeof word, " %s=", name);
    const char *at = strstr(line, word);
    return at ? atol(at + strlen(word)) : 1;
}

static FILE *open_in(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (!f)
        stop("cannot be read", path);
    return f;
}

static void read_layers(const char *dir, long *samples, long *steps, layer *first, layer *last)
{
    char line[4096];
    FILE *f = open_in(dir, "layers.txt");
    if (fscanf(f, "samples %ld time_steps %ld\n", samples, steps) != 2)
        stop("is no layers.txt of spikeport export --hdl", dir);
    first->number = -1;
    while (fgets(line, sizeof line, f)) {
        *last = (layer){atoi(line), (int)parameter(line, "IN_BITS"), (int)parameter(line, "U_BITS"),
                        parameter(line, "H") * parameter(line, "W") * parameter(line, "C"),
                        parameter(line, "HO") * parameter(line, "WO") * parameter(line, "O")};
        if (first->number < 0)
            *first = *last;
    }
    fclose(f);
    if (first->number < 0)
        stop("has no layers", dir);
}

/* layerN_WHAT.mem, a two's complement of `bits` in hexadecimal a line. */
static int32_t *read_memory(const char *dir, int number, const char *what, int bits, long n)
{
    char name[64];
    int32_t *x = calloc((size_t)n, sizeof *x);
    snprintf(name, sizeof name, "layer%d_%s.mem", number, what);
    FILE *f = open_in(dir, name);
    if (!x)
        stop("out of memory", "");
    for (long i = 0; i < n; i++) {
        unsigned code;
        if (fscanf(f, "%x", &code) != 1)
            stop("is too short", name);
        x[i] = bits < 32 && code >> (bits - 1) ? (int32_t)(code - (1u << bits)) : (int32_t)code;
    }
    fclose(f);
    return x;
}

static FILE *open_port(const char *path, const char *mode)
{
    struct termios t;
    FILE *f = fopen(path, mode);
    if (!f)
        stop("cannot be opened", path);
    if (isatty(fileno(f)) && tcgetattr(fileno(f), &t) == 0) {
        cfmakeraw(&t);
        tcsetattr(fileno(f), TCSANOW, &t);
    }
    return f;
}

static void send_step(FILE *to, int first, const int32_t *x, long n, int bits)
{
    fputc(first, to);
    for (long i = 0; i < n; i++)
        for (int k = 0; k < (bits + 7) / 8; k++)
            fputc((int)((uint32_t)x[i] >> (8 * k) & 255), to);
    if (fflush(to) != 0)
        stop("the board does not take what is sent", "");
}

static int32_t read_number(FILE *from)
{
    uint32_t v = 0;
    for (int k = 0; k < 4; k++) {
        const int byte = fgetc(from);
        if (byte == EOF)
            stop("the board has ended", "");
        v |= (uint32_t)byte << (8 * k);
    }
    return (int32_t)v;
}

int main(int argc, char **argv)
{
    long samples, steps, best = 0;
    layer first, last;
    if (argc != 4)
        stop("use: host DIR TO FROM", "");
    read_layers(argv[1], &samples, &steps, &first, &last);
    int32_t *in = read_memory(argv[1], first.number, "in", first.in_bits, samples * steps * first.inputs);
    int32_t *want = read_memory(argv[1], last.number, "u", last.u_bits, samples * steps * last.outputs);
    int32_t *got = calloc((size_t)last.outputs, sizeof *got);
    FILE *to = open_port(argv[2], "wb"), *from = open_port(argv[3], "rb");
    for (long s = 0; s < samples * steps; s++) {
        send_step(to, s % steps == 0, in + s * first.inputs, first.inputs, first.in_bits);
        for (long o = best = 0; o < last.outputs; o++) {
            const int32_t right = want[s * last.outputs + o];
            if ((got[o] = read_number(from)) != right) {
                printf("sample %ld, time step %ld, output %ld: %d, should be %d\n", s / steps + 1,
                       s % steps + 1, o, got[o], right);
                return 1;
            }
            best = got[o] > got[best] ? o : best;
        }
        if (s % steps == steps - 1)
            printf("sample %ld: class %ld, all outputs as the golden ones\n", s / steps + 1, best);
    }
    free(in), free(want), free(got);
    return 0;
}
