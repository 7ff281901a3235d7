// libcuda.so.1 without a GPU: memory is the host's, every call is counted, and kernels either do nothing or are those of
// `kernels.py`, run thread by thread. COUNTS names the file for the counts, KERNELS the library of kernels.
#include <dlfcn.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "device.h"

namespace {

enum Status { OK = 0, INVALID = 1, NO_DEVICE = 100, OUT_OF_RANGE = 101, NOT_FOUND = 500, UNSUPPORTED = 801 };
typedef unsigned long long Pointer;

// Allocations from this size on are mapped, so that memory that no kernel touches costs nothing.
const size_t MAPPED = 1 << 16;

struct Total {
  long calls = 0;
  double amount = 0;
};

struct Device {
  std::mutex lock;
  std::map<std::string, Total> totals;
  std::map<Pointer, size_t> held;
  size_t now = 0, peak = 0;
  void *kernels = nullptr;

  Device() {
    if (const char *path = getenv("KERNELS")) {
      kernels = dlopen(path, RTLD_NOW);
      if (!kernels) fprintf(stderr, "%s\n", dlerror()), exit(70);
    }
  }
};

void write_counts();

Device &device() {
  static Device *one = [] {
    atexit(write_counts);
    return new Device;
  }();
  return *one;
}

void write_counts() {
  const char *path = getenv("COUNTS");
  FILE *out = path ? fopen(path, "w") : nullptr;
  if (!out) return;
  for (auto &[name, total] : device().totals) fprintf(out, "%s\t%ld\t%.0f\n", name.c_str(), total.calls, total.amount);
  fprintf(out, "peak\t1\t%zu\n", device().peak);
  fclose(out);
}

Pointer allocate(size_t bytes) {
  Device &d = device();
  std::lock_guard<std::mutex> guard(d.lock);
  if (bytes == 0) bytes = 1;
  void *at = bytes < MAPPED ? calloc(1, bytes)
                            : mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  d.held[(Pointer)at] = bytes;
  d.now += bytes;
  if (d.now > d.peak) d.peak = d.now;
  return (Pointer)at;
}

void release(Pointer at) {
  Device &d = device();
  std::lock_guard<std::mutex> guard(d.lock);
  auto found = d.held.find(at);
  if (found == d.held.end()) return;
  d.now -= found->second;
  found->second < MAPPED ? free((void *)at) : (void)munmap((void *)at, found->second);
  d.held.erase(found);
}

// dfdx sends the shape and strides of most operations along with each: at most 6 times 6 numbers of 8 bytes.
Status copied(const char *way, void *to, const void *from, size_t bytes) {
  std::string name = std::string("copy ") + way + (bytes <= 288 ? " small" : " large");
  count_call(name.c_str(), bytes);
  memcpy(to, from, bytes);
  return OK;
}

// A block: each of its threads is a fibre, which gives way at `__syncthreads`.
struct Fibre {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 15);
  bool ended = false;
};
std::vector<Fibre> fibres;
ucontext_t scheduler;
unsigned running;
bool inside = false;
Kernel kernel;
void **arguments;

void fibre() {
  kernel.call(arguments);
  fibres[running].ended = true;
  swapcontext(&fibres[running].context, &scheduler);
}

void resume(unsigned thread) {
  running = thread;
  threadIdx = {thread, 0, 0};
  inside = true;
  swapcontext(&scheduler, &fibres[thread].context);
  inside = false;
}

void begin(unsigned thread) {
  Fibre &f = fibres[thread];
  f.ended = false;
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack.data();
  f.context.uc_stack.ss_size = f.stack.size();
  f.context.uc_link = &scheduler;
  makecontext(&f.context, fibre, 0);
  resume(thread);
}

void run_plainly(unsigned first, unsigned threads) {
  for (unsigned t = first; t < threads; t++) {
    threadIdx = {t, 0, 0};
    kernel.call(arguments);
  }
}

// Threads of a block wait all or not at all, but for those that have ended: the first one tells.
void run_block(unsigned threads) {
  if (fibres.size() < threads) fibres.resize(threads);
  begin(0);
  if (fibres[0].ended) return run_plainly(1, threads);
  for (unsigned t = 1; t < threads; t++) begin(t);
  for (bool any = true; any;) {
    any = false;
    for (unsigned t = 0; t < threads; t++)
      if (!fibres[t].ended) any = true, resume(t);
  }
}

Status launch(unsigned blocks, unsigned threads) {
  gridDim = {blocks, 1, 1};
  blockDim = {threads, 1, 1};
  for (unsigned b = 0; b < blocks; b++) {
    blockIdx = {b, 0, 0};
    kernel.waits ? run_block(threads) : run_plainly(0, threads);
  }
  return OK;
}

}  // namespace

Index threadIdx, blockIdx, blockDim, gridDim;

extern "C" {

void count_call(const char *name, double amount) {
  Device &d = device();
  std::lock_guard<std::mutex> guard(d.lock);
  Total &total = d.totals[name];
  total.calls++;
  total.amount += amount;
}

int computes() { return device().kernels != nullptr; }

void wait_for_block() {
  if (!inside) fprintf(stderr, "a thread waits alone\n"), abort();
  swapcontext(&fibres[running].context, &scheduler);
}

int cuInit(unsigned) { return getenv("NO_GPU") ? NO_DEVICE : (count_call("initialised", 0), OK); }
int cuDriverGetVersion(int *version) { return *version = 13000, OK; }
int cuDeviceGet(int *handle, int ordinal) { return *handle = ordinal, ordinal == 0 ? OK : OUT_OF_RANGE; }
int cuDeviceGetCount(int *n) { return *n = 1, OK; }
int cuDeviceGetName(char *name, int n, int) { return strncpy(name, "no GPU", n), OK; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
  // 75 and 76 are the compute capability
  return *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1, OK;
}
static size_t memory() {
  const char *gigabytes = getenv("GPU_GB");
  return (size_t)(gigabytes ? atof(gigabytes) * 1e9 : 8e10);
}
int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = memory(), OK; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { return *free = *total = memory(), OK; }

int cuDevicePrimaryCtxRetain(void **context, int) { return *context = (void *)1, count_call("contexts", 0), OK; }
int cuDevicePrimaryCtxRelease_v2(int) { return OK; }
int cuCtxSetCurrent(void *) { return OK; }
int cuCtxGetCurrent(void **context) { return *context = (void *)1, OK; }
int cuCtxSynchronize() { return OK; }

int cuStreamCreate(void **stream, unsigned) { return *stream = (void *)1, OK; }
int cuStreamDestroy_v2(void *) { return OK; }
int cuStreamSynchronize(void *) { return count_call("synchronised", 0), OK; }
int cuStreamWaitEvent(void *, void *, unsigned) { return count_call("waits", 0), OK; }
int cuEventCreate(void **event, unsigned) { return *event = (void *)1, OK; }
int cuEventDestroy_v2(void *) { return OK; }
int cuEventRecord(void *, void *) { return count_call("events", 0), OK; }
int cuEventQuery(void *) { return OK; }
int cuEventSynchronize(void *) { return OK; }
int cuEventElapsedTime(float *ms, void *, void *) { return *ms = 0, OK; }

int cuMemAllocAsync(Pointer *at, size_t bytes, void *) {
  count_call("allocations", bytes);
  return *at = allocate(bytes), OK;
}
int cuMemAlloc_v2(Pointer *at, size_t bytes) { return cuMemAllocAsync(at, bytes, nullptr); }
int cuMemFreeAsync(Pointer at, void *) { return release(at), OK; }
int cuMemFree_v2(Pointer at) { return release(at), OK; }
int cuMemsetD8Async(Pointer at, unsigned char value, size_t n, void *) {
  count_call("memsets", n);
  // large allocations are zeros already, unless a kernel has written to them
  if (computes() || n < MAPPED) memset((void *)at, value, n);
  return OK;
}
int cuMemsetD8_v2(Pointer at, unsigned char value, size_t n) { return cuMemsetD8Async(at, value, n, nullptr); }

int cuMemcpyHtoD_v2(Pointer to, const void *from, size_t n) { return copied("up", (void *)to, from, n); }
int cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t n, void *) { return copied("up", (void *)to, from, n); }
int cuMemcpyDtoH_v2(void *to, Pointer from, size_t n) { return copied("down", to, (void *)from, n); }
int cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t n, void *) { return copied("down", to, (void *)from, n); }
int cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t n, void *) {
  count_call("copies on the device", n);
  if (computes() || n < MAPPED) memcpy((void *)to, (void *)from, n);
  return OK;
}
int cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t n) { return cuMemcpyDtoDAsync_v2(to, from, n, nullptr); }

int cuModuleLoad(const char **module, const char *) { return *module = "", OK; }
int cuModuleLoadData(const char **module, const void *text) {
  count_call("modules", 0);
  // a program of this device's nvrtc is the name of a type
  const char *type = (const char *)text;
  return *module = !strcmp(type, "float") ? "_float" : !strcmp(type, "double") ? "_double" : "", OK;
}
int cuModuleUnload(void *) { return OK; }
int cuModuleGetFunction(void **function, const char *module, const char *name) {
  return *function = strdup((std::string(name) + module).c_str()), OK;
}

int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz, unsigned,
                   void *, void **parameters, void **) {
  if (x == 0 || y != 1 || z != 1 || by != 1 || bz != 1) return INVALID;
  const char *name = (const char *)function;
  count_call((std::string("kernel ") + name).c_str(), (double)x * bx);
  if (!computes()) return OK;
  auto find = (Kernel(*)(const char *))dlsym(device().kernels, "find_kernel");
  kernel = find(name);
  arguments = parameters;
  if (!kernel.call) return fprintf(stderr, "no kernel %s\n", name), NOT_FOUND;
  return launch(x, bx);
}

int cuGetErrorName(int, const char **text) { return *text = "an error of the counting device", OK; }
int cuGetErrorString(int status, const char **text) {
  return *text = status == NO_DEVICE ? "no CUDA-capable device is detected" : "an error of the counting device", OK;
}

// what cudarc links and nothing here calls
#define UNUSED(name) \
  int name() { return UNSUPPORTED; }
UNUSED(cuImportExternalMemory)
UNUSED(cuDestroyExternalMemory)
UNUSED(cuExternalMemoryGetMappedBuffer)
UNUSED(cuOccupancyAvailableDynamicSMemPerBlock)
UNUSED(cuOccupancyMaxActiveBlocksPerMultiprocessor)
UNUSED(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags)
UNUSED(cuOccupancyMaxPotentialBlockSize)
UNUSED(cuOccupancyMaxPotentialBlockSizeWithFlags)
}
