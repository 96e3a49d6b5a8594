// What a crop leaves of its tile: engines.extension defines it.

const int CELL_COLUMNS = 16, CELL_ROWS = 18, PLANES = 3;
const float BRIGHTNESS = 0.6f, BLACK = 16, GREY = 128;
const int CELL_THREADS = 128;

// One tile; edges are those of its cells, for luma and chroma.
struct Extension {
    Frame frame;
    int across[2][CELL_COLUMNS + 1], down[2][CELL_ROWS + 1];
    int left, top, width, height;                 // the part of the tile that the crop fills, in luma samples
};

// The darkened mean of each cell, (PLANES, CELL_ROWS, CELL_COLUMNS): a thread block each.
extern "C" __global__ void __launch_bounds__(CELL_THREADS)
extension_cells(Extension e, float* cells) {
    __shared__ unsigned sums[CELL_THREADS];
    int column = blockIdx.x, row = blockIdx.y, plane = blockIdx.z, chroma = plane > 0, thread = threadIdx.x;
    int x0 = e.across[chroma][column], y0 = e.down[chroma][row];
    int w = max(1, e.across[chroma][column + 1] - x0), h = max(1, e.down[chroma][row + 1] - y0);
    unsigned sum = 0;
    for (int n = thread; n < w * h; n += CELL_THREADS) {
        int x = x0 + n % w, y = y0 + n / w;
        sum += chroma ? chroma_row(e.frame, y)[2 * x + plane - 1] : luma_row(e.frame, y)[x];
    }
    sums[thread] = sum;
    for (int step = CELL_THREADS / 2; step > 0; step /= 2) {
        __syncthreads();
        if (thread < step) sums[thread] += sums[thread + step];
    }
    if (thread == 0) {
        float dark = chroma ? GREY : BLACK;
        cells[(plane * CELL_ROWS + row) * CELL_COLUMNS + column] = dark + BRIGHTNESS * ((float)sums[0] / (w * h) - dark);
    }
}

// The weights of four cells at the middle of a sample, and the first of them.
__device__ int spline(int sample, int samples, int cells, float weight[4]) {
    float at = (sample + 0.5f) * cells / samples - 0.5f, f = at - floorf(at), g = 1 - f;
    weight[0] = g * g * g / 6;
    weight[1] = 2.0f / 3 - f * f + f * f * f / 2;
    weight[2] = 2.0f / 3 - g * g + g * g * g / 2;
    weight[3] = f * f * f / 6;
    return (int)floorf(at) - 1;
}

__device__ u8 extended(const float* cells, int x, int y, int width, int height) {
    float across[4], down[4], sum = 0;
    int column = spline(x, width, CELL_COLUMNS, across), row = spline(y, height, CELL_ROWS, down);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++)
            sum += down[j] * across[i] *
                   cells[clamped(row + j, 0, CELL_ROWS - 1) * CELL_COLUMNS + clamped(column + i, 0, CELL_COLUMNS - 1)];
    return rounded(sum);
}

// Fill a tile of width x height around its picture, two by two pixels a thread; rows of the output are `pitch` long.
extern "C" __global__ void extend(Extension e, const float* cells, u8* luma, u8* chroma, int pitch, int width, int height) {
    int x = 2 * (blockIdx.x * blockDim.x + threadIdx.x), y = 2 * (blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= width || y >= height) return;
    if (x >= e.left && x < e.left + e.width && y >= e.top && y < e.top + e.height) return;
    for (int n = 0; n < 4; n++)
        luma[(long long)(y + n / 2) * pitch + x + n % 2] = extended(cells, x + n % 2, y + n / 2, width, height);
    for (int plane = 1; plane < PLANES; plane++)
        chroma[(long long)(y / 2) * pitch + x + plane - 1] =
            extended(cells + plane * CELL_ROWS * CELL_COLUMNS, x / 2, y / 2, width / 2, height / 2);
}
