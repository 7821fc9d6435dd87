// Converts a camera's frame to the network's input, one thread for each pixel: colour conversion, crop, resize and
// normalization. The operations are those of native/image/rows.cc in the same 16-bit fixed point, so that both engines
// get the same input.
#include "device.h"

namespace gapcam {
namespace cuda {

// The values of PixelFormat in native/image/pixels.h.
enum FrameFormat : uint32_t { kFrameYuyv, kFrameUyvy, kFrameNv12, kFrameI420, kFrameRgb24, kFrameBgr24, kFrameGrey };

constexpr int32_t kLevelBits = 5, kWhite = 255 << kLevelBits;

// A pixel in levels times 32.
struct Levels {
  int32_t x[3];
};

__device__ __forceinline__ int32_t MulHigh(int32_t a, int32_t b) { return a * b >> 16; }
__device__ __forceinline__ int32_t ClampLevel(int32_t x) { return x < 0 ? 0 : x > kWhite ? kWhite : x; }

// ITU-R BT.601, limited range. rows.cc explains the factors.
__device__ __forceinline__ Levels FromYuv(int32_t y, int32_t u, int32_t v) {
  const int32_t above = y - 16, cb = (u - 128) * 256, cr = (v - 128) * 256;
  const int32_t luma = above * 32 + MulHigh(above * 128, 2693) + 1;
  return {{ClampLevel(luma + MulHigh(cr, 13075)), ClampLevel(luma - MulHigh(cb, 3209) - MulHigh(cr, 6660)),
           ClampLevel(luma + MulHigh(cb, 16525))}};
}

// A pixel as R, G, B.
__device__ __forceinline__ Levels ReadPixel(const PixelParams& p, const Global<const uint8_t>& frame, uint32_t y,
                                            uint32_t x) {
  const uint32_t row = y * p.stride, plane = p.stride * p.height;
  switch (p.format) {
    case kFrameYuyv: return FromYuv(frame[row + 2 * x], frame[row + x / 2 * 4 + 1], frame[row + x / 2 * 4 + 3]);
    case kFrameUyvy: return FromYuv(frame[row + 2 * x + 1], frame[row + x / 2 * 4], frame[row + x / 2 * 4 + 2]);
    case kFrameNv12: {
      const uint32_t chroma = plane + y / 2 * p.stride, at = x / 2 * 2;
      // The row of an odd width may end before the second chroma value of its last pixel.
      return FromYuv(frame[row + x], frame[chroma + at], at + 1 < p.stride ? frame[chroma + at + 1] : 0);
    }
    case kFrameI420: {
      const uint32_t half_stride = (p.stride + 1) / 2, at = y / 2 * half_stride + x / 2;
      return FromYuv(frame[row + x], frame[plane + at], frame[plane + half_stride * ((p.height + 1) / 2) + at]);
    }
    case kFrameGrey: {
      const int32_t level = frame[row + x] << kLevelBits;
      return {{level, level, level}};
    }
    default: {
      const uint32_t at = row + 3 * x;
      const int32_t first = frame[at] << kLevelBits, second = frame[at + 1] << kLevelBits,
                    third = frame[at + 2] << kLevelBits;
      return p.format == kFrameRgb24 ? Levels{{first, second, third}} : Levels{{third, second, first}};
    }
  }
}

// a + weight · (b - a), with the weight in units of 1/16384.
__device__ __forceinline__ int32_t Mix(int32_t a, int32_t b, int32_t weight) {
  return a + MulHigh((b - a) * 4, weight);
}

KERNEL(pixels_f32, PixelParams, 256) {
  const uint32_t at = ThreadOfGrid();
  if (at >= p.pixels) return;
  uint32_t row = at;
  const auto x = static_cast<int32_t>(Split(&row, p.by_width)), y = static_cast<int32_t>(row);
  const auto u = static_cast<uint32_t>(p.u0 + x * p.u_x + y * p.u_y),
             v = static_cast<uint32_t>(p.v0 + x * p.v_x + y * p.v_y);
  const Global<float> out(p.y);
  if (u >= p.inner_width || v >= p.inner_height) {
#pragma unroll
    for (uint32_t channel = 0; channel < 3; ++channel)
      out[p.is_nchw ? channel * p.pixels + at : at * 3 + channel] = p.fill[channel];
    return;
  }
  const Global<const int16_t> taps(p.taps);
  const Vector<int16_t, 4> column = LoadVector<4>(taps, u * 4), line = LoadVector<4>(taps, (p.inner_width + v) * 4);
  const Global<const uint8_t> frame(p.frame);
  const uint32_t left = p.crop_x + static_cast<uint16_t>(column[0]),
                 right = p.crop_x + static_cast<uint16_t>(column[1]);
  const uint32_t upper = p.crop_y + static_cast<uint16_t>(line[0]), lower = p.crop_y + static_cast<uint16_t>(line[1]);
  const Levels a = ReadPixel(p, frame, upper, left), b = ReadPixel(p, frame, upper, right);
  const Levels c = ReadPixel(p, frame, lower, left), d = ReadPixel(p, frame, lower, right);
#pragma unroll
  for (uint32_t channel = 0; channel < 3; ++channel) {
    const uint32_t from = p.is_bgr ? 2 - channel : channel;
    const int32_t level = Mix(Mix(a.x[from], c.x[from], line[2]), Mix(b.x[from], d.x[from], line[2]), column[2]);
    out[p.is_nchw ? channel * p.pixels + at : at * 3 + channel] =
        __fadd_rn(__fmul_rn(static_cast<float>(level), p.scale[channel]), p.offset[channel]);
  }
}

}  // namespace cuda
}  // namespace gapcam
