#include "worker/dataset/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapevine::dataset {
namespace {

using testing::HasSubstr;

TEST(Open, KnowsEveryDatasetByName) {
  EXPECT_EQ((*Open({.name = "digits"}))->size(Split::kTest), 360);
  const auto synthetic =
      Open({.name = "synthetic", .shape = {3, 4, 5}, .classes = 7, .samples = 100});
  ASSERT_TRUE(synthetic.ok());
  EXPECT_EQ((*synthetic)->shape(), (Shape{3, 4, 5}));
  EXPECT_EQ((*synthetic)->classes(), 7);
  EXPECT_EQ((*synthetic)->size(Split::kTrain), 100);
  EXPECT_EQ(Open({.name = "mnist", .path = "/nowhere"}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Open({.name = "cifar10", .path = "/nowhere"}).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(Open, SaysWhichNamesThereAre) {
  const auto opened = Open({.name = "imagenet"});
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("\"imagenet\""));
  EXPECT_THAT(std::string(opened.status().message()),
              HasSubstr("digits, mnist, cifar10 or synthetic"));
}

TEST(Open, ASyntheticSetNeedsAShapeAndClasses) {
  for (const Source& source :
       {Source{.name = "synthetic", .shape = {0, 4, 4}},
        Source{.name = "synthetic", .shape = {1, -4, 4}}, Source{.name = "synthetic", .classes = 1},
        Source{.name = "synthetic", .samples = 1}}) {
    EXPECT_EQ(Open(source).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Open, ASyntheticSetFitsInMemory) {
  const auto opened = Open({.name = "synthetic", .shape = {1024, 1024, 1024}, .classes = 100'000});
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(opened.status().message()),
              HasSubstr("shape 1024 x 1024 x 1024, 100000 classes"));
  EXPECT_THAT(std::string(opened.status().message()),
              HasSubstr("429496729600000 bytes, at most 1073741824 are allowed"));
}

}  // namespace
}  // namespace grapevine::dataset
