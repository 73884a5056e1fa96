// tnllm-opt %s --tnrt-pool-constants
memref.global "private" constant @slopes : memref<2x2xf32> = dense<[[0.5, 0.25], [0.5, 0.25]]>

tnk.kernel @k(%slopes: memref<2x2xf32>, %task: index) {
  tnk.return
}

func.func @prefill(%context: !tnrt.context, %n: index) attributes {tnrt.entry} {
  %slopes = memref.get_global @slopes : memref<2x2xf32>
  tnrt.launch %context @k tasks(%n) (%slopes) : memref<2x2xf32>
  return
}
