#include "worker/dataset/mnist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/worker/dataset/test_folder.h"

namespace grapevine::dataset {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void Append(std::vector<uint8_t>& bytes, uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<uint8_t>(number >> shift));
}

std::vector<uint8_t> Images(uint32_t count) {
  std::vector<uint8_t> bytes;
  for (uint32_t number : {0x803u, count, 28u, 28u}) Append(bytes, number);
  for (uint32_t i = 0; i < count * 784; ++i) bytes.push_back(static_cast<uint8_t>(i % 251));
  return bytes;
}

std::vector<uint8_t> Labels(uint32_t count) {
  std::vector<uint8_t> bytes;
  for (uint32_t number : {0x801u, count}) Append(bytes, number);
  for (uint32_t i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(i % 10));
  return bytes;
}

class MnistTest : public testing::Test {
 protected:
  MnistTest() {
    folder_.Write(kTrainImages, Images(20));
    folder_.Write(kTrainLabels, Labels(20));
    folder_.WriteGz("t10k-images-idx3-ubyte.gz", Images(5));
    folder_.WriteGz("t10k-labels-idx1-ubyte.gz", Labels(5));
  }

  // The message names the file and says what is asked for.
  void ExpectInvalid(const std::string& file, const std::string& found,
                     const std::string& allowed) {
    const auto opened = OpenMnist(folder_.path());
    ASSERT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(opened.status().message()),
                AllOf(HasSubstr(folder_.Path(file)), HasSubstr(found), HasSubstr(allowed)));
  }

  static constexpr const char* kTrainImages = "train-images-idx3-ubyte";
  static constexpr const char* kTrainLabels = "train-labels-idx1-ubyte";
  const TestFolder folder_;
};

TEST_F(MnistTest, ReadsPlainAndPackedFiles) {
  const auto mnist = OpenMnist(folder_.path());
  ASSERT_TRUE(mnist.ok()) << mnist.status();
  EXPECT_EQ((*mnist)->size(Split::kTrain), 20);
  EXPECT_EQ((*mnist)->size(Split::kTest), 5);
  EXPECT_EQ((*mnist)->shape(), (Shape{1, 28, 28}));
  EXPECT_EQ((*mnist)->classes(), 10);
  std::vector<float> image(784);
  EXPECT_EQ((*mnist)->Get(Split::kTrain, 13, image), 3);
  const double pixel = (13 * 784 + 5) % 251;
  EXPECT_NEAR(image[5], (pixel / 255 - 0.1307) / 0.3081, 1e-5);
}

TEST_F(MnistTest, AMissingFileIsNamed) {
  std::filesystem::remove(folder_.Path(kTrainLabels));
  const auto opened = OpenMnist(folder_.path());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr(folder_.Path(kTrainLabels)));
}

TEST_F(MnistTest, AMissingFolderIsNotFound) {
  EXPECT_EQ(OpenMnist(folder_.Path("nowhere")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(MnistTest, ATruncatedFileIsRefused) {
  folder_.Cut(kTrainImages, 16 + 20 * 784 - 1);
  ExpectInvalid(kTrainImages, "15695 bytes", "must be 15696");
}

TEST_F(MnistTest, BytesAfterTheLastSampleAreRefused) {
  auto bytes = Labels(20);
  bytes.push_back(0);
  folder_.Write(kTrainLabels, bytes);
  ExpectInvalid(kTrainLabels, "29 bytes", "must be 28");
}

TEST_F(MnistTest, AFileShorterThanItsHeaderIsRefused) {
  folder_.Cut(kTrainImages, 7);
  ExpectInvalid(kTrainImages, "7 bytes", "16");
  folder_.Cut(kTrainImages, 0);
  ExpectInvalid(kTrainImages, "0 bytes", "16");
}

TEST_F(MnistTest, AWrongMagicIsRefused) {
  folder_.Write(kTrainImages, Labels(20));
  ExpectInvalid(kTrainImages, "0x00000801", "0x00000803");
}

TEST_F(MnistTest, AWrongImageSizeIsRefused) {
  auto bytes = Images(20);
  bytes[11] = 32;
  folder_.Write(kTrainImages, bytes);
  ExpectInvalid(kTrainImages, "32", "must be 28");
}

TEST_F(MnistTest, ACountThatLiesIsRefusedWithoutMemoryForIt) {
  auto bytes = Images(20);
  bytes[4] = 0xff;
  folder_.Write(kTrainImages, bytes);
  ExpectInvalid(kTrainImages, "samples", "1 to 1000000");
}

TEST_F(MnistTest, ImagesWithoutLabelsAreRefused) {
  folder_.Write(kTrainLabels, Labels(19));
  ExpectInvalid(kTrainLabels, "19 labels", "20 images");
}

TEST_F(MnistTest, ALabelOutOfRangeIsRefused) {
  auto bytes = Labels(20);
  bytes[8 + 4] = 10;
  folder_.Write(kTrainLabels, bytes);
  ExpectInvalid(kTrainLabels, "label 10 of sample 4", "0 to 9");
}

TEST_F(MnistTest, AnEmptySetIsRefused) {
  folder_.Write(kTrainImages, Images(0));
  folder_.Write(kTrainLabels, Labels(0));
  ExpectInvalid(kTrainImages, "0 samples", "1 to");
}

TEST(RealMnist, IsNormalised) {
  const char* folder = std::getenv("GRAPEVINE_MNIST");
  if (folder == nullptr) GTEST_SKIP() << "GRAPEVINE_MNIST names no folder";
  const auto mnist = OpenMnist(folder);
  ASSERT_TRUE(mnist.ok()) << mnist.status();
  EXPECT_EQ((*mnist)->size(Split::kTrain), 60'000);
  EXPECT_EQ((*mnist)->size(Split::kTest), 10'000);
  double sum = 0;
  double squares = 0;
  std::vector<float> image(784);
  for (int64_t i = 0; i < 60'000; ++i) {
    (*mnist)->Get(Split::kTrain, i, image);
    for (float value : image) {
      sum += value;
      squares += value * value;
    }
  }
  EXPECT_NEAR(sum / (60'000.0 * 784), 0, 1e-3);
  EXPECT_NEAR(squares / (60'000.0 * 784), 1, 1e-3);
}

}  // namespace
}  // namespace grapevine::dataset
