// tnllm-opt %s --tnk-lower-roles
tnk.kernel @k(%x: memref<2xf32>, %task: index) threads(384) {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  tnk.roles {
    tnk.role "copy" warps(1) registers(24) {
      memref.store %one, %x[%c0] : memref<2xf32>
    }
    tnk.role "multiply" groups(2) registers(240) {
      %group = tnk.group
      memref.store %one, %x[%group] : memref<2xf32>
    }
  }
  tnk.return
}
