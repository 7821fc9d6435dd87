// The template members of Lowering.
#include "../half.h"

namespace gapcam {
namespace cuda {

template <typename Value>
Place Lowering::Pack(uint32_t count, const Value& value) {
  if (!is_half_) return PackFloats(count, value);
  Place place;
  uint8_t* const to = Grow(count, kHalfBytes, &place);
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t bits = FloatToHalf(value(i));
    std::memcpy(to + size_t{i} * kHalfBytes, &bits, kHalfBytes);
  }
  return place;
}

template <typename Value>
Place Lowering::PackFloats(uint32_t count, const Value& value) {
  Place place;
  uint8_t* const to = Grow(count, kFloatBytes, &place);
  for (uint32_t i = 0; i < count; ++i) {
    const float single = value(i);
    std::memcpy(to + size_t{i} * kFloatBytes, &single, kFloatBytes);
  }
  return place;
}

template <typename Params>
void Lowering::Add(KernelId kernel, const Draft<Params>& draft, uint32_t x, uint32_t y, uint32_t z) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&draft.p);
  program_.launches.push_back({kernel,
                               {x, y, z},
                               {kKernels[static_cast<uint32_t>(kernel)].threads, 1, 1},
                               std::vector<uint8_t>(bytes, bytes + sizeof(Params)),
                               draft.patches,
                               step_});
}

template <typename Params>
void Lowering::AddThreads(KernelId single, KernelId half, const Draft<Params>& draft, uint64_t threads) {
  const KernelId kernel = Choose(single, half);
  Add(kernel, draft, CeilDiv(threads, kKernels[static_cast<uint32_t>(kernel)].threads));
}

}  // namespace cuda
}  // namespace gapcam
