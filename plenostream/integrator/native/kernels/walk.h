/* A ray through the bricks in memory, LANES samples at a time.

   It goes from brick to brick. Of a brick it takes the samples in groups, and leaves out groups, and
   what comes before a group, where none of a brick's 64 parts holds anything. A group never reaches
   across bricks, and where groups begin depends on the scene alone: so a ray that stops at its first
   sample in a brick which is not in memory, and is taken up again, adds up the same numbers in the
   same order as one that never stopped. */
#ifndef WALK_H
#define WALK_H

#include "seek.h"
#include "shade.h"

enum { WORTH_IT = LANES / 3 }; /* empty samples at the start of a group for which it begins anew */

/* A part of a ray in one brick, and the brick. */
typedef struct {
    float at[3];    /* first sample, in the brick */
    float along[3];
    float top[3];   /* largest position: where the grid ends, or the brick */
    float tau;      /* minus the length of a step, in units of density */
    float t;        /* of the first sample */
    float step;
    const char *density;
    const uint32_t *place_of;
    uint64_t parts; /* of the brick, see `Pool` */
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

/* Position of samples `number` along an axis of the brick: its cell, and the rest. */
INLINE Ints place_on(const Segment *segment, int axis, Reals number, int32_t last, Reals *rest)
{
    const Reals x = least(most(number * segment->along[axis] + segment->at[axis], (Reals){0}),
                          splat(segment->top[axis]));
    Ints cell = __builtin_convertvector(x, Ints);
    cell = (cell & (cell <= last)) | (last & (cell > last));
    *rest = x - __builtin_convertvector(cell, Reals);
    return cell;
}

/* LANES samples of a segment. */
typedef struct {
    Reals number;
    Ints cell[3];
    Reals rest[3]; /* of the position, beyond the cell */
    Ints live;     /* whether the part of the brick that a sample lies in holds anything */
} Samples;

INLINE Ints lanes(void)
{
    static const int32_t numbers[LANES] __attribute__((aligned(64))) = LANE_NUMBERS;
    Ints lane;
    memcpy(&lane, numbers, sizeof lane);
    return lane;
}

/* Samples [j, j + LANES) of a segment, of which it has `left`. */
INLINE Samples samples_at(const Scene *scene, const Segment *segment, int32_t j, int32_t left)
{
    const Ints lane = lanes();
    const int part = scene->brick_bits - PARTS_BITS;
    Samples samples = {.number = __builtin_convertvector(lane + j, Reals)};
    for (int a = 0; a < 3; a++)
        samples.cell[a] =
            place_on(segment, a, samples.number, scene->brick_size - 1, &samples.rest[a]);
    const Ints x = samples.cell[0] >> part, y = samples.cell[1] >> part, z = samples.cell[2] >> part;
    const Words low = (Words){0} + (uint32_t)segment->parts, high = (Words){0} + (uint32_t)(segment->parts >> 32);
    const Ints upper = x > 1;
    const Words bits = (low & (Words)~upper) | (high & (Words)upper);
    const Words bit = (Words)(((x & 1) << 4) + (y << 2) + z);
    samples.live = ((Ints)(bits << (31 - bit)) < 0) & (lane < left);
    return samples;
}

/* March samples in brick order; those that contribute are kept for shading. Returns how many did;
   `trans` is the light left, 0 once the ray has ended. */
INLINE int march(const Scene *scene, const Segment *segment, const Samples *samples, float *trans,
                 Shading *shading, const int wide)
{
    const int edge = scene->edge;
    const Reals x = samples->rest[0], y = samples->rest[1], z = samples->rest[2];
    const Ints voxel = (samples->cell[0] * edge + samples->cell[1]) * edge + samples->cell[2];
    const Reals sigma = density_at(scene, segment, voxel, x, y, z, wide);
    Ints counts = (sigma > scene->sigma_thresh) & samples->live;
    if (!bits_of(counts)) return 0;

    const Reals depth = running_sum((Reals)((Ints)sigma & counts));
    const Reals after = exp_below_0(depth * segment->tau) * *trans;
    const Reals before = SHIFTED(after, 1, splat(*trans));
    counts &= before >= scene->stop_thresh;
    const float remains = after[LANES - 1];
    *trans = remains < scene->stop_thresh ? 0.0f : remains;

    Group *group = &shading->groups[shading->n_groups];
    const Reals yz = y * z, yes_no = y - yz, no_yes = z - yz, no_no = 1.0f - y - no_yes;
    const Reals flat[4] = {no_no, no_yes, yes_no, yz};
    for (int i = 0; i < 4; i++) {
        const Reals far = flat[i] * x, near = flat[i] - far;
        memcpy(group->corner[i], &near, sizeof near);
        memcpy(group->corner[4 + i], &far, sizeof far);
    }
    const Reals weight = before - after, t = samples->number * segment->step + segment->t;
    memcpy(group->weight, &weight, sizeof weight);
    memcpy(group->t, &t, sizeof t);
    memcpy(group->voxel, &voxel, sizeof voxel);
    group->place_of = segment->place_of;
    uint32_t bits = bits_of(counts);
    const int first = shading->n_groups * LANES, n = __builtin_popcount(bits);
    for (; bits; bits &= bits - 1)
        shading->sample[shading->n_samples++] = (uint16_t)(first + __builtin_ctz(bits));
    shading->n_groups++;
    return n;
}

/* The part of a ray from sample k on in the brick whose first cell is `low`, which lies in `slot`. */
INLINE Segment segment_at(const Scene *scene, const Pool *pool, const Course *course, float t_min,
                          int32_t k, const int32_t low[3], int32_t slot, float tau, const int wide)
{
    Segment segment = {.tau = tau, .step = (float)scene->step};
    for (int a = 0; a < 3; a++) {
        const int32_t top = scene->size[a] - 1 - low[a];
        segment.at[a] = (float)(course->entry[a] + k * course->along[a] - low[a]);
        segment.along[a] = (float)course->along[a];
        segment.top[a] = (float)(top < scene->brick_size ? top : scene->brick_size);
    }
    segment.t = (float)(t_min + k * scene->step);
    segment.density = (const char *)pool->density + (int64_t)slot * scene->voxels * (wide ? 4 : 2);
    segment.place_of = pool->place_of + (int64_t)slot * scene->voxels;
    segment.parts = pool->parts[slot];
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
    Shading shading;
    int32_t k = tile->next[ray];
    float trans = tile->trans[ray];
    shading.n_groups = shading.n_samples = 0;
    while (k < course.n) {
        int32_t low[3], high[3];
        const int32_t number = brick_of(scene, &course, k, low, high);
        const int32_t first = k, end = leave(scene, &course, k, low, high);
        const int32_t slot = number < 0 ? EMPTY : slot_of[number];
        if (slot < 0) {
            int32_t met;
            if (number >= 0 && seek(scene, &course, k, &met) < end) break;
            k = end;
            continue;
        }
        const Segment segment =
            segment_at(scene, pool, &course, tile->t_min[ray], k, low, slot, tau, wide);
        counts->segments++;
        while (k < end && trans > 0.0f) {
            const Samples samples = samples_at(scene, &segment, k - first, end - k);
            const uint32_t live = bits_of(samples.live);
            const int ahead = live ? __builtin_ctz(live) : LANES;
            k += ahead > WORTH_IT ? ahead : LANES;
            if (ahead > WORTH_IT) continue;
            counts->samples_marched += __builtin_popcount(live);
            counts->march_lanes += LANES;
            counts->samples_shaded += march(scene, &segment, &samples, &trans, &shading, wide);
            if (shading.n_groups == GROUPS) shade(scene, pool, &shading, tile, ray, vectors, wide);
        }
        k = trans > 0.0f ? end : course.n;
    }
    if (shading.n_samples > 0) shade(scene, pool, &shading, tile, ray, vectors, wide);
    tile->next[ray] = k;
    tile->trans[ray] = trans;
}

#endif
