#include "shrunk_jpeg.h"

#include <dlfcn.h>
#include <link.h>

#include <cstring>
#include <mutex>

namespace gapcam {
namespace {

using Image = struct VipsImageHandle;

// From libvips' enumerations, which its ABI fixes.
constexpr int kSequential = 1, kFailOnWarning = 3, kRgb = 22;

struct Vips {
  int (*JpegLoad)(const void*, size_t, Image**, ...) = nullptr;
  void* (*WriteToMemory)(Image*, size_t*) = nullptr;
  int (*Width)(const Image*) = nullptr;
  int (*Height)(const Image*) = nullptr;
  int (*Bands)(const Image*) = nullptr;
  int (*Interpretation)(const Image*) = nullptr;
  size_t (*TypeOf)(const Image*, const char*) = nullptr;
  void (*Unref)(void*) = nullptr;
  void (*Free)(void*) = nullptr;
  void (*ClearError)() = nullptr;
  void (*EndThread)() = nullptr;
  bool is_loaded = false;
};

// A handle of the libvips that is loaded already, whatever its file is called and wherever it lies; null: none is.
void* LoadedLibrary() {
  void* library = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* found) {
        const char* slash = std::strrchr(object->dlpi_name, '/');
        if (!slash || std::strncmp(slash + 1, "libvips", 7) != 0) return 0;
        void*& handle = *static_cast<void**>(found);
        handle = dlopen(object->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
        return handle ? 1 : 0;
      },
      &library);
  return library;
}

const Vips& Load() {
  static std::mutex mutex;
  static Vips vips;
  const std::lock_guard<std::mutex> lock(mutex);
  if (vips.is_loaded) return vips;
  void* library = LoadedLibrary();
  if (!library) return vips;
  const auto find = [library](auto* function, const char* symbol) {
    *reinterpret_cast<void**>(function) = dlsym(library, symbol);
    return *function != nullptr;
  };
  vips.is_loaded =
      find(&vips.JpegLoad, "vips_jpegload_buffer") && find(&vips.WriteToMemory, "vips_image_write_to_memory") &&
      find(&vips.Width, "vips_image_get_width") && find(&vips.Height, "vips_image_get_height") &&
      find(&vips.Bands, "vips_image_get_bands") && find(&vips.Interpretation, "vips_image_get_interpretation") &&
      find(&vips.TypeOf, "vips_image_get_typeof") && find(&vips.Unref, "g_object_unref") &&
      find(&vips.Free, "g_free") && find(&vips.ClearError, "vips_error_clear") &&
      find(&vips.EndThread, "vips_thread_shutdown");
  return vips;
}

bool IsServed(const Vips& vips, const Image* image, const ShrunkJpeg& jpeg) {
  return vips.Bands(image) == 3 && vips.Interpretation(image) == kRgb && vips.TypeOf(image, "icc-profile-data") == 0 &&
         vips.Width(image) == static_cast<int>(jpeg.width) && vips.Height(image) == static_cast<int>(jpeg.height);
}

}  // namespace

bool DecodeShrunk(const ShrunkJpeg& jpeg) {
  const Vips& vips = Load();
  if (!vips.is_loaded) return false;
  Image* image = nullptr;
  void* pixels = nullptr;
  const int failed = vips.JpegLoad(jpeg.bytes, jpeg.size, &image, "shrink", static_cast<int>(jpeg.shrink), "access",
                                   kSequential, "fail_on", kFailOnWarning, static_cast<const char*>(nullptr));
  const size_t wanted = size_t{3} * jpeg.width * jpeg.height;
  size_t written = 0;
  if (failed == 0 && IsServed(vips, image, jpeg)) pixels = vips.WriteToMemory(image, &written);
  const bool is_served = pixels && written == wanted;
  if (is_served) std::memcpy(jpeg.rgb, pixels, wanted);
  if (pixels) vips.Free(pixels);
  if (image) vips.Unref(image);
  if (!is_served) vips.ClearError();
  vips.EndThread();
  return is_served;
}

}  // namespace gapcam
