// clang++-19 -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -nocudainc -nocudalib -O2 -S -Xclang -target-feature -Xclang +ptx70 -o kernels.ptx kernels.cu
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define tid __nvvm_read_ptx_sreg_tid_x()
extern "C" __global__ void vadd(const float*a,const float*b,float*c,int n){int i=__nvvm_read_ptx_sreg_ctaid_x()*__nvvm_read_ptx_sreg_ntid_x()+tid; if(i<n)c[i]=a[i]+b[i];}
extern "C" __global__ void reduce(const float*a,float*out,int n){
  __shared__ float part[32]; int i=__nvvm_read_ptx_sreg_ctaid_x()*__nvvm_read_ptx_sreg_ntid_x()+tid; float v=i<n?a[i]:0.f;
  for(int o=16;o;o>>=1) v+=__nvvm_shfl_sync_down_f32(0xffffffffu,v,o,31);
  if((tid&31)==0) part[tid>>5]=v; __syncthreads();
  if(tid<32){ v= tid<(__nvvm_read_ptx_sreg_ntid_x()>>5)?part[tid]:0.f; for(int o=16;o;o>>=1) v+=__nvvm_shfl_sync_down_f32(0xffffffffu,v,o,31); if(tid==0) __nvvm_atom_add_gen_f(out,v);} }
extern "C" __global__ void histogram(const unsigned char*a,unsigned*h,int n){ __shared__ unsigned l[256]; l[tid]=0; __syncthreads();
 for(int i=__nvvm_read_ptx_sreg_ctaid_x()*256+tid;i<n;i+=256*__nvvm_read_ptx_sreg_nctaid_x()) __nvvm_atom_add_gen_i((int*)&l[a[i]],1); __syncthreads(); __nvvm_atom_add_gen_i((int*)&h[tid],(int)l[tid]); }
extern "C" __global__ void collatz(const unsigned*a,unsigned*o,int n){int i=__nvvm_read_ptx_sreg_ctaid_x()*__nvvm_read_ptx_sreg_ntid_x()+tid; if(i>=n)return; unsigned x=a[i],s=0; while(x!=1){ x=(x&1)?3*x+1:x>>1; s++;} o[i]=s;}
static __attribute__((noinline)) __device__ unsigned fib(unsigned n){return n<2?n:fib(n-1)+fib(n-2);}
extern "C" __global__ void recurse(unsigned*o){o[tid]=fib(tid%12);}
struct P{int x; double y; short z;}; 
extern "C" __global__ void byvalue(P p,double*o){o[tid]=p.x*p.y+p.z;}
extern "C" __global__ void localarray(int*o,int k){int a[32]; for(int i=0;i<32;i++)a[(i*7+k)&31]=i*tid; int s=0; for(int i=0;i<32;i++) s+=a[(i+tid)&31]*i; o[tid]=s;}
typedef int (*F)(int); static __device__ __attribute__((noinline)) int dbl(int x){return 2*x;} static __device__ __attribute__((noinline)) int sq(int x){return x*x;}
static __device__ F table[2]={dbl,sq};
extern "C" __global__ void indirect(int*o){o[tid]=table[tid&1](tid);}
__constant__ float coef[4]={1.f,-2.f,0.5f,3.f};
extern "C" __global__ void poly(const float*a,float*o){float x=a[tid]; o[tid]=((coef[3]*x+coef[2])*x+coef[1])*x+coef[0];}
