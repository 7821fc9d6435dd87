// The kernels' vocabulary (../kernels/device.h) on the host. Every access is checked against its buffer, and every
// barrier or warp operation switches fibers (block.h).
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../half.h"
#include "../kernels/params.h"
#include "block.h"

#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define NOINLINE inline __attribute__((noinline))
#define KERNEL(name, Params, threads) void name(const Params& p)
#define TILE_KERNEL KERNEL
#define SHARED(T, name, count) const Shared<T> name = {emulator::DeclareShared(__LINE__, (count) * sizeof(T)), (count)}
#define __syncthreads() emulator::BlockBarrier(__LINE__)

namespace gapcam {
namespace cuda {

struct half {
  uint16_t bits;
};

template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Vector {
  T v[kCount];
  T& operator[](int i) { return v[i]; }
  const T& operator[](int i) const { return v[i]; }
};

template <typename T>
struct Plain {
  using Type = T;
};
template <typename T>
struct Plain<const T> {
  using Type = T;
};

inline float ToFloat(float x) { return x; }
inline float ToFloat(half x) { return HalfToFloat(x.bits); }
template <typename T>
T FromFloat(float x);
template <>
inline float FromFloat<float>(float x) {
  return x;
}
template <>
inline half FromFloat<half>(float x) {
  return {FloatToHalf(x)};
}

inline uint32_t __umulhi(uint32_t a, uint32_t b) { return static_cast<uint32_t>(uint64_t{a} * b >> 32); }
inline float __int_as_float(int bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }

// A Buffer as elements. The constructor checks that all of it is registered memory.
template <typename T>
class Global {
 public:
  explicit Global(const Buffer& buffer)
      : data_(reinterpret_cast<uint8_t*>(buffer.address)), elements_(buffer.elements) {
    if (elements_ == 0) return;
    if (buffer.element_bytes != sizeof(T))
      emulator::Fault("takes a buffer of elements of %u bytes for one of %zu", buffer.element_bytes, sizeof(T));
    if (!emulator::IsRegistered(buffer.address, uint64_t{elements_} * sizeof(T)))
      emulator::Fault("has a buffer of %u elements that is not all device memory", elements_);
  }

  // The address of `count` elements from `i` on.
  uint8_t* At(uint32_t i, uint32_t count = 1) const {
    if (__builtin_expect(i >= elements_ || count > elements_ - i, false))
      emulator::Fault("accesses elements %u to %u of a buffer of %u", i, i + count - 1, elements_);
    uint8_t* const place = data_ + size_t{i} * sizeof(T);
    if (__builtin_expect(reinterpret_cast<uintptr_t>(place) % (count * sizeof(T)) != 0, false))
      emulator::Fault("accesses %u elements from %u on, which is not aligned", count, i);
    return place;
  }
  bool Holds(uint32_t i, uint32_t count) const { return i < elements_ && count <= elements_ - i; }

  T& operator[](uint32_t i) const { return *reinterpret_cast<T*>(At(i)); }

 private:
  uint8_t* data_;
  uint32_t elements_;
};

// Shared memory. Elements are proxies that record whether they are read or written.
template <typename T>
class Shared {
 public:
  Shared(uint8_t* data, uint32_t elements) : data_(data), elements_(elements) {}

  uint8_t* At(uint32_t i, uint32_t count = 1) const {
    if (__builtin_expect(i >= elements_ || count > elements_ - i, false))
      emulator::Fault("accesses elements %u to %u of %u in shared memory", i, i + count - 1, elements_);
    uint8_t* const place = data_ + size_t{i} * sizeof(T);
    if (__builtin_expect(reinterpret_cast<uintptr_t>(place) % (count * sizeof(T)) != 0, false))
      emulator::Fault("accesses %u elements from %u on of shared memory, which is not aligned", count, i);
    return place;
  }

  class Element {
   public:
    explicit Element(uint8_t* place) : place_(place) {}
    operator T() const {
      emulator::NoteRead(place_, sizeof(T) / 2);
      T value;
      std::memcpy(&value, place_, sizeof(T));
      return value;
    }
    const Element& operator=(const T& value) const {
      emulator::NoteWrite(place_, sizeof(T) / 2);
      std::memcpy(place_, &value, sizeof(T));
      return *this;
    }

   private:
    uint8_t* place_;
  };
  Element operator[](uint32_t i) const { return Element(At(i)); }

  template <typename Other>
  Shared<Other> As(uint32_t from = 0) const {
    if (from > elements_) emulator::Fault("reaches beyond the end of shared memory");
    return {data_ + size_t{from} * sizeof(T), static_cast<uint32_t>((elements_ - from) * sizeof(T) / sizeof(Other))};
  }

 private:
  uint8_t* data_;
  uint32_t elements_;
};

template <int kCount, typename T>
Vector<typename Plain<T>::Type, kCount> LoadVector(const Global<T>& from, uint32_t i) {
  Vector<typename Plain<T>::Type, kCount> value;
  std::memcpy(&value, from.At(i, kCount), sizeof(value));
  return value;
}
template <int kCount, typename T>
Vector<T, kCount> LoadVector(const Shared<T>& from, uint32_t i) {
  const uint8_t* const place = from.At(i, kCount);
  emulator::NoteRead(place, kCount * sizeof(T) / 2);
  Vector<T, kCount> value;
  std::memcpy(&value, place, sizeof(value));
  return value;
}
template <int kCount, typename T>
void StoreVector(const Global<T>& to, uint32_t i, const Vector<T, kCount>& value) {
  std::memcpy(to.At(i, kCount), &value, sizeof(value));
}
template <int kCount, typename T>
void StoreVector(const Shared<T>& to, uint32_t i, const Vector<T, kCount>& value) {
  uint8_t* const place = to.At(i, kCount);
  emulator::NoteWrite(place, kCount * sizeof(T) / 2);
  std::memcpy(place, &value, sizeof(value));
}

inline uint32_t LoadPair(const Shared<half>& from, uint32_t i) {
  const uint8_t* const place = from.At(i, 2);
  emulator::NoteRead(place, 2);
  uint32_t value;
  std::memcpy(&value, place, sizeof(value));
  return value;
}

template <typename T>
void CopyAsync(const Shared<T>& to, uint32_t i, const Global<const T>& from, uint32_t j, bool is_inside) {
  constexpr uint32_t kCount = 16 / sizeof(T);
  emulator::BeginCopy(to.At(i, kCount), is_inside ? from.At(j, kCount) : nullptr);
}
inline void CommitCopies() { emulator::CommitCopyGroup(); }
template <int kPending>
void WaitCopies() {
  emulator::WaitForCopies(kPending);
}

float ShuffleXor(float value, int mask);
bool WarpAny(bool value);
void MmaHalf(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

// A lane's part of a 16×16 tile: elements 8 · lane … of its rows (a, the sums) or of its columns (b). The layout of the
// hardware is unspecified and differs.
struct WmmaA {
  half x[8];
};
struct WmmaB {
  half x[8];
};
struct WmmaSums {
  float x[8];
};

inline void WmmaClear(WmmaSums& sums) { sums = {}; }
void WmmaMultiply(WmmaSums& sums, const WmmaA& a, const WmmaB& b);

inline uint32_t WmmaPlace(uint32_t i, uint32_t stride) {
  const uint32_t lane = (threadIdx.x + blockDim.x * threadIdx.y) % emulator::kWarpThreads;
  return i + lane / 2 * stride + lane % 2 * 8;
}
template <typename Fragment>
void WmmaLoad(Fragment& tile, const Shared<half>& from, uint32_t i, uint32_t stride) {
  if (i % 16 != 0 || stride % 8 != 0) emulator::Fault("loads a WMMA tile that is not aligned");
  const Vector<half, 8> row = LoadVector<8>(from, WmmaPlace(i, stride));
  std::memcpy(tile.x, row.v, sizeof(tile.x));
}
inline void WmmaStore(const Shared<float>& to, uint32_t i, const WmmaSums& sums, uint32_t stride) {
  if (i % 8 != 0 || stride % 4 != 0) emulator::Fault("stores a WMMA tile that is not aligned");
  for (int part = 0; part < 8; part += 4) {
    StoreVector<4>(to, WmmaPlace(i, stride) + part,
                   Vector<float, 4>{{sums.x[part], sums.x[part + 1], sums.x[part + 2], sums.x[part + 3]}});
  }
}

}  // namespace cuda
}  // namespace gapcam
