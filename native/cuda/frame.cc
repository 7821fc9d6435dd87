#include "frame.h"

#include <cstring>
#include <utility>

#include "../image/rows.h"
#include "lower/lowering.h"

namespace gapcam {
namespace cuda {
namespace {

// The output pixel that shows pixel (u, v) of the resized picture: rotated clockwise, then flipped, as in
// PixelPass::Configure.
struct Point {
  int32_t x, y;
};

Point OutputOf(const PixelSpec& spec, int32_t u, int32_t v) {
  const auto width = static_cast<int32_t>(spec.width), height = static_cast<int32_t>(spec.height);
  Point p = {u, v};
  if (spec.rotate == 90)
    p = {width - 1 - v, u};
  else if (spec.rotate == 180)
    p = {width - 1 - u, height - 1 - v};
  else if (spec.rotate == 270)
    p = {v, height - 1 - u};
  if (spec.flip_x) p.x = width - 1 - p.x;
  if (spec.flip_y) p.y = height - 1 - p.y;
  return p;
}

// Sets the inverse mapping, from output pixels to (u, v). The inverse of a rotation or flip is its transpose.
void SetPlaces(const PixelSpec& spec, int32_t left, int32_t top, PixelParams* p) {
  const Point origin = OutputOf(spec, left, top), across = OutputOf(spec, left + 1, top),
              down = OutputOf(spec, left, top + 1);
  p->u_x = across.x - origin.x, p->u_y = across.y - origin.y, p->v_x = down.x - origin.x, p->v_y = down.y - origin.y;
  p->u0 = -(origin.x * p->u_x + origin.y * p->u_y), p->v0 = -(origin.x * p->v_x + origin.y * p->v_y);
}

}  // namespace

Status FrameLaunch::Build(const PixelSpec& spec, const PixelSource& source, FrameLaunch* launch) {
  PixelPass pass(spec);
  const Status status = pass.Check(source);
  if (!status.ok()) return status;
  pass.Configure(source);
  launch->taps.clear();
  const uint32_t numbers = PixelNumbers(source.format);
  for (uint32_t u = 0; u < pass.inner_width_; ++u) {
    for (uint32_t value : {pass.first_[u] / numbers, pass.second_[u] / numbers,
                           static_cast<uint32_t>(pass.column_weights_[size_t{4} * u]), 0u})
      launch->taps.push_back(static_cast<int16_t>(value));
  }
  for (uint32_t v = 0; v < pass.inner_height_; ++v) {
    for (uint32_t value : {pass.upper_[v], pass.lower_[v], static_cast<uint32_t>(pass.row_weights_[v]), 0u})
      launch->taps.push_back(static_cast<int16_t>(value));
  }
  PixelParams p = {};
  const uint32_t pixels = spec.width * spec.height;
  p.frame = {0, static_cast<uint32_t>(PixelBytes(source.format, source.stride, source.height)), 1};
  p.taps = {0, static_cast<uint32_t>(launch->taps.size()), 2};
  p.y = {0, pixels * 3, 4};
  p.format = static_cast<uint32_t>(source.format), p.height = source.height, p.stride = source.stride;
  p.crop_x = pass.crop_.x, p.crop_y = pass.crop_.y, p.inner_width = pass.inner_width_,
  p.inner_height = pass.inner_height_;
  SetPlaces(spec, static_cast<int32_t>(pass.left_), static_cast<int32_t>(pass.top_), &p);
  p.is_nchw = spec.is_nchw, p.is_bgr = spec.is_bgr, p.pixels = pixels, p.by_width = DivideBy(spec.width);
  for (int channel = 0; channel < 3; ++channel) {
    p.scale[channel] = 1 / spec.std[channel] / 32;  // the kernel computes with levels times 32
    p.offset[channel] = -spec.mean[channel] * (1 / spec.std[channel]);
    p.fill[channel] = (spec.fill[spec.is_bgr ? 2 - channel : channel] - spec.mean[channel]) / spec.std[channel];
  }
  launch->params = p;
  launch->kernel = KernelId::pixels_f32;
  launch->threads = kKernels[static_cast<uint32_t>(launch->kernel)].threads;
  launch->blocks = CeilDiv(pixels, launch->threads);
  return Status::Ok();
}

bool FramePass::IsKnown(const PixelSource& frame) const {
  return frame.format == known_.format && frame.width == known_.width && frame.height == known_.height &&
         frame.stride == known_.stride;
}

Status FramePass::Run(const PixelSource& frame) {
  Status status = PixelPass(spec_).Check(frame);
  if (!status.ok()) return status;
  const CudaExecutor& executor = *executor_;
  const ContextScope scope(executor.api_, executor.context_);
  status = executor.Check(scope.result(), "cuCtxPushCurrent", "making the context current");
  if (status.ok() && !IsKnown(frame)) status = Adapt(frame);
  if (!status.ok()) return status;
  std::memcpy(frame_.bytes, frame.data, launch_.params.frame.elements);
  void* arguments[] = {&launch_.params};
  const Function function = executor.functions_[static_cast<uint32_t>(launch_.kernel)];
  status = executor.Check(executor.api_.LaunchKernel(function, launch_.blocks, 1, 1, launch_.threads, 1, 1, 0,
                                                     executor.stream_, arguments, nullptr),
                          "cuLaunchKernel", "converting a frame");
  if (status.ok())
    status =
        executor.Check(executor.api_.StreamSynchronize(executor.stream_), "cuStreamSynchronize", "converting a frame");
  return status;
}

Status FramePass::Adapt(const PixelSource& frame) {
  Free();
  Status status = FrameLaunch::Build(spec_, frame, &launch_);
  PixelParams& p = launch_.params;
  if (status.ok() && p.y.elements != executor_->plan_.tensors[executor_->program_.inputs[0].tensor].elements)
    status = Status::Error("ENGINE_FAILED", "the frame pass and the network's input differ in size");
  if (status.ok()) status = executor_->FindKernel(launch_.kernel);
  if (status.ok()) status = executor_->Map(p.frame.elements, "mapping memory for frames", &frame_);
  if (status.ok())
    status = executor_->Upload(launch_.taps.data(), launch_.taps.size() * sizeof(int16_t), "uploading a frame's taps",
                               &taps_);
  if (!status.ok()) return status;
  p.frame.address = frame_.device, p.taps.address = taps_;
  p.y.address = executor_->host_[0].device + executor_->program_.inputs[0].offset;
  known_ = frame;
  return status;
}

void FramePass::Release() {
  const ContextScope scope(executor_->api_, executor_->context_);
  Free();
}

// Errors are ignored, as in CudaExecutor::Release.
void FramePass::Free() {
  known_ = PixelSource();
  if (frame_.bytes) executor_->api_.MemFreeHost(std::exchange(frame_, {}).bytes);
  if (taps_) executor_->api_.MemFree(std::exchange(taps_, 0));
}

}  // namespace cuda
}  // namespace gapcam
