// States too large for a task's stack live in buffers; the forward's begins as zeros there.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --shapes 1x9,2x3 | FileCheck %s

// CHECK: large: agrees
func.func @large(%q: tensor<?x?x1x600xf32>, %k: tensor<?x?x1x600xf32>, %v: tensor<?x?x1x500xf32>,
                 %slopes: tensor<1xf32>, %do: tensor<?x?x1x500xf32>)
    -> (tensor<?x?x1x500xf32>, tensor<?x?x1x600xf32>, tensor<?x?x1x600xf32>,
        tensor<?x?x1x500xf32>)
    attributes {tn.rows = 10 : i64} {
  %s = tn.zeros like %q : tensor<?x?x1x600xf32> -> tensor<?x1x600x500xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %slopes, %s : tensor<?x?x1x600xf32>,
      tensor<?x?x1x600xf32>, tensor<?x?x1x500xf32>, tensor<1xf32>, tensor<?x1x600x500xf32>
      -> tensor<?x?x1x500xf32>, tensor<?x1x600x500xf32>
  %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %k, %v, %slopes, %do
      : tensor<?x?x1x600xf32>, tensor<?x?x1x600xf32>, tensor<?x?x1x500xf32>, tensor<1xf32>,
        tensor<?x?x1x500xf32>
     -> tensor<?x?x1x600xf32>, tensor<?x?x1x600xf32>, tensor<?x?x1x500xf32>, tensor<?x1x600x500xf32>
  return %o, %dq, %dk, %dv : tensor<?x?x1x500xf32>, tensor<?x?x1x600xf32>,
      tensor<?x?x1x600xf32>, tensor<?x?x1x500xf32>
}
