// From a decoder's surface to an upright 8-bit NV12 frame of limited range.

// A surface of the decoder: 4:2:0, chroma interleaved, 8 bits or up to 16 with the value in the upper bits.
struct Surface {
    u64 y, uv;
    int y_pitch, uv_pitch;        // bytes
    int width, height;
    int wide;                     // 1: two bytes per sample
    int clockwise_deg, mirrored;  // how it becomes upright: turned, then mirrored left to right
    float black, luma_gain;       // 8-bit value = black + luma_gain * stored value
    float grey, chroma_gain;
};

// Thresholds of ordered dither after Bayer (1973), 8 x 8, in 0..63: bits of x ^ y and y interleaved, lowest first.
__device__ __forceinline__ float bayer(int x, int y) {
    int mixed = x ^ y, threshold = 0;
    for (int bit = 0; bit < 3; bit++) {
        threshold |= ((mixed >> bit) & 1) << (5 - 2 * bit);
        threshold |= ((y >> bit) & 1) << (4 - 2 * bit);
    }
    return (threshold + 0.5f) / 64;
}

__device__ __forceinline__ float stored(u64 plane, int pitch, int wide, int x, int y) {
    const u8* row = (const u8*)plane + (long long)y * pitch;
    return wide ? (float)((const u16*)row)[x] : (float)row[x];
}

__device__ __forceinline__ u8 eight_bits(float value, int wide, int x, int y) {
    if (!wide) return rounded(value);
    return (u8)clamped((int)floorf(value + bayer(x & 7, y & 7)), 0, 255);
}

// Where in a stored plane of width x height the sample lies that is shown at (x, y).
__device__ __forceinline__ void source_of(const Surface& s, int width, int height, int x, int y, int& sx, int& sy) {
    bool sideways = s.clockwise_deg == 90 || s.clockwise_deg == 270;
    if (s.mirrored) x = (sideways ? height : width) - 1 - x;
    switch (s.clockwise_deg) {
        case 90: sx = y; sy = height - 1 - x; break;
        case 180: sx = width - 1 - x; sy = height - 1 - y; break;
        case 270: sx = width - 1 - y; sy = x; break;
        default: sx = x; sy = y;
    }
}

// One thread per chroma sample of the result and the four luma samples that belong to it.
extern "C" __global__ void upright(Surface s, Frame out) {
    int cx = blockIdx.x * blockDim.x + threadIdx.x, cy = blockIdx.y * blockDim.y + threadIdx.y;
    if (2 * cx >= out.width || 2 * cy >= out.height) return;
    int sx, sy;
    for (int y = 2 * cy; y < min(2 * cy + 2, out.height); y++)
        for (int x = 2 * cx; x < min(2 * cx + 2, out.width); x++) {
            source_of(s, s.width, s.height, x, y, sx, sy);
            float value = s.black + s.luma_gain * stored(s.y, s.y_pitch, s.wide, sx, sy);
            ((u8*)luma_row(out, y))[x] = eight_bits(value, s.wide, x, y);
        }
    source_of(s, (s.width + 1) / 2, (s.height + 1) / 2, cx, cy, sx, sy);
    u8* pair = (u8*)chroma_row(out, cy) + 2 * cx;
    for (int c = 0; c < 2; c++) {
        float value = s.grey + s.chroma_gain * stored(s.uv, s.uv_pitch, s.wide, 2 * sx + c, sy);
        pair[c] = eight_bits(value, s.wide, cx, cy);
    }
}
