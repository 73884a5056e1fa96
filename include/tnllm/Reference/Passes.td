// Passes that run the reference interpreter. They leave the module as it is.
#ifndef TNLLM_REFERENCE_PASSES_TD
#define TNLLM_REFERENCE_PASSES_TD

include "mlir/Pass/PassBase.td"

def TNInterpret : Pass<"tn-interpret", "::mlir::ModuleOp"> {
  let summary = "runs functions of tn in f64 and prints or writes their results";
  let description = [{
    Evaluates `function` by the definitions of the operations. An argument's value is,
    in this order: the tensor `arg<i>` of the file `inputs`, then `input_ids` (i32),
    `position` (i64, a scalar or one for each sequence) or `state.<k>` (`tn.state = k`)
    there; without a file, zeros for positions and states and random values from
    `seed` for the others. A dynamic dimension 0 is `batch`, a dynamic dimension 1 is
    `length`, unless the file says otherwise. Parameters come from `parameters`
    (a safetensors file, an index or a directory), or from `seed` by their init
    attribute, as an executable made with `--random-weights` fills them.

    Prints a line for each probe and result: type, first values, largest magnitude and
    sum. `outputs` writes them to a file as f64, probes by their names and results as
    `result<i>`.

    `noise` and `round-activations` tell how far the model itself carries roundings: each
    value that an operation or a `tn.fused` computes is then off by a random part of up
    to `noise` (2^-24 is what f32 rounds by), and rounded to bf16 where a GPU program
    would store it so, that is where no residual sum, call, result or probe reads it.

    ```
    tnllm-opt model.mlir --tn-interpret="function=prefill batch=2 length=5" -o /dev/null
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", "\"\"",
           "the function to run; none: every public function">,
    Option<"batch", "batch", "int64_t", "1", "size of a dynamic dimension 0">,
    Option<"length", "length", "int64_t", "1", "size of a dynamic dimension 1">,
    Option<"seed", "seed", "uint64_t", "0", "of random inputs and parameters">,
    Option<"inputs", "inputs", "std::string", "\"\"", "safetensors file to read">,
    Option<"outputs", "outputs", "std::string", "\"\"", "safetensors file to write">,
    Option<"parameters", "parameters", "std::string", "\"\"", "checkpoint to read">,
    Option<"printed", "print", "int64_t", "16", "values to print of each tensor">,
    Option<"noise", "noise", "double", "0", "largest random relative error of a value">,
    Option<"noiseSeed", "noise-seed", "uint64_t", "0", "of these errors">,
    Option<"roundActivations", "round-activations", "bool", "false",
           "round values to bf16 as a GPU program stores them">,
  ];
}

def TNCheckForms : Pass<"tn-check-forms", "::mlir::ModuleOp"> {
  let summary = "checks that the forms of each attention agree";
  let description = [{
    For each `tn.lightning_attention`, on random data of its shapes: the recurrence, the
    sum over all pairs, the chunked form, and the chunked form of the sequence cut in
    two with the state carried over; then the same of its backward, but for the cut.
    Slopes are those of the op where they are constant, else from 0 to 1, most of them
    small. For each `tn.softmax_attention`: all keys at once, `chunk` keys after the other,
    and in two parts with a cache between them; of its backward, by log-sum-exps and by the
    softmax's derivative. Prints the largest relative difference from the first form and
    fails when it is above `tolerance`.

    ```
    tnllm-opt model.mlir --tn-check-forms="length=130 chunk=64" -o /dev/null
    ```
  }];
  let options = [
    Option<"batch", "batch", "int64_t", "2", "size of a dynamic dimension 0">,
    Option<"length", "length", "int64_t", "130", "size of a dynamic dimension 1">,
    Option<"chunk", "chunk", "int64_t", "64", "positions in a chunk">,
    Option<"seed", "seed", "uint64_t", "0", "of the random data">,
    Option<"tolerance", "tolerance", "double", "1e-9", "largest relative difference">,
  ];
}

def TNCheckGradients : Pass<"tn-check-gradients", "::mlir::ModuleOp"> {
  let summary = "compares a gradient function with differences of the function";
  let description = [{
    For `@<function>` and the `@<function>_gradient` that `tn-differentiate` made, in f64
    on random data: each gradient, of an argument or a parameter, times a random direction
    is compared with the central difference of the function along it. Prints a line
    for each and fails where one differs by more than `tolerance`, relative to the larger
    of the two magnitudes. LRPE's angles are not rounded here.

    ```
    tnllm-opt model.mlir --tn-differentiate="function=f" --tn-check-gradients="function=f" -o /dev/null
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", "\"loss\"", "the function">,
    Option<"batch", "batch", "int64_t", "2", "size of a dynamic dimension 0">,
    Option<"length", "length", "int64_t", "5", "size of a dynamic dimension 1">,
    Option<"seed", "seed", "uint64_t", "0", "of the random data">,
    Option<"step", "step", "double", "1e-5", "half the distance of the difference">,
    Option<"tolerance", "tolerance", "double", "1e-6", "largest relative difference">,
  ];
}

#endif // TNLLM_REFERENCE_PASSES_TD
