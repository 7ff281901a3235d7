// libnvrtc.so.13 without a GPU: what dfdx compiles at run time is a kernel of `kernels.py` already. The "program" is the name of the
// type that it is for, by which the driver tells kernels of one name apart.
#include <cstddef>
#include <cstring>

#include "device.h"

extern "C" {
int nvrtcCreateProgram(const char **program, const char *text, const char *, int, const char *const *, const char *const *) {
  return *program = strstr(text, "double *") ? "double" : "float", 0;
}
int nvrtcCompileProgram(void *, int, const char *const *) { return count_call("compilations", 0), 0; }
int nvrtcDestroyProgram(void **) { return 0; }
int nvrtcGetPTXSize(const char *program, size_t *n) { return *n = strlen(program) + 1, 0; }
int nvrtcGetPTX(const char *program, char *text) { return strcpy(text, program), 0; }
int nvrtcGetProgramLogSize(void *, size_t *n) { return *n = 1, 0; }
int nvrtcGetProgramLog(void *, char *text) { return *text = 0, 0; }
const char *nvrtcGetErrorString(int) { return "an error of the counting device"; }
}
