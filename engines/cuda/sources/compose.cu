// Tiles cut out of NV12 pictures, side by side in one NV12 picture. The maths is that of engines.cpu.compose: per axis
// whole blocks are averaged, one Lanczos filter per picture moves by the fraction of a sample and takes away what the
// tile cannot hold, and a cubic kernel samples the rest. Here the last two are one row of weights per output sample.

struct Tile {
    Picture picture;
    double x, y, w, h;            // the crop in luma samples; w = 0 is a placeholder
};

const int MOST_TILES = 32;

struct Tiles {
    Tile at[MOST_TILES];
};

const int COLUMNS = 32, ROWS = 16;                // output samples per thread block
const int LOBES = 3;
const int MOST_TAPS = 13;                         // of the Lanczos kernel, stretched by less than 2
const int MOST_WEIGHTS = MOST_TAPS + 3;
const int PATCH_W = 2 * COLUMNS + MOST_WEIGHTS + 2, PATCH_H = 2 * ROWS + MOST_WEIGHTS + 2;
const float LEAST_SHIFT = 1.0f / 512;
const u8 PLACEHOLDER_LUMA = 32, PLACEHOLDER_CHROMA = 128;

// How one axis of a crop becomes one axis of a tile; lengths are in blocks.
struct Axis {
    int block, first, cells, limit;
    float shift, scale;
    int lowest, taps;                             // of the Lanczos kernel, relative to a block
    float lanczos[MOST_TAPS];
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

__device__ void weigh(Axis& axis) {
    float stretch = fmaxf(1.0f, axis.scale);
    bool at_rest = stretch == 1 && fabsf(axis.shift) < LEAST_SHIFT;
    axis.lowest = at_rest ? 0 : (int)ceilf(axis.shift - LOBES * stretch);
    axis.taps = at_rest ? 1 : min(MOST_TAPS, (int)floorf(axis.shift + LOBES * stretch) - axis.lowest + 1);
    float sum = 0;
    for (int k = 0; k < axis.taps; k++) {
        float distance = at_rest ? 0 : (axis.lowest + k - axis.shift) / stretch;
        axis.lanczos[k] = sinc(distance) * sinc(distance / LOBES);
        sum += axis.lanczos[k];
    }
    for (int k = 0; k < axis.taps; k++) axis.lanczos[k] /= sum;
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

// Weights of output sample `index`: the first block that they apply to, and how many there are.
__device__ int weights_of(const Axis& axis, int index, float weight[MOST_WEIGHTS]) {
    float at = (index + 0.5f) * axis.scale - 0.5f;
    int before = (int)floorf(at) - 1, base = clamped(before, 0, axis.cells - 1);
    float kernel[4];
    cubic(at - floorf(at), kernel);
    for (int n = 0; n < MOST_WEIGHTS; n++) weight[n] = 0;
    for (int t = 0; t < 4; t++) {
        int cell = clamped(before + t, 0, axis.cells - 1) - base;
        for (int k = 0; k < axis.taps; k++) weight[cell + k] += kernel[t] * axis.lanczos[k];
    }
    return axis.first + base + axis.lowest;
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
    u8 patch[2 * PATCH_H * PATCH_W];
    float lines[2 * PATCH_H * COLUMNS];
};

// Draw COLUMNS x ROWS samples of one plane of a tile, from (left, top) on. All threads of the block take part.
__device__ void draw(Scratch& s, const u8* plane, int pitch, int channels, int width, int height,
                     double x, double y, double w, double h, u8* out, int out_pitch, int out_w, int out_h,
                     int left, int top) {
    int thread = threadIdx.x, threads = blockDim.x;
    if (thread == 0) {
        plan(s.across, x, w, out_w, width);
        weigh(s.across);
    }
    if (thread == 32) {
        plan(s.down, y, h, out_h, height);
        weigh(s.down);
    }
    __syncthreads();
    if (thread < COLUMNS) {
        int column = min(left + thread, out_w - 1);
        s.first_column[thread] = weights_of(s.across, column, s.column_weight[thread]);
    } else if (thread < COLUMNS + ROWS) {
        int n = thread - COLUMNS, row = min(top + n, out_h - 1);
        s.first_row[n] = weights_of(s.down, row, s.row_weight[n]);
    }
    __syncthreads();
    int x0 = s.first_column[0], y0 = s.first_row[0];
    int across = s.across.taps + 3, down = s.down.taps + 3;
    int patch_w = min(PATCH_W, s.first_column[COLUMNS - 1] - x0 + across);
    int patch_h = min(PATCH_H, s.first_row[ROWS - 1] - y0 + down);
    for (int n = thread; n < patch_w * patch_h; n += threads) {
        int column = clamped(x0 + n % patch_w, 0, s.across.limit - 1);
        int row = clamped(y0 + n / patch_w, 0, s.down.limit - 1);
        for (int c = 0; c < channels; c++)
            s.patch[channels * n + c] =
                block_mean(plane + c, pitch, channels, column, row, s.across.block, s.down.block);
    }
    __syncthreads();
    int line = channels * COLUMNS;
    for (int n = thread; n < patch_h * line; n += threads) {
        int row = n / line, column = n % line / channels, c = n % channels;
        const u8* from = s.patch + channels * (row * patch_w + s.first_column[column] - x0) + c;
        float sum = 0;
        for (int k = 0; k < across; k++) sum += s.column_weight[column][k] * from[channels * k];
        s.lines[n] = sum;
    }
    __syncthreads();
    for (int n = thread; n < ROWS * line; n += threads) {
        int row = n / line, column = n % line;
        if (top + row >= out_h || channels * left + column >= channels * out_w) continue;
        const float* from = s.lines + (s.first_row[row] - y0) * line + column;
        float sum = 0;
        for (int k = 0; k < down; k++) sum += s.row_weight[row][k] * from[k * line];
        out[(long long)(top + row) * out_pitch + channels * left + column] = rounded(sum);
    }
}

__device__ void fill(u8* out, int pitch, int width, int height, int left, int top, int columns, u8 value) {
    for (int n = threadIdx.x; n < columns * ROWS; n += blockDim.x) {
        int row = top + n / columns, column = left + n % columns;
        if (row < height && column < width) out[(long long)row * pitch + column] = value;
    }
}

// N NV12 pictures of width x height, `tiles` tiles side by side in each; rows of thread blocks for luma come first.
extern "C" __global__ void compose(Tiles all, u8* out, int width, int height, int tiles) {
    __shared__ Scratch scratch;
    const Tile& tile = all.at[blockIdx.z];
    const Picture& picture = tile.picture;
    int side = blockIdx.z % tiles, out_w = width / tiles, luma_blocks = (height + ROWS - 1) / ROWS;
    bool luma = (int)blockIdx.y < luma_blocks;
    int left = blockIdx.x * COLUMNS, top = ((int)blockIdx.y - (luma ? 0 : luma_blocks)) * ROWS;
    long long picture_size = (long long)width * height;
    u8* base = out + (blockIdx.z / tiles) * (picture_size + picture_size / 2) + (long long)side * out_w;
    if (!luma) {
        base += picture_size;
        height /= 2;
        out_w /= 2;
    }
    if (left >= out_w) return;
    if (tile.w <= 0) {
        int channels = luma ? 1 : 2;
        fill(base, width, channels * out_w, height, channels * left, top, channels * COLUMNS,
             luma ? PLACEHOLDER_LUMA : PLACEHOLDER_CHROMA);
    } else if (luma) {
        draw(scratch, (const u8*)picture.y, picture.y_pitch, 1, picture.width, picture.height,
             tile.x, tile.y, tile.w, tile.h, base, width, out_w, height, left, top);
    } else {
        // Chroma is sited left, at the first of two luma columns and between two rows, in source and result alike.
        double siting = (1 - tile.w / (2.0 * out_w)) / 4;
        draw(scratch, (const u8*)picture.uv, picture.uv_pitch, 2, (picture.width + 1) / 2, (picture.height + 1) / 2,
             tile.x / 2 + siting, tile.y / 2, tile.w / 2, tile.h / 2, base, width, out_w, height, left, top);
    }
}
