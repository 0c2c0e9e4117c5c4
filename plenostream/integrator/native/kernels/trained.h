/* Rows that are trained: their total variation, and a step of an optimiser.
   `train/plain_rows.py` does the same in NumPy. */
#ifndef TRAINED_H
#define TRAINED_H

#include <math.h>

#include "lanes.h"
#include "scene.h"

/* n rows, one a voxel, and the derivatives of those that a step touches. */
typedef struct {
    float *density, *sh;               /* [n] and [n, columns] */
    float *density_square, *sh_square; /* the same: means of squared derivatives; 0: there are none */
    float *by_density, *by_sh;         /* [n] and [n, columns]: derivatives, 0 of untouched rows */
    uint8_t *touched;                  /* [n]: whether anything was added to them */
    const int32_t *beyond;             /* [n, 3]: next row along x, y, z, see `VoxelSet.beyond` */
    int32_t columns, spare;
} Trained;

/* What a step of an optimiser goes by. */
typedef struct {
    float density_rate, sh_rate, beta, epsilon;
} Step;

/* Derivatives of `weight` times the total variation of n numbers of a voxel, whose next ones along the
   axes are `next`; 0 in place of those that are not there. `squares` [3] of the axes' scales. */
INLINE void vary(const float *own, const float *const next[3], float *by_own, float *const by_next[3], int n,
                 const float *squares, float weight)
{
    for (int c = 0; c < n; c++) {
        float d[3], sum = 1e-9f;
        for (int a = 0; a < 3; a++) {
            d[a] = (next[a] ? next[a][c] : 0.0f) - own[c];
            sum += squares[a] * d[a] * d[a];
        }
        const float factor = weight / sqrtf(sum);
        for (int a = 0; a < 3; a++) {
            const float by = factor * squares[a] * d[a];
            if (by_next[a]) by_next[a][c] += by;
            by_own[c] -= by;
        }
    }
}

/* Add the derivatives of the total variation at the rows [first, end). */
static void vary_rows(const Trained *rows, int64_t first, int64_t end, const float *squares, float density_weight,
                      float sh_weight)
{
    const int columns = rows->columns;
    for (int64_t row = first; row < end; row++) {
        const float *density[3] = {0}, *sh[3] = {0};
        float *by_density[3] = {0}, *by_sh[3] = {0};
        for (int a = 0; a < 3; a++) {
            const int64_t next = rows->beyond[3 * row + a];
            if (next < 0) continue;
            rows->touched[next] = 1;
            density[a] = rows->density + next, sh[a] = rows->sh + next * columns;
            by_density[a] = rows->by_density + next, by_sh[a] = rows->by_sh + next * columns;
        }
        rows->touched[row] = 1;
        if (density_weight > 0.0f)
            vary(rows->density + row, density, rows->by_density + row, by_density, 1, squares,
                 density_weight);
        if (sh_weight > 0.0f)
            vary(rows->sh + row * columns, sh, rows->by_sh + row * columns, by_sh, columns, squares,
                 sh_weight);
    }
}

/* Take n numbers a step down, by RMSprop where there are mean squares, else by the derivative itself. */
INLINE void descend(float *restrict value, float *restrict square, const float *restrict by, int n, float rate,
                    const Step *step)
{
    if (!square) {
        for (int c = 0; c < n; c++) value[c] -= rate * by[c];
        return;
    }
    for (int c = 0; c < n; c++) {
        const float mine = by[c] * by[c];
        const float mean = square[c] == 0.0f ? mine : mine + step->beta * (square[c] - mine);
        square[c] = mean;
        value[c] -= rate * by[c] / (sqrtf(mean) + step->epsilon);
    }
}

/* Take those of the rows [first, end) that are touched a step down; they are untouched then. */
static void descend_rows(const Trained *rows, int64_t first, int64_t end, const Step *step)
{
    const int columns = rows->columns;
    for (int64_t row = first; row < end; row++) {
        if (!rows->touched[row]) continue;
        float *density_square = rows->density_square ? rows->density_square + row : 0;
        float *sh_square = rows->sh_square ? rows->sh_square + row * columns : 0;
        descend(rows->density + row, density_square, rows->by_density + row, 1, step->density_rate, step);
        descend(rows->sh + row * columns, sh_square, rows->by_sh + row * columns, columns, step->sh_rate, step);
        rows->by_density[row] = 0.0f;
        memset(rows->by_sh + row * columns, 0, columns * sizeof *rows->by_sh);
        rows->touched[row] = 0;
    }
}

#endif
