// tnllm-opt %s --tnrt-roll-layers
func.func private @block(%context: !tnrt.context, %x: memref<4x8xf32>, %w: memref<8x8xf32>, %y: memref<4x8xf32>)

func.func @prefill(%context: !tnrt.context, %rows: index, %x: memref<4x8xf32>, %out: memref<4x8xf32>)
    attributes {tnrt.entry} {
  %w0 = tnrt.param %context[1] : memref<8x8xf32>
  %y0 = tnrt.alloc : memref<4x8xf32>
  call @block(%context, %x, %w0, %y0) : (!tnrt.context, memref<4x8xf32>, memref<8x8xf32>, memref<4x8xf32>) -> ()
  %w1 = tnrt.param %context[2] : memref<8x8xf32>
  %y1 = tnrt.alloc : memref<4x8xf32>
  call @block(%context, %y0, %w1, %y1) : (!tnrt.context, memref<4x8xf32>, memref<8x8xf32>, memref<4x8xf32>) -> ()
  %w2 = tnrt.param %context[3] : memref<8x8xf32>
  %y2 = tnrt.alloc : memref<4x8xf32>
  call @block(%context, %y1, %w2, %y2) : (!tnrt.context, memref<4x8xf32>, memref<8x8xf32>, memref<4x8xf32>) -> ()
  %w3 = tnrt.param %context[4] : memref<8x8xf32>
  %y3 = tnrt.alloc : memref<4x8xf32>
  call @block(%context, %y2, %w3, %y3) : (!tnrt.context, memref<4x8xf32>, memref<8x8xf32>, memref<4x8xf32>) -> ()
  memref.copy %y3, %out : memref<4x8xf32> to memref<4x8xf32>
  return
}
