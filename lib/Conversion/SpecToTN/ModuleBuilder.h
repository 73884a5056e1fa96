// Builds a tn module, piece by piece. Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_SPECTOTN_MODULEBUILDER_H
#define TNLLM_LIB_CONVERSION_SPECTOTN_MODULEBUILDER_H

#include "tnllm/Conversion/SpecToTN.h"

#include "TN/TNDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace tnllm {

class ModuleBuilder {
public:
  ModuleBuilder(mlir::MLIRContext &context, const ModelSpec &spec,
                const SpecToTNOptions &options)
      : spec(spec), options(options), parameters(spec.parameters()),
        b(mlir::NameLoc::get(mlir::StringAttr::get(&context, spec.name)),
          &context) {
    for (const Parameter &parameter : parameters)
      byRole[{static_cast<int>(parameter.role), parameter.layer}] = &parameter;
  }
  mlir::OwningOpRef<mlir::ModuleOp> build();

private:
  using Role = ParameterRole;

  // The values that a block's parameters have inside one function, by role; the
  // scales of a quantised one stand under scalesKey.
  using RoleMap = llvm::SmallDenseMap<int, mlir::Value>;
  static constexpr int scalesKey(Role role) {
    return -1 - static_cast<int>(role);
  }

  // The symbol of a tied head that is read in another type than the embedding.
  static constexpr llvm::StringLiteral kTiedHeadName = "tied_head";

  // What decides a block's function, the sizes of the model aside.
  struct Shape {
    AttentionKind attention;
    bool lrpe;

    // "block", "block_lrpe", "block_softmax", "block_diag_lrpe", ...
    std::string name() const {
      std::string name = "block";
      if (attention != AttentionKind::Linear)
        name += ("_" + stringify(attention)).str();
      return lrpe ? name + "_lrpe" : name;
    }
  };

  //===--------------------------------------------------------------------===//
  // Types
  //===--------------------------------------------------------------------===//

  mlir::Type f32() { return b.getF32Type(); }
  bool isQuantised(Role role);
  mlir::Type elementType(Role role);
  // What the weights of linear maps are made of.
  mlir::Type linearElement();
  // True where a tied head cannot share the embedding's parameter.
  bool tiedHeadDiffers();
  // [B, N, dims...] of f32.
  mlir::RankedTensorType activation(llvm::ArrayRef<int64_t> dims);
  static bool isLinear(Role role);
  mlir::RankedTensorType parameterType(const Parameter &parameter);
  Shape shapeOf(int64_t layer);
  mlir::RankedTensorType stateType(int64_t layer);

  //===--------------------------------------------------------------------===//
  // Names
  //===--------------------------------------------------------------------===//

  // What is built next computes the tensor `name`: of the layer in a block, of
  // the model elsewhere. Diagnostics and traces show it.
  void at(const llvm::Twine &name);

  //===--------------------------------------------------------------------===//
  // Parameters
  //===--------------------------------------------------------------------===//

  tn::InitAttr initOf(const Parameter &parameter);
  void declareParameters();
  // The embedding's tensor once more, as a linear map reads it.
  void declareTiedHead();
  const Parameter *find(Role role, int64_t layer);
  // Of a quantised matrix.
  mlir::RankedTensorType scalesType(llvm::ArrayRef<int64_t> shape);
  // The scales of a parameter, or null where it is not quantised.
  mlir::Value getScales(Role role, int64_t layer = -1);
  // The value of a parameter, or null where the model has no such one.
  mlir::Value get(Role role, int64_t layer = -1);

  //===--------------------------------------------------------------------===//
  // Pieces of a block
  //===--------------------------------------------------------------------===//

  tn::NormKind normKind();
  mlir::Value norm(llvm::StringRef name, mlir::Value x, mlir::Value weight,
                   mlir::Value bias);
  mlir::Value linear(llvm::StringRef name, mlir::Value x, mlir::Value weight,
                     mlir::Value scales, mlir::Value bias);
  mlir::Value linear(llvm::StringRef name, mlir::Value x, RoleMap &p,
                     Role weight, Role bias);
  static tn::ActivationKind activationKind(Activation activation);
  // Columns [part * hidden, (part + 1) * hidden) of q, k, v, u.
  mlir::Value part(mlir::Value qkvu, int64_t index);
  // Of part(); `name` is q, k or v.
  mlir::Value heads(llvm::StringRef name, mlir::Value x);
  // `exp` subtracts a maximum over each head, so it follows the split.
  mlir::Value activateHeads(llvm::StringRef name, mlir::Value x);
  mlir::Value lrpe(llvm::StringRef name, mlir::Value x, mlir::Value theta,
                   mlir::Value positions);
  // The angles of RoPE per position: base^(-2i/d) for each pair.
  mlir::Value ropeTheta();
  mlir::Value rope(llvm::StringRef name, mlir::Value x, mlir::Value theta,
                   mlir::Value positions);
  // What a layer's function is given beside its parameters; no slopes where
  // the attention has none, no state in training.
  struct BlockInputs {
    mlir::Value x, positions, slopes, state;
  };
  // The queries, keys and values of a layer's heads, with their positions.
  struct Heads {
    mlir::Value q, k, v;
  };
  Heads headsOf(mlir::Value qkvu, mlir::Value positions, RoleMap &p,
                const Shape &shape);
  // Lightning attention; its output [B, N, hidden], normalised, and the new
  // state.
  std::pair<mlir::Value, mlir::Value>
  linearAttention(const Heads &heads, const BlockInputs &in, RoleMap &p);
  // Softmax attention, whole or in blocks; its output and the new cache.
  std::pair<mlir::Value, mlir::Value> softmaxAttention(const Heads &heads,
                                                       const BlockInputs &in,
                                                       const Shape &shape);
  // What mixes positions: gated linear attention, or a baseline's. Returns its
  // output and the new state, null where there is none.
  std::pair<mlir::Value, mlir::Value>
  tokenMixer(const BlockInputs &in, RoleMap &p, const Shape &shape);
  // Gated linear unit; without an activation, simple.
  mlir::Value glu(mlir::Value x, RoleMap &p);

  //===--------------------------------------------------------------------===//
  // Functions
  //===--------------------------------------------------------------------===//

  mlir::func::FuncOp createFunction(llvm::StringRef name,
                                    llvm::ArrayRef<mlir::Type> inputs,
                                    llvm::ArrayRef<mlir::Type> results,
                                    int64_t rows, bool isPrivate);
  // (x, positions, slopes, state, parameters...) -> (x, state), made once for
  // each shape. In training there is no state: each sequence begins with zeros,
  // or without a cache.
  mlir::func::FuncOp getBlock(int64_t layer);
  void fillBlock(mlir::func::FuncOp block, int64_t layer, const Shape &shape);
  mlir::Value slopes(int64_t layer);
  void probe(int64_t index, mlir::Value x);
  mlir::Value callBlock(int64_t layer, mlir::Value x, mlir::Value positions,
                        mlir::Value state);
  // The tokens' rows of the embedding, and those of their positions.
  mlir::Value embed(mlir::Value ids, mlir::Value positions,
                    mlir::IntegerAttr padding);
  void buildPrefill();
  // Mean cross entropy of the tokens that should follow.
  void buildLoss();
  // Weight and, where it is quantised, scales.
  std::pair<mlir::Value, mlir::Value> headWeight();
  void buildHead();
  void buildSample();

  const ModelSpec &spec;
  const SpecToTNOptions &options;
  std::vector<Parameter> parameters;
  llvm::DenseMap<std::pair<int, int64_t>, const Parameter *> byRole;
  mlir::ImplicitLocOpBuilder b;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::StringMap<mlir::func::FuncOp> blocks; // by the name of their shape
  llvm::SmallVector<mlir::Value> newStates;
};

} // namespace tnllm

#endif // TNLLM_LIB_CONVERSION_SPECTOTN_MODULEBUILDER_H
