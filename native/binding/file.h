// The files that are mapped in one JavaScript environment.
#pragma once
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace gapcam {

class FileMaps {
 public:
  void Add(const void* bytes, size_t size);
  // Forgets a mapping; returns its size.
  size_t Remove(const void* bytes);
  // Lets the pages under these bytes go, where they belong to a mapped file; whoever reads them again finds them again.
  // Any thread may call it.
  void Release(const void* bytes, size_t size);

 private:
  const uintptr_t page_bytes_ = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  std::mutex mutex_;
  std::map<uintptr_t, size_t> sizes_;  // by address
};

}  // namespace gapcam
