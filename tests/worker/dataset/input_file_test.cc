#include "worker/dataset/input_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/dataset/test_folder.h"

namespace grapevine::dataset {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> SomeBytes(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * i >> 3);
  return bytes;
}

TEST(InputFile, ReadsPlainAndGzipAlike) {
  const TestFolder folder;
  for (size_t size : {0u, 1u, 100u, 3'000'000u}) {
    const auto bytes = SomeBytes(size);
    folder.Write("plain", bytes);
    folder.WriteGz("packed", bytes);
    EXPECT_EQ(ReadFile(folder.Path("plain"), size).value(), bytes);
    EXPECT_EQ(ReadFile(folder.Path("packed"), size).value(), bytes);
  }
}

TEST(InputFile, AMissingFileIsNotFound) {
  const TestFolder folder;
  const auto read = ReadFile(folder.Path("absent"), 10);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("absent"));
}

TEST(InputFile, AFolderIsNoFile) {
  const TestFolder folder;
  EXPECT_EQ(ReadFile(folder.path(), 10).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(InputFile, ACutGzipStreamIsRefused) {
  const TestFolder folder;
  folder.WriteGz("packed", SomeBytes(10'000));
  for (size_t bytes : {1'000u, 30u, 12u}) {
    folder.Cut("packed", bytes);
    EXPECT_EQ(ReadFile(folder.Path("packed"), 10'000).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bytes;
  }
}

TEST(InputFile, ATamperedGzipStreamIsRefused) {
  const TestFolder folder;
  folder.WriteGz("packed", SomeBytes(10'000));
  auto packed = ReadFile(folder.Path("packed"), 10'000);
  std::ifstream in(folder.Path("packed"), std::ios::binary);
  std::vector<uint8_t> raw((std::istreambuf_iterator<char>(in)), {});
  raw[raw.size() - 6] ^= 1;  // of the checksum
  folder.Write("packed", raw);
  EXPECT_EQ(ReadFile(folder.Path("packed"), 10'000).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(InputFile, NoMoreThanTheBoundIsUnpacked) {
  const TestFolder folder;
  folder.WriteGz("bomb", std::vector<uint8_t>(10'000'000));
  const auto read = ReadFile(folder.Path("bomb"), 9'999'999);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("9999999"));
}

}  // namespace
}  // namespace grapevine::dataset
