/* Files of AEDAT 2.0 and 3.1 made byte by byte, for the tests of their reader and of sets of them. */
#ifndef SP_TEST_AEDAT_SUPPORT_H
#define SP_TEST_AEDAT_SUPPORT_H

#include "event_support.h"

static const char *const header2 = "#!AER-DAT2.0\r\n# made by a test\r\n";
static const char *const header31 = "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n";

/* Two polarity packets, the second after an overflow and with unused room, and others between them. */
static inline void make31(made *m)
{
    made_text(m, header31);
    made_packet(m, 1, 8, 0, 2, 2);
    made_polarity(m, 5, 6, 1, 0x7ffffff0u);
    made_polarity(m, 127, 0, 0, 0x7fffffffu);
    made_packet(m, 0, 8, 0, 1, 1); /* special: the clock wrapped */
    made_little(m, 0, 8);
    made_packet(m, 2, 100, 0, 1, 1); /* a picture */
    for (int i = 0; i < 100; i++)
        made_little(m, 0xaa, 1);
    made_packet(m, 1, 8, 1, 3, 1);
    made_polarity(m, 0, 127, 1, 5);
    made_little(m, 0xffffffffu, 8); /* room without events */
    made_little(m, 0xffffffffu, 8);
}
#endif
