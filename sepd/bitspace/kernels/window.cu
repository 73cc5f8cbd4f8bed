// Window metrics (BITSPACE.md section 2). A warp turns one tile of packed bits into bit planes in
// its shared memory; each thread then counts eight consecutive windows out of those planes.
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

// Eight windows: int16 pairs (coherence, stability, entropy, polarity) and bytes (null, flip,
// rupture, corrections).
struct Eight {
    u32 metric[4][4], count[4][2];
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

// Measure the eight windows whose newest bits are `last` … `last` + 7 of the planes.
template <bool COUNTS, int COPIES>
__device__ __forceinline__ void measure(const Job &job, const Planes &planes, int last,
                                        const Tables &tables, Eight &out)
{
    const Span old_flips(planes.flip, last - job.transitions + 1);
    const Span old_ruptures(planes.rupture, last - job.transitions + 1);
    const Span new_flips(planes.flip, last - job.newer + 1);
    const Span new_ruptures(planes.rupture, last - job.newer + 1);
    const Span low_errors(planes.error, last - job.probed + 1);
    const Span high_errors(planes.error, last - job.probed + 33);
    constexpr int pitch = 4 * COPIES;  // counts of the newer half go scaled by it: an address
    const char *const overlap = reinterpret_cast<const char *>(tables.overlap);
    u32 value[2][3];
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        const int old_flip = __popc(old_flips.at(j) & job.older_mask);
        const int old_rupture = __popc(old_ruptures.at(j) & job.older_mask);
        const int new_flip = __popc(new_flips.at(j) & job.newer_mask);
        const int new_rupture = __popc(new_ruptures.at(j) & job.newer_mask);
        const int corrections = __popc(low_errors.at(j) & job.probed_low) +
                                __popc(high_errors.at(j) & job.probed_high);
        const int flip = old_flip + new_flip, rupture = old_rupture + new_rupture;
        const int flips_at = new_flip * pitch, ruptures_at = new_rupture * pitch;
        const int old_null = job.older - old_flip - old_rupture;
        const int nulls_at = job.newer * pitch - flips_at - ruptures_at;
        const u32 sum = *reinterpret_cast<const u32 *>(overlap + old_flip * flips_at) +
                        *reinterpret_cast<const u32 *>(overlap + old_rupture * ruptures_at) +
                        *reinterpret_cast<const u32 *>(overlap + old_null * nulls_at);
        const u32 coherence = min(2u * ONE, sum);
        u32 *const pair = value[j & 1];  // coherence and stability in the upper half
        pair[0] = coherence * coherence + (1 << 15);
        pair[1] = job.stability_bias - corrections * job.stability_scale;
        pair[2] = tables.states[flip + STATE_STRIDE * rupture];
        if (j & 1) {
            out.metric[0][j / 2] = __byte_perm(value[0][0], value[1][0], 0x7632);
            out.metric[1][j / 2] = __byte_perm(value[0][1], value[1][1], 0x7632);
            out.metric[2][j / 2] = __byte_perm(value[0][2], value[1][2], 0x5410);
            out.metric[3][j / 2] = __byte_perm(value[0][2], value[1][2], 0x7632);
        }
        if (COUNTS) {
            const u32 count[4] = {u32(job.transitions - flip - rupture), u32(flip), u32(rupture),
                                  u32(corrections)};
#pragma unroll
            for (int row = 0; row < 4; ++row)
                out.count[row][j / 4] =
                    (j & 3 ? out.count[row][j / 4] : 0) + (count[row] << (j & 3) * 8);
        }
    }
}

// Void those of the eight windows that a segment start crosses.
__device__ void void_crossed(const Job &job, const Planes &planes, int last, Eight &out)
{
    const Span older(planes.start, last - job.transitions + 1);
    const Span newer(planes.start, last - job.newer + 1);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        if (!((older.at(j) & job.older_mask) | (newer.at(j) & job.newer_mask))) continue;
#pragma unroll
        for (int row = 0; row < 4; ++row) {
            u32 &pair = out.metric[row][j / 2];
            pair = __byte_perm(pair, u32(INVALID), j & 1 ? 0x5410 : 0x3254);
            out.count[row][j / 4] &= ~(0xffu << (j & 3) * 8);
        }
    }
}

// Store eight windows from `window` on.
template <bool COUNTS>
__device__ __forceinline__ void store(const Job &job, i64 window, const Eight &out)
{
    short *metrics = job.metrics + window;
    u8 *counts = job.counts + window;
#pragma unroll
    for (int row = 0; row < 4; ++row, metrics += job.stride, counts += job.stride) {
        __stcs(reinterpret_cast<uint4 *>(metrics),
               *reinterpret_cast<const uint4 *>(out.metric[row]));
        if (COUNTS)
            __stcs(reinterpret_cast<uint2 *>(counts),
                   *reinterpret_cast<const uint2 *>(out.count[row]));
    }
}

template <class T> __device__ void fill(T *shared, const T *source, int count, int copies = 1)
{
    for (int i = threadIdx.x; i < count * copies; i += blockDim.x) shared[i] = source[i / copies];
}

__device__ Tables tables_of(const Job &job)
{
    return {job.table, job.overlap, job.states, job.decay_steps, job.gains};
}

// `COPIES` of the overlap table keep the lanes of a warp off each other's banks.
template <bool COUNTS, int COPIES, bool SHARED>
__device__ __forceinline__ void measure_all(const Job &job)
{
    extern __shared__ __align__(16) u32 shared[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    Planes &planes = reinterpret_cast<Planes *>(shared)[warp];
    Tables tables = tables_of(job);
    if (SHARED) {
        u32 *const expectation = shared + warps * sizeof(Planes) / 4;
        u32 *const states = expectation + 8, *const overlap = states + STATES;
        fill(expectation, job.table, 8);
        fill(states, job.states, STATES);
        fill(overlap, job.overlap, job.products, COPIES);
        tables = {expectation, overlap + lane % COPIES, states, nullptr, nullptr};
        __syncthreads();
    }
    for (i64 tile = i64(blockIdx.x) * warps + warp; tile * TILE < job.length;
         tile += i64(gridDim.x) * warps) {
        const i64 begin = tile * TILE;
        const int count = int(min(i64(TILE), job.length - begin));
        const bool any = stage(job, tables.expectation, planes, begin / 32 - 2, lane);
        for (int at = lane * 8; at < count; at += 256) {
            Eight out;
            measure<COUNTS, COPIES>(job, planes, at + 64, tables, out);
            if (any) void_crossed(job, planes, at + 64, out);
            store<COUNTS>(job, begin + at, out);
        }
        __syncwarp();
    }
}

extern "C" __global__ void __launch_bounds__(1024, 1) window_metrics(const Job job)
{
    measure_all<false, 32, true>(job);
}

extern "C" __global__ void __launch_bounds__(1024, 1) window_metrics_counts(const Job job)
{
    measure_all<true, 32, true>(job);
}

extern "C" __global__ void __launch_bounds__(32) window_metrics_live(const Job job)
{
    measure_all<true, 1, false>(job);
}
