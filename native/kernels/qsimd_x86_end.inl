// The end of sums on x86: they are multiplied by their scales, become bytes and are stored.
namespace gapcam {
namespace {

// How sums become bytes: clamp(rint(sum · scale) + zero).
struct ByteEnd {
  int32_t zero, low, high;
};

constexpr int kPlainKinds =
    3;  // of small sums: with all of their end, without the clamp, without the zero point as well
constexpr int kEndKinds = 1 + kPlainKinds;  // the first is for sums that may be large

// The same in registers.
struct ByteEndRegisters {
  Raw zero, low, high;
  int plain;
  GAPCAM_MEMBER explicit ByteEndRegisters(const ByteEnd& end)
      : zero(SetWords(end.zero)),
        low(SetBytes(end.low)),
        high(SetBytes(end.high)),
        plain(end.low > 0 || end.high < 255 ? 0
              : end.zero != 0               ? 1
                                            : 2) {}

  GAPCAM_MEMBER int Plain(bool is_small) const { return is_small ? plain : 0; }
  GAPCAM_MEMBER int Kind(bool is_small) const { return is_small ? 1 + plain : 0; }
  // Two vectors of sums to words.
  template <int kPlain>
  GAPCAM_MEMBER Raw Words(I a, FI scale_a, I b, FI scale_b) const {
    const Raw words = GAPCAM_M(packs_epi32)(Whole(a, scale_a), Whole(b, scale_b));
    return kPlain > 1 ? words : GAPCAM_M(adds_epi16)(words, zero);
  }
  // The packing instruction ends in the range of a byte.
  template <int kPlain>
  GAPCAM_MEMBER Raw Bytes(Raw a, Raw b) const {
    const Raw bytes = GAPCAM_M(packus_epi16)(a, b);
    return kPlain > 0 ? bytes : GAPCAM_M(min_epu8)(GAPCAM_M(max_epu8)(bytes, low), high);
  }
  // The conversion rounds half to even, as the processor does by default.
  static GAPCAM_MEMBER Raw Whole(I sum, FI scale) {
    return GAPCAM_M(cvtps_epi32)(GAPCAM_M(cvtepi32_ps)(AsRaw(sum)) * scale);
  }
};

// Returns the sum beyond which a result is the largest byte in any case; larger ones could overflow as 32-bit results.
// Lowers scales by which any sum but 0 is as large.
GAPCAM_INLINE I LargestSum(FI& scale) {
  constexpr float kLargest = 1 << 30, kLargestScale = 1 << 29;
  I most;
  for (int i = 0; i < kSumLanes; ++i) {
    if (scale[i] > kLargestScale) scale[i] = kLargestScale;
    const float bound = kLargest / scale[i];
    most[i] = bound < 2147483520.0f ? static_cast<int32_t>(bound) : INT32_MAX;
  }
  return most;
}

// Moves the 64-bit (32-bit) pieces that belong to one row next to one another.
GAPCAM_INLINE Raw GatherPairs(Raw a) {
#if defined(GAPCAM_WIDE_SUMS)
  return GAPCAM_M(permutexvar_epi64)(Raw{0, 2, 4, 6, 1, 3, 5, 7}, a);
#else
  return _mm256_permute4x64_epi64(a, 0xd8);
#endif
}
GAPCAM_INLINE Raw GatherFours(Raw a) {
#if defined(GAPCAM_WIDE_SUMS)
  return GAPCAM_M(permutexvar_epi32)(AsRaw(I{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}), a);
#else
  return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
#endif
}

// Stores piece kPiece of a vector that consists of pieces of kWidth bytes.
template <int kWidth, int kPiece>
GAPCAM_INLINE void StorePiece(Byte* to, Raw bytes) {
#if defined(GAPCAM_WIDE_SUMS)
  if constexpr (kWidth == 16)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), GAPCAM_M(extracti32x4_epi32)(bytes, kPiece));
  else
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), GAPCAM_M(extracti64x4_epi64)(bytes, kPiece));
#else
  if constexpr (kWidth == 8) {
    const long long piece = bytes[kPiece];
    std::memcpy(to, &piece, 8);
  } else {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_extracti128_si256(bytes, kPiece));
  }
#endif
}

// Stores `columns` bytes of each row of a tile.
static __attribute__((noinline)) void StoreRows(const Byte* tile, int rows, int width, uint32_t columns, Byte* y,
                                                size_t stride) {
  for (int r = 0; r < rows; ++r) PutBytes(y + r * stride, tile + r * width, columns);
}

template <int kPlain, int kRows, int kVectors>
GAPCAM_INLINE void StoreTileOf(const I (&sums)[kVectors][kRows], const FI (&scale)[kVectors],
                               const ByteEndRegisters& end, uint32_t columns, Byte* y, size_t stride) {
  constexpr int kTogether = 4 / kVectors, kWidth = kVectors * kSumLanes;  // rows that fill one vector of bytes
  const auto words = [&](I a, FI scale_a, I b, FI scale_b)
                         __attribute__((always_inline)) { return end.Words<kPlain>(a, scale_a, b, scale_b); };
  Unrolled<(kRows + kTogether - 1) / kTogether>(GAPCAM_BODY(part) {
    constexpr int r = GAPCAM_AT(part) * kTogether, r1 = r + 1 < kRows ? r + 1 : r, r2 = r + 2 < kRows ? r + 2 : r,
                  r3 = r + 3 < kRows ? r + 3 : r, kLast = kVectors - 1;
    constexpr int kHere = kRows - r < kTogether ? kRows - r : kTogether;
    Raw bytes;
    if constexpr (kVectors == 2)
      bytes = GatherPairs(end.Bytes<kPlain>(words(sums[0][r], scale[0], sums[kLast][r], scale[kLast]),
                                            words(sums[0][r1], scale[0], sums[kLast][r1], scale[kLast])));
    else
      bytes = GatherFours(end.Bytes<kPlain>(words(sums[0][r], scale[0], sums[0][r1], scale[0]),
                                            words(sums[0][r2], scale[0], sums[0][r3], scale[0])));
    if (__builtin_expect(columns >= static_cast<uint32_t>(kWidth), true)) {
      Unrolled<kHere>(GAPCAM_BODY(i) { StorePiece<kWidth, GAPCAM_AT(i)>(y + (r + GAPCAM_AT(i)) * stride, bytes); });
    } else {
      Byte tile[kSumBytes];
      StoreSums(tile, AsSums(bytes));
      StoreRows(tile, kHere, kWidth, columns, y + r * stride, stride);
    }
  });
}

// Turns a tile's sums into bytes and stores them, `columns` of each row, rows `stride` bytes apart. `plain`: see
// ByteEndRegisters.
template <int kRows, int kVectors>
GAPCAM_INLINE void StoreTile(I (&sums)[kVectors][kRows], const float* scales, bool is_small, int plain,
                             const ByteEndRegisters& end, uint32_t columns, Byte* y, size_t stride) {
  FI scale[kVectors];
  Unrolled<kVectors>(GAPCAM_BODY(v) { scale[GAPCAM_AT(v)] = LoadScales(scales + GAPCAM_AT(v) * kSumLanes); });
  if (__builtin_expect(plain > 1, true)) return StoreTileOf<2>(sums, scale, end, kVectors * kSumLanes, y, stride);
  if (__builtin_expect(plain > 0, true)) return StoreTileOf<1>(sums, scale, end, kVectors * kSumLanes, y, stride);
  if (__builtin_expect(!is_small, false)) {
    Unrolled<kVectors>(GAPCAM_BODY(v) {
      const I most = LargestSum(scale[GAPCAM_AT(v)]);
      Unrolled<kRows>(GAPCAM_BODY(r) {
        I& sum = sums[GAPCAM_AT(v)][GAPCAM_AT(r)];
        sum = AsSums(GAPCAM_M(min_epi32)(AsRaw(sum), AsRaw(most)));
      });
    });
  }
  StoreTileOf<0>(sums, scale, end, columns, y, stride);
}

// Turns the sums of four neighbouring pixels into bytes: [pixel][4 channels] in each 128 bits.
template <int kKind>
GAPCAM_INLINE void StoreQuad(I (&sums)[4], FI scale, const ByteEndRegisters& end, Byte* to) {
  if constexpr (kKind == 0) {
    const Raw most = AsRaw(LargestSum(scale));
    Unrolled<4>(GAPCAM_BODY(i) { sums[GAPCAM_AT(i)] = AsSums(GAPCAM_M(min_epi32)(AsRaw(sums[GAPCAM_AT(i)]), most)); });
  }
  constexpr int kPlain = kKind > 0 ? kKind - 1 : 0;
  StoreSums(to, AsSums(end.Bytes<kPlain>(end.Words<kPlain>(sums[0], scale, sums[1], scale),
                                         end.Words<kPlain>(sums[2], scale, sums[3], scale))));
}

}  // namespace
}  // namespace gapcam
