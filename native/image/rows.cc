#include "rows.h"

#include <algorithm>
#include <cmath>

#include "fixed.h"

namespace gapcam {
namespace {

constexpr int kLevelBits = 5;
constexpr int16_t kWhite = 255 << kLevelBits;

Fixed All(int value) {
  const auto v = static_cast<int16_t>(value);
  return Fixed{v, v, v, v, v, v, v, v};
}

// Eight pixels from eight luma values and four pairs of chroma, U V U V …
//
// ITU-R BT.601, limited range: what cameras deliver (V4L2_COLORSPACE_SMPTE170M with its default quantization). Factors
// are times 32, and times 2^16 over what their operand is shifted by.
void WriteYuv(Fixed y, Fixed chroma, int16_t* line) {
  const Pairs pairs = (Pairs)chroma;
  const Fixed u = (Fixed)((pairs & 0xffff) | (pairs << 16)), v = (Fixed)((pairs >> 16) | (pairs & 0xffff0000));
  const Fixed above = y - All(16), cb = ShiftLeft(u - All(128), 8), cr = ShiftLeft(v - All(128), 8);
  const Fixed luma = ShiftLeft(above, kLevelBits) + MulHigh(ShiftLeft(above, 7), All(2693)) +
                     All(1);  // 1.164383562; 1 for what rounding down loses
  const auto clamp = [](Fixed x) { return Max(Min(x, All(kWhite)), All(0)); };
  const Fixed red = clamp(luma + MulHigh(cr, All(13075)));                            // 1.596026786
  const Fixed green = clamp(luma - MulHigh(cb, All(3209)) - MulHigh(cr, All(6660)));  // 0.391762290, 0.812967647
  const Fixed blue = clamp(luma + MulHigh(cb, All(16525)));                           // 2.017232143
  const Fixed one_low = ZipLow(red, green), one_high = ZipHigh(red, green), two_low = ZipLow(blue, All(0)),
              two_high = ZipHigh(blue, All(0));
  StoreFixed(line, ZipPairsLow(one_low, two_low));
  StoreFixed(line + 8, ZipPairsHigh(one_low, two_low));
  StoreFixed(line + 16, ZipPairsLow(one_high, two_high));
  StoreFixed(line + 24, ZipPairsHigh(one_high, two_high));
}

// `wanted` bytes at `at` of a row, with zeros behind its end: its own memory, or a copy where it would be left.
const uint8_t* Bytes(const uint8_t* row, uint64_t row_bytes, uint64_t at, uint64_t wanted, uint8_t* copy) {
  if (at + wanted <= row_bytes) return row + at;
  std::memset(copy, 0, wanted);
  if (at < row_bytes) std::memcpy(copy, row + at, row_bytes - at);
  return copy;
}

void ReadPacked(const uint8_t* row, uint64_t row_bytes, uint32_t x, uint32_t count, bool is_luma_first, int16_t* line) {
  uint8_t copy[16];
  for (uint32_t i = 0; i < count; i += 8) {
    const Words words = (Words)LoadFixed(Bytes(row, row_bytes, uint64_t{2} * (x + i), 16, copy));
    const Fixed low = (Fixed)(words & 0xff), high = (Fixed)(words >> 8);
    WriteYuv(is_luma_first ? low : high, is_luma_first ? high : low, line + 4 * size_t{i});
  }
}

void ReadNv12(const PixelSource& s, uint32_t y, uint32_t x, uint32_t count, int16_t* line) {
  const uint8_t *row = s.data + uint64_t{y} * s.stride,
                *chroma = s.data + uint64_t{s.stride} * s.height + uint64_t{y / 2} * s.stride;
  uint8_t copy[8], chroma_copy[8];
  for (uint32_t i = 0; i < count; i += 8) {
    WriteYuv(WidenBytes(Bytes(row, s.width, x + i, 8, copy)),
             WidenBytes(Bytes(chroma, s.stride, x + i, 8, chroma_copy)), line + 4 * size_t{i});
  }
}

void ReadI420(const PixelSource& s, uint32_t y, uint32_t x, uint32_t count, int16_t* line) {
  const uint32_t half = (s.stride + 1) / 2;
  const uint8_t* row = s.data + uint64_t{y} * s.stride;
  const uint8_t* u = s.data + uint64_t{s.stride} * s.height + uint64_t{y / 2} * half;
  const uint8_t* v = u + uint64_t{half} * ((s.height + 1) / 2);
  uint8_t copy[8], u_copy[8], v_copy[8];
  for (uint32_t i = 0; i < count; i += 8) {
    const Fixed us = WidenBytes(Bytes(u, half, (x + i) / 2, 8, u_copy)),
                vs = WidenBytes(Bytes(v, half, (x + i) / 2, 8, v_copy));
    WriteYuv(WidenBytes(Bytes(row, s.width, x + i, 8, copy)), ZipLow(us, vs), line + 4 * size_t{i});
  }
}

void ReadTriples(const uint8_t* bytes, uint32_t numbers, int16_t* line) {
  uint32_t i = 0;
  for (; i + 8 <= numbers; i += 8) StoreFixed(line + i, ShiftLeft(WidenBytes(bytes + i), kLevelBits));
  for (; i < numbers; ++i) line[i] = static_cast<int16_t>(bytes[i] << kLevelBits);
}

void ReadGrey(const uint8_t* row, uint32_t x, uint32_t count, int16_t* line) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t bits = (uint64_t{row[x + i]} << kLevelBits) * 0x100010001;
    std::memcpy(line + 4 * size_t{i}, &bits, 8);
  }
}

}  // namespace

const int16_t* ReadLine(const PixelSource& s, uint32_t y, uint32_t x, uint32_t count, int16_t* line) {
  const uint8_t* row = s.data + uint64_t{y} * s.stride;
  // Two pixels share their chroma: from the even one on.
  const uint32_t odd = x % 2, even = x - odd, wide = count + odd;
  switch (s.format) {
    case PixelFormat::kYuyv:
    case PixelFormat::kUyvy:
      ReadPacked(row, PixelRowBytes(s.format, s.width), even, wide, s.format == PixelFormat::kYuyv, line);
      return line + 4 * odd;
    case PixelFormat::kNv12: ReadNv12(s, y, even, wide, line); return line + 4 * odd;
    case PixelFormat::kI420: ReadI420(s, y, even, wide, line); return line + 4 * odd;
    case PixelFormat::kRgb24:
    case PixelFormat::kBgr24: ReadTriples(row + size_t{3} * x, 3 * count, line); return line;
    case PixelFormat::kGrey: ReadGrey(row, x, count, line); return line;
  }
  return line;
}

void MixLines(const int16_t* a, const int16_t* b, int16_t weight, size_t numbers, int16_t* mixed) {
  const Fixed w = All(weight);
  for (size_t i = 0; i < numbers; i += 8) {
    const Fixed from = LoadFixed(a + i);
    StoreFixed(mixed + i, from + MulHigh(ShiftLeft(LoadFixed(b + i) - from, 2), w));
  }
}

namespace {

// From a level's fixed point to values of a pixel's channels.
struct Normalisation {
  Floats scale, offset;

  explicit Normalisation(const LevelScale& values) {
    std::memcpy(&scale, values.scale, sizeof(scale));
    std::memcpy(&offset, values.offset, sizeof(offset));
    scale = scale / float{1 << kLevelBits};
  }
  Floats operator()(Floats levels) const { return levels * scale + offset; }
};

// Eight numbers of two pixels, resampled.
inline Fixed Resampled(const int16_t* line, const LineTaps& taps, uint32_t u) {
  const Fixed from = LoadHalves(line + taps.first[u], line + taps.first[u + 1]),
              to = LoadHalves(line + taps.second[u], line + taps.second[u + 1]);
  return from + MulHigh(ShiftLeft(to - from, 2), LoadFixed(taps.weights + 4 * size_t{u}));
}

// Two pixels with their channels as the target wants them.
inline Fixed Ordered(Fixed two, const LineTarget& t) { return t.is_swapped ? SwapTriples(two) : two; }

void WriteBytes(const int16_t* line, const LineTaps taps, const LineTarget& t) {
  auto* to = static_cast<uint8_t*>(t.out) + t.at;
  const uint8_t *first = t.bytes, *second = first + kLevels, *third = second + kLevels;
  for (uint32_t u = 0; u < taps.count; u += 2) {
    const Words levels = (Words)Ordered(Resampled(line, taps, u), t);
    to[0] = first[levels[0]], to[t.channel_step] = second[levels[1]], to[2 * t.channel_step] = third[levels[2]];
    to += t.pixel_step;
    if (u + 1 == taps.count) break;
    to[0] = first[levels[4]], to[t.channel_step] = second[levels[5]], to[2 * t.channel_step] = third[levels[6]];
    to += t.pixel_step;
  }
}

// A row of three planes, four pixels at a time.
void WritePlanes(const int16_t* line, const LineTaps taps, const LineTarget& t) {
  const Normalisation normalised(t.values);
  float* planes[3];
  Floats scale[3], offset[3];
  for (int i = 0; i < 3; ++i) {
    const int channel = t.is_swapped ? 2 - i : i;
    planes[i] = static_cast<float*>(t.out) + t.at + channel * t.channel_step;
    scale[i] = Floats{} + normalised.scale[channel], offset[i] = Floats{} + normalised.offset[channel];
  }
  for (uint32_t u = 0; u < taps.count; u += 4) {
    const Fixed two = Resampled(line, taps, u), next = Resampled(line, taps, u + 2);
    const Fixed even = ZipLow(two, next), odd = ZipHigh(two, next);  // r0 r2 g0 g2 …, r1 r3 g1 g3 …
    const Fixed red_green = ZipLow(even, odd), blue = ZipHigh(even, odd);
    const Floats levels[3] = {FloatsLow(red_green), FloatsHigh(red_green), FloatsLow(blue)};
    const uint32_t count = std::min<uint32_t>(4, taps.count - u);
    for (int i = 0; i < 3; ++i) {
      const Floats values = levels[i] * scale[i] + offset[i];
      if (count == 4)
        std::memcpy(planes[i] + u, &values, sizeof(values));
      else
        std::memcpy(planes[i] + u, &values, count * sizeof(float));
    }
  }
}

// The pixels from an even one on, each number by itself.
void WriteScattered(const int16_t* line, const LineTaps taps, uint32_t from, const LineTarget& t) {
  const Normalisation normalised(t.values);
  auto* to = static_cast<float*>(t.out) + t.at + from * t.pixel_step;
  for (uint32_t u = from; u < taps.count; u += 2) {
    const Fixed levels = Ordered(Resampled(line, taps, u), t);
    const Floats values[2] = {normalised(FloatsLow(levels)), normalised(FloatsHigh(levels))};
    // The tables are longer: an odd row's last pixel has a neighbour that is computed and left.
    for (uint32_t i = 0; i < std::min<uint32_t>(2, taps.count - u); ++i, to += t.pixel_step)
      for (int channel = 0; channel < 3; ++channel) to[channel * t.channel_step] = values[i][channel];
  }
}

// A row of pixels behind one another, as four numbers each: the fourth is the next pixel's, which is written after it.
void WritePacked(const int16_t* line, const LineTaps taps, const LineTarget& t) {
  const Normalisation normalised(t.values);
  auto* to = static_cast<float*>(t.out) + t.at;
  uint32_t u = 0;
  for (; u + 2 < taps.count; u += 2, to += 6) {
    const Fixed levels = Ordered(Resampled(line, taps, u), t);
    const Floats one = normalised(FloatsLow(levels)), two = normalised(FloatsHigh(levels));
    std::memcpy(to, &one, sizeof(one));
    std::memcpy(to + 3, &two, sizeof(two));
  }
  WriteScattered(line, taps, u, t);
}

}  // namespace

uint8_t CodedByte(float value, const ByteCode& code) {
  const int32_t least = code.is_signed ? -128 : 0;
  const float steps = value / code.scale;
  const float within =
      std::clamp(steps, static_cast<float>(least - code.zero), static_cast<float>(least + 255 - code.zero));
  return static_cast<uint8_t>(std::isnan(steps) ? code.zero : static_cast<int32_t>(std::nearbyint(within)) + code.zero);
}

void TabulateLevels(const LevelScale& values, const ByteCode* code, uint8_t* bytes) {
  const Normalisation normalised(values);
  for (uint32_t level = 0; level < kLevels; ++level) {
    const Floats value = normalised(FloatsLow(All(static_cast<int>(level))));
    for (uint32_t channel = 0; channel < 3; ++channel)
      bytes[channel * kLevels + level] = code ? CodedByte(value[channel], *code)
                                              : static_cast<uint8_t>((level + (1 << (kLevelBits - 1))) >> kLevelBits);
  }
}

void WriteLine(const int16_t* line, const LineTaps& taps, const LineTarget& target) {
  if (target.bytes) return WriteBytes(line, taps, target);
  if (target.pixel_step == 1) return WritePlanes(line, taps, target);
  if (target.pixel_step == 3 && target.channel_step == 1) return WritePacked(line, taps, target);
  WriteScattered(line, taps, 0, target);
}

}  // namespace gapcam
