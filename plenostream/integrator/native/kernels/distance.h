/* How far each unit of a map is from the nearest that holds something. */
#ifndef DISTANCE_H
#define DISTANCE_H

#include <stdint.h>

enum { FARTHEST = 255 };

/* One sweep over the units [n]: what a unit is from those before it, in the order of the sweep. */
static void sweep(uint8_t *distance, const int32_t n[3], int forward)
{
    const int64_t stride[2] = {(int64_t)n[1] * n[2], n[2]};
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++) {
            const int32_t x = forward ? i : n[0] - 1 - i, y = forward ? j : n[1] - 1 - j;
            uint8_t *row = distance + x * stride[0] + y * stride[1];
            /* The rows that the sweep has been through, and this one. */
            const uint8_t *rows[5];
            int n_rows = 0;
            const int back = forward ? -1 : 1;
            for (int dy = -1; dy <= 1; dy++)
                if (i > 0 && y + dy >= 0 && y + dy < n[1])
                    rows[n_rows++] = row + back * stride[0] + dy * stride[1];
            if (j > 0) rows[n_rows++] = row + back * stride[1];
            for (int32_t l = 0; l < n[2]; l++) {
                const int32_t z = forward ? l : n[2] - 1 - l;
                int best = row[z] == 0 ? -1 : FARTHEST - 1;
                for (int r = 0; r < n_rows; r++)
                    for (int32_t w = z > 0 ? z - 1 : 0; w <= z + 1 && w < n[2]; w++)
                        if (rows[r][w] < best) best = rows[r][w];
                if (l > 0 && row[z + back] < best) best = row[z + back];
                if (best + 1 < row[z]) row[z] = (uint8_t)(best + 1);
            }
        }
}

/* From 0 where a unit holds something and 255 elsewhere to the distance of each, in units along the
   axis on which it is largest (Chebyshev's): what is nearer than that holds nothing. */
static void measure(uint8_t *distance, const int32_t n[3])
{
    sweep(distance, n, 1);
    sweep(distance, n, 0);
}

#endif
