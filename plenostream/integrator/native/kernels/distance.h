/* How far each unit of a map is from the nearest that holds something. */
#ifndef DISTANCE_H
#define DISTANCE_H

#include <stdint.h>

enum { FARTHEST = 255 };

static inline uint8_t lower_of(uint8_t a, uint8_t b) { return a < b ? a : b; }

/* The distance of a unit is at most one more than the least of three beside it. */
static inline uint8_t beside(uint8_t distance, uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t least = lower_of(lower_of(a, b), c);
    return lower_of(distance, (uint8_t)(least + (least < FARTHEST)));
}

/* A row [n] beside one that the sweep has been through. In vectors of 16, since those that are left over at
   a row's end go one by one: rows of 128 take longer with any other width. */
static void pass_on(uint8_t *restrict row, const uint8_t *restrict done, int32_t n)
{
    const int32_t last = n - 1, second = n > 1;
    row[0] = beside(row[0], done[0], done[0], done[second]);
#ifdef __clang__
#pragma clang loop vectorize(enable) vectorize_width(16) interleave(disable)
#endif
    for (int32_t z = 1; z < last; z++) row[z] = beside(row[z], done[z - 1], done[z], done[z + 1]);
    row[last] = beside(row[last], done[last - second], done[last], done[last]);
}

/* One sweep over the units [n]: what a unit is from those before it, in the order of the sweep. */
static void sweep(uint8_t *distance, const int32_t n[3], int forward)
{
    const int back = forward ? -1 : 1;
    const int64_t row_back = back * (int64_t)n[2], plane_back = n[1] * row_back;
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++) {
            const int32_t x = forward ? i : n[0] - 1 - i, y = forward ? j : n[1] - 1 - j;
            uint8_t *row = distance + ((int64_t)x * n[1] + y) * n[2];
            for (int32_t dy = -1; dy <= 1; dy++)
                if (i > 0 && y + dy >= 0 && y + dy < n[1])
                    pass_on(row, row + plane_back + (int64_t)dy * n[2], n[2]);
            if (j > 0) pass_on(row, row + row_back, n[2]);
            /* What is left goes on along the row, where each unit waits for the one before it. */
            int along = FARTHEST;
            for (int32_t l = 0; l < n[2]; l++) {
                uint8_t *unit = row + (forward ? l : n[2] - 1 - l);
                along = along + 1 < *unit ? along + 1 : *unit;
                *unit = (uint8_t)along;
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
