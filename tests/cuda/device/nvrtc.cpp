// libnvrtc.so.13 without a GPU: kernels that dfdx compiles at run time are found by their names, as all others are.
#include <cstddef>
#include <cstring>

#include "device.h"

extern "C" {
int nvrtcCreateProgram(void **program, const char *, const char *, int, const char *const *, const char *const *) {
  return *program = (void *)1, 0;
}
int nvrtcCompileProgram(void *, int, const char *const *) { return count_call("compilations", 0), 0; }
int nvrtcDestroyProgram(void **) { return 0; }
int nvrtcGetPTXSize(void *, size_t *n) { return *n = 1, 0; }
int nvrtcGetPTX(void *, char *text) { return *text = 0, 0; }
int nvrtcGetProgramLogSize(void *, size_t *n) { return *n = 1, 0; }
int nvrtcGetProgramLog(void *, char *text) { return *text = 0, 0; }
const char *nvrtcGetErrorString(int) { return "an error of the counting device"; }
}
