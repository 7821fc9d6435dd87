// Counts allocations with replaced allocation functions and system calls with a seccomp filter; see frame_calls.h.
#include "frame_calls.h"

#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstddef>
#include <cstdlib>

#include "../plan/executor.h"

namespace {

std::atomic<bool> is_counting{false};
std::atomic<int64_t> allocations{0}, system_calls{0};

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)

// These replace the C library's functions in the whole program; operator new calls them too.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

static void Count() {
  if (is_counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}

void* malloc(size_t bytes) {
  Count();
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  Count();
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, size_t bytes) {
  Count();
  return __libc_realloc(block, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  Count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, size_t alignment, size_t bytes) {
  Count();
  *block = __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}
}
#endif

namespace gapcam_bench {
namespace {

void OnSystemCall(int) { system_calls.fetch_add(1, std::memory_order_relaxed); }

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// Turns every system call of every thread into a SIGSYS instead of executing it, except futex, the return from a
// signal, write and exit.
bool TrapSystemCalls() {
  struct sigaction action = {};
  action.sa_handler = OnSystemCall;
  if (sigaction(SIGSYS, &action, nullptr) != 0) return false;
  constexpr uint32_t allowed[] = {SYS_futex, SYS_rt_sigreturn, SYS_write, SYS_exit_group};
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[0], 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[1], 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[2], 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[3], 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

// Waits until every other thread of this process sleeps, because a new thread still makes system calls of the C
// library. Returns false after five seconds.
bool OthersSleep() {
  for (int attempt = 0; attempt < 5000; ++attempt) {
    int awake = 0;
    DIR* tasks = opendir("/proc/self/task");
    if (!tasks) return false;
    while (const dirent* task = readdir(tasks)) {
      char path[64], state = 0;
      if (task->d_name[0] == '.' || std::atoi(task->d_name) == getpid()) continue;
      std::snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", task->d_name);
      std::FILE* file = std::fopen(path, "re");
      // pid (name) state …
      if (!file || std::fscanf(file, "%*d (%*[^)]) %c", &state) != 1 || state != 'S') ++awake;
      if (file) std::fclose(file);
    }
    closedir(tasks);
    if (awake == 0) return true;
    usleep(1000);
  }
  return false;
}

FrameCalls Count(const uint8_t* plan, size_t size, const gapcam::Target& target, uint32_t threads, uint32_t frames) {
  FrameCalls calls;
  std::unique_ptr<gapcam::Executor> executor;
  if (!gapcam::Executor::Open(plan, size, target, threads, &executor).ok()) return calls;
  for (int i = 0; i < 2; ++i) executor->Run();
  const bool is_trapping = OthersSleep() && TrapSystemCalls();
  is_counting.store(true);
  for (uint32_t i = 0; i < frames; ++i) executor->Run();
  const int64_t allocated = allocations.load(), called = system_calls.load();
  // Proof that the counters work: each must count this one call.
  void* volatile block = std::malloc(1);
  syscall(SYS_getppid);
  is_counting.store(false);
  std::free(block);
  calls.ok = true;
  if (allocations.load() == allocated + 1) calls.allocations = allocated;
  if (is_trapping && system_calls.load() == called + 1) calls.system_calls = called;
  executor.release();  // ending its threads would make system calls
  return calls;
}

}  // namespace

FrameCalls CountFrameCalls(const uint8_t* plan, size_t size, const gapcam::Target& target, uint32_t threads,
                           uint32_t frames) {
  FrameCalls calls;
  int ends[2];
  if (pipe(ends) != 0) return calls;
  const pid_t child = fork();
  if (child == 0) {
    const FrameCalls counted = Count(plan, size, target, threads, frames);
    syscall(SYS_write, ends[1], &counted, sizeof(counted));
    syscall(SYS_exit_group, 0);
  }
  close(ends[1]);
  if (child < 0 || read(ends[0], &calls, sizeof(calls)) != static_cast<ssize_t>(sizeof(calls))) calls = FrameCalls();
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return calls;
}

}  // namespace gapcam_bench
