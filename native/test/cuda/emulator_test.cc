// The emulator finds what a GPU would hide: for each kind of fault a kernel that has it, and the same kernel without.
#include <cmath>
#include <cstring>
#include <limits>

#include "../../cuda/emulator/device.h"
#include "../../cuda/emulator/emulator.h"
#include "../check.h"
#include "../random.h"

namespace gapcam_test {
namespace {

using namespace gapcam::cuda;
namespace emulator = gapcam::cuda::emulator;

// What the wrong kernels get: one buffer of 256 floats, and whether to be wrong.
struct TestParams {
  Buffer x;
  bool is_wrong;
};

alignas(16) float floats[256];

gapcam::Status Run(void (*kernel)(const void*), bool is_wrong, uint32_t threads = 64) {
  for (int i = 0; i < 256; ++i) floats[i] = static_cast<float>(i);
  emulator::AddRegion(floats, sizeof(floats));
  const TestParams params = {{reinterpret_cast<uint64_t>(floats), 256, 4}, is_wrong};
  const gapcam::Status status = emulator::RunKernel("test", kernel, {1, 1, 1}, {threads, 1, 1}, &params);
  emulator::RemoveRegion(floats);
  return status;
}

// The right kernel runs through, the wrong one ends with a sentence that has `sentence` in it.
void ExpectFault(void (*kernel)(const void*), const char* sentence) {
  const gapcam::Status right = Run(kernel, false), wrong = Run(kernel, true);
  EXPECT(right.ok(), "the right kernel: %s", right.message());
  EXPECT(!wrong.ok() && std::strstr(wrong.message(), sentence), "the wrong kernel: \"%s\", not \"%s\"", wrong.message(),
         sentence);
}

const TestParams& Params(const void* params) { return *static_cast<const TestParams*>(params); }

}  // namespace

TEST("an access behind the end of a buffer, and one before its start, are faults") {
  ExpectFault(
      [](const void* raw) {
        const Global<float> x(Params(raw).x);
        x[threadIdx.x + (Params(raw).is_wrong ? 193 : 192)] = 1;
      },
      "thread (63, 0, 0) accesses elements 256 to 256 of a buffer of 256");
  ExpectFault(
      [](const void* raw) {
        const Global<float> x(Params(raw).x);
        x[threadIdx.x - Params(raw).is_wrong] = 1;
      },
      "thread (0, 0, 0) accesses elements 4294967295");
  ExpectFault(
      [](const void* raw) { LoadVector<4>(Global<const float>(Params(raw).x), Params(raw).is_wrong ? 256 : 252); },
      "accesses elements 256 to 259");
}

TEST("a buffer outside registered memory, or of other elements, is a fault") {
  ExpectFault(
      [](const void* raw) {
        Buffer buffer = Params(raw).x;
        buffer.address += Params(raw).is_wrong ? 4 : 0;
        const Global<float> x(buffer);
      },
      "is not all device memory");
  ExpectFault(
      [](const void* raw) {
        Buffer buffer = Params(raw).x;
        buffer.element_bytes = Params(raw).is_wrong ? 2 : 4;
        const Global<float> x(buffer);
      },
      "takes a buffer of elements of 2 bytes");
}

TEST("a misaligned vector is a fault, in global and in shared memory") {
  ExpectFault([](const void* raw) { LoadVector<4>(Global<const float>(Params(raw).x), Params(raw).is_wrong ? 2 : 4); },
              "which is not aligned");
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 16);
        if (threadIdx.x == 0) StoreVector(memory, Params(raw).is_wrong ? 2 : 4, Vector<float, 4>{});
      },
      "of shared memory, which is not aligned");
}

TEST("an access outside a shared array is a fault") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[threadIdx.x + Params(raw).is_wrong] = 1;
      },
      "accesses elements 64 to 64 of 64 in shared memory");
}

TEST("shared memory that nobody wrote is a fault when it is read") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        if (threadIdx.x != 5 || !Params(raw).is_wrong) memory[threadIdx.x] = 1;
        __syncthreads();
        (void)static_cast<float>(memory[63 - threadIdx.x]);
      },
      "which nobody has written");
}

TEST("reading what another thread wrote needs a barrier") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[threadIdx.x] = 1;
        if (!Params(raw).is_wrong) __syncthreads();
        (void)static_cast<float>(memory[threadIdx.x ^ 1]);
      },
      "nobody has written");  // the first thread comes before its neighbour
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[threadIdx.x] = 1;
        if (!Params(raw).is_wrong) __syncthreads();
        if (threadIdx.x > 0) (void)static_cast<float>(memory[threadIdx.x - 1]);
      },
      "which thread 0 wrote with no barrier between");
}

TEST("writing what another thread wrote or read needs a barrier") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[Params(raw).is_wrong ? threadIdx.x / 2 : threadIdx.x] = 1;
      },
      "which thread 0 wrote with no barrier between");
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[threadIdx.x] = 1;
        __syncthreads();
        (void)static_cast<float>(memory[(threadIdx.x + 1) % 64]);
        if (!Params(raw).is_wrong) __syncthreads();
        memory[threadIdx.x] = 2;
      },
      "which another thread read with no barrier between");
}

TEST("a barrier that not all threads reach is a fault") {
  ExpectFault(
      [](const void* raw) {
        if (Params(raw).is_wrong && threadIdx.x == 40) return;
        __syncthreads();
      },
      "while others have ended");
  ExpectFault(
      [](const void* raw) {
        if (Params(raw).is_wrong && threadIdx.x < 32) {
          __syncthreads();
        } else {
          __syncthreads();
        }
        if (!Params(raw).is_wrong) __syncthreads();
      },
      "wait at different barriers");
}

TEST("a warp operation that not all lanes reach is a fault") {
  ExpectFault(
      [](const void* raw) {
        if (!Params(raw).is_wrong || threadIdx.x % 32 < 16) ShuffleXor(1, 1);
      },
      "not all lanes of a warp reach a warp operation");
  ExpectFault(
      [](const void* raw) {
        if (Params(raw).is_wrong && threadIdx.x % 2)
          WarpAny(true);
        else
          ShuffleXor(1, 1);
      },
      "different warp operations");
}

TEST("an asynchronous copy is there after its wait, and not before") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64 * 4);
        CopyAsync(memory, threadIdx.x * 4, Global<const float>(Params(raw).x), threadIdx.x * 4, threadIdx.x % 2 == 0);
        CommitCopies();
        if (Params(raw).is_wrong)
          WaitCopies<1>();
        else
          WaitCopies<0>();
        __syncthreads();
        const uint32_t at = (threadIdx.x * 4 + 7) % 256;
        if (memory[at] != (at / 4 % 2 == 0 ? static_cast<float>(at) : 0.0f)) emulator::Fault("got another value");
      },
      "while an asynchronous copy to it is under way");
  // The wait alone does not show it to other threads.
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64 * 4);
        CopyAsync(memory, threadIdx.x * 4, Global<const float>(Params(raw).x), threadIdx.x * 4, true);
        CommitCopies();
        WaitCopies<0>();
        if (!Params(raw).is_wrong) __syncthreads();
        if (threadIdx.x > 0) (void)static_cast<float>(memory[threadIdx.x * 4 - 1]);
      },
      "with no barrier between");
}

TEST("shared memory begins as NaN in every block") {
  const gapcam::Status status = Run(
      [](const void*) {
        SHARED(float, memory, 64);
        float value;
        std::memcpy(&value, memory.At(threadIdx.x), 4);  // past the check
        if (!std::isnan(value)) emulator::Fault("begins as %g", value);
        memory[threadIdx.x] = 1;
      },
      false);
  EXPECT(status.ok(), "%s", status.message());
}

TEST("shuffles and votes exchange what the lanes brought") {
  const gapcam::Status status = Run(
      [](const void*) {
        const auto lane = static_cast<float>(threadIdx.x);
        for (int mask = 16; mask > 0; mask /= 2) {
          const float other = ShuffleXor(lane, mask);
          if (other != static_cast<float>(threadIdx.x ^ static_cast<uint32_t>(mask)))
            emulator::Fault("got %g over %d", other, mask);
        }
        if (WarpAny(threadIdx.x == 40) != (threadIdx.x >= 32)) emulator::Fault("got another vote");
      },
      false);
  EXPECT(status.ok(), "%s", status.message());
}

TEST("half precision rounds to the nearest even, as its definition says") {
  // Every half, and around the middle of each two neighbours.
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = HalfToFloat(static_cast<uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) {
      EXPECT(mantissa ? std::isnan(value) : std::isinf(value), "%04x is %g", bits, value);
      continue;
    }
    EXPECT(std::fabs(value) == magnitude && std::signbit(value) == (bits >= 0x8000), "%04x is %g", bits, value);
    EXPECT(FloatToHalf(value) == bits, "%04x comes back as %04x", bits, FloatToHalf(value));
    if (exponent == 30 && mantissa == 1023) continue;
    const float next = HalfToFloat(static_cast<uint16_t>(bits + 1)), middle = (value + next) / 2;
    EXPECT(FloatToHalf(middle) == (bits % 2 == 0 ? bits : bits + 1), "the middle above %04x becomes %04x", bits,
           FloatToHalf(middle));
    EXPECT(FloatToHalf(std::nextafter(middle, value)) == bits && FloatToHalf(std::nextafter(middle, next)) == bits + 1,
           "beside the middle above %04x", bits);
  }
  EXPECT(FloatToHalf(65519.996f) == 0x7bff && FloatToHalf(65520) == 0x7c00 &&
             FloatToHalf(std::numeric_limits<float>::infinity()) == 0x7c00,
         "the end of the range");
}

// a [16][16] · b [16][8 or 16] with the fragments laid out by a formula of their own: the element (row, column) of a matrix
// of 16×16 in mma is register row / 8 + column / 8 · 2 of lane row % 8 · 4 + column % 8 / 2 (PTX ISA, mma.m16n8k16).
struct Matrices {
  half a[16][16], b[16][16];
  float d[16][16];
};
static Matrices matrices;

TEST("mma and WMMA multiply by the documented layouts") {
  Random random(5);
  for (auto& row : matrices.a)
    for (half& x : row) x = FromFloat<half>(random.Float());
  for (auto& row : matrices.b)
    for (half& x : row) x = FromFloat<half>(random.Float());
  const auto check = [](const char* what, int columns) {
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < columns; ++column) {
        double sum = 0;
        for (int k = 0; k < 16; ++k) sum += double{ToFloat(matrices.a[row][k])} * ToFloat(matrices.b[k][column]);
        EXPECT(std::fabs(matrices.d[row][column] - sum) < 1e-5, "%s: (%d, %d) is %g, not %g", what, row, column,
               matrices.d[row][column], sum);
      }
  };
  gapcam::Status status = Run(
      [](const void*) {
        uint32_t a[4] = {}, b[2] = {};
        float d[4] = {};
        for (uint32_t row = 0; row < 16; ++row)
          for (uint32_t column = 0; column < 16; ++column) {
            if (row % 8 * 4 + column % 8 / 2 == threadIdx.x)
              a[row / 8 + column / 8 * 2] |= static_cast<uint32_t>(matrices.a[row][column].bits) << (column % 2 * 16);
            if (column < 8 && column * 4 + row % 8 / 2 == threadIdx.x)
              b[row / 8] |= static_cast<uint32_t>(matrices.b[row][column].bits) << (row % 2 * 16);
          }
        MmaHalf(d, a, b);
        for (uint32_t row = 0; row < 16; ++row)
          for (uint32_t column = 0; column < 8; ++column) {
            if (row % 8 * 4 + column / 2 == threadIdx.x) matrices.d[row][column] = d[row / 8 * 2 + column % 2];
          }
      },
      false, 32);
  EXPECT(status.ok(), "%s", status.message());
  check("mma", 8);
  status = Run(
      [](const void*) {
        SHARED(half, a, 256);
        SHARED(half, b, 256);
        SHARED(float, d, 256);
        for (uint32_t i = threadIdx.x; i < 256; i += 32)
          a[i] = matrices.a[i / 16][i % 16], b[i] = matrices.b[i % 16][i / 16];
        __syncthreads();
        WmmaA left;
        WmmaB right;
        WmmaSums sums;
        WmmaLoad(left, a, 0, 16);
        WmmaLoad(right, b, 0, 16);
        WmmaClear(sums);
        WmmaMultiply(sums, left, right);
        WmmaStore(d, 0, sums, 16);
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < 256; i += 32) matrices.d[i / 16][i % 16] = d[i];
      },
      false, 32);
  EXPECT(status.ok(), "%s", status.message());
  check("WMMA", 16);
}

}  // namespace gapcam_test
