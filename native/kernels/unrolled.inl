// Loops that the compiler unrolls while it still sees arrays: a fold over an index pack. GCC 12 unrolls a counted loop
// with a pragma too late for that, and then keeps arrays of sums in memory.
#include <type_traits>

namespace gapcam {
namespace {

template <int kValue>
struct Index {};

template <class Body, int... kIndices>
GAPCAM_INLINE void UnrolledOver(std::integer_sequence<int, kIndices...>, const Body& body) {
  (body(Index<kIndices>()), ...);
}

// Calls body(Index<0>()), … body(Index<kCount - 1>()). The body names its index with GAPCAM_BODY.
template <int kCount, class Body>
GAPCAM_INLINE void Unrolled(const Body& body) {
  UnrolledOver(std::make_integer_sequence<int, kCount>(), body);
}

// The head of such a body: GAPCAM_BODY(r) { … } with a constant r.
#define GAPCAM_BODY(index) [&](auto index) __attribute__((always_inline))
// The constant of an index. GCC 12 gives the index of an enclosing body the type of a reference.
template <class T>
struct IndexValue : IndexValue<std::remove_const_t<std::remove_reference_t<T>>> {};
template <int kValue>
struct IndexValue<Index<kValue>> {
  static constexpr int value = kValue;
};
#define GAPCAM_AT(index) IndexValue<decltype(index)>::value

}  // namespace
}  // namespace gapcam
