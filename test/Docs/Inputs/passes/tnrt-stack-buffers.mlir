// tnllm-opt %s --pass-pipeline='builtin.module(func.func(tnrt-stack-buffers))'
func.func private @block_forward(%context: !tnrt.context, %x: memref<4x8xf32>, %y: memref<4x8xf32>, %kept: memref<4x16xf32>)
func.func private @block_backward(%context: !tnrt.context, %kept: memref<4x16xf32>, %dy: memref<4x8xf32>, %dx: memref<4x8xf32>)

func.func @loss_gradient(%context: !tnrt.context, %x: memref<4x8xf32>, %dx: memref<4x8xf32>)
    attributes {tnrt.entry} {
  %y0 = tnrt.alloc : memref<4x8xf32>
  %kept0 = tnrt.alloc : memref<4x16xf32>
  call @block_forward(%context, %x, %y0, %kept0) : (!tnrt.context, memref<4x8xf32>, memref<4x8xf32>, memref<4x16xf32>) -> ()
  %y1 = tnrt.alloc : memref<4x8xf32>
  %kept1 = tnrt.alloc : memref<4x16xf32>
  call @block_forward(%context, %y0, %y1, %kept1) : (!tnrt.context, memref<4x8xf32>, memref<4x8xf32>, memref<4x16xf32>) -> ()
  %y2 = tnrt.alloc : memref<4x8xf32>
  %kept2 = tnrt.alloc : memref<4x16xf32>
  call @block_forward(%context, %y1, %y2, %kept2) : (!tnrt.context, memref<4x8xf32>, memref<4x8xf32>, memref<4x16xf32>) -> ()
  memref.copy %y2, %dx : memref<4x8xf32> to memref<4x8xf32>
  %d2 = tnrt.alloc : memref<4x8xf32>
  call @block_backward(%context, %kept2, %dx, %d2) : (!tnrt.context, memref<4x16xf32>, memref<4x8xf32>, memref<4x8xf32>) -> ()
  %d1 = tnrt.alloc : memref<4x8xf32>
  call @block_backward(%context, %kept1, %d2, %d1) : (!tnrt.context, memref<4x16xf32>, memref<4x8xf32>, memref<4x8xf32>) -> ()
  call @block_backward(%context, %kept0, %d1, %dx) : (!tnrt.context, memref<4x16xf32>, memref<4x8xf32>, memref<4x8xf32>) -> ()
  return
}
