#include "pixels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace gapcam {
namespace {

// ITU-R BT.601, limited range: what cameras deliver (V4L2_COLORSPACE_SMPTE170M with its default quantization).
struct Rgb {
  float r, g, b;
};

inline float Clamp(float x) { return x < 0 ? 0 : x > 255 ? 255 : x; }

inline Rgb FromYuv(float y, float u, float v) {
  const float luma = 1.164383562f * (y - 16), cb = u - 128, cr = v - 128;
  return {Clamp(luma + 1.596026786f * cr), Clamp(luma - 0.391762290f * cb - 0.812967647f * cr), Clamp(luma + 2.017232143f * cb)};
}

inline uint32_t Half(uint32_t size) { return (size + 1) / 2; }

}  // namespace

uint32_t PixelRowBytes(PixelFormat format, uint32_t width) {
  switch (format) {
    case PixelFormat::kYuyv:
    case PixelFormat::kUyvy: return Half(width) * 4;
    case PixelFormat::kRgb24:
    case PixelFormat::kBgr24: return width * 3;
    default: return width;
  }
}

uint64_t PixelBytes(PixelFormat format, uint32_t stride, uint32_t height) {
  const uint64_t luma = uint64_t{stride} * height;
  if (format == PixelFormat::kNv12) return luma + uint64_t{stride} * Half(height);
  if (format == PixelFormat::kI420) return luma + 2 * uint64_t{Half(stride)} * Half(height);
  return luma;
}

PixelPass::Box PixelPass::Crop(uint32_t width, uint32_t height) const {
  const auto at = [](double share, uint32_t size) { return std::min<uint32_t>(size - 1, static_cast<uint32_t>(std::lround(share * size))); };
  Box box = {at(spec_.roi[0], width), at(spec_.roi[1], height), 0, 0};
  box.width = std::max<uint32_t>(1, std::min<uint32_t>(width - box.x, static_cast<uint32_t>(std::lround(spec_.roi[2] * width))));
  box.height = std::max<uint32_t>(1, std::min<uint32_t>(height - box.y, static_cast<uint32_t>(std::lround(spec_.roi[3] * height))));
  if (spec_.resize != ResizeMode::kCover) return box;
  // The largest centred part with the output's proportions, seen in the source's orientation.
  const bool is_turned = spec_.rotate % 180 != 0;
  const double target = is_turned ? double(spec_.height) / spec_.width : double(spec_.width) / spec_.height;
  const uint32_t wide = std::min<uint32_t>(box.width, std::max<uint32_t>(1, static_cast<uint32_t>(std::lround(box.height * target))));
  const uint32_t high = std::min<uint32_t>(box.height, std::max<uint32_t>(1, static_cast<uint32_t>(std::lround(box.width / target))));
  return {box.x + (box.width - wide) / 2, box.y + (box.height - high) / 2, wide, high};
}

void PixelPass::Shown(uint32_t width, uint32_t height, double* rectangle) const {
  const Box box = Crop(width, height);
  rectangle[0] = double(box.x) / width, rectangle[1] = double(box.y) / height;
  rectangle[2] = double(box.width) / width, rectangle[3] = double(box.height) / height;
}

void PixelPass::Configure(const PixelSource& source) {
  crop_ = Crop(source.width, source.height);
  const bool is_turned = spec_.rotate % 180 != 0;
  const uint32_t wide = is_turned ? spec_.height : spec_.width, high = is_turned ? spec_.width : spec_.height;
  inner_width_ = wide, inner_height_ = high;
  if (spec_.resize == ResizeMode::kContain) {
    const double scale = std::min(double(wide) / crop_.width, double(high) / crop_.height);
    inner_width_ = std::clamp<uint32_t>(static_cast<uint32_t>(std::lround(crop_.width * scale)), 1, wide);
    inner_height_ = std::clamp<uint32_t>(static_cast<uint32_t>(std::lround(crop_.height * scale)), 1, high);
  }
  left_ = (wide - inner_width_) / 2, top_ = (high - inner_height_) / 2;

  // The output pixel of (u, v): rotated clockwise, then flipped.
  const auto output = [&](int64_t u, int64_t v) {
    int64_t x = u, y = v;
    if (spec_.rotate == 90) x = int64_t{high} - 1 - v, y = u;
    else if (spec_.rotate == 180) x = int64_t{wide} - 1 - u, y = int64_t{high} - 1 - v;
    else if (spec_.rotate == 270) x = v, y = int64_t{wide} - 1 - u;
    if (spec_.flip_x) x = int64_t{spec_.width} - 1 - x;
    if (spec_.flip_y) y = int64_t{spec_.height} - 1 - y;
    return y * spec_.width + x;
  };
  origin_ = output(left_, top_);
  across_ = output(int64_t{left_} + 1, top_) - origin_;
  down_ = output(left_, int64_t{top_} + 1) - origin_;

  // Half-pixel centres, edges repeated; taps count from the crop's corner.
  const auto tabulate = [](Taps* taps, uint32_t size, uint32_t count) {
    taps->first.resize(count), taps->second.resize(count), taps->weight.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
      const double place = std::clamp((i + 0.5) * size / count - 0.5, 0.0, double(size - 1));
      const uint32_t low = static_cast<uint32_t>(place);
      taps->first[i] = low, taps->second[i] = std::min(low + 1, size - 1);
      taps->weight[i] = static_cast<float>(place - low);
    }
  };
  tabulate(&columns_, crop_.width, inner_width_);
  tabulate(&rows_, crop_.height, inner_height_);
  line_.resize(size_t{3} * crop_.width);
  for (auto& row : resampled_) row.resize(size_t{3} * inner_width_);
  known_ = source;
}

Status PixelPass::Run(const PixelSource& source, void* out) {
  const auto refuse = [&](const char* why) {
    return Status::Error("FRAME_INVALID", "a frame of %u x %u with stride %u in %llu bytes %s", source.width, source.height, source.stride,
                         static_cast<unsigned long long>(source.bytes), why);
  };
  if (source.width < 1 || source.height < 1 || source.width > 32768 || source.height > 32768) return refuse("has no usable size");
  if (source.stride < PixelRowBytes(source.format, source.width)) return refuse("has rows shorter than its width");
  if (source.bytes < PixelBytes(source.format, source.stride, source.height)) return refuse("is shorter than its size says");
  if (source.width != known_.width || source.height != known_.height) Configure(source);
  if (spec_.resize == ResizeMode::kContain) FillOutside(out);
  resampled_y_[0] = resampled_y_[1] = -1;
  for (uint32_t v = 0; v < inner_height_; ++v) {
    const float* upper = ResampledRow(source, rows_.first[v]);
    const float* lower = ResampledRow(source, rows_.second[v]);
    WriteRow(v, upper, lower, rows_.weight[v], out);
  }
  return Status::Ok();
}

// A row of the crop, resampled across; the two last ones are kept, since the next output row wants one or both again.
const float* PixelPass::ResampledRow(const PixelSource& source, uint32_t y) {
  for (int i = 0; i < 2; ++i) if (resampled_y_[i] == y) return resampled_[i].data();
  const int slot = resampled_y_[0] <= resampled_y_[1] ? 0 : 1;
  resampled_y_[slot] = y;
  ReadRow(source, crop_.y + y);
  float* to = resampled_[slot].data();
  for (int channel = 0; channel < 3; ++channel, to += inner_width_) {
    const float* line = line_.data() + size_t(channel) * crop_.width;
    for (uint32_t u = 0; u < inner_width_; ++u) {
      const float first = line[columns_.first[u]];
      to[u] = first + columns_.weight[u] * (line[columns_.second[u]] - first);
    }
  }
  return resampled_[slot].data();
}

// The crop's part of a source row as planes of R, G and B.
void PixelPass::ReadRow(const PixelSource& s, uint32_t y) {
  const uint32_t count = crop_.width, x0 = crop_.x;
  float *r = line_.data(), *g = r + count, *b = g + count;
  const uint8_t* row = s.data + uint64_t{y} * s.stride;
  const auto put = [&](uint32_t i, const Rgb& c) { r[i] = c.r, g[i] = c.g, b[i] = c.b; };
  switch (s.format) {
    case PixelFormat::kYuyv:
    case PixelFormat::kUyvy: {
      const uint32_t luma = s.format == PixelFormat::kYuyv ? 0 : 1, chroma = 1 - luma;
      for (uint32_t i = 0; i < count; ++i) {
        const uint8_t* pair = row + (x0 + i) / 2 * 4;
        put(i, FromYuv(pair[luma + (x0 + i) % 2 * 2], pair[chroma], pair[chroma + 2]));
      }
      return;
    }
    case PixelFormat::kNv12: {
      const uint8_t* uv = s.data + uint64_t{s.stride} * s.height + uint64_t{y / 2} * s.stride;
      for (uint32_t i = 0; i < count; ++i) put(i, FromYuv(row[x0 + i], uv[(x0 + i) / 2 * 2], uv[(x0 + i) / 2 * 2 + 1]));
      return;
    }
    case PixelFormat::kI420: {
      const uint32_t half = Half(s.stride);
      const uint8_t* u = s.data + uint64_t{s.stride} * s.height + uint64_t{y / 2} * half;
      const uint8_t* v = u + uint64_t{half} * Half(s.height);
      for (uint32_t i = 0; i < count; ++i) put(i, FromYuv(row[x0 + i], u[(x0 + i) / 2], v[(x0 + i) / 2]));
      return;
    }
    case PixelFormat::kRgb24:
    case PixelFormat::kBgr24: {
      const uint32_t red = s.format == PixelFormat::kRgb24 ? 0 : 2;
      const uint8_t* pixel = row + size_t{3} * x0;
      for (uint32_t i = 0; i < count; ++i, pixel += 3) r[i] = pixel[red], g[i] = pixel[1], b[i] = pixel[2 - red];
      return;
    }
    case PixelFormat::kGrey:
      for (uint32_t i = 0; i < count; ++i) r[i] = g[i] = b[i] = row[x0 + i];
      return;
  }
}

void PixelPass::WriteRow(uint32_t v, const float* upper, const float* lower, float weight, void* out) const {
  const int64_t area = int64_t{spec_.width} * spec_.height;
  const int64_t pixel_step = spec_.is_nchw ? 1 : 3, channel_step = spec_.is_nchw ? area : 1;
  for (int channel = 0; channel < 3; ++channel) {
    // Source planes are R, G, B; the output may want them the other way round.
    const int plane = spec_.is_bgr ? 2 - channel : channel;
    const float *a = upper + size_t(plane) * inner_width_, *b = lower + size_t(plane) * inner_width_;
    const float scale = 1 / spec_.std[channel], offset = -spec_.mean[channel] * scale;
    int64_t at = (origin_ + int64_t{v} * down_) * pixel_step + channel * channel_step;
    const int64_t step = across_ * pixel_step;
    if (spec_.is_bytes) {
      auto* to = static_cast<uint8_t*>(out);
      for (uint32_t u = 0; u < inner_width_; ++u, at += step) to[at] = static_cast<uint8_t>(a[u] + weight * (b[u] - a[u]) + 0.5f);
    } else {
      auto* to = static_cast<float*>(out);
      for (uint32_t u = 0; u < inner_width_; ++u, at += step) to[at] = (a[u] + weight * (b[u] - a[u])) * scale + offset;
    }
  }
}

void PixelPass::FillOutside(void* out) const {
  const uint64_t area = uint64_t{spec_.width} * spec_.height;
  for (int channel = 0; channel < 3; ++channel) {
    const uint8_t level = spec_.fill[spec_.is_bgr ? 2 - channel : channel];
    for (uint64_t i = 0; i < area; ++i) {
      const uint64_t at = spec_.is_nchw ? channel * area + i : i * 3 + channel;
      if (spec_.is_bytes) static_cast<uint8_t*>(out)[at] = level;
      else static_cast<float*>(out)[at] = (level - spec_.mean[channel]) / spec_.std[channel];
    }
  }
}

}  // namespace gapcam
