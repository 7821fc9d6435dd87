// The vector layer of the integer kernels on x86: AVX2 and AVX-512, with and without VNNI. GAPCAM_M(op) is the intrinsic
// `op` of the target's width.
//
// A sum is a 32-bit lane. A dot multiplies the kGroup elements of k in each lane of two vectors and adds the products
// to the sum: four bytes (u8 · s8) with VNNI, otherwise two 16-bit words, to which the bytes are widened beforehand.
//
// Vectors that become bytes together hold their columns in an order that suits the packing instructions, which work
// within 128 bits:  lane i of vector v of n:  column (i / 4) · 4n + 4v + i % 4
namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_AVX512) || defined(GAPCAM_EMULATED_512)
#define GAPCAM_WIDE_SUMS
#endif
#if defined(GAPCAM_TARGET_AVX512)
constexpr int kSumLanes = 16;
#define GAPCAM_M(op) _mm512_##op
#elif defined(GAPCAM_EMULATED_512)  // native/test/emulated_512.h
constexpr int kSumLanes = 16;
#define GAPCAM_M(op) Emulated_##op
#else
constexpr int kSumLanes = 8;
#define GAPCAM_M(op) _mm256_##op
#endif
// How a product (qgemm_weights.inl) or a window (qwindow.inl) reads weights: kGroup of them in a lane, of kBytes each, from
// kLeast to kMost. A weight of nine bits is the sum of up to kParts of them.
struct ProductFormat {
#if defined(GAPCAM_TARGET_VNNI)
  static constexpr int kGroup = 4, kTogether = 4, kBytes = 1, kLeast = -128, kMost = 127, kParts = 3;
#else
  static constexpr int kGroup = 2, kTogether = 2, kBytes = 2, kLeast = -255, kMost = 255, kParts = 1;
#endif
};
typedef ProductFormat WindowFormat;
constexpr int kSumBytes = 4 * kSumLanes;
constexpr PlanType kByteType = PlanType::kUint8;
typedef uint8_t Byte;
constexpr int kPanelVectors = 2;
constexpr int kSumRows =
    kSumLanes == 16 ? 14 : 6;  // rows of a tile: the sums, two weights, one broadcast and a product
// The conversion to 32 bits is exact for results below this bound.
constexpr int64_t kSmallSum = INT64_MAX;
constexpr float kSmallResult = 2147483648.0f;
constexpr int32_t kSmallStart = 0;

typedef int32_t I __attribute__((vector_size(kSumBytes)));
typedef int32_t UnalignedI __attribute__((vector_size(kSumBytes), aligned(1), may_alias));
typedef float FI __attribute__((vector_size(kSumBytes)));
typedef float UnalignedFI __attribute__((vector_size(kSumBytes), aligned(1), may_alias));
typedef long long Raw __attribute__((vector_size(kSumBytes)));  // what intrinsics take

typedef I Operands;  // of a dot: kGroup elements in each lane
constexpr int kOperandsBytes = kSumBytes;

GAPCAM_INLINE Raw AsRaw(I a) { return reinterpret_cast<Raw>(a); }
GAPCAM_INLINE I AsSums(Raw a) { return reinterpret_cast<I>(a); }
GAPCAM_INLINE I LoadSums(const void* p) { return *static_cast<const UnalignedI*>(p); }
GAPCAM_INLINE Operands LoadOperands(const void* p) { return LoadSums(p); }
GAPCAM_INLINE Raw LoadRaw(const void* p) { return AsRaw(LoadSums(p)); }
GAPCAM_INLINE void StoreSums(void* p, I v) { *static_cast<UnalignedI*>(p) = v; }
GAPCAM_INLINE FI LoadScales(const float* p) { return *reinterpret_cast<const UnalignedFI*>(p); }
GAPCAM_INLINE Raw SetWords(int32_t x) { return GAPCAM_M(set1_epi16)(static_cast<int16_t>(x)); }
GAPCAM_INLINE Raw SetBytes(int32_t x) { return GAPCAM_M(set1_epi8)(static_cast<char>(x)); }

// One group of k of a row, in every lane.
GAPCAM_INLINE I BroadcastGroup(const char* p) {
  int32_t group;
  std::memcpy(&group, p, 4);
  return AsSums(GAPCAM_M(set1_epi32)(group));
}

// Ends the sums' life in the loop: without it the end of a tile makes GCC 12 store all sums in every step of k.
GAPCAM_INLINE void Settle(I& sum) {
#if defined(GAPCAM_EMULATED_512)
  (void)sum;  // is in memory
#else
  asm volatile("" : "+v"(sum));
#endif
}

// sum + the products of one group in every lane: `a` holds activations, `w` weights.
GAPCAM_INLINE I Dot(I sum, I a, I w) {
#if defined(GAPCAM_EMULATED_DOT)
  // Bytes 0 and 2 of each lane, then bytes 1 and 3, as words. No pair of products overflows.
  const Raw even = GAPCAM_M(srai_epi16)(GAPCAM_M(slli_epi16)(AsRaw(w), 8), 8), odd = GAPCAM_M(srai_epi16)(AsRaw(w), 8);
  return sum + AsSums(GAPCAM_M(madd_epi16)(AsRaw(a & 0x00ff00ff), even)) +
         AsSums(GAPCAM_M(madd_epi16)(GAPCAM_M(srli_epi16)(AsRaw(a), 8), odd));
#elif defined(GAPCAM_TARGET_VNNI) && defined(GAPCAM_TARGET_AVX512)
  return AsSums(_mm512_dpbusd_epi32(AsRaw(sum), AsRaw(a), AsRaw(w)));
#elif defined(GAPCAM_TARGET_VNNI)
  return AsSums(_mm256_dpbusd_avx_epi32(AsRaw(sum), AsRaw(a), AsRaw(w)));
#else
  return sum + AsSums(GAPCAM_M(madd_epi16)(AsRaw(a), AsRaw(w)));
#endif
}

// Adds one run to kRows rows. Moves `w` behind the weights of the run. What lies `ahead` bytes behind the weights is
// prefetched: one line for each group, or all of it by the few rows that wait for memory in any case.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRun(I (&sums)[kVectors][kRows], const char* run, size_t step, uint32_t groups, const char*& w,
                          size_t ahead = 0) {
  constexpr int kBases = (kRows + 2) / 3;
  const char* base[kBases];
  Unrolled<kBases>(GAPCAM_BODY(i) { base[GAPCAM_AT(i)] = Pinned(run + GAPCAM_AT(i) * 3 * step); });
  for (size_t k = 0; k < 4 * size_t{groups}; k += 4, w += kVectors * kSumBytes) {
    I b[kVectors];
    __builtin_prefetch(w + ahead, 0, 2);
    if constexpr (kRows < 4 && kVectors * kSumBytes > 64) __builtin_prefetch(w + (ahead ^ 64), 0, 2);
    Unrolled<kVectors>(GAPCAM_BODY(v) { b[GAPCAM_AT(v)] = LoadSums(w + GAPCAM_AT(v) * kSumBytes); });
    Unrolled<kRows>(GAPCAM_BODY(r) {
      const I x = BroadcastGroup(base[GAPCAM_AT(r) / 3] + GAPCAM_AT(r) % 3 * step + k);
      Unrolled<kVectors>(GAPCAM_BODY(v) {
        I& sum = sums[GAPCAM_AT(v)][GAPCAM_AT(r)];
        sum = Dot(sum, x, b[GAPCAM_AT(v)]);
      });
    });
  }
}

constexpr bool kHasOneRunTiles = false;

// Sets every row to the bias.
template <int kRows, int kVectors>
GAPCAM_INLINE void StartSums(I (&sums)[kVectors][kRows], const int32_t* bias) {
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    const I start = LoadSums(bias + GAPCAM_AT(v) * kSumLanes);
    Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(v)][GAPCAM_AT(r)] = start; });
  });
}

constexpr size_t kWidened = 16;  // bytes that Widen takes
// Widens bytes to the words that the product reads.
GAPCAM_INLINE void Widen(char* to, const Byte* from) {
#if !defined(GAPCAM_TARGET_VNNI)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
  std::memcpy(to, from, kWidened);
#endif
}

// Interleaves kGroup rows of kSumBytes channels: lane i of vector v of `to` holds the operands of one channel, in the order
// of four vectors that are packed together.
GAPCAM_INLINE void Interleave(const Raw (&rows)[WindowFormat::kGroup], char* to) {
  const Raw a = rows[0], b = rows[1];
  Raw low = GAPCAM_M(unpacklo_epi8)(a, b), high = GAPCAM_M(unpackhi_epi8)(a, b);
#if defined(GAPCAM_TARGET_VNNI)
  const Raw c = rows[2], d = rows[3];
  const Raw low2 = GAPCAM_M(unpacklo_epi8)(c, d), high2 = GAPCAM_M(unpackhi_epi8)(c, d);
  StoreSums(to, AsSums(GAPCAM_M(unpacklo_epi16)(low, low2)));
  StoreSums(to + kSumBytes, AsSums(GAPCAM_M(unpackhi_epi16)(low, low2)));
  StoreSums(to + 2 * kSumBytes, AsSums(GAPCAM_M(unpacklo_epi16)(high, high2)));
  StoreSums(to + 3 * kSumBytes, AsSums(GAPCAM_M(unpackhi_epi16)(high, high2)));
#else
  const Raw zero = {};
  StoreSums(to, AsSums(GAPCAM_M(unpacklo_epi8)(low, zero)));
  StoreSums(to + kSumBytes, AsSums(GAPCAM_M(unpackhi_epi8)(low, zero)));
  StoreSums(to + 2 * kSumBytes, AsSums(GAPCAM_M(unpacklo_epi8)(high, zero)));
  StoreSums(to + 3 * kSumBytes, AsSums(GAPCAM_M(unpackhi_epi8)(high, zero)));
#endif
}

// A vector of one pixel of each piece of a row (qwindow.inl). The pieces are `apart` bytes from each other.
constexpr uint32_t kMostPieces = kSumLanes / 4;
template <uint32_t kPieces>
GAPCAM_INLINE Raw LoadPieces(const Byte* p, size_t apart) {
  if constexpr (kPieces == 1) return LoadRaw(p);
#if defined(GAPCAM_TARGET_AVX512)
  const auto half = [](const Byte* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); };
  const auto quarter = [](const Byte* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); };
  if constexpr (kPieces == 2) return _mm512_inserti64x4(_mm512_castsi256_si512(half(p)), half(p + apart), 1);
  if constexpr (kPieces == 4) {
    const __m512i two = _mm512_inserti32x4(_mm512_castsi128_si512(quarter(p)), quarter(p + apart), 1);
    return _mm512_inserti32x4(_mm512_inserti32x4(two, quarter(p + 2 * apart), 2), quarter(p + 3 * apart), 3);
  }
#elif !defined(GAPCAM_EMULATED_512)
  if constexpr (kPieces == 2)
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(p + apart), reinterpret_cast<const __m128i*>(p));
#endif
  constexpr size_t kBytes = kSumBytes / kPieces;
  char bytes[kSumBytes];
  for (uint32_t i = 0; i < kPieces; ++i) std::memcpy(bytes + i * kBytes, p + i * apart, kBytes);
  return LoadRaw(bytes);
}

// A lane of operands that all have one value.
GAPCAM_INLINE I SetOperands(int32_t value) {
  return AsSums(WindowFormat::kBytes == 1 ? SetBytes(value) : SetWords(value));
}

// Puts the quads of four vectors of channels together: four pixels of kSumBytes channels.
GAPCAM_INLINE void MergeQuads(const Byte* quads, Raw (&pixels)[4]) {
  const Raw a = LoadRaw(quads), b = LoadRaw(quads + kSumBytes), c = LoadRaw(quads + 2 * kSumBytes),
            d = LoadRaw(quads + 3 * kSumBytes);
  const Raw ab = GAPCAM_M(unpacklo_epi32)(a, b), cd = GAPCAM_M(unpacklo_epi32)(c, d);
  const Raw ab2 = GAPCAM_M(unpackhi_epi32)(a, b), cd2 = GAPCAM_M(unpackhi_epi32)(c, d);
  pixels[0] = GAPCAM_M(unpacklo_epi64)(ab, cd), pixels[1] = GAPCAM_M(unpackhi_epi64)(ab, cd);
  pixels[2] = GAPCAM_M(unpacklo_epi64)(ab2, cd2), pixels[3] = GAPCAM_M(unpackhi_epi64)(ab2, cd2);
}
GAPCAM_INLINE void StorePixel(Byte* to, Raw pixel) { StoreSums(to, AsSums(pixel)); }

// kLanes bytes as floats.
GAPCAM_INLINE V LoadBytes(const Byte* p) {
#if defined(GAPCAM_TARGET_AVX512)
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#endif
}

// Rounds floats that lie in the range of a byte, half to even, and stores them as kLanes bytes.
GAPCAM_INLINE void StoreBytes(Byte* p, V v) {
#if defined(GAPCAM_TARGET_AVX512)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
#else
  const __m256i whole = _mm256_cvtps_epi32(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
#endif
}

}  // namespace
}  // namespace gapcam
