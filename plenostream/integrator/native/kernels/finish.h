/* From what rays have gathered to what they see (`docs/rules.md`, rules 14 to 16). */
#ifndef FINISH_H
#define FINISH_H

#include <math.h>

#include "aovs.h"
#include "seek.h"

/* A tile that nothing could be seen in has no state: it is all background. */
static void finish_tile(const Scene *scene, const Tile *tile, int drawn, const float background[3],
                        float (*rgb)[3], float *depth, float *alpha, float *aovs)
{
    for (int i = 0; i < TILE_RAYS; i++) {
        const float left = scene->light == MULTIPLIES ? tile->trans[i] : tile->left[i];
        const float trans = drawn ? left : 1.0f;
        double square = 0.0;
        for (int a = 0; a < 3; a++) {
            const double way = tile->direction[a][i] / scene->scale[a];
            square += way * way;
        }
        for (int c = 0; c < 3; c++) rgb[i][c] = (drawn ? tile->seen[i][c] : 0.0f) + trans * background[c];
        depth[i] = drawn ? (float)(tile->seen[i][3] * sqrt(square)) : 0.0f;
        alpha[i] = 1.0f - trans;
        finish_aovs(scene, tile, i, drawn, sqrt(square), aovs + i * scene->aovs.n);
    }
}

/* The brick that a live ray of the tile still waits for; EMPTY where none does. */
static int32_t waits_for(const Scene *scene, const Tile *tile)
{
    for (int i = 0; i < TILE_RAYS; i++) {
        int32_t brick;
        if (tile->next[i] >= tile->n_samples[i]) continue;
        const Course course = course_of(scene, tile, i);
        if (seek(scene, &course, tile->next[i], 0, &brick) < course.n) return brick;
    }
    return EMPTY;
}

#endif
