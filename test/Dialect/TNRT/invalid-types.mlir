// What the declarations alone reject: shapes and element types of handles' results.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

func.func @f(%n: index) {
  // expected-error @+1 {{'tnrt.alloc' op result #0 must be statically shaped memref}}
  %x = tnrt.alloc : memref<?x64xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context) {
  // expected-error @+1 {{'tnrt.arena' op result #0 must be 1D memref of 8-bit signless integer values, but got 'memref<64xf32>'}}
  %x = tnrt.arena %context : memref<64xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context) {
  // expected-error @+1 {{'tnrt.constants' op result #0 must be 1D memref of 8-bit signless integer values, but got 'memref<8x8xi8>'}}
  %x = tnrt.constants %context : memref<8x8xi8>
  return
}

// -----

func.func @f(%context: !tnrt.context) {
  // expected-error @+1 {{'tnrt.param' op result #0 must be statically shaped memref}}
  %w = tnrt.param %context[0] : memref<?x64xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context) {
  // expected-error @+1 {{'tnrt.gradient' op result #0 must be statically shaped memref}}
  %g = tnrt.gradient %context[0] : memref<?x64xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context) {
  // expected-error @+1 {{'tnrt.state' op result #0 must be statically shaped memref}}
  %s = tnrt.state %context[0] : memref<?x4x32x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16>, %n: index) {
  // expected-error @+1 {{'tnrt.probe' op operand #1 must be 2D memref of 32-bit float values, but got 'memref<8x64xbf16>'}}
  tnrt.probe %context[0] %x, %n : memref<8x64xbf16>
  return
}

// -----

func.func @f(%args: !tnrt.arguments, %task: i64) {
  // expected-error @+1 {{'tnrt.kernel_arg' op result #0 must be statically shaped memref}}
  %x = tnrt.kernel_arg %args[0] : i64
  return
}
