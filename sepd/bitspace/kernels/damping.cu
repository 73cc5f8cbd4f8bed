// Damping (BITSPACE.md section 3) of four consecutive windows by one thread, compiled behind
// window.cu. At step i the past metrics of the four are the same values moved by one, so a step
// loads one value.

// One unused slot after eight keeps the lanes off each other's banks.
__device__ __forceinline__ int slot(int window) { return window + (window >> 3); }

__device__ __forceinline__ void keep(int4 *history, int window, const Eight &out)
{
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        int value[4];
#pragma unroll
        for (int row = 0; row < 4; ++row)
            value[row] = short(out.metric[row][j / 2] >> (j & 1) * 16);
        history[slot(window + j)] = make_int4(value[0], value[1], value[2], value[3]);
    }
}

// One step of one window; whether any component moved by more than the tolerance.
template <bool EXACT>
__device__ __forceinline__ bool step(int4 &now, const int4 &past, int gain, int tolerance)
{
    const int c = gain * (past.x - now.x) + HALF, s = gain * (past.y - now.y) + HALF;
    const int h = gain * (past.z - now.z) + HALF, p = gain * (past.w - now.w) + HALF;
    now.x += c >> 14;
    now.y += s >> 14;
    now.z += h >> 14;
    now.w += p >> 14;
    if (EXACT) return (u32(c) | u32(s) | u32(h) | u32(p)) >= u32(ONE);
    const u32 slack = u32(tolerance) << 14;
    const u32 widest = max(max(c + slack, s + slack), max(h + slack, p + slack));
    return widest >= 2 * slack + ONE;
}

__device__ __forceinline__ void store_row(short *row, i64 at, int a, int b, int c, int d)
{
    *reinterpret_cast<uint2 *>(row + at) =
        make_uint2(__byte_perm(a, b, 0x5410), __byte_perm(c, d, 0x5410));
}

__device__ __forceinline__ void store_four(short *rows, i64 stride, i64 at, const int4 (&m)[4])
{
    store_row(rows, at, m[0].x, m[1].x, m[2].x, m[3].x);
    store_row(rows, stride + at, m[0].y, m[1].y, m[2].y, m[3].y);
    store_row(rows, 2 * stride + at, m[0].z, m[1].z, m[2].z, m[3].z);
    store_row(rows, 3 * stride + at, m[0].w, m[1].w, m[2].w, m[3].w);
}

__device__ __forceinline__ void store_bytes(u8 *row, i64 at, const int (&v)[4])
{
    *reinterpret_cast<uchar4 *>(row + at) = make_uchar4(v[0], v[1], v[2], v[3]);
}

// Whether a segment starts among the `count` plane bits that end at `last`.
__device__ bool crossed(const u32 *starts, int last, int count)
{
    const int first = last - count + 1;
    u32 found = starts[first >> 5] & ~0u << (first & 31);
    for (int word = (first >> 5) + 1; word <= last >> 5; ++word) {
        if (found) return true;
        found = starts[word];
    }
    return found << (31 - (last & 31));
}

// Damp the windows `at` … `at` + 3 of the warp's history and store them from `window` on.
template <bool EXACT>
__device__ __forceinline__ void damp_four(const Job &job, const Tables &tables,
                                          const int4 *history, int at, i64 window, u32 bad)
{
    int4 now[4], past[4];
    int decay[4], steps[4];
    bool moving[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        now[j] = past[j] = history[slot(at + j)];
        const int rate = ENTROPY_WEIGHT * now[j].z + DECOHERENCE_WEIGHT * (ONE - now[j].x);
        decay[j] = tables.decay_steps[(rate + HALF) >> 14];
        steps[j] = 0;
        moving[j] = true;
    }
    const int4 nothing = make_int4(INVALID, INVALID, INVALID, INVALID);
    if (job.path) store_four(job.path, job.stride, window, now);
#pragma unroll 4
    for (int i = 1; i <= job.iterations; ++i) {
        past[3] = past[2];
        past[2] = past[1];
        past[1] = past[0];
        past[0] = history[slot(at - i)];
        const int *const gains = tables.gains + (i - 1) * (DECAY_STEPS + 1);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int gain = gains[decay[j]];  // read early, whatever becomes of it
            steps[j] += moving[j];
            const bool moved =
                step<EXACT>(now[j], past[j], moving[j] ? gain : 0, job.tolerance);
            moving[j] = moving[j] && moved;
        }
        if (job.path) store_four(job.path + 4 * i * job.stride, job.stride, window, now);
        else if (!__any_sync(__activemask(), moving[0] | moving[1] | moving[2] | moving[3])) break;
    }
    int ended[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        ended[j] = !moving[j];
        if (bad >> j & 1) {
            now[j] = nothing;
            decay[j] = steps[j] = ended[j] = 0;
        }
    }
    store_four(job.damped, job.stride, window, now);
    store_bytes(job.decay, window, decay);
    store_bytes(job.steps, window, steps);
    store_bytes(job.converged, window, ended);
    if (job.path && bad)
        for (int i = 0; i <= job.iterations; ++i)
            for (int row = 0; row < 4; ++row)
                for (int j = 0; j < 4; ++j)
                    if (bad >> j & 1) job.path[(4 * i + row) * job.stride + window + j] = INVALID;
}
