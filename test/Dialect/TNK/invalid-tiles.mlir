// Each constraint of docs/Spec.md for tensor cores, violated.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

// expected-error @+1 {{expected a tile of bf16, got 'f32' [tile-C1]}}
tnk.kernel @k(%x: !tnk.tile<64x64xf32>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected a multiple of 8 rows and of 64 columns, got 64 x 80 [tile-C2]}}
tnk.kernel @k(%x: !tnk.tile<64x80xbf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected a multiple of 8 rows and of 64 columns, got 12 x 64 [tile-C2]}}
tnk.kernel @k(%x: !tnk.tile<12x64xbf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected boxes of bf16, got 'f16' [map-C1]}}
tnk.kernel @k(%x: !tnk.map<64x64xf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected boxes of at most 256 rows and 64 columns, got 512 x 64 [map-C2]}}
tnk.kernel @k(%x: !tnk.map<512x64xbf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected boxes of at most 256 rows and 64 columns, got 64 x 128 [map-C2]}}
tnk.kernel @k(%x: !tnk.map<64x128xbf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected at least one stage, got 0 [ring-C1]}}
tnk.kernel @k(%x: !tnk.ring<0, <64x64xbf16>>, %task: index) threads(128) {
  tnk.return
}

// -----

// 1 MiB is taken, 64 columns more are not.
// expected-error @+1 {{expected a tile of at most 1 MiB, got 64 x 8256 [tile-C3]}}
tnk.kernel @k(%most: !tnk.tile<64x8192xbf16>, %x: !tnk.tile<64x8256xbf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// The product overflows 64 bits.
// expected-error @+1 {{expected a tile of at most 1 MiB, got 4294967296 x 4294967296 [tile-C3]}}
tnk.kernel @k(%x: !tnk.tile<4294967296x4294967296xbf16>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected at most 1024 stages of 1 MiB in all, got 9223372036854775807 [ring-C6]}}
tnk.kernel @k(%x: !tnk.ring<9223372036854775807, <64x64xbf16>>, %task: index) threads(128) {
  tnk.return
}

// -----

// expected-error @+1 {{expected at most 1024 stages of 1 MiB in all, got 3 [ring-C6]}}
tnk.kernel @k(%x: !tnk.ring<3, <64x4096xbf16>>, %task: index) threads(128) {
  tnk.return
}

// -----

// A map belongs to a kernel of a GPU.
// expected-error @+1 {{expected buffers of static shape and sizes of type index, got '!tnk.map<64x64xbf16>' [kernel-C2]}}
tnk.kernel @k(%x: !tnk.map<64x64xbf16>, %task: index) {
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  // expected-error @+1 {{expected at least one reader, got 0 [ring-C2]}}
  %r = tnk.ring filled_by copies read_by(0) : !tnk.ring<1, <64x64xbf16>>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  tnk.roles {
    // expected-error @+1 {{expected only tnk.role in tnk.roles [roles-C1]}}
    %c0 = arith.constant 0 : index
    tnk.role "a" registers(128) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(384) {
  // expected-error @+1 {{expected roles of the kernel's 384 threads, got 256 [roles-C2]}}
  tnk.roles {
    tnk.role "a" groups(2) registers(128) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(384) {
  // expected-error @+1 {{expected at most 65536 registers in all, got 92160 [roles-C3]}}
  tnk.roles {
    tnk.role "a" groups(3) registers(240) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  tnk.roles {
    // expected-error @+1 {{expected warpgroups of 4 warps, or one of 1 warp [role-C1]}}
    tnk.role "a" warps(2) registers(24) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  tnk.roles {
    // expected-error @+1 {{expected warpgroups of 4 warps, or one of 1 warp [role-C1]}}
    tnk.role "a" groups(2) warps(1) registers(24) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  tnk.roles {
    // expected-error @+1 {{expected registers to be a multiple of 8 from 24 to 240, got 100 [role-C2]}}
    tnk.role "a" registers(100) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  tnk.roles {
    // expected-error @+1 {{expected registers to be a multiple of 8 from 24 to 240, got 248 [role-C2]}}
    tnk.role "a" registers(248) {
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  // expected-error @+1 {{expected a tnk.role around it [group-C1]}}
  %g = tnk.group
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x128xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected a part with all rows, or with all of 64 columns, that divides the tile [part-C1]}}
      %p = tnk.part %t[%c0] : !tnk.tile<64x128xbf16> -> !tnk.tile<32x128xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<128x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected a matrix of 64 rows and a multiple of 16 columns on both sides, got 'vector<128x64xbf16>' and '!tnk.tile<128x64xbf16>' [read-C1]}}
      %v = tnk.read %t : !tnk.tile<128x64xbf16> -> vector<128x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<128x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      %v = arith.constant dense<0.0> : vector<64x64xbf16>
      // expected-error @+1 {{[read-C1]}}
      tnk.write transpose %v to %t : vector<64x64xbf16> -> !tnk.tile<128x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      %x = builtin.unrealized_conversion_cast %c0 : index to !tnk.ring<1, <64x64xbf16>>
      // expected-error @+1 {{expected the result of a tnk.ring [ring-C3]}}
      tnk.ring_acquire %x[%c0] : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected a ring filled by threads [ring-C4]}}
      tnk.ring_commit %r[%c0] : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%m: !tnk.map<64x64xbf16>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by threads read_by(1) : !tnk.ring<1, <64x64xbf16>>
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected a ring filled by copies [ring-C4]}}
      tnk.load_async %m[%c0, %c0, %c0, %c0] to %t on %r[%c0] : !tnk.map<64x64xbf16>, !tnk.tile<64x64xbf16>, !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected a role of one warp around it [ring-C5]}}
      tnk.ring_acquire %r[%c0] : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by threads read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "a" warps(1) registers(24) {
      // expected-error @+1 {{expected a role of one warpgroup around it [ring-C5]}}
      tnk.ring_acquire %r[%c0] : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected a tile of the ring and its type [ring_tile-C1]}}
      %t = tnk.ring_tile %r[%c0], 1 : !tnk.ring<1, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%m: !tnk.map<64x64xbf16>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected 4 coordinates: batch, position, head, column [copy-C1]}}
      tnk.store_async %t to %m[%c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%m: !tnk.map<128x64xbf16>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected boxes with the rows and the type of the tile [copy-C2]}}
      tnk.store_async %t to %m[%c0, %c0, %c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<128x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      %v = arith.constant dense<0.0> : vector<64x64xbf16>
      // expected-error @+1 {{expected A to be a tile if it is transposed [mma-C1]}}
      %s = tnk.mma transpose_a %v, %t, %zero : vector<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %w = tnk.mma_wait %s : vector<64x64xf32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  %u = tnk.scratch : !tnk.tile<64x128xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // expected-error @+1 {{expected A of 64 x K, B of K x N with K a multiple of 16 and N at most 256, got 64 x 128 and 64 x 64 [mma-C2]}}
      %s = tnk.mma %u, %t, %zero : !tnk.tile<64x128xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %w = tnk.mma_wait %s : vector<64x64xf32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  %u = tnk.scratch : !tnk.tile<64x128xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // expected-error @+1 {{expected sums of 64 x 128, got 'vector<64x64xf32>' [mma-C3]}}
      %s = tnk.mma %t, %u, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
      %w = tnk.mma_wait %s : vector<64x64xf32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // expected-error @+1 {{expected its result to be used by tnk.mma_wait, or as the sum of another tnk.mma [mma-C4]}}
      %s = tnk.mma %t, %t, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %w = arith.addf %s, %s : vector<64x64xf32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" registers(128) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // expected-error @+1 {{expected its result to be used once [mma-C5]}}
      %s = tnk.mma %t, %t, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %w = tnk.mma_wait %s : vector<64x64xf32>
      %x = tnk.mma_wait %s : vector<64x64xf32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // expected-error @+1 {{expected 0 to 7 pending products, got 8 [mma_wait-C1]}}
      %w = tnk.mma_wait pending(8) %zero : vector<64x64xf32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected sums to wait for [mma_wait-C2]}}
      "tnk.mma_wait"() : () -> ()
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected dimension 0 or 1, got 2 [index-C1]}}
      %i = tnk.index 2 : vector<64x64xi32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expected 64 rows and a multiple of 8 columns, got 'vector<32x64xi32>' [index-C2]}}
      %i = tnk.index 0 : vector<32x64xi32>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "a" warps(1) registers(24) {
      // expected-error @+1 {{expected a role of whole warpgroups around it [role-C3]}}
      tnk.ring_wait %r[%c0] : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %r = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "a" warps(1) registers(24) {
      // expected-error @+1 {{expected a role of whole warpgroups around it [role-C3]}}
      tnk.ring_release %r[%c0] : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" warps(1) registers(24) {
      // expected-error @+1 {{expected a role of whole warpgroups around it [role-C3]}}
      tnk.store_wait
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%m: !tnk.map<64x64xbf16>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    tnk.role "a" warps(1) registers(24) {
      // expected-error @+1 {{expected a role of whole warpgroups around it [role-C3]}}
      tnk.store_async %t to %m[%c0, %c0, %c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expects parent op 'tnk.kernel'}}
      %t = tnk.scratch : !tnk.tile<64x64xbf16>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  %c0 = arith.constant 0 : index
  tnk.roles {
    tnk.role "a" registers(128) {
      // expected-error @+1 {{expects parent op 'tnk.kernel'}}
      %r = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
    }
  }
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(128) {
  // expected-error @+1 {{expects parent op 'tnk.roles'}}
  tnk.role "a" registers(128) {
  }
  tnk.return
}
