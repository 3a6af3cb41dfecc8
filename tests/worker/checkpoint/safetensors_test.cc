#include "worker/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapevine::checkpoint {
namespace {

using testing::HasSubstr;

TEST(Safetensors, DecodesWhatItEncodes) {
  const FileHeader header{.tensors = {{"z", {2, 3}, 0, 24}, {"a", {}, 24, 4}, {"m", {1}, 28, 4}},
                          .metadata = {{"key", "a \"text\"\n"}}};
  const std::string encoded = EncodeFileHeader(header);
  EXPECT_EQ(encoded.size() % 8, 0u);
  EXPECT_EQ(static_cast<unsigned char>(encoded[0]) + 256 * static_cast<unsigned char>(encoded[1]),
            static_cast<int>(encoded.size() - 8));
  EXPECT_EQ(DecodeFileHeader(encoded.substr(8), 32).value(), header);
}

TEST(Safetensors, TensorsComeByOffsetWhateverTheOrderOfNames) {
  const auto header = DecodeFileHeader(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                                       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                       8);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->tensors[0].name, "b");
}

TEST(Safetensors, AnEmptyTensorTakesNoPlace) {
  EXPECT_TRUE(DecodeFileHeader(R"({"a":{"dtype":"F32","shape":[0,2],"data_offsets":[0,0]},)"
                               R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                               4)
                  .ok());
}

struct Bad {
  const char* text;
  const char* message;
};

class SafetensorsBad : public testing::TestWithParam<Bad> {};

TEST_P(SafetensorsBad, IsRefused) {
  const auto header = DecodeFileHeader(GetParam().text, 8);
  ASSERT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(header.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Headers, SafetensorsBad,
    testing::Values(
        Bad{"", "not a JSON object"}, Bad{"[]", "not a JSON object"},
        Bad{"{\"a\":", "not a JSON object"}, Bad{R"({"a":3})", "must have dtype"},
        Bad{R"({"a":{"dtype":"F32","shape":[2]}})", "must have dtype"},
        Bad{R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})", "\"F16\""},
        Bad{R"({"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}})", "must be \"F32\""},
        Bad{R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", "array"},
        Bad{R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "non-negative"},
        Bad{R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "non-negative"},
        Bad{R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})",
            "non-negative"},
        Bad{R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
            "larger"},
        Bad{R"({"a":{"dtype":"F32","shape":[4,4,4,4],"data_offsets":[0,8]}})", "larger"},
        Bad{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "two non-negative"},
        Bad{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,"8"]}})", "two non-negative"},
        Bad{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "do not lie"},
        Bad{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", "do not lie"},
        Bad{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", "its shape needs 4"},
        Bad{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "begins at byte 4"},
        Bad{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "8 bytes after"},
        Bad{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
            R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            "begins at byte 4"},
        Bad{R"({"__metadata__":3})", "must be an object"},
        Bad{R"({"__metadata__":{"a":3}})", "strings alone"}));

TEST(Safetensors, DeepNestingDoesNotExhaustTheStack) {
  EXPECT_FALSE(DecodeFileHeader(std::string(1'000'000, '['), 8).ok());
  std::string nested = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) nested += '[';
  for (int i = 0; i < 100'000; ++i) nested += ']';
  EXPECT_FALSE(DecodeFileHeader(nested + "}", 8).ok());
}

}  // namespace
}  // namespace grapevine::checkpoint
