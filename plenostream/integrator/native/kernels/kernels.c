/* What the library exports, compiled once for each variant (set of instructions).

   Threads of the host call these at the same time and share the work by claiming parts of it. */
#include "distance.h"
#include "finish.h"
#include "hand_over.h"
#include "lattice.h"
#include "layers.h"
#include "packets.h"
#include "trained.h"
#include "upload.h"
#include "walk.h"

#ifdef _WIN32
#define VISIBLE __declspec(dllexport)
#else
#define VISIBLE __attribute__((visibility("default")))
#endif
#define JOIN(a, b) plenostream_##a##_##b
#define NAME(a, b) JOIN(a, b)
/* A kernel with the variant in its name; declared first, as -Wmissing-prototypes asks for. */
#define KERNEL(name, ...)                                                                         \
    VISIBLE void NAME(name, VARIANT)(__VA_ARGS__);                                                \
    void NAME(name, VARIANT)(__VA_ARGS__)

enum { TILES_AT_ONCE = 8 };

/* Pixels of a tile in an order in which neighbours follow each other: their rows of coefficients
   are still at hand. */
static const uint8_t NEIGHBOURS[TILE_RAYS] = {
    0,  1,  8,  9,  2,  3,  10, 11, 16, 17, 24, 25, 18, 19, 26, 27, 4,  5,  12, 13, 6,  7,
    14, 15, 20, 21, 28, 29, 22, 23, 30, 31, 32, 33, 40, 41, 34, 35, 42, 43, 48, 49, 56, 57,
    50, 51, 58, 59, 36, 37, 44, 45, 38, 39, 46, 47, 52, 53, 60, 61, 54, 55, 62, 63};

KERNEL(measure, uint8_t *distance, const int32_t *n) { measure(distance, n); }

/* Copy n pieces of `bytes` bytes each, to where they go in `target`. */
KERNEL(copy_rows, char *target, const char *const *source, const int64_t *out, const int64_t *bytes, int64_t n)
{
    for (int64_t i = 0; i < n; i++) memcpy(target + out[i], source[i], (size_t)bytes[i]);
}

/* Set up the tiles [first, first + n) with the rays of `world`. */
KERNEL(set_up, const Scene *scene, const WorldRays *world, Rays *rays, int32_t first, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        rays->live[first + i] =
            (uint8_t)set_up_tile(scene, world, (int64_t)i * TILE_RAYS, tile_of(rays, first + i));
}

/* Sort keys [n, 64] of n tiles of rays; they get no state. */
KERNEL(keys, const Scene *scene, const WorldRays *world, int32_t n, int64_t *keys)
{
    for (int32_t i = 0; i < n; i++) {
        Tile tile;
        lattice(scene, world, (int64_t)i * TILE_RAYS, &tile);
        keys_of_tile(scene, &tile, keys + (int64_t)i * TILE_RAYS);
    }
}

KERNEL(meet, const Scene *scene, const Rays *rays, Meeting *meeting) { meet(scene, rays, meeting); }

static void take_in_brick(const Scene *scene, Pool *pool, const Batch *batch, int32_t number, const Spread *spread)
{
    if (batch->renewed && pool->wide)
        put_changes(scene, pool, batch, number, spread, 1);
    else if (batch->renewed)
        put_changes(scene, pool, batch, number, spread, 0);
    else if (pool->wide)
        put_brick(scene, pool, batch, number, spread, 1);
    else
        put_brick(scene, pool, batch, number, spread, 0);
}

/* Bring bricks in; `back`: derivatives that their pages have, or 0 where none are kept. */
KERNEL(take_in, const Scene *scene, Pool *pool, Batch *batch, const Back *back)
{
    Spread spread;
    spread_of(scene, &spread);
    for (int32_t i; (i = __atomic_fetch_add(&batch->claimed, 1, __ATOMIC_RELAXED)) < batch->n_bricks;) {
        const int64_t n_rows = batch->row_start[i + 1] - batch->row_start[i];
        if (back && !batch->renewed)
            clear_pages(pool, back, batch->pages + batch->page_start[i],
                        (n_rows + PAGE_ROWS - 1) / PAGE_ROWS);
        take_in_brick(scene, pool, batch, i, &spread);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* stores beside the cache keep no order of their own */
}

/* Hand over derivatives, see `HandOver`. */
KERNEL(derivatives, const Scene *scene, const Pool *pool, const Back *back, HandOver *out)
{
    Spread spread;
    spread_of(scene, &spread);
    for (int32_t i; (i = __atomic_fetch_add(&out->claimed, 1, __ATOMIC_RELAXED)) < out->n_slots;)
        hand_over(scene, pool, back, out, i, &spread);
}

/* Add derivatives to those of the rows [first, end), see `HandOver`. */
KERNEL(add_derivatives, const Scene *scene, const Pool *pool, const Back *back, const HandOver *out, int64_t first,
       int64_t end)
{
    Spread spread;
    spread_of(scene, &spread);
    add_to_owners(scene, pool, back, out, first, end, &spread);
}

/* Let all rays begin anew that met something; `drawn` [n_tiles]: tiles that have a state. */
KERNEL(restart, const Scene *scene, Rays *rays, const uint8_t *drawn)
{
    for (int32_t first; !is_stopped(rays) && (first = claim(rays, TILES_AT_ONCE)) < rays->n_tiles;)
        for (int32_t i = first; i < first + TILES_AT_ONCE && i < rays->n_tiles; i++)
            if (drawn[i]) rays->live[i] = (uint8_t)restart_tile(scene, tile_of(rays, i));
}

/* One walk for each length of row and type of number: loops over a row's vectors are unrolled. */
#define WALK(vectors, wide)                                                                       \
    static void walk_##vectors##_##wide(const Scene *scene, const Pool *pool, const int32_t *slot_at, \
                                        Tile *tile, int ray, Counts *counts)                      \
    {                                                                                             \
        walk(scene, pool, slot_at, tile, ray, counts, 0, vectors, wide);                          \
    }                                                                                             \
    static void back_##vectors##_##wide(const Scene *scene, const Pool *pool, Shading *shading,       \
                                        Tile *tile, int ray, const Return *back)                  \
    {                                                                                             \
        shade_back(scene, pool, shading, tile, ray, back, vectors, wide);                         \
    }
WALK(1, 0) WALK(2, 0) WALK(3, 0) WALK(4, 0) WALK(5, 0)
WALK(1, 1) WALK(2, 1) WALK(3, 1) WALK(4, 1) WALK(5, 1)
typedef void Walk(const Scene *, const Pool *, const int32_t *, Tile *, int, Counts *);
static Walk *const WALKS[2][MOST_VECTORS + 1] = {
    {0, walk_1_0, walk_2_0, walk_3_0, walk_4_0, walk_5_0},
    {0, walk_1_1, walk_2_1, walk_3_1, walk_4_1, walk_5_1},
};
static ShadeBack *const SHADES_BACK[2][MOST_VECTORS + 1] = {
    {0, back_1_0, back_2_0, back_3_0, back_4_0, back_5_0},
    {0, back_1_1, back_2_1, back_3_1, back_4_1, back_5_1},
};

static void walk_back_0(const Scene *scene, const Pool *pool, const int32_t *slot_at, Tile *tile, int ray,
                        const Return *back, Counts *counts)
{
    walk(scene, pool, slot_at, tile, ray, counts, back, 0, 0);
}
static void walk_back_1(const Scene *scene, const Pool *pool, const int32_t *slot_at, Tile *tile, int ray,
                        const Return *back, Counts *counts)
{
    walk(scene, pool, slot_at, tile, ray, counts, back, 0, 1);
}

/* Take all rays on through the bricks that are in the pool, see `walk`. */
KERNEL(advance, const Scene *scene, const Pool *pool, const int32_t *slot_at, Rays *rays, Counts *counts)
{
    Walk *const go = WALKS[pool->wide != 0][pool->vectors];
    for (int32_t first; !is_stopped(rays) && (first = claim(rays, TILES_AT_ONCE)) < rays->n_tiles;)
        for (int32_t i = first; i < first + TILES_AT_ONCE && i < rays->n_tiles; i++) {
            if (!rays->live[i]) continue;
            Tile *tile = tile_of(rays, i);
            int live = 0;
            for (int j = 0; j < TILE_RAYS; j++) {
                const int ray = NEIGHBOURS[j];
                if (tile->next[ray] >= tile->n_samples[ray]) continue;
                go(scene, pool, slot_at, tile, ray, counts);
                live |= tile->next[ray] < tile->n_samples[ray];
            }
            rays->live[i] = (uint8_t)live;
        }
}

/* As `advance`, to add derivatives to those of a `part`: which tiles are its own depends on nothing else. */
KERNEL(go_back, const Scene *scene, const Pool *pool, const int32_t *slot_at, Rays *rays, const Back *back,
       int32_t part, Counts *counts)
{
    ShadeBack *const shade = SHADES_BACK[pool->wide != 0][pool->vectors];
    for (int32_t i = part; i < rays->n_tiles && !is_stopped(rays); i += back->n_parts) {
        if (!rays->live[i]) continue;
        Tile *tile = tile_of(rays, i);
        int live = 0;
        for (int j = 0; j < TILE_RAYS; j++) {
            const int ray = NEIGHBOURS[j];
            if (tile->next[ray] >= tile->n_samples[ray]) continue;
            const Return mine = return_of(scene, back, tile, i, ray, part, pool->vectors, shade);
            if (pool->wide)
                walk_back_1(scene, pool, slot_at, tile, ray, &mine, counts);
            else
                walk_back_0(scene, pool, slot_at, tile, ray, &mine, counts);
            live |= tile->next[ray] < tile->n_samples[ray];
        }
        rays->live[i] = (uint8_t)live;
    }
}

/* Colour [n, 64, 3], depth and alpha [n, 64] and AOVs [n, 64, aovs.n] of the tiles [first, first + n);
   says in `waits` which brick a live ray still waits for, EMPTY where none does. `drawn` [n]: tiles that
   have a state. */
KERNEL(finish, const Scene *scene, const Rays *rays, const uint8_t *drawn, int32_t first, int32_t n,
       const float *background, float *rgb, float *depth, float *alpha, float *aovs,
       int32_t *waits)
{
    *waits = EMPTY;
    for (int32_t i = 0; i < n; i++) {
        const Tile *tile = tile_of(rays, first + i);
        if (rays->live[first + i] && *waits == EMPTY) *waits = waits_for(scene, tile);
        const int64_t at = (int64_t)i * TILE_RAYS;
        finish_tile(scene, tile, drawn[i], background, (float(*)[3])(rgb + 3 * at), depth + at, alpha + at,
                    aovs + at * scene->aovs.n);
    }
}

/* Take rays that have left the volume outward through the layers behind it, see `layers.h`. */
KERNEL(see_layers, const Layers *layers, OutwardRays *rays)
{
    for (int i = 0; i < CORNERS; i++) rays->urgent[i] = NO_CHUNK;
    for (int64_t low = 0; low < rays->n; low += RAYS_AT_ONCE) see_outward(layers, rays, low);
}

/* Rows that are trained, see `trained.h`. */
KERNEL(vary_rows, const Trained *rows, int64_t first, int64_t end, const float *squares, float density_weight,
       float sh_weight)
{
    vary_rows(rows, first, end, squares, density_weight, sh_weight);
}

KERNEL(descend_rows, const Trained *rows, int64_t first, int64_t end, const Step *step)
{
    descend_rows(rows, first, end, step);
}
