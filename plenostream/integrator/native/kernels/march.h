/* Densities of LANES samples of a ray, and the light that is left after each.

   The optical depth is summed up in whole numbers: it is the same however samples are grouped, and
   with it the light left, so a ray may stop at any sample and be taken up again. */
#ifndef MARCH_H
#define MARCH_H

#include "aovs.h"
#include "back.h"
#include "light.h"
#include "shade.h"
#include "steps.h"
#include "weigh.h"

#define DEPTH_ONE 0x1p25f                /* an optical depth of 1 */
enum { MOST_DEPTH = (1 << 30) - 1 };     /* 32: what is left is 1e-14 */

/* What is the same for all samples of a ray. */
typedef struct {
    float depth;  /* optical depth of a sample with a density of 1 */
    float t_min;
    float step;
} Pace;

/* Optical depth and light left of a ray. */
typedef struct {
    int32_t depth;
    float trans; /* 0 once the ray has ended */
    float left;  /* the same for colours, see `light.h` */
} Light;

INLINE Pace pace_of(const Scene *scene, const Tile *tile, int ray)
{
    double square = 0.0;
    for (int a = 0; a < 3; a++) {
        const double way = tile->direction[a][ray] / scene->scale[a] / scene->unit;
        square += way * way;
    }
    return (Pace){
        .depth = (float)(scene->step * sqrt(square)) * DEPTH_ONE,
        .t_min = tile->t_min[ray],
        .step = (float)scene->step,
    };
}

/* Trilinear density of samples whose first corners are `voxel` and which lie x, y, z beyond them. */
INLINE Reals density_at(const Scene *scene, const Pool *pool, Ints voxel, Reals x, Reals y, Reals z,
                        const int wide)
{
    const int edge = scene->edge, size = wide ? 4 : 2;
    const int corner[4] = {0, edge, edge * edge, edge * edge + edge};
    Reals pair[4];
    for (int i = 0; i < 4; i++) {
        const char *base = (const char *)pool->density + (int64_t)corner[i] * size;
        Reals low, high;
        if (wide) {
            low = (Reals)gather(base, voxel, 4);
            high = (Reals)gather(base + 4, voxel, 4);
        } else {
            const Words both = gather(base, voxel, 2);
            low = lower_half(both);
            high = upper_half(both);
        }
        pair[i] = low + (high - low) * z;
    }
    const Reals near = pair[0] + (pair[1] - pair[0]) * y, far = pair[2] + (pair[3] - pair[2]) * y;
    return near + (far - near) * x;
}

INLINE Ints lesser(Ints a, Ints b) { return (a & (a < b)) | (b & ~(a < b)); }

/* Optical depth up to each sample, at most MOST_DEPTH; `own` lies in [0, MOST_DEPTH]. */
INLINE Ints depths_after(Ints own, int32_t before)
{
    const Ints zero = {0}, most = zero + MOST_DEPTH;
    own = lesser(own + SHIFTED(own, 1, zero), most);
    own = lesser(own + SHIFTED(own, 2, zero), most);
    own = lesser(own + SHIFTED(own, 4, zero), most);
    own = lesser(own + SHIFTED(own, 8, zero), most);
    return lesser(own + before, most);
}

/* March the samples from k on that are set in `live`, whose first corners are `voxel`; those that
   contribute are kept for shading. Returns how many did. The ray has samples up to `last`, and gathers
   `columns`, if there are any; it is drawn, or goes `back`. */
INLINE int march(const Scene *scene, const Pool *pool, const Pace *pace, const Places *places, Ints voxel,
                 Ints live, int32_t k, int32_t last, Light *light, Shading *shading, float *columns,
                 const Return *back, const int wide)
{
    const Reals x = places->rest[0], y = places->rest[1], z = places->rest[2];
    const Reals sigma = density_at(scene, pool, voxel, x, y, z, wide);
    Ints counts = (sigma > scene->sigma_thresh) & live;
    if (!bits_of(counts)) return 0;

    const Reals own = least(sigma * pace->depth + 0.5f, splat((float)(MOST_DEPTH - 64)));
    const Ints depths = depths_after(__builtin_convertvector(own, Ints) & counts, light->depth);
    const Reals after = exp_below_0(__builtin_convertvector(depths, Reals) * (-1.0f / DEPTH_ONE));
    const Reals before = SHIFTED(after, 1, splat(light->trans));
    counts &= before >= scene->stop_thresh;
    const float remains = after[LANES - 1];
    light->depth = depths[LANES - 1];
    light->trans = remains < scene->stop_thresh ? 0.0f : remains;

    const Reals seen = before - after;
    if (columns) {
        const Samples samples = {voxel, counts, sigma, seen, after, {x, y, z}};
        gather_aovs(scene, pool, &samples, k, columns);
    }
    const Reals weight = scene->light == MULTIPLIES
                             ? seen
                             : colour_weights(scene, (Reals)((Ints)sigma & counts), before, after,
                                              pace->depth * (-1.0f / DEPTH_ONE), last - k, &light->left);

    float *known = &shading->groups[shading->n_groups].known[0][0];
    const Reals yz = y * z, yes_no = y - yz, no_yes = z - yz, no_no = 1.0f - y - no_yes;
    const Reals flat[4] = {no_no, no_yes, yes_no, yz};
    for (int i = 0; i < 4; i++) {
        const Reals far = flat[i] * x, near = flat[i] - far;
        memcpy(known + (CORNER + i) * LANES, &near, sizeof near);
        memcpy(known + (CORNER + 4 + i) * LANES, &far, sizeof far);
    }
    const Reals number = __builtin_convertvector(lane_numbers() + k, Reals);
    const Reals depth = seen * (number * pace->step + pace->t_min);
    if (back) keep_for_return(scene, back, known, sigma, before, after, weight, last - k);
    memcpy(known + WEIGHT * LANES, &weight, sizeof weight);
    memcpy(known + DEPTH * LANES, &depth, sizeof depth);
    memcpy(known + VOXEL * LANES, &voxel, sizeof voxel);
    uint32_t bits = bits_of(counts);
    if (pool->weight && !back) weigh(scene, pool, weight, voxel, bits);
    const uint32_t first = (uint32_t)shading->n_groups * (uint32_t)(sizeof(Group) / sizeof(float));
    const int n = __builtin_popcount(bits);
    for (; bits; bits &= bits - 1)
        shading->sample[shading->n_samples++] = first + (uint32_t)__builtin_ctz(bits);
    shading->n_groups++;
    return n;
}

#endif
