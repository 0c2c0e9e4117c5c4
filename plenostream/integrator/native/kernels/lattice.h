/* Where the samples of rays lie, and the first that can contribute.

   `lattice` does what `integrator/lattice.py` does, operation by operation, so that both give the
   same numbers to the last bit: no product may be fused with a sum here. */
#ifndef LATTICE_H
#define LATTICE_H

#include <math.h>

#include "seek.h"

#define LATTICE_FAR 1e300

/* World rays [3][n], of which a tile takes 64 from number `at` on. */
typedef struct {
    const double *origins, *directions; /* of any length above zero */
    const uint8_t *valid;               /* [n]: which are rays at all */
    int64_t n;
} WorldRays;

static void lattice(const Scene *scene, const WorldRays *world, int64_t at, Tile *tile)
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
        const double last = scene->size[a] - 1.0;
        for (int i = 0; i < TILE_RAYS; i++) {
            const int parallel = d[a][i] == 0.0;
            d[a][i] /= per_world[i];
            const double place = origin[a][i] * scene->scale[a] + scene->offset[a];
            const double inside = place < 0.0 ? 0.0 : place > last ? last : place;
            o[a][i] = parallel ? inside : place;
            const double inverse = 1.0 / (parallel ? 1.0 : d[a][i]);
            const double low = (-0.5 - o[a][i]) * inverse, high = (last + 0.5 - o[a][i]) * inverse;
            const double near = parallel ? -LATTICE_FAR : low < high ? low : high;
            const double far = parallel ? LATTICE_FAR : low < high ? high : low;
            enter[i] = near > enter[i] ? near : enter[i];
            exit[i] = far < exit[i] ? far : exit[i];
        }
    }
    for (int i = 0; i < TILE_RAYS; i++) {
        const double near = scene->near_clip * per_world[i];
        double t_min = near > enter[i] ? near : enter[i];
        const int hit = (world->valid[at + i] != 0) & (t_min <= exit[i]);
        t_min = hit ? t_min : 0.0;
        const double steps = hit ? (exit[i] - t_min) / scene->step : -1.0;
        tile->n_samples[i] = (int32_t)steps + 1;
        tile->t_min[i] = (float)t_min;
        for (int a = 0; a < 3; a++) {
            const double most = scene->size[a] - 0.5, place = o[a][i] + t_min * d[a][i];
            tile->direction[a][i] = d[a][i];
            tile->entry[a][i] = place < -0.5 ? -0.5 : place > most ? most : place;
        }
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

/* The box of the block that a cell lies in; one without cells where there is none. */
INLINE Box box_at(const Scene *scene, const int32_t cell[3])
{
    const int bits = scene->brick_bits;
    int64_t place = scene->brick_at[((int64_t)(cell[0] >> bits) * scene->bricks[1] + (cell[1] >> bits)) *
                                        scene->bricks[2] + (cell[2] >> bits)];
    if (place < 0) return (Box){{0}, {0}, {0}};
    for (int a = 0; a < 3; a++)
        place = (place << scene->blocks_bits) + ((cell[a] & (scene->brick_size - 1)) >> BLOCK_BITS);
    return scene->boxes[place];
}

/* What `seek` does from sample 0 on, for ABREAST rays from `first` on. */
static void seek_abreast(const Scene *scene, Tile *tile, int first)
{
    Courses rays;
    Abreast count;
    Doubles k = {0};
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

/* Set up the rays of a tile; says whether one of them can meet anything. */
static int set_up_tile(const Scene *scene, const WorldRays *world, int64_t at, Tile *tile)
{
    int live = 0;
    lattice(scene, world, at, tile);
    for (int first = 0; first < TILE_RAYS; first += ABREAST) seek_abreast(scene, tile, first);
    for (int i = 0; i < TILE_RAYS; i++) live |= tile->next[i] < tile->n_samples[i];
    if (live) {
        memset(tile->seen, 0, sizeof tile->seen);
        for (int i = 0; i < TILE_RAYS; i++) tile->trans[i] = 1.0f;
    }
    return live;
}

#endif
