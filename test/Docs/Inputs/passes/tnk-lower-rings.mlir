// tnllm-opt %s --pass-pipeline="builtin.module(tnk.kernel(tnk-lower-rings,canonicalize,cse))"
tnk.kernel @k(%x: !tnk.map<64x64xbf16>, %steps: index, %task: index) threads(256) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tnk.ring filled_by copies read_by(1) : !tnk.ring<2, <64x64xbf16>>
  tnk.roles {
    tnk.role "copy" warps(1) registers(24) {
      scf.for %i = %c0 to %steps step %c1 {
        tnk.ring_acquire %ring[%i] : !tnk.ring<2, <64x64xbf16>>
        %t = tnk.ring_tile %ring[%i], 0 : !tnk.ring<2, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
        tnk.load_async %x[%c0, %i, %c0, %c0] to %t on %ring[%i]
            : !tnk.map<64x64xbf16>, !tnk.tile<64x64xbf16>, !tnk.ring<2, <64x64xbf16>>
      }
    }
    tnk.role "read" registers(240) {
      scf.for %i = %c0 to %steps step %c1 {
        tnk.ring_wait %ring[%i] : !tnk.ring<2, <64x64xbf16>>
        tnk.ring_release %ring[%i] : !tnk.ring<2, <64x64xbf16>>
      }
    }
  }
  tnk.return
}
