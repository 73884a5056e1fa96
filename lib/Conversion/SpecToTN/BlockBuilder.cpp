// A function for each shape of block. The block is that of arXiv 2307.14995:
//   x = x + GLA(norm(x)),  x = x + SGLU(norm(x))
// or of a baseline, with softmax attention in place of the linear one.
#include "ModuleBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tn;
using tnllm::ModelSpec;

using Role = ParameterRole;

// Roles of a block's parameters, in the order of the block function's
// arguments.
static constexpr Role kBlockRoles[] = {
    Role::TokenNormWeight, Role::TokenNormBias,
    Role::QkvuWeight,      Role::QkvuBias,
    Role::LrpeTheta,       Role::MixerNormWeight,
    Role::MixerNormBias,   Role::OutWeight,
    Role::OutBias,         Role::ChannelNormWeight,
    Role::ChannelNormBias, Role::L1Weight,
    Role::L1Bias,          Role::L2Weight,
    Role::L2Bias,          Role::L3Weight,
    Role::L3Bias};

tn::NormKind ModuleBuilder::normKind() {
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

Value ModuleBuilder::norm(StringRef name, Value x, Value weight, Value bias) {
  at(name);
  return NormOp::create(b, x.getType(), normKind(), x, weight, bias,
                        llvm::APFloat(static_cast<float>(spec.normEps)));
}

Value ModuleBuilder::linear(StringRef name, Value x, Value weight, Value scales,
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

Value ModuleBuilder::linear(StringRef name, Value x, RoleMap &p, Role weight,
                            Role bias) {
  return linear(name, x, p[int(weight)], p[scalesKey(weight)], p[int(bias)]);
}

tn::ActivationKind ModuleBuilder::activationKind(Activation activation) {
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

Value ModuleBuilder::part(Value qkvu, int64_t index) {
  int64_t hidden = spec.hiddenDim;
  at(llvm::Twine("token_mixer.") + llvm::Twine("qkvu"[index]));
  return SliceOp::create(
      b, activation({hidden}), qkvu,
      b.getDenseI64ArrayAttr({index * hidden, (index + 1) * hidden}));
}

Value ModuleBuilder::heads(StringRef name, Value x) {
  at("token_mixer." + name + ".heads");
  return SplitHeadsOp::create(b, activation({spec.heads, spec.headWidth()}), x);
}

Value ModuleBuilder::activateHeads(StringRef name, Value x) {
  if (spec.activation != Activation::Exp)
    return x;
  at("token_mixer." + name + ".exp");
  return ShiftedExpOp::create(b, x.getType(), x);
}

Value ModuleBuilder::lrpe(StringRef name, Value x, Value theta,
                          Value positions) {
  at("token_mixer." + name + ".lrpe");
  return LRPEOp::create(b, activation({spec.heads, 2 * spec.headWidth()}), x,
                        theta, positions);
}

Value ModuleBuilder::ropeTheta() {
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

Value ModuleBuilder::rope(StringRef name, Value x, Value theta,
                          Value positions) {
  at("token_mixer." + name + ".rope");
  return RoPEOp::create(b, x.getType(), x, theta, positions);
}

ModuleBuilder::Heads ModuleBuilder::headsOf(Value qkvu, Value positions,
                                            RoleMap &p, const Shape &shape) {
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

std::pair<Value, Value> ModuleBuilder::linearAttention(const Heads &heads,
                                                       const BlockInputs &in,
                                                       RoleMap &p) {
  at("token_mixer.attention");
  auto attention = LightningAttentionOp::create(
      b, heads.v.getType(), in.state.getType(), heads.q, heads.k, heads.v,
      in.slopes, in.state, b.getF32FloatAttr(spec.attentionScale),
      /*offsets=*/Value());
  at("token_mixer.attention.merged");
  Value o =
      MergeHeadsOp::create(b, activation({spec.hiddenDim}), attention.getOut());
  o = norm("token_mixer.norm", o, p[int(Role::MixerNormWeight)],
           p[int(Role::MixerNormBias)]);
  return {o, attention.getNewState()};
}

std::pair<Value, Value> ModuleBuilder::softmaxAttention(const Heads &heads,
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
  Value o =
      MergeHeadsOp::create(b, activation({spec.hiddenDim}), attention.getOut());
  return {o, attention.getNewCache()};
}

std::pair<Value, Value> ModuleBuilder::tokenMixer(const BlockInputs &in,
                                                  RoleMap &p,
                                                  const Shape &shape) {
  bool isLinear = shape.attention == AttentionKind::Linear;
  Value y = norm("token_norm", in.x, p[int(Role::TokenNormWeight)],
                 p[int(Role::TokenNormBias)]);
  Value qkvu =
      linear(spec.gate ? "token_mixer.qkvu_proj" : "token_mixer.qkv_proj", y, p,
             Role::QkvuWeight, Role::QkvuBias);
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

Value ModuleBuilder::glu(Value x, RoleMap &p) {
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

func::FuncOp ModuleBuilder::getBlock(int64_t layer) {
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

void ModuleBuilder::fillBlock(func::FuncOp block, int64_t layer,
                              const Shape &shape) {
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

Value ModuleBuilder::slopes(int64_t layer) {
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

Value ModuleBuilder::callBlock(int64_t layer, Value x, Value positions,
                               Value state) {
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
