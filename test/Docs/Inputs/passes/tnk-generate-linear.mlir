// tnllm-opt %s --tnk-generate-linear="rows=4096 depth=1024 columns=1024"
module {}
