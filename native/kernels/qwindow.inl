// Depthwise windows over bytes. kTapGroup rows of the padded input are interleaved, so that one dot adds kTapGroup taps of a
// kernel column to the sum of one result, and neighbouring rows of results read the same operands:
//
//   group p:  rows 2p, 2p + 1, … of one block of kWindowBlock channels
//             [pixel][vector of 4]   a lane holds the kTapGroup operands of one channel of one pixel
//
// A row of results that begins at padded row 2p has weights (w0, w1, …) in group p. One that begins at row 2p + 1 has
// (0, w0, w1, …): its phase is 1. Both continue in the groups that begin where the one before ends. Where a dot is one
// product, group p is row p, and there is one phase.
//
// The last block may have at most half of kWindowBlock channels. Then its vectors hold two or more pieces of a row side by
// side, so that no lane is idle:
//
//   row of 112 pixels of 32 channels, two pieces:   lanes of channels 0 to 31    pixels 0, 1, … 55
//                                                   lanes of channels 32 to 63   pixels 56, 57, … 111
namespace gapcam {
namespace {

constexpr int kTapGroup = WindowFormat::kGroup;           // rows in a group
constexpr uint32_t kWindowBlock = 4 * kSumLanes;          // channels
constexpr uint32_t kQuadBytes = 4 * kSumBytes;            // of four pixels of results
constexpr uint32_t kPixelBytes = 4 * kOperandsBytes;      // of a pixel in a group
constexpr uint32_t kGroupStart = kTapGroup > 1 ? 2 : 1;   // rows from the beginning of one group to that of the next
constexpr uint32_t kGroupStep = kTapGroup / kGroupStart;  // groups from one group of a row of results to the next

struct QuantWindow;

// Computes one or two rows of results of one block: quads of four pixels as StoreQuad and MergeQuads have them,
// [row][quad][vector][kSumBytes]. groups[j] are the groups of a row, `phase` that of the first row.
typedef void (*QuantWindowRow)(const QuantWindow& window, const char* const* groups, uint32_t block, uint32_t phase,
                               const ByteEnd& end, Byte* quads);

// A window and its packed weights, [block][part][vector][phase][group][kernel column]. A block has more than one part
// where weights do not fit the multiplier.
struct QuantWindow {
  uint32_t kernel_h, kernel_w, stride_w, dilation_w, out_width;
  uint32_t phases, groups;  // phases is 1 if all rows of results begin at even rows
  uint32_t blocks, pieces;  // pieces of a row in the last block; each other block has whole rows
  const char* weights;
  const uint8_t* parts;     // of each block
  const uint8_t* is_small;  // of each block; see QuantWeights
  const int32_t* bias;      // [block][vector][lane], like scales
  const float* scales;
  QuantWindowRow row, pair;  // pair may be null

  GAPCAM_MEMBER size_t VectorBytes() const { return static_cast<size_t>(phases) * groups * kernel_w * kOperandsBytes; }
  GAPCAM_MEMBER size_t PartBytes() const { return 4 * VectorBytes(); }
  GAPCAM_MEMBER uint32_t PiecesOf(uint32_t block) const { return block + 1 == blocks ? pieces : 1; }
  // Results of a piece. The last piece may have fewer.
  GAPCAM_MEMBER uint32_t ResultsOf(uint32_t block) const { return CeilDiv(out_width, PiecesOf(block)); }
  GAPCAM_MEMBER uint32_t QuadsOf(uint32_t block) const { return CeilDiv(ResultsOf(block), 4); }
  GAPCAM_MEMBER uint32_t MostQuads() const { return CeilDiv(out_width, 4); }
  // Pixels that the window reads for so many quads.
  GAPCAM_MEMBER uint32_t Across(uint32_t quads) const {
    return (quads * 4 - 1) * stride_w + (kernel_w - 1) * dilation_w + 1;
  }
};

// Into how many pieces a row of the last block is cut, which has so many channels: as many as fill its vectors, unless they
// would be too short to save a quad.
GAPCAM_INLINE uint32_t PiecesFor(uint32_t columns, uint32_t out_width) {
  uint32_t pieces = 1;
  while (2 * pieces <= kMostPieces && columns * 2 * pieces <= kWindowBlock &&
         CeilDiv(CeilDiv(out_width, 2 * pieces), 4) < CeilDiv(CeilDiv(out_width, pieces), 4))
    pieces *= 2;
  return pieces;
}

template <int kSize, int kStride>
struct WindowSizes {
  static constexpr int kPhases = kStride % kGroupStart ? 2 : 1;
  static constexpr int kGroups = (kSize + kPhases - 1 + kTapGroup - 1) / kTapGroup;
  static constexpr int kAcross = 3 * kStride + kSize;  // pixels under four results
  static constexpr int kPhaseBytes = kGroups * kSize * kOperandsBytes;
};

#if !defined(GAPCAM_TARGET_NEON)
// What qsimd_neon.inl has in assembly.
constexpr int kHeldWeights = 0;  // dots read weights from memory
GAPCAM_INLINE void Hold(Operands&) {}
GAPCAM_INLINE void StartQuad(I (&sums)[4], const I (&twice)[2]) {
  Unrolled<4>(GAPCAM_BODY(i) { sums[GAPCAM_AT(i)] = twice[0]; });
}
template <uint32_t kPieces>
GAPCAM_INLINE void InterleavePieces(const Byte* const (&rows)[kTapGroup], const size_t (&steps)[kTapGroup],
                                    const size_t (&apart)[kTapGroup], uint32_t pixels, char* to) {
  for (size_t pixel = 0; pixel < pixels; ++pixel, to += kPixelBytes) {
    Raw loaded[kTapGroup];
    Unrolled<kTapGroup>(GAPCAM_BODY(i) {
      loaded[GAPCAM_AT(i)] = LoadPieces<kPieces>(rows[GAPCAM_AT(i)] + pixel * steps[GAPCAM_AT(i)], apart[GAPCAM_AT(i)]);
    });
    Interleave(loaded, to);
  }
}
GAPCAM_INLINE void InterleaveRows(const Byte* const (&rows)[kTapGroup], const size_t (&steps)[kTapGroup],
                                  uint32_t pixels, char* to) {
  InterleavePieces<1>(rows, steps, {}, pixels, to);
}
#else
// A block fills its vectors with whole rows.
template <uint32_t kPieces>
GAPCAM_INLINE void InterleavePieces(const Byte* const (&)[kTapGroup], const size_t (&)[kTapGroup],
                                    const size_t (&)[kTapGroup], uint32_t, char*) {}
#endif

// The weights of kRows rows of results: in memory, or where there are few in registers.
template <int kSize, int kStride, int kRows>
struct WindowWeights {
  typedef WindowSizes<kSize, kStride> Sizes;
  static constexpr int kRow = Sizes::kGroups * kSize;  // of one row
  static constexpr bool kIsHeld = kRow * kRows <= kHeldWeights;
  Operands held[kIsHeld ? kRow * kRows : 1];
  const char* w;

  GAPCAM_MEMBER explicit WindowWeights(const char* from) : w(from) {
    if constexpr (kIsHeld) {
      Unrolled<kRow * kRows>(GAPCAM_BODY(i) {
        held[GAPCAM_AT(i)] =
            LoadOperands(w + GAPCAM_AT(i) / kRow * Sizes::kPhaseBytes + GAPCAM_AT(i) % kRow * kOperandsBytes);
        Hold(held[GAPCAM_AT(i)]);
      });
    }
  }
  // Those of row r with index i among its groups and kernel columns.
  template <int r, int i>
  GAPCAM_MEMBER Operands At() const {
    if constexpr (kIsHeld)
      return held[r * kRow + i];
    else
      return LoadOperands(w + r * Sizes::kPhaseBytes + i * kOperandsBytes);
  }
};

// Adds one part of the weights to kRows rows of four pixels. `place` is that of the first pixel in each group.
template <int kSize, int kStride, int kRows>
GAPCAM_INLINE void AddWindow(I (&sums)[kRows][4], const char* const* groups, size_t place,
                             const WindowWeights<kSize, kStride, kRows>& weights) {
  typedef WindowSizes<kSize, kStride> Sizes;
  Unrolled<Sizes::kGroups>(GAPCAM_BODY(j) {
    const char* from = Pinned(groups[GAPCAM_AT(j)] + place);
    Unrolled<Sizes::kAcross>(GAPCAM_BODY(at) {
      const Operands x = LoadOperands(from + GAPCAM_AT(at) * kPixelBytes);
      Unrolled<kRows>(GAPCAM_BODY(r) {
        Unrolled<4>(GAPCAM_BODY(i) {
          constexpr int kx = GAPCAM_AT(at) - GAPCAM_AT(i) * kStride;
          if constexpr (kx >= 0 && kx < kSize)
            sums[GAPCAM_AT(r)][GAPCAM_AT(i)] = Dot(sums[GAPCAM_AT(r)][GAPCAM_AT(i)], x,
                                                   weights.template At<GAPCAM_AT(r), GAPCAM_AT(j) * kSize + kx>());
        });
      });
    });
  });
}

// The rows of a kSize × kSize kernel with dilation 1, whose sums are of kind kKind.
template <int kSize, int kStride, int kRows, int kKind>
static void SlideRows(const QuantWindow& window, const char* const* starts, uint32_t block, uint32_t phase,
                      const ByteEnd& how, Byte* quads) {
  typedef WindowSizes<kSize, kStride> Sizes;
  typedef WindowWeights<kSize, kStride, kRows> Weights;
  const ByteEndRegisters end(how);
  // Copies, which no store of a byte can change.
  const uint32_t parts = window.parts[block], count = window.QuadsOf(block);
  const size_t part_bytes = window.PartBytes(), vector_bytes = window.VectorBytes();
  const char* groups[Sizes::kGroups];
  Unrolled<Sizes::kGroups>(GAPCAM_BODY(j) { groups[GAPCAM_AT(j)] = starts[GAPCAM_AT(j)]; });
  const char* w = window.weights + WindowFormat::kParts * block * part_bytes + phase * Sizes::kPhaseBytes;
  const int32_t* bias = window.bias + block * kWindowBlock;
  const float* scales = window.scales + block * kWindowBlock;
  for (size_t v = 0; v < 4; ++v, w += vector_bytes, bias += kSumLanes, scales += kSumLanes) {
    const I start = LoadSums(bias);
    const I twice[2] = {start, start};
    const FI scale = LoadScales(scales);
    const Weights weights(w);
    Byte* to = quads + v * kSumBytes;
    size_t place = v * kOperandsBytes;
    for (uint32_t quad = count; quad > 0; --quad, place += 4 * kStride * kPixelBytes, to += kQuadBytes) {
      I sums[kRows][4];
      Unrolled<kRows>(GAPCAM_BODY(r) { StartQuad(sums[GAPCAM_AT(r)], twice); });
      AddWindow<kSize, kStride, kRows>(sums, groups, place, weights);
      if constexpr (WindowFormat::kParts > 1) {
        for (uint32_t part = 1; __builtin_expect(part < parts, false); ++part)
          AddWindow<kSize, kStride, kRows>(sums, groups, place, Weights(w + part * part_bytes));
      }
      Unrolled<kRows>(GAPCAM_BODY(r) {
        StoreQuad<kKind>(sums[GAPCAM_AT(r)], scale, end, to + GAPCAM_AT(r) * static_cast<size_t>(count) * kQuadBytes);
      });
    }
  }
}

template <int kSize, int kStride, int kRows>
static void QuantWindowRows(const QuantWindow& window, const char* const* groups, uint32_t block, uint32_t phase,
                            const ByteEnd& how, Byte* quads) {
  const int kind = ByteEndRegisters(how).Kind(window.is_small[block]);
  Unrolled<kEndKinds>(GAPCAM_BODY(k) {
    if (kind == GAPCAM_AT(k)) SlideRows<kSize, kStride, kRows, GAPCAM_AT(k)>(window, groups, block, phase, how, quads);
  });
}

// One row of any window.
static void QuantWindowPlain(const QuantWindow& window, const char* const* groups, uint32_t block, uint32_t phase,
                             const ByteEnd& how, Byte* quads) {
  const ByteEndRegisters end(how);
  const size_t phase_bytes = window.VectorBytes() / window.phases;
  for (uint32_t v = 0; v < 4; ++v) {
    const I bias = LoadSums(window.bias + (block * 4 + v) * kSumLanes);
    const FI scale = LoadScales(window.scales + (block * 4 + v) * kSumLanes);
    for (uint32_t quad = 0; quad < window.QuadsOf(block); ++quad) {
      I sums[4] = {bias, bias, bias, bias};
      for (uint32_t part = 0; part < window.parts[block]; ++part) {
        const char* w = window.weights + (WindowFormat::kParts * block + part) * window.PartBytes() +
                        v * window.VectorBytes() + phase * phase_bytes;
        for (uint32_t j = 0; j < window.groups; ++j) {
          for (uint32_t kx = 0; kx < window.kernel_w; ++kx, w += kOperandsBytes) {
            const char* from = groups[j] + v * kOperandsBytes + kx * window.dilation_w * kPixelBytes;
            const Operands weight = LoadOperands(w);
            Unrolled<4>(GAPCAM_BODY(i) {
              const size_t pixel = static_cast<size_t>(quad * 4 + GAPCAM_AT(i)) * window.stride_w;
              sums[GAPCAM_AT(i)] = Dot(sums[GAPCAM_AT(i)], LoadOperands(from + pixel * kPixelBytes), weight);
            });
          }
        }
      }
      const int kind = end.Kind(window.is_small[block]);
      Unrolled<kEndKinds>(GAPCAM_BODY(k) {
        if (kind == GAPCAM_AT(k))
          StoreQuad<GAPCAM_AT(k)>(sums, scale, end, quads + (static_cast<size_t>(quad) * 4 + v) * kSumBytes);
      });
    }
  }
}

// Calls body(ox, bytes) for each result of a row of the last block, whose rows are cut into pieces, from result `first` of
// each piece on. `bytes` has the channels of result ox.
template <class Body>
GAPCAM_INLINE void EachOfPieces(const QuantWindow& window, const Byte* quads, uint32_t first, Body body) {
  const uint32_t last = window.blocks - 1, results = window.ResultsOf(last), width = window.out_width;
  const uint32_t bytes_of_piece = kWindowBlock / window.pieces;
  for (; first < results; first += 4, quads += kQuadBytes) {
    Raw pixels[4];
    Byte bytes[4][kWindowBlock];
    MergeQuads(quads, pixels);
    Unrolled<4>(GAPCAM_BODY(i) { StorePixel(bytes[GAPCAM_AT(i)], pixels[GAPCAM_AT(i)]); });
    for (uint32_t piece = 0; piece < window.pieces; ++piece) {
      for (uint32_t i = 0; i < Least(4, results - first); ++i) {
        const uint32_t ox = piece * results + first + i;
        if (ox < width) body(ox, bytes[i] + piece * bytes_of_piece);
      }
    }
  }
}

// The function of two rows with stride 1, which share their groups if these have more than one row.
template <int kSize>
GAPCAM_INLINE QuantWindowRow PairOf() {
  if constexpr (kTapGroup > 1)
    return QuantWindowRows<kSize, 1, 2>;
  else
    return nullptr;
}

// Chooses the functions of a window.
static void ChooseQuantRows(uint32_t stride_h, QuantWindow* window) {
  window->row = QuantWindowPlain, window->pair = nullptr;
  if (window->kernel_h != window->kernel_w || window->dilation_w != 1 || stride_h != window->stride_w) return;
  switch (window->kernel_w * 10 + window->stride_w) {
    case 31: window->row = QuantWindowRows<3, 1, 1>, window->pair = PairOf<3>(); break;
    case 32: window->row = QuantWindowRows<3, 2, 1>; break;
    case 51: window->row = QuantWindowRows<5, 1, 1>, window->pair = PairOf<5>(); break;
    case 52: window->row = QuantWindowRows<5, 2, 1>; break;
    default: break;
  }
}

// Packs the weights of one vector of one block: one part of them for all phases, groups and kernel columns.
// Returns whether one of them is not 0.
static bool PackWindowVector(const WeightSource& from, const QuantWindow& window, uint32_t block, uint32_t vector,
                             uint32_t part, char* to) {
  int32_t any = 0;
  for (uint32_t phase = 0; phase < window.phases; ++phase) {
    for (uint32_t j = 0; j < window.groups; ++j) {
      for (uint32_t kx = 0; kx < window.kernel_w; ++kx) {
        for (uint32_t lane = 0; lane < kSumLanes; ++lane) {
          const uint32_t channel =
              block * kWindowBlock + ColumnOf(4, vector, lane) % (kWindowBlock / window.PiecesOf(block));
          for (uint32_t i = 0; i < kTapGroup; ++i) {
            const uint32_t ky = j * kTapGroup + i - phase;  // wraps around, and is then no row of the kernel
            const int32_t w = ky < window.kernel_h ? WeightPart<WindowFormat>(from.At(ky, kx, channel), part) : 0;
            any |= w;
            to = PutWeight<WindowFormat>(to, w);
          }
        }
      }
    }
  }
  return any != 0;
}

// Packs the weights, bias and scales of a window. Each column of `from` is a channel, each of its runs a kernel row.
// Returns false when memory is short.
static bool PackQuantWindow(const WeightSource& from, int32_t x_zero, Allocator& memory, QuantWindow* window) {
  const uint32_t blocks = window->blocks;
  auto* weights = static_cast<char*>(memory.Allocate(WindowFormat::kParts * blocks * window->PartBytes()));
  auto* bias = static_cast<int32_t*>(memory.Allocate(blocks * kWindowBlock * sizeof(int32_t)));
  auto* scales = static_cast<float*>(memory.Allocate(blocks * kWindowBlock * sizeof(float)));
  auto* parts = static_cast<uint8_t*>(memory.Allocate(blocks));
  auto* is_small = static_cast<uint8_t*>(memory.Allocate(blocks));
  if (!weights || !bias || !scales || !parts || !is_small) return false;
  window->weights = weights, window->bias = bias, window->scales = scales;
  window->parts = parts, window->is_small = is_small;
  for (uint32_t block = 0; block < blocks; ++block, bias += kWindowBlock, scales += kWindowBlock) {
    parts[block] = 1;
    is_small[block] =
        PackEnds(from, block * kWindowBlock, kWindowBlock / window->PiecesOf(block), 4, x_zero, bias, scales);
    for (uint32_t part = 0; part < WindowFormat::kParts; ++part) {
      for (uint32_t v = 0; v < 4; ++v, weights += window->VectorBytes()) {
        if (PackWindowVector(from, *window, block, v, part, weights)) parts[block] = static_cast<uint8_t>(part + 1);
      }
    }
    for (uint32_t i = 0; is_small[block] && i < kWindowBlock; ++i) bias[i] += kSmallStart;
  }
  return true;
}

}  // namespace
}  // namespace gapcam
