/* A ray through the bricks in memory, LANES samples at a time.

   Where the map says that nothing is near it jumps; elsewhere it looks at a group of samples, in
   whatever bricks they lie, and takes on those in cells that hold something. At a sample in a box
   whose brick is not in memory it stops. Places, optical depths and the order in which samples are
   added up depend on no group, so a ray that stops and is taken up again gives the same numbers as
   one that never stopped. */
#ifndef WALK_H
#define WALK_H

#include "march.h"

/* LANES samples in the bricks that they lie in. */
typedef struct {
    Ints voxel;   /* first corner, in the pool */
    Ints live;    /* the cell has a corner with a density above 0 */
    Ints absent;  /* the brick has a box, and is not in memory */
} Cells;

/* Where in the grid of bricks they lie. */
INLINE Ints bricks_of(const Scene *scene, const Places *places)
{
    const int bits = scene->brick_bits;
    const Ints *cell = places->cell;
    return ((cell[0] >> bits) * scene->bricks[1] + (cell[1] >> bits)) * scene->bricks[2] + (cell[2] >> bits);
}

INLINE Cells cells_at(const Scene *scene, const Pool *pool, const int32_t *slot_at, const Places *places,
                      Ints is_sample)
{
    const int bits = scene->brick_bits, inside = scene->brick_size - 1, edge = scene->edge;
    const Ints *cell = places->cell, brick = bricks_of(scene, places);
    const Ints x = cell[0] & inside, y = cell[1] & inside, z = cell[2] & inside;
    const Ints found = (Ints)gather(slot_at, brick, 4), is_here = found >= 0, slot = found & is_here;
    /* A brick's bits, line by line along z. */
    const Ints byte = ((slot << 2 * bits) + (x << bits) + y) << (bits - 3);
    const Words line = gather(pool->live, byte, 1);
    return (Cells){
        .voxel = ((slot * edge + x) * edge + y) * edge + z,
        .live = ((Ints)(line << (Words)(31 - z)) < 0) & is_here & is_sample,
        .absent = (found == ABSENT) & is_sample,
    };
}

/* The first sample of those from k on, set in `bits`, that lies in a box; `end` where none does. Block by block: a
   group lies in few, and each is a look-up. */
static int32_t first_in_box(const Scene *scene, const Places *places, int32_t k, uint32_t bits, int32_t end)
{
    int32_t cells[3][LANES];
    memcpy(cells, places->cell, sizeof cells);
    while (bits) {
        const int first = __builtin_ctz(bits);
        const int32_t cell[3] = {cells[0][first], cells[1][first], cells[2][first]};
        const Box box = box_at(scene, cell);
        Ints apart = {0}, is_in = ~apart;
        for (int a = 0; a < 3; a++) {
            const int32_t origin = cell[a] & ~(scene->brick_size - 1);
            apart |= places->cell[a] ^ cell[a];
            is_in &= (places->cell[a] >= origin + box.low[a]) & (places->cell[a] < origin + box.high[a]);
        }
        const uint32_t inside = bits_of(is_in) & bits;
        if (inside) return k + __builtin_ctz(inside);
        bits &= ~bits_of(apart < 1 << BLOCK_BITS);
    }
    return end;
}

/* Keeps a compiler from working out a number together with others, in vectors: that takes three
   times as long until it is there, and here everything waits for it. */
INLINE uint64_t alone(uint64_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

/* Samples from k on in which nothing can be, by the map; 0 where that is not known. */
INLINE int32_t empty_from(const Scene *scene, const Steps *steps, int32_t k)
{
    uint64_t unit = 0;
    for (int a = 0; a < 3; a++) {
        const int32_t last = scene->size[a] - 2;
        int32_t cell = cell_of(steps->entry[a] + alone(steps->along[a] * (uint64_t)k));
        cell = cell < 0 ? 0 : cell > last ? last : cell;
        unit += alone((uint64_t)(cell >> scene->unit_bits) * (uint64_t)scene->unit_strides[a]);
    }
    const uint32_t distance = scene->distance[unit];
    /* One more: what comes after the last whole step still lies within the units around. */
    return distance > 1 ? (int32_t)((distance - 1) * steps->per_unit >> UNIT_FRACTION) + 1 : 0;
}

/* A group of samples that was looked at. */
typedef struct {
    Places places;
    Cells cells;
    uint32_t live, absent; /* bit i: sample i */
} Look;

INLINE Look look_at(const Scene *scene, const Pool *pool, const int32_t *slot_at, const Steps *steps,
                    int32_t k, int32_t end)
{
    Look look;
    look.places = places_from(scene, steps, k);
    look.cells = cells_at(scene, pool, slot_at, &look.places, lane_numbers() < end - k);
    look.live = bits_of(look.cells.live);
    look.absent = bits_of(look.cells.absent);
    return look;
}

/* Whether a ray stays where it is, at a sample in a box: its brick is not in memory. */
INLINE int stays(const Scene *scene, const int32_t *slot_at, const Course *course, int32_t k)
{
    int32_t cell[3], brick = 0;
    cell_at(scene, course, k, cell);
    for (int a = 0; a < 3; a++) brick = brick * scene->bricks[a] + (cell[a] >> scene->brick_bits);
    return slot_at[brick] == ABSENT && is_in_box(scene, cell);
}

INLINE void shade_all(const Scene *scene, const Pool *pool, Shading *shading, Tile *tile, int ray,
                      const Return *back, const int vectors, const int wide)
{
    if (back)
        back->shade(scene, pool, shading, tile, ray, back);
    else
        shade(scene, pool, shading, tile, ray, vectors, wide);
}

/* Take a ray on to its end, or to the first sample that needs a brick that is not in memory.

   Each group is looked at while the one before it is marched, before it is known whether that one
   holds something: what a branch that was guessed wrong has to wait for is then already there. */
INLINE void walk(const Scene *scene, const Pool *pool, const int32_t *slot_at, Tile *tile, int ray,
                 Counts *counts, const Return *back, const int vectors, const int wide)
{
    const Course course = course_of(scene, tile, ray);
    int32_t k = tile->next[ray], end = course.n;
    /* Two looks would find the same: two in five rays of a wave wait for a later one. */
    if (stays(scene, slot_at, &course, k)) return;
    const Steps steps = steps_of(scene, &course);
    const Pace pace = pace_of(scene, tile, ray);
    Light light = {tile->depth[ray], tile->trans[ray], tile->left[ray]};
    Shading shading;
    float *columns = scene->aovs.n && !back ? aovs_of(scene, tile, ray) : 0;
    int was_empty = 0;
    Look next = look_at(scene, pool, slot_at, &steps, k, end);
    shading.n_groups = shading.n_samples = 0;
    for (; k < end; k += LANES) {
        Look now = next;
        next = look_at(scene, pool, slot_at, &steps, k + LANES, end);
        if (now.absent) {
            end = first_in_box(scene, &now.places, k, now.absent, end);
            now.cells.live &= lane_numbers() < end - k;
            now.live = bits_of(now.cells.live);
        }
        if (!now.live) {
            /* The map is asked where empty space goes on: most of it is no longer than a group. */
            const int32_t empty = was_empty ? empty_from(scene, &steps, k) : 0;
            if (empty > LANES) {
                k += empty - LANES;
                next = look_at(scene, pool, slot_at, &steps, k + LANES, end);
            }
            was_empty = 1;
            continue;
        }
        was_empty = 0;
        counts->samples_marched += __builtin_popcount(now.live);
        counts->march_lanes += LANES;
        counts->samples_shaded += march(scene, pool, &pace, &now.places, now.cells.voxel, now.cells.live, k,
                                        course.n - 1, &light, &shading, columns, back, wide);
        if (shading.n_groups == GROUPS) shade_all(scene, pool, &shading, tile, ray, back, vectors, wide);
        if (light.trans == 0.0f) break;
    }
    if (shading.n_samples > 0) shade_all(scene, pool, &shading, tile, ray, back, vectors, wide);
    tile->next[ray] = light.trans == 0.0f ? tile->n_samples[ray] : end;
    tile->depth[ray] = light.depth;
    tile->trans[ray] = light.trans;
    tile->left[ray] = light.trans == 0.0f && scene->light == ADDS_UP ? 0.0f : light.left;
}

#endif
