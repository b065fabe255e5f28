// clang++-19 -x cuda --cuda-device-only --cuda-gpu-arch=sm_80 -nocudainc -nocudalib -O2 -S -Xclang -target-feature -Xclang +ptx75 -o more.ptx more.cu
// Each kernel's counterpart in Rust stands in engine/simt/tests/clang.rs.
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define kernel extern "C" __global__ void
#define tid ((int)__nvvm_read_ptx_sreg_tid_x())
#define bid ((int)__nvvm_read_ptx_sreg_ctaid_x())
#define ntid ((int)__nvvm_read_ptx_sreg_ntid_x())
typedef unsigned u32;
typedef unsigned long long u64;
typedef _Float16 h16;

// Blocks of 16 x 16 elements change places over shared memory.
kernel transpose(const u32 *a, u32 *o) {
  __shared__ u32 tile[16][17];
  int x = tid & 15, y = tid >> 4, bx = bid & 3, by = bid >> 2;
  tile[y][x] = a[(by * 16 + y) * 64 + bx * 16 + x];
  __syncthreads();
  o[(bx * 16 + y) * 64 + by * 16 + x] = tile[x][y];
}

// A product of matrices of 32 x 32, by tiles of 16 x 16.
kernel product(const float *a, const float *b, float *o) {
  __shared__ float left[16][16], right[16][16];
  int x = tid & 15, y = tid >> 4, row = (bid >> 1) * 16 + y, column = (bid & 1) * 16 + x;
  float sum = 0;
  for (int tile = 0; tile < 32; tile += 16) {
    left[y][x] = a[row * 32 + tile + x];
    right[y][x] = b[(tile + y) * 32 + column];
    __syncthreads();
    for (int k = 0; k < 16; k++) sum = __builtin_fmaf(left[y][k], right[k][x], sum);
    __syncthreads();
  }
  o[row * 32 + column] = sum;
}

// Sums of all before, in each block of 256: within warps by shuffles, then over them.
kernel scan(const u32 *a, u32 *o) {
  __shared__ u32 sums[8];
  u32 value = a[bid * 256 + tid];
  for (int step = 1; step < 32; step *= 2) {
    u32 below = (u32)__nvvm_shfl_sync_up_i32(-1, (int)value, step, 0);
    if ((tid & 31) >= step) value += below;
  }
  if ((tid & 31) == 31) sums[tid >> 5] = value;
  __syncthreads();
  for (int warp = 0; warp < tid >> 5; warp++) value += sums[warp];
  o[bid * 256 + tid] = value;
}

// Sorts 256 words of each block by Batcher's network.
kernel bitonic(u32 *a) {
  __shared__ u32 s[256];
  s[tid] = a[bid * 256 + tid];
  __syncthreads();
  for (int size = 2; size <= 256; size *= 2)
    for (int step = size / 2; step; step /= 2) {
      int other = tid ^ step;
      if (other > tid) {
        u32 x = s[tid], y = s[other];
        if ((x > y) == ((tid & size) == 0)) { s[tid] = y; s[other] = x; }
      }
      __syncthreads();
    }
  a[bid * 256 + tid] = s[tid];
}

// Those that are odd, in order: places by votes, and one atomic addition for each warp.
kernel compact(const u32 *a, u32 *o, u32 *count) {
  u32 value = a[bid * 256 + tid];
  u32 odd = __nvvm_vote_ballot_sync(-1, value & 1);
  u32 below = odd & ((1u << (tid & 31)) - 1), first = 0;
  if ((tid & 31) == 0) first = (u32)__nvvm_atom_add_gen_i((int *)count, __builtin_popcount(odd));
  first = (u32)__nvvm_shfl_sync_idx_i32(-1, (int)first, 0, 31);
  if (value & 1) o[first + __builtin_popcount(below)] = value;
}

// One lock for all, taken by a comparison and an exchange.
kernel locked(u32 *lock, u32 *total) {
  for (bool done = false; !done;) {
    if (__nvvm_atom_cas_gen_i((int *)lock, 0, 1) == 0) {
      *(volatile u32 *)total = *(volatile u32 *)total + (u32)tid + 1;
      __nvvm_membar_gl();
      *(volatile u32 *)lock = 0;
      done = true;
    }
  }
}

// The heat of each place from those around it.
kernel stencil(const double *a, double *o, int n) {
  int i = bid * ntid + tid;
  if (i == 0 || i >= n - 1) return;
  o[i] = a[i] * 0.5 + (a[i - 1] + a[i + 1]) * 0.25;
}

kernel halves(const h16 *a, const h16 *b, h16 *o) {
  h16 x = a[tid], y = b[tid];
  o[tid] = x * y + x - y;
}

// A sum in each direction of rounding.
kernel directed(const float *a, const float *b, float *o) {
  float x = a[tid], y = b[tid];
  float *to = o + tid * 4;
  to[0] = __nvvm_add_rn_f(x, y);
  to[1] = __nvvm_mul_rz_f(x, y);
  to[2] = __nvvm_div_rm_f(x, y);
  to[3] = __nvvm_fma_rp_f(x, y, x);
}

kernel words(const u64 *a, u64 *o) {
  u64 x = a[tid * 2], y = a[tid * 2 + 1];
  u64 high = (u64)(((unsigned __int128)x * y) >> 64);
  o[tid] = high ^ __builtin_bswap64(x) ^ (u64)__builtin_clzll(y | 1) ^ (y << (x & 63)) ^ (x / (y | 1)) ^ ((long long)x >> (y & 31));
}

// What a switch of many ways gives.
kernel ways(const u32 *a, u32 *o) {
  u32 x = a[tid];
  switch (x % 11) {
  case 0: o[tid] = x * 3; break;
  case 1: o[tid] = x ^ 0xffff; break;
  case 2: o[tid] = x >> 3; break;
  case 3: o[tid] = __builtin_popcount(x); break;
  case 4: o[tid] = x / 7; break;
  case 5: o[tid] = ~x; break;
  case 6: o[tid] = x & -x; break;
  case 7: for (u32 i = 0; i < (x & 7); i++) x = x * 5 + 1; o[tid] = x; break;
  case 8: o[tid] = (u32)(float)x; break;
  default: o[tid] = 9;
  }
}

// Dot products of bytes, and of halves with bytes.
kernel dots(const int *a, const int *b, int *o) {
  int x = a[tid], y = b[tid];
  asm("dp4a.s32.s32 %0, %1, %2, 5;" : "=r"(o[tid * 2]) : "r"(x), "r"(y));
  asm("dp2a.lo.s32.s32 %0, %1, %2, -3;" : "=r"(o[tid * 2 + 1]) : "r"(x), "r"(y));
}

// A product of 16 x 16 and 16 x 8 halves, summed as singles.
kernel tensor(const u32 *a, const u32 *b, float *o) {
  float d[4] = {1, 2, 3, 4};
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[tid * 4]), "r"(a[tid * 4 + 1]), "r"(a[tid * 4 + 2]), "r"(a[tid * 4 + 3]), "r"(b[tid * 2]), "r"(b[tid * 2 + 1]));
  for (int i = 0; i < 4; i++) o[tid * 4 + i] = d[i];
}

extern "C" __device__ int printf(const char *, ...);
extern "C" __device__ void __assertfail(const char *, const char *, u32, const char *, u64);

kernel prints(u32 *o) {
  int count = printf("lane %d: %d %u %x %#X %#o %c %s%% \n", tid, -7, -7, -7, 0xab, 15, 'c', "text");
  printf("[%5d] [%-5d] [%05d] [%+d] [% d] [%5.3d]\n", 42, 42, 42, 42, 42, 42);
  double inf = __builtin_inf();
  printf("%f [%6.2f] %e %g %g %g %g %f %f\n", 1.5, 2.25, 12345678901.0, 1e-5, 1e-4, 1e5, 1e6, -inf, __builtin_nan(""));
  printf("%lld %p [%.3s] [%*s]\n", 123456789012ll, (void *)-1ll, "abcdef", 4, "x");
  o[0] = count;
}

kernel asserts(int n) {
  if (n <= 0) __assertfail("n > 0", "more.cu", 7, "asserts", 1);
}
