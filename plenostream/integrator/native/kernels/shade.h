/* Colours of the samples that contribute (`docs/rules.md`, rules 12, 13 and 16), one after another
   in the order in which they lie on their ray: sums do not depend on when they are shaded. */
#ifndef SHADE_H
#define SHADE_H

#include "lanes.h"
#include "scene.h"

enum {
    GROUPS = 24,   /* groups of samples of a ray that are marched before they are shaded */
    AHEAD = 10,    /* samples by which rows are asked for before they are needed */
    BATCH = 64,    /* samples whose rows are blended before their functions are added up */
    TOGETHER = 4,  /* samples whose functions are added up together */
};

/* What is known of a sample, LANES numbers each. */
enum { CORNER, WEIGHT = 8, DEPTH, VOXEL, AFTER, LENGTH, SPARSE, N_KNOWN };

/* LANES samples: the trilinear weights of their corners, their weights, those that depth sees times
   t, and their first corners in the pool, which are int32. For those that go back: the light left behind
   them, their lengths in world units, and what their density alone adds to a loss's derivative by it. */
typedef struct {
    float known[N_KNOWN][LANES];
} __attribute__((aligned(64))) Group;

typedef struct {
    Group groups[GROUPS];
    uint32_t sample[GROUPS * LANES]; /* those that contribute: place of their first number in `groups` */
    int n_groups, n_samples;
} Shading;

INLINE const float *sample_of(const Shading *shading, int number)
{
    return &shading->groups[0].known[0][0] + shading->sample[number];
}

/* Values of the basis functions, in the lanes of a colour row, see `lane_of`. */
INLINE void spread_basis(const Scene *scene, const Tile *tile, int ray, const int vectors,
                         Row basis[MOST_VECTORS])
{
    for (int v = 0; v < vectors; v++) {
        Eight five = {0};
        for (int j = 0; j < ROW_FUNCTIONS && v * ROW_FUNCTIONS + j < scene->basis_dim; j++)
            five[j] = tile->basis[(v * ROW_FUNCTIONS + j) * TILE_RAYS + ray];
        basis[v] = __builtin_shufflevector(five, five, 0, 0, 0, 4, 1, 1, 1, 4, 2, 2, 2, 4, 3, 3, 3, 7);
    }
}

/* The places of the rows of a sample's corners, from the first on. */
INLINE const uint32_t *places_of(const Pool *pool, const float *sample)
{
    int32_t voxel;
    memcpy(&voxel, sample + VOXEL * LANES, sizeof voxel);
    return pool->place_of + voxel;
}

INLINE void prefetch_rows(const Pool *pool, const uint32_t *place_of, const int corner[8])
{
    for (int i = 0; i < 8; i++) __builtin_prefetch(row_at(pool, place_of[corner[i]]));
}

INLINE Row part_of_row(const char *row, const int part, const int wide)
{
    return wide ? row_of_floats((const float *)row + part * ROW_LANES)
                : row_of_halves((const uint16_t *)row + part * ROW_LANES);
}

/* Products of the coefficients of a sample and the functions, in the lanes of a colour row. */
INLINE Row products_of(const Pool *pool, const float *sample, const int corner[8],
                       const Row basis[MOST_VECTORS], const int vectors, const int wide)
{
    const uint32_t *place_of = places_of(pool, sample);
    Row total[MOST_VECTORS];
    for (int j = 0; j < 8; j++) {
        const char *row = row_at(pool, place_of[corner[j]]);
        for (int v = 0; v < vectors; v++) {
            const Row part = part_of_row(row, v, wide) * sample[(CORNER + j) * LANES];
            total[v] = j ? total[v] + part : part;
        }
    }
    Row products = total[0] * basis[0];
    for (int v = 1; v < vectors; v++) products += total[v] * basis[v];
    return products;
}

/* Products of the samples [first, end), and of none up to a whole number of TOGETHER. Meanwhile the rows of
   samples further on are asked for. */
INLINE void gather_products(const Pool *pool, const Shading *shading, int first, int end, Row *products,
                            const int corner[8], const Row basis[MOST_VECTORS], const int vectors,
                            const int wide)
{
    const int n = shading->n_samples;
    for (int i = first; i < end; i++) {
        const float *later = sample_of(shading, i + AHEAD < n ? i + AHEAD : n - 1);
        if (!wide) prefetch_rows(pool, places_of(pool, later), corner);
        products[i - first] = products_of(pool, sample_of(shading, i), corner, basis, vectors, wide);
    }
    for (int i = end; i < end + TOGETHER - 1; i++) products[i - first] = (Row){0};
}

/* Red, green, blue and something else of TOGETHER samples, before the clamp: the sums of their
   products, see `lane_of`. */
INLINE Row add_functions(const Row of[TOGETHER])
{
#define FOLD(a, b, i, j, k, l)                                                                     \
    __builtin_shufflevector(a, b, i, i + 1, i + 2, i + 3, j, j + 1, j + 2, j + 3, k, k + 1, k + 2, \
                            k + 3, l, l + 1, l + 2, l + 3)
#define FIFTHS(a, b) __builtin_shufflevector(a, b, 3, 7, 11, 15, 19, 23, 27, 31, 3, 7, 11, 15, 19, 23, 27, 31)
    const Row first = FOLD(of[0], of[1], 0, 4, 16, 20) + FOLD(of[0], of[1], 8, 12, 24, 28);
    const Row last = FOLD(of[2], of[3], 0, 4, 16, 20) + FOLD(of[2], of[3], 8, 12, 24, 28);
    const Row fours = FOLD(first, last, 0, 8, 16, 24) + FOLD(first, last, 4, 12, 20, 28);
    return fours + FOLD(FIFTHS(of[0], of[1]), FIFTHS(of[2], of[3]), 0, 4, 16, 20);
#undef FIFTHS
#undef FOLD
}

/* Colours of TOGETHER samples: red, green and blue, at least 0, and something else. */
INLINE void colours_of(const Row products[TOGETHER], Four colour[TOGETHER])
{
    Row colours = add_functions(products) + 0.5f;
    colours = (Row)((RowInts)colours & (colours > 0.0f));
    memcpy(colour, &colours, sizeof colours);
}

/* Add weight times colour, and depth, of the samples [first, end), of which there are `products`. */
INLINE Four add_up(const Shading *shading, const Row *products, int first, int end, Four sum)
{
    for (int i = first; i < end; i += TOGETHER) {
        Four colour[TOGETHER];
        colours_of(products + (i - first), colour);
        for (int j = 0; j < TOGETHER && i + j < end; j++) {
            const float *sample = sample_of(shading, i + j);
            Four seen = colour[j] * sample[WEIGHT * LANES];
            seen[3] = sample[DEPTH * LANES];
            sum += seen;
        }
    }
    return sum;
}

/* Add the samples at hand to what a ray has seen. */
INLINE void shade(const Scene *scene, const Pool *pool, Shading *shading, Tile *tile, int ray,
                  const int vectors, const int wide)
{
    const int n = shading->n_samples;
    int corner[8];
    Row basis[MOST_VECTORS], products[BATCH + TOGETHER - 1];
    Four sum;
    memcpy(&sum, tile->seen[ray], sizeof sum);
    corners_of(scene, corner);
    spread_basis(scene, tile, ray, vectors, basis);
    for (int first = 0; first < n; first += BATCH) {
        const int end = first + BATCH < n ? first + BATCH : n;
        gather_products(pool, shading, first, end, products, corner, basis, vectors, wide);
        sum = add_up(shading, products, first, end, sum);
    }
    memcpy(tile->seen[ray], &sum, sizeof sum);
    shading->n_groups = shading->n_samples = 0;
}

#endif
