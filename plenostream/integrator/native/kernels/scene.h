/* What the kernels are given: the same records as in `structs.py`. */
#ifndef SCENE_H
#define SCENE_H

#include "lanes.h"

enum {
    TILE_RAYS = 64,
    BLOCK_BITS = 3,     /* blocks have 8 cells an axis */
    PAGE_ROWS = 16,
    PLACE_BYTES = 8,    /* the largest that a processor multiplies by on its way to memory */
    ROW_LANES = 16,     /* colour rows are made of vectors of so many numbers */
    ROW_FUNCTIONS = 5,  /* and each vector holds so many basis functions */
    MOST_VECTORS = 5,   /* of a row: 25 functions */
    EMPTY = -1,
    ABSENT = -2, /* in place of a slot: there is a brick with boxes, and it is not in memory */
};

/* How samples take light from their rays, see `interface.Light`. */
enum { MULTIPLIES, OPAQUE_END, ADDS_UP };

/* Cells [low, high) of a block that can contribute, counted from the brick's first; all 0: none. */
typedef struct {
    uint8_t low[3], high[3], spare[2];
} Box;

/* Columns that rays gather beside colour, depth and alpha: how many, and the first of each; EMPTY
   where it is not asked for. */
typedef struct {
    int32_t n, mean_depth, median_depth, density_depth, normals, cost;
} Aovs;

/* A scene, and the rule of its samples. */
typedef struct {
    int32_t size[3];         /* voxels an axis */
    int32_t brick_size;      /* cells an axis */
    int32_t brick_bits;      /* its logarithm */
    int32_t edge, voxels;    /* voxels of a brick, an axis and in all */
    int32_t blocks_bits;     /* logarithm of the blocks an axis of a brick */
    int32_t bricks[3];       /* an axis */
    int32_t unit_bits;       /* logarithm of the cells an axis of a unit of the map */
    int32_t units[3];        /* an axis */
    int32_t unit_strides[3]; /* units from one to the next along an axis */
    int32_t basis_dim;
    const uint8_t *distance; /* [units]: to the nearest unit with a box, in units; 0: it has one */
    const int32_t *brick_at; /* [bricks]: number of the brick there, or EMPTY */
    const Box *boxes;        /* [numbers of bricks, blocks of a brick] */
    double extent[3];        /* edges of the volume, grid units: `size`, but for coarser levels */
    double margin;           /* from the volume's edges to the first and last voxels */
    int32_t low[3], high[3]; /* cells [low, high) that all boxes lie in */
    double scale[3];         /* grid units per world unit */
    double offset[3];        /* grid coordinates of the world's origin */
    double step;             /* grid units */
    double near_clip;        /* world units; a share of the radius with spheric_clip */
    double far_cap;          /* grid units */
    double unit;             /* world units: the length that densities are per */
    float sigma_thresh;      /* per unit */
    float stop_thresh;
    float opaque_tau;        /* minus the length of an opaque last sample, in units */
    int32_t spheric_clip;    /* rays begin and end at ellipsoids, not at the box */
    int32_t light;
    float depth_density;     /* per unit: beyond it lies the surface of density_depth */
    float steepness[3];      /* grid units per world unit, the largest taken as 1 */
    Aovs aovs;
} Scene;

/* Bricks in memory. Densities and rows are float32 where `wide`, else float16. */
typedef struct {
    void *density;     /* [slots, voxels] per unit of length, C order, z fastest */
    uint32_t *place_of; /* [slots, voxels]: where the row of the coefficients lies, in units of
                          PLACE_BYTES; 0, a row of zeros, where none */
    uint8_t *live;      /* [slots, brick_size, brick_size, brick_size / 8]: a bit for each cell, z
                           fastest: whether a corner has a density above 0 */
    void *rows;        /* [pages * PAGE_ROWS, 16 vectors] see `lane_of` */
    float *weight;      /* [slots, voxels]: see `weigh.h`; 0 where no weights are kept */
    int32_t wide, vectors;
} Pool;

/* Sixty-four rays: what they are, and what they have gathered. */
typedef struct {
    double entry[3][TILE_RAYS];      /* sample 0, grid coordinates */
    double direction[3][TILE_RAYS];  /* unit, in the grid */
    float t_min[TILE_RAYS];          /* from the ray's origin to sample 0, grid units */
    int32_t n_samples[TILE_RAYS];
    int32_t next[TILE_RAYS];         /* the sample that comes next; n_samples: none */
    int32_t depth[TILE_RAYS];        /* optical depth so far, in units of 1 / DEPTH_ONE */
    float trans[TILE_RAYS];          /* light left; 0 once the ray has ended */
    float left[TILE_RAYS];           /* the same for colours, see `light.h` */
    float seen[TILE_RAYS][4];        /* red, green, blue, and the sum of weight times t */
    float basis[];                   /* [basis_dim][TILE_RAYS], and [aovs.n][TILE_RAYS] behind it */
} Tile;

/* All rays of a picture. */
typedef struct {
    char *tiles;
    int64_t tile_bytes;
    uint8_t *live;          /* [n_tiles]: a ray has samples to come */
    int32_t n_tiles;
    int32_t claimed;        /* tiles that a thread has taken on */
    int32_t stop;           /* set from outside: threads are to return */
    int32_t spare;
} Rays;

/* What is counted, in the order of `structs.COUNTERS`. */
typedef struct {
    int64_t samples_marched, samples_shaded, march_lanes, shade_lanes;
} Counts;

static inline Tile *tile_of(const Rays *rays, int64_t number)
{
    return (Tile *)(rays->tiles + number * rays->tile_bytes);
}

/* The first of the next `n` tiles that nobody has taken on yet. */
static inline int32_t claim(Rays *rays, int32_t n)
{
    return __atomic_fetch_add(&rays->claimed, n, __ATOMIC_RELAXED);
}

static inline int is_stopped(const Rays *rays)
{
    return __atomic_load_n(&rays->stop, __ATOMIC_RELAXED);
}

static inline const char *row_at(const Pool *pool, uint32_t place)
{
    return (const char *)pool->rows + (uint64_t)place * PLACE_BYTES;
}

/* How far the corners of a cell lie from its first one, in voxels of the pool; z fastest. */
INLINE void corners_of(const Scene *scene, int corner[8])
{
    const int edge = scene->edge;
    for (int j = 0; j < 8; j++) corner[j] = (j >> 2) * edge * edge + (j >> 1 & 1) * edge + (j & 1);
}

/* Where a coefficient lies in a colour row: four functions in the lanes 4 j + c of a vector, and the
   fifth in the lanes 4 c + 3 that these leave. */
static inline int lane_of(int function, int channel)
{
    const int vector = function / ROW_FUNCTIONS, j = function % ROW_FUNCTIONS;
    return vector * ROW_LANES + (j < 4 ? 4 * j + channel : 4 * channel + 3);
}

#endif
