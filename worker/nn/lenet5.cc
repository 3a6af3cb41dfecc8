#include "worker/nn/models.h"

namespace grapevine::nn {

absl::StatusOr<std::unique_ptr<Network>> MakeLenet5(const backend::Shape& images, int classes,
                                                    backend::Backend& backend) {
  NetworkBuilder net(backend, images);
  backend::Tensor* x = net.Convolution(
      "conv1", net.images(),
      {.output_channels = 6, .kernel = 5, .padding = 2, .bias = true, .relu = true});
  x = net.Pool(x, {});
  x = net.Convolution(
      "conv2", x, {.output_channels = 16, .kernel = 5, .padding = 0, .bias = true, .relu = true});
  x = net.Pool(x, {});
  x = net.Linear("linear1", x, {.outputs = 120, .relu = true});
  x = net.Linear("linear2", x, {.outputs = 84, .relu = true});
  x = net.Linear("linear3", x, {.outputs = classes});
  return std::move(net).Finish(x);
}

}  // namespace grapevine::nn
