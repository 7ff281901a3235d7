// What the parts of the device share.
#pragma once

struct Index {
  unsigned x, y, z;
};

// A kernel: its call with the addresses of its arguments, and whether its threads wait for each other.
struct Kernel {
  void (*call)(void **);
  bool waits;
};

extern Index threadIdx, blockIdx, blockDim, gridDim;

extern "C" {
// Counts a call, and an amount of it: bytes, threads, operations.
void count_call(const char *name, double amount);
// Whether kernels and products are computed, not only counted.
int computes();
// Lets the other threads of the block come to the same place.
void wait_for_block();
}
