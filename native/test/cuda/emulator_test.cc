// The emulator detects faults that a GPU does not report: for each kind of fault, a kernel with it and the same kernel
// without.
#include <cmath>
#include <cstring>

#include "../../cuda/emulator/device.h"
#include "../../cuda/emulator/emulator.h"
#include "../check.h"

namespace gapcam_test {
namespace {

using namespace gapcam::cuda;
namespace emulator = gapcam::cuda::emulator;

// The parameters of the test kernels: a buffer of 256 floats, and whether the kernel has its fault.
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

// The right kernel runs to its end. The wrong one ends with an error that contains `sentence`.
void ExpectFault(void (*kernel)(const void*), const char* sentence) {
  const gapcam::Status right = Run(kernel, false), wrong = Run(kernel, true);
  EXPECT(right.ok(), "the right kernel: %s", right.message());
  EXPECT(!wrong.ok() && std::strstr(wrong.message(), sentence), "the wrong kernel: \"%s\", not \"%s\"", wrong.message(),
         sentence);
}

const TestParams& Params(const void* params) { return *static_cast<const TestParams*>(params); }

}  // namespace

TEST("an access after the end of a buffer, or before its start, is a fault") {
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

TEST("a read of shared memory that no thread has written is a fault") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        if (threadIdx.x != 5 || !Params(raw).is_wrong) memory[threadIdx.x] = 1;
        __syncthreads();
        (void)static_cast<float>(memory[63 - threadIdx.x]);
      },
      "which no thread has written");
}

TEST("a read of shared memory that another thread wrote needs a barrier") {
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[threadIdx.x] = 1;
        if (!Params(raw).is_wrong) __syncthreads();
        (void)static_cast<float>(memory[threadIdx.x ^ 1]);
      },
      "no thread has written");  // the first thread runs before its neighbour
  ExpectFault(
      [](const void* raw) {
        SHARED(float, memory, 64);
        memory[threadIdx.x] = 1;
        if (!Params(raw).is_wrong) __syncthreads();
        if (threadIdx.x > 0) (void)static_cast<float>(memory[threadIdx.x - 1]);
      },
      "which thread 0 wrote with no barrier between");
}

TEST("a write to shared memory that another thread wrote or read needs a barrier") {
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

TEST("an asynchronous copy arrives at its wait, and not before") {
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
  // Other threads also need a barrier.
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
        std::memcpy(&value, memory.At(threadIdx.x), 4);  // without the check
        if (!std::isnan(value)) emulator::Fault("begins as %g", value);
        memory[threadIdx.x] = 1;
      },
      false);
  EXPECT(status.ok(), "%s", status.message());
}

TEST("shuffles and votes exchange the values of the lanes") {
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

}  // namespace gapcam_test
