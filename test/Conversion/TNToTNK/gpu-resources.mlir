// The kernels of a GPU, down to machine code: none spills, none calls a library.
// REQUIRES: ptxas
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage' --canonicalize --cse \
// RUN:   --tnk-to-ptx="report=1 output=%t.ptx" -o %t.mlir 2> %t.report
// RUN: FileCheck %s --check-prefix=KERNELS < %t.report
// RUN: FileCheck %s --check-prefix=SPILLS < %t.report
// RUN: FileCheck %s --check-prefix=PTX < %t.ptx

// KERNELS-DAG: Compiling entry function 'norm_mul_cast' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'activation' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'embedding' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'lrpe' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'shifted_exp' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'attention_sequential' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'attention_recurrent' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'linear_k1024_n1000_activation_add' for 'sm_90a'
// KERNELS-DAG: Compiling entry function 'tail_activation_add' for 'sm_90a'

// SPILLS-NOT: {{[1-9][0-9]*}} bytes stack frame
// SPILLS-NOT: {{[1-9][0-9]*}} bytes spill
// SPILLS: Compile time

// PTX-NOT: __nv_
// PTX-NOT: .local
// The weight's loads, for one row: 16 of 16 bytes before the first product.
// PTX: .visible .entry linear_k1024_n1000_activation_add(
// PTX-NOT: fma
// PTX-COUNT-16: ld.global.v4.b32
// PTX: fma.rn.f32
// PTX-NOT: __nv_
// PTX-NOT: .local
tn.param @table : tensor<9x80xbf16> init <normal, 1.0>
tn.param @theta : tensor<4x1x64xf32> init <lrpe_theta, 0.0>
tn.param @w : tensor<1000xf32> init <constant, 1.0>
tn.param @b : tensor<1000xf32> init <constant, 0.0>
tn.param @linear : tensor<1000x1024xbf16> init <normal, 1.0>
func.func @rows(%x: tensor<?x?x1000xf32>, %g: tensor<?x?x1000xf32>)
    -> (tensor<?x?x1000xbf16>, tensor<?x?x1000xf32>) attributes {tn.rows = 64 : i64} {
  %w = tn.get_param @w : tensor<1000xf32>
  %b = tn.get_param @b : tensor<1000xf32>
  %y = tn.fused -> tensor<?x?x1000xbf16> {
    %0 = tn.norm <layer> %x weight %w : tensor<1000xf32> bias %b : tensor<1000xf32>
        {epsilon = 1.0e-05 : f32} : tensor<?x?x1000xf32> -> tensor<?x?x1000xf32>
    %1 = tn.mul %0, %g : tensor<?x?x1000xf32>
    %2 = tn.cast %1 : tensor<?x?x1000xf32> -> tensor<?x?x1000xbf16>
    tn.yield %2 : tensor<?x?x1000xbf16>
  }
  %z = tn.activation <gelu> %x : tensor<?x?x1000xf32>
  return %y, %z : tensor<?x?x1000xbf16>, tensor<?x?x1000xf32>
}
func.func @tokens(%ids: tensor<?x?xi32>) -> tensor<?x?x80xf32> attributes {tn.rows = 64 : i64} {
  %t = tn.get_param @table : tensor<9x80xbf16>
  %x = tn.embedding %ids, %t {scale = 4.0 : f32} : tensor<?x?xi32>, tensor<9x80xbf16> -> tensor<?x?x80xf32>
  return %x : tensor<?x?x80xf32>
}
func.func @heads(%x: tensor<?x?x256xf32>, %pos: tensor<?xi64>)
    -> (tensor<?x?x4x128xf32>, tensor<?x?x4x64xf32>) attributes {tn.rows = 64 : i64} {
  %t = tn.get_param @theta : tensor<4x1x64xf32>
  %h = tn.split_heads %x : tensor<?x?x256xf32> -> tensor<?x?x4x64xf32>
  %y = tn.lrpe %h, %t, %pos
      : tensor<?x?x4x64xf32>, tensor<4x1x64xf32>, tensor<?xi64> -> tensor<?x?x4x128xf32>
  %z = tn.shifted_exp %h : tensor<?x?x4x64xf32>
  return %y, %z : tensor<?x?x4x128xf32>, tensor<?x?x4x64xf32>
}
func.func @any(%q: tensor<?x?x4x256xf32>, %k: tensor<?x?x4x256xf32>, %v: tensor<?x?x4x192xf32>,
               %s: tensor<?x4x256x192xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x4x192xf32>, tensor<?x4x256x192xf32>) attributes {tn.rows = 64 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<4xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s {scale = 0.5 : f32}
      : tensor<?x?x4x256xf32>, tensor<?x?x4x256xf32>, tensor<?x?x4x192xf32>, tensor<4xf32>,
        tensor<?x4x256x192xf32> -> tensor<?x?x4x192xf32>, tensor<?x4x256x192xf32>
  return %o, %n : tensor<?x?x4x192xf32>, tensor<?x4x256x192xf32>
}
func.func @one(%q: tensor<?x1x4x80xf32>, %k: tensor<?x1x4x80xf32>, %v: tensor<?x1x4x80xf32>,
               %s: tensor<?x4x80x80xf32> {tn.state = 1 : i64})
    -> (tensor<?x1x4x80xf32>, tensor<?x4x80x80xf32>) attributes {tn.rows = 64 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<4xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s
      : tensor<?x1x4x80xf32>, tensor<?x1x4x80xf32>, tensor<?x1x4x80xf32>, tensor<4xf32>,
        tensor<?x4x80x80xf32> -> tensor<?x1x4x80xf32>, tensor<?x4x80x80xf32>
  return %o, %n : tensor<?x1x4x80xf32>, tensor<?x4x80x80xf32>
}
func.func @few(%x: tensor<?x?x1024xbf16>, %r: tensor<?x?x1000xf32>) -> tensor<?x?x1000xf32>
    attributes {tn.rows = 64 : i64} {
  %w = tn.get_param @linear : tensor<1000x1024xbf16>
  %y = tn.fused -> tensor<?x?x1000xf32> {
    %0 = tn.linear %x, %w : tensor<?x?x1024xbf16>, tensor<1000x1024xbf16> -> tensor<?x?x1000xf32>
    %1 = tn.activation <silu> %0 columns [0, 500] : tensor<?x?x1000xf32>
    %2 = tn.add %r, %1 : tensor<?x?x1000xf32>
    tn.yield %2 : tensor<?x?x1000xf32>
  }
  return %y : tensor<?x?x1000xf32>
}
