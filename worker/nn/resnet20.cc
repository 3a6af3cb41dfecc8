#include "fmt/core.h"
#include "worker/nn/models.h"

namespace grapevine::nn {

absl::StatusOr<std::unique_ptr<Network>> MakeResnet20(const backend::Shape& images, int classes,
                                                      backend::Backend& backend) {
  constexpr int kStages = 3;
  constexpr int kBlocksPerStage = 3;
  int channels = 16;
  NetworkBuilder net(backend, images);
  backend::Tensor* x = net.Convolution("conv", net.images(), {.output_channels = channels});
  x = net.BatchNorm("norm", x, nullptr, {.relu = true});
  for (int stage = 1; stage <= kStages; ++stage) {
    for (int block = 1; block <= kBlocksPerStage; ++block) {
      const std::string name = fmt::format("stage{}.block{}", stage, block);
      const bool shrinks = stage > 1 && block == 1;
      if (shrinks) channels *= 2;
      const int stride = shrinks ? 2 : 1;
      backend::Tensor* y =
          net.Convolution(name + ".conv1", x, {.output_channels = channels, .stride = stride});
      y = net.BatchNorm(name + ".norm1", y, nullptr, {.relu = true});
      y = net.Convolution(name + ".conv2", y, {.output_channels = channels});
      if (shrinks) x = net.Shortcut(x, {.output_channels = channels, .stride = stride});
      x = net.BatchNorm(name + ".norm2", y, x, {.relu = true});
    }
  }
  x = net.Pool(x, {.kind = backend::PoolOptions::Kind::kAverage, .kernel = 0});
  x = net.Linear("linear", x, {.outputs = classes});
  return std::move(net).Finish(x);
}

}  // namespace grapevine::nn
