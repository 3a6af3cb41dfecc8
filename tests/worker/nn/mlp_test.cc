#include <gtest/gtest.h>

#include "worker/backend/reference/reference_backend.h"
#include "worker/nn/models.h"

namespace grapevine::nn {
namespace {

TEST(MlpTest, FlattensTheImage) {
  const auto backend = backend::reference::MakeBackend();
  const auto network = MakeMlp({2, 3, 4, 5}, 10, *backend);
  ASSERT_TRUE(network.ok()) << network.status();
  const store::ParameterLayout& layout = (*network)->layout();
  EXPECT_EQ(layout.entries[0].shape, (std::vector<int64_t>{128, 60}));
  EXPECT_EQ(layout.decayed_size, 128u * 60 + 64 * 128 + 10 * 64);
  EXPECT_EQ(layout.size, layout.decayed_size + 128 + 64 + 10);
}

}  // namespace
}  // namespace grapevine::nn
