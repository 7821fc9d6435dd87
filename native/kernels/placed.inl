// How ops are made: every family's Make function places its op in session memory.
namespace gapcam {
namespace {

// Placement into session memory. The standard library's placement new is an inline function that the linker may take
// from another target's translation unit; see op.h.
struct Placed {
  static void* operator new(size_t, void* memory) noexcept { return memory; }
  static void operator delete(void*, void*) noexcept {}
};

// Reports why an op cannot be made.
GAPCAM_INLINE const Op* Refuse(const char** reason, const char* why) {
  *reason = why;
  return nullptr;
}

#define GAPCAM_NO_MEMORY Refuse(reason, "there is not enough memory")

}  // namespace
}  // namespace gapcam
