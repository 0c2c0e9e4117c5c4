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
        const int hit = world->valid[at + i] && t_min <= exit[i];
        t_min = hit ? t_min : 0.0;
        tile->n_samples[i] = hit ? (int32_t)((exit[i] - t_min) / scene->step) + 1 : 0;
        tile->t_min[i] = (float)t_min;
        for (int a = 0; a < 3; a++) {
            const double most = scene->size[a] - 0.5, place = o[a][i] + t_min * d[a][i];
            tile->direction[a][i] = d[a][i];
            tile->entry[a][i] = place < -0.5 ? -0.5 : place > most ? most : place;
        }
    }
}

/* Rays side by side that jump over empty units together: what each waits for, the others hide. */
enum { ABREAST = 8 };
typedef double Doubles __attribute__((vector_size(8 * ABREAST)));
typedef int64_t Longs __attribute__((vector_size(8 * ABREAST)));
typedef int32_t Abreast __attribute__((vector_size(4 * ABREAST)));

INLINE Doubles either(Longs mask, Doubles a, Doubles b)
{
    return (Doubles)(((Longs)a & mask) | ((Longs)b & ~mask));
}

/* Take ABREAST rays from `first` on to their first samples in units with boxes. */
static void jump(const Scene *scene, Tile *tile, int first)
{
    Doubles entry[3], along[3], inverse[3], n, k = {0};
    Longs falls[3];
    Abreast count;
    memcpy(&count, tile->n_samples + first, sizeof count);
    n = __builtin_convertvector(count, Doubles);
    for (int a = 0; a < 3; a++) {
        memcpy(&entry[a], tile->entry[a] + first, sizeof entry[a]);
        memcpy(&along[a], tile->direction[a] + first, sizeof along[a]);
        along[a] *= scene->step;
        falls[a] = along[a] < 0.0;
        inverse[a] = either(along[a] == 0.0, (Doubles){0} + FAR, 1.0 / along[a]);
    }
    const int bits = scene->unit_bits;
    for (;;) {
        Abreast unit[3], place = {0}, distance;
        for (int a = 0; a < 3; a++) {
            const int32_t last = scene->size[a] - 2;
            Abreast cell = __builtin_convertvector(entry[a] + k * along[a], Abreast);
            cell &= cell > 0;
            cell = (cell & (cell <= last)) | (last & (cell > last));
            unit[a] = cell >> bits;
        }
        /* No more than 2^24 units, see `blocks.py`. */
        place = (unit[0] * scene->units[1] + unit[1]) * scene->units[2] + unit[2];
        for (int i = 0; i < ABREAST; i++) distance[i] = scene->distance[place[i]];
        const Longs empty = (__builtin_convertvector(distance, Longs) > 0) & (Longs)(k < n);
        int64_t any = 0;
        for (int i = 0; i < ABREAST; i++) any |= empty[i];
        if (!any) break;
        Doubles exit = n;
        for (int a = 0; a < 3; a++) {
            const Doubles low = __builtin_convertvector((unit[a] - (distance - 1)) << bits, Doubles);
            const Doubles high = __builtin_convertvector((unit[a] + distance) << bits, Doubles);
            const Doubles plane = either(falls[a], low, high);
            const Longs border = (Longs)(falls[a] & (low <= 0.0)) |
                                 (Longs)(~falls[a] & (high >= (double)(scene->size[a] - 1)));
            const Doubles t = either(border, n, (plane - entry[a]) * inverse[a]);
            exit = either(t < exit, t, exit);
        }
        /* The next whole number; all are between 0 and 2^22. */
        const Doubles whole = __builtin_convertvector(__builtin_convertvector(exit, Abreast), Doubles);
        Doubles next = whole + either(whole < exit, (Doubles){0} + 1.0, (Doubles){0});
        next = either(next > k, next, k + 1.0);
        k = either(empty, next, k);
    }
    count = __builtin_convertvector(k, Abreast);
    memcpy(tile->next + first, &count, sizeof count);
}

/* Set up the rays of a tile; says whether one of them can meet anything. */
static int set_up_tile(const Scene *scene, const WorldRays *world, int64_t at, Tile *tile)
{
    int live = 0;
    lattice(scene, world, at, tile);
    for (int first = 0; first < TILE_RAYS; first += ABREAST) {
        jump(scene, tile, first);
        for (int i = first; i < first + ABREAST; i++) {
            int32_t brick;
            if (tile->next[i] < tile->n_samples[i]) {
                const Course course = course_of(scene, tile, i);
                tile->next[i] = seek(scene, &course, tile->next[i], &brick);
            }
            live |= tile->next[i] < tile->n_samples[i];
        }
    }
    if (live) {
        memset(tile->seen, 0, sizeof tile->seen);
        for (int i = 0; i < TILE_RAYS; i++) tile->trans[i] = 1.0f;
    }
    return live;
}

#endif
