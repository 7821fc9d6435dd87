// qdense: the rows of x times packed weights, as an integer product (qgemm.inl).
namespace gapcam {
namespace {

// A unit is a chunk of rows times a chunk of columns.
class QuantDense final : public Op, public Placed {
 public:
  QuantConvRows left;  // x as a picture of one row of pixels
  const Byte* x;
  const Byte* residual;
  Byte* y;
  QuantWeights weights;
  QuantEnd end;
  uint32_t rows, row_chunk, row_chunks, chunk_columns, column_chunks;

  uint32_t Units(uint32_t) const override { return row_chunks * column_chunks; }
  size_t ScratchBytes() const override { return left.ScratchBytes(row_chunk); }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_dense_gemm"); }
  uint64_t Flops() const override { return 2ull * rows * weights.columns * left.run; }

  void Run(uint32_t, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t m = unit / column_chunks * row_chunk, n = unit % column_chunks * chunk_columns;
      const uint32_t count = Least(row_chunk, rows - m);
      const size_t at = static_cast<size_t>(m) * weights.columns;
      QuantMultiply(weights, left.Find(x, m, count, static_cast<char*>(scratch)), 1, count,
                    {y + at, residual ? residual + at : nullptr, weights.columns}, n,
                    Least(n + chunk_columns, weights.columns), end);
    }
  }
};

static const Op* MakeQuantDense(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantDense));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantDense();
  const auto& p = *static_cast<const QdenseParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &w = *step.inputs[1], *bias = InputAt(step, 2), *residual = InputAt(step, 4);
  const uint32_t depth = w.dims[p.transposed ? 1 : 0], columns = w.dims[p.transposed ? 0 : 1];
  op->rows = x.elements / depth;
  Conv2dParams point = {};
  point.kernel_h = point.kernel_w = point.stride_h = point.stride_w = 1;
  point.dilation_h = point.dilation_w = point.groups = 1;
  op->left.SetUp(point, {1, 1, op->rows, depth, 1, op->rows, columns}, x.zero_point);
  op->x = BytesOf(&x), op->y = BytesOf(step.outputs[0]), op->residual = BytesOf(residual);
  op->end = EndOf(p, residual, *step.outputs[0]);
  op->row_chunk = Least(8 * kSumRows, op->rows);
  op->row_chunks = CeilDiv(op->rows, op->row_chunk);
  const uint32_t panels = CeilDiv(columns, kSumPanel);
  op->chunk_columns = CeilDiv(panels, Most(1, Least(panels, 16 / Least(16, op->row_chunks)))) * kSumPanel;
  op->column_chunks = CeilDiv(columns, op->chunk_columns);
  WeightSource source = {};
  source.tensor = &w;
  source.bias = bias ? static_cast<const int32_t*>(bias->data) : nullptr;
  source.scales = static_cast<const float*>(step.inputs[3]->data);
  source.channel_stride = p.transposed ? 1 : columns, source.column_stride = p.transposed ? depth : 1;
  source.columns = columns, source.taps = 1, source.run = depth, source.channels = depth;
  return MakeQuantWeights(source, x.zero_point, memory, &op->weights) ? op : GAPCAM_NO_MEMORY;
}

}  // namespace
}  // namespace gapcam
