/* Where all rays of a tile have samples that can contribute, found for all of them at once: their
   samples of one number lie between bounds that move along with it. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include "seek.h"

typedef struct {
    double low[3], high[3];        /* sample 0 */
    double slowest[3], fastest[3]; /* from one sample to the next, with its sign */
    int32_t n;                     /* samples of the longest ray */
} Bundle;

static Bundle bundle_of(const Scene *scene, const Tile *tile)
{
    Bundle bundle;
    bundle.n = 0;
    for (int i = 0; i < TILE_RAYS; i++)
        bundle.n = tile->n_samples[i] > bundle.n ? tile->n_samples[i] : bundle.n;
    for (int a = 0; a < 3; a++) {
        double low = FAR, high = -FAR, slowest = FAR, fastest = -FAR;
        for (int i = 0; i < TILE_RAYS; i++) {
            const int real = tile->n_samples[i] > 0;
            const double at = tile->entry[a][i], along = tile->direction[a][i] * scene->step;
            low = real && at < low ? at : low;
            high = real && at > high ? at : high;
            slowest = real && along < slowest ? along : slowest;
            fastest = real && along > fastest ? along : fastest;
        }
        bundle.low[a] = low, bundle.high[a] = high;
        bundle.slowest[a] = slowest, bundle.fastest[a] = fastest;
    }
    return bundle;
}

/* Whether sample k of every ray lies in empty units: if so, the cells [below, above) around are
   empty. Those at the border reach out without end, since positions are clamped there. */
static int is_empty_at(const Scene *scene, const Bundle *bundle, int32_t k, double below[3], double above[3])
{
    const int bits = scene->unit_bits;
    int32_t centre[3], reach = 0;
    int64_t unit = 0;
    for (int a = 0; a < 3; a++) {
        const double last = scene->size[a] - 2.0;
        const double low = bundle->low[a] + k * bundle->slowest[a];
        const double high = bundle->high[a] + k * bundle->fastest[a];
        const int32_t first = (int32_t)(low < 0.0 ? 0.0 : low > last ? last : low) >> bits;
        const int32_t final = (int32_t)(high < 0.0 ? 0.0 : high > last ? last : high) >> bits;
        centre[a] = (first + final) >> 1;
        reach = final - centre[a] > reach ? final - centre[a] : reach;
        unit += (int64_t)centre[a] * scene->unit_strides[a];
    }
    const int32_t distance = scene->distance[unit];
    for (int a = 0; a < 3; a++) {
        const int32_t first = (centre[a] - (distance - 1)) * (1 << bits);
        const int32_t end = (centre[a] + distance) * (1 << bits);
        below[a] = first > 0 ? first : -FAR;
        above[a] = end < scene->size[a] - 1 ? end : FAR;
    }
    return distance > reach;
}

/* The sample up to which no ray can meet a box; the samples of the longest ray where none can. */
static int32_t empty_until(const Scene *scene, const Bundle *bundle)
{
    double below[3], above[3];
    int32_t k = 0;
    while (k < bundle->n && is_empty_at(scene, bundle, k, below, above)) {
        double steps = bundle->n - k;
        for (int a = 0; a < 3; a++) {
            const double slowest = bundle->slowest[a], fastest = bundle->fastest[a];
            const double down = slowest < 0.0 ? (below[a] - bundle->low[a]) / slowest - k : FAR;
            const double up = fastest > 0.0 ? (above[a] - bundle->high[a]) / fastest - k : FAR;
            steps = down < steps ? down : steps;
            steps = up < steps ? up : steps;
        }
        if (steps < 1.0) break;
        k += (int32_t)steps;
    }
    return k;
}

/* The sample from which on none can. */
static int32_t empty_after(const Scene *scene, const Bundle *bundle)
{
    double below[3], above[3];
    int32_t n = bundle->n;
    while (n > 0 && is_empty_at(scene, bundle, n - 1, below, above)) {
        double steps = n;
        for (int a = 0; a < 3; a++) {
            const double slowest = bundle->slowest[a], fastest = bundle->fastest[a];
            const double down = slowest > 0.0 ? n - 1 - (below[a] - bundle->low[a]) / slowest : FAR;
            const double up = fastest < 0.0 ? n - 1 - (above[a] - bundle->high[a]) / fastest : FAR;
            steps = down < steps ? down : steps;
            steps = up < steps ? up : steps;
        }
        if (steps < 1.0) break;
        n -= (int32_t)(steps * NEARLY) + 1;
        n = n > 0 ? n : 0;
    }
    return n;
}

#endif
