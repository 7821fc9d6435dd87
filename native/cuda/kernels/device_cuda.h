// The kernels' vocabulary (device.h) on a GPU. The wrappers cost no more than the pointers inside them.
#pragma once
#include <cuda_fp16.h>

#define NOINLINE __noinline__
#define KERNEL(name, Params, threads) extern "C" __global__ void __launch_bounds__(threads) name(const Params p)
// At least 512 threads on a multiprocessor: each may use 128 registers, so that no sum is spilled.
#define TILE_KERNEL(name, Params, threads) \
  extern "C" __global__ void __launch_bounds__(threads, 512 / threads) name(const Params p)
#define SHARED(T, name, count)                     \
  __shared__ __align__(16) T name##_memory[count]; \
  const Shared<T> name = {name##_memory}

namespace gapcam {
namespace cuda {

using half = __half;

template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Vector {
  T v[kCount];
  __device__ __forceinline__ T& operator[](int i) { return v[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return v[i]; }
};

template <typename T>
struct Global {
  T* data;
  __device__ __forceinline__ explicit Global(const Buffer& buffer) : data(reinterpret_cast<T*>(buffer.address)) {}
  __device__ __forceinline__ T& operator[](uint32_t i) const { return data[i]; }
};

template <typename T>
struct Shared {
  T* data;
  __device__ __forceinline__ T& operator[](uint32_t i) const { return data[i]; }
  // The bytes from element `from` on, as elements of another type.
  template <typename Other>
  __device__ __forceinline__ Shared<Other> As(uint32_t from = 0) const {
    return {reinterpret_cast<Other*>(data + from)};
  }
};

template <typename T>
struct Plain {
  using Type = T;
};
template <typename T>
struct Plain<const T> {
  using Type = T;
};

template <int kCount, template <typename> class Memory, typename T>
__device__ __forceinline__ Vector<typename Plain<T>::Type, kCount> LoadVector(const Memory<T>& from, uint32_t i) {
  return *reinterpret_cast<const Vector<typename Plain<T>::Type, kCount>*>(from.data + i);
}
template <int kCount, template <typename> class Memory, typename T>
__device__ __forceinline__ void StoreVector(const Memory<T>& to, uint32_t i, const Vector<T, kCount>& value) {
  *reinterpret_cast<Vector<T, kCount>*>(to.data + i) = value;
}

__device__ __forceinline__ float ToFloat(float x) { return x; }
__device__ __forceinline__ float ToFloat(half x) { return __half2float(x); }
template <typename T>
__device__ __forceinline__ T FromFloat(float x);
template <>
__device__ __forceinline__ float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ half FromFloat<half>(float x) {
  return __float2half_rn(x);
}

// The value of lane (own lane XOR mask). All lanes of the warp must take part.
__device__ __forceinline__ float ShuffleXor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
__device__ __forceinline__ bool WarpAny(bool value) { return __any_sync(0xffffffffu, value); }

// Two neighbouring halves as one register of the tensor cores.
__device__ __forceinline__ uint32_t LoadPair(const Shared<half>& from, uint32_t i) {
  return *reinterpret_cast<const uint32_t*>(from.data + i);
}

#if __CUDA_ARCH__ >= 800

template <typename T>
__device__ __forceinline__ void CopyAsync(const Shared<T>& to, uint32_t i, const Global<const T>& from, uint32_t j,
                                          bool is_inside) {
  const uint32_t place = static_cast<uint32_t>(__cvta_generic_to_shared(to.data + i));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from.data + (is_inside ? j : 0)),
               "r"(is_inside ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void WaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// d += a · b. With g = lane / 4 and t = lane % 4, a lane holds of a: rows g, g + 8 in columns 2t…, 2t + 8…; of b: rows
// 2t…, 2t + 8… in column g; of d: rows g, g + 8 in columns 2t, 2t + 1.
__device__ __forceinline__ void MmaHalf(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

#if __CUDA_ARCH__ >= 700

// WMMA with 16×16 tiles of a (row-major), b (column-major) and the sums. Written in PTX, because the packages of NVRTC
// do not contain mma.h.
struct WmmaA {
  uint32_t x[8];
};
struct WmmaB {
  uint32_t x[8];
};
struct WmmaSums {
  float x[8];
};

#define GAPCAM_EIGHT(constraint, x)                                                                   \
  constraint((x)[0]), constraint((x)[1]), constraint((x)[2]), constraint((x)[3]), constraint((x)[4]), \
      constraint((x)[5]), constraint((x)[6]), constraint((x)[7])

__device__ __forceinline__ void WmmaLoad(WmmaA& tile, const Shared<half>& from, uint32_t i, uint32_t stride) {
  const uint32_t place = static_cast<uint32_t>(__cvta_generic_to_shared(from.data + i));
  asm volatile("wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {%0,%1,%2,%3,%4,%5,%6,%7}, [%8], %9;"
               : GAPCAM_EIGHT("=r", tile.x)
               : "r"(place), "r"(stride)
               : "memory");
}
__device__ __forceinline__ void WmmaLoad(WmmaB& tile, const Shared<half>& from, uint32_t i, uint32_t stride) {
  const uint32_t place = static_cast<uint32_t>(__cvta_generic_to_shared(from.data + i));
  asm volatile("wmma.load.b.sync.aligned.col.m16n16k16.shared.f16 {%0,%1,%2,%3,%4,%5,%6,%7}, [%8], %9;"
               : GAPCAM_EIGHT("=r", tile.x)
               : "r"(place), "r"(stride)
               : "memory");
}
__device__ __forceinline__ void WmmaClear(WmmaSums& sums) {
#pragma unroll
  for (int i = 0; i < 8; ++i) sums.x[i] = 0.0f;
}
__device__ __forceinline__ void WmmaMultiply(WmmaSums& sums, const WmmaA& a, const WmmaB& b) {
  asm volatile(
      "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9,%10,%11,%12,%13,%14,%15}, "
      "{%16,%17,%18,%19,%20,%21,%22,%23}, {%0,%1,%2,%3,%4,%5,%6,%7};"
      : GAPCAM_EIGHT("+f", sums.x)
      : GAPCAM_EIGHT("r", a.x), GAPCAM_EIGHT("r", b.x));
}
__device__ __forceinline__ void WmmaStore(const Shared<float>& to, uint32_t i, const WmmaSums& sums, uint32_t stride) {
  const uint32_t place = static_cast<uint32_t>(__cvta_generic_to_shared(to.data + i));
  asm volatile("wmma.store.d.sync.aligned.row.m16n16k16.shared.f32 [%8], {%0,%1,%2,%3,%4,%5,%6,%7}, %9;" ::GAPCAM_EIGHT(
                   "f", sums.x),
               "r"(place), "r"(stride)
               : "memory");
}

#undef GAPCAM_EIGHT

#endif

}  // namespace cuda
}  // namespace gapcam
