#include "worker/nn/models.h"

namespace grapevine::nn {

absl::StatusOr<std::unique_ptr<Network>> MakeMlp(const backend::Shape& images, int classes,
                                                 backend::Backend& backend) {
  NetworkBuilder net(backend, images);
  backend::Tensor* x = net.Linear("linear1", net.images(), {.outputs = 128, .relu = true});
  x = net.Linear("linear2", x, {.outputs = 64, .relu = true});
  x = net.Linear("linear3", x, {.outputs = classes});
  return std::move(net).Finish(x);
}

}  // namespace grapevine::nn
