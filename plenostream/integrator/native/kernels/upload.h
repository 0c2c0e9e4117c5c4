/* Bricks into the pool, from rows as they are stored. */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "lanes.h"
#include "scene.h"

enum { MOST_EDGE = 33 }; /* voxels an axis of a brick */

/* Bricks on their way in, see `integrator.interface.Arrivals`. */
typedef struct {
    const uint8_t *mask;      /* [b, mask_bytes] */
    const float *density;     /* [n] per world unit */
    const void *sh;           /* [n, 3 basis_dim] float16, or float32 where `sh_wide` */
    const int64_t *row_start; /* [b + 1] */
    const int32_t *slots;     /* [b] */
    const int32_t *pages;     /* brick by brick */
    const int64_t *page_start; /* [b]: first of the pages of each */
    const int32_t *source;    /* [n]: which of the rows each is, EMPTY: that of the pool stays; or 0 */
    int32_t n_bricks, mask_bytes, sh_wide;
    int32_t renewed;          /* whether the bricks are in the pool */
    int32_t claimed, spare;   /* bricks that a thread has taken on */
} Batch;

/* The nearest float16 of a float32, ties to even; what is beyond becomes infinite. */
INLINE uint16_t half_of(float value)
{
#if defined(__clang__) && (defined(__F16C__) || defined(__aarch64__))
    const _Float16 half = (_Float16)value;
    uint16_t bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return sign | 0x7E00;
    if (bits >= 0x477FF000) return sign | 0x7C00;
    if (bits < 0x38800000) { /* denormal: the sum's low bits are the number, rounded */
        float small;
        memcpy(&small, &bits, sizeof small);
        small += 0.5f;
        memcpy(&bits, &small, sizeof bits);
        return sign | (uint16_t)(bits - 0x3F000000);
    }
    bits += 0xC8000FFF + (bits >> 13 & 1);
    return sign | (uint16_t)(bits >> 13);
#endif
}

/* A density as the pool holds it, see `field.precision.device_densities`. */
INLINE double stored_density(float density, double unit, int wide)
{
    const double most = wide ? 1e30 : 65504.0, least = wide ? 0x1p-149 : 0x1p-24;
    double value = density * unit;
    value = value > most ? most : value < -most ? -most : value;
    if (density > 0.0f && value < least) value = least;
    if (wide) return value;
    /* To 20 binary digits first, ties to even, so that float32's last bit says nothing. */
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += 0xFFFFFFFF + (bits >> 33 & 1);
    bits &= ~(uint64_t)0x1FFFFFFFF;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

INLINE void put_density(Pool *pool, int64_t at, double density)
{
    if (pool->wide)
        ((float *)pool->density)[at] = (float)density;
    else
        ((uint16_t *)pool->density)[at] = half_of((float)density);
}

/* Where the coefficients of a row go, and which comes to each lane. */
typedef struct {
    int lanes[3 * ROW_FUNCTIONS * MOST_VECTORS];
    Ints source[MOST_VECTORS]; /* number of the coefficient of each lane; 0 where there is none */
    Ints there[MOST_VECTORS];  /* all bits where there is one */
    Ints pair[MOST_VECTORS];   /* of two float16 that follow each other, the first; all lie in the row */
    Ints shift[MOST_VECTORS];  /* bits, to the one of them that counts */
    int n;
} Spread;

static void spread_of(const Scene *scene, Spread *spread)
{
    int32_t source[MOST_VECTORS * ROW_LANES] = {0}, there[MOST_VECTORS * ROW_LANES] = {0};
    spread->n = 3 * scene->basis_dim;
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < scene->basis_dim; k++) {
            const int number = c * scene->basis_dim + k, lane = lane_of(k, c);
            spread->lanes[number] = lane;
            source[lane] = number;
            there[lane] = -1;
        }
    memcpy(spread->source, source, sizeof source);
    memcpy(spread->there, there, sizeof there);
    for (int v = 0; v < MOST_VECTORS; v++) {
        const Ints later = spread->source[v] > 0;
        spread->pair[v] = spread->source[v] + later;
        spread->shift[v] = later & 16;
    }
}

INLINE void put_halves(uint16_t *row, Row values)
{
#if defined(__clang__) && (defined(__F16C__) || defined(__aarch64__))
    typedef _Float16 Halves __attribute__((vector_size(32)));
    const Halves halves = __builtin_convertvector(values, Halves);
    memcpy(row, &halves, sizeof halves);
#else
    for (int i = 0; i < ROW_LANES; i++) row[i] = half_of(values[i]);
#endif
}

/* A row's coefficients, channel by channel, into their lanes: those of float32, which change with every
   step where rows are trained. */
INLINE void put_floats(const Pool *pool, int64_t to, const float *floats, const Spread *spread)
{
    const int width = pool->vectors * ROW_LANES;
    for (int v = 0; v < pool->vectors; v++) {
        const Row values = (Row)((Ints)gather(floats, spread->source[v], sizeof *floats) & spread->there[v]);
        if (pool->wide)
            memcpy((float *)pool->rows + to * width + v * ROW_LANES, &values, sizeof values);
        else
            put_halves((uint16_t *)pool->rows + to * width + v * ROW_LANES, values);
    }
}

typedef uint16_t Halves __attribute__((vector_size(2 * ROW_LANES)));

/* Numbers of a row to where they are read much later: a pool is larger than any cache, and to write a whole
   line it need not be read. `take_in` ends with a fence. */
INLINE void put_beside_cache(const Pool *pool, int64_t at, Halves bits)
{
    Halves *to = (Halves *)((uint16_t *)pool->rows + at);
#ifdef __clang__
    __builtin_nontemporal_store(bits, to);
#else
    memcpy(to, &bits, sizeof bits);
#endif
}

/* The same of float16. */
INLINE void put_row(const Pool *pool, int64_t to, const uint16_t *halves, const Spread *spread)
{
    const int width = pool->vectors * ROW_LANES;
    for (int v = 0; v < pool->vectors; v++) {
        const Words pairs = gather(halves, spread->pair[v], sizeof *halves);
        const Words words = (pairs >> (Words)spread->shift[v]) & (Words)(spread->there[v] & 0xFFFF);
        const Halves bits = __builtin_convertvector(words, Halves);
        if (pool->wide) {
            typedef _Float16 Floats __attribute__((vector_size(2 * ROW_LANES)));
            const Row values = __builtin_convertvector((Floats)bits, Row);
            memcpy((float *)pool->rows + to * width + v * ROW_LANES, &values, sizeof values);
        } else {
            put_beside_cache(pool, to * width + v * ROW_LANES, bits);
        }
    }
}

/* Where the bits of the live cells of a brick are. */
INLINE uint8_t *live_of(const Scene *scene, const Pool *pool, int64_t slot)
{
    return pool->live + ((slot * scene->brick_size * scene->brick_size * scene->brick_size) >> 3);
}

/* The bits of a brick's live cells, from those of its voxels with a density above 0: `lines` along z. */
static void put_live(const Scene *scene, uint8_t *live, const uint64_t *lines)
{
    const int n = scene->brick_size, edge = scene->edge;
    for (int x = 0; x < n; x++)
        for (int y = 0; y < n; y++) {
            const uint64_t *line = lines + x * edge + y;
            uint64_t any = line[0] | line[1] | line[edge] | line[edge + 1];
            any |= any >> 1;
            for (int byte = 0; byte < n / 8; byte++) *live++ = (uint8_t)(any >> 8 * byte);
        }
}

/* What `place_of` counts from one row to the next. */
INLINE uint32_t places_of_row(const Pool *pool)
{
    return (uint32_t)(ROW_LANES * (pool->wide ? 4 : 2) / PLACE_BYTES * pool->vectors);
}

/* The row that a brick's row `at` comes from. */
INLINE int64_t source_of(const Batch *batch, int64_t at) { return batch->source ? batch->source[at] : at; }

/* Which voxels of a line have a density above 0. */
INLINE uint64_t positive_bits(const Scene *scene, const Pool *pool, int64_t at)
{
    uint64_t bits = 0;
    for (int z = 0; z < scene->edge; z++) {
        const int positive = pool->wide ? ((const float *)pool->density)[at + z] > 0.0f
                                        : ((const int16_t *)pool->density)[at + z] > 0;
        bits |= (uint64_t)positive << z;
    }
    return bits;
}

/* Rows of a brick that is in the pool take the place of those that it has. */
static void put_changes(const Scene *scene, Pool *pool, const Batch *batch, int32_t number,
                        const Spread *spread)
{
    const int64_t slot = batch->slots[number], base = slot * scene->voxels;
    const uint8_t *mask = batch->mask + (int64_t)number * batch->mask_bytes;
    const int64_t first = batch->row_start[number], n = batch->row_start[number + 1] - first;
    const uint32_t per_row = places_of_row(pool);
    const int edge = scene->edge;
    int64_t rank = 0;
    int any = 0;
    for (int byte = 0; byte < batch->mask_bytes; byte++)
        for (unsigned bits = mask[byte]; bits && rank < n; bits &= bits - 1, rank++) {
            const int voxel = 8 * byte + __builtin_ctz(bits);
            const int64_t from = source_of(batch, first + rank);
            if (from == EMPTY || voxel >= scene->voxels) continue;
            const int64_t row = pool->place_of[base + voxel] / per_row;
            const float density = batch->density[from];
            put_density(pool, base + voxel, stored_density(density, scene->unit, pool->wide));
            put_floats(pool, row, (const float *)batch->sh + from * spread->n, spread);
            any = 1;
        }
    if (!any) return;
    uint64_t lines[MOST_EDGE * MOST_EDGE];
    for (int line = 0; line < edge * edge; line++)
        lines[line] = positive_bits(scene, pool, base + line * edge);
    put_live(scene, live_of(scene, pool, slot), lines);
}

static void put_brick(const Scene *scene, Pool *pool, const Batch *batch, int32_t number,
                      const Spread *spread)
{
    const int64_t slot = batch->slots[number], base = slot * scene->voxels;
    const int32_t *pages = batch->pages + batch->page_start[number];
    const uint8_t *mask = batch->mask + (int64_t)number * batch->mask_bytes;
    const int64_t first = batch->row_start[number], n = batch->row_start[number + 1] - first;
    const size_t size = pool->wide ? 4 : 2;
    const int64_t row_bytes = (int64_t)pool->vectors * ROW_LANES * size;
    const int edge = scene->edge;
    memset((char *)pool->density + base * size, 0, scene->voxels * size);
    memset(pool->place_of + base, 0, scene->voxels * sizeof *pool->place_of);
    if (pool->weight) memset(pool->weight + base, 0, scene->voxels * sizeof *pool->weight);
    uint64_t lines[MOST_EDGE * MOST_EDGE];
    memset(lines, 0, (size_t)edge * edge * sizeof *lines);
    int64_t rank = 0;
    for (int byte = 0; byte < batch->mask_bytes; byte++)
        for (unsigned bits = mask[byte]; bits && rank < n; bits &= bits - 1, rank++) {
            const int voxel = 8 * byte + __builtin_ctz(bits);
            if (voxel >= scene->voxels) break;
            const int64_t row = (int64_t)pages[rank / PAGE_ROWS] * PAGE_ROWS + rank % PAGE_ROWS;
            const int64_t from = source_of(batch, first + rank);
            const float density = batch->density[from];
            put_density(pool, base + voxel, stored_density(density, scene->unit, pool->wide));
            lines[voxel / edge] |= (uint64_t)(density > 0.0f) << voxel % edge;
            pool->place_of[base + voxel] = (uint32_t)(row * row_bytes / PLACE_BYTES);
            if (batch->sh_wide)
                put_floats(pool, row, (const float *)batch->sh + from * spread->n, spread);
            else
                put_row(pool, row, (const uint16_t *)batch->sh + from * spread->n, spread);
        }
    put_live(scene, live_of(scene, pool, slot), lines);
}

#endif
