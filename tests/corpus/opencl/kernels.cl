// clang-19 -x cl -cl-std=CL1.2 --target=nvptx64-nvidia-cuda -march=sm_70 -O2 -S -Xclang -target-feature -Xclang +ptx70 -o kernels.ptx kernels.cl
// On a processor (pocl) these are OpenCL C as it is. For PTX the few functions below stand in for a library.
#ifdef __NVPTX__
typedef unsigned int uint;
#define barrier(flags) __nvvm_bar_sync(0)
#define atomic_inc(p) __atomic_fetch_add((p), 1u, __ATOMIC_RELAXED)
#define atomic_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define sqrt(x) __nvvm_sqrt_rn_f(x)
static inline __attribute__((always_inline)) uint get_local_id(uint d) {
  return d == 0 ? __nvvm_read_ptx_sreg_tid_x() : __nvvm_read_ptx_sreg_tid_y();
}
static inline __attribute__((always_inline)) uint get_group_id(uint d) {
  return d == 0 ? __nvvm_read_ptx_sreg_ctaid_x() : __nvvm_read_ptx_sreg_ctaid_y();
}
static inline __attribute__((always_inline)) uint get_local_size(uint d) {
  return d == 0 ? __nvvm_read_ptx_sreg_ntid_x() : __nvvm_read_ptx_sreg_ntid_y();
}
static inline __attribute__((always_inline)) uint get_num_groups(uint d) {
  return d == 0 ? __nvvm_read_ptx_sreg_nctaid_x() : __nvvm_read_ptx_sreg_nctaid_y();
}
#define get_global_id(d) (get_group_id(d) * get_local_size(d) + get_local_id(d))
#define get_global_size(d) (get_num_groups(d) * get_local_size(d))
#endif

#define TILE 16
#define GROUP 256

__kernel void vector_add(__global const float *a, __global const float *b, __global float *out, uint n) {
  uint i = get_global_id(0);
  if (i < n) out[i] = a[i] + b[i];
}

__kernel void saxpy(__global const float *x, __global const float *y, __global float *out, uint n) {
  uint i = get_global_id(0);
  if (i < n) out[i] = 2.5f * x[i] + y[i];
}

// The sum of each group's part, in a tree.
__kernel void reduction(__global const float *a, __global const float *b, __global float *out, uint n) {
  __local float part[GROUP];
  uint l = get_local_id(0);
  float sum = 0;
  for (uint i = get_global_id(0); i < n; i += get_global_size(0)) sum += a[i];
  part[l] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint step = GROUP / 2; step > 0; step /= 2) {
    if (l < step) part[l] += part[l + step];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (l == 0) out[get_group_id(0)] = part[0];
}

// Square matrices of n rows; n is a multiple of TILE.
__kernel void matmul_naive(__global const float *a, __global const float *b, __global float *out, uint n) {
  uint column = get_global_id(0), row = get_global_id(1);
  float sum = 0;
  for (uint k = 0; k < n; k++) sum += a[row * n + k] * b[k * n + column];
  out[row * n + column] = sum;
}

__kernel void matmul_tiled(__global const float *a, __global const float *b, __global float *out, uint n) {
  __local float x[TILE][TILE], y[TILE][TILE];
  uint column = get_global_id(0), row = get_global_id(1), c = get_local_id(0), r = get_local_id(1);
  float sum = 0;
  for (uint tile = 0; tile < n; tile += TILE) {
    x[r][c] = a[row * n + tile + c];
    y[r][c] = b[(tile + r) * n + column];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint k = 0; k < TILE; k++) sum += x[r][k] * y[k][c];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  out[row * n + column] = sum;
}

__kernel void transpose(__global const float *a, __global const float *b, __global float *out, uint n) {
  __local float tile[TILE][TILE + 1];
  uint c = get_local_id(0), r = get_local_id(1), x = get_group_id(0) * TILE, y = get_group_id(1) * TILE;
  tile[r][c] = a[(y + r) * n + x + c];
  barrier(CLK_LOCAL_MEM_FENCE);
  out[(x + r) * n + y + c] = tile[c][r];
}

// How many values fall into each of 64 bins between 0 and 1.
__kernel void histogram(__global const float *a, __global const float *b, __global uint *out, uint n) {
  __local uint bins[64];
  uint l = get_local_id(0);
  if (l < 64) bins[l] = 0;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint i = get_global_id(0); i < n; i += get_global_size(0)) atomic_inc(&bins[(uint)(a[i] * 64.0f) & 63]);
  barrier(CLK_LOCAL_MEM_FENCE);
  if (l < 64) atomic_add(&out[l], bins[l]);
}

// How each of n bodies at (a, b) is pulled along one axis; n is a multiple of GROUP.
__kernel void nbody(__global const float *a, __global const float *b, __global float *out, uint n) {
  __local float px[GROUP], py[GROUP];
  uint i = get_global_id(0), l = get_local_id(0);
  float x = a[i], y = b[i], sum = 0;
  for (uint tile = 0; tile < n; tile += GROUP) {
    px[l] = a[tile + l];
    py[l] = b[tile + l];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint k = 0; k < GROUP; k++) {
      float dx = px[k] - x, dy = py[k] - y;
      float d = dx * dx + dy * dy + 0.01f;
      sum += dx / (d * sqrt(d));
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  out[i] = sum;
}

// Steps until a point of an n by n grid escapes; a last bit decides, so nothing is fused.
__kernel void mandelbrot(__global const float *a, __global const float *b, __global uint *out, uint n) {
#pragma OPENCL FP_CONTRACT OFF
  uint px = get_global_id(0), py = get_global_id(1);
  float cx = (float)px / (float)n * 3.0f - 2.0f, cy = (float)py / (float)n * 3.0f - 1.5f;
  float x = 0, y = 0;
  uint step = 0;
  while (step < 100 && x * x + y * y < 4.0f) {
    float next = x * x - y * y + cx;
    y = 2.0f * x * y + cy;
    x = next;
    step++;
  }
  out[py * n + px] = step;
}

// Sums of all that came before, in each group (Hillis and Steele).
__kernel void prefix_sum(__global const float *a, __global const float *b, __global float *out, uint n) {
  __local float part[2][GROUP];
  uint i = get_global_id(0), l = get_local_id(0), from = 0;
  part[0][l] = a[i];
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint step = 1; step < GROUP; step *= 2) {
    float value = part[from][l];
    if (l >= step) value += part[from][l - step];
    part[1 - from][l] = value;
    from = 1 - from;
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  out[i] = part[from][l];
}

// 5 by 5 weights (the first of b) over n by n values; outside is 0.
__kernel void convolution(__global const float *a, __global const float *b, __global float *out, uint n) {
  int x = get_global_id(0), y = get_global_id(1), size = n;
  float sum = 0;
  for (int dy = -2; dy <= 2; dy++)
    for (int dx = -2; dx <= 2; dx++) {
      int u = x + dx, v = y + dy;
      if (u >= 0 && u < size && v >= 0 && v < size) sum += a[v * size + u] * b[(dy + 2) * 5 + dx + 2];
    }
  out[y * size + x] = sum;
}
