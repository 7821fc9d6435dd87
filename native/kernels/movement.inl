// Steps that move elements: strided copies, concatenation, and sparse linear maps along an axis.
namespace gapcam {
namespace {

class CopyOp final : public Op, public Placed {
 public:
  CopyParams p;
  const float* x;
  float* y;
  uint32_t elements;  // of y

  // Filling must be done before any row is copied, so it is a phase of its own.
  uint32_t Phases() const override { return p.fill ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override { return IsFill(phase) ? CeilDiv(elements, 65536) : p.size[0] * p.size[1] * p.size[2]; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_copy"); }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void*) const override {
    if (IsFill(phase)) {
      const uint32_t end = Least(last * 65536, elements);
      for (uint32_t i = first * 65536; i < end; ++i) y[i] = p.value;
      return;
    }
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t i2 = unit % p.size[2], i1 = unit / p.size[2] % p.size[1], i0 = unit / p.size[2] / p.size[1];
      const int64_t from = p.in_offset + int64_t{i0} * p.in_stride[0] + int64_t{i1} * p.in_stride[1] + int64_t{i2} * p.in_stride[2];
      const int64_t to = p.out_offset + int64_t{i0} * p.out_stride[0] + int64_t{i1} * p.out_stride[1] + int64_t{i2} * p.out_stride[2];
      CopyPlane(x + from, y + to);
    }
  }

 private:
  bool IsFill(uint32_t phase) const { return p.fill && phase == 0; }

  void CopyPlane(const float* from, float* to) const {
    const int64_t in3 = p.in_stride[3], out3 = p.out_stride[3], in4 = p.in_stride[4], out4 = p.out_stride[4];
    if (in4 == 1 && out4 == 1) {
      for (uint32_t i = 0; i < p.size[3]; ++i) std::memcpy(to + i * out3, from + i * in3, p.size[4] * sizeof(float));
      return;
    }
    // Blocks of 16 × 16, so that a transposition keeps its cache lines until they are used up.
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

static const Op* MakeCopy(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(CopyOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) CopyOp();
  op->p = *static_cast<const CopyParams*>(step.params);
  op->x = DataOf(step.inputs[0]);
  op->y = DataOf(step.outputs[0]);
  op->elements = step.outputs[0]->elements;
  return op;
}

class ConcatOp final : public Op, public Placed {
 public:
  struct Part {
    const float* x;
    uint32_t run;
  };
  const Part* parts;
  uint32_t count, outer, row, rows_per_unit;
  float* y;

  uint32_t Units(uint32_t) const override { return CeilDiv(outer, rows_per_unit); }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_concat"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * rows_per_unit, outer);
    float* to = y + static_cast<size_t>(first) * rows_per_unit * row;
    for (uint32_t o = first * rows_per_unit; o < end; ++o) {
      for (uint32_t i = 0; i < count; to += parts[i].run, ++i) {
        std::memcpy(to, parts[i].x + static_cast<size_t>(o) * parts[i].run, parts[i].run * sizeof(float));
      }
    }
  }
};

static const Op* MakeConcat(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ConcatOp));
  auto* parts = static_cast<ConcatOp::Part*>(memory.Allocate(step.input_count * sizeof(ConcatOp::Part)));
  if (!place || !parts) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ConcatOp();
  op->outer = static_cast<const ConcatParams*>(step.params)->outer;
  for (uint32_t i = 0; i < step.input_count; ++i) parts[i] = {DataOf(step.inputs[i]), step.inputs[i]->elements / op->outer};
  op->parts = parts;
  op->count = step.input_count;
  op->y = DataOf(step.outputs[0]);
  op->row = step.outputs[0]->elements / op->outer;
  op->rows_per_unit = Most(1, kElementsPerUnit / op->row);
  return op;
}

class ResampleOp final : public Op, public Placed {
 public:
  ResampleParams p;
  const float *x, *weights;
  const int32_t* indices;
  float* y;

  uint32_t Units(uint32_t) const override { return p.outer * p.out_length; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_resample"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t j = unit % p.out_length;
      const float* from = x + static_cast<size_t>(unit / p.out_length) * p.in_length * p.inner;
      float* to = y + static_cast<size_t>(unit) * p.inner;
      if (p.taps == 1 && weights[j] == 1.0f) {
        std::memcpy(to, from + static_cast<size_t>(indices[j]) * p.inner, p.inner * sizeof(float));
      } else {
        Mix(from, indices + static_cast<size_t>(j) * p.taps, weights + static_cast<size_t>(j) * p.taps, to);
      }
    }
  }

 private:
  void Mix(const float* from, const int32_t* index, const float* weight, float* to) const {
    for (uint32_t i = 0; i < p.inner; i += kLanes) {
      const int lanes = static_cast<int>(Least(kLanes, p.inner - i));
      V sum = Zero();
      for (uint32_t t = 0; t < p.taps; ++t) sum += Set(weight[t]) * LoadN(from + static_cast<size_t>(index[t]) * p.inner + i, lanes);
      StoreN(to + i, sum, lanes);
    }
  }
};

static const Op* MakeResample(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ResampleOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ResampleOp();
  op->p = *static_cast<const ResampleParams*>(step.params);
  op->x = DataOf(step.inputs[0]);
  op->indices = static_cast<const int32_t*>(step.inputs[1]->data);
  op->weights = DataOf(step.inputs[2]);
  op->y = DataOf(step.outputs[0]);
  return op;
}

}  // namespace
}  // namespace gapcam
