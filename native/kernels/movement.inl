// Steps that move elements: strided copies, concatenation, and sparse linear maps along an axis. Element is float, or
// uint8_t for bytes of either type.
namespace gapcam {
namespace {

template <class Element>
GAPCAM_INLINE Element* ElementsOf(const TensorRef* tensor) {
  return static_cast<Element*>(tensor->data);
}

// Copies a strided block of five loops; the inner two are a plane.
template <class Element>
class CopyOp final : public Op, public Placed {
 public:
  CopyParams p;
  const Element* x;
  Element* y;
  uint32_t elements;  // of y
  Element fill;

  // The fill must end before any element is copied, so it is a phase of its own.
  uint32_t Phases() const override { return p.fill ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    return IsFill(phase) ? CeilDiv(elements, 65536) : p.size[0] * p.size[1] * p.size[2];
  }
  const char* Kernel() const override {
    return sizeof(Element) == 1 ? GAPCAM_KERNEL("q8_copy") : GAPCAM_KERNEL("f32_copy");
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void*) const override {
    if (IsFill(phase)) {
      const uint32_t end = Least(last * 65536, elements);
      for (uint32_t i = first * 65536; i < end; ++i) y[i] = fill;
      return;
    }
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t i2 = unit % p.size[2], i1 = unit / p.size[2] % p.size[1], i0 = unit / p.size[2] / p.size[1];
      const int64_t from =
          p.in_offset + int64_t{i0} * p.in_stride[0] + int64_t{i1} * p.in_stride[1] + int64_t{i2} * p.in_stride[2];
      const int64_t to =
          p.out_offset + int64_t{i0} * p.out_stride[0] + int64_t{i1} * p.out_stride[1] + int64_t{i2} * p.out_stride[2];
      CopyPlane(x + from, y + to);
    }
  }

 private:
  bool IsFill(uint32_t phase) const { return p.fill && phase == 0; }

  void CopyPlane(const Element* from, Element* to) const {
    const int64_t in3 = p.in_stride[3], out3 = p.out_stride[3], in4 = p.in_stride[4], out4 = p.out_stride[4];
    if (in4 == 1 && out4 == 1) {
      for (uint32_t i = 0; i < p.size[3]; ++i) std::memcpy(to + i * out3, from + i * in3, p.size[4] * sizeof(Element));
      return;
    }
    // Blocks of 16 × 16 elements, so that a transposition uses each cache line completely while it is in the cache.
    for (uint32_t i0 = 0; i0 < p.size[3]; i0 += 16) {
      for (uint32_t j0 = 0; j0 < p.size[4]; j0 += 16) {
        const uint32_t i1 = Least(i0 + 16, p.size[3]), j1 = Least(j0 + 16, p.size[4]);
        for (uint32_t i = i0; i < i1; ++i) {
          for (uint32_t j = j0; j < j1; ++j) to[i * out3 + j * out4] = from[i * in3 + j * in4];
        }
      }
    }
  }
};

template <class Element>
static const Op* MakeCopy(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(CopyOp<Element>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) CopyOp<Element>();
  op->p = *static_cast<const CopyParams*>(step.params);
  op->x = ElementsOf<Element>(step.inputs[0]);
  op->y = ElementsOf<Element>(step.outputs[0]);
  op->elements = step.outputs[0]->elements;
  if constexpr (sizeof(Element) == 1)
    op->fill = static_cast<Element>(static_cast<int32_t>(op->p.value));
  else
    op->fill = op->p.value;
  return op;
}

// Interleaves the lanes of two vectors, starting at lane kFirst of each.
template <int kFirst, int... kLane>
GAPCAM_INLINE V Alternate(V a, V b, std::integer_sequence<int, kLane...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (kFirst + kLane / 2 + kLane % 2 * kLanes)...);
#else
  return __builtin_shuffle(a, b, VI{(kFirst + kLane / 2 + kLane % 2 * kLanes)...});
#endif
}

// y[2i] = a[i], y[2i + 1] = b[i] for i < n. The last vector moves back over elements that are done already.
GAPCAM_INLINE void Interleave(const float* a, const float* b, uint32_t n, float* y) {
  typedef std::make_integer_sequence<int, kLanes> All;
  if (n < kLanes) {
    for (uint32_t i = 0; i < n; ++i) y[2 * i] = a[i], y[2 * i + 1] = b[i];
    return;
  }
  for (uint32_t i = 0; i < n; i += kLanes) {
    const uint32_t at = Least(i, n - kLanes);
    const V left = Load(a + at), right = Load(b + at);
    Store(y + 2 * at, Alternate<0>(left, right, All()));
    Store(y + 2 * at + kLanes, Alternate<kLanes / 2>(left, right, All()));
  }
}

GAPCAM_INLINE void Interleave(const uint8_t* a, const uint8_t* b, uint32_t n, uint8_t* y) {
  for (uint32_t i = 0; i < n; ++i) y[2 * i] = a[i], y[2 * i + 1] = b[i];
}

// Concatenation, with a channel shuffle and a split, as a list of moves for each row.
template <class Element>
class ConcatOp final : public Op, public Placed {
 public:
  // Adjacent elements of an output's row: `length` elements of one input's row, or `length` of each of two inputs' rows
  // interleaved.
  struct Move {
    const Element *from, *other;  // other: the input of every second element, or null
    Element* to;
    uint32_t from_row, other_row, to_row, length;
  };
  const Move* moves;
  uint32_t count, outer, rows_per_unit;

  uint32_t Units(uint32_t) const override { return CeilDiv(outer, rows_per_unit); }
  const char* Kernel() const override {
    return sizeof(Element) == 1 ? GAPCAM_KERNEL("q8_concat") : GAPCAM_KERNEL("f32_concat");
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * rows_per_unit, outer);
    // 16 rows at a time: they stay in the first-level cache while every move passes over them.
    for (uint32_t row = first * rows_per_unit; row < end; row += 16) {
      const uint32_t rows = Least(16, end - row);
      for (uint32_t i = 0; i < count; ++i) CopyRows(moves[i], row, rows);
    }
  }

 private:
  static void CopyRows(const Move& move, size_t row, uint32_t rows) {
    const Element *from = move.from + row * move.from_row, *other = move.other + row * move.other_row;
    Element* to = move.to + row * move.to_row;
    for (uint32_t r = 0; r < rows; ++r, from += move.from_row, other += move.other_row, to += move.to_row) {
      if (move.other)
        Interleave(from, other, move.length, to);
      else if (move.length == 1)
        *to = *from;
      else
        std::memcpy(to, from, move.length * sizeof(Element));
    }
  }
};

// One row of all outputs: finds where each element comes from and goes to, and joins elements into moves.
template <class Element>
class ConcatRow {
 public:
  using Move = typename ConcatOp<Element>::Move;

  ConcatRow(const StepRef& step, const ConcatParams& p) : step_(step), p_(p), length_(0) {
    for (uint32_t i = 0; i < step.input_count; ++i) length_ += InRow(i);
  }

  uint32_t length() const { return length_; }

  // The longest move that begins at element `at`. *end becomes the first element after it.
  Move MoveAt(uint32_t at, uint32_t* end) const {
    const Place to = OutOf(at), from = InOf(at);
    Move move = {ElementsOf<Element>(step_.inputs[from.tensor]) + from.offset,
                 nullptr,
                 ElementsOf<Element>(step_.outputs[to.tensor]) + to.offset,
                 InRow(from.tensor),
                 0,
                 OutRow(to.tensor),
                 1};
    const uint32_t room = OutRow(to.tensor) - to.offset;
    while (move.length < room && Follows(at, move.length, move.length)) ++move.length;
    *end = at + move.length;
    if (move.length > 1 || room < 4) return move;
    const Place other = InOf(at + 1);
    uint32_t pairs = 1;
    while (2 * pairs + 1 < room && Follows(at, 2 * pairs, pairs) && Follows(at + 1, 2 * pairs, pairs)) ++pairs;
    if (pairs == 1) return move;
    move.other = ElementsOf<Element>(step_.inputs[other.tensor]) + other.offset;
    move.other_row = InRow(other.tensor);
    move.length = pairs;
    *end = at + 2 * pairs;
    return move;
  }

 private:
  struct Place {
    uint32_t tensor, offset;
  };

  uint32_t InRow(uint32_t i) const { return step_.inputs[i]->elements / p_.outer; }
  uint32_t OutRow(uint32_t i) const { return step_.outputs[i]->elements / p_.outer; }

  Place InOf(uint32_t at) const {
    Place place = {0, at % p_.groups * (length_ / p_.groups) + at / p_.groups};
    while (place.offset >= InRow(place.tensor)) place.offset -= InRow(place.tensor++);
    return place;
  }

  Place OutOf(uint32_t at) const {
    Place place = {0, at};
    while (place.offset >= OutRow(place.tensor)) place.offset -= OutRow(place.tensor++);
    return place;
  }

  // Whether the element at + ahead comes from the same input as the element `at`, `by` elements further on.
  bool Follows(uint32_t at, uint32_t ahead, uint32_t by) const {
    const Place first = InOf(at), next = InOf(at + ahead);
    return next.tensor == first.tensor && next.offset == first.offset + by;
  }

  const StepRef& step_;
  const ConcatParams& p_;
  uint32_t length_;
};

template <class Element>
static const Op* MakeConcat(const StepRef& step, Allocator& memory, const char** reason) {
  const auto& p = *static_cast<const ConcatParams*>(step.params);
  const ConcatRow<Element> row(step, p);
  uint32_t count = 0;
  for (uint32_t at = 0; at < row.length(); ++count) row.MoveAt(at, &at);
  void* place = memory.Allocate(sizeof(ConcatOp<Element>));
  using Move = typename ConcatOp<Element>::Move;
  auto* moves = static_cast<Move*>(memory.Allocate(count * sizeof(Move)));
  if (!place || !moves) return GAPCAM_NO_MEMORY;
  Move* move = moves;
  for (uint32_t at = 0; at < row.length();) *move++ = row.MoveAt(at, &at);
  auto* op = new (place) ConcatOp<Element>();
  op->moves = moves;
  op->count = count;
  op->outer = p.outer;
  op->rows_per_unit = Most(1, kElementsPerUnit / row.length());
  return op;
}

// A sparse linear map along one axis. Bytes have one tap of weight 1.
template <class Element>
class ResampleOp final : public Op, public Placed {
 public:
  ResampleParams p;
  const Element* x;
  const float* weights;
  const int32_t* indices;
  Element* y;

  uint32_t Units(uint32_t) const override { return p.outer * p.out_length; }
  const char* Kernel() const override {
    return sizeof(Element) == 1 ? GAPCAM_KERNEL("q8_resample") : GAPCAM_KERNEL("f32_resample");
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t j = unit % p.out_length;
      const Element* from = x + static_cast<size_t>(unit / p.out_length) * p.in_length * p.inner;
      Element* to = y + static_cast<size_t>(unit) * p.inner;
      if (p.taps == 1 && weights[j] == 1.0f) {
        std::memcpy(to, from + static_cast<size_t>(indices[j]) * p.inner, p.inner * sizeof(Element));
      } else if constexpr (sizeof(Element) > 1) {
        Mix(from, indices + static_cast<size_t>(j) * p.taps, weights + static_cast<size_t>(j) * p.taps, to);
      }
    }
  }

 private:
  void Mix(const float* from, const int32_t* index, const float* weight, float* to) const {
    uint32_t i = 0;
    // Four sums at a time: none waits for another, and a row is read in longer pieces.
    for (; i + 4 * kLanes <= p.inner; i += 4 * kLanes) {
      V a = Zero(), b = Zero(), c = Zero(), d = Zero();
      for (uint32_t t = 0; t < p.taps; ++t) {
        const float* row = from + static_cast<size_t>(index[t]) * p.inner + i;
        const V factor = Set(weight[t]);
        a += factor * Load(row);
        b += factor * Load(row + kLanes);
        c += factor * Load(row + 2 * kLanes);
        d += factor * Load(row + 3 * kLanes);
      }
      Store(to + i, a);
      Store(to + i + kLanes, b);
      Store(to + i + 2 * kLanes, c);
      Store(to + i + 3 * kLanes, d);
    }
    for (; i < p.inner; i += kLanes) {
      const int lanes = static_cast<int>(Least(kLanes, p.inner - i));
      V sum = Zero();
      for (uint32_t t = 0; t < p.taps; ++t)
        sum += Set(weight[t]) * LoadN(from + static_cast<size_t>(index[t]) * p.inner + i, lanes);
      StoreN(to + i, sum, lanes);
    }
  }
};

template <class Element>
static const Op* MakeResample(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ResampleOp<Element>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ResampleOp<Element>();
  op->p = *static_cast<const ResampleParams*>(step.params);
  op->x = ElementsOf<Element>(step.inputs[0]);
  op->indices = static_cast<const int32_t*>(step.inputs[1]->data);
  op->weights = DataOf(step.inputs[2]);
  op->y = ElementsOf<Element>(step.outputs[0]);
  return op;
}

}  // namespace
}  // namespace gapcam
