/* Which variants of the kernels the processor at hand can run, and what the library was made from. */
#include <stdint.h>

#ifdef _WIN32
#define VISIBLE __declspec(dllexport)
#else
#define VISIBLE __attribute__((visibility("default")))
#endif

VISIBLE const char *plenostream_sources(void);
const char *plenostream_sources(void) { return SOURCES; }

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

static uint64_t states_kept(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* The level of x86-64 that processor and system support: 4 (AVX-512), 3 (AVX2), or 1. */
VISIBLE int32_t plenostream_level(void);
int32_t plenostream_level(void)
{
    enum { SAVES = 1 << 27, FMA = 1 << 12, MOVBE = 1 << 22, F16C = 1 << 29 };
    enum { BMI1 = 1 << 3, AVX2 = 1 << 5, BMI2 = 1 << 8 };
    const uint32_t wide = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & SAVES) || !(c & FMA) || !(c & MOVBE) || !(c & F16C)) return 1;
    const uint64_t kept = states_kept();
    if ((kept & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 1;
    if (!(b & BMI1) || !(b & AVX2) || !(b & BMI2)) return 1;
    const uint32_t features = b;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & 1 << 5)) return 1; /* LZCNT */
    return (features & wide) == wide && (kept & 0xE6) == 0xE6 ? 4 : 3;
}
#else
VISIBLE int32_t plenostream_level(void);
int32_t plenostream_level(void) { return 1; }
#endif
