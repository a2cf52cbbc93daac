/* Stands in for libnvidia-ml.so.1: two GPUs, the second one as sparing with its answers as a Jetson's.
   FAKE_NVML_INIT sets what starting it returns, FAKE_NVML_PID the process that holds memory on the first GPU, and
   FAKE_NVML_USED how many bytes. */
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, MISMATCH = 18 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu, compute; } Process;

static int devices[2] = {0, 1};

static unsigned long long from_environment(const char *name, unsigned long long otherwise) {
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

static int copy(char *to, unsigned int size, const char *text) {
    if (strlen(text) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(to, text);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags) { return (int)from_environment("FAKE_NVML_INIT", SUCCESS); }

const char *nvmlErrorString(int status) {
    return status == MISMATCH ? "Driver/library version mismatch" : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *text, unsigned int size) { return copy(text, size, "580.95.05"); }

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 12080;
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, int **device) {
    if (index > 1) return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

int nvmlDeviceGetName(int *device, char *text, unsigned int size) {
    return copy(text, size, *device ? "Orin (nvgpu)" : "NVIDIA GeForce RTX 4090");
}

int nvmlDeviceGetUUID(int *device, char *text, unsigned int size) {
    return *device ? NOT_SUPPORTED : copy(text, size, "GPU-0f3c");
}

int nvmlDeviceGetMemoryInfo(int *device, Memory *memory) {
    if (*device) return NOT_SUPPORTED;
    memory->total = 24ULL << 30;
    memory->free = 20ULL << 30;
    memory->used = 4ULL << 30;
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(int *device, int *major, int *minor) {
    *major = 8;
    *minor = *device ? 7 : 9;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(int *device, unsigned int *count, Process *processes) {
    if (*device) return NOT_SUPPORTED;
    if (*count < 3) {
        *count = 3;
        return INSUFFICIENT_SIZE;
    }
    unsigned int pid = (unsigned int)from_environment("FAKE_NVML_PID", 0);
    unsigned long long used = from_environment("FAKE_NVML_USED", 1000);
    /* A process with two contexts has two entries. */
    processes[0] = (Process){pid, used, 0xFFFFFFFF, 0xFFFFFFFF};
    processes[1] = (Process){1, 5, 0xFFFFFFFF, 0xFFFFFFFF};
    processes[2] = (Process){pid, 24, 0xFFFFFFFF, 0xFFFFFFFF};
    *count = 3;
    return SUCCESS;
}
