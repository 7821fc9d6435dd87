#include "pixels.h"

#include <algorithm>
#include <cmath>

#include "rows.h"

namespace gapcam {
namespace {

inline uint32_t Half(uint32_t size) { return (size + 1) / 2; }

LevelScale ScaleOf(const PixelSpec& spec) {
  LevelScale values = {{1, 1, 1, 0}, {0, 0, 0, 0}};
  for (int channel = 0; channel < 3; ++channel) {
    values.scale[channel] = 1 / spec.std[channel];
    values.offset[channel] = -spec.mean[channel] * values.scale[channel];
  }
  return values;
}

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

PixelPass::PixelPass(const PixelSpec& spec) : spec_(spec) {
  if (!spec.is_bytes) return;
  bytes_.resize(size_t{3} * kLevels);
  TabulateLevels(ScaleOf(spec), spec.has_code ? &spec_.code : nullptr, bytes_.data());
}

PixelPass::Box PixelPass::Crop(uint32_t width, uint32_t height) const {
  const auto at = [](double share, uint32_t size) {
    return std::min<uint32_t>(size - 1, static_cast<uint32_t>(std::lround(share * size)));
  };
  Box box = {at(spec_.roi[0], width), at(spec_.roi[1], height), 0, 0};
  box.width = std::max<uint32_t>(
      1, std::min<uint32_t>(width - box.x, static_cast<uint32_t>(std::lround(spec_.roi[2] * width))));
  box.height = std::max<uint32_t>(
      1, std::min<uint32_t>(height - box.y, static_cast<uint32_t>(std::lround(spec_.roi[3] * height))));
  if (spec_.resize != ResizeMode::kCover) return box;
  // The largest centred part with the output's proportions, seen in the source's orientation.
  const bool is_turned = spec_.rotate % 180 != 0;
  const double target = is_turned ? double(spec_.height) / spec_.width : double(spec_.width) / spec_.height;
  const uint32_t wide =
      std::min<uint32_t>(box.width, std::max<uint32_t>(1, static_cast<uint32_t>(std::lround(box.height * target))));
  const uint32_t high =
      std::min<uint32_t>(box.height, std::max<uint32_t>(1, static_cast<uint32_t>(std::lround(box.width / target))));
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
    if (spec_.rotate == 90)
      x = int64_t{high} - 1 - v, y = u;
    else if (spec_.rotate == 180)
      x = int64_t{wide} - 1 - u, y = int64_t{high} - 1 - v;
    else if (spec_.rotate == 270)
      x = v, y = int64_t{wide} - 1 - u;
    if (spec_.flip_x) x = int64_t{spec_.width} - 1 - x;
    if (spec_.flip_y) y = int64_t{spec_.height} - 1 - y;
    return y * spec_.width + x;
  };
  origin_ = output(left_, top_);
  across_ = output(int64_t{left_} + 1, top_) - origin_;
  down_ = output(left_, int64_t{top_} + 1) - origin_;

  // Half-pixel centres, edges repeated; taps count from the crop's corner.
  const auto tabulate = [](uint32_t size, uint32_t count, const auto& put) {
    for (uint32_t i = 0; i < count; ++i) {
      const double place = std::clamp((i + 0.5) * size / count - 0.5, 0.0, double(size - 1));
      const uint32_t low = static_cast<uint32_t>(place);
      put(i, low, std::min(low + 1, size - 1), FixedWeight(place - low));
    }
  };
  upper_.resize(inner_height_), lower_.resize(inner_height_), row_weights_.resize(inner_height_);
  tabulate(crop_.height, inner_height_, [this](uint32_t i, uint32_t low, uint32_t high, int16_t weight) {
    upper_[i] = low, lower_[i] = high, row_weights_[i] = weight;
  });
  const uint32_t taps = inner_width_ + kTapsAtOnce - 1, numbers = PixelNumbers(source.format);
  first_.assign(taps, 0), second_.assign(taps, 0), column_weights_.assign(size_t{4} * taps, 0);
  tabulate(crop_.width, inner_width_, [&](uint32_t i, uint32_t low, uint32_t high, int16_t weight) {
    first_[i] = numbers * low, second_[i] = numbers * high;
    std::fill_n(column_weights_.begin() + 4 * int64_t{i}, 4, weight);
  });
  for (auto* line : {&lines_[0], &lines_[1], &mixed_}) line->resize(LineNumbers(crop_.width));
  known_ = source;
  TabulateMask();
}

// A pixel is inside by the even-odd rule at its centre. The formula is that of `isInside` in src/pixels/shape.ts.
void PixelPass::TabulateMask() {
  masked_.clear(), masked_from_.clear();
  const std::vector<double>& corners = spec_.polygon;
  if (corners.empty()) return;
  std::vector<double> crossings;
  for (uint32_t v = 0; v < inner_height_; ++v) {
    masked_from_.push_back(static_cast<uint32_t>(masked_.size()));
    const double y = (crop_.y + (v + 0.5) * crop_.height / inner_height_) / known_.height;
    crossings.clear();
    for (size_t i = 0, j = corners.size() - 2; i < corners.size(); j = i, i += 2) {
      const double ax = corners[i], ay = corners[i + 1], bx = corners[j], by = corners[j + 1];
      if ((ay > y) != (by > y)) crossings.push_back((bx - ax) * (y - ay) / (by - ay) + ax);
    }
    for (uint32_t u = 0; u < inner_width_; ++u) {
      const double x = (crop_.x + (u + 0.5) * crop_.width / inner_width_) / known_.width;
      if (std::count_if(crossings.begin(), crossings.end(), [x](double at) { return x < at; }) % 2 != 0) continue;
      const bool is_next = masked_.size() > masked_from_.back() && masked_.back().end == u;
      if (is_next)
        masked_.back().end = u + 1;
      else
        masked_.push_back({u, u + 1});
    }
  }
  masked_from_.push_back(static_cast<uint32_t>(masked_.size()));
}

Status PixelPass::Check(const PixelSource& source) const {
  const auto refuse = [&](const char* why) {
    return Status::Error("FRAME_INVALID", "a frame of %u x %u with stride %u in %llu bytes %s", source.width,
                         source.height, source.stride, static_cast<unsigned long long>(source.bytes), why);
  };
  if (source.width < 1 || source.height < 1 || source.width > 32768 || source.height > 32768)
    return refuse("has no usable size");
  if (source.stride < PixelRowBytes(source.format, source.width)) return refuse("has rows shorter than its width");
  if (source.bytes < PixelBytes(source.format, source.stride, source.height))
    return refuse("is shorter than its size says");
  return Status::Ok();
}

Status PixelPass::Run(const PixelSource& source, void* out) {
  const Status status = Check(source);
  if (!status.ok()) return status;
  if (source.width != known_.width || source.height != known_.height || source.format != known_.format)
    Configure(source);
  if (spec_.resize == ResizeMode::kContain) FillOutside(out);
  const Paint mask = PaintOf(spec_.mask_fill);
  const size_t numbers = size_t{crop_.width} * PixelNumbers(source.format);
  line_y_[0] = line_y_[1] = -1;
  for (uint32_t v = 0; v < inner_height_; ++v) {
    const int16_t* line = Line(source, upper_[v]);
    if (row_weights_[v] != 0) {
      MixLines(line, Line(source, lower_[v]), row_weights_[v], numbers, mixed_.data());
      line = mixed_.data();
    }
    WriteRow(v, line, out);
    if (!masked_.empty()) FillMasked(v, mask, out);
  }
  return Status::Ok();
}

// A row of the crop; the two last ones are kept, since the next output row wants one or both again.
const int16_t* PixelPass::Line(const PixelSource& source, uint32_t y) {
  for (int i = 0; i < 2; ++i)
    if (line_y_[i] == y) return line_at_[i];
  const int slot = line_y_[0] <= line_y_[1] ? 0 : 1;
  line_y_[slot] = y;
  return line_at_[slot] = ReadLine(source, crop_.y + y, crop_.x, crop_.width, lines_[slot].data());
}

void PixelPass::WriteRow(uint32_t v, const int16_t* line, void* out) const {
  const int64_t area = int64_t{spec_.width} * spec_.height, pixel = spec_.is_nchw ? 1 : 3;
  const LineTarget target = {out,
                             (origin_ + int64_t{v} * down_) * pixel,
                             across_ * pixel,
                             spec_.is_nchw ? area : 1,
                             (known_.format == PixelFormat::kBgr24) != spec_.is_bgr,
                             ScaleOf(spec_),
                             spec_.is_bytes ? bytes_.data() : nullptr};
  WriteLine(line, {first_.data(), second_.data(), column_weights_.data(), inner_width_}, target);
}

// The byte of a level that is painted.
uint8_t PixelPass::ByteOf(int channel, float level) const {
  return spec_.has_code ? CodedByte((level - spec_.mean[channel]) / spec_.std[channel], spec_.code)
                        : static_cast<uint8_t>(level + 0.5f);
}

PixelPass::Paint PixelPass::PaintOf(const float* rgb) const {
  Paint paint;
  for (int channel = 0; channel < 3; ++channel) {
    const float level = rgb[spec_.is_bgr ? 2 - channel : channel];
    paint.values[channel] = (level - spec_.mean[channel]) / spec_.std[channel];
    paint.bytes[channel] = ByteOf(channel, level);
  }
  return paint;
}

// Writes a value `count` times, `step` elements apart.
template <typename Element>
static void Spread(Element value, int64_t count, int64_t step, Element* to) {
  if (step == 1) return void(std::fill_n(to, count, value));
  for (int64_t i = 0; i < count; ++i) to[i * step] = value;
}

// Paints the pixels [begin, end) of a row of the resampled picture; all three may lie in the letterbox around it.
void PixelPass::FillSpan(int64_t v, int64_t begin, int64_t end, const Paint& paint, void* out) const {
  const int64_t area = int64_t{spec_.width} * spec_.height, pixel = spec_.is_nchw ? 1 : 3;
  const int64_t step = across_ * pixel, from = (origin_ + v * down_) * pixel + begin * step;
  for (int channel = 0; channel < 3; ++channel) {
    const int64_t at = from + channel * (spec_.is_nchw ? area : 1);
    if (spec_.is_bytes)
      Spread(paint.bytes[channel], end - begin, step, static_cast<uint8_t*>(out) + at);
    else
      Spread(paint.values[channel], end - begin, step, static_cast<float*>(out) + at);
  }
}

void PixelPass::FillMasked(uint32_t v, const Paint& paint, void* out) const {
  for (uint32_t i = masked_from_[v]; i < masked_from_[v + 1]; ++i)
    FillSpan(v, masked_[i].begin, masked_[i].end, paint, out);
}

void PixelPass::FillOutside(void* out) const {
  const float rgb[3] = {float(spec_.fill[0]), float(spec_.fill[1]), float(spec_.fill[2])};
  const Paint paint = PaintOf(rgb);
  const bool is_turned = spec_.rotate % 180 != 0;
  const int64_t wide = is_turned ? spec_.height : spec_.width, high = is_turned ? spec_.width : spec_.height;
  const int64_t left = -int64_t{left_}, right = wide - left_;
  for (int64_t v = -int64_t{top_}; v < high - top_; ++v) {
    const bool is_above_or_below = v < 0 || v >= inner_height_;
    FillSpan(v, left, is_above_or_below ? right : 0, paint, out);
    if (!is_above_or_below) FillSpan(v, inner_width_, right, paint, out);
  }
}

}  // namespace gapcam
