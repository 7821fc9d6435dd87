// Dense layers: the rows of x times packed weights.
namespace gapcam {
namespace {

// A dense step. A unit is a chunk of rows times a chunk of columns.
class Dense final : public Op, public Placed {
 public:
  const float* x;
  const float* residual;
  float* y;
  GemmWeights weights;
  Activation act;
  uint32_t rows, row_chunk, row_chunks, chunk_columns, column_chunks;

  uint32_t Units(uint32_t) const override { return row_chunks * column_chunks; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_dense_gemm"); }
  uint64_t Flops() const override { return 2ull * rows * weights.columns * weights.depth; }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t m = unit / column_chunks * row_chunk, n = unit % column_chunks * chunk_columns;
      const uint32_t count = Least(row_chunk, rows - m);
      const float* from = x + static_cast<size_t>(m) * weights.depth;
      const size_t at = static_cast<size_t>(m) * weights.columns;
      const GemmOut out = {y + at, residual ? residual + at : nullptr, nullptr, weights.columns};
      Multiply(weights, {&from, 1, weights.depth, weights.depth, weights.depth}, 1, count, out, n,
               Least(n + chunk_columns, weights.columns), act);
    }
  }
};

static const Op* MakeDense(const StepRef& step, Allocator& memory, const char** reason) {
  const auto& p = *static_cast<const DenseParams*>(step.params);
  void* place = memory.Allocate(sizeof(Dense));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Dense();
  const TensorRef& w = *step.inputs[1];
  const uint32_t depth = w.dims[p.transposed ? 1 : 0], columns = w.dims[p.transposed ? 0 : 1];
  op->x = DataOf(step.inputs[0]);
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(step.outputs[0]);
  op->rows = step.inputs[0]->elements / depth;
  op->act = MakeActivation(p.activation, p.a, p.b);
  op->row_chunk = 8 * kTileRows;
  op->row_chunks = CeilDiv(op->rows, op->row_chunk);
  const uint32_t panels = CeilDiv(columns, kPanel);
  op->chunk_columns = CeilDiv(panels, Most(1, Least(panels, 16 / Least(16, op->row_chunks)))) * kPanel;
  op->column_chunks = CeilDiv(columns, op->chunk_columns);
  const float* bias = DataOf(InputAt(step, 2));
  const size_t k_stride = p.transposed ? 1 : columns, n_stride = p.transposed ? depth : 1;
  if (!MakeGemmWeights(DataOf(&w), k_stride, n_stride, depth, columns, bias, memory, &op->weights))
    return GAPCAM_NO_MEMORY;
  return op;
}

}  // namespace
}  // namespace gapcam
