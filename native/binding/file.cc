// Files in JavaScript: mapFile(path) returns a model's bytes as they lie in the kernel's page cache. Opening a model
// then takes no memory for the file itself once its weights are packed.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "errors.h"
#include "file.h"
#include "init.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14
#endif

namespace gapcam {
namespace {

struct Mapping {
  uint8_t* bytes = nullptr;
  size_t size = 0;
};

// Maps a regular file privately: writes to the bytes change neither the file nor another mapping. Returns 0 or an
// errno.
int Map(const char* path, Mapping* mapping) {
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not block
  if (file < 0) return errno;
  struct stat status;
  int error = fstat(file, &status) != 0                        ? errno
              : S_ISDIR(status.st_mode)                        ? EISDIR
              : !S_ISREG(status.st_mode) || status.st_size < 1 ? EINVAL
                                                               : 0;
  if (error == 0) {
    mapping->size = static_cast<size_t>(status.st_size);
    void* bytes = mmap(nullptr, mapping->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
      error = errno;
    else
      mapping->bytes = static_cast<uint8_t*>(bytes);
  }
  close(file);
  // Reads the file now, so that a failing storage device is an error here and not a SIGBUS later. EINVAL means that
  // this kernel does not know the request.
  if (error == 0 && madvise(mapping->bytes, mapping->size, MADV_POPULATE_READ) != 0 && errno != EINVAL) {
    error = errno == EFAULT ? EIO : errno;
    munmap(mapping->bytes, mapping->size);
  }
  return error;
}

Napi::Value MapFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsString()) {
    return RefuseArguments(env, "Expected a path for mapFile");
  }
  Mapping mapping;
  const int error = Map(info[0].As<Napi::String>().Utf8Value().c_str(), &mapping);
  if (error != 0) return ThrowErrno(env, error);
  auto* maps = new std::shared_ptr<FileMaps>(env.GetInstanceData<AddonData>()->maps);
  (*maps)->Add(mapping.bytes, mapping.size);
  const auto unmap = [](Napi::Env, void* bytes, std::shared_ptr<FileMaps>* known) {
    munmap(bytes, (*known)->Remove(bytes));
    delete known;
  };
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, mapping.bytes, mapping.size, unmap, maps);
  return Napi::Uint8Array::New(env, mapping.size, buffer, 0);
}

// Drops the pages under bytes of a mapped file; a later access reads them again. Other bytes stay as they are.
Napi::Value DropPages(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsTypedArray()) return RefuseArguments(env, "Expected a typed array for dropPages");
  const Napi::TypedArray array = info[0].As<Napi::TypedArray>();
  const auto* bytes = static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  env.GetInstanceData<AddonData>()->maps->Release(bytes, array.ByteLength());
  return env.Undefined();
}

}  // namespace

void FileMaps::Add(const void* bytes, size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  sizes_[reinterpret_cast<uintptr_t>(bytes)] = size;
}

size_t FileMaps::Remove(const void* bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sizes_.find(reinterpret_cast<uintptr_t>(bytes));
  const size_t size = found->second;
  sizes_.erase(found);
  return size;
}

void FileMaps::Release(const void* bytes, size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto begin = reinterpret_cast<uintptr_t>(bytes);
  auto map = sizes_.upper_bound(begin);
  if (map == sizes_.begin()) return;
  --map;
  if (begin + size > map->first + map->second) return;
  const uintptr_t first = begin - begin % page_bytes_;
  madvise(reinterpret_cast<void*>(first), begin + size - first, MADV_DONTNEED);
}

void InitFile(Napi::Env env, Napi::Object exports) {
  exports.Set("mapFile", Napi::Function::New(env, MapFile, "mapFile"));
  exports.Set("dropPages", Napi::Function::New(env, DropPages, "dropPages"));
}

}  // namespace gapcam
