// The algorithm of a convolution, chosen by its sizes.
namespace gapcam {
namespace {

// Makes the op with the lowest estimated cost.
static const Op* MakeConv(const StepRef& step, Allocator& memory, const char** reason) {
  if (IsDepthwise(step)) return MakeDepthwise(step, memory, reason);
  if (ReachesFarOut(step)) return MakeConvBands(step, memory, reason);
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const ConvShape s = ShapeOf(step);
  const bool can_filter = p.kernel_h == 3 && p.kernel_w == 3 && p.stride_h == 1 && p.stride_w == 1 &&
                          p.dilation_h == 1 && p.dilation_w == 1 && p.groups == 1;
  // A pooled picture is one block, whose transformed input must stay small.
  constexpr uint32_t kMostPooled = 1024;
  if (!can_filter || (OutputAt(step, 1) && s.out_height * s.out_width > kMostPooled))
    return MakeConvGemm(step, memory, reason);
  const double direct = 9.0 * s.channels * CeilDiv(s.features, kLanes) * s.out_height * s.out_width;
  const double two = WinogradCost<Winograd2>(s), four = WinogradCost<Winograd4>(s);
  if (direct <= two && direct <= four) return MakeConvGemm(step, memory, reason);
  return two < four ? MakeConvWinograd<Winograd2>(step, memory, reason)
                    : MakeConvWinograd<Winograd4>(step, memory, reason);
}

}  // namespace
}  // namespace gapcam
