/* Lists the OpenCL devices of this machine; a star marks the one that is taken by default.
 *   cc devices.c $(pkg-config --cflags --libs spikeport) -o devices && ./devices */
#include <spikeport/spikeport.h>
#include <stdio.h>

int main(void)
{
    sp_error err = {0};
    size_t n = 0;
    sp_status st = sp_devices_count(&n, &err);
    printf("spikeport %s, %zu devices\n", sp_version(), n);
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        sp_device_text d = {.struct_size = sizeof d};
        st = sp_devices_describe(i, &d, &err);
        if (st == SP_OK)
            printf("%c %d %-11s %4u units %8.1f GiB  %s (%s)\n", d.is_default ? '*' : ' ', d.index, d.type,
                   d.compute_units, (double)d.global_bytes / (1 << 30), d.name, d.platform);
    }
    if (st != SP_OK)
        fprintf(stderr, "%s: %s\n", sp_status_name(st), err.text);
    return sp_status_exit_code(st);
}
