#include "operator/api/checkpoint_file.h"

#include "gtest/gtest.h"

namespace grapevine::api {
namespace {

TEST(CheckpointFile, NamesOrderByProgress) {
  EXPECT_EQ(CheckpointFile("/a", "u", 12), "/a/u/000000000000012.safetensors");
  EXPECT_EQ(CheckpointFile("/a/", "u", 12), CheckpointFile("/a", "u", 12));
  EXPECT_LT(CheckpointFile("/a", "u", 9), CheckpointFile("/a", "u", 10));
  EXPECT_LT(CheckpointFile("/a", "u", 999'999'999), CheckpointFile("/a", "u", 1'000'000'000));
}

}  // namespace
}  // namespace grapevine::api
