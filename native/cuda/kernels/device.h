// The words that kernels are written in: those of CUDA C++, and a few of our own for memory. Compiled by NVRTC they are
// what a GPU has; compiled as C++ they are the emulator's (../emulator/device.h), which checks each of them.
//
//   KERNEL(name, Params, threads) { … p … }    a __global__ function of one structure, p
//   TILE_KERNEL(name, Params, threads) { … }   one that needs many registers more than it needs company
//   Global<const T> x(p.x)                     a Buffer as elements: x[i], LoadVector<8>(x, i), StoreVector(y, i, v)
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
__device__ __forceinline__ uint32_t Divide(uint32_t n, const Divisor& d) { return d.multiplier ? __umulhi(n, d.multiplier) >> d.shift : n; }

// n split into a quotient and what remains of it.
__device__ __forceinline__ uint32_t Split(uint32_t* n, const Divisor& d) {
  const uint32_t quotient = Divide(*n, d), rest = *n - quotient * d.value;
  *n = quotient;
  return rest;
}

__device__ __forceinline__ float Infinity() { return __int_as_float(0x7f800000); }

// The number of this thread, or of its warp, in a grid of one dimension.
__device__ __forceinline__ uint32_t ThreadOfGrid() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ uint32_t WarpOfGrid() { return ThreadOfGrid() / 32; }

}  // namespace cuda
}  // namespace gapcam
