// The fuzzer's kept corpus and a fixed number of seeded changes of each of its plans. The coverage-guided fuzzer itself
// is native/fuzz/plan_fuzz.cc.
#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "../fuzz/plan_property.h"
#include "check.h"

namespace {

std::vector<std::string> Corpus() {
  std::vector<std::string> files;
  if (DIR* folder = opendir(GAPCAM_CORPUS)) {
    while (const dirent* entry = readdir(folder)) {
      if (entry->d_name[0] != '.') files.push_back(std::string(GAPCAM_CORPUS "/") + entry->d_name);
    }
    closedir(folder);
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<uint8_t> Read(const std::string& file) {
  std::vector<uint8_t> bytes;
  if (FILE* in = std::fopen(file.c_str(), "rb")) {
    uint8_t block[4096];
    while (const size_t got = std::fread(block, 1, sizeof(block), in)) bytes.insert(bytes.end(), block, block + got);
    std::fclose(in);
  }
  return bytes;
}

TEST("the plans of the fuzzer's corpus and changes of them are refused with a message or run inside their memory") {
  const std::vector<std::string> files = Corpus();
  EXPECT(files.size() > 20, "%zu plans in the corpus", files.size());
  int ran = 0, changed_ran = 0;
  std::minstd_rand random(7);
  for (const std::string& file : files) {
    const std::vector<uint8_t> bytes = Read(file);
    ran += gapcam_fuzz::CheckPlanBytes(bytes.data(), bytes.size());
    for (int change = 0; change < 400; ++change) {
      std::vector<uint8_t> other = bytes;
      gapcam_fuzz::ChangeWords(other.data(), other.size(), random);
      changed_ran += gapcam_fuzz::CheckPlanBytes(other.data(), other.size());
    }
  }
  // A corpus whose plans are all refused would test nothing.
  EXPECT(ran > 20, "only %d plans of the corpus ran", ran);
  EXPECT(changed_ran > 1000, "only %d changed plans ran", changed_ran);
}

}  // namespace
