// @prefill, @head and @sample, or @loss.
#include "ModuleBuilder.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tn;
using tnllm::ModelSpec;

func::FuncOp ModuleBuilder::createFunction(StringRef name,
                                           ArrayRef<Type> inputs,
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

void ModuleBuilder::probe(int64_t index, Value x) {
  at("hidden." + llvm::Twine(index));
  ProbeOp::create(b, "hidden." + std::to_string(index), x);
}

Value ModuleBuilder::embed(Value ids, Value positions, IntegerAttr padding) {
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

void ModuleBuilder::buildPrefill() {
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

void ModuleBuilder::buildLoss() {
  auto ids = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic},
                                   b.getI32Type());
  auto loss = RankedTensorType::get({1}, f32());
  at("loss");
  func::FuncOp function = createFunction(
      "loss",
      {ids, ids, RankedTensorType::get({ShapedType::kDynamic}, b.getI64Type())},
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

std::pair<Value, Value> ModuleBuilder::headWeight() {
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

void ModuleBuilder::buildHead() {
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

void ModuleBuilder::buildSample() {
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
  Value chosen =
      SampleOp::create(b, tokens, sample.getArgument(0), sample.getArgument(1));
  func::ReturnOp::create(b, chosen);
}
