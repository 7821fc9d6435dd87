// Checks of the steps with a window: conv2d, pool2d and chain.
#include "step_check.h"

namespace gapcam {
namespace {

// Elements of a tensor stay below this, so that 32-bit counts suffice.
constexpr double kMaxElements = 2147483648.0;

// The outputs along one axis, in 64 bits; 0 if the dilated kernel is larger than the padded input.
int64_t OutSize(int64_t size, uint32_t before, uint32_t after, uint32_t kernel, uint32_t stride, uint32_t dilation) {
  const int64_t free = size + before + after - (int64_t{kernel} - 1) * dilation - 1;
  return free < 0 ? 0 : free / stride + 1;
}

template <typename P>
int64_t OutHeight(int64_t height, const P& p) {
  return OutSize(height, p.pad_top, p.pad_bottom, p.kernel_h, p.stride_h, p.dilation_h);
}
template <typename P>
int64_t OutWidth(int64_t width, const P& p) {
  return OutSize(width, p.pad_left, p.pad_right, p.kernel_w, p.stride_w, p.dilation_w);
}

// Whether the last of `outputs` windows begins before `end`.
bool StartsInside(uint32_t outputs, uint32_t stride, int64_t end) {
  return outputs >= 1 && (int64_t{outputs} - 1) * stride < end;
}

// Whether the first and the last of `count` windows have a position inside the input. Otherwise a maximum would have no
// operand. The windows between them then have one too, unless the dilation is larger than the input. Such a window
// gives -infinity as its maximum and NaN as its average, and reads nothing.
bool WindowsHitInput(uint32_t count, uint32_t stride, uint32_t before, uint32_t kernel, uint32_t dilation,
                     uint32_t size) {
  for (uint32_t i : {uint32_t{0}, count - 1}) {
    const int64_t origin = int64_t{i} * stride - before;
    bool hits = false;
    for (uint32_t k = 0; k < kernel && !hits; ++k) {
      const int64_t at = origin + int64_t{k} * dilation;
      hits = at >= 0 && at < size;
    }
    if (!hits) return false;
  }
  return true;
}

// The window of a chain's expansion, with the names that the functions above expect.
struct ExpandWindow {
  uint32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w;
};

template <typename P>
ExpandWindow ExpandWindowOf(const P& p) {
  return {p.expand_kernel_h, p.expand_kernel_w,   p.expand_stride_h,  p.expand_stride_w,   p.expand_pad_top,
          p.expand_pad_left, p.expand_pad_bottom, p.expand_pad_right, p.expand_dilation_h, p.expand_dilation_w};
}

}  // namespace

// Bounds the parameters of a window, so that their products fit into 64 bits.
template <typename P>
Status StepCheck::CheckWindow(const P& p) const {
  for (uint32_t size : {p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.dilation_h, p.dilation_w})
    if (size < 1 || size > 65535) return Refuse("has a window size of %u", size);
  for (uint32_t pad : {p.pad_top, p.pad_left, p.pad_bottom, p.pad_right})
    if (pad > 65535) return Refuse("has a pad of %u", pad);
  return Status::Ok();
}

template <typename P>
Status StepCheck::CheckConv(const P& p, const PlanTensor* residual) const {
  Status status = CheckWindow(p);
  if (!status.ok()) return status;
  const PlanTensor &x = *Input(0), &w = *Input(1);
  if (x.rank != 4 || w.rank != 4) return Refuse("has an input or weights that do not have 4 dimensions");
  const uint32_t features = w.dims[0];
  if (p.groups < 1 || x.dims[3] % p.groups != 0 || features % p.groups != 0)
    return Refuse("cannot be split into %u groups", p.groups);
  if (w.dims[1] != x.dims[3] / p.groups || w.dims[2] != p.kernel_h || w.dims[3] != p.kernel_w)
    return Refuse("has weights whose shape does not fit its parameters");
  const int64_t height = OutHeight(x.dims[1], p), width = OutWidth(x.dims[2], p);
  if (height < 1 || width < 1) return Refuse("has a kernel larger than its padded input");
  if (double(x.dims[0]) * height * width * features >= kMaxElements) return Refuse("has a result that is too large");
  const auto out_h = static_cast<uint32_t>(height), out_w = static_cast<uint32_t>(width);
  const PlanTensor *y = Output(0), *pooled = Output(1), *bias = Input(2);
  if (y && !Is(*y, x.dims[0], out_h, out_w, features)) return Refuse("has an output of a wrong shape");
  if (pooled && !Is(*pooled, x.dims[0], 1, 1, features)) return Refuse("has a pooled output of a wrong shape");
  if (bias && bias->elements != features) return Refuse("has a bias of a wrong shape");
  return !residual || Is(*residual, x.dims[0], out_h, out_w, features) ? Status::Ok()
                                                                       : Refuse("has a residual of a wrong shape");
}

template Status StepCheck::CheckConv(const Conv2dParams& p, const PlanTensor* residual) const;
template Status StepCheck::CheckConv(const Qconv2dParams& p, const PlanTensor* residual) const;

template <typename P>
Status StepCheck::CheckPool(const P& p) const {
  Status status = CheckWindow(p);
  if (!status.ok()) return status;
  const PlanTensor &x = *Input(0), &y = *Output(0);
  if (x.rank != 4 || y.rank != 4 || x.dims[0] != y.dims[0] || x.dims[3] != y.dims[3])
    return Refuse("has tensors of a wrong shape");
  return WindowsHitInput(y.dims[1], p.stride_h, p.pad_top, p.kernel_h, p.dilation_h, x.dims[1]) &&
                 WindowsHitInput(y.dims[2], p.stride_w, p.pad_left, p.kernel_w, p.dilation_w, x.dims[2])
             ? Status::Ok()
             : Refuse("has windows that lie outside its input");
}

template Status StepCheck::CheckPool(const Qpool2dParams& p) const;

Status StepCheck::CheckPool2d() const {
  const auto& p = step_.As<Pool2dParams>();
  Status status = CheckPool(p);
  const PlanType type = Input(0)->type;
  const bool is_byte = type == PlanType::kInt8 || type == PlanType::kUint8;
  if (!status.ok() || (type == Output(0)->type && !is_byte)) return status;
  return p.op == Pool::kMax ? CheckOneScale() : Refuse("averages bytes, which only qpool2d does");
}

Status StepCheck::CheckFloatChain() const {
  const auto& p = step_.As<ChainParams>();
  if (p.op == WindowOp::kMax && p.activation != Elementwise::kNone) return Refuse("is a maximum with an activation");
  return CheckChain(p, {Input(1), Input(2), Input(3), Input(4), Input(5), Input(6), Input(7)});
}

template <typename P>
Status StepCheck::CheckChain(const P& p, const ChainTensors& t) const {
  const ExpandWindow expansion = ExpandWindowOf(p);
  Status status = CheckWindow(p);
  if (status.ok()) status = CheckWindow(expansion);
  if (!status.ok()) return status;
  const PlanTensor &x = *Input(0), &y = *Output(0);
  const PlanTensor *expand = t.expand, *pooled = Output(1);
  if (x.rank != 4 || y.rank != 4) return Refuse("has tensors that do not have 4 dimensions");
  const uint32_t middle = expand ? expand->dims[0] : x.dims[3];
  status = CheckChainWeights(p, t, middle);
  if (!status.ok()) return status;
  const int64_t height = expand ? OutHeight(x.dims[1], expansion) : x.dims[1];
  const int64_t width = expand ? OutWidth(x.dims[2], expansion) : x.dims[2];
  if (height < 1 || width < 1 || double(x.dims[0]) * height * width * middle >= kMaxElements)
    return Refuse("has an expansion that is empty or too large");
  // A maximum keeps the sizes of y (ceil_mode): its last window may extend beyond the padded input but begins inside.
  const bool fits = p.op == WindowOp::kMax ? StartsInside(y.dims[1], p.stride_h, height + p.pad_top) &&
                                                 StartsInside(y.dims[2], p.stride_w, width + p.pad_left)
                                           : y.dims[1] == OutHeight(height, p) && y.dims[2] == OutWidth(width, p);
  if (!fits || y.dims[0] != x.dims[0]) return Refuse("has a result of a wrong shape");
  if (pooled && !Is(*pooled, x.dims[0], 1, 1, middle)) return Refuse("has a pooled output of a wrong shape");
  return !t.residual || Is(*t.residual, y.dims[0], y.dims[1], y.dims[2], y.dims[3])
             ? Status::Ok()
             : Refuse("has a residual of a wrong shape");
}

template Status StepCheck::CheckChain(const QchainParams& p, const ChainTensors& t) const;

// The weights and biases of a chain whose window has `middle` channels.
template <typename P>
Status StepCheck::CheckChainWeights(const P& p, const ChainTensors& t, uint32_t middle) const {
  const uint32_t channels = Input(0)->dims[3], features = Output(0)->dims[3];
  const PlanTensor *w = t.weights, *expand = t.expand, *project = t.project;
  const bool is_max = p.op == WindowOp::kMax;
  if (is_max ? w || t.bias : !w)
    return Refuse(is_max ? "is a maximum with weights or a bias" : "lacks the weights of its window");
  if (w && !Is(*w, middle, 1, p.kernel_h, p.kernel_w)) return Refuse("has weights of a wrong shape");
  // Without weights there must be no bias.
  const auto fits = [](const PlanTensor* weights, const PlanTensor* bias, uint32_t size) {
    return !bias || (weights && bias->elements == size);
  };
  if (!fits(w, t.bias, middle) || !fits(expand, t.expand_bias, middle) || !fits(project, t.project_bias, features))
    return Refuse("has a bias of a wrong shape, or one without weights");
  if (expand && !Is(*expand, middle, channels, p.expand_kernel_h, p.expand_kernel_w))
    return Refuse("has an expansion whose shape does not fit its tensors");
  if (project ? !Is(*project, features, middle, 1, 1) || Output(1) : features != middle)
    return Refuse("has a projection whose shape does not fit its tensors");
  return Status::Ok();
}

}  // namespace gapcam
