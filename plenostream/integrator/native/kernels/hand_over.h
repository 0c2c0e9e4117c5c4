/* Derivatives on their way out of the pool, see `back.h`: added up over the parts, and 0 afterwards. */
#ifndef HAND_OVER_H
#define HAND_OVER_H

#include "back.h"
#include "upload.h"

/* Bricks whose derivatives are asked for. */
typedef struct {
    const int32_t *slots;     /* [s] */
    const int64_t *row_start; /* [s]: number of the first row of each, of the rows that come out */
    const int32_t *owner;     /* [n]: row to which each is added; or 0 */
    float *density;           /* [n] by densities per world unit; or those of all owners */
    float *sh;                /* [n, 3 basis_dim]; likewise */
    uint8_t *touched;         /* [n]: 1 for rows that got something, others are not written; or 0 */
    int32_t n_slots;
    int32_t claimed;          /* bricks that a thread has taken on */
} HandOver;

INLINE int64_t rows_of_part(const Back *back) { return back->n_pages * PAGE_ROWS; }

/* Forget what the pages of a brick that comes in were told of another. */
static void clear_pages(const Pool *pool, const Back *back, const int32_t *pages, int64_t n)
{
    const int64_t row_numbers = (int64_t)pool->vectors * ROW_LANES;
    for (int part = 0; part < back->n_parts; part++)
        for (int64_t i = 0; i < n; i++) {
            const int64_t first = part * rows_of_part(back) + (int64_t)pages[i] * PAGE_ROWS;
            for (int64_t row = first; row < first + PAGE_ROWS; row++) {
                if (!back->touched[row]) continue;
                memset(back->rows + row * row_numbers, 0, (size_t)row_numbers * sizeof(float));
                back->touched[row] = 0;
            }
        }
}

/* The derivatives of row `number` of the pool, added up, and 0 afterwards; whether it got some. */
static int take_row(const Pool *pool, const Back *back, int64_t number, float values[MOST_VECTORS * ROW_LANES])
{
    const Row none = {0};
    Row sum[MOST_VECTORS];
    int any = 0;
    for (int v = 0; v < pool->vectors; v++) sum[v] = none;
    for (int part = 0; part < back->n_parts; part++) {
        const int64_t at = part * rows_of_part(back) + number;
        if (!back->touched[at]) continue;
        float *row = back->rows + at * pool->vectors * ROW_LANES;
        for (int v = 0; v < pool->vectors; v++) {
            sum[v] += row_of_floats(row + v * ROW_LANES);
            memcpy(row + v * ROW_LANES, &none, sizeof none);
        }
        back->touched[at] = 0;
        any = 1;
    }
    if (any) memcpy(values, sum, (size_t)pool->vectors * sizeof *sum);
    return any;
}

/* The derivatives by the rows of brick number `i` of those that are asked for. */
static void hand_over(const Scene *scene, const Pool *pool, const Back *back, const HandOver *out, int32_t i,
                      const Spread *spread)
{
    const uint32_t *place_of = pool->place_of + (int64_t)out->slots[i] * scene->voxels;
    const uint32_t per_row = places_of_row(pool);
    const int n = spread->n;
    int64_t row = out->row_start[i];
    for (int voxel = 0; voxel < scene->voxels; voxel++) {
        if (!place_of[voxel]) continue;
        float values[MOST_VECTORS * ROW_LANES], *sh = out->sh + row * n;
        const int touched = take_row(pool, back, place_of[voxel] / per_row, values);
        if (touched) {
            out->density[row] = values[DENSITY_LANE];
            for (int j = 0; j < n; j++) sh[j] = values[spread->lanes[j]];
        } else if (!out->touched) {
            out->density[row] = 0.0f;
            memset(sh, 0, (size_t)n * sizeof *sh);
        }
        if (out->touched) out->touched[row] = (uint8_t)touched;
        row++;
    }
}

/* Add the derivatives of all bricks that are asked for to those of the owners [first, end), in order. */
static void add_to_owners(const Scene *scene, const Pool *pool, const Back *back, const HandOver *out, int64_t first,
                   int64_t end, const Spread *spread)
{
    const uint32_t per_row = places_of_row(pool);
    const int n = spread->n;
    for (int32_t i = 0; i < out->n_slots; i++) {
        const uint32_t *place_of = pool->place_of + (int64_t)out->slots[i] * scene->voxels;
        const int32_t *owner = out->owner + out->row_start[i];
        for (int voxel = 0; voxel < scene->voxels; voxel++) {
            if (!place_of[voxel]) continue;
            const int64_t row = *owner++;
            float values[MOST_VECTORS * ROW_LANES], *sh = out->sh + row * n;
            if (row < first || row >= end) continue;
            if (!take_row(pool, back, place_of[voxel] / per_row, values)) continue;
            out->density[row] += values[DENSITY_LANE];
            for (int j = 0; j < n; j++) sh[j] += values[spread->lanes[j]];
            out->touched[row] = 1;
        }
    }
}

#endif
