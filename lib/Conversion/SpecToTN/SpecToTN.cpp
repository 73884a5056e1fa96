// Builds the tn module of a model spec. The block is that of arXiv 2307.14995:
//   x = x + GLA(norm(x)),  x = x + SGLU(norm(x))
// or of a baseline, with softmax attention in place of the linear one.
#include "tnllm/Conversion/SpecToTN.h"

#include "TN/TNDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tn;
using tnllm::ModelSpec;

namespace {

using Role = ParameterRole;

// Roles of a block's parameters, in the order of the block function's
// arguments.
constexpr Role kBlockRoles[] = {Role::TokenNormWeight, Role::TokenNormBias,
                                Role::QkvuWeight,      Role::QkvuBias,
                                Role::LrpeTheta,       Role::MixerNormWeight,
                                Role::MixerNormBias,   Role::OutWeight,
                                Role::OutBias,         Role::ChannelNormWeight,
                                Role::ChannelNormBias, Role::L1Weight,
                                Role::L1Bias,          Role::L2Weight,
                                Role::L2Bias,          Role::L3Weight,
                                Role::L3Bias};

// The values that a block's parameters have inside one function, by role; the
// scales of a quantised one stand under scalesKey.
using RoleMap = llvm::SmallDenseMap<int, Value>;

constexpr int scalesKey(Role role) { return -1 - static_cast<int>(role); }

// The symbol of a tied head that is read in another type than the embedding.
constexpr llvm::StringLiteral kTiedHeadName = "tied_head";

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

class ModuleBuilder {
public:
  ModuleBuilder(MLIRContext &context, const ModelSpec &spec,
                const SpecToTNOptions &options)
      : spec(spec), options(options), parameters(spec.parameters()),
        b(NameLoc::get(StringAttr::get(&context, spec.name)), &context) {
    for (const Parameter &parameter : parameters)
      byRole[{static_cast<int>(parameter.role), parameter.layer}] = &parameter;
  }

  OwningOpRef<ModuleOp> build() {
    module = ModuleOp::create(b.getLoc(), spec.name);
    b.setInsertionPointToEnd(module->getBody());
    declareParameters();
    if (options.training) {
      buildLoss();
    } else {
      buildPrefill();
      buildHead();
      if (options.sampling)
        buildSample();
    }
    return std::move(module);
  }

private:
  //===--------------------------------------------------------------------===//
  // Types
  //===--------------------------------------------------------------------===//

  Type f32() { return b.getF32Type(); }
  bool isQuantised(Role role) {
    return tnllm::isQuantised(options.weights) && isLinear(role);
  }

  Type elementType(Role role) {
    if (role == Role::Embedding)
      return options.bf16Embedding ? Type(b.getBF16Type()) : f32();
    return isLinear(role) ? linearElement() : f32();
  }

  // What the weights of linear maps are made of.
  Type linearElement() {
    switch (options.weights) {
    case DType::F32:
      return f32();
    case DType::BF16:
      return b.getBF16Type();
    case DType::I8:
      return b.getI8Type();
    case DType::F8:
      return b.getType<Float8E4M3FNType>();
    case DType::I4:
      return b.getI4Type();
    }
    llvm_unreachable("unknown type");
  }

  // True where a tied head cannot share the embedding's parameter.
  bool tiedHeadDiffers() {
    return spec.tiedHead && elementType(Role::Embedding) != linearElement();
  }

  // [B, N, dims...] of f32.
  RankedTensorType activation(ArrayRef<int64_t> dims) {
    SmallVector<int64_t> shape = {ShapedType::kDynamic, ShapedType::kDynamic};
    shape.append(dims.begin(), dims.end());
    return RankedTensorType::get(shape, f32());
  }

  static bool isLinear(Role role) {
    switch (role) {
    case Role::QkvuWeight:
    case Role::OutWeight:
    case Role::L1Weight:
    case Role::L2Weight:
    case Role::L3Weight:
    case Role::Head:
      return true;
    default:
      return false;
    }
  }

  RankedTensorType parameterType(const Parameter &parameter) {
    return RankedTensorType::get(parameter.shape, elementType(parameter.role));
  }

  Shape shapeOf(int64_t layer) {
    return {spec.attentionOf(layer), spec.lrpe[layer]};
  }

  RankedTensorType stateType(int64_t layer) {
    auto [rows, columns] = spec.stateShape(layer);
    return RankedTensorType::get(
        {ShapedType::kDynamic, spec.heads, rows, columns}, f32());
  }

  //===--------------------------------------------------------------------===//
  // Names
  //===--------------------------------------------------------------------===//

  // What is built next computes the tensor `name`: of the layer in a block, of
  // the model elsewhere. Diagnostics and traces show it.
  void at(const llvm::Twine &name) {
    b.setLoc(NameLoc::get(b.getStringAttr(name)));
  }

  //===--------------------------------------------------------------------===//
  // Parameters
  //===--------------------------------------------------------------------===//

  InitAttr initOf(const Parameter &parameter) {
    InitKind kind = InitKind::Normal;
    if (parameter.init.kind == ParameterInit::Constant)
      kind = InitKind::Constant;
    else if (parameter.init.kind == ParameterInit::LrpeTheta)
      kind = InitKind::LRPETheta;
    return InitAttr::get(b.getContext(), kind,
                         b.getF64FloatAttr(parameter.init.value));
  }

  void declareParameters() {
    for (const Parameter &parameter : parameters) {
      at(parameter.tensor);
      ParamOp::create(b, b.getStringAttr(parameter.tensor), StringAttr(),
                      TypeAttr::get(parameterType(parameter)),
                      initOf(parameter));
    }
    if (tiedHeadDiffers())
      declareTiedHead();
  }

  // The embedding's tensor once more, as a linear map reads it.
  void declareTiedHead() {
    const Parameter &embedding = *find(Role::Embedding, -1);
    at(kTiedHeadName);
    auto type = RankedTensorType::get(embedding.shape, linearElement());
    ParamOp::create(b, b.getStringAttr(kTiedHeadName),
                    b.getStringAttr(embedding.tensor), TypeAttr::get(type),
                    initOf(embedding));
  }

  const Parameter *find(Role role, int64_t layer) {
    return byRole.lookup({static_cast<int>(role), layer});
  }

  // Of a quantised matrix.
  RankedTensorType scalesType(ArrayRef<int64_t> shape) {
    SmallVector<int64_t> scales = {shape[0]};
    if (options.weights == DType::I4)
      scales.push_back(shape[1] / kScaleGroup);
    return RankedTensorType::get(scales, f32());
  }

  // The scales of a parameter, or null where it is not quantised.
  Value getScales(Role role, int64_t layer = -1) {
    const Parameter *parameter = find(role, layer);
    if (!parameter || !isQuantised(role))
      return {};
    at(parameter->tensor);
    return RowScalesOp::create(b, scalesType(parameter->shape),
                               parameter->tensor);
  }

  // The value of a parameter, or null where the model has no such one.
  Value get(Role role, int64_t layer = -1) {
    const Parameter *parameter = find(role, layer);
    if (!parameter)
      return {};
    at(parameter->tensor);
    return GetParamOp::create(b, parameterType(*parameter), parameter->tensor);
  }

  //===--------------------------------------------------------------------===//
  // Pieces of a block
  //===--------------------------------------------------------------------===//

  tn::NormKind normKind() {
    switch (spec.norm) {
    case tnllm::NormKind::Srms:
      return tn::NormKind::SRMS;
    case tnllm::NormKind::Rms:
      return tn::NormKind::RMS;
    case tnllm::NormKind::Layer:
      return tn::NormKind::Layer;
    }
    llvm_unreachable("unknown norm");
  }

  Value norm(StringRef name, Value x, Value weight, Value bias) {
    at(name);
    return NormOp::create(b, x.getType(), normKind(), x, weight, bias,
                          llvm::APFloat(static_cast<float>(spec.normEps)));
  }

  Value linear(StringRef name, Value x, Value weight, Value scales,
               Value bias) {
    auto type = cast<RankedTensorType>(x.getType());
    at(name + ".input");
    if (cast<RankedTensorType>(weight.getType()).getElementType().isBF16() ||
        (scales && options.bf16Inputs))
      x = CastOp::create(b, type.clone(b.getBF16Type()), x);
    // Whole groups only: other inputs stay as they are.
    if (scales && options.inputGroup > 0 &&
        type.getShape().back() % options.inputGroup == 0)
      x = RoundGroupsOp::create(b, type, x, options.inputGroup);
    int64_t columns = cast<RankedTensorType>(weight.getType()).getDimSize(0);
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = columns;
    at(name);
    return LinearOp::create(b, RankedTensorType::get(shape, f32()), x, weight,
                            scales, bias);
  }

  Value linear(StringRef name, Value x, RoleMap &p, Role weight, Role bias) {
    return linear(name, x, p[int(weight)], p[scalesKey(weight)], p[int(bias)]);
  }

  static tn::ActivationKind activationKind(Activation activation) {
    switch (activation) {
    case Activation::None:
    case Activation::Exp: // not element-wise: see activateHeads
      return ActivationKind::None;
    case Activation::Silu:
      return ActivationKind::SiLU;
    case Activation::Gelu:
      return ActivationKind::GELU;
    case Activation::Relu:
      return ActivationKind::ReLU;
    case Activation::Elu:
      return ActivationKind::ELU;
    case Activation::Sigmoid:
      return ActivationKind::Sigmoid;
    case Activation::OnePlusElu:
      return ActivationKind::OnePlusELU;
    case Activation::TwoPlusElu:
      return ActivationKind::TwoPlusELU;
    case Activation::LeakyRelu:
      return ActivationKind::LeakyReLU;
    }
    llvm_unreachable("unknown activation");
  }

  // Columns [part * hidden, (part + 1) * hidden) of q, k, v, u.
  Value part(Value qkvu, int64_t index) {
    int64_t hidden = spec.hiddenDim;
    at(llvm::Twine("token_mixer.") + llvm::Twine("qkvu"[index]));
    return SliceOp::create(
        b, activation({hidden}), qkvu,
        b.getDenseI64ArrayAttr({index * hidden, (index + 1) * hidden}));
  }

  // Of part(); `name` is q, k or v.
  Value heads(StringRef name, Value x) {
    at("token_mixer." + name + ".heads");
    return SplitHeadsOp::create(b, activation({spec.heads, spec.headWidth()}),
                                x);
  }

  // `exp` subtracts a maximum over each head, so it follows the split.
  Value activateHeads(StringRef name, Value x) {
    if (spec.activation != Activation::Exp)
      return x;
    at("token_mixer." + name + ".exp");
    return ShiftedExpOp::create(b, x.getType(), x);
  }

  Value lrpe(StringRef name, Value x, Value theta, Value positions) {
    at("token_mixer." + name + ".lrpe");
    return LRPEOp::create(b, activation({spec.heads, 2 * spec.headWidth()}), x,
                          theta, positions);
  }

  // The angles of RoPE per position: base^(-2i/d) for each pair.
  Value ropeTheta() {
    SmallVector<float> theta;
    for (int64_t i = 0; i < spec.headWidth() / 2; ++i)
      theta.push_back(
          std::pow(*spec.ropeTheta, -2.0 * i / double(spec.headWidth())));
    at("token_mixer.rope.theta");
    auto type =
        RankedTensorType::get({static_cast<int64_t>(theta.size())}, f32());
    return arith::ConstantOp::create(
        b, type, DenseElementsAttr::get(type, ArrayRef<float>(theta)));
  }

  Value rope(StringRef name, Value x, Value theta, Value positions) {
    at("token_mixer." + name + ".rope");
    return RoPEOp::create(b, x.getType(), x, theta, positions);
  }

  // What a layer's function is given beside its parameters; no slopes where
  // the attention has none, no state in training.
  struct BlockInputs {
    Value x, positions, slopes, state;
  };

  // The queries, keys and values of a layer's heads, with their positions.
  struct Heads {
    Value q, k, v;
  };
  Heads headsOf(Value qkvu, Value positions, RoleMap &p, const Shape &shape) {
    Value q = heads("q", part(qkvu, 0)), k = heads("k", part(qkvu, 1)),
          v = heads("v", part(qkvu, 2));
    if (shape.attention == AttentionKind::Linear) {
      q = activateHeads("q", q);
      k = activateHeads("k", k);
    }
    if (spec.ropeTheta) {
      Value theta = ropeTheta();
      q = rope("q", q, theta, positions);
      k = rope("k", k, theta, positions);
    }
    if (shape.lrpe) {
      q = lrpe("q", q, p[int(Role::LrpeTheta)], positions);
      k = lrpe("k", k, p[int(Role::LrpeTheta)], positions);
    }
    return {q, k, v};
  }

  // Lightning attention; its output [B, N, hidden], normalised, and the new
  // state.
  std::pair<Value, Value> linearAttention(const Heads &heads,
                                          const BlockInputs &in, RoleMap &p) {
    at("token_mixer.attention");
    auto attention = LightningAttentionOp::create(
        b, heads.v.getType(), in.state.getType(), heads.q, heads.k, heads.v,
        in.slopes, in.state, b.getF32FloatAttr(spec.attentionScale),
        /*offsets=*/Value());
    at("token_mixer.attention.merged");
    Value o = MergeHeadsOp::create(b, activation({spec.hiddenDim}),
                                   attention.getOut());
    o = norm("token_mixer.norm", o, p[int(Role::MixerNormWeight)],
             p[int(Role::MixerNormBias)]);
    return {o, attention.getNewState()};
  }

  // Softmax attention, whole or in blocks; its output and the new cache.
  std::pair<Value, Value> softmaxAttention(const Heads &heads,
                                           const BlockInputs &in,
                                           const Shape &shape) {
    bool isDiag = shape.attention == AttentionKind::Diag;
    at("token_mixer.attention");
    auto attention = SoftmaxAttentionOp::create(
        b, heads.v.getType(), activation({spec.heads}),
        in.state ? in.state.getType() : Type(), heads.q, heads.k, heads.v,
        in.state, in.state ? in.positions : Value(),
        isDiag ? b.getI64IntegerAttr(spec.attentionBlock) : IntegerAttr(),
        b.getF32FloatAttr(spec.softmaxScale));
    at("token_mixer.attention.merged");
    Value o = MergeHeadsOp::create(b, activation({spec.hiddenDim}),
                                   attention.getOut());
    return {o, attention.getNewCache()};
  }

  // What mixes positions: gated linear attention, or a baseline's. Returns its
  // output and the new state, null where there is none.
  std::pair<Value, Value> tokenMixer(const BlockInputs &in, RoleMap &p,
                                     const Shape &shape) {
    bool isLinear = shape.attention == AttentionKind::Linear;
    Value y = norm("token_norm", in.x, p[int(Role::TokenNormWeight)],
                   p[int(Role::TokenNormBias)]);
    Value qkvu =
        linear(spec.gate ? "token_mixer.qkvu_proj" : "token_mixer.qkv_proj", y,
               p, Role::QkvuWeight, Role::QkvuBias);
    if (isLinear) {
      at("token_mixer.act");
      qkvu = ActivationOp::create(
          b, qkvu.getType(), activationKind(spec.activation), qkvu,
          b.getDenseI64ArrayAttr({0, 2 * spec.hiddenDim}));
    }
    Heads heads = headsOf(qkvu, in.positions, p, shape);
    auto [o, state] = isLinear ? linearAttention(heads, in, p)
                               : softmaxAttention(heads, in, shape);
    if (spec.gate) {
      Value u = part(qkvu, 3);
      at("token_mixer.gate");
      o = MulOp::create(b, o.getType(), o, u);
    }
    Value out =
        linear("token_mixer.out_proj", o, p, Role::OutWeight, Role::OutBias);
    return {out, state};
  }

  // Gated linear unit; without an activation, simple.
  Value glu(Value x, RoleMap &p) {
    Value y = norm("channel_norm", x, p[int(Role::ChannelNormWeight)],
                   p[int(Role::ChannelNormBias)]);
    Value l1 = linear("channel_mixer.l1", y, p, Role::L1Weight, Role::L1Bias);
    if (spec.gluActivation != Activation::None) {
      at("channel_mixer.act");
      l1 = ActivationOp::create(b, l1.getType(),
                                activationKind(spec.gluActivation), l1,
                                DenseI64ArrayAttr());
    }
    Value l2 = linear("channel_mixer.l2", y, p, Role::L2Weight, Role::L2Bias);
    at("channel_mixer.gate");
    Value product = MulOp::create(b, l1.getType(), l1, l2);
    return linear("channel_mixer.l3", product, p, Role::L3Weight, Role::L3Bias);
  }

  //===--------------------------------------------------------------------===//
  // Functions
  //===--------------------------------------------------------------------===//

  func::FuncOp createFunction(StringRef name, ArrayRef<Type> inputs,
                              ArrayRef<Type> results, int64_t rows,
                              bool isPrivate) {
    auto function =
        func::FuncOp::create(b, name, b.getFunctionType(inputs, results));
    if (isPrivate)
      function.setPrivate();
    function->setAttr(kRowsAttrName, b.getI64IntegerAttr(rows));
    if (options.training)
      function->setAttr(kSequencesAttrName,
                        b.getI64IntegerAttr(options.trainSequences));
    function.addEntryBlock();
    return function;
  }

  // (x, positions, slopes, state, parameters...) -> (x, state), made once for
  // each shape. In training there is no state: each sequence begins with zeros,
  // or without a cache.
  func::FuncOp getBlock(int64_t layer) {
    Shape shape = shapeOf(layer);
    std::string name = shape.name();
    func::FuncOp &block = blocks[name];
    if (block)
      return block;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(module->getBody());
    at(name);
    SmallVector<Type> inputs = {
        activation({spec.embedDim}),
        RankedTensorType::get({ShapedType::kDynamic}, b.getI64Type())};
    if (shape.attention == AttentionKind::Linear)
      inputs.push_back(RankedTensorType::get({spec.heads}, f32()));
    unsigned state = inputs.size();
    SmallVector<Type> results = {inputs[0]};
    if (!options.training) {
      inputs.push_back(stateType(layer));
      results.push_back(stateType(layer));
    }
    for (Role role : kBlockRoles)
      if (const Parameter *parameter = find(role, layer)) {
        inputs.push_back(parameterType(*parameter));
        if (isQuantised(role))
          inputs.push_back(scalesType(parameter->shape));
      }
    block = createFunction(name, inputs, results,
                           options.training ? options.trainTokens
                                            : options.prefillRows,
                           /*isPrivate=*/true);
    if (!options.training)
      block.setArgAttr(state, kStateAttrName, b.getI64IntegerAttr(0));
    fillBlock(block, layer, shape);
    return block;
  }

  void fillBlock(func::FuncOp block, int64_t layer, const Shape &shape) {
    b.setInsertionPointToStart(&block.getBody().front());
    RoleMap p;
    unsigned next = 0;
    BlockInputs in;
    in.x = block.getArgument(next++);
    in.positions = block.getArgument(next++);
    if (shape.attention == AttentionKind::Linear)
      in.slopes = block.getArgument(next++);
    if (!options.training)
      in.state = block.getArgument(next++);
    else if (shape.attention == AttentionKind::Linear)
      in.state = ZerosOp::create(b, stateType(layer), in.x);
    for (Role role : kBlockRoles)
      if (find(role, layer)) {
        p[int(role)] = block.getArgument(next++);
        if (isQuantised(role))
          p[scalesKey(role)] = block.getArgument(next++);
      }
    auto [mixed, state] = tokenMixer(in, p, shape);
    at("token_mixer.residual");
    Value x = AddOp::create(b, in.x.getType(), in.x, mixed);
    Value channels = glu(x, p);
    at("channel_mixer.residual");
    SmallVector<Value> results = {AddOp::create(b, x.getType(), x, channels)};
    if (!options.training)
      results.push_back(state);
    func::ReturnOp::create(b, results);
  }

  Value slopes(int64_t layer) {
    at("layers." + llvm::Twine(layer) + ".slopes");
    auto type = RankedTensorType::get({spec.heads}, f32());
    if (spec.decay == tnllm::DecayRule::Explicit) {
      SmallVector<float> values(spec.explicitSlopes[layer].begin(),
                                spec.explicitSlopes[layer].end());
      return arith::ConstantOp::create(
          b, type, DenseElementsAttr::get(type, ArrayRef<float>(values)));
    }
    tn::DecayRule rule =
        spec.decay == tnllm::DecayRule::TransNormer ? tn::DecayRule::TransNormer
        : spec.decay == tnllm::DecayRule::HeadWise  ? tn::DecayRule::Headwise
                                                    : tn::DecayRule::None;
    return DecaySlopesOp::create(
        b, type, DecayAttr::get(b.getContext(), rule, layer, spec.layers));
  }

  void probe(int64_t index, Value x) {
    at("hidden." + llvm::Twine(index));
    ProbeOp::create(b, "hidden." + std::to_string(index), x);
  }

  Value callBlock(int64_t layer, Value x, Value positions, Value state) {
    func::FuncOp block = getBlock(layer);
    SmallVector<Value> arguments = {x, positions};
    if (spec.attentionOf(layer) == AttentionKind::Linear)
      arguments.push_back(slopes(layer));
    if (state)
      arguments.push_back(state);
    for (Role role : kBlockRoles)
      if (Value parameter = get(role, layer)) {
        arguments.push_back(parameter);
        if (Value scales = getScales(role, layer))
          arguments.push_back(scales);
      }
    at("layers." + llvm::Twine(layer));
    auto call = func::CallOp::create(b, block, arguments);
    if (state)
      newStates.push_back(call.getResult(1));
    return call.getResult(0);
  }

  // The tokens' rows of the embedding, and those of their positions.
  Value embed(Value ids, Value positions, IntegerAttr padding) {
    RankedTensorType type = activation({spec.embedDim});
    Value table = get(Role::Embedding);
    at("embedding");
    Value x = EmbeddingOp::create(
        b, type, ids, table, b.getF32FloatAttr(spec.embeddingScale), padding);
    Value learned = get(Role::Positions);
    if (!learned)
      return x;
    at("positions");
    Value numbers = PositionIdsOp::create(b, ids.getType(), positions, ids);
    Value rows =
        EmbeddingOp::create(b, type, numbers, learned, b.getF32FloatAttr(1.0f),
                            /*padding=*/IntegerAttr());
    at("embedding.positioned");
    return AddOp::create(b, type, x, rows);
  }

  void buildPrefill() {
    SmallVector<Type> inputs = {
        RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic},
                              b.getI32Type()),
        RankedTensorType::get({ShapedType::kDynamic}, b.getI64Type())};
    SmallVector<Type> results = {activation({spec.embedDim})};
    for (int64_t layer = 0; layer < spec.layers; ++layer) {
      inputs.push_back(stateType(layer));
      results.push_back(stateType(layer));
    }
    at("prefill");
    func::FuncOp prefill = createFunction(
        "prefill", inputs, results, options.prefillRows, /*isPrivate=*/false);
    for (int64_t layer = 0; layer < spec.layers; ++layer)
      prefill.setArgAttr(2 + layer, kStateAttrName, b.getI64IntegerAttr(layer));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&prefill.getBody().front());
    Value x = embed(prefill.getArgument(0), prefill.getArgument(1),
                    /*padding=*/IntegerAttr());
    for (int64_t layer = 0; layer < spec.layers; ++layer) {
      probe(layer, x);
      x = callBlock(layer, x, prefill.getArgument(1),
                    prefill.getArgument(2 + layer));
    }
    Value weight = get(Role::FinalNormWeight), bias = get(Role::FinalNormBias);
    x = norm("final_norm", x, weight, bias);
    probe(spec.layers, x);
    SmallVector<Value> values = {x};
    values.append(newStates);
    func::ReturnOp::create(b, values);
  }

  // Mean cross entropy of the tokens that should follow.
  void buildLoss() {
    auto ids = RankedTensorType::get(
        {ShapedType::kDynamic, ShapedType::kDynamic}, b.getI32Type());
    auto loss = RankedTensorType::get({1}, f32());
    at("loss");
    func::FuncOp function = createFunction(
        "loss",
        {ids, ids,
         RankedTensorType::get({ShapedType::kDynamic}, b.getI64Type())},
        {loss}, options.trainTokens, /*isPrivate=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    // As in the published code, whose table has a padding row.
    IntegerAttr padding;
    if (spec.padTokenId)
      padding = b.getI64IntegerAttr(*spec.padTokenId);
    Value x = embed(function.getArgument(0), function.getArgument(2), padding);
    for (int64_t layer = 0; layer < spec.layers; ++layer)
      x = callBlock(layer, x, function.getArgument(2), /*state=*/{});
    Value scale = get(Role::FinalNormWeight), bias = get(Role::FinalNormBias);
    x = norm("final_norm", x, scale, bias);
    Value weight = headWeight().first;
    at("cross_entropy");
    if (cast<RankedTensorType>(weight.getType()).getElementType().isBF16())
      x = CastOp::create(b, activation({spec.embedDim}).clone(b.getBF16Type()),
                         x);
    auto entropy = CrossEntropyOp::create(b, loss, ids.clone(f32()), x, weight,
                                          function.getArgument(1));
    func::ReturnOp::create(b, entropy.getLoss());
  }

  // Weight and, where it is quantised, scales.
  std::pair<Value, Value> headWeight() {
    if (!spec.tiedHead)
      return {get(Role::Head), getScales(Role::Head)};
    if (!tiedHeadDiffers())
      return {get(Role::Embedding), {}};
    ArrayRef<int64_t> shape = find(Role::Embedding, -1)->shape;
    Value weight = GetParamOp::create(
        b, RankedTensorType::get(shape, linearElement()), kTiedHeadName);
    if (!tnllm::isQuantised(options.weights))
      return {weight, {}};
    Value scales = RowScalesOp::create(b, scalesType(shape), kTiedHeadName);
    return {weight, scales};
  }

  void buildHead() {
    Type hidden =
        RankedTensorType::get({ShapedType::kDynamic, spec.embedDim}, f32());
    Type logitsType =
        RankedTensorType::get({ShapedType::kDynamic, spec.vocabSize}, f32());
    b.setInsertionPointToEnd(module->getBody());
    at("head");
    func::FuncOp head =
        createFunction("head", {hidden}, {logitsType}, options.headRows,
                       /*isPrivate=*/false);
    b.setInsertionPointToStart(&head.getBody().front());
    auto [weight, scales] = headWeight();
    Value logits = linear("lm_head", head.getArgument(0), weight, scales, {});
    func::ReturnOp::create(b, logits);
  }

  void buildSample() {
    auto rowsOf = [&](ArrayRef<int64_t> columns, Type element) {
      SmallVector<int64_t> shape = {ShapedType::kDynamic};
      shape.append(columns.begin(), columns.end());
      return RankedTensorType::get(shape, element);
    };
    Type tokens = rowsOf({}, b.getI32Type());
    b.setInsertionPointToEnd(module->getBody());
    at("sample");
    func::FuncOp sample = createFunction(
        "sample",
        {rowsOf({spec.vocabSize}, f32()), rowsOf({SampleOp::kSettings}, f32())},
        {tokens}, options.headRows, /*isPrivate=*/false);
    b.setInsertionPointToStart(&sample.getBody().front());
    Value chosen = SampleOp::create(b, tokens, sample.getArgument(0),
                                    sample.getArgument(1));
    func::ReturnOp::create(b, chosen);
  }

  const ModelSpec &spec;
  const SpecToTNOptions &options;
  std::vector<Parameter> parameters;
  llvm::DenseMap<std::pair<int, int64_t>, const Parameter *> byRole;
  ImplicitLocOpBuilder b;
  OwningOpRef<ModuleOp> module;
  llvm::StringMap<func::FuncOp> blocks; // by the name of their shape
  SmallVector<Value> newStates;
};

} // namespace

OwningOpRef<ModuleOp> tnllm::convertSpecToTN(MLIRContext &context,
                                             const ModelSpec &spec,
                                             const SpecToTNOptions &options) {
  return ModuleBuilder(context, spec, options).build();
}
