// Tiles of five rows and sixteen columns with the dot product, in assembly: compilers move four sums back and forth in each
// step of k, and every row's address at each run. 32 bytes of a row are loaded at once: 183 instructions for 160 dots. Like
// every load of LoadPair, the compiler does not see which weights are read.
namespace gapcam {
namespace {

constexpr bool kPlacesRest = true;  // whether StartRuns takes runs of any number of groups

// The sums of columns 4v to 4v + 3 are operands 5v to 5v + 4; v0 to v9 hold 32 bytes of each row, v10 and v11 weights. Row 0
// is read at the register `first`, the others at x10 to x13.
#define GAPCAM_SDOT(sum, weight, row, lane) "sdot %" #sum ".4s, v" #weight ".16b, v" #row ".4b[" #lane "]\n"
#define GAPCAM_FIVE(a, b, c, d, e, weight, r0, r1, r2, r3, r4, lane) \
  GAPCAM_SDOT(a, weight, r0, lane)                                   \
  GAPCAM_SDOT(b, weight, r1, lane)                                   \
  GAPCAM_SDOT(c, weight, r2, lane) GAPCAM_SDOT(d, weight, r3, lane) GAPCAM_SDOT(e, weight, r4, lane)
// Multiplies one lane of five rows by a group of weights.
#define GAPCAM_GROUP(lane, r0, r1, r2, r3, r4)                                                            \
  "ldp q10, q11, [%[w]], #32\n" GAPCAM_FIVE(0, 1, 2, 3, 4, 10, r0, r1, r2, r3, r4, lane)                  \
      GAPCAM_FIVE(5, 6, 7, 8, 9, 11, r0, r1, r2, r3, r4, lane) "ldp q10, q11, [%[w]], #32\n" GAPCAM_FIVE( \
          10, 11, 12, 13, 14, 10, r0, r1, r2, r3, r4, lane)                                               \
          GAPCAM_FIVE(15, 16, 17, 18, 19, 11, r0, r1, r2, r3, r4, lane)
#define GAPCAM_LOW(lane) GAPCAM_GROUP(lane, 0, 1, 2, 3, 4)
#define GAPCAM_HIGH(lane) GAPCAM_GROUP(lane, 5, 6, 7, 8, 9)
// Loads one register of each row.
#define GAPCAM_ROWS(first, kind, bytes)                                                                     \
  "ldr " kind "0, [" first "], #" bytes "\nldr " kind "1, [x10], #" bytes "\nldr " kind "2, [x11], #" bytes \
  "\nldr " kind "3, [x12], #" bytes "\nldr " kind "4, [x13], #" bytes "\n"
// Adds the whole 16 bytes of the `bytes` of each row.
#define GAPCAM_RUN(first) \
  "lsr x16, %[bytes], #5\n"                                                                   \
  "cbz x16, 5f\n"                                                                             \
  "4: ldp q0, q5, [" first "], #32\nldp q1, q6, [x10], #32\nldp q2, q7, [x11], #32\n"         \
  "ldp q3, q8, [x12], #32\nldp q4, q9, [x13], #32\n"                                          \
  GAPCAM_LOW(0) GAPCAM_LOW(1) GAPCAM_LOW(2) GAPCAM_LOW(3)                                     \
  GAPCAM_HIGH(0) GAPCAM_HIGH(1) GAPCAM_HIGH(2) GAPCAM_HIGH(3)                                 \
  "subs x16, x16, #1\n"                                                                       \
  "b.ne 4b\n"                                                                                 \
  "5: tbz %w[bytes], #4, 6f\n"                                                                \
  GAPCAM_ROWS(first, "q", "16") GAPCAM_LOW(0) GAPCAM_LOW(1) GAPCAM_LOW(2) GAPCAM_LOW(3)       \
  "6:\n"
#define GAPCAM_START(a, b, c, d) "ldp %q" #a ", %q" #b ", [%[bias]]\nldp %q" #c ", %q" #d ", [%[bias], #32]\n"
// Sets all sums to the bias.
#define GAPCAM_STARTS        \
  GAPCAM_START(0, 5, 10, 15) \
  GAPCAM_START(1, 6, 11, 16) GAPCAM_START(2, 7, 12, 17) GAPCAM_START(3, 8, 13, 18) GAPCAM_START(4, 9, 14, 19)
#define GAPCAM_SUMS                                                                                                 \
  "=&w"(sums[0][0]), "=&w"(sums[0][1]), "=&w"(sums[0][2]), "=&w"(sums[0][3]), "=&w"(sums[0][4]), "=&w"(sums[1][0]), \
      "=&w"(sums[1][1]), "=&w"(sums[1][2]), "=&w"(sums[1][3]), "=&w"(sums[1][4]), "=&w"(sums[2][0]),                \
      "=&w"(sums[2][1]), "=&w"(sums[2][2]), "=&w"(sums[2][3]), "=&w"(sums[2][4]), "=&w"(sums[3][0]),                \
      "=&w"(sums[3][1]), "=&w"(sums[3][2]), "=&w"(sums[3][3]), "=&w"(sums[3][4])
#define GAPCAM_CLOBBERS                                                                                              \
  "x10", "x11", "x12", "x13", "x16", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "cc", \
      "memory"

// Sets the sums to the bias and adds `bytes` bytes of the rows at `from`, a multiple of 16 and not 0. Moves `w` behind the
// weights that were used. Returns what follows in the first row.
GAPCAM_INLINE const char* StartRun(I (&sums)[4][5], const int32_t* bias, const char* from, size_t step, size_t bytes,
                                   const char*& w) {
  asm volatile(
      // clang-format off
      GAPCAM_STARTS
      "add x10, %[from], %[a]\n"
      "add x11, %[from], %[b]\n"
      "add x12, %[from], %[c]\n"
      "add x13, %[from], %[d]\n"
      GAPCAM_RUN("%[from]")
      // clang-format on
      : GAPCAM_SUMS, [w] "+r"(w), [from] "+r"(from)
      : [bias] "r"(bias), [bytes] "r"(bytes), [a] "r"(step), [b] "r"(2 * step), [c] "r"(3 * step), [d] "r"(4 * step)
      : GAPCAM_CLOBBERS);
  return from;
}

// Sets the sums to the bias and adds `taps` runs of `bytes` bytes, a multiple of 4. Row r of a run begins `places[r]` bytes
// behind the run. GCC takes no more than 30 operands, so the places are loaded here.
GAPCAM_INLINE void StartRuns(I (&sums)[4][5], const int32_t* bias, const char* const* runs, const size_t (&places)[5],
                             size_t taps, size_t bytes, const char*& w) {
  asm volatile(
      // clang-format off
      GAPCAM_STARTS
      "ldp x4, x5, [%[places]]\n"
      "ldp x6, x7, [%[places], #16]\n"
      "ldr x8, [%[places], #32]\n"
      "mov x14, %[runs]\n"
      "mov x15, %[taps]\n"
      "1: ldr x9, [x14], #8\n"
      "add x10, x9, x5\n"
      "add x11, x9, x6\n"
      "add x12, x9, x7\n"
      "add x13, x9, x8\n"
      "add x9, x9, x4\n"
      GAPCAM_RUN("x9")
      "tst %[bytes], #12\n"
      "b.eq 8f\n"
      "tbz %w[bytes], #3, 7f\n"
      GAPCAM_ROWS("x9", "d", "8") GAPCAM_LOW(0) GAPCAM_LOW(1)
      "7: tbz %w[bytes], #2, 8f\n"
      GAPCAM_ROWS("x9", "s", "4") GAPCAM_LOW(0)
      "8: subs x15, x15, #1\n"
      "b.ne 1b\n"
      // clang-format on
      : GAPCAM_SUMS, [w] "+r"(w)
      : [bias] "r"(bias), [runs] "r"(runs), [taps] "r"(taps), [bytes] "r"(bytes), [places] "r"(places)
      : "x4", "x5", "x6", "x7", "x8", "x9", "x14", "x15", GAPCAM_CLOBBERS);
}

#undef GAPCAM_CLOBBERS
#undef GAPCAM_SUMS
#undef GAPCAM_STARTS
#undef GAPCAM_START
#undef GAPCAM_RUN
#undef GAPCAM_ROWS
#undef GAPCAM_HIGH
#undef GAPCAM_LOW
#undef GAPCAM_GROUP
#undef GAPCAM_FIVE
#undef GAPCAM_SDOT

}  // namespace
}  // namespace gapcam
