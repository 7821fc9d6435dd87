// The vector layer of the kernels: one type V of kLanes floats over the compiler's vector extensions, with intrinsics
// where those are not enough. Every target's translation unit includes it once, inside its own namespace.
//
// Arithmetic is written with operators; a * b + c becomes a fused multiply-add where the target has one.
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(GAPCAM_TARGET_AVX512) || defined(GAPCAM_TARGET_AVX2)
#include <immintrin.h>
#elif defined(GAPCAM_TARGET_NEON) || defined(GAPCAM_TARGET_HALF)
#include <arm_neon.h>
#endif

namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_AVX512)
constexpr int kLanes = 16;
#elif defined(GAPCAM_TARGET_AVX2)
constexpr int kLanes = 8;
#elif defined(GAPCAM_TARGET_HALF)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;  // NEON, and SSE on every x86-64
#endif
#if defined(GAPCAM_TARGET_NEON) || defined(GAPCAM_TARGET_HALF)
constexpr bool kIsNeon = true;
#else
constexpr bool kIsNeon = false;
#endif

// What tensors hold and kernels compute with. Constants, means and the parameters of steps are floats in any case.
#if defined(GAPCAM_TARGET_HALF)
typedef __fp16 E;
typedef int16_t Integer;
#else
typedef float E;
typedef int32_t Integer;
#endif

typedef E V __attribute__((vector_size(kLanes * sizeof(E))));
typedef Integer VI __attribute__((vector_size(kLanes * sizeof(E))));
typedef E UnalignedV __attribute__((vector_size(kLanes * sizeof(E)), aligned(sizeof(E)), may_alias));

// Free functions and members that are always inlined.
#define GAPCAM_INLINE static inline __attribute__((always_inline))
#define GAPCAM_MEMBER inline __attribute__((always_inline))

// Half a vector. Only AVX-512 has it, where the lower half of a register is an AVX register and takes half the time.
#if defined(GAPCAM_TARGET_AVX512)
constexpr int kHalfLanes = kLanes / 2;
typedef float H __attribute__((vector_size(kHalfLanes * sizeof(float))));
typedef float UnalignedH __attribute__((vector_size(kHalfLanes * sizeof(float)), aligned(4), may_alias));
GAPCAM_INLINE H LoadHalf(const float* p) { return *reinterpret_cast<const UnalignedH*>(p); }
GAPCAM_INLINE H SetHalf(float x) { return _mm256_set1_ps(x); }
GAPCAM_INLINE H Lower(V a) { return _mm512_castps512_ps256(a); }
GAPCAM_INLINE V Widen(H a) { return _mm512_zextps256_ps512(a); }
#endif

// A condition known at compile time, as an argument of a generic lambda.
template <bool kCondition>
struct Flag {
  static constexpr bool kValue = kCondition;
};

// Hides the origin of an address from the compiler, which then derives neighbouring addresses from it instead of
// keeping each in a register.
template <class T>
GAPCAM_INLINE T* Pinned(T* p) {
  asm("" : "+r"(p));
  return p;
}

// Hides where a condition of a loop comes from, so that it stays in one register and one branch.
GAPCAM_INLINE int Opaque(int condition) {
  asm("" : "+r"(condition));
  return condition;
}

GAPCAM_INLINE V Load(const E* p) { return *reinterpret_cast<const UnalignedV*>(p); }
// Loads a value that is used several times. Compilers tend to read memory again for each use; AVX-512, with 32
// registers and one 64-byte load per cycle, is faster if the value stays in a register.
GAPCAM_INLINE V LoadOnce(const E* p) {
#if defined(GAPCAM_TARGET_AVX512)
  return *reinterpret_cast<const volatile UnalignedV*>(p);
#else
  return Load(p);
#endif
}
GAPCAM_INLINE void Store(E* p, V v) { *reinterpret_cast<UnalignedV*>(p) = v; }

GAPCAM_INLINE V Set(float x) {
#if defined(GAPCAM_TARGET_AVX512)
  return _mm512_set1_ps(x);
#elif defined(GAPCAM_TARGET_AVX2)
  return _mm256_set1_ps(x);
#elif defined(GAPCAM_TARGET_HALF)
  return vdupq_n_f16(static_cast<E>(x));
#else
  return V{x, x, x, x};
#endif
}

GAPCAM_INLINE V Zero() { return Set(0.0f); }

// Loads the first n lanes (0 < n <= kLanes), with zeros in the others. Memory beyond them is not read.
GAPCAM_INLINE V LoadN(const E* p, int n) {
#if defined(GAPCAM_TARGET_AVX512)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(GAPCAM_TARGET_AVX2)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
#else
  if (n == kLanes) return Load(p);
  V v = Zero();
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}

// Stores the first n lanes. Memory beyond them is not written.
GAPCAM_INLINE void StoreN(E* p, V v, int n) {
#if defined(GAPCAM_TARGET_AVX512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#elif defined(GAPCAM_TARGET_AVX2)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), v);
#else
  if (n == kLanes) return Store(p, v);
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// A NaN in b propagates. x86 returns the second operand if either is NaN; NEON returns NaN.
GAPCAM_INLINE V Max(V a, V b) {
#if defined(GAPCAM_TARGET_AVX512)
  return _mm512_max_ps(a, b);
#elif defined(GAPCAM_TARGET_AVX2)
  return _mm256_max_ps(a, b);
#elif defined(GAPCAM_TARGET_NEON)
  return vmaxq_f32(a, b);
#elif defined(GAPCAM_TARGET_HALF)
  return vmaxq_f16(a, b);
#else
  return a > b ? a : b;
#endif
}

GAPCAM_INLINE V Min(V a, V b) {
#if defined(GAPCAM_TARGET_AVX512)
  return _mm512_min_ps(a, b);
#elif defined(GAPCAM_TARGET_AVX2)
  return _mm256_min_ps(a, b);
#elif defined(GAPCAM_TARGET_NEON)
  return vminq_f32(a, b);
#elif defined(GAPCAM_TARGET_HALF)
  return vminq_f16(a, b);
#else
  return a < b ? a : b;
#endif
}

#if !defined(GAPCAM_TARGET_HALF)
GAPCAM_INLINE V Sqrt(V a) {
#if defined(GAPCAM_TARGET_AVX512)
  return _mm512_sqrt_ps(a);
#elif defined(GAPCAM_TARGET_AVX2)
  return _mm256_sqrt_ps(a);
#elif defined(GAPCAM_TARGET_NEON)
  return vsqrtq_f32(a);
#else
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
#endif
}

GAPCAM_INLINE VI ToInt(V a) { return __builtin_convertvector(a, VI); }
GAPCAM_INLINE V ToFloat(VI a) { return __builtin_convertvector(a, V); }
GAPCAM_INLINE VI Bits(V a) { return reinterpret_cast<VI>(a); }
GAPCAM_INLINE V FromBits(VI a) { return reinterpret_cast<V>(a); }
GAPCAM_INLINE VI SetInt(int32_t x) { return VI{} + x; }
// a where the mask is set, b elsewhere. Mask lanes are all ones or all zeros, as comparisons return them.
GAPCAM_INLINE V Select(VI mask, V a, V b) { return FromBits((mask & Bits(a)) | (~mask & Bits(b))); }
GAPCAM_INLINE V Abs(V a) { return FromBits(Bits(a) & 0x7fffffff); }
#endif

// Maximum and minimum for reductions: a NaN in either operand propagates.
#if defined(GAPCAM_TARGET_NEON) || defined(GAPCAM_TARGET_HALF)
GAPCAM_INLINE V Greater(V a, V b) { return Max(a, b); }
GAPCAM_INLINE V Lesser(V a, V b) { return Min(a, b); }
#else
GAPCAM_INLINE V Greater(V a, V b) { return Select(a != a, a, Max(a, b)); }
GAPCAM_INLINE V Lesser(V a, V b) { return Select(a != a, a, Min(a, b)); }
#endif

#if !defined(GAPCAM_TARGET_HALF)
// Rounds towards minus infinity. Values of 2^23 or more in magnitude are whole numbers already and, like NaNs, are
// returned unchanged.
GAPCAM_INLINE V Floor(V a) {
  const V whole = ToFloat(ToInt(a));
  const V floor = whole - Select(whole > a, Set(1.0f), Zero());
  return Select(Abs(a) < Set(8388608.0f), floor, a);
}

// The sum of all lanes, in their order.
GAPCAM_INLINE float Sum(V a) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += a[i];
  return sum;
}

// Copies a few bytes.
GAPCAM_INLINE void PutBytes(void* to, const void* from, uint32_t count) {
  char* y = static_cast<char*>(to);
  const char* x = static_cast<const char*>(from);
  for (; count >= 16; count -= 16, y += 16, x += 16) std::memcpy(y, x, 16);
  if (count >= 8) std::memcpy(y, x, 8), y += 8, x += 8, count -= 8;
  for (uint32_t i = 0; i < count; ++i) y[i] = x[i];
}
#endif

// Sums in single precision of kLanes values: a vector, or two where the values are in half precision.
#if defined(GAPCAM_TARGET_HALF)
struct Wide {
  float32x4_t low, high;
};
GAPCAM_INLINE Wide WideZero() { return {vdupq_n_f32(0), vdupq_n_f32(0)}; }
GAPCAM_INLINE Wide WideLoad(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
GAPCAM_INLINE void WideStore(float* p, Wide a) { vst1q_f32(p, a.low), vst1q_f32(p + 4, a.high); }
GAPCAM_INLINE Wide WideOf(V a) { return {vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a)}; }
GAPCAM_INLINE Wide WideAdd(Wide a, V b) {
  return {a.low + vcvt_f32_f16(vget_low_f16(b)), a.high + vcvt_high_f32_f16(b)};
}
GAPCAM_INLINE Wide WideAdd(Wide a, Wide b) { return {a.low + b.low, a.high + b.high}; }
GAPCAM_INLINE V Narrow(Wide a) { return vcvt_high_f16_f32(vcvt_f16_f32(a.low), a.high); }
// Stores the first n values, divided by `divisor`.
GAPCAM_INLINE void WideStoreQuotient(float* p, Wide a, float divisor, int n) {
  float lanes[kLanes];
  WideStore(lanes, {a.low / vdupq_n_f32(divisor), a.high / vdupq_n_f32(divisor)});
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
#else
typedef V Wide;
GAPCAM_INLINE Wide WideZero() { return Zero(); }
GAPCAM_INLINE Wide WideLoad(const float* p) { return Load(p); }
GAPCAM_INLINE void WideStore(float* p, Wide a) { Store(p, a); }
GAPCAM_INLINE Wide WideAdd(Wide a, V b) { return a + b; }
GAPCAM_INLINE void WideStoreQuotient(float* p, Wide a, float divisor, int n) { StoreN(p, a / Set(divisor), n); }
#endif

GAPCAM_INLINE uint32_t Least(uint32_t a, uint32_t b) { return a < b ? a : b; }
GAPCAM_INLINE uint32_t Most(uint32_t a, uint32_t b) { return a > b ? a : b; }
constexpr uint32_t CeilDiv(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

}  // namespace
}  // namespace gapcam
