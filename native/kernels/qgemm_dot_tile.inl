// Tiles of five rows and sixteen columns with the dot product, in assembly: compilers move four sums back and forth in each
// step of k, and every row's address at each run. 95 instructions for 80 dots. Like every load of LoadPair, the compiler
// does not see which weights are read.
namespace gapcam {
namespace {

// The sums of columns 4v to 4v + 3 are operands 5v to 5v + 4; v0 to v4 hold 16 bytes of each row, v5 to v8 weights.
#define GAPCAM_SDOT(sum, weight, row, lane) "sdot %" #sum ".4s, v" #weight ".16b, v" #row ".4b[" #lane "]\n"
#define GAPCAM_FIVE(a, b, c, d, e, weight, lane) \
  GAPCAM_SDOT(a, weight, 0, lane)                \
  GAPCAM_SDOT(b, weight, 1, lane)                \
  GAPCAM_SDOT(c, weight, 2, lane) GAPCAM_SDOT(d, weight, 3, lane) GAPCAM_SDOT(e, weight, 4, lane)
#define GAPCAM_GROUP(lane)                                                                            \
  "ldp q5, q6, [%[w]], #32\n"                                                                         \
  "ldp q7, q8, [%[w]], #32\n" GAPCAM_FIVE(0, 1, 2, 3, 4, 5, lane) GAPCAM_FIVE(5, 6, 7, 8, 9, 6, lane) \
      GAPCAM_FIVE(10, 11, 12, 13, 14, 7, lane) GAPCAM_FIVE(15, 16, 17, 18, 19, 8, lane)
#define GAPCAM_START(a, b, c, d) "ldp %q" #a ", %q" #b ", [%[bias]]\nldp %q" #c ", %q" #d ", [%[bias], #32]\n"
// Sets all sums to the bias.
#define GAPCAM_STARTS        \
  GAPCAM_START(0, 5, 10, 15) \
  GAPCAM_START(1, 6, 11, 16) GAPCAM_START(2, 7, 12, 17) GAPCAM_START(3, 8, 13, 18) GAPCAM_START(4, 9, 14, 19)
// Adds 16 bytes of each row. The rows begin at `from` and, from there, at registers a, b, c and d.
#define GAPCAM_STEP(from, a, b, c, d)                \
  "ldr q1, [" from ", " a "]\nldr q2, [" from ", " b \
  "]\n"                                              \
  "ldr q3, [" from ", " c "]\nldr q4, [" from ", " d \
  "]\n"                                              \
  "ldr q0, [" from "], #16\n" GAPCAM_GROUP(0) GAPCAM_GROUP(1) GAPCAM_GROUP(2) GAPCAM_GROUP(3)
#define GAPCAM_SUMS                                                                                                 \
  "=&w"(sums[0][0]), "=&w"(sums[0][1]), "=&w"(sums[0][2]), "=&w"(sums[0][3]), "=&w"(sums[0][4]), "=&w"(sums[1][0]), \
      "=&w"(sums[1][1]), "=&w"(sums[1][2]), "=&w"(sums[1][3]), "=&w"(sums[1][4]), "=&w"(sums[2][0]),                \
      "=&w"(sums[2][1]), "=&w"(sums[2][2]), "=&w"(sums[2][3]), "=&w"(sums[2][4]), "=&w"(sums[3][0]),                \
      "=&w"(sums[3][1]), "=&w"(sums[3][2]), "=&w"(sums[3][3]), "=&w"(sums[3][4])
#define GAPCAM_VECTORS "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"

// Sets the sums to the bias and adds `whole` bytes of the rows at `from`, a multiple of 16 and not 0. Moves `w` behind the
// weights that were used. Returns what follows in the first row.
GAPCAM_INLINE const char* StartRun(I (&sums)[4][5], const int32_t* bias, const char* from, size_t step, size_t whole,
                                   const char*& w) {
  asm volatile(
      // clang-format off
      GAPCAM_STARTS
      "mov x9, %[whole]\n"
      "1:\n"
      GAPCAM_STEP("%[from]", "%[a]", "%[b]", "%[c]", "%[d]")
      "subs x9, x9, #16\n"
      "b.ne 1b\n"
      // clang-format on
      : GAPCAM_SUMS, [w] "+r"(w), [from] "+r"(from)
      : [bias] "r"(bias), [whole] "r"(whole), [a] "r"(step), [b] "r"(2 * step), [c] "r"(3 * step), [d] "r"(4 * step)
      : "x9", GAPCAM_VECTORS, "cc", "memory");
  return from;
}

// Sets the sums to the bias and adds `taps` runs, each `whole` bytes from `at` on, as StartRun does.
GAPCAM_INLINE void StartRuns(I (&sums)[4][5], const int32_t* bias, const char* const* runs, size_t at, size_t taps,
                             size_t step, size_t whole, const char*& w) {
  asm volatile(
      // clang-format off
      GAPCAM_STARTS
      "cbz %[whole], 3f\n"
      "mov x14, %[runs]\n"
      "mov x15, %[taps]\n"
      "lsl x10, %[step], #1\n"
      "add x11, x10, %[step]\n"
      "lsl x12, %[step], #2\n"
      "1: ldr x9, [x14], #8\n"
      "mov x16, %[whole]\n"
      "add x9, x9, %[at]\n"
      "2:\n"
      GAPCAM_STEP("x9", "%[step]", "x10", "x11", "x12")
      "subs x16, x16, #16\n"
      "b.ne 2b\n"
      "subs x15, x15, #1\n"
      "b.ne 1b\n"
      "3:\n"
      // clang-format on
      : GAPCAM_SUMS, [w] "+r"(w)
      : [bias] "r"(bias), [runs] "r"(runs), [at] "r"(at), [taps] "r"(taps), [step] "r"(step), [whole] "r"(whole)
      : "x9", "x10", "x11", "x12", "x14", "x15", "x16", GAPCAM_VECTORS, "cc", "memory");
}

#undef GAPCAM_VECTORS
#undef GAPCAM_SUMS
#undef GAPCAM_STEP
#undef GAPCAM_STARTS
#undef GAPCAM_START
#undef GAPCAM_GROUP
#undef GAPCAM_FIVE
#undef GAPCAM_SDOT

}  // namespace
}  // namespace gapcam
