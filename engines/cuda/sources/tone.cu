// From a decoder's surface of HDR or BT.2020 to an upright 8-bit NV12 frame of BT.709, by a table of engines.tone_map.

struct Tone {
    u64 table;                    // float, size^3 times R', G', B'; indexed by R', G', B' of the source
    int size;
    float black, luma_gain;       // Y' = black + luma_gain * stored value
    float grey, chroma_gain;      // Cb', Cr' likewise
    float kr, kb;                 // of the source's matrix
};

struct Rgb {
    float r, g, b;
};

__device__ __forceinline__ float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }

__device__ __forceinline__ void add(Rgb& sum, float weight, const float* node) {
    sum.r += weight * node[0];
    sum.g += weight * node[1];
    sum.b += weight * node[2];
}

// Tetrahedral interpolation: along the edges of a cell from its lowest corner, the largest fraction first.
__device__ Rgb looked_up(const Tone& tone, Rgb at) {
    int last = tone.size - 1;
    float place[3] = {at.r * last, at.g * last, at.b * last}, part[3];
    int step[3] = {3 * tone.size * tone.size, 3 * tone.size, 3}, order[3] = {0, 1, 2};
    const float* node = (const float*)tone.table;
    for (int c = 0; c < 3; c++) {
        int low = min((int)place[c], last - 1);
        part[c] = place[c] - low;
        node += low * step[c];
    }
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2 - a; b++)
            if (part[order[b]] < part[order[b + 1]]) {
                int other = order[b];
                order[b] = order[b + 1];
                order[b + 1] = other;
            }
    Rgb sum = {0, 0, 0};
    add(sum, 1 - part[order[0]], node);
    for (int n = 0; n < 3; n++) {
        node += step[order[n]];
        add(sum, part[order[n]] - (n < 2 ? part[order[n + 1]] : 0.0f), node);
    }
    return sum;
}

// Chroma between stored samples, which are sited at the first of two columns and between two rows.
__device__ Pair chroma_at(const Surface& s, int x, int y) {
    int width = (s.width + 1) / 2, height = (s.height + 1) / 2;
    float down = (y - 0.5f) / 2, fy = down - floorf(down), fx = (x & 1) * 0.5f;
    int left = min(x / 2, width - 1), right = min(left + 1, width - 1);
    int top = clamped((int)floorf(down), 0, height - 1), bottom = clamped((int)floorf(down) + 1, 0, height - 1);
    float sum[2];
    for (int c = 0; c < 2; c++) {
        float above = (1 - fx) * stored(s.uv, s.uv_pitch, s.wide, 2 * left + c, top) +
                      fx * stored(s.uv, s.uv_pitch, s.wide, 2 * right + c, top);
        float below = (1 - fx) * stored(s.uv, s.uv_pitch, s.wide, 2 * left + c, bottom) +
                      fx * stored(s.uv, s.uv_pitch, s.wide, 2 * right + c, bottom);
        sum[c] = (1 - fy) * above + fy * below;
    }
    return {sum[0], sum[1]};
}

// BT.709 R'G'B' of the stored luma sample at (x, y).
__device__ Rgb mapped(const Surface& s, const Tone& tone, int x, int y) {
    x = clamped(x, 0, s.width - 1);
    y = clamped(y, 0, s.height - 1);
    Pair chroma = chroma_at(s, x, y);
    float luma = tone.black + tone.luma_gain * stored(s.y, s.y_pitch, s.wide, x, y);
    float r = luma + 2 * (1 - tone.kr) * (tone.grey + tone.chroma_gain * chroma.v);
    float b = luma + 2 * (1 - tone.kb) * (tone.grey + tone.chroma_gain * chroma.u);
    float g = (luma - tone.kr * r - tone.kb * b) / (1 - tone.kr - tone.kb);
    return looked_up(tone, {unit(r), unit(g), unit(b)});
}

__device__ __forceinline__ float luma_of(Rgb c) { return 0.2126f * c.r + 0.7152f * c.g + 0.0722f * c.b; }

__device__ __forceinline__ u8 dithered(float value, int x, int y) {
    return (u8)clamped((int)floorf(value + bayer(x & 7, y & 7)), 0, 255);
}

// One thread per chroma sample of the result and the four luma samples that belong to it. The size must be even.
extern "C" __global__ void tone_mapped(Surface s, Frame out, Tone tone) {
    int cx = blockIdx.x * blockDim.x + threadIdx.x, cy = blockIdx.y * blockDim.y + threadIdx.y;
    if (2 * cx >= out.width || 2 * cy >= out.height) return;
    int kx, ky, sx, sy;
    source_of(s, s.width / 2, s.height / 2, cx, cy, kx, ky);
    float luma[2][2];
    Rgb mean = {0, 0, 0};
    for (int dy = 0; dy < 2; dy++)
        for (int dx = -1; dx < 2; dx++) {
            Rgb rgb = mapped(s, tone, 2 * kx + dx, 2 * ky + dy);
            float node[3] = {rgb.r, rgb.g, rgb.b};
            add(mean, dx == 0 ? 0.25f : 0.125f, node);
            if (dx >= 0) luma[dy][dx] = luma_of(rgb);
        }
    for (int y = 2 * cy; y < 2 * cy + 2; y++)
        for (int x = 2 * cx; x < 2 * cx + 2; x++) {
            source_of(s, s.width, s.height, x, y, sx, sy);
            ((u8*)luma_row(out, y))[x] = dithered(16 + 219 * luma[sy & 1][sx & 1], x, y);
        }
    u8* pair = (u8*)chroma_row(out, cy) + 2 * cx;
    float grey = luma_of(mean);
    pair[0] = dithered(128 + 224 * (mean.b - grey) / 1.8556f, cx, cy);
    pair[1] = dithered(128 + 224 * (mean.r - grey) / 1.5748f, cx, cy);
}
