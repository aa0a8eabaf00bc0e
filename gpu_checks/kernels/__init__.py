"""Kernels of our own in CUDA C++: one source for the device (NVRTC, nvcc) and for the CPU (g++, cuda_on_cpu.hpp)."""
