// RUN: tnllm-opt %s --pass-pipeline='builtin.module(tnk.kernel(tnk-lower-contract))' \
// RUN:   | FileCheck %s
// RUN: tnllm-opt %s --pass-pipeline='builtin.module(tnk.kernel(tnk-lower-contract{byte-lanes=8}))' \
// RUN:   | FileCheck %s --check-prefix=EIGHT
// RUN: tnllm-opt %s --pass-pipeline='builtin.module(tnk.kernel(tnk-lower-contract{byte-sums=1}))' \
// RUN:   | FileCheck %s --check-prefix=PASSES

// Two rows of one vector each: a row of B against one element of each row of A.
// CHECK-LABEL: tnk.kernel @plain(
// CHECK-SAME: %[[A:.*]]: memref<8x64xf32>, %[[B:.*]]: memref<64x32xf32>, %[[C:.*]]: memref<8x32xf32>, %[[D:.*]]: index, %[[T:.*]]: index)
// CHECK: %[[ACC:.*]] = arith.constant dense<1.0
// CHECK-DAG: %[[S0:.*]] = vector.extract %[[ACC]][0]
// CHECK-DAG: %[[S1:.*]] = vector.extract %[[ACC]][1]
// CHECK: %[[R:.*]]:2 = scf.for %[[K:[^ ]*]] = %{{.*}} to %[[D]] step %{{.*}} iter_args(%[[X0:.*]] = %[[S0]], %[[X1:.*]] = %[[S1]]) -> (vector<32xf32>, vector<32xf32>) {
// CHECK: %[[KB:.*]] = arith.addi %[[T]], %[[K]]
// CHECK: %[[ROW:.*]] = vector.load %[[B]][%[[KB]], %{{.*}}] : memref<64x32xf32>, vector<32xf32>
// CHECK: %[[E0:.*]] = memref.load %[[A]][%[[T]], %[[K0:.*]]]
// CHECK: %[[V0:.*]] = vector.broadcast %[[E0]] : f32 to vector<32xf32>
// CHECK: %[[Y0:.*]] = math.fma %[[V0]], %[[ROW]], %[[X0]]
// CHECK: %[[T1:.*]] = arith.addi %[[T]], %{{.*}}
// CHECK: %[[E1:.*]] = memref.load %[[A]][%[[T1]],
// CHECK: %[[V1:.*]] = vector.broadcast %[[E1]]
// CHECK: %[[Y1:.*]] = math.fma %[[V1]], %[[ROW]], %[[X1]]
// CHECK: scf.yield %[[Y0]], %[[Y1]]
// CHECK: vector.insert %[[R]]#0, %{{.*}} [0]
// CHECK: vector.insert %[[R]]#1, %{{.*}} [1]
// CHECK-NOT: tnk.contract
tnk.kernel @plain(%a: memref<8x64xf32>, %b: memref<64x32xf32>, %c: memref<8x32xf32>,
                  %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %acc = arith.constant dense<1.0> : vector<2x32xf32>
  %r = tnk.contract %a[%task, %c0], %b[%task, %c0], %acc depth %depth
     : memref<8x64xf32>, memref<64x32xf32>, vector<2x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<2x32xf32>, memref<8x32xf32>
  tnk.return
}

// A read by columns: the depth moves its first index, the row its second.
// CHECK-LABEL: tnk.kernel @transposed(
// CHECK-SAME: %[[A:.*]]: memref<64x8xf32>,
// CHECK-SAME: %[[T:[^ ]*]]: index) {
// CHECK: scf.for %[[K:[^ ]*]] =
// CHECK: vector.load
// CHECK: %[[P:.*]] = arith.addi %[[T]], %[[K]]
// CHECK: memref.load %[[A]][%[[P]], %[[T]]]
// CHECK: %[[M1:.*]] = arith.addi %[[T]], %c1
// CHECK: memref.load %[[A]][%{{.*}}, %[[M1]]]
tnk.kernel @transposed(%a: memref<64x8xf32>, %b: memref<64x16xf32>,
                       %c: memref<8x16xf32>, %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  %r = tnk.contract transpose_a %a[%task, %task], %b[%task, %c0], %acc depth %depth
     : memref<64x8xf32>, memref<64x16xf32>, vector<2x16xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<2x16xf32>, memref<8x16xf32>
  tnk.return
}

// bf16 without pairs widens before it multiplies.
// CHECK-LABEL: tnk.kernel @bf16(
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = vector.load %{{.*}} : memref<64x32xbf16>, vector<32xbf16>
// CHECK: %[[WIDE:.*]] = arith.extf %[[ROW]] : vector<32xbf16> to vector<32xf32>
// CHECK: %[[E:.*]] = memref.load %{{.*}} : memref<8x64xbf16>
// CHECK: %[[EW:.*]] = arith.extf %[[E]] : bf16 to f32
// CHECK: %[[V:.*]] = vector.broadcast %[[EW]] : f32 to vector<32xf32>
// CHECK: math.fma %[[V]], %[[WIDE]]
tnk.kernel @bf16(%a: memref<8x64xbf16>, %b: memref<64x32xbf16>, %c: memref<8x32xf32>,
                 %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %depth
     : memref<8x64xbf16>, memref<64x32xbf16>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}

// 40 rows ahead, a row of 128 bytes is two lines; the step itself is as without.
// CHECK-LABEL: tnk.kernel @prefetch(
// CHECK-SAME: %[[B:[^ ]*]]: memref<64x32xf32>, %{{[^ ]*}}: memref<8x32xf32>
// CHECK: scf.for %[[K:[^ ]*]] =
// CHECK: %[[AT:.*]] = arith.addi %[[K]], %c40
// CHECK: memref.prefetch %[[B]][%[[AT]], %c0{{[_0-9]*}}], read, locality<3>, data
// CHECK: memref.prefetch %[[B]][%[[AT]], %c16{{[_0-9]*}}], read, locality<3>, data
// CHECK-NOT: memref.prefetch
// CHECK: vector.load %[[B]]
// CHECK: math.fma
tnk.kernel @prefetch(%a: memref<8x64xf32>, %b: memref<64x32xf32>, %c: memref<8x32xf32>,
                     %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %depth prefetch 40
     : memref<8x64xf32>, memref<64x32xf32>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}

// Rows shorter than a line are not asked for.
// CHECK-LABEL: tnk.kernel @prefetch_narrow(
// CHECK-NOT: memref.prefetch
// CHECK: math.fma
tnk.kernel @prefetch_narrow(%a: memref<8x64xf32>, %b: memref<64x32xi8>, %c: memref<8x32xf32>,
                            %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %depth prefetch 40
     : memref<8x64xf32>, memref<64x32xi8>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}

// In pairs: half the steps; 32 columns are two accumulators of 16 lanes, and a pair of
// A is one word in every lane.
// CHECK-LABEL: tnk.kernel @pairs(
// CHECK-SAME: %[[A:.*]]: memref<8x64xbf16>, %[[B:.*]]: memref<32x64xbf16>, %{{.*}}: memref<8x32xf32>, %[[D:.*]]: index,
// CHECK: %[[STEPS:.*]] = arith.shrui %[[D]], %{{.*}} : index
// CHECK: %[[R:.*]]:2 = scf.for %[[K:[^ ]*]] = %{{.*}} to %[[STEPS]] {{.*}} -> (vector<16xf32>, vector<16xf32>) {
// CHECK: %[[B0:.*]] = vector.load %[[B]][{{.*}}] : memref<32x64xbf16>, vector<32xbf16>
// CHECK: %[[B1:.*]] = vector.load %[[B]][{{.*}}] : memref<32x64xbf16>, vector<32xbf16>
// CHECK: %[[TWICE:.*]] = arith.shli %[[K]], %{{.*}} : index
// CHECK: %[[P:.*]] = vector.load %[[A]][{{.*}}] : memref<8x64xbf16>, vector<2xbf16>
// CHECK: %[[W:.*]] = vector.bitcast %[[P]] : vector<2xbf16> to vector<1xi32>
// CHECK: %[[WS:.*]] = vector.broadcast %[[W]] : vector<1xi32> to vector<16xi32>
// CHECK: %[[PS:.*]] = vector.bitcast %[[WS]] : vector<16xi32> to vector<32xbf16>
// CHECK: x86vector.avx512.dot %{{.*}}, %[[PS]], %[[B0]]
// CHECK: x86vector.avx512.dot %{{.*}}, %[[PS]], %[[B1]]
// CHECK: vector.insert_strided_slice %[[R]]#0, {{.*}}offsets = [0]
// CHECK: vector.insert_strided_slice %[[R]]#1, {{.*}}offsets = [16]
tnk.kernel @pairs(%a: memref<8x64xbf16>, %b: memref<32x64xbf16>, %c: memref<8x32xf32>,
                  %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract pairs %a[%task, %c0], %b[%c0, %c0], %acc depth %depth
     : memref<8x64xbf16>, memref<32x64xbf16>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}

// i8 becomes f32 before it is multiplied; A is f32 already.
// CHECK-LABEL: tnk.kernel @i8(
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = vector.load %{{.*}} : memref<64x32xi8>, vector<32xi8>
// CHECK: %[[WIDE:.*]] = arith.sitofp %{{.*}} to vector<32xf32>
// CHECK: %[[E:.*]] = memref.load %{{.*}} : memref<8x64xf32>
// CHECK-NOT: arith.extf
// CHECK: %[[V:.*]] = vector.broadcast %[[E]]
// CHECK: math.fma %[[V]], %[[WIDE]]
tnk.kernel @i8(%a: memref<8x64xf32>, %b: memref<64x32xi8>, %c: memref<8x32xf32>,
               %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %depth
     : memref<8x64xf32>, memref<64x32xi8>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}

// Groups of 8 depths: integers over the fours of a group, from its start, and one
// multiply-add of f32 a group. 32 columns are two vectors of 16 sums, or four of 8. The
// weights lose their sign.
// CHECK-LABEL: tnk.kernel @groups(
// CHECK-SAME: %[[A:.*]]: memref<8x64xi8>, %[[S:.*]]: memref<8x8xf32>, %[[T:.*]]: memref<8x8xi32>, %[[B:.*]]: memref<16x128xi8>, %{{.*}}: memref<8x32xf32>, %[[D:.*]]: index, %[[I:.*]]: index)
// CHECK: %[[FIRST:.*]] = arith.divui
// CHECK: %[[GROUPS:.*]] = arith.divui %[[D]], %{{.*}} : index
// CHECK: %[[R:.*]]:2 = scf.for %[[G:[^ ]*]] = %{{.*}} to %[[GROUPS]] step %{{.*}} iter_args(%[[F0:.*]] = %{{.*}}, %[[F1:.*]] = %{{.*}}) -> (vector<16xf32>, vector<16xf32>) {
// CHECK: %[[PLACE:.*]] = arith.addi %[[FIRST]], %[[G]]
// CHECK: %[[START:.*]] = memref.load %[[T]][%[[I]], %[[PLACE]]] : memref<8x8xi32>
// CHECK: %[[STARTS:.*]] = vector.broadcast %[[START]] : i32 to vector<16xi32>
// CHECK: %[[Q:.*]]:2 = scf.for %{{.*}} iter_args(%[[X0:.*]] = %[[STARTS]], %[[X1:.*]] = %[[STARTS]]) -> (vector<16xi32>, vector<16xi32>) {
// CHECK: %[[SIGN:.*]] = arith.constant dense<-128> : vector<64xi8>
// CHECK: %[[B0:.*]] = vector.load %[[B]][{{.*}}] : memref<16x128xi8>, vector<64xi8>
// CHECK: %[[W0:.*]] = arith.xori %[[B0]], %[[SIGN]]
// CHECK: %[[B1:.*]] = vector.load %[[B]][{{.*}}] : memref<16x128xi8>, vector<64xi8>
// CHECK: %[[W1:.*]] = arith.xori %[[B1]], %[[SIGN]]
// CHECK: %[[P:.*]] = vector.load %[[A]][{{.*}}] : memref<8x64xi8>, vector<4xi8>
// CHECK: vector.bitcast %[[P]] : vector<4xi8> to vector<1xi32>
// CHECK: %[[XS:.*]] = vector.bitcast %{{.*}} : vector<16xi32> to vector<64xi8>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[X0]], %[[W0]], %[[XS]])
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[X1]], %[[W1]], %[[XS]])
// CHECK: %[[E:.*]] = memref.load %[[S]][%[[I]], %[[PLACE]]] : memref<8x8xf32>
// CHECK: %[[ES:.*]] = vector.broadcast %[[E]] : f32 to vector<16xf32>
// CHECK: %[[C0:.*]] = arith.sitofp %[[Q]]#0
// CHECK: math.fma %[[C0]], %[[ES]], %[[F0]]
// CHECK: %[[C1:.*]] = arith.sitofp %[[Q]]#1
// CHECK: math.fma %[[C1]], %[[ES]], %[[F1]]
// CHECK-NOT: memref.prefetch
// CHECK-NOT: tnk.contract_groups
// EIGHT-LABEL: tnk.kernel @groups(
// EIGHT: vector.load {{.*}} : memref<16x128xi8>, vector<32xi8>
// EIGHT-COUNT-4: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"({{.*}}) : (vector<8xi32>, vector<32xi8>, vector<32xi8>) -> vector<8xi32>
// EIGHT-NOT: vpdpbusd
// EIGHT: tnk.return
tnk.kernel @groups(%a: memref<8x64xi8>, %s: memref<8x8xf32>, %t: memref<8x8xi32>,
                   %b: memref<16x128xi8>, %c: memref<8x32xf32>, %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract_groups %a[%task, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %depth
     group 8 : memref<8x64xi8>, memref<8x8xf32>, memref<8x8xi32>, memref<16x128xi8>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}

// Where two vectors of sums do not fit, each is a loop of its own over the group, and all
// loops of a group come before the next one.
// PASSES-LABEL: tnk.kernel @groups(
// PASSES: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>) {
// PASSES: %[[P0:.*]] = scf.for {{.*}} -> (vector<16xi32>) {
// PASSES: vector.load {{.*}} : memref<16x128xi8>, vector<64xi8>
// PASSES: vpdpbusd
// PASSES-NOT: vpdpbusd
// PASSES: arith.sitofp %[[P0]]
// PASSES: %[[P1:.*]] = scf.for {{.*}} -> (vector<16xi32>) {
// PASSES: vector.load %{{.*}}[%{{.*}}, %c64{{[_0-9]*}}] : memref<16x128xi8>, vector<64xi8>
// PASSES: vpdpbusd
// PASSES: arith.sitofp %[[P1]]
// PASSES: scf.yield {{.*}} : vector<16xf32>, vector<16xf32>
// PASSES-LABEL: tnk.kernel @groups_prefetch(
// PASSES-COUNT-2: memref.prefetch
// PASSES-NOT: memref.prefetch
// PASSES: tnk.return

// Its prefetch is of the fours: a row of 128 bytes is two lines.
// CHECK-LABEL: tnk.kernel @groups_prefetch(
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.addi %{{.*}}, %c40
// CHECK-COUNT-2: memref.prefetch %{{.*}}, read, locality<3>, data : memref<16x128xi8>
// CHECK-NOT: memref.prefetch
// CHECK: tnk.return
tnk.kernel @groups_prefetch(%a: memref<8x64xi8>, %s: memref<8x8xf32>, %t: memref<8x8xi32>,
                            %b: memref<16x128xi8>, %c: memref<8x32xf32>, %depth: index,
                            %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x32xf32>
  %r = tnk.contract_groups %a[%task, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %depth
     group 8 prefetch 40 : memref<8x64xi8>, memref<8x8xf32>, memref<8x8xi32>, memref<16x128xi8>, vector<1x32xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x32xf32>, memref<8x32xf32>
  tnk.return
}
