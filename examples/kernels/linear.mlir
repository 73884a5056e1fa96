// y = x w^T on Hopper's tensor cores: one task is 64 rows and 128 columns of y.
// docs/WritingAKernel.md explains it line by line.

!x = !tnk.tile<64x64xbf16>
!w = !tnk.tile<128x64xbf16>
!stages = !tnk.ring<4, <64x64xbf16>, <128x64xbf16>>
!sums = vector<64x128xf32>

tnk.kernel @linear(%x: !tnk.map<64x64xbf16>, %w: !tnk.map<128x64xbf16>,
                   %y: memref<4096x1024xf32>, %rows: index, %task: index) threads(256) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %steps = arith.constant 16 : index    // 1024 columns of x, 64 at a time
  %down = arith.divui %task, %c8 : index
  %across = arith.remui %task, %c8 : index
  %row = arith.muli %down, %c64 : index
  %column = arith.muli %across, %c128 : index

  %ring = tnk.ring filled_by copies read_by(1) : !stages

  tnk.roles {
    tnk.role "copy" warps(1) registers(24) {
      scf.for %i = %c0 to %steps step %c1 {
        tnk.ring_acquire %ring[%i] : !stages
        %depth = arith.muli %i, %c64 : index
        %tx = tnk.ring_tile %ring[%i], 0 : !stages -> !x
        %tw = tnk.ring_tile %ring[%i], 1 : !stages -> !w
        tnk.load_async %x[%c0, %row, %c0, %depth] to %tx on %ring[%i]
            : !tnk.map<64x64xbf16>, !x, !stages
        tnk.load_async %w[%c0, %column, %c0, %depth] to %tw on %ring[%i]
            : !tnk.map<128x64xbf16>, !w, !stages
      }
    }
    tnk.role "multiply" registers(240) {
      %zero = arith.constant dense<0.0> : !sums
      %sums = scf.for %i = %c0 to %steps step %c1 iter_args(%sum = %zero) -> (!sums) {
        tnk.ring_wait %ring[%i] : !stages
        %tx = tnk.ring_tile %ring[%i], 0 : !stages -> !x
        %tw = tnk.ring_tile %ring[%i], 1 : !stages -> !w
        %started = tnk.mma %tx, transpose_b %tw, %sum : !x, !w, !sums
        %next = tnk.mma_wait %started : !sums
        tnk.ring_release %ring[%i] : !stages
        scf.yield %next : !sums
      }
      // The last rows may be past the end.
      %left = arith.subi %rows, %row : index
      %mask = vector.create_mask %left, %c128 : vector<64x128xi1>
      vector.transfer_write %sums, %y[%row, %column], %mask {in_bounds = [true, true]}
          : !sums, memref<4096x1024xf32>
    }
  }
  tnk.return
}
