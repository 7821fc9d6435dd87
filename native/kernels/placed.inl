// How an op comes to be: placed in session memory by its family's Make function.
namespace gapcam {
namespace {

// Ops are placed in session memory with this, instead of a function of the standard library that the linker may share.
struct Placed {
  static void* operator new(size_t, void* memory) noexcept { return memory; }
  static void operator delete(void*, void*) noexcept {}
};

GAPCAM_INLINE const Op* Refuse(const char** reason, const char* why) {
  *reason = why;
  return nullptr;
}

#define GAPCAM_NO_MEMORY Refuse(reason, "there is not enough memory")

}  // namespace
}  // namespace gapcam
