// oneDNN's f32 matmul: with plain weights, and with weights in the layout that the
// library asks for (reordered before the timing, as a model would at load).
#include "Gemm.h"

#include <dnnl.hpp>

#include <map>
#include <memory>

using namespace dnnl;
using dt = memory::data_type;
using tag = memory::format_tag;

namespace {

engine &cpu() {
  static engine instance(engine::kind::cpu, 0);
  return instance;
}

struct Plan {
  matmul::primitive_desc description;
  matmul primitive;
  stream queue{cpu()};
  bool packed;
  std::map<const float *, memory> weights; // packed, by source

  Plan(const gemm::Shape &s, tag layout, bool packed) : packed(packed) {
    memory::desc a({s.m, s.k}, dt::f32, tag::ab), c({s.m, s.n}, dt::f32, tag::ab),
        b({s.k, s.n}, dt::f32, packed ? tag::any : layout);
#if DNNL_VERSION_MAJOR >= 3
    description = matmul::primitive_desc(cpu(), a, b, c);
#else
    description = matmul::primitive_desc(matmul::desc(a, b, c), cpu());
#endif
    primitive = matmul(description);
  }

  // The weights as the primitive reads them; a reordered copy is made once.
  memory weight(const gemm::Shape &s, const float *b) {
    memory plain({{s.k, s.n}, dt::f32, tag::ab}, cpu(), const_cast<float *>(b));
    if (!packed)
      return memory(description.weights_desc(), cpu(), const_cast<float *>(b));
    auto found = weights.find(b);
    if (found != weights.end())
      return found->second;
    memory own(description.weights_desc(), cpu());
    reorder(plain, own).execute(queue, plain, own);
    queue.wait();
    return weights.emplace(b, own).first->second;
  }

  void execute(const gemm::Shape &s, gemm::Operands &x, const float *b) {
    memory a(description.src_desc(), cpu(), x.a.data());
    memory c(description.dst_desc(), cpu(), x.c.data());
    primitive.execute(queue, {{DNNL_ARG_SRC, a},
                              {DNNL_ARG_WEIGHTS, weight(s, b)},
                              {DNNL_ARG_DST, c}});
    queue.wait();
  }
};

gemm::Variant variant(const char *name, tag layout, bool packed) {
  return {name, [=](const gemm::Shape &shape) -> gemm::Product {
            auto plan = std::make_shared<Plan>(shape, layout, packed);
            return [=](gemm::Operands &x, const float *b) {
              if (packed && plan->weights.empty())
                for (auto &copy : x.b)
                  plan->weight(shape, copy.data());
              plan->execute(shape, x, b);
            };
          }};
}

} // namespace

int main(int argc, char **argv) {
  const version_t *v = dnnl::version();
  return gemm::run(argc, argv,
                   "oneDNN " + std::to_string(v->major) + "." +
                       std::to_string(v->minor) + "." +
                       std::to_string(v->patch),
                   {variant("nn", tag::ab, false), variant("nt", tag::ba, false),
                    variant("packed", tag::any, true)});
}
