// Inputs of the models, and the candidates in the detector's outputs.

// The part of a plane that one sample of a smaller plane covers, with the share of each sample in it.
struct Span {
    float low, high;
    int first, last;
    __device__ __forceinline__ Span(int index, float step, int limit) {
        low = index * step;
        high = low + step;
        first = clamped((int)low, 0, limit - 1);
        last = clamped((int)ceilf(high - 1e-3f) - 1, first, limit - 1);
    }
    __device__ __forceinline__ float share(int sample) const {
        return first == last ? 1.0f : fminf(high, sample + 1.0f) - fmaxf(low, (float)sample);
    }
};

// Mean of the luma under a cell of a grid of columns x rows over a rectangle that begins at (x0, y0).
__device__ float luma_mean(const Frame& frame, int x0, int y0, const Span& across, const Span& down) {
    float sum = 0, weight = 0;
    for (int y = down.first; y <= down.last; y++) {
        const u8* row = luma_row(frame, y0 + y) + x0;
        float line = 0, share = down.share(y);
        for (int x = across.first; x <= across.last; x++) {
            line += across.share(x) * row[x];
            weight += across.share(x) * share;
        }
        sum += share * line;
    }
    return sum / weight;
}

__device__ Pair chroma_mean(const Frame& frame, int x0, int y0, const Span& across, const Span& down) {
    Pair sum = {0, 0};
    float weight = 0;
    for (int y = down.first; y <= down.last; y++) {
        const u8* row = chroma_row(frame, y0 + y) + 2 * x0;
        float share_y = down.share(y);
        for (int x = across.first; x <= across.last; x++) {
            float share = across.share(x) * share_y;
            sum.u += share * row[2 * x];
            sum.v += share * row[2 * x + 1];
            weight += share;
        }
    }
    return {sum.u / weight, sum.v / weight};
}

// A plane of columns x rows over a rectangle of width x height: by area where it is smaller, else bilinear.
struct Scaled {
    Frame frame;
    int x0, y0, width, height;    // of the rectangle, in luma samples, even
    int columns, rows;            // of the small frame, even

    __device__ u8 luma(int x, int y) const {
        if (width < columns || height < rows) return luma_between(x, y);
        Span across(x, (float)width / columns, width), down(y, (float)height / rows, height);
        return mean_rounded(luma_mean(frame, x0, y0, across, down));
    }

    // Luma means of two by two are rounded as OpenCV does it: halves up, all others to even.
    __device__ u8 mean_rounded(float mean) const {
        return width == 2 * columns && height == 2 * rows ? (u8)(mean + 0.5f) : rounded(mean);
    }

    __device__ Pair chroma(int x, int y) const {
        if (width < columns || height < rows) return chroma_between(x, y);
        int across_limit = (width + 1) / 2, down_limit = (height + 1) / 2;
        Span across(x, 2.0f * across_limit / columns, across_limit), down(y, 2.0f * down_limit / rows, down_limit);
        Pair mean = chroma_mean(frame, x0 / 2, y0 / 2, across, down);
        return {(float)rounded(mean.u), (float)rounded(mean.v)};
    }

    __device__ u8 luma_between(int x, int y) const {
        float fx, fy;
        int left = between(x, (float)width / columns, width, fx), top = between(y, (float)height / rows, height, fy);
        int right = min(left + 1, width - 1), bottom = min(top + 1, height - 1);
        const u8 *above = luma_row(frame, y0 + top) + x0, *below = luma_row(frame, y0 + bottom) + x0;
        return rounded(mixed(above[left], above[right], below[left], below[right], fx, fy));
    }

    __device__ Pair chroma_between(int x, int y) const {
        int across = (width + 1) / 2, down = (height + 1) / 2;
        float fx, fy;
        int left = between(x, 2.0f * across / columns, across, fx), top = between(y, 2.0f * down / rows, down, fy);
        int right = min(left + 1, across - 1), bottom = min(top + 1, down - 1);
        const u8 *above = chroma_row(frame, y0 / 2 + top) + x0, *below = chroma_row(frame, y0 / 2 + bottom) + x0;
        Pair result;
        result.u = rounded(mixed(above[2 * left], above[2 * right], below[2 * left], below[2 * right], fx, fy));
        above++, below++;
        result.v = rounded(mixed(above[2 * left], above[2 * right], below[2 * left], below[2 * right], fx, fy));
        return result;
    }

    static __device__ int between(int index, float step, int limit, float& fraction) {
        float at = fminf(fmaxf((index + 0.5f) * step - 0.5f, 0.0f), limit - 1.0f);
        int low = (int)at;
        fraction = at - low;
        return low;
    }

    static __device__ float mixed(float a, float b, float c, float d, float fx, float fy) {
        float top = a + (b - a) * fx, bottom = c + (d - c) * fx;
        return top + (bottom - top) * fy;
    }
};

// BT.601 of limited range, in the fixed point of 20 bits that OpenCV uses, so that both agree to the bit.
__device__ void to_bgr(u8 luma, Pair chroma, float bgr[3]) {
    const int ROUND = 1 << 19, SHIFT = 20;
    const int GAIN = 1220542, BLUE_U = 2116026, GREEN_U = -409993, GREEN_V = -852492, RED_V = 1673527;
    int y = max(0, (int)luma - 16) * GAIN, u = (int)chroma.u - 128, v = (int)chroma.v - 128;
    bgr[0] = clamped((y + BLUE_U * u + ROUND) >> SHIFT, 0, 255);
    bgr[1] = clamped((y + GREEN_U * u + GREEN_V * v + ROUND) >> SHIFT, 0, 255);
    bgr[2] = clamped((y + RED_V * v + ROUND) >> SHIFT, 0, 255);
}

// (N, 3, height, width), BGR 0..255: the frame scaled to columns x rows, top left, black around it.
// One thread per chroma sample of the small frame.
extern "C" __global__ void detector_input(Frames frames, float* out, int width, int height, int columns, int rows) {
    int cx = blockIdx.x * blockDim.x + threadIdx.x, cy = blockIdx.y * blockDim.y + threadIdx.y;
    if (2 * cx >= width || 2 * cy >= height) return;
    const Frame& frame = frames.at[blockIdx.z];
    long long plane = (long long)width * height;
    float* corner = out + 3 * plane * blockIdx.z + (long long)2 * cy * width + 2 * cx;
    bool inside = 2 * cx < columns && 2 * cy < rows;
    Scaled small = {frame, 0, 0, frame.width, frame.height, columns, rows};
    Pair chroma = {128, 128};
    if (inside) chroma = small.chroma(cx, cy);
    for (int dy = 0; dy < 2; dy++)
        for (int dx = 0; dx < 2; dx++) {
            float bgr[3] = {0, 0, 0};
            if (inside) to_bgr(small.luma(2 * cx + dx, 2 * cy + dy), chroma, bgr);
            for (int c = 0; c < 3; c++) corner[c * plane + (long long)dy * width + dx] = bgr[c];
        }
}

const int LIGHT_STEP = 8, LIGHT_THREADS = 256;

// Multiplies an input by a gain if the fourth-power mean of every eighth pixel across and down is less than `lit`.
// One block per image.
extern "C" __global__ void brighten(
    float* out, int width, int height, int columns, int rows, float lit, float most_gain) {
    __shared__ float sums[LIGHT_THREADS];
    long long plane = (long long)width * height;
    float* image = out + 3 * plane * blockIdx.x;
    int across = (columns + LIGHT_STEP - 1) / LIGHT_STEP, down = (rows + LIGHT_STEP - 1) / LIGHT_STEP;
    int samples = 3 * across * down;
    float sum = 0;
    for (int n = threadIdx.x; n < samples; n += LIGHT_THREADS) {
        int channel = n / (across * down), y = n / across % down * LIGHT_STEP, x = n % across * LIGHT_STEP;
        float square = image[channel * plane + (long long)y * width + x];
        square *= square;
        sum += square * square;
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (int half = LIGHT_THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    float gain = fminf(most_gain, lit / fmaxf(sqrtf(sqrtf(sums[0] / samples)), 1.0f));
    if (gain <= 1) return;
    for (long long n = threadIdx.x; n < 3 * plane; n += LIGHT_THREADS) image[n] = fminf(image[n] * gain, 255.0f);
}

const int ROWS_AVERAGED = 10;  // of the frame, for each row of a thumbnail

// (N, rows, columns) luma by area, of every n-th row where there are many.
// One warp per sample: each covers hundreds of those of a large frame.
extern "C" __global__ void thumbnails(Frames frames, u8* out, int columns, int rows) {
    int lane = threadIdx.x, column = blockIdx.x * blockDim.y + threadIdx.y, row = blockIdx.y;
    const Frame& frame = frames.at[blockIdx.z];
    if (column >= columns) return;
    Span across(column, (float)frame.width / columns, frame.width);
    int nth = max(1, frame.height / rows / ROWS_AVERAGED), height = (frame.height + nth - 1) / nth;
    Span down(row, (float)height / rows, height);
    float sum = 0, weight = 0;
    int wide = across.last - across.first + 1, high = down.last - down.first + 1;
    for (int n = lane; n < wide * high; n += 32) {
        int x = across.first + n % wide, y = down.first + n / wide;
        float share = across.share(x) * down.share(y);
        sum += share * luma_row(frame, y * nth)[x];
        weight += share;
    }
    for (int step = 16; step > 0; step /= 2) {
        sum += __shfl_down_sync(0xffffffffu, sum, step);
        weight += __shfl_down_sync(0xffffffffu, weight, step);
    }
    if (lane == 0) out[((long long)blockIdx.z * rows + row) * columns + column] = rounded(sum / weight);
}

// Where a face's chip lies: a rectangle of the frame, how much smaller it is read, and the way from chip to there.
struct Chip {
    int x0, y0, width, height;
    int columns, rows;
    float transform[6];           // (2, 3): pixels of the chip to those of the small rectangle
};

const int MOST_CHIPS = 16;

struct Chips {
    Chip at[MOST_CHIPS];
};

// (N, 3, size, size), RGB 0..255. One thread per pixel of a chip; edges repeat.
extern "C" __global__ void aligned_chips(Frames frames, Chips chips, float* out, int size) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= size || y >= size) return;
    const Chip& chip = chips.at[blockIdx.z];
    Scaled small = {frames.at[blockIdx.z], chip.x0, chip.y0, chip.width, chip.height, chip.columns, chip.rows};
    float at_x = chip.transform[0] * x + chip.transform[1] * y + chip.transform[2];
    float at_y = chip.transform[3] * x + chip.transform[4] * y + chip.transform[5];
    int left = (int)floorf(at_x), top = (int)floorf(at_y);
    float fx = at_x - left, fy = at_y - top, sum[3] = {0, 0, 0};
    for (int n = 0; n < 4; n++) {
        int px = clamped(left + (n & 1), 0, chip.columns - 1), py = clamped(top + (n >> 1), 0, chip.rows - 1);
        float share = ((n & 1) ? fx : 1 - fx) * ((n >> 1) ? fy : 1 - fy), bgr[3];
        to_bgr(small.luma(px, py), small.chroma(px / 2, py / 2), bgr);
        for (int c = 0; c < 3; c++) sum[c] += share * bgr[c];
    }
    long long plane = (long long)size * size;
    float* pixel = out + 3 * plane * blockIdx.z + (long long)y * size + x;
    for (int c = 0; c < 3; c++) pixel[c * plane] = rounded(sum[2 - c]);
}

// The detector's twelve outputs: cls, obj, bbox and kps, each for three strides.
struct Outputs {
    u64 cls[3], obj[3], bbox[3], kps[3];
    int priors[3];
};

const int ROW = 17;               // frame, prior, confidence, 4 of the box, 10 of the landmarks

// Rows of the priors whose cls * obj reaches the threshold, in any order, behind their number (an int in out[0]).
extern "C" __global__ void candidates(Outputs outputs, float* out, int frames, float least) {
    int total = outputs.priors[0] + outputs.priors[1] + outputs.priors[2];
    int prior = blockIdx.x * blockDim.x + threadIdx.x, frame = blockIdx.y, level = 0, index = prior;
    if (prior >= total || frame >= frames) return;
    while (index >= outputs.priors[level]) index -= outputs.priors[level++];
    long long at = (long long)frame * outputs.priors[level] + index;
    float confidence = ((const float*)outputs.cls[level])[at] * ((const float*)outputs.obj[level])[at];
    if (!(confidence >= least)) return;
    float* row = out + 1 + (long long)ROW * atomicAdd((int*)out, 1);
    row[0] = frame;
    row[1] = prior;
    row[2] = confidence;
    for (int n = 0; n < 4; n++) row[3 + n] = ((const float*)outputs.bbox[level])[4 * at + n];
    for (int n = 0; n < 10; n++) row[7 + n] = ((const float*)outputs.kps[level])[10 * at + n];
}
