/* Where the samples of rays lie, and the first that can contribute.

   `lattice` does what `integrator/lattice.py` does, operation by operation, so that both give the
   same numbers to the last bit: no product may be fused with a sum here. */
#ifndef LATTICE_H
#define LATTICE_H

#include <math.h>

#include "bundle.h"

#define LATTICE_FAR 1e300
#define SPARE_SAMPLES 2
#define ROUNDED_T 1e-6 /* part of a float32 that rounding may have changed */

/* World rays [3][n], of which a tile takes 64 from number `at` on. */
typedef struct {
    const double *origins, *directions; /* of any length above zero */
    const uint8_t *valid;               /* [n]: which are rays at all */
    int64_t n;
    double nearest, farthest; /* from the origins, world units: between them lie all bricks that are drawn */
} WorldRays;

/* Where rays enter and leave the ellipsoids that they are clipped by; from grid directions `d`. */
static void meet_ellipsoids(const Scene *restrict scene, const double *const origin[3],
                            double d[3][TILE_RAYS], double enter[TILE_RAYS], double exit[TILE_RAYS])
{
#ifdef __clang__
#pragma clang fp contract(off)
#endif
    const double inner = 1.0 - scene->near_clip;
    for (int i = 0; i < TILE_RAYS; i++) {
        double o[3], v[3];
        for (int a = 0; a < 3; a++) {
            const double per_radius = 2.0 / scene->extent[a];
            o[a] = (origin[a][i] * scene->scale[a] + scene->offset[a] + scene->margin) * per_radius - 1.0;
            v[a] = d[a][i] * per_radius;
        }
        const double square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
        const double towards = o[0] * v[0] + o[1] * v[1] + o[2] * v[2];
        const double apart = o[0] * o[0] + o[1] * o[1] + o[2] * o[2];
        const double near = towards * towards - square * (apart - inner * inner);
        const double far = towards * towards - square * (apart - 1.0);
        const int met = near >= 0.0 && far >= 0.0;
        enter[i] = met ? (-towards - sqrt(near)) / square : LATTICE_FAR;
        exit[i] = met ? (-towards + sqrt(far)) / square : -LATTICE_FAR;
    }
}

static void lattice(const Scene *restrict scene, const WorldRays *restrict world, int64_t at,
                    Tile *restrict tile)
{
#ifdef __clang__
#pragma clang fp contract(off)
#endif
    double d[3][TILE_RAYS], o[3][TILE_RAYS], per_world[TILE_RAYS], enter[TILE_RAYS], exit[TILE_RAYS];
    const double *v[3], *origin[3];
    for (int a = 0; a < 3; a++) {
        v[a] = world->directions + a * world->n + at;
        origin[a] = world->origins + a * world->n + at;
    }
    for (int i = 0; i < TILE_RAYS; i++) {
        const double length = sqrt(v[0][i] * v[0][i] + v[1][i] * v[1][i] + v[2][i] * v[2][i]);
        for (int a = 0; a < 3; a++) d[a][i] = v[a][i] / length * scene->scale[a];
        per_world[i] = sqrt(d[0][i] * d[0][i] + d[1][i] * d[1][i] + d[2][i] * d[2][i]);
        enter[i] = -LATTICE_FAR;
        exit[i] = LATTICE_FAR;
    }
    for (int a = 0; a < 3; a++) {
        const double margin = scene->margin, last = scene->extent[a] - 2.0 * margin;
        for (int i = 0; i < TILE_RAYS; i++) {
            const int parallel = d[a][i] == 0.0;
            d[a][i] /= per_world[i];
            const double place = origin[a][i] * scene->scale[a] + scene->offset[a];
            const double inside = place < 0.0 ? 0.0 : place > last ? last : place;
            o[a][i] = parallel ? inside : place;
            const double inverse = 1.0 / (parallel ? 1.0 : d[a][i]);
            const double low = (-margin - o[a][i]) * inverse, high = (last + margin - o[a][i]) * inverse;
            const double near = parallel ? -LATTICE_FAR : low < high ? low : high;
            const double far = parallel ? LATTICE_FAR : low < high ? high : low;
            enter[i] = near > enter[i] ? near : enter[i];
            exit[i] = far < exit[i] ? far : exit[i];
        }
    }
    double t_min[TILE_RAYS], steps[TILE_RAYS];
    int64_t real[TILE_RAYS];
    for (int i = 0; i < TILE_RAYS; i++) real[i] = world->valid[at + i];
    for (int i = 0; i < TILE_RAYS; i++) {
        const double near = scene->near_clip * per_world[i];
        enter[i] = near > enter[i] ? near : enter[i];
    }
    if (scene->spheric_clip) meet_ellipsoids(scene, origin, d, enter, exit);
    for (int i = 0; i < TILE_RAYS; i++) {
        const double first = enter[i], end = scene->far_cap < exit[i] ? scene->far_cap : exit[i];
        const int64_t hit = (real[i] != 0) & (first <= end);
        t_min[i] = hit ? first : 0.0;
        steps[i] = hit ? (end - first) / scene->step : -1.0;
    }
    for (int i = 0; i < TILE_RAYS; i++) {
        tile->n_samples[i] = (int32_t)steps[i] + 1;
        tile->t_min[i] = (float)t_min[i];
    }
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < TILE_RAYS; i++) {
            const double least = -scene->margin, most = scene->extent[a] - scene->margin;
            const double place = o[a][i] + t_min[i] * d[a][i];
            tile->direction[a][i] = d[a][i];
            tile->entry[a][i] = place < least ? least : place > most ? most : place;
        }
}

/* Rays side by side that look for their first boxes together: what each waits for, the others hide. */
enum { ABREAST = 8 };
typedef double Doubles __attribute__((vector_size(8 * ABREAST)));
typedef int64_t Longs __attribute__((vector_size(8 * ABREAST)));
typedef int32_t Abreast __attribute__((vector_size(4 * ABREAST)));

INLINE Doubles either(Longs mask, Doubles a, Doubles b)
{
    return (Doubles)(((Longs)a & mask) | ((Longs)b & ~mask));
}
INLINE int any_of(Longs mask)
{
    int64_t lanes[ABREAST], any = 0;
    memcpy(lanes, &mask, sizeof lanes);
    for (int i = 0; i < ABREAST; i++) any |= lanes[i];
    return any != 0;
}
INLINE Doubles real(Abreast x) { return __builtin_convertvector(x, Doubles); }
INLINE Doubles lower(Doubles a, Doubles b) { return either(a < b, a, b); }
INLINE Doubles higher(Doubles a, Doubles b) { return either(a > b, a, b); }

/* Least whole numbers from x on; x lies between -1 and 2^22. */
INLINE Doubles whole_from(Doubles x)
{
    const Doubles whole = real(__builtin_convertvector(x, Abreast));
    return whole + either(whole < x, (Doubles){0} + 1.0, (Doubles){0});
}

/* ABREAST rays. */
typedef struct {
    Doubles entry[3], along[3], inverse[3], n;
    Longs falls[3];
} Courses;

/* Samples of the cells [low, high): where rays enter and leave them, see `samples_in` and `leave`. */
INLINE void cross(const Scene *scene, const Courses *rays, const Abreast low[3], const Abreast high[3],
                  Doubles *enter, Doubles *exit)
{
    *enter = (Doubles){0};
    *exit = rays->n;
    for (int a = 0; a < 3; a++) {
        const Doubles below = real(low[a]), above = real(high[a]);
        const Longs first = below <= 0.0, last = above >= (double)(scene->size[a] - 1);
        const Doubles t_low = (below - rays->entry[a]) * rays->inverse[a];
        const Doubles t_high = (above - rays->entry[a]) * rays->inverse[a];
        const Longs falls = rays->falls[a];
        const Longs no_near = (falls & last) | (~falls & first), no_far = (falls & first) | (~falls & last);
        *enter = higher(*enter, either(no_near, (Doubles){0}, either(falls, t_high, t_low)));
        *exit = lower(*exit, either(no_far, rays->n, either(falls, t_low, t_high)));
    }
}

/* What `seek` does from sample `start` on, for ABREAST rays from `first` on. */
static void seek_abreast(const Scene *scene, Tile *tile, int first, int32_t start)
{
    Courses rays;
    Abreast count;
    Doubles k = (Doubles){0} + start;
    memcpy(&count, tile->n_samples + first, sizeof count);
    rays.n = real(count);
    for (int a = 0; a < 3; a++) {
        memcpy(&rays.entry[a], tile->entry[a] + first, sizeof rays.entry[a]);
        memcpy(&rays.along[a], tile->direction[a] + first, sizeof rays.along[a]);
        rays.along[a] *= scene->step;
        rays.falls[a] = rays.along[a] < 0.0;
        rays.inverse[a] = either(rays.along[a] == 0.0, (Doubles){0} + FAR, 1.0 / rays.along[a]);
    }
    const int bits = scene->unit_bits, block = (1 << BLOCK_BITS) - 1;
    Longs going = k < rays.n;
    for (;;) {
        if (!any_of(going)) break;
        Abreast cell[3], low[3], high[3], distance;
        for (int a = 0; a < 3; a++) {
            const int32_t last = scene->size[a] - 2;
            cell[a] = __builtin_convertvector(rays.entry[a] + k * rays.along[a], Abreast);
            cell[a] &= cell[a] > 0;
            cell[a] = (cell[a] & (cell[a] <= last)) | (last & (cell[a] > last));
        }
        /* No more than 2^24 units, see `blocks.py`. */
        const Abreast place = ((cell[0] >> bits) * scene->units[1] + (cell[1] >> bits)) * scene->units[2] +
                              (cell[2] >> bits);
        int32_t at[ABREAST], far[ABREAST];
        memcpy(at, &place, sizeof at);
        for (int i = 0; i < ABREAST; i++) far[i] = scene->distance[at[i]];
        memcpy(&distance, far, sizeof far);
        const Abreast full = distance == 0;
        for (int a = 0; a < 3; a++) {
            low[a] = (((cell[a] >> bits) - (distance - 1)) << bits & ~full) | (cell[a] & ~block & full);
            high[a] = (((cell[a] >> bits) + distance) << bits & ~full) | (((cell[a] & ~block) + block + 1) & full);
        }
        Doubles enter, exit;
        cross(scene, &rays, low, high, &enter, &exit);
        Doubles next = whole_from(exit);
        next = either(next > k, next, k + 1.0);
        Longs found = {0};
        if (any_of(__builtin_convertvector(full, Longs) & going)) {
            int32_t here[3][ABREAST], within[3][2][ABREAST];
            for (int a = 0; a < 3; a++) memcpy(here[a], &cell[a], sizeof here[a]);
            for (int i = 0; i < ABREAST; i++) {
                const int32_t mine[3] = {here[0][i], here[1][i], here[2][i]};
                const Box box = far[i] == 0 ? box_at(scene, mine) : (Box){{0}, {0}, {0}};
                for (int a = 0; a < 3; a++) {
                    const int32_t origin = mine[a] & ~(scene->brick_size - 1);
                    within[a][0][i] = origin + box.low[a];
                    within[a][1][i] = box.high[a] ? origin + box.high[a] : -1;
                }
            }
            Abreast lows[3], highs[3];
            for (int a = 0; a < 3; a++) {
                memcpy(&lows[a], within[a][0], sizeof lows[a]);
                memcpy(&highs[a], within[a][1], sizeof highs[a]);
            }
            Abreast inside = full, real_box = full;
            for (int a = 0; a < 3; a++) {
                inside &= (cell[a] >= lows[a]) & (cell[a] < highs[a]);
                real_box &= highs[a] > 0;
            }
            cross(scene, &rays, lows, highs, &enter, &exit);
            const Longs held = __builtin_convertvector(inside, Longs);
            const Doubles from = higher(whole_from(lower(enter - HAIR, rays.n)), k + 1.0);
            found = held | (__builtin_convertvector(real_box, Longs) & (Longs)(from <= exit + HAIR) &
                            (Longs)(from < rays.n));
            next = either(held, k, either(found, from, next));
        }
        k = either(going, next, k);
        going &= ~found & (Longs)(k < rays.n);
    }
    count = __builtin_convertvector(lower(k, rays.n), Abreast);
    memcpy(tile->next + first, &count, sizeof count);
}

/* Leave out the samples of a tile that lie behind all bricks that are drawn, but for a few; gives the
   number of the first one that lies not before them. */
static int32_t keep_between(const Scene *scene, const WorldRays *world, Tile *tile)
{
    const int32_t most = INT32_MAX / 2;
    int32_t start = most;
    for (int i = 0; i < TILE_RAYS; i++) {
        double square = 0.0;
        for (int a = 0; a < 3; a++) {
            const double way = tile->direction[a][i] / scene->scale[a];
            square += way * way;
        }
        const double per_world = 1.0 / sqrt(square), t_min = tile->t_min[i];
        const double near = world->nearest * per_world, far = world->farthest * per_world;
        /* `t_min` was rounded. */
        const double spare = ROUNDED_T * t_min / scene->step + SPARE_SAMPLES;
        const int32_t first = number_from((near - t_min) / scene->step - spare, most);
        const int32_t end = number_from((far - t_min) / scene->step + spare, most);
        start = first < start ? first : start;
        tile->n_samples[i] = tile->n_samples[i] > end ? end : tile->n_samples[i];
    }
    return start;
}

/* Put rays whose places are known before their first boxes, from sample `first_of_any` on; says whether one
   can meet anything. */
static int start_tile(const Scene *scene, const Bundle *bundle, int32_t first_of_any, Tile *tile)
{
    int live = 0;
    const int32_t empty = empty_until(scene, bundle);
    const int32_t start = empty > first_of_any ? empty : first_of_any;
    for (int first = 0; first < TILE_RAYS; first += ABREAST) seek_abreast(scene, tile, first, start);
    for (int i = 0; i < TILE_RAYS; i++) live |= tile->next[i] < tile->n_samples[i];
    if (live) {
        memset(tile->seen, 0, sizeof tile->seen);
        memset(tile->depth, 0, sizeof tile->depth);
        start_aovs(scene, tile);
        for (int i = 0; i < TILE_RAYS; i++) tile->trans[i] = tile->left[i] = 1.0f;
    }
    return live;
}

/* Set up the rays of a tile; says whether one of them can meet anything. */
static int set_up_tile(const Scene *scene, const WorldRays *world, int64_t at, Tile *tile)
{
    lattice(scene, world, at, tile);
    const int is_bounded = world->nearest > 0.0 || world->farthest < INFINITY;
    const int32_t first_of_any = is_bounded ? keep_between(scene, world, tile) : 0;
    const Bundle bundle = bundle_of(scene, tile);
    const int32_t last = empty_after(scene, &bundle);
    /* One more, which is empty: the last sample of a ray may be opaque. */
    for (int i = 0; i < TILE_RAYS; i++)
        tile->n_samples[i] = tile->n_samples[i] > last ? last + 1 : tile->n_samples[i];
    return start_tile(scene, &bundle, first_of_any, tile);
}

/* Let the rays of a tile begin anew; says whether one of them can meet anything. */
static int restart_tile(const Scene *scene, Tile *tile)
{
    const Bundle bundle = bundle_of(scene, tile);
    return start_tile(scene, &bundle, 0, tile);
}

#endif
