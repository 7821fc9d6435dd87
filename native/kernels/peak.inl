// Measures the best rate of fused multiply-adds that one core reaches now. Kernels are judged by their share of it.
namespace gapcam {
namespace {

// The rate in GFLOP/s: the best of kWindows measurements, about 10 ms in all.
static double MeasurePeak() {
  constexpr int kSteps = 20000, kWindows = 12, kChains = 12;
  // Twelve different dependency chains; the compiler would compute equal ones only once. The accumulator is the operand
  // that changes, because FMLA has no other form.
  V a0 = Set(0.10f), a1 = Set(0.11f), a2 = Set(0.12f), a3 = Set(0.13f), a4 = Set(0.14f), a5 = Set(0.15f),
    a6 = Set(0.16f), a7 = Set(0.17f);
  V a8 = Set(0.18f), a9 = Set(0.19f), a10 = Set(0.20f), a11 = Set(0.21f);
  V k = Set(0.999f), c = Set(0.001f);
  double best = 0;
  for (int w = 0; w < kWindows; ++w) {
    timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int s = 0; s < kSteps; ++s) {
      a0 = k * c + a0, a1 = k * c + a1, a2 = k * c + a2, a3 = k * c + a3, a4 = k * c + a4, a5 = k * c + a5;
      a6 = k * c + a6, a7 = k * c + a7, a8 = k * c + a8, a9 = k * c + a9, a10 = k * c + a10, a11 = k * c + a11;
#if defined(__aarch64__)
      __asm__ volatile("" : "+w"(k), "+w"(c));
#else
      __asm__ volatile("" : "+x"(k), "+x"(c));  // keeps the steps apart, as written
#endif
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double ns =
        static_cast<double>(end.tv_sec - start.tv_sec) * 1e9 + static_cast<double>(end.tv_nsec - start.tv_nsec);
    const double rate = 2.0 * kLanes * kChains * kSteps / ns;
    if (rate > best) best = rate;
  }
  const V sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11;
  return Sum(sum) == 12345.0f ? 0.0 : best;  // uses the sums, so that they are computed
}

}  // namespace
}  // namespace gapcam
