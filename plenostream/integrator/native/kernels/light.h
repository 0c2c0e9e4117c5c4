/* Light as colours see it, where that is not what depth sees (`docs/rules.md`, rules 25 and 28). */
#ifndef LIGHT_H
#define LIGHT_H

#include "lanes.h"
#include "scene.h"

#define LEFT_ONE 0x1p24f

/* Running sums: lane i holds the sum of lanes 0 to i. */
INLINE Ints running_sum(Ints x)
{
    const Ints zero = {0};
    x += SHIFTED(x, 1, zero);
    x += SHIFTED(x, 2, zero);
    x += SHIFTED(x, 4, zero);
    x += SHIFTED(x, 8, zero);
    return x;
}

/* 1 - exp(x) for x <= 0: near 0 by a series, since the difference from 1 would keep few digits. */
INLINE Reals opacity(Reals x)
{
    Reals p = splat(1.0f / 120.0f);
    p = p * x + 1.0f / 24.0f;
    p = p * x + 1.0f / 6.0f;
    p = p * x + 0.5f;
    p = p * x + 1.0f;
    return choose(x > -0.1f, -x * p, 1.0f - exp_below_0(x));
}

/* Weights of the colours of LANES samples of densities `sigma`, of which those that do not count are
   0, and the light left of `left` after them. `before` and `after` are what depth sees before and
   after each; `tau` is minus the length of a step; sample `last` is the last of the ray. */
INLINE Reals colour_weights(const Scene *scene, Reals sigma, Reals before, Reals after, float tau,
                            int32_t last, float *left)
{
    if (scene->light == ADDS_UP) {
        /* In whole numbers, which float32 holds exactly: the sum is the same in any groups. */
        const Ints own = __builtin_convertvector(opacity(sigma * tau) * LEFT_ONE + 0.5f, Ints);
        const Reals taken = __builtin_convertvector(running_sum(own), Reals);
        const Reals rest = most(splat(*left) - taken * (1.0f / LEFT_ONE), (Reals){0});
        const Reals weight = SHIFTED(rest, 1, splat(*left)) - rest;
        *left = rest[LANES - 1];
        return weight;
    }
    Reals weight = before - after;
    *left = after[LANES - 1];
    if (last < LANES && sigma[last] > 0.0f) {
        const Reals rest = before * exp_below_0(sigma * scene->opaque_tau);
        weight[last] = before[last] - rest[last];
        *left = rest[last];
    }
    *left = *left < scene->stop_thresh ? 0.0f : *left;
    return weight;
}

#endif
