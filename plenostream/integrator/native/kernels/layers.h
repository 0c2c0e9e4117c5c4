/* Layers behind the volume, seen by rays that have left it (`docs/rules.md`, rule 23).

   The arithmetic is that of `field/background.py`: places in float64, texels in float32. A ray goes
   outward through the spheres; where it needs a chunk of texels that is not there, it stops, and goes
   on in a later call. */
#ifndef LAYERS_H
#define LAYERS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "lanes.h"

/* The records of `structs.py`. */
typedef struct {
    const int32_t *links;     /* [around, height] row of each texel; negative: none */
    const float *texels;      /* [slots, chunk_rows, n_layers, 4] red, green, blue, density */
    const int32_t *slot_of;   /* [chunks]; negative: not there; 0: all are, in order */
    int32_t around, height, n_layers, chunk_rows, n_spheres, spare;
    double center[3], scale[3]; /* of the volume; 1 / radius */
    double stop_thresh;
} Layers;

typedef struct {
    const double *origins, *directions; /* [3, n] world */
    double *trans, *before;             /* [n] light left; inverse radius of the last sphere, 0: none yet */
    double *colour;                     /* [n, 3] */
    int32_t *next;                      /* [n] sphere to go on with */
    uint8_t *wanted;                    /* [chunks] set where a ray stopped */
    int32_t *urgent;                    /* [4] chunks that the first of them needs, EMPTY for none */
    int64_t n;
} OutwardRays;

enum { SPHERES = 16, CORNERS = 4, NO_CHUNK = -1, RAYS_AT_ONCE = 64 };

/* Spheres that follow each other, up to SPHERES of them. */
typedef struct {
    int32_t first, n;
    double inverse[SPHERES], square[SPHERES]; /* 1 / radius, radius^2 */
    int32_t layer[SPHERES];
    float deeper[SPHERES];
} Spheres;

/* One ray, in units in which the volume's ellipsoid is the unit sphere. */
typedef struct {
    double start[3], along[3], nearest, squared, innermost, world_per_t;
} Outward;

/* What a ray meets on them: the corner texel, and how far from it to the next ones. */
typedef struct {
    int32_t column[SPHERES], line[SPHERES];
    float part_x[SPHERES], part_y[SPHERES];
} Pierced;

/* atan2(y, x) to 1e-14: an odd polynomial around an eighth of a turn, from Chebyshev's nodes. */
INLINE double angle_of(double y, double x)
{
    const double tan_eighth = 0.41421356237309503, pi = 3.141592653589793;
    const double wide = fabs(x), high = fabs(y);
    const double less = wide < high ? wide : high, more = (wide < high ? high : wide) + 1e-300;
    const double z = (less - tan_eighth * more) / (more + tan_eighth * less), u = z * z;
    double p = 0.030702703926526288;
    p = p * u - 0.058772689771073548;
    p = p * u + 0.075644742298227749;
    p = p * u - 0.090785040280736834;
    p = p * u + 0.11110394059222084;
    p = p * u - 0.1428569081805377;
    p = p * u + 0.19999999613364464;
    p = p * u - 0.33333333330872839;
    p = p * u + 0.99999999999997446;
    double angle = pi / 8 + z * p;
    angle = wide < high ? pi / 2 - angle : angle;
    angle = x < 0 ? pi - angle : angle;
    return y < 0 ? -angle : angle;
}

/* exp(x) for x <= 0 to 1e-12 of it. */
INLINE double exp_of(double x)
{
    x = (x > -700 ? x : -700) * 1.4426950408889634;
    const int64_t n = (int64_t)(x - 0.5);
    const double f = x - (double)n;
    double p = 1.3259691743114984e-06;
    p = p * f + 1.5310081589973446e-05;
    p = p * f + 0.00015403433532200746;
    p = p * f + 0.0013333450558785471;
    p = p * f + 0.0096181291942561593;
    p = p * f + 0.055504109412171342;
    p = p * f + 0.2402265069563897;
    p = p * f + 0.69314718054592961;
    p = p * f + 1.0000000000000142;
    const int64_t bits = (n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static Outward outward_of(const Layers *layers, const OutwardRays *rays, int64_t ray)
{
    Outward out;
    double length = 0.0, scaled = 0.0;
    for (int a = 0; a < 3; a++) length += rays->directions[a * rays->n + ray] * rays->directions[a * rays->n + ray];
    for (int a = 0; a < 3; a++) {
        out.along[a] = rays->directions[a * rays->n + ray] / sqrt(length) * layers->scale[a];
        scaled += out.along[a] * out.along[a];
        out.start[a] = (rays->origins[a * rays->n + ray] - layers->center[a]) * layers->scale[a];
    }
    out.world_per_t = 1.0 / sqrt(scaled);
    out.nearest = 0.0;
    for (int a = 0; a < 3; a++) out.along[a] *= out.world_per_t;
    for (int a = 0; a < 3; a++) out.nearest += out.start[a] * out.along[a];
    out.squared = 0.0;
    for (int a = 0; a < 3; a++) {
        const double off = out.start[a] - out.nearest * out.along[a];
        out.squared += off * off;
    }
    /* The first sphere lies a little outside of the ray's nearest point to the centre, at least. */
    const double least = sqrt(out.squared) + 1e-3;
    out.innermost = least > 1.0 ? least : 1.0;
    return out;
}

static Spheres spheres_from(const Layers *layers, int32_t first)
{
    const double n = layers->n_spheres, last = layers->n_layers - 1.0;
    const int32_t left = layers->n_spheres - first;
    Spheres spheres = {.first = first, .n = left < SPHERES ? left : SPHERES};
    for (int i = 0; i < SPHERES; i++) {
        const double inverse = (n - (first + i) - 0.5) / n, place = (1.0 - inverse) * layers->n_layers - 0.5;
        const double depth = place < 0.0 ? 0.0 : place > last ? last : place;
        spheres.inverse[i] = inverse;
        spheres.square[i] = 1.0 / (inverse * inverse);
        spheres.layer[i] = depth < last ? (int32_t)depth : layers->n_layers - 2;
        spheres.deeper[i] = (float)(depth - spheres.layer[i]);
    }
    return spheres;
}

/* Where a ray meets the spheres. Each loop becomes vectors. */
static void meet_spheres(const Layers *layers, const Spheres *spheres, const Outward *ray, Pierced *met)
{
    double place[3][SPHERES], x[SPHERES], y[SPHERES];
    const double pi = 3.141592653589793, around = layers->around, height = layers->height;
    for (int i = 0; i < SPHERES; i++) {
        const double square = spheres->square[i] - ray->squared;
        const double t = sqrt(square > 0.0 ? square : 0.0) - ray->nearest;
        for (int a = 0; a < 3; a++) place[a][i] = (ray->start[a] + t * ray->along[a]) * spheres->inverse[i];
    }
    for (int i = 0; i < SPHERES; i++) {
        const double level = sqrt(place[0][i] * place[0][i] + place[2][i] * place[2][i]);
        x[i] = around * (0.5 + angle_of(place[0][i], place[2][i]) * (0.5 / pi));
        y[i] = height * (0.5 - angle_of(place[1][i], level) * (1.0 / pi));
    }
    for (int i = 0; i < SPHERES; i++) {
        /* Neither is below 0 but for rounding. */
        const double from_0 = x[i] > 0.0 ? x[i] : 0.0, from_pole = y[i] > 0.0 ? y[i] : 0.0;
        met->column[i] = (int32_t)from_0;
        met->line[i] = (int32_t)from_pole;
        met->part_x[i] = (float)(from_0 - met->column[i]);
        met->part_y[i] = (float)(from_pole - met->line[i]);
    }
}

/* The four rows around a place: the first texel of each, and 0 where there is none, else 1. Branches
   on that would be guessed wrong as often as not. */
typedef struct {
    const float *row[CORNERS];
    float there[CORNERS];
} Corners;

/* Those around a corner texel; says whether all are in memory. */
static int find_corners(const Layers *layers, OutwardRays *rays, int32_t column, int32_t line, Corners *corners)
{
    int missing = 0;
    int32_t rows[CORNERS], needed[CORNERS];
    for (int i = 0; i < CORNERS; i++) {
        int32_t c = column + (i >> 1), l = line + (i & 1);
        if (c >= layers->around) c %= layers->around;
        if (l >= layers->height) l %= layers->height;
        rows[i] = layers->links[(int64_t)c * layers->height + l];
        corners->there[i] = rows[i] < 0 ? 0.0f : 1.0f;
    }
    if (!layers->slot_of) {
        for (int i = 0; i < CORNERS; i++)
            corners->row[i] = layers->texels + (int64_t)(rows[i] < 0 ? 0 : rows[i]) * layers->n_layers * 4;
        return 1;
    }
    const double chunks_per_row = 1.0 / layers->chunk_rows; /* a division takes longer than all the rest */
    for (int i = 0; i < CORNERS; i++) {
        corners->row[i] = layers->texels;
        needed[i] = NO_CHUNK;
        if (rows[i] < 0) continue;
        needed[i] = (int32_t)((rows[i] + 0.5) * chunks_per_row);
        const int64_t slot = layers->slot_of[needed[i]], within = rows[i] - needed[i] * layers->chunk_rows;
        if (slot < 0) missing = 1;
        else corners->row[i] = layers->texels + (slot * layers->chunk_rows + within) * layers->n_layers * 4;
    }
    if (!missing) return 1;
    int is_first = 1;
    for (int i = 0; i < CORNERS; i++) is_first &= rays->urgent[i] == NO_CHUNK;
    for (int i = 0; i < CORNERS; i++) {
        if (is_first) rays->urgent[i] = needed[i];
        if (needed[i] != NO_CHUNK) rays->wanted[needed[i]] = 1;
    }
    return 0;
}

/* Red, green, blue and density between four rows and two layers. */
INLINE Four blend(const Corners *corners, int32_t layer, float deeper, float part_x, float part_y)
{
    Eight both = {0};
    for (int i = 0; i < CORNERS; i++) {
        const float share = (i >> 1 ? part_x : 1.0f - part_x) * (i & 1 ? part_y : 1.0f - part_y);
        Eight texels;
        memcpy(&texels, corners->row[i] + 4 * layer, sizeof texels);
        both += corners->there[i] * share * texels;
    }
    const Four near = {both[0], both[1], both[2], both[3]}, far = {both[4], both[5], both[6], both[7]};
    return near + deeper * (far - near);
}

/* Take a ray through the spheres, or to the first of them whose texels are missing. */
static void see_spheres(const Layers *layers, const Spheres *spheres, const Outward *ray, OutwardRays *rays,
                        int64_t r)
{
    int from = rays->next[r] - spheres->first, end = spheres->n;
    /* Those that do not count lie inside of the ray's nearest point to the centre. */
    while (from < end && !(1.0 / spheres->inverse[from] >= ray->innermost)) from++;
    rays->next[r] = spheres->first + from;
    if (from >= end) return;
    Pierced met;
    Four texel[SPHERES];
    double left[SPHERES], sigma[SPHERES] = {0};
    Corners corners;
    meet_spheres(layers, spheres, ray, &met);
    for (int i = from; i < end; i++) {
        const int same = i > from && met.column[i] == met.column[i - 1] && met.line[i] == met.line[i - 1];
        if (!same && !find_corners(layers, rays, met.column[i], met.line[i], &corners)) {
            end = i;
            break;
        }
        texel[i] = blend(&corners, spheres->layer[i], spheres->deeper[i], met.part_x[i], met.part_y[i]);
        sigma[i] = texel[i][3] > 0.0f ? texel[i][3] : 0.0f;
    }
    rays->next[r] = spheres->first + end;
    if (from >= end) return;
    for (int i = 0; i < SPHERES; i++) {
        const double before = i == from ? rays->before[r] : spheres->inverse[i > 0 ? i - 1 : 0];
        left[i] = exp_of((spheres->inverse[i] - before) * ray->world_per_t * sigma[i]);
    }
    double trans = rays->trans[r], *colour = rays->colour + 3 * r;
    for (int i = from; i < end; i++) {
        const double weight = trans * (1.0 - left[i]);
        for (int c = 0; c < 3; c++) {
            const double shown = texel[i][c] * 0.28209479177387814 + 0.5;
            colour[c] += weight * (shown > 0.0 ? shown : 0.0);
        }
        trans *= left[i];
        if (sigma[i] > 0.0 && trans < layers->stop_thresh) {
            rays->next[r] = layers->n_spheres;
            break;
        }
    }
    rays->trans[r] = trans;
    rays->before[r] = spheres->inverse[end - 1];
}

/* Take up to RAYS_AT_ONCE rays from number `low` on outward as far as there are texels: side by side, so
   that what one reads is at hand for the next. */
static void see_outward(const Layers *layers, OutwardRays *rays, int64_t low)
{
    const int n = rays->n - low < RAYS_AT_ONCE ? (int)(rays->n - low) : RAYS_AT_ONCE;
    Outward outward[RAYS_AT_ONCE];
    int32_t begin = layers->n_spheres;
    for (int i = 0; i < n; i++) {
        const int64_t r = low + i;
        outward[i] = outward_of(layers, rays, r);
        if (rays->before[r] == 0.0) rays->before[r] = 1.0 / outward[i].innermost;
        if (rays->trans[r] <= 0.0) rays->next[r] = layers->n_spheres;
        begin = rays->next[r] < begin ? rays->next[r] : begin;
    }
    for (int32_t first = begin; first < layers->n_spheres; first += SPHERES) {
        const Spheres spheres = spheres_from(layers, first);
        for (int i = 0; i < n; i++) {
            const int32_t next = rays->next[low + i];
            /* One that stopped stays behind. */
            if (next >= first && next < first + spheres.n) see_spheres(layers, &spheres, &outward[i], rays, low + i);
        }
    }
}

#endif
