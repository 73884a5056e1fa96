// The same operations for a GPU: blocks of threads that do a row each, weights in rows,
// products by the runtime's library, bf16 where only kernels read a value.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage' --canonicalize \
// RUN:   --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage tensor-cores' \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=TILED
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage tensor-cores attention-blocks=132' \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=CUT
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage bf16-depth=64' --canonicalize \
// RUN:   --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage bf16-depth=65' --canonicalize \
// RUN:   --split-input-file | FileCheck %s --check-prefix=SHALLOW
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --canonicalize \
// RUN:   --split-input-file | FileCheck %s --check-prefix=F32

// Up to 8 rows are one kernel with its tail. For more, a product goes to the buffer of the
// result, where the tail changes it in place. The bias is the tail's first argument. What another kernel reads is bf16, the sum is f32.
// CHECK: tnrt.parameters = [{init = #tn.init<normal, 1.000000e+00 : f64>, layout = #tnrt.layout<rows, 0, 0>, tensor = "w", type = tensor<200x64xbf16>}
// CHECK-LABEL: func.func @linear(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context, %[[B:[^:]*]]: index, %[[N:[^:]*]]: index, %[[X:[^:]*]]: memref<32x64xbf16>, %[[R:[^:]*]]: memref<32x200xf32>, %[[OUT:[^:]*]]: memref<32x200xf32>)
// CHECK-DAG: %[[ROWS:.*]] = arith.muli %[[B]], %[[N]]
// CHECK-DAG: %[[W:.*]] = tnrt.param %[[C]][0] : memref<200x64xbf16>
// CHECK-DAG: %[[BIAS:.*]] = tnrt.param %[[C]][1] : memref<200xf32>
// CHECK: %[[Y:.*]] = tnrt.alloc : memref<32x200xbf16>
// CHECK: %[[FEW:.*]] = arith.cmpi ule, %[[ROWS]], %c8
// CHECK: scf.if %[[FEW]] {
// CHECK-NEXT: tnrt.launch %[[C]] @linear_k64_n200_activation tasks(%c50) (%[[X]], %[[W]], %[[BIAS]], %[[Y]], %[[ROWS]])
// CHECK-NEXT: } else {
// CHECK-NEXT: tnrt.matmul %[[C]] %[[X]], %[[W]], %[[Y]], %[[ROWS]] : memref<32x64xbf16>, memref<200x64xbf16>, memref<32x200xbf16>
// CHECK: tnrt.launch %[[C]] @tail_bias_activation tasks(%[[ROWS]]) (%[[BIAS]], %[[Y]], %[[ROWS]]) : memref<200xf32>, memref<32x200xbf16>, index
// CHECK: %[[Z:.*]] = tnrt.alloc : memref<32x200xbf16>
// CHECK: tnrt.launch %[[C]] @mul tasks(%[[ROWS]]) (%[[Y]], %[[Z]], %[[ROWS]])
// CHECK: tnrt.matmul %[[C]] %[[X]], %[[W]], %[[OUT]], %[[ROWS]] : {{.*}}, memref<32x200xf32>
// CHECK: tnrt.launch %[[C]] @tail_mul_add tasks(%[[ROWS]]) (%[[Z]], %[[R]], %[[OUT]], %[[ROWS]]) : memref<32x200xbf16>, memref<32x200xf32>, memref<32x200xf32>, index
// CHECK: return

// Where a linear map has fewer terms than are asked for, activations stay f32.
// SHALLOW-LABEL: func.func @linear(
// SHALLOW: tnrt.alloc : memref<32x200xf32>
// SHALLOW: tnrt.matmul {{.*}} : memref<32x64xbf16>, memref<200x64xbf16>, memref<32x200xf32>
// SHALLOW: tnrt.alloc : memref<32x200xf32>

// A warp does four columns: it reads four rows of the weight, 256 depths at a time, and
// keeps a sum in each thread for each element of the result. Rows that are not there are
// the last one; the tail comes after the sums.
// CHECK-LABEL: tnk.kernel @linear_k64_n200_activation(
// CHECK-SAME: %[[X:[^:]*]]: memref<32x64xbf16>, %[[W:[^:]*]]: memref<200x64xbf16>, %[[BIAS:[^:]*]]: memref<200xf32>, %[[Y:[^:]*]]: memref<32x200xbf16>, %[[ROWS:[^:]*]]: index, %[[TASK:[^:]*]]: index) threads(32)
// CHECK: %[[ONE:.*]] = arith.cmpi ule, %[[ROWS]], %c1
// CHECK: scf.if %[[ONE]] {
// CHECK-COUNT-4: vector.transfer_read %[[W]][{{.*}} : memref<200x64xbf16>, vector<64xbf16>
// CHECK: vector.transfer_read %[[X]][%c0, {{.*}} : memref<32x64xbf16>, vector<64xbf16>
// CHECK-COUNT-4: tnk.partial_dot {{.*}} : vector<64xf32>, vector<32xf32>
// CHECK-NOT: tnk.partial_dot
// CHECK-COUNT-4: vector.reduction <add>
// CHECK: vector.from_elements {{.*}} : vector<1x4xf32>
// CHECK: vector.transfer_read %[[BIAS]]
// CHECK: math.exp
// CHECK: vector.transfer_write {{.*}}, %[[Y]]
// CHECK: } else {
// CHECK: arith.cmpi ule, %[[ROWS]], %c2
// CHECK: arith.cmpi ule, %[[ROWS]], %c4
// CHECK: %[[R:.*]] = arith.minsi %{{.*}}, %c7
// CHECK: vector.transfer_read %[[X]][%[[R]],
// CHECK: %[[HAS:.*]] = arith.cmpi ugt, %[[ROWS]], %c7
// CHECK: scf.if %[[HAS]] {
// CHECK: vector.transfer_write {{.*}}, %[[Y]][%c7,

// 200 columns are 25 pieces of 8: one warp, whose vectors are 256 long at most. What follows
// the library's product overlaps nothing.
// CHECK-LABEL: tnk.kernel @tail_bias_activation(
// CHECK-SAME: %[[BIAS:[^:]*]]: memref<200xf32>, %[[Y:[^:]*]]: memref<32x200xbf16>, %{{[^:]*}}: index, %[[TASK:[^:]*]]: index) threads(32) attributes {{{.*}}tnk.serial
// CHECK: vector.transfer_read %[[Y]][%{{.*}}, %{{.*}}]{{.*}} : memref<32x200xbf16>, vector<1x200xbf16>
// CHECK: arith.extf {{.*}} : vector<1x200xbf16> to vector<1x200xf32>
// CHECK: vector.transfer_read %[[BIAS]]
// CHECK: arith.truncf {{.*}} : vector<1x200xf32> to vector<1x200xbf16>
// CHECK: vector.transfer_write {{.*}}, %[[Y]]
// CHECK-LABEL: tnk.kernel @mul(
// CHECK-LABEL: tnk.kernel @tail_mul_add(
// CHECK-SAME: threads(32)

// F32-LABEL: func.func @linear(
// F32: tnrt.alloc : memref<32x200xf32>
// F32: tnrt.alloc : memref<32x200xf32>
tn.param @w : tensor<200x64xbf16> init <normal, 1.0>
tn.param @b : tensor<200xf32> init <constant, 0.0>
func.func @linear(%x: tensor<?x?x64xbf16>, %r: tensor<?x?x200xf32>) -> tensor<?x?x200xf32>
    attributes {tn.rows = 32 : i64} {
  %w = tn.get_param @w : tensor<200x64xbf16>
  %b = tn.get_param @b : tensor<200xf32>
  %y = tn.fused -> tensor<?x?x200xf32> {
    %0 = tn.linear %x, %w bias %b : tensor<200xf32>
        : tensor<?x?x64xbf16>, tensor<200x64xbf16> -> tensor<?x?x200xf32>
    %1 = tn.activation <silu> %0 : tensor<?x?x200xf32>
    tn.yield %1 : tensor<?x?x200xf32>
  }
  %z = tn.mul %y, %y : tensor<?x?x200xf32>
  %out = tn.fused -> tensor<?x?x200xf32> {
    %0 = tn.linear %x, %w : tensor<?x?x64xbf16>, tensor<200x64xbf16> -> tensor<?x?x200xf32>
    %1 = tn.mul %0, %z : tensor<?x?x200xf32>
    %2 = tn.add %1, %r : tensor<?x?x200xf32>
    tn.yield %2 : tensor<?x?x200xf32>
  }
  return %out : tensor<?x?x200xf32>
}

// -----

// A state stays f32, q, k, v and the output need not. A block is some columns of
// a head of a sequence. What
// is probed or returned is f32. Views with gaps are copied before a product.
// CHECK-LABEL: func.func private @block(
// CHECK-SAME: %[[S:[^ :]*]]: memref<16x2x8x8xf32>,
// CHECK: tnrt.launch %{{.*}} @norm tasks({{.*}}) {{.*}} : memref<16x48xf32>, memref<16x48xbf16>, index
// CHECK-DAG: %[[O:.*]] = tnrt.alloc : memref<16x16xbf16>
// CHECK-DAG: %[[TASKS:.*]] = arith.muli %{{.*}}, %c2
// CHECK: tnrt.launch %{{.*}} @attention_sequential tasks(%[[TASKS]]) (%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[S]], %[[O]], %{{.*}}) : memref<16x16xbf16, strided<[48, 1]>>, memref<16x16xbf16, strided<[48, 1], offset: 16>>, memref<16x16xbf16, strided<[48, 1], offset: 32>>, memref<2xf32>, memref<16x2x8x8xf32>, memref<16x16xbf16>, index
// CHECK: %[[P:.*]] = tnrt.alloc : memref<16x16xf32>
// CHECK: tnrt.launch %{{.*}} @mul tasks({{.*}}) (%[[O]], %[[P]],
// CHECK: tnrt.probe %{{.*}}[0] %[[P]]
// CHECK: tnrt.launch %{{.*}} @activation tasks({{.*}}) (%[[P]], %{{.*}}, %{{.*}}) : memref<16x16xf32>, memref<16x16xf32>, index
func.func private @block(%x: tensor<?x?x48xf32>, %s: tensor<?x2x8x8xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x16xf32>, tensor<?x2x8x8xf32>) attributes {tn.rows = 16 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x48xf32> -> tensor<?x?x48xf32>
  %0 = tn.slice %y [0, 16] : tensor<?x?x48xf32> -> tensor<?x?x16xf32>
  %1 = tn.slice %y [16, 32] : tensor<?x?x48xf32> -> tensor<?x?x16xf32>
  %2 = tn.slice %y [32, 48] : tensor<?x?x48xf32> -> tensor<?x?x16xf32>
  %q = tn.split_heads %0 : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
  %k = tn.split_heads %1 : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
  %v = tn.split_heads %2 : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
  %d = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s
      : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<2xf32>,
        tensor<?x2x8x8xf32> -> tensor<?x?x2x8xf32>, tensor<?x2x8x8xf32>
  %m = tn.merge_heads %o : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
  %p = tn.mul %m, %m : tensor<?x?x16xf32>
  tn.probe "p" %p : tensor<?x?x16xf32>
  %r = tn.activation <relu> %p : tensor<?x?x16xf32>
  return %r, %n : tensor<?x?x16xf32>, tensor<?x2x8x8xf32>
}

// -----

// Many positions in bf16 go to tensor cores where the target has them and rows and heads are
// multiples of 16 bytes: a map each of q, k, v and the output, for this call's positions. Of
// 192 value columns a block does 128. One position is a recurrence anywhere.
// Two heads of two blocks leave a GPU of 132 idle: sequences are cut in as many segments, of
// at least two chunks, where that makes more than one.
// CUT-LABEL: func.func private @tiled(
// CUT-SAME: %[[C:[^:]*]]: !tnrt.context, %[[B:[^:]*]]: index, %[[N:[^:]*]]: index,
// CUT: %[[S:.*]] = tnrt.alloc : memref<132x64x192xf32>
// CUT: %[[TASKS:.*]] = arith.muli %[[B]], %c4
// CUT: %[[FIT:.*]] = arith.divui %c132, %[[TASKS]]
// CUT: %[[WANTED:.*]] = arith.maxui %[[FIT]], %c1
// CUT: %[[CHUNKS:.*]] = arith.maxui %{{.*}}, %c2
// CUT: %[[LONG:.*]] = arith.muli %[[CHUNKS]], %c64
// CUT: %[[COUNT:.*]] = arith.divui %{{.*}}, %[[LONG]]
// CUT: %[[CUT:.*]] = arith.cmpi ugt, %[[COUNT]], %c1
// CUT: scf.if %[[CUT]] {
// CUT: %[[BLOCKS:.*]] = arith.muli %[[TASKS]], %[[COUNT]]
// CUT: tnrt.launch %[[C]] @attention_states tasks(%[[BLOCKS]]) (%{{.*}}, %{{.*}}, %{{.*}}, %[[N]], %[[S]], %[[CHUNKS]], %[[COUNT]])
// CUT: %[[ROWS:.*]] = arith.muli %[[B]], %c128
// CUT: tnrt.launch %[[C]] @attention_scan tasks(%[[ROWS]]) (%{{.*}}, %{{.*}}, %[[S]], %[[CHUNKS]], %[[COUNT]])
// CUT: tnrt.launch %[[C]] @attention_outputs tasks(%[[BLOCKS]])
// CUT: } else {
// CUT: tnrt.launch %[[C]] @attention_tiled tasks(%[[TASKS]])

// TILED-LABEL: func.func private @tiled(
// TILED-SAME: %[[C:[^:]*]]: !tnrt.context, %[[B:[^:]*]]: index, %[[N:[^:]*]]: index,
// TILED: %[[Q:.*]] = tnrt.tensor_map %[[C]] %{{.*}} batch(%[[B]]) length(%[[N]]) heads(2) : memref<160x128xbf16, strided<[640, 1]>> -> <64x64xbf16>
// TILED: %[[K:.*]] = tnrt.tensor_map {{.*}} : memref<160x128xbf16, strided<[640, 1], offset: 128>>
// TILED: %[[V:.*]] = tnrt.tensor_map {{.*}} : memref<160x384xbf16, strided<[640, 1], offset: 256>>
// TILED: %[[O:.*]] = tnrt.tensor_map {{.*}} : memref<160x384xbf16> -> <64x64xbf16>
// TILED: %[[TASKS:.*]] = arith.muli %[[B]], %c4
// TILED: tnrt.launch %[[C]] @attention_tiled tasks(%[[TASKS]]) (%[[Q]], %[[K]], %[[V]], %{{.*}}, %{{.*}}, %[[O]], %[[N]]) : !tnk.map<64x64xbf16>, !tnk.map<64x64xbf16>, !tnk.map<64x64xbf16>, memref<2xf32>, memref<160x2x64x192xf32>, !tnk.map<64x64xbf16>, index
// TILED-LABEL: func.func private @one_position(
// TILED: tnrt.launch %{{.*}} @attention_recurrent
// Heads of 12 columns do not begin where copies can.
// TILED-LABEL: func.func private @narrow(
// TILED: tnrt.launch %{{.*}} @attention_sequential
// TILED-LABEL: tnk.kernel @attention_tiled(
// TILED-SAME: threads(512)
// TILED: tnk.roles
// CHECK-LABEL: func.func private @tiled(
// CHECK: tnrt.launch %{{.*}} @attention_sequential
func.func private @tiled(%x: tensor<?x?x640xf32>, %s: tensor<?x2x64x192xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x384xf32>, tensor<?x2x64x192xf32>) attributes {tn.rows = 160 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x640xf32> -> tensor<?x?x640xf32>
  %0 = tn.slice %y [0, 128] : tensor<?x?x640xf32> -> tensor<?x?x128xf32>
  %1 = tn.slice %y [128, 256] : tensor<?x?x640xf32> -> tensor<?x?x128xf32>
  %2 = tn.slice %y [256, 640] : tensor<?x?x640xf32> -> tensor<?x?x384xf32>
  %q = tn.split_heads %0 : tensor<?x?x128xf32> -> tensor<?x?x2x64xf32>
  %k = tn.split_heads %1 : tensor<?x?x128xf32> -> tensor<?x?x2x64xf32>
  %v = tn.split_heads %2 : tensor<?x?x384xf32> -> tensor<?x?x2x192xf32>
  %d = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s
      : tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x192xf32>, tensor<2xf32>,
        tensor<?x2x64x192xf32> -> tensor<?x?x2x192xf32>, tensor<?x2x64x192xf32>
  %m = tn.merge_heads %o : tensor<?x?x2x192xf32> -> tensor<?x?x384xf32>
  %r = tn.activation <relu> %m : tensor<?x?x384xf32>
  return %r, %n : tensor<?x?x384xf32>, tensor<?x2x64x192xf32>
}
func.func private @one_position(%x: tensor<?x1x32xf32>, %s: tensor<?x2x16x16xf32> {tn.state = 0 : i64})
    -> (tensor<?x1x32xf32>, tensor<?x2x16x16xf32>) attributes {tn.rows = 16 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x1x32xf32> -> tensor<?x1x32xf32>
  %q = tn.split_heads %y : tensor<?x1x32xf32> -> tensor<?x1x2x16xf32>
  %d = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  %o, %n = tn.lightning_attention %q, %q, %q, %d, %s
      : tensor<?x1x2x16xf32>, tensor<?x1x2x16xf32>, tensor<?x1x2x16xf32>, tensor<2xf32>,
        tensor<?x2x16x16xf32> -> tensor<?x1x2x16xf32>, tensor<?x2x16x16xf32>
  %m = tn.merge_heads %o : tensor<?x1x2x16xf32> -> tensor<?x1x32xf32>
  %r = tn.activation <relu> %m : tensor<?x1x32xf32>
  return %r, %n : tensor<?x1x32xf32>, tensor<?x2x16x16xf32>
}
func.func private @narrow(%x: tensor<?x?x24xf32>, %s: tensor<?x2x12x12xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x24xf32>, tensor<?x2x12x12xf32>) attributes {tn.rows = 16 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x24xf32> -> tensor<?x?x24xf32>
  %q = tn.split_heads %y : tensor<?x?x24xf32> -> tensor<?x?x2x12xf32>
  %d = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  %o, %n = tn.lightning_attention %q, %q, %q, %d, %s
      : tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<2xf32>,
        tensor<?x2x12x12xf32> -> tensor<?x?x2x12xf32>, tensor<?x2x12x12xf32>
  %m = tn.merge_heads %o : tensor<?x?x2x12xf32> -> tensor<?x?x24xf32>
  %r = tn.activation <relu> %m : tensor<?x?x24xf32>
  return %r, %n : tensor<?x?x24xf32>, tensor<?x2x12x12xf32>
}

// -----

// A product wants rows without gaps.
// CHECK-LABEL: func.func @gaps(
// CHECK: %[[VIEW:.*]] = memref.subview %{{.*}}[0, 16] [32, 16] [1, 1]
// CHECK: %[[COPY:.*]] = tnrt.alloc : memref<32x16xf32>
// CHECK: tnrt.launch %{{.*}} @copy tasks({{.*}}) (%[[VIEW]], %[[COPY]], %{{.*}})
// CHECK: scf.if
// CHECK: tnrt.launch {{.*}} @linear_k16_n8
// CHECK: tnrt.matmul %{{.*}} %[[COPY]],
// CHECK-LABEL: tnk.kernel @copy(
tn.param @w : tensor<8x16xf32> init <normal, 1.0>
func.func @gaps(%x: tensor<?x?x32xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 32 : i64} {
  %w = tn.get_param @w : tensor<8x16xf32>
  %0 = tn.slice %x [16, 32] : tensor<?x?x32xf32> -> tensor<?x?x16xf32>
  %y = tn.linear %0, %w : tensor<?x?x16xf32>, tensor<8x16xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// A bias alone is a tail too.
// CHECK-LABEL: func.func @bias(
// CHECK: tnrt.matmul
// CHECK: tnrt.launch %{{.*}} @tail_bias tasks({{.*}}) ({{.*}}) : memref<8xf32>, memref<32x8xf32>, index
tn.param @w : tensor<8x16xf32> init <normal, 1.0>
tn.param @b : tensor<8xf32> init <normal, 1.0>
func.func @bias(%x: tensor<?x?x16xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 32 : i64} {
  %w = tn.get_param @w : tensor<8x16xf32>
  %b = tn.get_param @b : tensor<8xf32>
  %y = tn.linear %x, %w bias %b : tensor<8xf32>
      : tensor<?x?x16xf32>, tensor<8x16xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Threads are whole warps, at most gpu-threads of them.
// CHECK-LABEL: tnk.kernel @activation(
// CHECK-SAME: threads(256)
// CHECK: vector<1x2048xf32>
// CHECK-LABEL: tnk.kernel @activation_0(
// CHECK-SAME: threads(96)
// CHECK: vector<1x700xf32>
func.func @wide(%x: tensor<?x?x4096xf32>, %z: tensor<?x?x700xf32>)
    -> (tensor<?x?x4096xf32>, tensor<?x?x700xf32>) attributes {tn.rows = 32 : i64} {
  %y = tn.activation <relu> %x : tensor<?x?x4096xf32>
  %u = tn.activation <relu> %z : tensor<?x?x700xf32>
  return %y, %u : tensor<?x?x4096xf32>, tensor<?x?x700xf32>
}

// -----

// Without bf16 activations a product is not rounded before its tail has multiplied it.
// SHALLOW-LABEL: func.func @gate(
// SHALLOW-SAME: %[[G:[^:]*]]: memref<32x24xf32>, %[[OUT:[^:]*]]: memref<32x24xbf16>)
// SHALLOW: %[[SUMS:.*]] = tnrt.alloc : memref<32x24xf32>
// SHALLOW: tnrt.matmul %{{.*}}, %{{.*}}, %[[SUMS]], %{{.*}} : memref<32x64xbf16>, memref<24x64xbf16>, memref<32x24xf32>
// SHALLOW: tnrt.launch %{{.*}} @tail_mul_cast tasks(%{{.*}}) (%[[G]], %[[SUMS]], %[[OUT]], %{{.*}})
tn.param @w : tensor<24x64xbf16> init <normal, 1.0>
func.func @gate(%x: tensor<?x?x64xbf16>, %g: tensor<?x?x24xf32>) -> tensor<?x?x24xbf16>
    attributes {tn.rows = 32 : i64} {
  %w = tn.get_param @w : tensor<24x64xbf16>
  %0 = tn.fused -> tensor<?x?x24xbf16> {
    %1 = tn.linear %x, %w : tensor<?x?x64xbf16>, tensor<24x64xbf16> -> tensor<?x?x24xf32>
    %2 = tn.mul %g, %1 : tensor<?x?x24xf32>
    %3 = tn.cast %2 : tensor<?x?x24xf32> -> tensor<?x?x24xbf16>
    tn.yield %3 : tensor<?x?x24xbf16>
  }
  return %0 : tensor<?x?x24xbf16>
}
