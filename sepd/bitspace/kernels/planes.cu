// What the kernels share: the job of a launch, and bit planes in the shared memory of a warp.
// Integers only. Constants come by -D from sepd.bitspace.cuda_job.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;

// What one launch reads and writes; mirrors JOB in sepd.bitspace.cuda_job.
// `bits` and `starts` point at the word of bit 0; PAD_WORDS words before it are readable zeros.
struct Job {
    const u32 *bits, *starts;  // packed bits; a 1 at the first bit of each segment
    const u32 *overlap;        // 2·R[product of two counts]
    const u32 *states;         // H, and P in the upper half, of [flip + STATE_STRIDE·rupture]
    const u32 *table;          // the expectation, bit c for context c
    const u8 *decay_steps;     // decay step of an unclamped rate
    const int *gains;          // G[step − 1][decay step]
    short *metrics, *damped;   // [4][stride]
    u8 *counts;                // [4][stride]
    u8 *decay, *steps, *converged;
    short *path;               // [iterations + 1][4][stride], or null
    i64 length, stride;        // windows; elements of one row, a multiple of 8
    int transitions, older, newer, probed, order;
    u32 older_mask, newer_mask, probed_low, probed_high;
    int stability_scale, stability_bias;
    int products, rates, iterations, tolerance;
};

struct Planes {
    u32 flip[PLANE_WORDS], rupture[PLANE_WORDS], error[PLANE_WORDS], start[PLANE_WORDS];
};

// Where a thread looks up: shared memory, or, for a launch too small to fill it, the job's own.
struct Tables {
    const u32 *expectation, *overlap, *states;
    const u8 *decay_steps;
    const int *gains;
};

__device__ u32 expected(u32 word, u32 before, int order, const u32 *table)
{
    if (order == 1) {
        const u32 previous = __funnelshift_l(before, word, 1);
        return (previous & (0u - (table[0] >> 1 & 1))) | (~previous & (0u - (table[0] & 1)));
    }
    const u32 mask = (1u << order) - 1;
    u32 context = __brev(before) & mask, found = 0;
    for (int bit = 0; bit < 32; ++bit) {
        found |= (table[context >> 5] >> (context & 31) & 1) << bit;
        context = (context << 1 | (word >> bit & 1)) & mask;
    }
    return found;
}

// Fill the planes from word `first` on, a word per lane; whether any segment starts there.
__device__ bool stage(const Job &job, const u32 *table, Planes &planes, i64 first, int lane)
{
    u32 start = 0;
    if (lane < PLANE_WORDS) {
        const u32 word = job.bits[first + lane], before = job.bits[first + lane - 1];
        const u32 previous = __funnelshift_l(before, word, 1);
        start = job.starts[first + lane];
        planes.flip[lane] = word ^ previous;
        planes.rupture[lane] = word & previous;
        planes.error[lane] = word ^ expected(word, before, job.order, table);
        planes.start[lane] = start;
    }
    const bool any = __any_sync(~0u, start != 0);
    __syncwarp();
    return any;
}

// The plane's bits from `from` on; at(j) is the 32 bits from `from` + j.
struct Span {
    u32 low, high;
    __device__ __forceinline__ Span(const u32 *plane, int from)
    {
        const u32 *word = plane + (from >> 5);
        low = __funnelshift_r(word[0], word[1], from);
        high = __funnelshift_r(word[1], word[2], from);
    }
    __device__ __forceinline__ u32 at(int j) const { return __funnelshift_r(low, high, j); }
};
