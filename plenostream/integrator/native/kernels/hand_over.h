/* Derivatives on their way out of the pool, see `back.h`: added up over the parts, and 0 afterwards. */
#ifndef HAND_OVER_H
#define HAND_OVER_H

#include "back.h"
#include "upload.h"

/* Bricks whose derivatives are asked for. */
typedef struct {
    const int32_t *slots;     /* [s] */
    const int64_t *row_start; /* [s]: number of the first row of each, of the rows that come out */
    float *density;           /* [n] by densities per world unit */
    float *sh;                /* [n, 3 basis_dim] */
    uint8_t *touched;         /* [n]: 1 for rows that got something, others are not written; or 0 */
    int32_t n_slots;
    int32_t claimed;          /* bricks that a thread has taken on */
} HandOver;

/* Forget what the pages of a brick that comes in were told of another. */
static void clear_pages(const Pool *pool, const Back *back, const int32_t *pages, int64_t n)
{
    const int64_t page_numbers = (int64_t)PAGE_ROWS * pool->vectors * ROW_LANES;
    for (int part = 0; part < back->n_parts; part++)
        for (int64_t i = 0; i < n; i++) {
            const int64_t page = part * back->n_pages + pages[i];
            if (!back->touched[page]) continue;
            memset(back->rows + page * page_numbers, 0, (size_t)page_numbers * sizeof(float));
            back->touched[page] = 0;
        }
}

/* A row's derivatives, added up; 0 afterwards. */
static void take_row(const Back *back, int64_t number, int vectors, Row sum[MOST_VECTORS])
{
    const Row none = {0};
    const int64_t part_rows = back->n_pages * PAGE_ROWS;
    for (int v = 0; v < vectors; v++) sum[v] = none;
    for (int part = 0; part < back->n_parts; part++) {
        if (!back->touched[part * back->n_pages + number / PAGE_ROWS]) continue;
        float *row = back->rows + (part * part_rows + number) * vectors * ROW_LANES;
        for (int v = 0; v < vectors; v++) {
            sum[v] += row_of_floats(row + v * ROW_LANES);
            memcpy(row + v * ROW_LANES, &none, sizeof none);
        }
    }
}

static int is_touched(const Back *back, int64_t page)
{
    int any = 0;
    for (int part = 0; part < back->n_parts; part++) any |= back->touched[part * back->n_pages + page];
    return any;
}

/* The derivatives by the rows of brick number `i` of those that are asked for. */
static void hand_over(const Scene *scene, const Pool *pool, const Back *back, const HandOver *out, int32_t i,
                      const Spread *spread)
{
    const uint32_t *place_of = pool->place_of + (int64_t)out->slots[i] * scene->voxels;
    const uint32_t per_row = (uint32_t)(ROW_LANES * (pool->wide ? 4 : 2) / PLACE_BYTES * pool->vectors);
    const int n = spread->n;
    int64_t row = out->row_start[i], page = -1;
    int touched = 0;
    for (int voxel = 0; voxel < scene->voxels; voxel++) {
        if (!place_of[voxel]) continue;
        const int64_t number = place_of[voxel] / per_row;
        float *sh = out->sh + row * n;
        if (number / PAGE_ROWS != page) {
            /* Rows of a page follow each other: the one before is done with. */
            for (int part = 0; touched && part < back->n_parts; part++)
                back->touched[part * back->n_pages + page] = 0;
            page = number / PAGE_ROWS;
            touched = is_touched(back, page);
        }
        if (out->touched) out->touched[row] = (uint8_t)touched;
        if (touched) {
            float values[MOST_VECTORS * ROW_LANES];
            Row sum[MOST_VECTORS];
            take_row(back, number, pool->vectors, sum);
            memcpy(values, sum, (size_t)pool->vectors * sizeof *sum);
            out->density[row] = values[DENSITY_LANE];
            for (int j = 0; j < n; j++) sh[j] = values[spread->lanes[j]];
        } else if (!out->touched) {
            out->density[row] = 0.0f;
            memset(sh, 0, (size_t)n * sizeof *sh);
        }
        row++;
    }
    for (int part = 0; touched && part < back->n_parts; part++)
        back->touched[part * back->n_pages + page] = 0;
}

#endif
