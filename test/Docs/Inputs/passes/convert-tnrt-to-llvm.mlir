// tnllm-opt %s --convert-tnrt-to-llvm --reconcile-unrealized-casts
func.func private @kernel(%args: !tnrt.arguments, %task: i64) {
  return
}

func.func @prefill(%context: !tnrt.context, %rows: index, %out: memref<8x64xf32>)
    attributes {tnrt.entry} {
  %w = tnrt.param %context[3] : memref<4x64x64xf32>
  tnrt.launch %context @kernel tasks(%rows) (%w, %out) : memref<4x64x64xf32>, memref<8x64xf32>
  return
}
