// Softmax, p-norms and local response normalization: each output depends on its neighbours along one axis.
namespace gapcam {
namespace {

// The larger of two floats. A NaN propagates.
GAPCAM_INLINE float Larger(float a, float b) { return b > a || b != b ? b : a; }

// exp(x) for x <= 0 as a term of a sum of at least 1: 0 below -87, where the term would not change the sum.
GAPCAM_INLINE V Share(V x) { return Select(x < Set(-87.0f), Zero(), BoundedExp(x)); }

// Softmax, or its logarithm, of each line.
class SoftmaxOp final : public Op, public Placed {
 public:
  SoftmaxParams p;
  const float* x;
  float* y;
  uint32_t blocks;  // groups of kLanes adjacent lines; 1 if lines are contiguous

  uint32_t Units(uint32_t) const override { return p.outer * blocks; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_softmax"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t i = unit % blocks * kLanes;
      const size_t at = static_cast<size_t>(unit / blocks) * p.length * p.inner + i;
      p.inner == 1 ? RunRow(x + at, y + at) : RunColumns(x + at, y + at, static_cast<int>(Least(kLanes, p.inner - i)));
    }
  }

 private:
  // One contiguous line, a vector at a time. y holds the exponentials until their sum is known.
  void RunRow(const float* from, float* to) const {
    V most = Set(-__builtin_inff()), sum = Zero();
    const int rest = static_cast<int>(p.length % kLanes);
    const uint32_t whole = p.length - rest;
    for (uint32_t l = 0; l < whole; l += kLanes) most = Greater(most, Load(from + l));
    float largest = most[0];
    for (int i = 1; i < kLanes; ++i) largest = Larger(largest, most[i]);
    for (uint32_t l = whole; l < p.length; ++l) largest = Larger(largest, from[l]);
    const V shift = Set(largest);
    for (uint32_t l = 0; l < whole; l += kLanes) {
      const V e = Share(Load(from + l) - shift);
      sum += e;
      Store(to + l, p.logarithm ? Load(from + l) - shift : e);
    }
    if (rest > 0) {
      const V shifted = LoadN(from + whole, rest) - shift, e = Share(shifted);
      for (int i = 0; i < rest; ++i) sum[i] += e[i];
      StoreN(to + whole, p.logarithm ? shifted : e, rest);
    }
    const float total = Sum(sum);
    const V factor = Set(p.logarithm ? Log(Set(total))[0] : 1.0f / total);
    for (uint32_t l = 0; l < p.length; l += kLanes) {
      const int lanes = static_cast<int>(Least(kLanes, p.length - l));
      const V v = LoadN(to + l, lanes);
      StoreN(to + l, p.logarithm ? v - factor : v * factor, lanes);
    }
  }

  // `lanes` adjacent lines at once. y holds the exponentials until their sums are known.
  void RunColumns(const float* from, float* to, int lanes) const {
    const size_t stride = p.inner;
    V most = Set(-__builtin_inff()), sum = Zero();
    for (uint32_t l = 0; l < p.length; ++l) most = Greater(most, LoadN(from + l * stride, lanes));
    for (uint32_t l = 0; l < p.length; ++l) {
      const V shifted = LoadN(from + l * stride, lanes) - most, e = Share(shifted);
      sum += e;
      StoreN(to + l * stride, p.logarithm ? shifted : e, lanes);
    }
    const V factor = p.logarithm ? Log(sum) : Set(1.0f) / sum;
    for (uint32_t l = 0; l < p.length; ++l) {
      const V v = LoadN(to + l * stride, lanes);
      StoreN(to + l * stride, p.logarithm ? v - factor : v * factor, lanes);
    }
  }
};

static const Op* MakeSoftmax(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(SoftmaxOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) SoftmaxOp();
  op->p = *static_cast<const SoftmaxParams*>(step.params);
  op->blocks = CeilDiv(op->p.inner, kLanes);
  op->x = DataOf(step.inputs[0]);
  op->y = DataOf(step.outputs[0]);
  return op;
}

// x divided by its p-norm along each line.
class LpNormalizationOp final : public Op, public Placed {
 public:
  LpNormalizationParams p;
  const float* x;
  float* y;

  uint32_t Units(uint32_t) const override { return p.outer * p.inner; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_lp_normalization"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const size_t at = static_cast<size_t>(unit / p.inner) * p.length * p.inner + unit % p.inner;
      if (p.inner == 1)
        RunLine(x + at, y + at, 1);
      else
        RunLine(x + at, y + at, p.inner);
    }
  }

 private:
  // Eight sums in double precision, which a compiler keeps in vectors where the stride is 1.
  __attribute__((always_inline)) inline void RunLine(const float* from, float* to, size_t stride) const {
    constexpr uint32_t kSums = 8;
    double sums[kSums] = {};
    uint32_t l = 0;
    const auto add = [&](uint32_t at, uint32_t lane) {
      const double value = from[at * stride];
      sums[lane] += p.p == 1 ? __builtin_fabs(value) : value * value;
    };
    for (; l + kSums <= p.length; l += kSums)
      for (uint32_t lane = 0; lane < kSums; ++lane) add(l + lane, lane);
    for (uint32_t lane = 0; l < p.length; ++l, ++lane) add(l, lane);
    const double sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    const double norm = p.p == 1 ? sum : __builtin_sqrt(sum);
    const double factor = norm == 0 ? 0 : 1 / norm;
    for (l = 0; l < p.length; ++l) to[l * stride] = static_cast<float>(from[l * stride] * factor);
  }
};

static const Op* MakeLpNormalization(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(LpNormalizationOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) LpNormalizationOp();
  op->p = *static_cast<const LpNormalizationParams*>(step.params);
  op->x = DataOf(step.inputs[0]);
  op->y = DataOf(step.outputs[0]);
  return op;
}

// Local response normalization across channels.
class LrnOp final : public Op, public Placed {
 public:
  LrnParams p;
  const float* x;
  float* y;
  uint32_t pixels, channels;

  uint32_t Units(uint32_t) const override { return pixels; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_lrn"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t before = (p.size - 1) / 2, after = p.size - 1 - before;
    for (uint32_t pixel = first; pixel < last; ++pixel) {
      const float* from = x + static_cast<size_t>(pixel) * channels;
      for (uint32_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (uint32_t i = c > before ? c - before : 0; i < channels && i <= c + after; ++i)
          sum += static_cast<double>(from[i]) * from[i];
        const double base = p.bias + static_cast<double>(p.alpha) / p.size * sum;
        y[static_cast<size_t>(pixel) * channels + c] = static_cast<float>(from[c] / __builtin_pow(base, p.beta));
      }
    }
  }
};

static const Op* MakeLrn(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(LrnOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) LrnOp();
  const TensorRef& in = *step.inputs[0];
  op->p = *static_cast<const LrnParams*>(step.params);
  op->channels = in.dims[in.rank - 1];
  op->pixels = in.elements / op->channels;
  op->x = DataOf(&in);
  op->y = DataOf(step.outputs[0]);
  return op;
}

}  // namespace
}  // namespace gapcam
