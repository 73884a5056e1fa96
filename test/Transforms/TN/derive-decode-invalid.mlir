// RUN: tnllm-opt %s --tn-derive-decode --split-input-file --verify-diagnostics

// expected-error @below {{expected a function named 'prefill' to derive from}}
module {
  func.func @other(%x: tensor<?x?x8xf32>) {
    return
  }
}

// -----

// expected-error @below {{the name 'decode' of the derived function is taken}}
module {
  func.func @prefill(%x: tensor<?x?x8xf32>) {
    return
  }
  func.func @decode(%x: tensor<?x?x8xf32>) {
    return
  }
}

// -----

// Not a function, but a name all the same.
// expected-error @below {{the name 'decode' of the derived function is taken}}
module {
  tn.param @decode : tensor<8xf32> init <constant, 1.0>
  func.func @prefill(%x: tensor<?x?x8xf32>) {
    return
  }
}

// -----

module {
  func.func @prefill(%x: tensor<?x?x8xf32>) {
    // expected-error @below {{expected to call another function of the module}}
    call @prefill(%x) : (tensor<?x?x8xf32>) -> ()
    return
  }
}
