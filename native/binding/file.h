// The files that one JavaScript environment has mapped.
#pragma once
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace gapcam {

// Addresses and sizes of mapped files. Thread-safe.
class FileMaps {
 public:
  // Records a mapping.
  void Add(const void* bytes, size_t size);
  // Forgets a mapping and returns its size.
  size_t Remove(const void* bytes);
  // Drops the pages under these bytes if they belong to a mapped file. A later access reads them from the file again.
  void Release(const void* bytes, size_t size);

 private:
  const uintptr_t page_bytes_ = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  std::mutex mutex_;
  std::map<uintptr_t, size_t> sizes_;  // by address
};

}  // namespace gapcam
