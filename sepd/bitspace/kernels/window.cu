// Window metrics (BITSPACE.md section 2), compiled behind planes.cu. A warp turns one tile of
// packed bits into planes; each thread then counts eight consecutive windows out of them.

// Eight windows: int16 pairs (coherence, stability, entropy, polarity) and bytes (null, flip,
// rupture, corrections).
struct Eight {
    u32 metric[4][4], count[4][2];
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
