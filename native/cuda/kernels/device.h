// The vocabulary of the kernels: CUDA C++, and a few types and functions of our own for memory access. NVRTC compiles
// them for a GPU (device_cuda.h). A C++ compiler compiles them for the emulator (../emulator/device.h), which checks
// each access.
//
//   KERNEL(name, Params, threads) { … p … }    a __global__ function with one structure, p
//   TILE_KERNEL(name, Params, threads) { … }   the same, with up to 128 registers for each thread
//   Global<const T> x(p.x)                     a Buffer as elements: x[i], LoadVector<8>(x, i), StoreVector(y, i, v)
//   StoreResult<T>(p.y, i, value)              stores a value of single precision in the element type of the Buffer
//   SHARED(T, name, count)                     shared memory of the block, 16-byte aligned, with the same accesses
//   CopyAsync(to, i, from, j, is_inside)       copies 16 bytes from global to shared memory; zeros unless is_inside
//   CommitCopies(), WaitCopies<kPending>()     the copies are visible after the wait and a barrier
//   MmaHalf(d, a, b)                           mma.sync.m16n8k16, half × half + float, in the layouts of the PTX manual
//   Wmma…                                      the 16×16×16 product of sm_70
#pragma once
#include "params.h"

#if defined(__CUDACC__)
#include "device_cuda.h"
#else
#include "../emulator/device.h"
#endif

namespace gapcam {
namespace cuda {

// n / d.value, for n < 2^31.
__device__ __forceinline__ uint32_t Divide(uint32_t n, const Divisor& d) {
  return d.multiplier ? __umulhi(n, d.multiplier) >> d.shift : n;
}

// Divides *n by d. *n becomes the quotient; the remainder is returned.
__device__ __forceinline__ uint32_t Split(uint32_t* n, const Divisor& d) {
  const uint32_t quotient = Divide(*n, d), rest = *n - quotient * d.value;
  *n = quotient;
  return rest;
}

__device__ __forceinline__ float Infinity() { return __int_as_float(0x7f800000); }

// The number of elements in 16 bytes, the widest access.
template <typename T>
constexpr int kVectorOf = 16 / static_cast<int>(sizeof(T));

// Stores neighbouring results from element `at` of y on, rounded to the network's element type. A buffer of floats gets
// them without rounding: it is an output in the host's memory (../lower/ports.cc). All threads of a launch take the
// same branch.
template <typename T, int kCount>
__device__ __forceinline__ void StoreResults(const Buffer& y, uint32_t at, const float (&results)[kCount]) {
  if (sizeof(T) == sizeof(float) || y.element_bytes == sizeof(float)) {
    constexpr int kFloats = kCount < kVectorOf<float> ? kCount : kVectorOf<float>;
#pragma unroll
    for (int i = 0; i < kCount; i += kFloats) {
      Vector<float, kFloats> part;
#pragma unroll
      for (int j = 0; j < kFloats; ++j) part[j] = results[i + j];
      StoreVector(Global<float>(y), at + i, part);
    }
    return;
  }
  Vector<T, kCount> rounded;
#pragma unroll
  for (int i = 0; i < kCount; ++i) rounded[i] = FromFloat<T>(results[i]);
  StoreVector(Global<T>(y), at, rounded);
}
template <typename T>
__device__ __forceinline__ void StoreResult(const Buffer& y, uint32_t at, float result) {
  const float results[1] = {result};
  StoreResults<T>(y, at, results);
}

// The index of this thread, or of its warp, in a grid of one dimension.
__device__ __forceinline__ uint32_t ThreadOfGrid() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ uint32_t WarpOfGrid() { return ThreadOfGrid() / 32; }

}  // namespace cuda
}  // namespace gapcam
