// RUN: tnllm-opt %s --convert-tn-to-tnk --split-input-file --verify-diagnostics

// expected-error @below {{expected the attribute 'tn.rows', the rows that one call takes}}
func.func @no_rows(%x: tensor<?x?x8xf32>) {
  return
}

// -----

// expected-error @below {{expected a first argument with a leading dimension of unknown size}}
func.func @no_leading(%x: tensor<8xf32>) attributes {tn.rows = 8 : i64} {
  return
}

// -----

// expected-error @below {{expected a function with arguments and a body of one block}}
func.func private @declaration(%x: tensor<?x?x8xf32>)

// -----

// expected-error @below {{expected a function with arguments and a body of one block}}
func.func @nothing() {
  return
}

// -----

// A result must be computed into the caller's buffer.
// expected-error @below {{result 0 is an argument, a view or a value returned twice: expected the result of an operation that computes it}}
func.func @argument(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  return %x : tensor<?x?x8xf32>
}

// -----

// expected-error @below {{result 0 is an argument, a view or a value returned twice}}
func.func @view(%x: tensor<?x?x8xf32>) -> tensor<?x?x4xf32> attributes {tn.rows = 8 : i64} {
  %y = tn.slice %x [0, 4] : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

// expected-error @below {{is an argument, a view or a value returned twice}}
func.func @twice(%x: tensor<?x?x8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>)
    attributes {tn.rows = 8 : i64} {
  %y = tn.add %x, %x : tensor<?x?x8xf32>
  return %y, %y : tensor<?x?x8xf32>, tensor<?x?x8xf32>
}

// -----

func.func @foreign(%x: tensor<?x?x8xf32>) attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected operations of tn, func.call or constants}}
  %y = arith.addf %x, %x : tensor<?x?x8xf32>
  return
}

// -----

func.func @scalar(%x: tensor<?x?x8xf32>) attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected a tensor constant}}
  %y = arith.constant 1.0 : f32
  return
}

// -----

tn.param @e : tensor<9x8xf32> init <normal, 1.0>
func.func @two_layouts(%ids: tensor<?x?xi32>) -> tensor<?x?x9xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{a parameter is used both as the weight of a linear map and row by row within one function; use it through two tn.get_param in two functions}}
  %e = tn.get_param @e : tensor<9x8xf32>
  %x = tn.embedding %ids, %e : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32>
  %y = tn.linear %x, %e : tensor<?x?x8xf32>, tensor<9x8xf32> -> tensor<?x?x9xf32>
  return %y : tensor<?x?x9xf32>
}

// -----

// expected-error @below {{a parameter is used both as the weight of a linear map and row by row within one function}}
func.func @two_layouts(%ids: tensor<?x?xi32>, %e: tensor<9x8xf32>) -> tensor<?x?x9xf32>
    attributes {tn.rows = 8 : i64} {
  %x = tn.embedding %ids, %e : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32>
  %y = tn.linear %x, %e : tensor<?x?x8xf32>, tensor<9x8xf32> -> tensor<?x?x9xf32>
  return %y : tensor<?x?x9xf32>
}

// -----

// Split heads lie in memory as merged ones do.
func.func @heads(%x: tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected an operand of rank 3 here, got 'tensor<?x?x2x4xf32>'; merge heads first}}
  %0 = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>
  return %0 : tensor<?x?x2x4xf32>
}

// -----

func.func @recursive(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected no recursive calls}}
  %0 = func.call @recursive(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}

// -----

// expected-error @below {{expected arguments and results to be ranked tensors, got 'index'}}
func.func @sizes(%x: tensor<?x?x8xf32>, %n: index) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %0 = tn.add %x, %x : tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}

// -----

func.func @constant_weight(%x: tensor<?x1xf32>) -> tensor<?x3xf32> attributes {tn.rows = 8 : i64} {
  %w = arith.constant dense<1.0> : tensor<3x1xf32>
  // expected-error @below {{expected a parameter as the weight or table}}
  %y = tn.linear %x, %w : tensor<?x1xf32>, tensor<3x1xf32> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @static(%x: tensor<?x?x8xf32>, %y: tensor<4x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected activations of unknown batch here, got 'tensor<4x8xf32>'}}
  %0 = tn.add %y, %y : tensor<4x8xf32>
  %1 = tn.add %x, %x : tensor<?x?x8xf32>
  return %1 : tensor<?x?x8xf32>
}

// -----

func.func @features(%x: tensor<?x?x?xf32>) -> tensor<?x?x?xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected heads and features of static size, got 'tensor<?x?x?xf32>'}}
  %0 = tn.add %x, %x : tensor<?x?x?xf32>
  return %0 : tensor<?x?x?xf32>
}

// -----

// expected-error @below {{expected 'tn.state' of argument 1 to be the number of a layer, an i64 of at least 0, got "a"}}
func.func @state(%x: tensor<?x?x8xf32>, %s: tensor<?x2x4x4xf32> {tn.state = "a"})
    -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  return %x : tensor<?x?x8xf32>
}

// -----

// expected-error @below {{expected at most 2^40 elements, got 'tensor<?x?x4611686018427387904x4xf32>'}}
func.func @large(%x: tensor<?x?x4611686018427387904x4xf32>) attributes {tn.rows = 8 : i64} {
  return
}

// -----

// A name stands for one tensor, whichever function shows it.
func.func @shows(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  tn.probe "x" %x : tensor<?x?x8xf32>
  %y = tn.add %x, %x : tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
func.func @shows_another(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected a tensor like that of the other probe 'x', of features array<i64: 8>, got 'tensor<?x?x4xf32>'}}
  tn.probe "x" %x : tensor<?x?x4xf32>
  %y = tn.add %x, %x : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

func.func @group(%x: tensor<?x?x64xf32>) attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected groups of the panel width, a multiple of 4: 64, got 32}}
  %0 = tn.round_groups %x group 32 : tensor<?x?x64xf32>
  return
}

// -----

func.func @reader(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected only linear maps of i8 weights to read what is rounded, got 'tn.add'}}
  %0 = tn.round_groups %x group 64 : tensor<?x?x64xf32>
  %1 = tn.add %0, %x : tensor<?x?x64xf32>
  return %1 : tensor<?x?x64xf32>
}

// -----

func.func @returned(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> attributes {tn.rows = 8 : i64} {
  %0 = tn.fused -> tensor<?x?x64xf32> {
    %1 = tn.add %x, %x : tensor<?x?x64xf32>
    // expected-error @below {{expected only linear maps of i8 weights to read what is rounded, got 'func.return'}}
    %2 = tn.round_groups %1 group 64 : tensor<?x?x64xf32>
    tn.yield %2 : tensor<?x?x64xf32>
  }
  return %0 : tensor<?x?x64xf32>
}

// -----

// expected-error @below {{expected one argument of 'tn.offsets', a vector of i64, in a function of [R, 1, ...], got argument 1 of 'tensor<?xi32>'}}
func.func @offsets(%x: tensor<?x1x8xf32>, %o: tensor<?xi32> {tn.offsets}) -> tensor<?x1x8xf32> attributes {tn.rows = 8 : i64} {
  %y = tn.add %x, %x : tensor<?x1x8xf32>
  return %y : tensor<?x1x8xf32>
}

// -----

func.func @unmarked(%x: tensor<?x1x2x4xf32>, %o: tensor<?xi64>, %s: tensor<?x2x4x4xf32> {tn.state = 0 : i64})
    -> (tensor<?x1x2x4xf32>, tensor<?x2x4x4xf32>) attributes {tn.rows = 8 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<2xf32>
  // expected-error @below {{expected as offsets the function's argument marked 'tn.offsets'}}
  %y, %n = tn.lightning_attention %x, %x, %x, %d, %s offsets %o : tensor<?xi64>
      : tensor<?x1x2x4xf32>, tensor<?x1x2x4xf32>, tensor<?x1x2x4xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>
     -> tensor<?x1x2x4xf32>, tensor<?x2x4x4xf32>
  return %y, %n : tensor<?x1x2x4xf32>, tensor<?x2x4x4xf32>
}

// -----

tn.param @w : tensor<20x8xi8> init <normal, 1.0>
func.func @rounded_inputs(%x: tensor<?x?x8xbf16>) -> tensor<?x?x20xf32> attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @w : tensor<20x8xi8>
  %s = tn.row_scales @w : tensor<20xf32>
  // expected-error @below {{expected f32 and i8 of a quantised map on a CPU, got 'bf16' and 'i8'}}
  %y = tn.linear %x, %w scales %s : tensor<20xf32>
      : tensor<?x?x8xbf16>, tensor<20x8xi8> -> tensor<?x?x20xf32>
  return %y : tensor<?x?x20xf32>
}

// -----

// A size of 0 that is the same everywhere verifies; no kernel is of nothing.
func.func @no_columns(%x: tensor<?x?x0xf32>) -> tensor<?x?x0xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected tensors of at least one element, got 'tensor<?x?x0xf32>'}}
  %y = tn.norm <srms> %x {epsilon = 1.0e-05 : f32} : tensor<?x?x0xf32> -> tensor<?x?x0xf32>
  return %y : tensor<?x?x0xf32>
}

// -----

func.func @no_result(%x: tensor<?x?x8xf32>) attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected tensors of at least one element, got 'tensor<?x?x0xf32>'}}
  %y = tn.zeros like %x : tensor<?x?x8xf32> -> tensor<?x?x0xf32>
  return
}

// -----

func.func @no_values(%q: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x0xf32>, %d: tensor<2xf32>, %s: tensor<?x2x4x0xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x2x0xf32>, tensor<?x2x4x0xf32>) attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected tensors of at least one element, got 'tensor<?x?x2x0xf32>'}}
  %o, %n = tn.lightning_attention %q, %q, %v, %d, %s
      : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x0xf32>, tensor<2xf32>, tensor<?x2x4x0xf32>
     -> tensor<?x?x2x0xf32>, tensor<?x2x4x0xf32>
  return %o, %n : tensor<?x?x2x0xf32>, tensor<?x2x4x0xf32>
}

// -----

// expected-error @below {{expected tensors of at least one element, got 'tensor<0x8xf32>'}}
tn.param @w : tensor<0x8xf32> init <normal, 1.0>
func.func @no_parameter(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %y = tn.add %x, %x : tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// expected-error @below {{expected at least one row and one sequence a call, got 0 and 0}}
func.func @no_capacity(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 0 : i64} {
  %y = tn.add %x, %x : tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// expected-error @below {{expected at least one row and one sequence a call, got 8 and -1}}
func.func @no_sequences(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64, tn.sequences = -1 : i64} {
  %y = tn.add %x, %x : tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
