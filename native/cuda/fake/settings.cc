// The settings of the test driver: FAKE_CUDA in the environment, or fake_cuda_configure().
//
//   sm=72 version=11040 devices=0 memory=1000000
//   memo=1                        skips a graph whose mapped memory has not changed since its last run
//   wrong=1                       makes the outputs of every graph wrong
//   fail=17:2                     lets the 17th call of all fail with error 2
//   fail=cuGraphLaunch@3:719      lets the third call of that name fail
//   fail=cuMemAlloc_v2:2          lets every call of that name fail
//   log=FILE report=FILE          at the end of the process, writes the names of all calls, and the report
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "state.h"

namespace gapcam::cuda::fake {
namespace {

Injection ReadInjection(const std::string& text) {
  const size_t colon = text.rfind(':'), at = text.find('@');
  const std::string target = text.substr(0, colon == std::string::npos ? text.size() : colon);
  Injection injection;
  injection.result = colon == std::string::npos ? 999 : std::atoi(text.c_str() + colon + 1);
  if (std::strspn(target.c_str(), "0123456789") == target.size())
    injection.at = std::strtoull(target.c_str(), nullptr, 10);
  else if (at == std::string::npos)
    injection.name = target;
  else {
    injection.name = target.substr(0, at);
    injection.at = std::strtoull(target.c_str() + at + 1, nullptr, 10);
  }
  return injection;
}

}  // namespace

void Configure(State& state, const char* settings) {
  std::istringstream words(settings ? settings : "");
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "sm")
      state.sm = std::atoi(value.c_str());
    else if (key == "version")
      state.version = std::atoi(value.c_str());
    else if (key == "devices")
      state.devices = std::atoi(value.c_str());
    else if (key == "memory")
      state.memory_bytes = std::strtoull(value.c_str(), nullptr, 10);
    else if (key == "memo")
      state.has_memo = value == "1";
    else if (key == "wrong")
      state.is_wrong = value == "1";
    else if (key == "fail")
      state.injections.push_back(ReadInjection(value));
    else if (key == "log")
      state.log_file = value;
    else if (key == "report")
      state.report_file = value;
    else
      Violation("FAKE_CUDA has an unknown setting %s", word.c_str());
  }
}

std::string Report(State& state) {
  std::ostringstream text;
  const size_t contexts = static_cast<size_t>(state.retained);
  text << "{\"calls\":" << state.calls << ",\"injected\":" << state.injected << ",\"launches\":" << state.launches
       << ",\"graphLaunches\":" << state.graph_launches << ",\"memoHits\":" << state.memo_hits
       << ",\"lost\":" << state.lost << ",\"leaks\":{\"contexts\":" << contexts
       << ",\"allocations\":" << state.allocations.size() << ",\"modules\":" << state.modules.size()
       << ",\"streams\":" << state.streams.size() << ",\"graphs\":" << state.graphs.size() + state.execs.size()
       << "},\"violations\":[";
  for (size_t i = 0; i < state.violations.size(); ++i) {
    text << (i ? ",\"" : "\"");
    for (const char c : state.violations[i]) {
      if (c == '"' || c == '\\') text << '\\';
      text << c;
    }
    text << '"';
  }
  text << "]}\n";
  return text.str();
}

}  // namespace gapcam::cuda::fake
