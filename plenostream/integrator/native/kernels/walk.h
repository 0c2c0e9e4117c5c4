/* A ray through the bricks in memory, LANES samples at a time.

   It goes from box to box, see `seek.h`. From a sample in a box on it takes the samples up to the
   brick's end, in groups: looking for empty space inside a brick costs more than it saves. A group
   never reaches across bricks, and where groups begin depends on the scene alone: so a ray that stops
   before a brick which is not in memory, and is taken up again, adds up the same numbers in the same
   order as one that never stopped. */
#ifndef WALK_H
#define WALK_H

#include "light.h"
#include "seek.h"
#include "shade.h"

/* A part of a ray in one brick, and the brick. */
typedef struct {
    float at[3];    /* first sample, in the brick */
    float along[3];
    float top[3];   /* largest position: where the grid ends, or the brick */
    float tau;      /* minus the length of a step, in units of density */
    float t;        /* of the first sample */
    float step;
    const char *density;
    const uint32_t *row_of;
    int wide;
} Segment;

/* Trilinear density of samples whose first corners are `voxel` and which lie x, y, z beyond them. */
INLINE Reals density_at(const Scene *scene, const Segment *segment, Ints voxel, Reals x, Reals y, Reals z,
                        const int wide)
{
    const int edge = scene->edge, size = wide ? 4 : 2;
    const int corner[4] = {0, edge, edge * edge, edge * edge + edge};
    Reals pair[4];
    for (int i = 0; i < 4; i++) {
        const char *base = segment->density + (int64_t)corner[i] * size;
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

/* Position of samples `number` along an axis of the brick: its cell (a whole number), and the rest. */
INLINE Reals place_on(const Segment *segment, int axis, Reals number, float last, Reals *rest)
{
    const Reals x = least(most(number * segment->along[axis] + segment->at[axis], (Reals){0}),
                          splat(segment->top[axis]));
    const Reals cell = least(__builtin_convertvector(__builtin_convertvector(x, Ints), Reals), splat(last));
    *rest = x - cell;
    return cell;
}

/* March samples [j, end) of a segment, LANES at most; those that contribute are kept for shading.
   Returns how many did; `trans` is the light left, 0 once the ray has ended, and `left` that of its
   colours. The ray has samples up to `last`. */
INLINE int march(const Scene *scene, const Segment *segment, int32_t j, int32_t end, int32_t last,
                 float *trans, float *left, Shading *shading, const int wide)
{
    static const int32_t numbers[LANES] __attribute__((aligned(64))) = LANE_NUMBERS;
    Ints lane;
    memcpy(&lane, numbers, sizeof lane);
    const Reals number = __builtin_convertvector(lane + j, Reals);
    const float edge = (float)scene->edge, last_cell = (float)(scene->brick_size - 1);
    Reals x, y, z;
    const Reals cell_x = place_on(segment, 0, number, last_cell, &x);
    const Reals cell_y = place_on(segment, 1, number, last_cell, &y);
    const Reals cell_z = place_on(segment, 2, number, last_cell, &z);
    /* Exact: a brick has fewer voxels than float32 has whole numbers. */
    const Ints voxel = __builtin_convertvector((cell_x * edge + cell_y) * edge + cell_z, Ints);
    const Reals sigma = density_at(scene, segment, voxel, x, y, z, wide);
    Ints counts = (sigma > scene->sigma_thresh) & (lane < end - j);
    if (!bits_of(counts)) return 0;

    const Reals sums = running_sum((Reals)((Ints)sigma & counts));
    const Reals after = exp_below_0(sums * segment->tau) * *trans;
    const Reals before = SHIFTED(after, 1, splat(*trans));
    counts &= before >= scene->stop_thresh;
    Reals weight = before - after;
    const Reals seen = weight;
    const float remains = after[LANES - 1];
    *trans = remains < scene->stop_thresh ? 0.0f : remains;
    if (scene->light != MULTIPLIES)
        weight = colour_weights(scene, (Reals)((Ints)sigma & counts), before, after, segment->tau,
                                last - j, left);

    Group *group = &shading->groups[shading->n_groups];
    const Reals yz = y * z, yes_no = y - yz, no_yes = z - yz, no_no = 1.0f - y - no_yes;
    const Reals flat[4] = {no_no, no_yes, yes_no, yz};
    for (int i = 0; i < 4; i++) {
        const Reals far = flat[i] * x, near = flat[i] - far;
        memcpy(group->corner[i], &near, sizeof near);
        memcpy(group->corner[4 + i], &far, sizeof far);
    }
    const Reals depth = seen * (number * segment->step + segment->t);
    memcpy(group->weight, &weight, sizeof weight);
    memcpy(group->depth, &depth, sizeof depth);
    memcpy(group->voxel, &voxel, sizeof voxel);
    group->row_of = segment->row_of;
    uint32_t bits = bits_of(counts);
    const int first = shading->n_groups * LANES, n = __builtin_popcount(bits);
    for (; bits; bits &= bits - 1)
        shading->sample[shading->n_samples++] = (uint16_t)(first + __builtin_ctz(bits));
    shading->n_groups++;
    return n;
}

INLINE Segment segment_at(const Scene *scene, const Pool *pool, const Course *course, const Tile *tile,
                          int ray, int32_t k, int32_t slot, float tau, const int wide, int32_t *end)
{
    Segment segment = {.tau = tau, .step = (float)scene->step};
    int32_t cell[3], low[3], high[3];
    cell_at(scene, course, k, cell);
    for (int a = 0; a < 3; a++) {
        low[a] = cell[a] & ~(scene->brick_size - 1);
        high[a] = low[a] + scene->brick_size;
        const int32_t top = scene->size[a] - 1 - low[a];
        segment.at[a] = (float)(course->entry[a] + k * course->along[a] - low[a]);
        segment.along[a] = (float)course->along[a];
        segment.top[a] = (float)(top < scene->brick_size ? top : scene->brick_size);
    }
    *end = leave(scene, course, k, low, high);
    segment.t = (float)(tile->t_min[ray] + k * scene->step);
    segment.density = (const char *)pool->density + (int64_t)slot * scene->voxels * (wide ? 4 : 2);
    segment.row_of = pool->row_of + (int64_t)slot * scene->voxels;
    return segment;
}

/* Minus the length of a step along a ray, in the unit that densities are per. */
INLINE float minus_step(const Scene *scene, const Tile *tile, int ray)
{
    double square = 0.0;
    for (int a = 0; a < 3; a++) {
        const double way = tile->direction[a][ray] / scene->scale[a] / scene->unit;
        square += way * way;
    }
    return (float)(-scene->step * sqrt(square));
}

/* Take a ray on to its end, or to the first brick that it needs and that is not in memory. */
INLINE void walk(const Scene *scene, const Pool *pool, const int32_t *slot_of, Tile *tile, int ray,
                 Counts *counts, const int vectors, const int wide)
{
    const Course course = course_of(scene, tile, ray);
    const float tau = minus_step(scene, tile, ray);
    Row basis[MOST_VECTORS];
    Shading shading;
    int32_t k = tile->next[ray], brick = EMPTY;
    float trans = tile->trans[ray], left = tile->left[ray];
    shading.n_groups = shading.n_samples = 0;
    spread_basis(scene, tile, ray, vectors, basis);
    while ((k = seek(scene, &course, k, &brick)) < course.n && slot_of[brick] >= 0) {
        int32_t end;
        const int32_t first = k;
        const Segment segment =
            segment_at(scene, pool, &course, tile, ray, k, slot_of[brick], tau, wide, &end);
        counts->segments++;
        for (; k < end && trans > 0.0f; k += LANES) {
            counts->samples_shaded += march(scene, &segment, k - first, end - first, course.n - 1 - first,
                                            &trans, &left, &shading, wide);
            counts->march_lanes += LANES;
            if (shading.n_groups == GROUPS) shade(scene, pool, &shading, basis, tile->seen[ray], vectors, wide);
        }
        k = k < end ? k : end;
        counts->samples_marched += k - first;
        if (trans == 0.0f) {
            k = course.n;
            if (scene->light == ADDS_UP) left = 0.0f;
        }
    }
    shade(scene, pool, &shading, basis, tile->seen[ray], vectors, wide);
    tile->next[ray] = k;
    tile->trans[ray] = trans;
    tile->left[ray] = left;
}

#endif
