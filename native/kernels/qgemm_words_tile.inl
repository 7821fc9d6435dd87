// Tiles of four rows and sixteen columns without the dot product, in assembly: with all products in flight, compilers move
// sums to memory and back. 222 instructions for 1024 products. Like every load of LoadPair, the compiler does not see which
// weights are read.
namespace gapcam {
namespace {

constexpr bool kPlacesRest = false;  // whether StartRuns takes runs of any number of groups

// The tables of LanePairs for each lane.
alignas(16) constexpr uint8_t kLanePairs[4][16] = {{0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3},
                                                   {4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7},
                                                   {8, 9, 8, 9, 8, 9, 8, 9, 10, 11, 10, 11, 10, 11, 10, 11},
                                                   {12, 13, 12, 13, 12, 13, 12, 13, 14, 15, 14, 15, 14, 15, 14, 15}};

// The sums of columns 4v to 4v + 3 are operands 4v to 4v + 3. v0 to v3 hold weights, v4 to v7 16 bytes of each row, v8 to
// v11 the tables, v12 and v15 pairs of a row, and v13 and v14 products.
#define GAPCAM_TWO(a, b, weight_a, weight_b, pairs) \
  "smull v13.8h, v" #weight_a ".8b, v" #pairs       \
  ".8b\n"                                           \
  "smull v14.8h, v" #weight_b ".8b, v" #pairs       \
  ".8b\n"                                           \
  "smlal2 v13.8h, v" #weight_a ".16b, v" #pairs     \
  ".16b\n"                                          \
  "smlal2 v14.8h, v" #weight_b ".16b, v" #pairs     \
  ".16b\n"                                          \
  "sadalp %" #a                                     \
  ".4s, v13.8h\n"                                   \
  "sadalp %" #b ".4s, v14.8h\n"
#define GAPCAM_ROW(a, b, c, d, row, table, pairs) \
  "tbl v" #pairs ".16b, {v" #row ".16b}, v" #table ".16b\n" GAPCAM_TWO(a, b, 0, 1, pairs) GAPCAM_TWO(c, d, 2, 3, pairs)
#define GAPCAM_GROUP(table)                                                                               \
  "ldp q0, q1, [%[w]], #32\n"                                                                             \
  "ldp q2, q3, [%[w]], #32\n" GAPCAM_ROW(0, 4, 8, 12, 4, table, 12) GAPCAM_ROW(1, 5, 9, 13, 5, table, 15) \
      GAPCAM_ROW(2, 6, 10, 14, 6, table, 12) GAPCAM_ROW(3, 7, 11, 15, 7, table, 15)
#define GAPCAM_START(a, b, c, d) "ldp %q" #a ", %q" #b ", [%[bias]]\nldp %q" #c ", %q" #d ", [%[bias], #32]\n"
// Sets all sums to the bias.
#define GAPCAM_STARTS       \
  GAPCAM_START(0, 4, 8, 12) \
  GAPCAM_START(1, 5, 9, 13) \
  GAPCAM_START(2, 6, 10, 14) GAPCAM_START(3, 7, 11, 15) "ldp q8, q9, [%[tables]]\nldp q10, q11, [%[tables], #32]\n"
// Adds 16 bytes of each row. The rows begin at `from` and, from there, at registers a, b and c.
#define GAPCAM_STEP(from, a, b, c)                                              \
  "ldr q5, [" from ", " a "]\nldr q6, [" from ", " b "]\nldr q7, [" from ", " c \
  "]\n"                                                                         \
  "ldr q4, [" from "], #16\n" GAPCAM_GROUP(8) GAPCAM_GROUP(9) GAPCAM_GROUP(10) GAPCAM_GROUP(11)
#define GAPCAM_SUMS                                                                                                 \
  "=&w"(sums[0][0]), "=&w"(sums[0][1]), "=&w"(sums[0][2]), "=&w"(sums[0][3]), "=&w"(sums[1][0]), "=&w"(sums[1][1]), \
      "=&w"(sums[1][2]), "=&w"(sums[1][3]), "=&w"(sums[2][0]), "=&w"(sums[2][1]), "=&w"(sums[2][2]),                \
      "=&w"(sums[2][3]), "=&w"(sums[3][0]), "=&w"(sums[3][1]), "=&w"(sums[3][2]), "=&w"(sums[3][3])
#define GAPCAM_VECTORS \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15"

// Sets the sums to the bias and adds `whole` bytes of the rows at `from`, a multiple of 16 and not 0. Moves `w` behind the
// weights that were used. Returns what follows in the first row.
GAPCAM_INLINE const char* StartRun(I (&sums)[4][4], const int32_t* bias, const char* from, size_t step, size_t whole,
                                   const char*& w) {
  asm volatile(
      // clang-format off
      GAPCAM_STARTS
      "mov x9, %[whole]\n"
      "1:\n"
      GAPCAM_STEP("%[from]", "%[a]", "%[b]", "%[c]")
      "subs x9, x9, #16\n"
      "b.ne 1b\n"
      // clang-format on
      : GAPCAM_SUMS, [w] "+r"(w), [from] "+r"(from)
      : [bias] "r"(bias), [whole] "r"(whole), [a] "r"(step), [b] "r"(2 * step), [c] "r"(3 * step),
        [tables] "r"(kLanePairs)
      : "x9", GAPCAM_VECTORS, "cc", "memory");
  return from;
}

// Sets the sums to the bias and adds `taps` runs of `bytes` bytes, a multiple of 16 and not 0. Row r of a run begins
// `places[r]` bytes behind the run.
GAPCAM_INLINE void StartRuns(I (&sums)[4][4], const int32_t* bias, const char* const* runs, const size_t (&places)[4],
                             size_t taps, size_t bytes, const char*& w) {
  asm volatile(
      // clang-format off
      GAPCAM_STARTS
      "mov x14, %[runs]\n"
      "mov x15, %[taps]\n"
      "1: ldr x9, [x14], #8\n"
      "mov x16, %[bytes]\n"
      "add x9, x9, %[at]\n"
      "2:\n"
      GAPCAM_STEP("x9", "%[a]", "%[b]", "%[c]")
      "subs x16, x16, #16\n"
      "b.ne 2b\n"
      "subs x15, x15, #1\n"
      "b.ne 1b\n"
      // clang-format on
      : GAPCAM_SUMS, [w] "+r"(w)
      : [bias] "r"(bias), [runs] "r"(runs), [at] "r"(places[0]), [taps] "r"(taps), [bytes] "r"(bytes),
        [a] "r"(places[1] - places[0]), [b] "r"(places[2] - places[0]), [c] "r"(places[3] - places[0]),
        [tables] "r"(kLanePairs)
      : "x9", "x14", "x15", "x16", GAPCAM_VECTORS, "cc", "memory");
}

#undef GAPCAM_VECTORS
#undef GAPCAM_SUMS
#undef GAPCAM_STEP
#undef GAPCAM_STARTS
#undef GAPCAM_START
#undef GAPCAM_GROUP
#undef GAPCAM_ROW
#undef GAPCAM_TWO

}  // namespace
}  // namespace gapcam
