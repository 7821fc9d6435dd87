// Products of byte vectors, compiled once per instruction set. Sums are exact, so all give the same.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gapcam {

// Rows and columns of one tile of products.
constexpr int kDotRows = 4, kDotColumns = 4;
// A run of bytes is padded with zeros to a multiple of this.
constexpr size_t kDotBytes = 32;

// sums[r * kDotColumns + c] += a[r] · b[c] over `bytes` bytes.
typedef void (*DotTile)(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums);

void DotTilePlain(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums);
#if defined(__x86_64__)
void DotTileAvx2(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums);
#if !defined(GAPCAM_WITHOUT_AVX512)
void DotTileAvx512Vnni(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums);
#endif
#elif defined(__aarch64__)
void DotTileNeonDot(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums);
#endif

// The best one that this machine can run.
DotTile ChooseDotTile();

}  // namespace gapcam
