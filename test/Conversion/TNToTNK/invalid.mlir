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
