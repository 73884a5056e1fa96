// Attention over packed sequences: the host function gets their number where others get a
// length, and kernels find a sequence's rows by its offsets.
// RUN: tnllm-opt %s --convert-tn-to-tnk='chunk=64' --canonicalize --cse | FileCheck %s --check-prefixes=HOST,CPU
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --canonicalize --cse | FileCheck %s --check-prefixes=HOST,GPU
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage tensor-cores attention-blocks=132' \
// RUN:   --canonicalize --cse | FileCheck %s --check-prefix=TILES

// HOST-LABEL: func.func @packed(
// HOST-SAME: %[[C:[^:]*]]: !tnrt.context, %[[ROWS:[^:]*]]: index, %[[SEQUENCES:[^:]*]]: index, %{{[^:]*}}: memref<256x192xf32>, %[[OFFSETS:[^:]*]]: memref<257xi64>, %{{[^:]*}}: memref<256x64xf32>)
// CPU: %[[TASKS:.*]] = arith.muli %[[SEQUENCES]], %c2
// CPU: tnrt.launch %[[C]] @attention_chunked tasks(%[[TASKS]]) ({{.*}}, %[[OFFSETS]])
// GPU: tnrt.launch %[[C]] @attention_sequential tasks(%{{.*}}) ({{.*}}, %[[OFFSETS]])
// Rows are those of all sequences, each a position.
// HOST: tnrt.launch %[[C]] @mul tasks({{.*}}, %[[ROWS]])

// CPU-LABEL: tnk.kernel @attention_chunked(
// CPU-SAME: %[[OFFSETS:[^:]*]]: memref<257xi64>, %[[TASK:[^:]*]]: index)
// CPU: %[[S:.*]] = arith.divui %[[TASK]], %c2
// CPU: %[[BEGIN:.*]] = memref.load %[[OFFSETS]][%[[S]]]
// CPU: %[[FIRST:.*]] = arith.index_cast %[[BEGIN]]
// CPU: %[[NEXT:.*]] = arith.addi %[[S]], %c1
// CPU: %[[END:.*]] = memref.load %[[OFFSETS]][%[[NEXT]]]
// CPU: %[[PAST:.*]] = arith.index_cast %[[END]]
// CPU: %[[LENGTH:.*]] = arith.subi %[[PAST]], %[[FIRST]]
// CPU: scf.for %[[AT:.*]] = %c0 to %[[LENGTH]] step %c64
// CPU: arith.addi %[[FIRST]], %[[AT]]

// GPU-LABEL: tnk.kernel @attention_sequential(
// GPU-SAME: %[[OFFSETS:[^:]*]]: memref<257xi64>, %{{[^:]*}}: index)
// GPU: memref.load %[[OFFSETS]]
// GPU: memref.load %[[OFFSETS]]

// On tensor cores: maps of all rows as one sequence, and the buffer of the output beside its
// map. Sequences are not cut in segments.
// TILES-LABEL: func.func @packed(
// TILES-SAME: %[[C:[^:]*]]: !tnrt.context, %[[ROWS:[^:]*]]: index, %[[SEQUENCES:[^:]*]]: index
// TILES: tnrt.tensor_map %[[C]] %{{.*}} batch(%c1) length(%[[ROWS]]) heads(2)
// TILES: %[[TASKS:.*]] = arith.muli %[[SEQUENCES]], %c2
// TILES-NOT: @attention_states
// TILES: tnrt.launch %[[C]] @attention_tiled tasks(%[[TASKS]])

// A whole chunk goes by the copy engine, a sequence's last one nowhere that way, but after
// the loop element by element.
// TILES-LABEL: tnk.kernel @attention_tiled(
// TILES-SAME: %[[OUT:[^:]*]]: !tnk.map<64x64xbf16>, %[[OFFSETS:[^:]*]]: memref<257xi64>, %[[BUFFER:[^:]*]]: memref<256x64xbf16>, %{{[^:]*}}: index) threads(384)
// TILES: memref.load %[[OFFSETS]]
// TILES: tnk.role "values"
// TILES: scf.for
// TILES: %[[ROW:.*]] = arith.select %{{.*}}, %{{.*}}, %c1073741824
// TILES: tnk.store_async %{{.*}} to %[[OUT]][%c0, %[[ROW]],
// TILES: scf.if
// TILES: %[[LEFT:.*]] = tnk.read
// TILES: vector.create_mask
// TILES: vector.transfer_write %[[LEFT]], %[[BUFFER]]
func.func @packed(%x: tensor<?x1x192xf32>, %s: tensor<?x2x32x32xf32> {tn.state = 0 : i64}, %offsets: tensor<?xi64> {tn.offsets})
    -> (tensor<?x1x64xf32>, tensor<?x2x32x32xf32>) attributes {tn.rows = 256 : i64} {
  %a = tn.activation <silu> %x : tensor<?x1x192xf32>
  %q0 = tn.slice %a [0, 64] : tensor<?x1x192xf32> -> tensor<?x1x64xf32>
  %k0 = tn.slice %a [64, 128] : tensor<?x1x192xf32> -> tensor<?x1x64xf32>
  %v0 = tn.slice %a [128, 192] : tensor<?x1x192xf32> -> tensor<?x1x64xf32>
  %q = tn.split_heads %q0 : tensor<?x1x64xf32> -> tensor<?x1x2x32xf32>
  %k = tn.split_heads %k0 : tensor<?x1x64xf32> -> tensor<?x1x2x32xf32>
  %v = tn.split_heads %v0 : tensor<?x1x64xf32> -> tensor<?x1x2x32xf32>
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<2xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s offsets %offsets : tensor<?xi64>
      : tensor<?x1x2x32xf32>, tensor<?x1x2x32xf32>, tensor<?x1x2x32xf32>, tensor<2xf32>, tensor<?x2x32x32xf32>
     -> tensor<?x1x2x32xf32>, tensor<?x2x32x32xf32>
  %m = tn.merge_heads %o : tensor<?x1x2x32xf32> -> tensor<?x1x64xf32>
  %y = tn.mul %m, %q0 : tensor<?x1x64xf32>
  return %y, %n : tensor<?x1x64xf32>, tensor<?x2x32x32xf32>
}
