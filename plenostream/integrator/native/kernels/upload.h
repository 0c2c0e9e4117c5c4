/* Bricks into the pool, from rows as they are stored. */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "lanes.h"
#include "scene.h"

enum {
    MOST_EDGE = 33,  /* voxels an axis of a brick */
    READ_BEYOND = 7, /* a channel's functions are read eight at a time */
    READ_AHEAD = 1024, /* numbers of rows that memory is asked for while others are put into place */
};

/* Bricks on their way in, see `integrator.interface.Arrivals`. Run r holds the rows [run_start[r],
   run_start[r + 1]) of all. */
typedef struct {
    const uint8_t *mask;          /* [b, mask_bytes] */
    const float *const *density;  /* [r] per world unit */
    const void *const *sh;        /* [r] x [rows, 3 basis_dim] float16, or float32 where `sh_wide` */
    const int64_t *run_start;     /* [r + 1] */
    const int64_t *row_start;     /* [b + 1] */
    const int32_t *slots;         /* [b] */
    const int32_t *pages;         /* brick by brick */
    const int64_t *page_start;    /* [b]: first of the pages of each */
    const int32_t *source;        /* [n]: which row of the only run each is, EMPTY: that of the pool stays; or 0 */
    int32_t n_bricks, n_runs, mask_bytes, sh_wide;
    int32_t renewed;              /* whether the bricks are in the pool */
    int32_t claimed;              /* bricks that a thread has taken on */
} Batch;

/* The run that a row lies in. */
INLINE int32_t run_of(const Batch *batch, int64_t at)
{
    int32_t low = 0, high = batch->n_runs;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (batch->run_start[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Where in its run a row lies. */
INLINE int64_t place_in_run(const Batch *batch, int32_t run, int64_t at)
{
    return batch->source ? batch->source[at] : at - batch->run_start[run];
}

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

/* A float64 of at most 24 binary digits as float32; 0 where it would be denormal. By its bits: a compiler that
   sees that nothing is rounded would go on to float16 from float64, which most processors cannot. */
INLINE float shortened(double value)
{
    const uint64_t infinite = 0x7FFULL << 52, least = 897ULL << 52;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint64_t size = bits & INT64_MAX;
    uint32_t number = (uint32_t)(size >> 29) - (896u << 23);
    number = size < least ? 0 : size > infinite ? 0x7FC00000 : number;
    number |= (uint32_t)(bits >> 63) << 31;
    float short_value;
    memcpy(&short_value, &number, sizeof short_value);
    return short_value;
}

/* A density as the pool holds it, see `field.precision.device_densities`. */
INLINE float stored_density(float density, double unit, const int wide)
{
    const double most = wide ? 1e30 : 65504.0, least = wide ? 0x1p-149 : 0x1p-24;
    double value = density * unit;
    value = value > most ? most : value;
    value = value < -most ? -most : value;
    value = density > 0.0f && value < least ? least : value;
    if (wide) return (float)value;
    /* To 20 binary digits first, ties to even, so that float32's last bit says nothing. */
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += 0xFFFFFFFF + (bits >> 33 & 1);
    bits &= ~(uint64_t)0x1FFFFFFFF;
    memcpy(&value, &bits, sizeof bits);
    return shortened(value);
}

typedef uint16_t Halves __attribute__((vector_size(2 * ROW_LANES)));

/* Where the coefficients of a row go, and which comes to each lane. */
typedef struct {
    int lanes[3 * ROW_FUNCTIONS * MOST_VECTORS];
    Ints source[MOST_VECTORS];      /* number of the coefficient of each lane; 0 where there is none */
    Ints there[MOST_VECTORS];       /* all bits where there is one */
    Halves there_half[MOST_VECTORS]; /* the same */
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
    for (int v = 0; v < MOST_VECTORS; v++)
        spread->there_half[v] = __builtin_convertvector((Words)spread->there[v], Halves);
}

INLINE void put_halves(uint16_t *row, Row values)
{
#if defined(__clang__) && (defined(__F16C__) || defined(__aarch64__))
    typedef _Float16 Rounded __attribute__((vector_size(2 * ROW_LANES)));
    const Rounded halves = __builtin_convertvector(values, Rounded);
    memcpy(row, &halves, sizeof halves);
#else
    for (int i = 0; i < ROW_LANES; i++) row[i] = half_of(values[i]);
#endif
}

/* The densities of up to LANES rows. */
typedef struct {
    float floats[LANES]; /* as the pool holds them: these, or `halves` */
    uint16_t halves[LANES];
    uint32_t positive; /* bit i: whether the i-th is above 0 */
} Densities;

/* Those of the `n` rows of a run from `at` on; those that stay in the pool are left out. */
INLINE void densities_of(const Batch *batch, int32_t run, int64_t at, int64_t n, double unit, const int wide,
                         Densities *out)
{
    float as_stored[LANES] = {0};
    if (n >= LANES && !batch->source)
        memcpy(as_stored, batch->density[run] + place_in_run(batch, run, at), sizeof as_stored);
    else
        for (int i = 0; i < LANES && i < n; i++) {
            const int64_t from = place_in_run(batch, run, at + i);
            if (from != EMPTY) as_stored[i] = batch->density[run][from];
        }
    for (int i = 0; i < LANES; i++) out->floats[i] = stored_density(as_stored[i], unit, wide);
    Reals values;
    memcpy(&values, as_stored, sizeof values);
    out->positive = bits_of(values > 0.0f);
    memcpy(&values, out->floats, sizeof values);
    if (!wide) put_halves(out->halves, values);
}

/* The rows of a brick, one after another. */
typedef struct {
    int64_t at, end; /* the next one; of its run */
    int32_t run;
    int which;       /* of `densities` */
    Densities densities;
} Cursor;

INLINE Cursor rows_from(const Batch *batch, int64_t first)
{
    Cursor cursor;
    cursor.at = first;
    cursor.run = run_of(batch, first);
    cursor.end = batch->run_start[cursor.run + 1];
    cursor.which = LANES - 1;
    return cursor;
}

/* The place in its run of the row that comes next, before `end`; its density is then `which`. */
INLINE int64_t next_row(const Scene *scene, const Batch *batch, Cursor *cursor, int64_t end, const int wide)
{
    if (cursor->at == cursor->end) {
        cursor->run++;
        cursor->end = batch->run_start[cursor->run + 1];
        cursor->which = LANES - 1;
    }
    if (++cursor->which == LANES) {
        const int64_t last = cursor->end < end ? cursor->end : end;
        cursor->which = 0;
        densities_of(batch, cursor->run, cursor->at, last - cursor->at, scene->unit, wide, &cursor->densities);
    }
    return place_in_run(batch, cursor->run, cursor->at++);
}

INLINE void put_density(Pool *pool, int64_t at, const Cursor *from)
{
    if (pool->wide)
        ((float *)pool->density)[at] = from->densities.floats[from->which];
    else
        ((uint16_t *)pool->density)[at] = from->densities.halves[from->which];
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

/* Functions of a vector, channel by channel, from where each channel's lie one after another; see `lane_of`. */
INLINE Halves woven(const uint16_t *red, const uint16_t *green, const uint16_t *blue)
{
    typedef uint16_t Channel __attribute__((vector_size(16)));
    Channel r, g, b;
    memcpy(&r, red, sizeof r);
    memcpy(&g, green, sizeof g);
    memcpy(&b, blue, sizeof b);
    const Halves rg = __builtin_shufflevector(r, g, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const Halves bb = __builtin_shufflevector(b, b, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(rg, bb, 0, 8, 16, 4, 1, 9, 17, 12, 2, 10, 18, 20, 3, 11, 19, 0);
}

/* The same of float16; READ_BEYOND more behind the row are read. */
INLINE void put_row(const Pool *pool, int64_t to, const uint16_t *halves, const Spread *spread)
{
    const int width = pool->vectors * ROW_LANES, dim = spread->n / 3;
    __builtin_prefetch(halves + READ_AHEAD);
    for (int v = 0; v < pool->vectors; v++) {
        const uint16_t *red = halves + v * ROW_FUNCTIONS;
        const Halves bits = woven(red, red + dim, red + 2 * dim) & spread->there_half[v];
        if (pool->wide) {
            typedef _Float16 Floats __attribute__((vector_size(2 * ROW_LANES)));
            const Row values = __builtin_convertvector((Floats)bits, Row);
            memcpy((float *)pool->rows + to * width + v * ROW_LANES, &values, sizeof values);
        } else {
            put_beside_cache(pool, to * width + v * ROW_LANES, bits);
        }
    }
}

static void put_last_row(const Pool *pool, int64_t to, const uint16_t *halves, const Spread *spread)
{
    uint16_t row[3 * ROW_FUNCTIONS * MOST_VECTORS + READ_BEYOND] = {0};
    memcpy(row, halves, (size_t)spread->n * sizeof *row);
    put_row(pool, to, row, spread);
}

/* A bit for each voxel of a brick, in their order; `spare` lets a line's be read together. */
typedef struct {
    uint8_t bytes[(MOST_EDGE * MOST_EDGE * MOST_EDGE + 7) / 8];
    uint8_t spare[8];
} VoxelBits;

INLINE void clear_bits(const Scene *scene, VoxelBits *voxels)
{
    memset(voxels, 0, (size_t)(scene->voxels + 7) / 8 + sizeof voxels->spare);
}

/* The bits from a voxel on: those of a line and more. */
INLINE uint64_t line_from(const VoxelBits *voxels, int voxel)
{
    uint64_t bits;
    memcpy(&bits, voxels->bytes + (voxel >> 3), sizeof bits);
    return bits >> (voxel & 7);
}

/* Where the bits of the live cells of a brick are. */
INLINE uint8_t *live_of(const Scene *scene, const Pool *pool, int64_t slot)
{
    return pool->live + ((slot * scene->brick_size * scene->brick_size * scene->brick_size) >> 3);
}

/* The bits of a brick's live cells, from those of its voxels with a density above 0. */
static void put_live(const Scene *scene, uint8_t *live, const VoxelBits *positive)
{
    const int n = scene->brick_size, edge = scene->edge;
    for (int x = 0; x < n; x++)
        for (int y = 0; y < n; y++) {
            const int line = x * edge + y;
            uint64_t any = line_from(positive, line * edge) | line_from(positive, (line + 1) * edge) |
                           line_from(positive, (line + edge) * edge) |
                           line_from(positive, (line + edge + 1) * edge);
            any |= any >> 1;
            for (int byte = 0; byte < n / 8; byte++) *live++ = (uint8_t)(any >> 8 * byte);
        }
}

/* What `place_of` counts from one row to the next. */
INLINE uint32_t places_of_row(const Pool *pool)
{
    return (uint32_t)(ROW_LANES * (pool->wide ? 4 : 2) / PLACE_BYTES * pool->vectors);
}

/* Which voxels of a brick in the pool have a density above 0. */
INLINE void find_positive(const Scene *scene, const Pool *pool, int64_t base, VoxelBits *positive)
{
    clear_bits(scene, positive);
    for (int first = 0; first < scene->voxels; first += 8) {
        unsigned bits = 0;
        for (int i = 0; i < 8 && first + i < scene->voxels; i++) {
            const int64_t at = base + first + i;
            bits |= (unsigned)(pool->wide ? ((const float *)pool->density)[at] > 0.0f
                                          : ((const int16_t *)pool->density)[at] > 0) << i;
        }
        positive->bytes[first >> 3] = (uint8_t)bits;
    }
}

/* Rows of a brick that is in the pool take the place of those that it has. */
INLINE void put_changes(const Scene *scene, Pool *pool, const Batch *batch, int32_t number,
                        const Spread *spread, const int wide)
{
    const int64_t slot = batch->slots[number], base = slot * scene->voxels;
    const uint8_t *mask = batch->mask + (int64_t)number * batch->mask_bytes;
    const int64_t first = batch->row_start[number], end = batch->row_start[number + 1];
    const uint32_t per_row = places_of_row(pool);
    Cursor cursor = rows_from(batch, first);
    int any = 0;
    for (int byte = 0; byte < batch->mask_bytes; byte++)
        for (unsigned bits = mask[byte]; bits && cursor.at < end; bits &= bits - 1) {
            const int voxel = 8 * byte + __builtin_ctz(bits);
            const int64_t from = next_row(scene, batch, &cursor, end, wide);
            if (from == EMPTY || voxel >= scene->voxels) continue;
            const int64_t row = pool->place_of[base + voxel] / per_row;
            put_density(pool, base + voxel, &cursor);
            put_floats(pool, row, (const float *)batch->sh[cursor.run] + from * spread->n, spread);
            any = 1;
        }
    if (!any) return;
    VoxelBits positive;
    find_positive(scene, pool, base, &positive);
    put_live(scene, live_of(scene, pool, slot), &positive);
}

INLINE void put_brick(const Scene *scene, Pool *pool, const Batch *batch, int32_t number,
                      const Spread *spread, const int wide)
{
    const int64_t slot = batch->slots[number], base = slot * scene->voxels;
    const int32_t *pages = batch->pages + batch->page_start[number];
    const uint8_t *mask = batch->mask + (int64_t)number * batch->mask_bytes;
    const int64_t first = batch->row_start[number], end = batch->row_start[number + 1];
    const size_t size = wide ? 4 : 2;
    const uint32_t per_row = places_of_row(pool);
    memset((char *)pool->density + base * size, 0, scene->voxels * size);
    memset(pool->place_of + base, 0, scene->voxels * sizeof *pool->place_of);
    if (pool->weight) memset(pool->weight + base, 0, scene->voxels * sizeof *pool->weight);
    VoxelBits positive;
    clear_bits(scene, &positive);
    Cursor cursor = rows_from(batch, first);
    for (int byte = 0; byte < batch->mask_bytes; byte++)
        for (unsigned bits = mask[byte]; bits && cursor.at < end; bits &= bits - 1) {
            const int bit = __builtin_ctz(bits), voxel = 8 * byte + bit;
            if (voxel >= scene->voxels) break;
            const int64_t rank = cursor.at - first;
            const int64_t row = (int64_t)pages[rank / PAGE_ROWS] * PAGE_ROWS + rank % PAGE_ROWS;
            const int64_t from = next_row(scene, batch, &cursor, end, wide);
            const void *sh = batch->sh[cursor.run];
            put_density(pool, base + voxel, &cursor);
            positive.bytes[byte] |= (uint8_t)((cursor.densities.positive >> cursor.which & 1) << bit);
            pool->place_of[base + voxel] = (uint32_t)row * per_row;
            if (batch->sh_wide)
                put_floats(pool, row, (const float *)sh + from * spread->n, spread);
            else if ((cursor.end - cursor.at) * spread->n >= READ_BEYOND && !batch->source)
                put_row(pool, row, (const uint16_t *)sh + from * spread->n, spread);
            else /* it may be the last there is */
                put_last_row(pool, row, (const uint16_t *)sh + from * spread->n, spread);
        }
    put_live(scene, live_of(scene, pool, slot), &positive);
}

#endif
