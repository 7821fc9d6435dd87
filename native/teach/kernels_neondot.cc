// The kernels with SDOT of Armv8.2. Its products are in assembly: compilers add an instruction for nearly every load.
#include <arm_neon.h>

#include <cstring>

#include "kernels.h"

namespace gapcam {
namespace {

// v16 to v31 are the sums of rows 0 to 3, four columns of each; v0 to v7 hold 32 bytes of each row, v8 to v15 of each column.
#define GAPCAM_SDOT(sum, row, column) "sdot v" #sum ".4s, v" #row ".16b, v" #column ".16b\n"
#define GAPCAM_COLUMN(a, b, c, d, low, high) \
  GAPCAM_SDOT(a, 0, low)                     \
  GAPCAM_SDOT(b, 2, low)                     \
  GAPCAM_SDOT(c, 4, low)                     \
  GAPCAM_SDOT(d, 6, low)                     \
  GAPCAM_SDOT(a, 1, high) GAPCAM_SDOT(b, 3, high) GAPCAM_SDOT(c, 5, high) GAPCAM_SDOT(d, 7, high)
#define GAPCAM_LOAD(low, high, at) "ldp q" #low ", q" #high ", [%[" #at "]], #32\n"
#define GAPCAM_STEP                   \
  GAPCAM_LOAD(0, 1, a0)               \
  GAPCAM_LOAD(2, 3, a1)               \
  GAPCAM_LOAD(4, 5, a2)               \
  GAPCAM_LOAD(6, 7, a3)               \
  GAPCAM_LOAD(8, 9, b0)               \
  GAPCAM_LOAD(10, 11, b1)             \
  GAPCAM_LOAD(12, 13, b2)             \
  GAPCAM_LOAD(14, 15, b3)             \
  GAPCAM_COLUMN(16, 20, 24, 28, 8, 9) \
  GAPCAM_COLUMN(17, 21, 25, 29, 10, 11) GAPCAM_COLUMN(18, 22, 26, 30, 12, 13) GAPCAM_COLUMN(19, 23, 27, 31, 14, 15)
// Adds up the lanes of a row's four sums and adds them to what is at `at`.
#define GAPCAM_END(a, b, c, d, at)    \
  "addp v" #a ".4s, v" #a ".4s, v" #b \
  ".4s\n"                             \
  "addp v" #c ".4s, v" #c ".4s, v" #d \
  ".4s\n"                             \
  "ldr q0, [" at                      \
  "]\n"                               \
  "addp v" #a ".4s, v" #a ".4s, v" #c \
  ".4s\n"                             \
  "add v0.4s, v0.4s, v" #a            \
  ".4s\n"                             \
  "str q0, [" at "]\n"

void Dots(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums, size_t stride) {
  static_assert(kDotRows == 4 && kDotColumns == 4 && kDotBytes % 64 == 0);
  const int8_t *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3], *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
  const int8_t* const end = a0 + bytes;
  asm volatile(
      // clang-format off
      ".irp sum, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
      "movi v\\sum\\().4s, #0\n"
      ".endr\n"
      "1:\n"
      GAPCAM_STEP GAPCAM_STEP
      "cmp %[a0], %[end]\n"
      "b.ne 1b\n"
      GAPCAM_END(16, 17, 18, 19, "%[row0]")
      GAPCAM_END(20, 21, 22, 23, "%[row1]")
      GAPCAM_END(24, 25, 26, 27, "%[row2]")
      GAPCAM_END(28, 29, 30, 31, "%[row3]")
      // clang-format on
      : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [b0] "+r"(b0), [b1] "+r"(b1), [b2] "+r"(b2),
        [b3] "+r"(b3)
      : [end] "r"(end), [row0] "r"(sums), [row1] "r"(sums + stride), [row2] "r"(sums + 2 * stride),
        [row3] "r"(sums + 3 * stride)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc",
        "memory");
}

}  // namespace
}  // namespace gapcam

#define GAPCAM_TEACH_OWN_DOTS
#define GAPCAM_TEACH_KERNELS kTeachNeonDot
#include "kernels.inl"
