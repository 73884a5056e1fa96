// tnllm-opt %s --tnrt-plan-memory
tnk.kernel @k(%x: memref<4x8xf32>, %y: memref<4x8xf32>, %task: index) {
  tnk.return
}

func.func @prefill(%context: !tnrt.context, %n: index, %x: memref<4x8xf32>, %out: memref<4x8xf32>)
    attributes {tnrt.entry} {
  %a = tnrt.alloc : memref<4x8xf32>
  tnrt.launch %context @k tasks(%n) (%x, %a) : memref<4x8xf32>, memref<4x8xf32>
  %b = tnrt.alloc : memref<4x8xf32>
  tnrt.launch %context @k tasks(%n) (%a, %b) : memref<4x8xf32>, memref<4x8xf32>
  // The bytes of %a are free again.
  %c = tnrt.alloc : memref<4x8xf32>
  tnrt.launch %context @k tasks(%n) (%b, %c) : memref<4x8xf32>, memref<4x8xf32>
  tnrt.launch %context @k tasks(%n) (%c, %out) : memref<4x8xf32>, memref<4x8xf32>
  return
}
