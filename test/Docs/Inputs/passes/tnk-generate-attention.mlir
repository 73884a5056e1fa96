// tnllm-opt %s --tnk-generate-attention="heads=8 key-width=128 value-width=64"
module {}
