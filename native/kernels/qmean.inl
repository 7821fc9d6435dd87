// Means of bytes: the whole sum of a channel as an integer, then one multiplication and one rounding.
namespace gapcam {
namespace {

constexpr uint32_t kMeanLanes = 16;  // channels that are summed at once
constexpr uint32_t kMeanChunk = 16 * kMeanLanes;
constexpr uint32_t kMeanRows = 128;  // rows whose sum fits 16 bits

typedef Byte MeanBytes __attribute__((vector_size(kMeanLanes), aligned(1), may_alias));
typedef int16_t MeanWords __attribute__((vector_size(2 * kMeanLanes)));
typedef Byte MeanBytesAligned __attribute__((vector_size(kMeanLanes)));

// How a sum of `length` bytes becomes a byte: clamp(rint((sum - shift) · scale) + zero).
struct MeanEnd {
  int32_t shift;
  float scale;
  int32_t zero, low, high;
};

// The end of the mean of `length` bytes of x, as a byte of y.
GAPCAM_INLINE MeanEnd MakeMeanEnd(const TensorRef& x, const TensorRef& y, uint32_t length, int32_t low, int32_t high) {
  const float scale = x.scale / (y.scale * static_cast<float>(length));
  return {x.zero_point * static_cast<int32_t>(length), scale, y.zero_point, low, high};
}

// Sums up to kMeanLanes channels over `length` rows, `stride` bytes apart.
GAPCAM_INLINE void SumChannels(const Byte* x, uint32_t length, size_t stride, uint32_t channels,
                               int32_t (&sums)[kMeanLanes]) {
  for (int32_t& sum : sums) sum = 0;
  if (channels < kMeanLanes) {
    for (uint32_t i = 0; i < length; ++i, x += stride)
      for (uint32_t c = 0; c < channels; ++c) sums[c] += x[c];
    return;
  }
  for (uint32_t done = 0; done < length; done += kMeanRows) {
    MeanWords words = {};
    for (uint32_t i = Least(kMeanRows, length - done); i > 0; --i, x += stride) {
      const MeanBytesAligned bytes = *reinterpret_cast<const MeanBytes*>(x);
      words += __builtin_convertvector(bytes, MeanWords);
    }
    for (uint32_t c = 0; c < kMeanLanes; ++c) sums[c] += words[c];
  }
}

// Turns kMeanLanes sums into bytes and stores the first `channels`.
GAPCAM_INLINE void StoreMeans(const MeanEnd& end, const int32_t (&sums)[kMeanLanes], uint32_t channels, Byte* y) {
  float wide[kMeanLanes];
  Byte bytes[kMeanLanes];
  for (uint32_t c = 0; c < kMeanLanes; ++c) wide[c] = static_cast<float>(sums[c] - end.shift);
  const V scale = Set(end.scale), zero = Set(static_cast<float>(end.zero));
  for (uint32_t c = 0; c < kMeanLanes; c += kLanes) {
    const V value = Within(Rounded(Load(wide + c) * scale), static_cast<float>(end.low - end.zero),
                           static_cast<float>(end.high - end.zero));
    StoreBytes(bytes + c, RoundEven(value) + zero);
  }
  PutBytes(y, bytes, Least(channels, kMeanLanes));
}

// Computes unit `unit` of the means of x [outer][length][inner] over its middle axis: kMeanChunk channels of one outer
// index.
static void MeanUnit(const MeanEnd& end, const Byte* x, uint32_t length, uint32_t inner, uint32_t unit, Byte* y) {
  const uint32_t chunks = CeilDiv(inner, kMeanChunk), outer = unit / chunks, first = unit % chunks * kMeanChunk;
  const Byte* from = x + static_cast<size_t>(outer) * length * inner;
  for (uint32_t c = first; c < Least(first + kMeanChunk, inner); c += kMeanLanes) {
    int32_t sums[kMeanLanes];
    SumChannels(from + c, length, inner, Least(kMeanLanes, inner - c), sums);
    StoreMeans(end, sums, inner - c, y + static_cast<size_t>(outer) * inner + c);
  }
}

// qreduce over an axis.
class QuantMean final : public Op, public Placed {
 public:
  const Byte* x;
  Byte* y;
  uint32_t outer, length, inner;
  MeanEnd end;

  uint32_t Units(uint32_t) const override { return outer * CeilDiv(inner, kMeanChunk); }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_mean"); }
  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) MeanUnit(end, x, length, inner, unit, y);
  }
};

static const Op* MakeQuantMean(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantMean));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantMean();
  const auto& p = *static_cast<const QreduceParams*>(step.params);
  op->x = BytesOf(step.inputs[0]), op->y = BytesOf(step.outputs[0]);
  op->outer = p.outer, op->length = p.length, op->inner = p.inner;
  op->end = MakeMeanEnd(*step.inputs[0], *step.outputs[0], p.length, p.low, p.high);
  return op;
}

}  // namespace
}  // namespace gapcam
