/* The way back: derivatives of a loss by the rows that samples were blended from (`docs/rules.md`,
   rule 34).

   A ray goes through its samples as when it was drawn. A row's derivatives lie in lanes as its
   coefficients do, with that by its density in the last lane of the first vector, which these leave: so
   what a sample gives is one row, of which each of the eight corners gets its share. Each part of the
   threads has derivatives of its own, which are added up in order when they are handed over: the same
   parts give the same sums. */
#ifndef BACK_H
#define BACK_H

#include "shade.h"

#define OPAQUE_LENGTH 1e9f /* see `interface.OPAQUE_LENGTH` */
enum { DENSITY_LANE = 15 };

/* What rays go back for, and what comes of it. */
typedef struct {
    const float *rgb, *alpha;       /* [tiles, 64, 3], [tiles, 64]: what they saw on black */
    const float *by_rgb, *by_alpha; /* the same: derivatives of the loss by it */
    float *rows;                    /* [parts, pages * PAGE_ROWS, 16 vectors] */
    uint8_t *touched;               /* [parts, pages * PAGE_ROWS]: whether there is anything but 0 */
    int64_t n_pages;
    int32_t n_parts;
    float sparsity;                 /* see `LossByRays` */
} Back;

/* What is the same for all samples of a ray. */
typedef struct Return Return;

/* `shade_back` for one length of row and type of number: what looks at a ray's samples depends on neither, and
   is compiled once for all of them. */
typedef void ShadeBack(const Scene *, const Pool *, Shading *, Tile *, int, const Return *);

struct Return {
    Four rgb, by_rgb;    /* and 0 */
    float by_left;       /* derivative by light that is left, times that light */
    float by_alpha;
    float length;        /* of a sample, world units */
    float per_unit;      /* densities per world unit from those of the pool */
    float sparsity;
    float *rows;         /* of the part */
    uint8_t *touched;
    ShadeBack *shade;
};

INLINE Return return_of(const Scene *scene, const Back *back, const Tile *tile, int64_t number, int ray,
                        int part, int vectors, ShadeBack *shade)
{
    const int64_t at = number * TILE_RAYS + ray;
    const float *rgb = back->rgb + 3 * at, *by = back->by_rgb + 3 * at;
    double square = 0.0;
    for (int a = 0; a < 3; a++) {
        const double way = tile->direction[a][ray] / scene->scale[a];
        square += way * way;
    }
    return (Return){
        .rgb = {rgb[0], rgb[1], rgb[2], 0.0f},
        .by_rgb = {by[0], by[1], by[2], 0.0f},
        .by_left = back->by_alpha[at] * (1.0f - back->alpha[at]),
        .by_alpha = back->by_alpha[at],
        .length = (float)(scene->step * sqrt(square)),
        .per_unit = (float)(1.0 / scene->unit),
        .sparsity = back->sparsity,
        .rows = back->rows + part * back->n_pages * PAGE_ROWS * vectors * ROW_LANES,
        .touched = back->touched + part * back->n_pages * PAGE_ROWS,
        .shade = shade,
    };
}

/* Keep what going back needs of samples of densities `sigma`, beside what shading does. Sample `last` of
   the group is the last of the ray; `weight` is that of the colours. */
INLINE void keep_for_return(const Scene *scene, const Return *back, float *known, Reals sigma, Reals before,
                            Reals after, Reals weight, int32_t last)
{
    Reals length = splat(back->length);
    if (scene->light == OPAQUE_END && last < LANES) {
        after[last] = before[last] - weight[last];
        length[last] = OPAQUE_LENGTH;
    }
    const Reals density = sigma * back->per_unit;
    const Reals sparse = 4.0f * back->sparsity * density / (1.0f + 2.0f * density * density);
    memcpy(known + AFTER * LANES, &after, sizeof after);
    memcpy(known + LENGTH * LANES, &length, sizeof length);
    memcpy(known + SPARSE * LANES, &sparse, sizeof sparse);
}

INLINE float dot(Four a, Four b)
{
    const Four product = a * b;
    return product[0] + product[1] + product[2];
}

/* Derivatives by the colour of a sample before its clamp, and by its density; `sum` is what the ray has seen
   with it. */
INLINE Four by_sample(const Scene *scene, const Return *back, const float *sample, Four colour, Four sum)
{
    typedef int32_t FourInts __attribute__((vector_size(16)));
    const float length = sample[LENGTH * LANES], after = sample[AFTER * LANES];
    float behind = dot(back->by_rgb, back->rgb - sum), by_left = back->by_left;
    if (length == OPAQUE_LENGTH && scene->light == OPAQUE_END) {
        /* Nothing is behind it, whatever rounding has left: its length is 1e9. */
        behind = 0.0f;
        by_left = after < scene->stop_thresh ? 0.0f : back->by_alpha * after;
    }
    Four by = (Four)((FourInts)(back->by_rgb * sample[WEIGHT * LANES]) & (colour > 0.0f));
    by[3] = length * (dot(back->by_rgb, colour) * after - behind + by_left) + sample[SPARSE * LANES];
    return by;
}

/* The corners of a cell, and what they get. */
typedef struct {
    int32_t voxel; /* the first; EMPTY where there is none yet */
    Row sums[8][MOST_VECTORS];
} Held;

INLINE float *derivatives_at(const Return *back, uint32_t place, const int wide)
{
    return back->rows + (uint64_t)place * (PLACE_BYTES / (wide ? 4 : 2));
}

INLINE void let_go(const Pool *pool, const Return *back, const Held *held, const int corner[8],
                   const int vectors, const int wide)
{
    const uint32_t per_row = ROW_LANES * (wide ? 4 : 2) / PLACE_BYTES * (uint32_t)vectors;
    const uint32_t *place_of = pool->place_of + held->voxel;
    for (int j = 0; j < 8; j++) {
        const uint32_t place = place_of[corner[j]];
        float *row = derivatives_at(back, place, wide);
        for (int v = 0; v < vectors; v++) {
            const Row sum = row_of_floats(row + v * ROW_LANES) + held->sums[j][v];
            memcpy(row + v * ROW_LANES, &sum, sizeof sum);
        }
        back->touched[place / per_row] = 1;
    }
}

/* Share out the derivatives `by` of a sample; those of samples that follow each other in a cell are added
   up first. */
INLINE void share_out(const Pool *pool, const Return *back, const float *sample, Four by,
                      const Row basis[MOST_VECTORS], Held *held, const int corner[8], const int vectors,
                      const int wide)
{
    const Row spread = __builtin_shufflevector(by, by, 0, 1, 2, 0, 0, 1, 2, 1, 0, 1, 2, 2, 0, 1, 2, 3);
    int32_t voxel;
    memcpy(&voxel, sample + VOXEL * LANES, sizeof voxel);
    Row own[MOST_VECTORS];
    for (int v = 0; v < vectors; v++) own[v] = spread * basis[v];
    if (voxel != held->voxel) {
        if (held->voxel != EMPTY) let_go(pool, back, held, corner, vectors, wide);
        held->voxel = voxel;
        for (int j = 0; j < 8; j++)
            for (int v = 0; v < vectors; v++) held->sums[j][v] = own[v] * sample[(CORNER + j) * LANES];
        return;
    }
    for (int j = 0; j < 8; j++)
        for (int v = 0; v < vectors; v++) held->sums[j][v] += own[v] * sample[(CORNER + j) * LANES];
}

INLINE void prefetch_derivatives(const Return *back, const uint32_t *place_of, const int corner[8],
                                 const int vectors, const int wide)
{
    for (int j = 0; j < 8; j++)
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(derivatives_at(back, place_of[corner[j]], wide) + v * ROW_LANES, 1);
}

/* As `shade`, and share out what the samples at hand say. */
INLINE void shade_back(const Scene *scene, const Pool *pool, Shading *shading, Tile *tile, int ray,
                       const Return *back, const int vectors, const int wide)
{
    const int n = shading->n_samples;
    int corner[8];
    Row basis[MOST_VECTORS], products[BATCH + TOGETHER - 1];
    Four sum;
    Held held = {.voxel = EMPTY};
    memcpy(&sum, tile->seen[ray], sizeof sum);
    corners_of(scene, corner);
    spread_basis(scene, tile, ray, vectors, basis);
    for (int first = 0; first < n; first += BATCH) {
        const int end = first + BATCH < n ? first + BATCH : n;
        /* The lane of the density's derivative is no part of a colour. */
        basis[0][DENSITY_LANE] = 0.0f;
        gather_products(pool, shading, first, end, products, corner, basis, vectors, wide);
        basis[0][DENSITY_LANE] = 1.0f;
        for (int i = first; i < end; i += TOGETHER) {
            Four colour[TOGETHER];
            colours_of(products + (i - first), colour);
            for (int j = 0; j < TOGETHER && i + j < end; j++) {
                const float *sample = sample_of(shading, i + j);
                const float *later = sample_of(shading, i + j + AHEAD < n ? i + j + AHEAD : n - 1);
                prefetch_derivatives(back, places_of(pool, later), corner, vectors, wide);
                sum += colour[j] * sample[WEIGHT * LANES];
                const Four by = by_sample(scene, back, sample, colour[j], sum);
                share_out(pool, back, sample, by, basis, &held, corner, vectors, wide);
            }
        }
    }
    if (held.voxel != EMPTY) let_go(pool, back, &held, corner, vectors, wide);
    memcpy(tile->seen[ray], &sum, sizeof sum);
    shading->n_groups = shading->n_samples = 0;
}

#endif
