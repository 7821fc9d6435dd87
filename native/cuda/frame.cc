#include "frame.h"

#include "lower/lowering.h"

namespace gapcam {
namespace cuda {
namespace {

// Where place (u, v) of the resized picture goes, clockwise and then mirrored, as PixelPass::Configure has it.
struct Point {
  int32_t x, y;
};

Point OutputOf(const PixelSpec& spec, int32_t u, int32_t v) {
  const auto width = static_cast<int32_t>(spec.width), height = static_cast<int32_t>(spec.height);
  Point p = {u, v};
  if (spec.rotate == 90) p = {width - 1 - v, u};
  else if (spec.rotate == 180) p = {width - 1 - u, height - 1 - v};
  else if (spec.rotate == 270) p = {v, height - 1 - u};
  if (spec.flip_x) p.x = width - 1 - p.x;
  if (spec.flip_y) p.y = height - 1 - p.y;
  return p;
}

// The way back: turns and mirrors are undone by their transposes.
void SetPlaces(const PixelSpec& spec, int32_t left, int32_t top, PixelParams* p) {
  const Point origin = OutputOf(spec, left, top), across = OutputOf(spec, left + 1, top), down = OutputOf(spec, left, top + 1);
  p->u_x = across.x - origin.x, p->u_y = across.y - origin.y, p->v_x = down.x - origin.x, p->v_y = down.y - origin.y;
  p->u0 = -(origin.x * p->u_x + origin.y * p->u_y), p->v0 = -(origin.x * p->v_x + origin.y * p->v_y);
}

}  // namespace

Status FrameLaunch::Build(const PixelSpec& spec, const PixelSource& source, Precision precision, FrameLaunch* launch) {
  PixelPass pass(spec);
  const Status status = pass.Check(source);
  if (!status.ok()) return status;
  pass.Configure(source);
  const bool is_half = precision == Precision::kFloat16;
  launch->taps.clear();
  for (uint32_t u = 0; u < pass.inner_width_; ++u) {
    for (uint32_t value : {pass.first_[u] / 4, pass.second_[u] / 4, static_cast<uint32_t>(pass.column_weights_[size_t{4} * u]), 0u}) launch->taps.push_back(static_cast<int16_t>(value));
  }
  for (uint32_t v = 0; v < pass.inner_height_; ++v) {
    for (uint32_t value : {pass.upper_[v], pass.lower_[v], static_cast<uint32_t>(pass.row_weights_[v]), 0u}) launch->taps.push_back(static_cast<int16_t>(value));
  }
  PixelParams p = {};
  const uint32_t pixels = spec.width * spec.height;
  p.frame = {0, static_cast<uint32_t>(PixelBytes(source.format, source.stride, source.height)), 1};
  p.taps = {0, static_cast<uint32_t>(launch->taps.size()), 2};
  p.y = {0, pixels * 3, is_half ? 2u : 4u};
  p.format = static_cast<uint32_t>(source.format), p.height = source.height, p.stride = source.stride;
  p.crop_x = pass.crop_.x, p.crop_y = pass.crop_.y, p.inner_width = pass.inner_width_, p.inner_height = pass.inner_height_;
  SetPlaces(spec, static_cast<int32_t>(pass.left_), static_cast<int32_t>(pass.top_), &p);
  p.is_nchw = spec.is_nchw, p.is_bgr = spec.is_bgr, p.pixels = pixels, p.by_width = DivideBy(spec.width);
  for (int channel = 0; channel < 3; ++channel) {
    p.scale[channel] = 1 / spec.std[channel] / 32;  // lines are levels times 32
    p.offset[channel] = -spec.mean[channel] * (1 / spec.std[channel]);
    p.fill[channel] = (spec.fill[spec.is_bgr ? 2 - channel : channel] - spec.mean[channel]) / spec.std[channel];
  }
  launch->params = p;
  launch->kernel = is_half ? KernelId::pixels_f16 : KernelId::pixels_f32;
  launch->threads = kKernels[static_cast<uint32_t>(launch->kernel)].threads;
  launch->blocks = CeilDiv(pixels, launch->threads);
  return Status::Ok();
}

}  // namespace cuda
}  // namespace gapcam
