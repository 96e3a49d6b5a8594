// Types and functions that all kernels share. No header of CUDA or of the C library is needed, so the sources compile wherever NVRTC is.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned long long u64;

const int MOST_FRAMES = 32;

// An NV12 frame in device memory; pitches are in bytes. Passed by value, so that no launch needs a copy first.
struct Frame {
    u64 y, uv;
    int y_pitch, uv_pitch;
    int width, height;
};

struct Frames {
    Frame at[MOST_FRAMES];
};

struct Pair {
    float u, v;
};

__device__ __forceinline__ int clamped(int value, int low, int high) { return min(max(value, low), high); }

__device__ __forceinline__ u8 rounded(float value) { return (u8)clamped(__float2int_rn(value), 0, 255); }

__device__ __forceinline__ const u8* luma_row(const Frame& frame, int row) {
    return (const u8*)frame.y + (long long)row * frame.y_pitch;
}

__device__ __forceinline__ const u8* chroma_row(const Frame& frame, int row) {
    return (const u8*)frame.uv + (long long)row * frame.uv_pitch;
}
