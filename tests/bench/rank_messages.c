/* Time of messages between two ranks, and of a sum of floats: the constants of tests/bench/rank_scaling.
 *   mpicc -O3 -o rank_messages rank_messages.c && mpirun -n 2 ./rank_messages
 * Prints one JSON object. Each number is that of the fastest of many repetitions, so that other programs on
 * the machine disturb it less. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1 << 25, REPEAT = 200 };

/* Seconds until both ranks have the other's message: both send at once, as in the exchange of slices. */
static double exchange(char *out, char *in, int bytes, int other)
{
    double best = 1e9;
    for (int i = 0; i < REPEAT && (i < 20 || (double)i * bytes < 2e9); i++) {
        MPI_Request r[2];
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime(), mine, took;
        MPI_Irecv(in, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD, &r[0]);
        MPI_Isend(out, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD, &r[1]);
        MPI_Waitall(2, r, MPI_STATUSES_IGNORE);
        mine = MPI_Wtime() - start;
        MPI_Allreduce(&mine, &took, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        best = took < best ? took : best;
    }
    return best;
}

static double add(float *a, const float *b, int n)
{
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        double start = MPI_Wtime(), took;
        for (int k = 0; k < n; k++)
            a[k] += b[k];
        took = MPI_Wtime() - start;
        best = took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int rank, size;
    char *out = calloc(MOST, 1), *in = calloc(MOST, 1);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size != 2 || !out || !in)
        MPI_Abort(MPI_COMM_WORLD, 2);
    if (rank == 0)
        printf("{\"messages\": [");
    for (int bytes = 8; bytes <= MOST; bytes *= 4) {
        double s = exchange(out, in, bytes, 1 - rank);
        if (rank == 0)
            printf("%s[%d, %.9f]", bytes > 8 ? ", " : "", bytes, s);
    }
    double s = add((float *)(void *)out, (const float *)(const void *)in, MOST / 4);
    if (rank == 0)
        printf("], \"add_bytes_per_second\": %.3e}\n", MOST / s);
    MPI_Finalize();
    return 0;
}
