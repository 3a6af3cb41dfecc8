#include "worker/dataset/cifar10.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/dataset/test_folder.h"

namespace grapevine::dataset {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr size_t kRecord = 3073;

// Three records a file; the first byte of each image is 10 * file + record.
std::vector<uint8_t> Records(int file) {
  std::vector<uint8_t> bytes(3 * kRecord, 7);
  for (int i = 0; i < 3; ++i) {
    bytes[i * kRecord] = static_cast<uint8_t>((file + i) % 10);
    bytes[i * kRecord + 1] = static_cast<uint8_t>(10 * file + i);
  }
  return bytes;
}

void WriteAll(const TestFolder& folder, const std::string& prefix) {
  for (int i = 1; i <= 5; ++i)
    folder.Write(prefix + fmt::format("data_batch_{}.bin", i), Records(i));
  folder.Write(prefix + "test_batch.bin", Records(9));
}

TEST(Cifar10, ReadsTheFilesHereOrInTheirUsualFolder) {
  for (const std::string prefix : {"", "cifar-10-batches-bin/"}) {
    const TestFolder folder;
    WriteAll(folder, prefix);
    const auto cifar = OpenCifar10(folder.path(), 3);
    ASSERT_TRUE(cifar.ok()) << cifar.status();
    EXPECT_EQ((*cifar)->size(Split::kTrain), 15);
    EXPECT_EQ((*cifar)->size(Split::kTest), 3);
    EXPECT_EQ((*cifar)->shape(), (Shape{3, 32, 32}));
    std::vector<float> image(3072);
    EXPECT_EQ((*cifar)->Get(Split::kTrain, 7, image), 4);  // record 1 of file 3
    EXPECT_NEAR(image[0], (31 / 255.0 - 0.4914) / 0.2470, 1e-5);
    EXPECT_NEAR(image[2047], (7 / 255.0 - 0.4822) / 0.2435, 1e-5);
    EXPECT_NEAR(image[2048], (7 / 255.0 - 0.4465) / 0.2616, 1e-5);
    EXPECT_EQ((*cifar)->Get(Split::kTest, 2, image), 1);
  }
}

TEST(Cifar10, TrainingSeesShiftedAndMirroredImages) {
  const TestFolder folder;
  WriteAll(folder, "");
  const auto cifar = OpenCifar10(folder.path(), 3);
  ASSERT_TRUE(cifar.ok());
  std::vector<float> plain(3072);
  std::vector<float> seen(3072);
  (*cifar)->Get(Split::kTrain, 0, plain);
  int different = 0;
  for (int64_t e = 0; e < 20; ++e) {
    EXPECT_EQ((*cifar)->GetAugmented(1, e, 0, seen), 1);
    different += seen != plain ? 1 : 0;
  }
  EXPECT_GT(different, 15);
}

TEST(Cifar10, AMissingFileIsNamed) {
  const TestFolder folder;
  WriteAll(folder, "");
  std::filesystem::remove(folder.Path("data_batch_4.bin"));
  const auto opened = OpenCifar10(folder.path(), 3);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr(folder.Path("data_batch_4.bin")));
}

TEST(Cifar10, AFileOfTheWrongSizeIsRefused) {
  const TestFolder folder;
  for (size_t size : {size_t{0}, kRecord, 3 * kRecord - 1, 3 * kRecord + 1}) {
    WriteAll(folder, "");
    folder.Cut("test_batch.bin", size);
    const auto opened = OpenCifar10(folder.path(), 3);
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(opened.status().message()),
                AllOf(HasSubstr(folder.Path("test_batch.bin")), HasSubstr("9219")));
  }
}

TEST(Cifar10, ALabelOutOfRangeIsRefused) {
  const TestFolder folder;
  WriteAll(folder, "");
  auto bytes = Records(2);
  bytes[kRecord] = 10;
  folder.Write("data_batch_2.bin", bytes);
  const auto opened = OpenCifar10(folder.path(), 3);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(opened.status().message()),
      AllOf(HasSubstr("data_batch_2.bin"), HasSubstr("label 10 of sample 1"), HasSubstr("0 to 9")));
}

}  // namespace
}  // namespace grapevine::dataset
