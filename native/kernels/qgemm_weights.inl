// The right operand of integer products: weights packed in panels, with what the end of a sum needs. Along k, a run
// (qgemm.inl) is cut into groups of kGroup elements; zero weights, which may meet any byte, fill up its last group.
//
//   packed:  panel 0                                      panel 1 …
//            group 0: vector 0, vector 1 …                a lane holds the kGroup weights of one column (ColumnOf)
//            group 1: …
//
// Weights count from their zero point. Those of old uint8 files may then need nine bits. What does not fit a byte is
// packed as an extra group of the panel, which multiplies the same activations again.
namespace gapcam {
namespace {

constexpr int kGroup = ProductFormat::kGroup, kOperandBytes = ProductFormat::kBytes;
constexpr uint32_t kSumPanel = kPanelVectors * kSumLanes;  // columns of a whole panel

constexpr size_t kPanelGroupBytes = size_t{kSumPanel} * kGroup * kOperandBytes;  // one group of a whole panel

// The column of a panel in one lane of one of its vectors; see the top of the vector layer.
constexpr uint32_t ColumnOf(uint32_t vectors, uint32_t vector, uint32_t lane) {
  return lane / 4 * 4 * vectors + 4 * vector + lane % 4;
}

struct ExtraGroup {
  uint32_t tap, offset;  // the activations: the run, and bytes from its beginning
};

// Packed weights of a product, in session memory.
struct QuantWeights {
  const char* packed;
  const int32_t* bias;  // without the activations' zero point; in the order of lanes, like scales
  const float* scales;
  uint32_t columns, depth;       // groups of all runs together
  const uint8_t* is_small;       // of each panel: its sums stay within kSmallSum, and their results within kSmallResult
  const uint32_t* extra_starts;  // of each panel and one more: its first extra group; null without any
  const ExtraGroup* extras;
  const char* extra_packed;  // one group of a whole panel for each
};

// Weights as the plan has them. Element k of run t is channel k % channels of kernel position t · across + k / channels.
struct WeightSource {
  const TensorRef* tensor;
  const int32_t* bias;  // or null
  const float* scales;
  size_t first;  // the element (0, 0), and the strides from it
  size_t channel_stride, position_stride, column_stride;
  uint32_t columns, taps, run, channels;

  GAPCAM_MEMBER int32_t At(uint32_t tap, uint32_t k, uint32_t n) const {
    if (k >= run || n >= columns) return 0;
    const size_t position = static_cast<size_t>(tap) * (run / channels) + k / channels;
    const size_t i = first + k % channels * channel_stride + position * position_stride + n * column_stride;
    return (tensor->type == PlanType::kUint8 ? static_cast<const uint8_t*>(tensor->data)[i]
                                             : static_cast<const int8_t*>(tensor->data)[i]) -
           tensor->zero_point;
  }
  uint32_t Groups() const { return CeilDiv(run, kGroup); }
};

// Vectors of the panel that begins at column n0: 1, 2 or 4.
GAPCAM_INLINE uint32_t PanelVectors(uint32_t columns, uint32_t n0) {
  const uint32_t vectors = Least(kPanelVectors, CeilDiv(columns - n0, kSumLanes));
  return vectors == 3 ? 4 : vectors;
}

// A weight as the sum of parts that the multiplier takes.
template <class Format>
GAPCAM_INLINE int32_t WeightPart(int32_t w, uint32_t part) {
  for (;; --part) {
    const int32_t fitting = w < Format::kLeast ? Format::kLeast : w > Format::kMost ? Format::kMost : w;
    if (part == 0) return fitting;
    w -= fitting;
  }
}

// The bytes from the beginning of a vector of weights to element i of one lane.
constexpr size_t WeightPlace(uint32_t lane, uint32_t i) {
  constexpr uint32_t kTogether = ProductFormat::kTogether;
  return (i / kTogether * kSumLanes * kTogether + lane * kTogether + i % kTogether) * kOperandBytes;
}

// Writes one weight as the multiplier reads it.
template <class Format>
GAPCAM_INLINE char* PutWeight(char* to, int32_t w) {
  const int16_t word = static_cast<int16_t>(w);
  std::memcpy(to, &word, Format::kBytes);  // little endian: the lower byte comes first
  return to + Format::kBytes;
}

// Packs one part of the weights of one group of a panel. Returns whether one of them is not 0.
static bool PackGroup(const WeightSource& from, uint32_t n0, uint32_t vectors, uint32_t tap, uint32_t group,
                      uint32_t part, char* to) {
  int32_t any = 0;
  for (uint32_t v = 0; v < vectors; ++v, to += kSumLanes * kGroup * kOperandBytes) {
    for (uint32_t lane = 0; lane < kSumLanes; ++lane) {
      for (uint32_t i = 0; i < kGroup; ++i) {
        const int32_t w =
            WeightPart<ProductFormat>(from.At(tap, group * kGroup + i, n0 + ColumnOf(vectors, v, lane)), part);
        any |= w;
        PutWeight<ProductFormat>(to + WeightPlace(lane, i), w);
      }
    }
  }
  return any != 0;
}

// Packs what the end of the sums of so many vectors needs. Their columns begin at n0 and begin again after `width` of them.
// Returns whether the sums are small.
static bool PackEnds(const WeightSource& from, uint32_t n0, uint32_t width, uint32_t vectors, int32_t x_zero,
                     int32_t* bias, float* scales) {
  constexpr int32_t kLowest = kByteType == PlanType::kUint8 ? 0 : -128;
  bool is_small = true;
  for (uint32_t i = 0; i < vectors * kSumLanes; ++i) {
    const uint32_t n = n0 + ColumnOf(vectors, i / kSumLanes, i % kSumLanes) % width;
    bias[i] = 0, scales[i] = 0;
    if (n >= from.columns) continue;
    int64_t sum = 0, low = from.bias ? from.bias[n] : 0, high = low, start = low;
    for (uint32_t tap = 0; tap < from.taps; ++tap) {
      for (uint32_t k = 0; k < from.run; ++k) {
        const int32_t w = from.At(tap, k, n);
        const int64_t first = int64_t{w} * (kLowest - x_zero), second = int64_t{w} * (kLowest + 255 - x_zero);
        sum += w, low += first < second ? first : second, high += first < second ? second : first;
      }
    }
    // Sums wrap around, so the start may do so too.
    bias[i] = static_cast<int32_t>(static_cast<uint32_t>(start - sum * x_zero));
    scales[i] = from.scales[n];
    const int64_t most = high > -low ? high : -low;
    is_small = is_small && most < kSmallSum && static_cast<float>(most) * from.scales[n] < kSmallResult;
  }
  return is_small;
}

// Collects the extra groups of all panels. Returns false when memory is short.
static bool PackExtras(const WeightSource& from, Allocator& memory, QuantWeights* result) {
  if (ProductFormat::kParts == 1 || (from.tensor->type == PlanType::kInt8 && ProductFormat::kLeast <= -128))
    return true;  // all fit
  const uint32_t panels = CeilDiv(from.columns, kSumPanel), groups = from.Groups();
  char trial[kPanelGroupBytes];
  const auto each = [&](auto found) {
    for (uint32_t panel = 0; panel < panels; ++panel)
      for (uint32_t i = 0; i < from.taps * groups * (ProductFormat::kParts - 1); ++i)
        if (PackGroup(from, panel * kSumPanel, PanelVectors(from.columns, panel * kSumPanel), i / groups % from.taps,
                      i % groups, 1 + i / (from.taps * groups), trial))
          found(panel, ExtraGroup{i / groups % from.taps, i % groups * kGroup * kOperandBytes});
  };
  uint32_t count = 0;
  each([&](uint32_t, ExtraGroup) { ++count; });
  if (count == 0) return true;
  auto* starts = static_cast<uint32_t*>(memory.Allocate((panels + 1) * sizeof(uint32_t)));
  auto* extras = static_cast<ExtraGroup*>(memory.Allocate(count * sizeof(ExtraGroup)));
  auto* packed = static_cast<char*>(memory.Allocate(count * kPanelGroupBytes));
  if (!starts || !extras || !packed) return false;
  result->extra_starts = starts, result->extras = extras, result->extra_packed = packed;
  each([&](uint32_t panel, ExtraGroup group) {
    std::memcpy(packed, trial, kPanelGroupBytes);
    packed += kPanelGroupBytes;
    *extras++ = group;
    ++starts[panel + 1];
  });
  for (uint32_t panel = 0; panel < panels; ++panel) starts[panel + 1] += starts[panel];
  return true;
}

// Packs weights into session memory. `x_zero` is the activations' zero point. Returns false when memory is short.
static bool MakeQuantWeights(const WeightSource& from, int32_t x_zero, Allocator& memory, QuantWeights* result) {
  const uint32_t panels = CeilDiv(from.columns, kSumPanel), groups = from.Groups(), depth = from.taps * groups;
  const size_t lanes = size_t{panels} * kSumPanel;
  auto* packed = static_cast<char*>(memory.Allocate(lanes * depth * kGroup * kOperandBytes));
  auto* bias = static_cast<int32_t*>(memory.Allocate(lanes * sizeof(int32_t)));
  auto* scales = static_cast<float*>(memory.Allocate(lanes * sizeof(float)));
  auto* is_small = static_cast<uint8_t*>(memory.Allocate(panels));
  if (!packed || !bias || !scales || !is_small) return false;
  *result = {packed, bias, scales, from.columns, depth, is_small, nullptr, nullptr, nullptr};
  for (uint32_t panel = 0; panel < panels; ++panel) {
    const uint32_t n0 = panel * kSumPanel, vectors = PanelVectors(from.columns, n0);
    is_small[panel] = PackEnds(from, n0, vectors * kSumLanes, vectors, x_zero, bias + n0, scales + n0);
    for (uint32_t i = 0; i < depth; ++i, packed += vectors * kSumLanes * kGroup * kOperandBytes)
      PackGroup(from, n0, vectors, i / groups, i % groups, 0, packed);
    for (uint32_t i = 0; is_small[panel] && i < vectors * kSumLanes; ++i) bias[n0 + i] += kSmallStart;
  }
  return PackExtras(from, memory, result);
}

}  // namespace
}  // namespace gapcam
