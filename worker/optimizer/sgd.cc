#include "worker/optimizer/sgd.h"

#include "operator/base/check.h"

namespace grapevine::optimizer {
namespace {

// Plain loops that the compiler vectorises; `decay` is 0 for the part that does not.
template <bool kNesterov>
inline __attribute__((always_inline)) void UpdateRange(float* __restrict w, float* __restrict v,
                                                       const float* __restrict gradient,
                                                       size_t count, const SgdOptions& options,
                                                       float decay) {
  const float rate = options.learning_rate;
  const float momentum = options.momentum;
  for (size_t i = 0; i < count; ++i) {
    const float g = gradient[i] + decay * w[i];
    const float next = momentum * v[i] + g;
    v[i] = next;
    w[i] -= rate * (kNesterov ? g + momentum * next : next);
  }
}

inline __attribute__((always_inline)) void UpdateChunk(float* w, float* v, const float* g,
                                                       size_t count, const SgdOptions& options,
                                                       float decay) {
  if (options.momentum == 0) {
    const float rate = options.learning_rate;
    for (size_t i = 0; i < count; ++i) w[i] -= rate * (g[i] + decay * w[i]);
  } else if (options.nesterov) {
    UpdateRange<true>(w, v, g, count, options, decay);
  } else {
    UpdateRange<false>(w, v, g, count, options, decay);
  }
}

using UpdateFunction = void (*)(float*, float*, const float*, size_t, const SgdOptions&, float);

void UpdateAnywhere(float* w, float* v, const float* g, size_t count, const SgdOptions& options,
                    float decay) {
  UpdateChunk(w, v, g, count, options, decay);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void UpdateAvx2(float* w, float* v, const float* g,
                                                    size_t count, const SgdOptions& options,
                                                    float decay) {
  UpdateChunk(w, v, g, count, options, decay);
}
#endif

UpdateFunction FastestUpdate() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return UpdateAvx2;
#endif
  return UpdateAnywhere;
}

}  // namespace

void SgdUpdate(std::span<float> weights, std::span<float> momentum, std::span<const float> gradient,
               const SgdOptions& options, size_t decayed) {
  GRAPEVINE_CHECK(momentum.size() == weights.size() && gradient.size() == weights.size());
  GRAPEVINE_CHECK(decayed <= weights.size());
  static const UpdateFunction update = FastestUpdate();
  update(weights.data(), momentum.data(), gradient.data(), decayed, options, options.weight_decay);
  update(weights.data() + decayed, momentum.data() + decayed, gradient.data() + decayed,
         weights.size() - decayed, options, 0);
}

}  // namespace grapevine::optimizer
