/* Where the samples of a ray lie, LANES at a time, in fixed point: cells, and 2^-32 of them.

   Sums of whole numbers do not depend on their order. So the place of a sample is the same number
   whichever group of samples it is found with, and groups may begin at any sample. Against float64,
   the last of ten thousand samples lies 2^-20 cells beside its place at most. */
#ifndef STEPS_H
#define STEPS_H

#include "seek.h"

#define MOST_PER_UNIT 4e6 /* times the longest distance still a whole number of 31 bits */
enum { UNIT_FRACTION = 16 };

typedef struct {
    uint64_t entry[3]; /* sample 0; two's complement */
    uint64_t along[3]; /* from one sample to the next */
    Words beyond[3];   /* what `along` makes for each lane of a group: parts of cells, */
    Ints cells[3];     /* and cells */
    uint64_t per_unit; /* samples in which the ray crosses a unit of the map on the axis on which it
                          is fastest, hardly less, in 2^-UNIT_FRACTION */
} Steps;

/* LANES samples. */
typedef struct {
    Ints cell[3];
    Reals rest[3]; /* of the position, beyond the cell */
} Places;

INLINE Ints lane_numbers(void)
{
    static const int32_t numbers[LANES] __attribute__((aligned(64))) = LANE_NUMBERS;
    Ints lanes;
    memcpy(&lanes, numbers, sizeof lanes);
    return lanes;
}

INLINE Steps steps_of(const Scene *scene, const Course *course)
{
    Steps steps;
    double fastest = 0.0;
    for (int a = 0; a < 3; a++) {
        const double along = course->along[a];
        uint32_t beyond[LANES];
        int32_t cells[LANES];
        steps.entry[a] = fixed(course->entry[a]);
        steps.along[a] = fixed_step(along);
        for (int i = 0; i < LANES; i++) {
            const uint64_t way = steps.along[a] * (uint64_t)i;
            beyond[i] = (uint32_t)way;
            cells[i] = cell_of(way);
        }
        memcpy(&steps.beyond[a], beyond, sizeof beyond);
        memcpy(&steps.cells[a], cells, sizeof cells);
        fastest = fabs(along) > fastest ? fabs(along) : fastest;
    }
    const double per_unit = (1 << scene->unit_bits) * NEARLY / fastest;
    steps.per_unit = (uint64_t)((per_unit < MOST_PER_UNIT ? per_unit : MOST_PER_UNIT) * (1 << UNIT_FRACTION));
    return steps;
}

/* Samples from k on, clamped to the centres of the voxels. */
INLINE Places places_from(const Scene *scene, const Steps *steps, int32_t k)
{
    Places places;
    int is_outside = 0;
    for (int a = 0; a < 3; a++) {
        const uint64_t first = steps->entry[a] + steps->along[a] * (uint64_t)k;
        const uint64_t final = first + steps->along[a] * (LANES - 1);
        const uint32_t last = (uint32_t)scene->size[a] - 2;
        const Words beyond = steps->beyond[a] + (uint32_t)first;
        const Ints carry = (Ints)(beyond < steps->beyond[a]);
        places.cell[a] = steps->cells[a] + cell_of(first) - carry;
        places.rest[a] = __builtin_convertvector((Ints)(beyond >> 1), Reals) * 0x1p-31f;
        is_outside |= (uint32_t)cell_of(first) > last;
        is_outside |= (uint32_t)cell_of(final) > last;
    }
    if (is_outside)
        for (int a = 0; a < 3; a++) {
            const int32_t last = scene->size[a] - 2;
            const Ints cell = places.cell[a], below = cell < 0, above = cell > last;
            places.cell[a] = (cell & ~(below | above)) | (last & above);
            places.rest[a] = choose(below, (Reals){0}, choose(above, splat(1.0f), places.rest[a]));
        }
    return places;
}

#endif
