/* What rays gather beside colour, depth and alpha (`docs/rules.md`, rules 29 to 33): sums over
   samples in the order in which they lie on their ray, which depend on no group of them. */
#ifndef AOVS_H
#define AOVS_H

#include <math.h>

#include "lanes.h"
#include "scene.h"

#define NOWHERE -1.0f /* in place of the number of a sample */

/* LANES samples of which some count. */
typedef struct {
    Ints voxel;          /* first corner, in the pool */
    Ints counts;
    Reals sigma, weight; /* of depth */
    Reals after;         /* light left behind each */
    Reals rest[3];       /* of the position, beyond the cell */
} Samples;

/* The columns of a ray: TILE_RAYS numbers from one to the next. */
INLINE float *aovs_of(const Scene *scene, Tile *tile, int ray)
{
    return tile->basis + scene->basis_dim * TILE_RAYS + ray;
}

static void start_aovs(const Scene *scene, Tile *tile)
{
    const Aovs *aovs = &scene->aovs;
    float *all = aovs_of(scene, tile, 0);
    for (int i = 0; i < aovs->n * TILE_RAYS; i++) {
        const int column = i / TILE_RAYS;
        all[i] = column == aovs->median_depth || column == aovs->density_depth ? NOWHERE : 0.0f;
    }
}

/* Enter the first of the samples from k on that is set in `bits`, unless there was one before. */
INLINE void enter_first(float *number, uint32_t bits, int32_t k)
{
    if (*number == NOWHERE && bits) *number = (float)(k + __builtin_ctz(bits));
}

/* How density rises from voxel to voxel along each axis. */
INLINE void slopes_at(const Scene *scene, const Pool *pool, const Samples *samples, const int wide,
                      Reals slope[3])
{
    const int edge = scene->edge, size = wide ? 4 : 2;
    const int corner[4] = {0, edge, edge * edge, edge * edge + edge};
    const Reals x = samples->rest[0], y = samples->rest[1], z = samples->rest[2];
    Reals value[4], rise[4];
    for (int i = 0; i < 4; i++) {
        const char *base = (const char *)pool->density + (int64_t)corner[i] * size;
        const Words both = gather(base, samples->voxel, size);
        const Reals low = wide ? (Reals)both : lower_half(both);
        const Reals high = wide ? (Reals)gather(base + 4, samples->voxel, 4) : upper_half(both);
        rise[i] = high - low;
        value[i] = low + rise[i] * z;
    }
    const Reals near_y = value[1] - value[0], far_y = value[3] - value[2];
    const Reals near_z = rise[0] + (rise[1] - rise[0]) * y, far_z = rise[2] + (rise[3] - rise[2]) * y;
    slope[0] = (value[2] + far_y * y) - (value[0] + near_y * y);
    slope[1] = near_y + (far_y - near_y) * x;
    slope[2] = near_z + (far_z - near_z) * x;
}

INLINE void add_normals(const Scene *scene, const Pool *pool, const Samples *samples, float *sum,
                        const int wide)
{
    Reals slope[3];
    slopes_at(scene, pool, samples, wide, slope);
    for (int a = 0; a < 3; a++) {
        float parts[LANES], total = sum[a * TILE_RAYS];
        const Reals part = samples->weight * (slope[a] * scene->steepness[a]);
        memcpy(parts, &part, sizeof parts);
        for (uint32_t bits = bits_of(samples->counts); bits; bits &= bits - 1)
            total -= parts[__builtin_ctz(bits)];
        sum[a * TILE_RAYS] = total;
    }
}

/* Add what samples from k on have to the columns of their ray. Not inline: few pictures want it. */
static __attribute__((noinline)) void gather_aovs(const Scene *scene, const Pool *pool,
                                                  const Samples *samples, int32_t k, float *columns)
{
    const Aovs *aovs = &scene->aovs;
    const Ints counts = samples->counts;
    if (aovs->median_depth >= 0)
        enter_first(columns + aovs->median_depth * TILE_RAYS, bits_of(counts & (samples->after < 0.5f)), k);
    if (aovs->density_depth >= 0)
        enter_first(columns + aovs->density_depth * TILE_RAYS,
                    bits_of(counts & (samples->sigma > scene->depth_density)), k);
    if (aovs->normals >= 0) {
        float *sum = columns + aovs->normals * TILE_RAYS;
        if (pool->wide)
            add_normals(scene, pool, samples, sum, 1);
        else
            add_normals(scene, pool, samples, sum, 0);
    }
    if (aovs->cost >= 0) columns[aovs->cost * TILE_RAYS] += (float)__builtin_popcount(bits_of(counts));
}

/* The AOVs [n] of a ray; where its tile was not `drawn`, those of a ray that meets nothing. */
INLINE void finish_aovs(const Scene *scene, const Tile *tile, int ray, int drawn, double world_per_t,
                        float *found)
{
    const Aovs *aovs = &scene->aovs;
    const float *columns = aovs_of(scene, (Tile *)tile, ray);
    for (int i = 0; i < aovs->n; i++) {
        const float value = columns[i * TILE_RAYS];
        const int is_depth = i == aovs->median_depth || i == aovs->density_depth;
        const double depth = (tile->t_min[ray] + value * scene->step) * world_per_t;
        found[i] = is_depth ? (drawn && value != NOWHERE ? (float)depth : NAN) : drawn ? value : 0.0f;
    }
    if (aovs->mean_depth >= 0) found[aovs->mean_depth] = drawn ? 1.0f - tile->trans[ray] : 0.0f;
}

#endif
