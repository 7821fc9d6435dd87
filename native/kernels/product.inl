// Products of two operands that are both computed at run time. The first phase packs z anew in every frame; the second
// multiplies as with constant weights.
namespace gapcam {
namespace {

// A product step.
class Product final : public Op, public Placed {
 public:
  ProductParams p;
  const float *x, *z;
  float* y;
  float* packed;  // PackedFloats(depth, columns) floats for each matrix of z
  const float* zeros;
  uint32_t matrices;  // matrices of z: batches, or 1 if all batches share one
  size_t x_step;      // floats from one batch of x to the next, 0 if all batches share one
  uint32_t panels, row_chunk, row_chunks, chunk_columns, column_chunks;
  Activation act;

  uint32_t Phases() const override { return 2; }
  uint32_t Units(uint32_t phase) const override {
    return phase == 0 ? matrices * panels : p.batches * row_chunks * column_chunks;
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_product_gemm"); }
  uint64_t Flops() const override { return 2ull * p.batches * p.rows * p.columns * p.depth; }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) phase == 0 ? Pack(unit) : MultiplyChunk(unit);
  }

 private:
  void Pack(uint32_t unit) const {
    const size_t matrix = unit / panels;
    const uint32_t n0 = unit % panels * kPanel;
    PackPanel(z + matrix * p.depth * p.columns, p.depth, p.columns, n0,
              packed + matrix * PackedFloats(p.depth, p.columns) + static_cast<size_t>(n0) * p.depth);
  }

  void MultiplyChunk(uint32_t unit) const {
    const size_t batch = unit / (row_chunks * column_chunks);
    const uint32_t m = unit / column_chunks % row_chunks * row_chunk, n = unit % column_chunks * chunk_columns;
    const float* from = x + batch * x_step + static_cast<size_t>(m) * p.depth;
    const GemmWeights weights = {packed + (matrices > 1 ? batch : 0) * PackedFloats(p.depth, p.columns), zeros,
                                 p.columns, p.depth};
    const GemmOut out = {y + (batch * p.rows + m) * p.columns, nullptr, nullptr, p.columns};
    Multiply(weights, {&from, 1, p.depth, p.depth, p.depth}, 1, Least(row_chunk, p.rows - m), out, n,
             Least(n + chunk_columns, p.columns), act);
  }
};

static const Op* MakeProduct(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Product));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Product();
  const auto& p = op->p = *static_cast<const ProductParams*>(step.params);
  op->x = DataOf(step.inputs[0]);
  op->z = DataOf(step.inputs[1]);
  op->y = DataOf(step.outputs[0]);
  op->act = MakeActivation(p.activation, p.a, p.b);
  op->matrices = step.inputs[1]->elements / (p.depth * p.columns);
  op->x_step = step.inputs[0]->elements == p.rows * p.depth ? 0 : static_cast<size_t>(p.rows) * p.depth;
  op->row_chunk = 8 * kTileRows;
  op->row_chunks = CeilDiv(p.rows, op->row_chunk);
  op->panels = CeilDiv(p.columns, kPanel);
  op->chunk_columns =
      CeilDiv(op->panels, Most(1, Least(op->panels, 16 / Least(16, p.batches * op->row_chunks)))) * kPanel;
  op->column_chunks = CeilDiv(p.columns, op->chunk_columns);
  op->packed = static_cast<float*>(memory.Allocate(op->matrices * PackedFloats(p.depth, p.columns) * sizeof(float)));
  op->zeros = static_cast<const float*>(memory.Allocate((p.columns + kPanel) * sizeof(float)));
  if (!op->packed || !op->zeros) return GAPCAM_NO_MEMORY;
  return op;
}

}  // namespace
}  // namespace gapcam
