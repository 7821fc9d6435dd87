"""Stops one thread of a process and nothing else of it, as a hang would: ptrace seizes and interrupts it, until one of us ends."""
import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
thread = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
    if libc.ptrace(request, thread, 0, 0) != 0:
        sys.exit(f'ptrace: errno {ctypes.get_errno()}')
os.waitpid(thread, WALL)
print('held', flush=True)
# The kernel reports a traced thread's end to us first; nobody else sees it before.
while not (os.WIFEXITED(status := os.waitpid(thread, WALL)[1]) or os.WIFSIGNALED(status)):
    pass
