// The words that kernels are written in: those of CUDA C++, and a few of our own for memory. Compiled by NVRTC they are
// what a GPU has; compiled as C++ they are the emulator's (../emulator/device.h), which checks each of them.
//
//   KERNEL(name, Params, threads) { … p … }    a __global__ function of one structure, p
//   TILE_KERNEL(name, Params, threads) { … }   one that needs many registers more than it needs company
//   Global<const T> x(p.x)                     a Buffer as elements: x[i], LoadVector<8>(x, i), StoreVector(y, i, v)
//   StoreResult<T>(p.y, i, value)              what was computed in single precision, as the Buffer's elements
//   SHARED(T, name, count)                     the block's memory, 16-byte aligned: the same accesses
//   CopyAsync(to, i, from, j, is_inside)       16 bytes from global to shared memory, zeros where not inside
//   CommitCopies(), WaitCopies<kPending>()     … which are there after the wait and a barrier
//   MmaHalf(d, a, b)                           mma.sync.m16n8k16, half × half + float, by the layouts of the PTX manual
//   WmmaTile…                                  the 16×16×16 product of sm_70
#pragma once
#include "params.h"

#if defined(__CUDACC__)
#include "device_cuda.h"
#else
#include "../emulator/device.h"
#endif

namespace gapcam {
namespace cuda {

// n / d.value
__device__ __forceinline__ uint32_t Divide(uint32_t n, const Divisor& d) {
  return d.multiplier ? __umulhi(n, d.multiplier) >> d.shift : n;
}

// n split into a quotient and what remains of it.
__device__ __forceinline__ uint32_t Split(uint32_t* n, const Divisor& d) {
  const uint32_t quotient = Divide(*n, d), rest = *n - quotient * d.value;
  *n = quotient;
  return rest;
}

__device__ __forceinline__ float Infinity() { return __int_as_float(0x7f800000); }

// Elements of the 16 bytes that one access moves, where a tensor's rows allow it.
template <typename T>
constexpr int kVectorOf = 16 / static_cast<int>(sizeof(T));

// Neighbouring results from element `at` of y on, where they are rounded to the network's elements; but a buffer of floats
// gets them as they are: it is an output in the host's memory (../lower/ports.cc). All threads of a launch go one way.
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

// The number of this thread, or of its warp, in a grid of one dimension.
__device__ __forceinline__ uint32_t ThreadOfGrid() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ uint32_t WarpOfGrid() { return ThreadOfGrid() / 32; }

}  // namespace cuda
}  // namespace gapcam
