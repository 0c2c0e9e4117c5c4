/* Colours of the samples that contribute (`docs/rules.md`, rules 12, 13 and 16), one after another
   in the order in which they lie on their ray: sums do not depend on when they are shaded. */
#ifndef SHADE_H
#define SHADE_H

#include "lanes.h"
#include "scene.h"

enum {
    GROUPS = 24, /* groups of samples of a ray that are marched before they are shaded */
    AHEAD = 10,  /* samples by which rows are asked for before they are needed */
    TOGETHER = 4, /* samples whose products are added up together */
};

/* LANES samples. */
typedef struct {
    float corner[8][LANES]; /* trilinear weights */
    float weight[LANES];
    float t[LANES];
    int32_t voxel[LANES];   /* first corner, in the pool */
} __attribute__((aligned(64))) Group;

typedef struct {
    Group groups[GROUPS];
    uint16_t sample[GROUPS * LANES]; /* those that contribute: group * LANES + lane */
    int n_groups, n_samples;
} Shading;

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

INLINE const uint32_t *places_of(const Pool *pool, const Shading *shading, int number)
{
    const int sample = shading->sample[number];
    return pool->place_of + shading->groups[sample / LANES].voxel[sample % LANES];
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
INLINE Row products_of(const Pool *pool, const Group *group, int lane, const int corner[8],
                       const Row basis[MOST_VECTORS], const int vectors, const int wide)
{
    const uint32_t *place_of = pool->place_of + group->voxel[lane];
    Row total[MOST_VECTORS];
    for (int j = 0; j < 8; j++) {
        const char *row = row_at(pool, place_of[corner[j]]);
        for (int v = 0; v < vectors; v++) {
            const Row part = part_of_row(row, v, wide) * group->corner[j][lane];
            total[v] = j ? total[v] + part : part;
        }
    }
    Row products = total[0] * basis[0];
    for (int v = 1; v < vectors; v++) products += total[v] * basis[v];
    return products;
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

/* Add weight times (red, green, blue, t) of the samples at hand to what a ray has seen. */
INLINE void shade(const Scene *scene, const Pool *pool, Shading *shading, Tile *tile, int ray,
                  const int vectors, const int wide)
{
    const int edge = scene->edge, plane = edge * edge, n = shading->n_samples;
    const int corner[8] = {0, 1, edge, edge + 1, plane, plane + 1, plane + edge, plane + edge + 1};
    Row basis[MOST_VECTORS], products[TOGETHER] = {{0}};
    Four sum;
    memcpy(&sum, tile->seen[ray], sizeof sum);
    spread_basis(scene, tile, ray, vectors, basis);
    for (int first = 0; first < n; first += TOGETHER) {
        const int end = first + TOGETHER < n ? first + TOGETHER : n;
        for (int i = first; i < end; i++) {
            const int sample = shading->sample[i];
            if (!wide) prefetch_rows(pool, places_of(pool, shading, i + AHEAD < n ? i + AHEAD : n - 1), corner);
            products[i - first] = products_of(pool, &shading->groups[sample / LANES], sample % LANES,
                                              corner, basis, vectors, wide);
        }
        const Row colours = add_functions(products) + 0.5f, seen_of = (Row)((RowInts)colours & (colours > 0.0f));
        Four colour[TOGETHER];
        memcpy(colour, &seen_of, sizeof colour);
        for (int i = first; i < end; i++) {
            const int sample = shading->sample[i];
            const Group *group = &shading->groups[sample / LANES];
            colour[i - first][3] = group->t[sample % LANES];
            sum += colour[i - first] * group->weight[sample % LANES];
        }
    }
    memcpy(tile->seen[ray], &sum, sizeof sum);
    shading->n_groups = shading->n_samples = 0;
}

#endif
