/* The largest weight that a sample took from its ray next to each voxel, as svox2 prunes by it
   (`grid_weight_render` of its `misc_kernel.cu`): a sample counts for the eight voxels around it. */
#ifndef WEIGH_H
#define WEIGH_H

#include "lanes.h"
#include "scene.h"

/* Weights are not below 0: their bits, as whole numbers, have the order of the numbers. So threads
   that meet at a voxel leave the largest, whichever comes last. */
static inline void raise_to(float *place, float weight)
{
    int32_t *bits = (int32_t *)(void *)place, old = __atomic_load_n(bits, __ATOMIC_RELAXED), mine;
    memcpy(&mine, &weight, sizeof mine);
    while (old < mine && !__atomic_compare_exchange_n(bits, &old, mine, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* Samples set in `bits`, of these weights, whose first corners in the pool are `voxel`. */
static void weigh(const Scene *scene, const Pool *pool, Reals weight, Ints voxel, uint32_t bits)
{
    int corner[8];
    float weights[LANES];
    int32_t voxels[LANES];
    corners_of(scene, corner);
    memcpy(weights, &weight, sizeof weights);
    memcpy(voxels, &voxel, sizeof voxels);
    for (; bits; bits &= bits - 1) {
        const int lane = __builtin_ctz(bits);
        for (int j = 0; j < 8; j++) raise_to(pool->weight + voxels[lane] + corner[j], weights[lane]);
    }
}

#endif
