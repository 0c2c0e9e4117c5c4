/* Vectors: LANES samples of a ray side by side, and the numbers of a colour row.

   Written in the vector extensions that clang and gcc share, so that one source serves every
   instruction set; gcc, which only the tests compile with, lacks some builtins and gets loops. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#define LANES 16 /* two or four registers where they are shorter: still faster than 8 */
#define INLINE static inline __attribute__((always_inline))

typedef float Reals __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef float Four __attribute__((vector_size(16)));
typedef float Eight __attribute__((vector_size(32)));
typedef float Row __attribute__((vector_size(64)));
typedef int32_t RowInts __attribute__((vector_size(64)));
typedef int16_t RowShorts __attribute__((vector_size(32)));

#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#define SHIFTED(x, n, below)                                                                      \
    __builtin_shufflevector(below, x, 16 - n, 17 - n, 18 - n, 19 - n, 20 - n, 21 - n, 22 - n,     \
                            23 - n, 24 - n, 25 - n, 26 - n, 27 - n, 28 - n, 29 - n, 30 - n, 31 - n)

INLINE Reals splat(float x) { return (Reals){0} + x; }

/* C has no ?: for vectors in gcc: masks are lanes of 0 or -1. */
INLINE Reals choose(Ints mask, Reals a, Reals b) { return (Reals)(((Ints)a & mask) | ((Ints)b & ~mask)); }
INLINE Reals least(Reals a, Reals b) { return choose(a < b, a, b); }
INLINE Reals most(Reals a, Reals b) { return choose(a > b, a, b); }

/* Bit i: whether lane i of a mask is set. */
INLINE uint32_t bits_of(Ints mask)
{
#ifdef __clang__
    typedef _Bool Bools __attribute__((ext_vector_type(LANES)));
    Bools set = __builtin_convertvector(mask, Bools);
    uint32_t bits = 0;
    memcpy(&bits, &set, LANES / 8);
    return bits;
#else
    uint32_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (uint32_t)(mask[i] & 1) << i;
    return bits;
#endif
}

/* The words at byte `index * scale` of a table. The loop becomes a gather where there are such. */
INLINE Words gather(const void *table, Ints index, const int scale)
{
    typedef uint32_t Loose __attribute__((aligned(1), may_alias));
    int32_t at[LANES] __attribute__((aligned(64)));
    uint32_t taken[LANES] __attribute__((aligned(64)));
    memcpy(at, &index, sizeof at);
#ifdef __clang__
#pragma clang loop vectorize(enable) vectorize_width(LANES) interleave(disable) unroll(disable)
#endif
    for (int i = 0; i < LANES; i++)
        taken[i] = *(const Loose *)((const char *)table + (int64_t)at[i] * scale);
    Words words;
    memcpy(&words, taken, sizeof words);
    return words;
}

/* float16 in the upper half of each word, as float32. The product is exact, and its operand is no
   denormal number unless the float16 is one. */
INLINE Reals upper_half(Words word)
{
    return (Reals)(((Ints)word >> 3) & (int32_t)0x8FFFE000) * 0x1p112f;
}
INLINE Reals lower_half(Words word) { return upper_half(word << 16); }

/* exp(x) for x <= 0, to 2e-7 of it: 2^n times a polynomial in [-0.5, 0.5]. */
INLINE Reals exp_below_0(Reals x)
{
    x = most(x * 1.44269504088896f, splat(-125.0f));
    const Ints n = __builtin_convertvector(x - 0.5f, Ints);
    const Reals f = x - __builtin_convertvector(n, Reals);
    Reals p = splat(1.5353362e-4f);
    p = p * f + 1.3398874e-3f;
    p = p * f + 9.6184373e-3f;
    p = p * f + 5.5503324e-2f;
    p = p * f + 2.4022648e-1f;
    p = p * f + 6.9314720e-1f;
    p = p * f + 1.0f;
    return (Reals)((Ints)p + (n << 23));
}

/* Sixteen numbers of a colour row, stored as float32 or float16. */
INLINE Row row_of_floats(const float *row)
{
    Row values;
    memcpy(&values, row, sizeof values);
    return values;
}
INLINE Row row_of_halves(const uint16_t *row)
{
#if defined(__clang__) && (defined(__F16C__) || defined(__aarch64__))
    typedef _Float16 Halves __attribute__((vector_size(32)));
    Halves values;
    memcpy(&values, row, sizeof values);
    return __builtin_convertvector(values, Row);
#else
    RowShorts values;
    memcpy(&values, row, sizeof values);
    const RowInts wide = __builtin_convertvector(values, RowInts) << 16;
    return (Row)((wide >> 3) & (int32_t)0x8FFFE000) * 0x1p112f;
#endif
}

#endif
