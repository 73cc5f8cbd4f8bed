// Window metrics and damping in one launch, compiled behind damping.cu. A warp measures SPAN
// windows into its shared memory and damps all but the first of them, which are only the past.

// Begin to copy the gains to shared memory; `arrive` waits for them.
__device__ void send_gains(const Job &job, int *shared)
{
    const int4 *const source = reinterpret_cast<const int4 *>(job.gains);
    const u32 target = u32(__cvta_generic_to_shared(shared));
    for (int i = threadIdx.x; i < job.iterations * (DECAY_STEPS + 1) / 4; i += blockDim.x)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target + 16 * i),
                     "l"(source + i));
    asm volatile("cp.async.commit_group;");
}

__device__ void arrive()
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}

template <bool EXACT, bool SHARED> __device__ __forceinline__ void damp_all(const Job &job)
{
    extern __shared__ __align__(16) u32 shared[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    const int span = SHARED ? SPAN : LIVE_SPAN;  // a small batch goes to many small blocks
    int4 *const history = reinterpret_cast<int4 *>(shared) + warp * (span + span / 8);
    u32 *const behind = shared + warps * (span + span / 8) * 4;
    Planes &planes = reinterpret_cast<Planes *>(behind)[warp];
    Tables tables = tables_of(job);
    if (SHARED) {
        u32 *const expectation = behind + warps * sizeof(Planes) / 4;
        u32 *const states = expectation + 8, *const overlap = states + STATES;
        int *const gains = reinterpret_cast<int *>(overlap + job.products);
        u8 *const decay_steps =
            reinterpret_cast<u8 *>(gains + job.iterations * (DECAY_STEPS + 1));
        fill(expectation, job.table, 8);
        fill(states, job.states, STATES);
        fill(overlap, job.overlap, job.products);
        fill(gains, job.gains, job.iterations * (DECAY_STEPS + 1));
        fill(decay_steps, job.decay_steps, job.rates);
        tables = {expectation, overlap, states, decay_steps, gains};
        __syncthreads();
    } else {
        int *const gains = reinterpret_cast<int *>(behind + warps * sizeof(Planes) / 4);
        send_gains(job, gains);
        tables.gains = gains;
    }
    const int lead = (job.iterations + 7) & ~7, yield = span - lead;
    for (i64 tile = i64(blockIdx.x) * warps + warp; tile * yield < job.length;
         tile += i64(gridDim.x) * warps) {
        const i64 head = tile * yield - lead, first = (head >> 5) - 2;
        const int count = int(min(i64(span), job.length - head));
        const int origin = int(head - first * 32);
        const bool any = stage(job, tables.expectation, planes, first, lane);
        for (int at = lane * 8; at < count; at += 256) {
            Eight out;
            measure<true, 1>(job, planes, origin + at, tables, out);
            keep(history, at, out);
            if (any) void_crossed(job, planes, origin + at, out);
            if (at >= lead) store<true>(job, head + at, out);
        }
        if (!SHARED) arrive();
        __syncwarp();
        for (int at = lead + lane * 4; at < count; at += 128) {
            u32 bad = 0;
            for (int j = 0; any && j < 4; ++j)
                bad |= crossed(planes.start, origin + at + j, job.transitions + job.iterations)
                       << j;
            damp_four<EXACT>(job, tables, history, at, head + at, bad);
        }
        __syncwarp();
    }
}

extern "C" __global__ void __launch_bounds__(512, 1) damped_metrics(const Job job)
{
    damp_all<true, true>(job);
}

extern "C" __global__ void __launch_bounds__(512, 1) damped_metrics_tolerant(const Job job)
{
    damp_all<false, true>(job);
}

extern "C" __global__ void __launch_bounds__(32) damped_metrics_live(const Job job)
{
    damp_all<false, false>(job);
}
