"""What compilers make of a kernel, without a device: NVRTC and nvcc, and what their PTX and cubins say."""
