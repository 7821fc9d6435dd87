// Checks each step of a plan against its tensors: shapes, bounds of what is read and written, and memory that is
// written while it is still read. What passes here may be run without a further look.
#include <cstring>

#include "plan.h"

namespace gapcam {
namespace {

constexpr char kInvalid[] = "MODEL_INVALID";

class StepCheck {
 public:
  StepCheck(const Plan& plan, const PlanStep& step) : plan_(plan), step_(step) {}

  Status Check() {
    Status status = CheckPresence();
    if (status.ok()) status = CheckKind();
    return status.ok() ? CheckOverlap() : status;
  }

 private:
  __attribute__((format(printf, 2, 3))) Status Refuse(const char* format, ...) const {
    char why[120];
    va_list args;
    va_start(args, format);
    std::vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    return Status::Error(kInvalid, "step %.80s (%s) %s", step_.name.c_str(),
                         kStepShapes[static_cast<uint32_t>(step_.kind)].name, why);
  }

  const PlanTensor* Input(uint32_t i) const { return i < step_.inputs.size() ? At(step_.inputs[i]) : nullptr; }
  const PlanTensor* Output(uint32_t i) const { return i < step_.outputs.size() ? At(step_.outputs[i]) : nullptr; }
  const PlanTensor* At(uint32_t id) const { return id == kAbsent ? nullptr : &plan_.tensors[id]; }

  // The tensors that a kind needs are there, and all of them are float32 (indices apart).
  Status CheckPresence() const {
    const bool is_conv = step_.kind == StepKind::kConv2d, is_chain = step_.kind == StepKind::kChain;
    const uint32_t needed = kStepShapes[static_cast<uint32_t>(step_.kind)].min_inputs;
    for (uint32_t i = 0; i < step_.inputs.size(); ++i) {
      const bool is_optional = i >= needed && step_.kind != StepKind::kConcat;
      if (!Input(i)) {
        if (!is_optional) return Refuse("lacks its input %u", i);
        continue;
      }
      const bool is_index = step_.kind == StepKind::kResample && i == 1;
      if (Input(i)->type != (is_index ? PlanType::kInt32 : PlanType::kFloat32))
        return Refuse("has an input of a wrong type");
    }
    bool has_output = false;
    for (uint32_t i = 0; i < step_.outputs.size(); ++i) {
      if (!Output(i)) {
        if (!is_conv && !(is_chain && i == 1)) return Refuse("lacks its output %u", i);
        continue;
      }
      has_output = true;
      if (Output(i)->type != PlanType::kFloat32) return Refuse("has an output of a wrong type");
    }
    return has_output ? Status::Ok() : Refuse("has no output");
  }

  Status CheckKind() const {
    switch (step_.kind) {
      case StepKind::kConv2d: return CheckConv();
      case StepKind::kDense: return CheckDense();
      case StepKind::kPool2d: return CheckPool();
      case StepKind::kReduce: return CheckSpan(step_.As<ReduceParams>(), 1);
      case StepKind::kElementwise:
        return Input(0)->elements == Output(0)->elements ? Status::Ok()
                                                         : Refuse("has another number of elements out than in");
      case StepKind::kBinary: return CheckBinary();
      case StepKind::kSoftmax: return CheckSpan(step_.As<SoftmaxParams>(), step_.As<SoftmaxParams>().length);
      case StepKind::kLpNormalization:
        return CheckSpan(step_.As<LpNormalizationParams>(), step_.As<LpNormalizationParams>().length);
      case StepKind::kLrn: return CheckLrn();
      case StepKind::kCopy: return CheckCopy();
      case StepKind::kConcat: return CheckConcat();
      case StepKind::kResample: return CheckResample();
      case StepKind::kChain: return CheckChain();
      case StepKind::kProduct: return CheckProduct();
    }
    return Refuse("is of no known kind");
  }

  // Window parameters that every use below multiplies: bounded, so that 64 bits always suffice.
  template <typename P>
  Status CheckWindow(const P& p) const {
    const uint32_t sizes[] = {p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.dilation_h, p.dilation_w};
    for (uint32_t size : sizes)
      if (size < 1 || size > 65535) return Refuse("has a window size of %u", size);
    const uint32_t pads[] = {p.pad_top, p.pad_left, p.pad_bottom, p.pad_right};
    for (uint32_t pad : pads)
      if (pad > 65535) return Refuse("has a pad of %u", pad);
    return Status::Ok();
  }

  static bool Is(const PlanTensor& t, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return t.rank == 4 && t.dims[0] == a && t.dims[1] == b && t.dims[2] == c && t.dims[3] == d;
  }

  Status CheckConv() const {
    const auto& p = step_.As<Conv2dParams>();
    Status status = CheckWindow(p);
    if (!status.ok()) return status;
    const PlanTensor &x = *Input(0), &w = *Input(1);
    if (x.rank != 4 || w.rank != 4 || !w.is_constant)
      return Refuse("has tensors of a wrong rank, or weights that are not constant");
    const uint32_t features = w.dims[0];
    if (p.groups < 1 || x.dims[3] % p.groups != 0 || features % p.groups != 0)
      return Refuse("cannot be split into %u groups", p.groups);
    if (w.dims[1] != x.dims[3] / p.groups || w.dims[2] != p.kernel_h || w.dims[3] != p.kernel_w)
      return Refuse("has weights of another shape than its parameters");
    const int64_t free_h = int64_t{x.dims[1]} + p.pad_top + p.pad_bottom - (int64_t{p.kernel_h} - 1) * p.dilation_h - 1;
    const int64_t free_w = int64_t{x.dims[2]} + p.pad_left + p.pad_right - (int64_t{p.kernel_w} - 1) * p.dilation_w - 1;
    if (free_h < 0 || free_w < 0) return Refuse("has a kernel larger than its padded input");
    const int64_t out_h = free_h / p.stride_h + 1, out_w = free_w / p.stride_w + 1;
    const PlanTensor *y = Output(0), *pooled = Output(1), *bias = Input(2), *residual = Input(3);
    if (y && !Is(*y, x.dims[0], static_cast<uint32_t>(out_h), static_cast<uint32_t>(out_w), features))
      return Refuse("has an output of a wrong shape");
    if (pooled && !Is(*pooled, x.dims[0], 1, 1, features)) return Refuse("has a pooled output of a wrong shape");
    if (bias && (bias->elements != features || !bias->is_constant))
      return Refuse("has a bias of a wrong shape, or one that is not constant");
    if (residual && !Is(*residual, x.dims[0], static_cast<uint32_t>(out_h), static_cast<uint32_t>(out_w), features))
      return Refuse("has a residual of a wrong shape");
    const bool fits = double(x.dims[0]) * out_h * out_w * features < 2147483648.0;
    return fits ? Status::Ok() : Refuse("has a result that is too large");
  }

  Status CheckChain() const {
    const auto& p = step_.As<ChainParams>();
    const ExpandWindow expansion = {p.expand_kernel_h,   p.expand_kernel_w,  p.expand_stride_h,   p.expand_stride_w,
                                    p.expand_pad_top,    p.expand_pad_left,  p.expand_pad_bottom, p.expand_pad_right,
                                    p.expand_dilation_h, p.expand_dilation_w};
    Status status = CheckWindow(p);
    if (status.ok()) status = CheckWindow(expansion);
    if (!status.ok()) return status;
    const PlanTensor &x = *Input(0), &y = *Output(0);
    const PlanTensor *w = Input(1), *bias = Input(2), *expand = Input(3), *project = Input(5), *residual = Input(7),
                     *pooled = Output(1);
    if (x.rank != 4 || y.rank != 4) return Refuse("has tensors of a wrong rank");
    const bool is_max = p.op == WindowOp::kMax;
    const uint32_t middle = expand ? expand->dims[0] : x.dims[3];
    if (is_max ? w || bias || p.activation != Elementwise::kNone : !w)
      return Refuse("has other weights than its window needs");
    if (w && (!w->is_constant || !Is(*w, middle, 1, p.kernel_h, p.kernel_w)))
      return Refuse("has weights of a wrong shape, or ones that are not constant");
    if (bias && (bias->elements != middle || !bias->is_constant))
      return Refuse("has a bias of a wrong shape, or one that is not constant");
    if (!HasBias(3, middle) || !HasBias(5, y.dims[3]))
      return Refuse("has a bias of a wrong shape, or one without weights");
    if (expand && (!expand->is_constant || !Is(*expand, middle, x.dims[3], p.expand_kernel_h, p.expand_kernel_w)))
      return Refuse("has an expansion of another shape than its tensors");
    if (project ? !project->is_constant || !Is(*project, y.dims[3], middle, 1, 1) || pooled : y.dims[3] != middle)
      return Refuse("has a projection of another shape than its tensors");
    const int64_t height = expand ? OutSize(x.dims[1], p.expand_pad_top, p.expand_pad_bottom, p.expand_kernel_h,
                                            p.expand_stride_h, p.expand_dilation_h)
                                  : x.dims[1];
    const int64_t width = expand ? OutSize(x.dims[2], p.expand_pad_left, p.expand_pad_right, p.expand_kernel_w,
                                           p.expand_stride_w, p.expand_dilation_w)
                                 : x.dims[2];
    if (height < 1 || width < 1 || double(x.dims[0]) * height * width * middle >= 2147483648.0)
      return Refuse("has an expansion that is empty or too large");
    // The height and width of a maximum's results are their own (ceil_mode): a window may hang over the end, but not begin there.
    const bool fits =
        is_max ? StartsInside(y.dims[1], p.stride_h, height + p.pad_top) &&
                     StartsInside(y.dims[2], p.stride_w, width + p.pad_left)
               : y.dims[1] == OutSize(height, p.pad_top, p.pad_bottom, p.kernel_h, p.stride_h, p.dilation_h) &&
                     y.dims[2] == OutSize(width, p.pad_left, p.pad_right, p.kernel_w, p.stride_w, p.dilation_w);
    if (!fits || y.dims[0] != x.dims[0]) return Refuse("has a result of a wrong shape");
    if (pooled && !Is(*pooled, x.dims[0], 1, 1, middle)) return Refuse("has a pooled output of a wrong shape");
    return !residual || Is(*residual, y.dims[0], y.dims[1], y.dims[2], y.dims[3])
               ? Status::Ok()
               : Refuse("has a residual of a wrong shape");
  }

  struct ExpandWindow {
    uint32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w;
  };

  // 0 or less where the kernel is larger than the padded input.
  static int64_t OutSize(int64_t size, uint32_t before, uint32_t after, uint32_t kernel, uint32_t stride,
                         uint32_t dilation) {
    const int64_t free = size + before + after - (int64_t{kernel} - 1) * dilation - 1;
    return free < 0 ? 0 : free / stride + 1;
  }

  static bool StartsInside(uint32_t outputs, uint32_t stride, int64_t end) {
    return outputs >= 1 && (int64_t{outputs} - 1) * stride < end;
  }

  // The bias after the weights at `i` has `size` elements, and is not there without them.
  bool HasBias(uint32_t i, uint32_t size) const {
    const PlanTensor* bias = Input(i + 1);
    return !bias || (Input(i) && bias->is_constant && bias->elements == size);
  }

  Status CheckDense() const {
    const auto& p = step_.As<DenseParams>();
    const PlanTensor &x = *Input(0), &w = *Input(1), &y = *Output(0);
    if (w.rank != 2 || !w.is_constant || x.rank < 1) return Refuse("has weights that are not a constant matrix");
    const uint32_t depth = w.dims[p.transposed ? 1 : 0], columns = w.dims[p.transposed ? 0 : 1];
    if (x.elements % depth != 0 || uint64_t{x.elements / depth} * columns != y.elements)
      return Refuse("has tensors that do not multiply");
    if (x.dims[x.rank - 1] != depth && x.elements != depth)
      return Refuse("has rows of another length than its weights");
    const PlanTensor *bias = Input(2), *residual = Input(3);
    if (bias && (bias->elements != columns || !bias->is_constant))
      return Refuse("has a bias of a wrong shape, or one that is not constant");
    return !residual || residual->elements == y.elements ? Status::Ok() : Refuse("has a residual of a wrong shape");
  }

  Status CheckProduct() const {
    const auto& p = step_.As<ProductParams>();
    for (uint32_t size : {p.batches, p.rows, p.depth, p.columns})
      if (size < 1 || size >= 1u << 31) return Refuse("has a size of %u", size);
    const auto holds = [&p](const PlanTensor& t, uint32_t height, uint32_t width, bool may_be_shared) {
      const uint64_t matrix = uint64_t{height} * width;
      return (matrix < 1u << 31 && matrix * p.batches == t.elements) || (may_be_shared && matrix == t.elements);
    };
    const bool multiplies = holds(*Input(0), p.rows, p.depth, true) && holds(*Input(1), p.depth, p.columns, true) &&
                            holds(*Output(0), p.rows, p.columns, false);
    return multiplies ? Status::Ok() : Refuse("has tensors that do not multiply");
  }

  Status CheckPool() const {
    const auto& p = step_.As<Pool2dParams>();
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

  // Whether each of `count` windows has a position inside the input (else a maximum would be that of nothing).
  static bool WindowsHitInput(uint32_t count, uint32_t stride, uint32_t before, uint32_t kernel, uint32_t dilation,
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

  template <typename P>
  Status CheckSpan(const P& p, uint32_t out_length) const {
    const auto product = [](uint64_t a, uint64_t b, uint64_t c) {
      return a < (1u << 31) && b < (1u << 31) && a * b < (1u << 31) ? a * b * c : 0;
    };
    if (p.outer < 1 || p.length < 1 || p.inner < 1) return Refuse("has an empty span");
    if (product(p.outer, p.length, p.inner) != Input(0)->elements ||
        product(p.outer, out_length, p.inner) != Output(0)->elements) {
      return Refuse("has a span of other sizes than its tensors");
    }
    return Status::Ok();
  }

  Status CheckBinary() const {
    const PlanTensor& y = *Output(0);
    for (uint32_t operand = 0; operand < 2; ++operand) {
      const PlanTensor& t = *Input(operand);
      if (t.rank > y.rank) return Refuse("has an operand of more dimensions than its result");
      for (uint32_t i = 0; i < t.rank; ++i) {
        const uint32_t size = t.dims[t.rank - 1 - i], target = y.dims[y.rank - 1 - i];
        if (size != 1 && size != target) return Refuse("has an operand that does not broadcast to its result");
      }
    }
    return Status::Ok();
  }

  Status CheckLrn() const {
    const PlanTensor &x = *Input(0), &y = *Output(0);
    if (x.rank < 1 || x.elements != y.elements) return Refuse("has tensors of a wrong shape");
    return step_.As<LrnParams>().size >= 1 ? Status::Ok() : Refuse("has an empty neighbourhood");
  }

  // The least and the greatest element that the loops touch on one side.
  static bool StaysInside(const uint32_t* size, const int32_t* stride, uint32_t offset, uint32_t elements) {
    int64_t low = offset, high = offset;
    for (int i = 0; i < 5; ++i) {
      const int64_t reach = (int64_t{size[i]} - 1) * stride[i];
      (reach < 0 ? low : high) += reach;
      if (low < 0 || high >= elements) return false;
    }
    return true;
  }

  Status CheckCopy() const {
    const auto& p = step_.As<CopyParams>();
    uint64_t count = 1;
    for (uint32_t size : p.size) {
      if (size < 1 || size > (1u << 30) || (count *= size) > (1u << 31)) return Refuse("has loops of a wrong size");
    }
    for (int32_t stride : p.out_stride)
      if (stride < 0) return Refuse("writes backwards");
    if (!StaysInside(p.size, p.in_stride, p.in_offset, Input(0)->elements)) return Refuse("reads outside its input");
    if (!StaysInside(p.size, p.out_stride, p.out_offset, Output(0)->elements))
      return Refuse("writes outside its output");
    if (count > Output(0)->elements) return Refuse("writes elements of its output more than once");
    return p.fill || count == Output(0)->elements ? Status::Ok() : Refuse("leaves elements of its output unwritten");
  }

  Status CheckConcat() const {
    const uint32_t outer = step_.As<ConcatParams>().outer, groups = step_.As<ConcatParams>().groups;
    uint64_t elements = 0, written = 0;
    for (uint32_t i = 0; i < step_.inputs.size(); ++i) {
      if (outer < 1 || Input(i)->elements % outer != 0) return Refuse("has inputs that are not %u rows", outer);
      elements += Input(i)->elements;
    }
    for (uint32_t i = 0; i < step_.outputs.size(); ++i) {
      if (Output(i)->elements % outer != 0) return Refuse("has outputs that are not %u rows", outer);
      written += Output(i)->elements;
    }
    if (groups < 1 || elements / outer % groups != 0) return Refuse("cannot be dealt out in %u groups", groups);
    return elements == written ? Status::Ok() : Refuse("has outputs of another size than its inputs");
  }

  Status CheckResample() const {
    const auto& p = step_.As<ResampleParams>();
    const PlanTensor &x = *Input(0), &indices = *Input(1), &weights = *Input(2), &y = *Output(0);
    const uint64_t limit = uint64_t{1} << 31, outer_inner = uint64_t{p.outer} * p.inner;
    if (!p.outer || !p.inner || !p.taps || !p.in_length || !p.out_length || outer_inner >= limit)
      return Refuse("has an empty span");
    if (outer_inner * p.in_length != x.elements || outer_inner * p.out_length != y.elements)
      return Refuse("has a span of other sizes than its tensors");
    if (!indices.is_constant || !weights.is_constant || uint64_t{p.out_length} * p.taps != indices.elements ||
        indices.elements != weights.elements) {
      return Refuse("has tables of a wrong size");
    }
    for (uint32_t i = 0; i < indices.elements; ++i) {
      int32_t index;
      std::memcpy(&index, indices.constant + uint64_t{i} * 4, 4);
      if (index < 0 || static_cast<uint32_t>(index) >= p.in_length)
        return Refuse("has an index that picks element %d of %u", index, p.in_length);
    }
    return Status::Ok();
  }

  // Outputs share no byte with inputs, except where an element-wise step writes exactly over an operand of its sizes.
  Status CheckOverlap() const {
    const bool may_be_in_place = step_.kind == StepKind::kElementwise || step_.kind == StepKind::kBinary;
    for (uint32_t o = 0; o < step_.outputs.size(); ++o) {
      const PlanTensor* y = Output(o);
      if (!y) continue;
      for (uint32_t i = 0; i < step_.inputs.size(); ++i) {
        const PlanTensor* x = Input(i);
        if (!x || x->is_constant || !Overlap(*x, *y)) continue;
        if (!may_be_in_place || x->offset != y->offset || x->elements != y->elements)
          return Refuse("writes over its input %u", i);
      }
      for (uint32_t other = 0; other < o; ++other) {
        if (Output(other) && Overlap(*Output(other), *y)) return Refuse("writes two outputs to one place");
      }
    }
    return Status::Ok();
  }

  static bool Overlap(const PlanTensor& a, const PlanTensor& b) {
    return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  }

  const Plan& plan_;
  const PlanStep& step_;
};

}  // namespace

Status CheckSteps(const Plan& plan) {
  for (const PlanStep& step : plan.steps) {
    Status status = StepCheck(plan, step).Check();
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

}  // namespace gapcam
