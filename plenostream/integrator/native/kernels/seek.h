/* Where a ray's next sample lies that can contribute: through the map of empty space.

   A unit of the map is a block of cells (or several, in very large grids) with its distance to the
   nearest one that has a box; all units nearer than that are empty and are jumped over at once. A
   sample counts as inside a box where its cell is one of the box's: the tight boxes are what the
   host loop chose the bricks by, so a ray may ask for no other brick. Cells are those that rays are walked by,
   in fixed point (`steps.h`). Ways through many of them are found in float64, and there a box is larger by what
   both may differ by, and what is jumped over smaller. */
#ifndef SEEK_H
#define SEEK_H

#include "lanes.h"
#include "scene.h"

#define FAR 1e30 /* beyond every sample's number; times a direction's inverse still finite */
#define NEARLY 0.9999 /* of a way: what rounding adds to it does not make it longer */
#define HAIR 1e-9 /* samples by which a box is larger: those on its faces are in it, too */
#define FASTEST 1e6 /* cells a step: a ray with longer ones has no sample but the first */

typedef struct {
    double entry[3];
    double along[3];    /* from one sample to the next */
    double inverse[3];  /* of it; FAR where it is 0 */
    int32_t n;          /* samples */
} Course;

/* Numbers with 32 binary digits behind the point, in two's complement. */
INLINE uint64_t fixed(double x) { return (uint64_t)llrint(x * 0x1p32); }
INLINE uint64_t fixed_step(double along) { return along > -FASTEST && along < FASTEST ? fixed(along) : 0; }
INLINE int32_t cell_of(uint64_t place) { return (int32_t)(place >> 32); }

/* Cells by which the place of a sample in fixed point may lie beside that in float64. */
INLINE double drift(const Course *course) { return (course->n + 1) * 0x1p-32; }

INLINE Course course_of(const Scene *scene, const Tile *tile, int ray)
{
    Course course;
    for (int a = 0; a < 3; a++) {
        course.entry[a] = tile->entry[a][ray];
        course.along[a] = tile->direction[a][ray] * scene->step;
        course.inverse[a] = course.along[a] == 0.0 ? FAR : 1.0 / course.along[a];
    }
    course.n = tile->n_samples[ray];
    return course;
}

/* Least whole number from `x` on, at most `n`; x is no NaN. */
INLINE int32_t number_from(double x, int32_t n)
{
    if (!(x < n)) return n;
    if (x <= 0.0) return 0;
    const int32_t whole = (int32_t)x;
    return whole + (whole < x);
}

/* Number of a sample after k, which lies in the cells [low, high), before which all others do, or n. Cells at the
   border reach to the end of every ray, since positions are clamped there. */
INLINE int32_t leave(const Scene *scene, const Course *course, int32_t k, const int32_t low[3],
                     const int32_t high[3])
{
    const double hair = drift(course);
    double exit = FAR;
    for (int a = 0; a < 3; a++) {
        double t = FAR;
        if (course->along[a] < 0.0 && low[a] > 0)
            t = (low[a] + hair - course->entry[a]) * course->inverse[a];
        else if (course->along[a] > 0.0 && high[a] < scene->size[a] - 1)
            t = (high[a] - hair - course->entry[a]) * course->inverse[a];
        exit = t < exit ? t : exit;
    }
    const int32_t next = number_from(exit, course->n);
    return next > k ? next : k + 1;
}

/* The samples [first, end) of a ray that may lie in the cells [low, high). */
INLINE void samples_in(const Scene *scene, const Course *course, const int32_t low[3],
                       const int32_t high[3], int32_t *first, int32_t *end)
{
    const double hair = drift(course);
    double enter = 0.0, exit = FAR;
    for (int a = 0; a < 3; a++) {
        const double below = low[a] <= 0 ? -FAR : (low[a] - hair - course->entry[a]) * course->inverse[a];
        const double above =
            high[a] >= scene->size[a] - 1 ? FAR : (high[a] + hair - course->entry[a]) * course->inverse[a];
        double near = below, far = above;
        if (course->along[a] < 0.0) {
            near = high[a] >= scene->size[a] - 1 ? -FAR : above;
            far = low[a] <= 0 ? FAR : below;
        }
        enter = near > enter ? near : enter;
        exit = far < exit ? far : exit;
    }
    *first = number_from(enter - HAIR, course->n);
    *end = exit < course->n ? (int32_t)(exit + HAIR) + (exit + HAIR >= 0.0) : course->n;
}

INLINE void cell_at(const Scene *scene, const Course *course, int32_t k, int32_t cell[3])
{
    for (int a = 0; a < 3; a++) {
        const int32_t c = cell_of(fixed(course->entry[a]) + fixed_step(course->along[a]) * (uint64_t)k);
        const int32_t last = scene->size[a] - 2;
        cell[a] = c < 0 ? 0 : c > last ? last : c;
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

/* Whether a cell lies in a box. */
INLINE int is_in_box(const Scene *scene, const int32_t cell[3])
{
    const Box box = box_at(scene, cell);
    int inside = 1;
    for (int a = 0; a < 3; a++) {
        const int32_t at = cell[a] & (scene->brick_size - 1);
        inside &= at >= box.low[a] && at < box.high[a];
    }
    return inside;
}

/* Bricks that need not be found again: those that were met by `packet`. */
typedef struct {
    const int32_t *met_by; /* [bricks] */
    int32_t packet;
} Met;

/* The first sample from k on that may lie in a box, and the brick of the box; n where there is none.
   Bricks in `met`, if given, are passed by. */
static int32_t seek(const Scene *scene, const Course *course, int32_t k, const Met *met, int32_t *brick)
{
    while (k < course->n) {
        const int32_t at = k;
        int32_t cell[3], low[3], high[3];
        cell_at(scene, course, k, cell);
        const int unit_bits = scene->unit_bits;
        const int64_t unit = ((int64_t)(cell[0] >> unit_bits) * scene->units[1] + (cell[1] >> unit_bits)) *
                                 scene->units[2] + (cell[2] >> unit_bits);
        const int32_t distance = scene->distance[unit];
        if (distance > 0) {
            for (int a = 0; a < 3; a++) {
                low[a] = ((cell[a] >> unit_bits) - (distance - 1)) * (1 << unit_bits);
                high[a] = ((cell[a] >> unit_bits) + distance) * (1 << unit_bits);
            }
            k = leave(scene, course, k, low, high);
            continue;
        }
        const int bits = scene->brick_bits;
        const int32_t number = scene->brick_at[((int64_t)(cell[0] >> bits) * scene->bricks[1] +
                                                (cell[1] >> bits)) * scene->bricks[2] + (cell[2] >> bits)];
        int edge_bits = BLOCK_BITS; /* of what the ray leaves where it finds nothing */
        if (number >= 0 && met && met->met_by[number] == met->packet)
            edge_bits = bits;
        else if (number >= 0) {
            int64_t place = number;
            for (int a = 0; a < 3; a++)
                place = (place << scene->blocks_bits) +
                        ((cell[a] & (scene->brick_size - 1)) >> BLOCK_BITS);
            const Box *box = &scene->boxes[place];
            if (box->high[0] > 0) {
                int32_t first, end = 0, inside = 1;
                for (int a = 0; a < 3; a++) {
                    const int32_t origin = cell[a] & ~(scene->brick_size - 1);
                    low[a] = origin + box->low[a];
                    high[a] = origin + box->high[a];
                    inside &= cell[a] >= low[a] && cell[a] < high[a];
                }
                if (!inside) {
                    samples_in(scene, course, low, high, &first, &end);
                    k = first > k ? first : k + 1;
                }
                if (inside || k < end) {
                    *brick = number;
                    return k;
                }
                k = at;
            }
        }
        for (int a = 0; a < 3; a++) {
            low[a] = cell[a] & -(1 << edge_bits);
            high[a] = low[a] + (1 << edge_bits);
        }
        k = leave(scene, course, k, low, high);
    }
    return course->n;
}

#endif
