/* Colours of the samples that contribute (`docs/rules.md`, rules 12, 13 and 16), one after another
   in the order in which they lie on their ray: sums do not depend on when they are shaded. */
#ifndef SHADE_H
#define SHADE_H

#include "lanes.h"
#include "scene.h"

enum {
    GROUPS = 24, /* groups of samples of a ray that are marched before they are shaded */
    AHEAD = 6,   /* samples by which rows are asked for before they are needed */
};

/* LANES samples of one brick. */
typedef struct {
    float corner[8][LANES]; /* trilinear weights */
    float weight[LANES];
    float depth[LANES];     /* weight, as depth counts it, times t */
    int32_t voxel[LANES];   /* first corner, in the brick */
    const uint32_t *row_of; /* of the brick */
} __attribute__((aligned(64))) Group;

typedef struct {
    Group groups[GROUPS];
    uint16_t sample[GROUPS * LANES]; /* those that contribute: group * LANES + lane */
    int n_groups, n_samples;
} Shading;

/* Values of the basis functions, in the lanes of a colour row. */
INLINE void spread_basis(const Scene *scene, const Tile *tile, int ray, const int vectors,
                         Row basis[MOST_VECTORS])
{
    float lanes[MOST_VECTORS * ROW_LANES] __attribute__((aligned(64))) = {0};
    for (int k = 0; k < scene->basis_dim; k++)
        for (int c = 0; c < 3; c++) lanes[lane_of(k, c)] = tile->basis[k * TILE_RAYS + ray];
    memcpy(basis, lanes, (size_t)vectors * sizeof(Row));
}

INLINE const uint32_t *rows_of_sample(const Shading *shading, int number)
{
    const int sample = shading->sample[number];
    const Group *group = &shading->groups[sample / LANES];
    return group->row_of + group->voxel[sample % LANES];
}

INLINE void prefetch_rows(const Pool *pool, const uint32_t *row_of, const int corner[8], const int row_bytes)
{
    for (int i = 0; i < 8; i++)
        __builtin_prefetch((const char *)pool->rows + (int64_t)row_of[corner[i]] * row_bytes);
}

INLINE Row part_of_row(const Pool *pool, uint32_t row, const int part, const int vectors, const int wide)
{
    const int64_t at = (int64_t)row * (vectors * ROW_LANES) + part * ROW_LANES;
    return wide ? row_of_floats((const float *)pool->rows + at)
                : row_of_halves((const uint16_t *)pool->rows + at);
}

/* Red, green and blue, before the clamp, of the products of coefficients and functions. */
INLINE Four add_functions(Row products)
{
    const Eight low = __builtin_shufflevector(products, products, 0, 1, 2, 3, 4, 5, 6, 7);
    const Eight high = __builtin_shufflevector(products, products, 8, 9, 10, 11, 12, 13, 14, 15);
    const Eight both = low + high;
    const Four fifth = __builtin_shufflevector(low, high, 3, 7, 11, 15);
    return __builtin_shufflevector(both, both, 0, 1, 2, 3) +
           __builtin_shufflevector(both, both, 4, 5, 6, 7) + fifth;
}

/* Add weight times (red, green, blue, t) of the samples at hand to what a ray has seen. */
INLINE void shade(const Scene *scene, const Pool *pool, Shading *shading, const Row basis[MOST_VECTORS],
                  float seen[4], const int vectors, const int wide)
{
    const int edge = scene->edge, plane = edge * edge, n = shading->n_samples;
    const int corner[8] = {0, 1, edge, edge + 1, plane, plane + 1, plane + edge, plane + edge + 1};
    const int row_bytes = vectors * ROW_LANES * (wide ? 4 : 2);
    Four sum;
    memcpy(&sum, seen, sizeof sum);
    for (int i = 0; i < n; i++) {
        const int sample = shading->sample[i], lane = sample % LANES;
        const Group *group = &shading->groups[sample / LANES];
        const uint32_t *row_of = group->row_of + group->voxel[lane];
        if (!wide)
            prefetch_rows(pool, rows_of_sample(shading, i + AHEAD < n ? i + AHEAD : n - 1), corner, row_bytes);
        Row total[MOST_VECTORS];
        for (int j = 0; j < 8; j++) {
            const uint32_t row = row_of[corner[j]];
            for (int v = 0; v < vectors; v++) {
                const Row part = part_of_row(pool, row, v, vectors, wide) * group->corner[j][lane];
                total[v] = j ? total[v] + part : part;
            }
        }
        Row products = total[0] * basis[0];
        for (int v = 1; v < vectors; v++) products += total[v] * basis[v];
        Four colour = add_functions(products) + 0.5f;
        typedef int32_t FourInts __attribute__((vector_size(16)));
        colour = (Four)((FourInts)colour & (colour > 0.0f));
        colour[3] = group->depth[lane];
        const float weight = group->weight[lane];
        sum += colour * (Four){weight, weight, weight, 1.0f};
    }
    memcpy(seen, &sum, sizeof sum);
    shading->n_groups = shading->n_samples = 0;
}

#endif
