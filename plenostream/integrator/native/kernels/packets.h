/* Arbitrary rays: how to sort them into packets, and which bricks each packet may meet. */
#ifndef PACKETS_H
#define PACKETS_H

#include "seek.h"

enum { CODE_BITS = 10, CODE_CELLS_BITS = 2 };

/* Sort keys of a tile's rays, see `Integrator.octant_keys`: below the octant a Morton code of the
   place of entry, so that packets cut from their order are narrow. */
static void keys_of_tile(const Scene *scene, const Tile *tile, int64_t *keys)
{
    for (int i = 0; i < TILE_RAYS; i++) {
        const Course course = course_of(scene, tile, i);
        int32_t first, end;
        samples_in(scene, &course, scene->low, scene->high, &first, &end);
        int64_t octant = 0, code = 0;
        for (int a = 0; a < 3; a++) {
            const double entry = tile->entry[a][i] > 0.0 ? tile->entry[a][i] : 0.0;
            const int64_t at = (int64_t)entry >> CODE_CELLS_BITS;
            octant |= (int64_t)(tile->direction[a][i] < 0.0) << a;
            for (int bit = 0; bit < CODE_BITS; bit++) code |= (at >> bit & 1) << (3 * bit + a);
        }
        keys[i] = first < end ? octant << 32 | code : (int64_t)8 << 32;
    }
}

/* Where `bricks_met` goes on, and what it found. */
typedef struct {
    int32_t packet, end;  /* the packets that are still to be looked at */
    int32_t capacity;     /* of `bricks` */
    int32_t n_bricks;     /* found */
    int32_t *bricks;      /* packet by packet, each brick once */
    int32_t *n_met;       /* [end]: how many of them are of each packet */
    int32_t *met_by;      /* [bricks of the scene]: packet that met it last; EMPTY at first */
} Meeting;

/* Bricks that a packet's rays may need, written to `found`; EMPTY where there are more than `room`. */
static int32_t bricks_of_packet(const Scene *scene, const Tile *tile, int32_t packet, int32_t *met_by,
                                int32_t *found, int32_t room)
{
    int32_t n = 0;
    const Met met = {met_by, packet};
    for (int i = 0; i < TILE_RAYS; i++) {
        const Course course = course_of(scene, tile, i);
        int32_t k = tile->next[i], brick;
        while ((k = seek(scene, &course, k, &met, &brick)) < course.n) {
            if (n == room) return EMPTY;
            met_by[brick] = packet;
            found[n++] = brick;
        }
    }
    return n;
}

/* Look at packets while there is room for what they meet. */
static void meet(const Scene *scene, const Rays *rays, Meeting *meeting)
{
    meeting->n_bricks = 0;
    for (; meeting->packet < meeting->end; meeting->packet++) {
        const int32_t packet = meeting->packet;
        int32_t *found = meeting->bricks + meeting->n_bricks, n = 0;
        if (rays->live[packet])
            n = bricks_of_packet(scene, tile_of(rays, packet), packet, meeting->met_by, found,
                                 meeting->capacity - meeting->n_bricks);
        if (n < 0) {
            /* It is looked at again: what it has met so far counts as met by nobody. */
            for (int32_t i = 0; i < meeting->capacity - meeting->n_bricks; i++)
                meeting->met_by[found[i]] = EMPTY;
            return;
        }
        meeting->n_met[packet] = n;
        meeting->n_bricks += n;
    }
}

#endif
