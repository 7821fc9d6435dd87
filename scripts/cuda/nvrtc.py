"""Compiles the CUDA kernels with NVRTC, which needs neither a GPU nor a driver nor a toolkit.

nvrtc.py PACKAGES SOURCE OUT sm_72 …   PACKAGES: a folder with the wheels of nvidia-cuda-nvrtc and nvidia-cuda-runtime.
Writes OUT/sm_72.cubin and OUT/sm_72.log (registers, spills and shared memory from ptxas) for each generation. If the
compiler fails, prints its log and exits with status 1.
"""
import ctypes
import glob
import os
import sys


def load(packages):
    libraries = sorted(glob.glob(f"{packages}/nvidia/**/libnvrtc.so.*", recursive=True))
    if not libraries:
        sys.exit(f"nvrtc.py: there is no libnvrtc below {packages}")
    for builtins in glob.glob(f"{os.path.dirname(libraries[0])}/libnvrtc-builtins.so*"):
        ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)  # NVRTC 13 looks for it by name only
    return ctypes.CDLL(libraries[0])


def read(nvrtc, program, what):
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    return buffer.raw[: size.value]


def compile_for(nvrtc, source, includes, target):
    program = ctypes.c_void_p()
    with open(source, "rb") as file:
        # The cubin contains the name. A path would make its bytes differ between machines.
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), file.read(), os.path.basename(source).encode(), 0, None, None)
    options = [f"-arch={target}", "-std=c++17", "--ptxas-options=-v", *(f"--include-path={path}" for path in includes)]
    result = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*(option.encode() for option in options)))
    log = read(nvrtc, program, "ProgramLog").decode().strip("\0")
    return log, None if result else read(nvrtc, program, "CUBIN")


def main():
    packages, source, out, *targets = sys.argv[1:]
    nvrtc = load(packages)
    folder = os.path.dirname(os.path.abspath(source))
    includes = [folder, f"{folder}/nvrtc", *sorted({os.path.dirname(path) for path in glob.glob(f"{packages}/nvidia/**/cuda_fp16.h", recursive=True)})]
    for target in targets:
        log, cubin = compile_for(nvrtc, source, includes, target)
        if cubin is None:
            sys.exit(f"{target}: {log}")
        with open(f"{out}/{target}.cubin", "wb") as file:
            file.write(cubin)
        with open(f"{out}/{target}.log", "w") as file:
            file.write(log)


main()
