// Tiles cut out of NV12 frames, side by side in one NV12 frame. The maths is that of engines.cpu.compose: per axis
// whole blocks are averaged, one Lanczos filter per frame moves by the fraction of a sample and takes away what the
// tile cannot hold, and a cubic kernel samples the rest. Here the last two are one row of weights per output sample.

struct Tile {
    Frame frame;
    double x, y, w, h;            // the crop in luma samples; w = 0 is a placeholder
    int left, top, width, height; // the part of the tile that the crop fills, in luma samples; extend.cu draws the rest
};

const int MOST_TILES = 32;

struct Tiles {
    Tile at[MOST_TILES];
};

const int COLUMNS = 32, ROWS = 32;                // bytes and rows of output per thread block
const int WARPS = 8;                              // of 32 threads, one for each column
const int LOBES = 3;
const int MOST_TAPS = 13;                         // of the Lanczos kernel, stretched by less than 2
const int MOST_WEIGHTS = 16;                      // ... and those of the cubic kernel beside them
const int PATCH_PITCH = 104, PATCH_ROWS = 2 * ROWS + MOST_WEIGHTS + 2;
const float LEAST_SHIFT = 1.0f / 512;
const u8 PLACEHOLDER_LUMA = 32, PLACEHOLDER_CHROMA = 128;

// How one axis of a crop becomes one axis of a tile; lengths are in blocks.
struct Axis {
    int block, first, cells, limit;
    float shift, scale;
    int lowest, taps;                             // of the Lanczos kernel, relative to a block
    float lanczos[MOST_TAPS];                     // not yet divided by their sum
};

__device__ void plan(Axis& axis, double start, double size, int out, int limit) {
    axis.block = 1;
    while (size >= 2.0 * axis.block * out) axis.block *= 2;
    start /= axis.block;
    size /= axis.block;
    axis.limit = limit / axis.block;
    axis.first = clamped((int)floor(start), 0, axis.limit - 1);
    axis.cells = max(1, min((int)ceil(start + size) + 1, axis.limit) - axis.first);
    axis.shift = (float)(start - axis.first);
    axis.scale = (float)(size / out);
}

__device__ float sinc(float x) { return x == 0 ? 1 : sinpif(x) / (3.14159265f * x); }

// Plan an axis with the threads of one warp, a tap each.
__device__ void prepare(Axis& shared, double start, double size, int out, int limit, int lane) {
    Axis axis;
    plan(axis, start, size, out, limit);
    float stretch = fmaxf(1.0f, axis.scale);
    bool at_rest = stretch == 1 && fabsf(axis.shift) < LEAST_SHIFT;
    axis.lowest = at_rest ? 0 : (int)ceilf(axis.shift - LOBES * stretch);
    axis.taps = at_rest ? 1 : min(MOST_TAPS, (int)floorf(axis.shift + LOBES * stretch) - axis.lowest + 1);
    if (lane == 0) shared = axis;
    __syncthreads();
    float distance = at_rest ? 0 : (axis.lowest + lane - axis.shift) / stretch;
    if (lane < axis.taps) shared.lanczos[lane] = sinc(distance) * sinc(distance / LOBES);
}

// Cubic convolution (Keys 1981) with a = -3/4 at distances 1 + f, f, 1 - f, 2 - f.
__device__ void cubic(float f, float weight[4]) {
    const float A = -0.75f;
    float g = 1 - f;
    weight[0] = ((A * (f + 1) - 5 * A) * (f + 1) + 8 * A) * (f + 1) - 4 * A;
    weight[1] = ((A + 2) * f - (A + 3)) * f * f + 1;
    weight[2] = ((A + 2) * g - (A + 3)) * g * g + 1;
    weight[3] = 1 - weight[0] - weight[1] - weight[2];
}

// Weight n of output sample `index`, and the first block that the weights apply to.
__device__ float weight_of(const Axis& axis, int index, int n, int& first) {
    float at = (index + 0.5f) * axis.scale - 0.5f, sum = 0, weight = 0;
    int before = (int)floorf(at) - 1, base = clamped(before, 0, axis.cells - 1);
    float kernel[4];
    cubic(at - floorf(at), kernel);
    first = axis.first + base + axis.lowest;
    for (int k = 0; k < axis.taps; k++) sum += axis.lanczos[k];
    for (int t = 0; t < 4; t++) {
        int k = n - (clamped(before + t, 0, axis.cells - 1) - base);
        if (k >= 0 && k < axis.taps) weight += kernel[t] * axis.lanczos[k];
    }
    return weight / sum;
}

// The mean of a block of samples of one channel, rounded to 8 bits.
__device__ u8 block_mean(const u8* plane, int pitch, int channels, int column, int row, int across, int down) {
    const u8* corner = plane + (long long)row * down * pitch + (long long)column * across * channels;
    if (across == 1 && down == 1) return *corner;
    int sum = 0;
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++) sum += corner[(long long)y * pitch + x * channels];
    return rounded((float)sum / (across * down));
}

struct Scratch {
    Axis across, down;
    int first_column[COLUMNS], first_row[ROWS];
    float column_weight[COLUMNS][MOST_WEIGHTS + 1], row_weight[ROWS][MOST_WEIGHTS + 1];
    u8 patch[PATCH_ROWS * PATCH_PITCH];
    float lines[PATCH_ROWS * COLUMNS];
};

// Where samples of a tile's plane come from and go to; lengths are in samples, pitches in bytes.
struct Job {
    const u8* plane;
    int pitch, width, height;
    double x, y, w, h;
    u8* out;
    int out_pitch, out_w, out_h;
};

// Draw a block of one plane of a tile, COLUMNS bytes wide, from (left, top) on. All threads of the block take part.
template <int CHANNELS>
__device__ void draw(Scratch& s, const Job& job, int left, int top) {
    const int WIDE = COLUMNS / CHANNELS, STEP = 4;
    int lane = threadIdx.x, warp = threadIdx.y, thread = warp * COLUMNS + lane;
    bool is_down = warp == 1;
    Axis unused;
    prepare(warp == 0 ? s.across : is_down ? s.down : unused, is_down ? job.y : job.x, is_down ? job.h : job.w,
            is_down ? job.out_h : job.out_w, is_down ? job.height : job.width, lane);
    __syncthreads();
    for (int n = thread; n < (WIDE + ROWS) * MOST_WEIGHTS; n += COLUMNS * WARPS) {
        int sample = n / MOST_WEIGHTS, k = n % MOST_WEIGHTS, first;
        if (sample < WIDE) {
            s.column_weight[sample][k] = weight_of(s.across, min(left + sample, job.out_w - 1), k, first);
            s.first_column[sample] = first;
        } else {
            sample -= WIDE;
            s.row_weight[sample][k] = weight_of(s.down, min(top + sample, job.out_h - 1), k, first);
            s.first_row[sample] = first;
        }
    }
    __syncthreads();
    int x0 = s.first_column[0], y0 = s.first_row[0], across = s.across.taps + 3, down = s.down.taps + 3;
    int patch_w = CHANNELS * (s.first_column[WIDE - 1] - x0 + across), patch_h = s.first_row[ROWS - 1] - y0 + down;
    for (int row = warp; row < patch_h; row += WARPS)
        for (int n = lane; n < patch_w; n += COLUMNS) {
            int column = clamped(x0 + n / CHANNELS, 0, s.across.limit - 1);
            s.patch[row * PATCH_PITCH + n] =
                block_mean(job.plane + n % CHANNELS, job.pitch, CHANNELS, column,
                           clamped(y0 + row, 0, s.down.limit - 1), s.across.block, s.down.block);
        }
    __syncthreads();
    int column = lane / CHANNELS;
    const float* weight = s.column_weight[column];
    const u8* from = s.patch + CHANNELS * (s.first_column[column] - x0) + lane % CHANNELS;
    for (int row = warp; row < patch_h; row += STEP * WARPS) {      // four rows at once share each weight
        float sum[STEP] = {0, 0, 0, 0};
        for (int k = 0; k < across; k++)
            for (int n = 0; n < STEP; n++)
                sum[n] += weight[k] * from[min(row + n * WARPS, patch_h - 1) * PATCH_PITCH + CHANNELS * k];
        for (int n = 0; n < STEP && row + n * WARPS < patch_h; n++) s.lines[(row + n * WARPS) * COLUMNS + lane] = sum[n];
    }
    __syncthreads();
    for (int row = warp; row < ROWS; row += WARPS) {
        if (top + row >= job.out_h || left + column >= job.out_w) continue;
        const float* line = s.lines + (s.first_row[row] - y0) * COLUMNS + lane;
        float sum = 0;
        for (int k = 0; k < down; k++) sum += s.row_weight[row][k] * line[k * COLUMNS];
        job.out[(long long)(top + row) * job.out_pitch + CHANNELS * left + lane] = rounded(sum);
    }
}

__device__ void fill(const Job& job, int channels, int left, int top, u8 value) {
    int column = channels * left + threadIdx.x;
    for (int row = top + threadIdx.y; row < min(top + ROWS, job.out_h); row += WARPS)
        if (column < channels * job.out_w) job.out[(long long)row * job.out_pitch + column] = value;
}

// N NV12 frames of width x height, `tiles` tiles side by side in each; rows of thread blocks for luma come first.
extern "C" __global__ void __launch_bounds__(COLUMNS * WARPS)
compose(Tiles all, u8* out, int width, int height, int tiles) {
    __shared__ Scratch scratch;
    const Tile& tile = all.at[blockIdx.z];
    const Frame& frame = tile.frame;
    int out_w = width / tiles, luma_blocks = (height + ROWS - 1) / ROWS, row = blockIdx.y;
    long long frame_size = (long long)width * height;
    u8* base = out + (blockIdx.z / tiles) * (frame_size + frame_size / 2) + (long long)(blockIdx.z % tiles) * out_w;
    if (row < luma_blocks) {
        Job job = {(const u8*)frame.y, frame.y_pitch, frame.width, frame.height, tile.x, tile.y, tile.w, tile.h,
                   base + (long long)tile.top * width + tile.left, width, tile.width, tile.height};
        int left = blockIdx.x * COLUMNS, top = row * ROWS;
        if (left >= job.out_w || top >= job.out_h) return;
        if (tile.w <= 0) fill(job, 1, left, top, PLACEHOLDER_LUMA);
        else draw<1>(scratch, job, left, top);
    } else {
        // Chroma is sited left, at the first of two luma columns and between two rows, in source and result alike.
        double siting = (1 - tile.w / tile.width) / 4;
        Job job = {(const u8*)frame.uv, frame.uv_pitch, (frame.width + 1) / 2, (frame.height + 1) / 2,
                   tile.x / 2 + siting, tile.y / 2, tile.w / 2, tile.h / 2,
                   base + frame_size + (long long)(tile.top / 2) * width + tile.left, width,
                   tile.width / 2, tile.height / 2};
        int left = blockIdx.x * (COLUMNS / 2), top = (row - luma_blocks) * ROWS;
        if (left >= job.out_w || top >= job.out_h) return;
        if (tile.w <= 0) fill(job, 2, left, top, PLACEHOLDER_CHROMA);
        else draw<2>(scratch, job, left, top);
    }
}
