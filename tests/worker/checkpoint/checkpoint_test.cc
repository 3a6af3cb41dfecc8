#include "worker/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/worker/checkpoint/checkpoint_fixture.h"
#include "worker/checkpoint/safetensors.h"

namespace grapevine::checkpoint {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(CheckpointTest, WhatIsWrittenIsLoaded) {
  const std::string file = Path("new/folder/one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  EXPECT_EQ(ReadManifest(file).value(), SomeManifest());
  store::ParameterStore other(layout_.size, 5);  // chunks of another size
  const auto loaded = Load(file, layout_, other);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded, SomeManifest());
  EXPECT_EQ(Weights(other), Weights(store_));
  auto momentum = Momentum(store_);
  std::fill(momentum.begin() + static_cast<ptrdiff_t>(layout_.trained_size), momentum.end(), 0.0f);
  EXPECT_EQ(Momentum(other), momentum);  // statistics have none
  EXPECT_EQ(std::distance(fs::directory_iterator(Path("new/folder")), {}), 1);
}

// As the published format says, read without a line of ours.
TEST_F(CheckpointTest, TheFileIsSafetensors) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  const std::string bytes = ReadBytes(file);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  const auto& tensor = header.at("first.weight");
  EXPECT_EQ(tensor.at("dtype"), "F32");
  EXPECT_EQ(tensor.at("shape"), (std::vector<int64_t>{2, 3}));
  const uint64_t begin = tensor.at("data_offsets")[0];
  EXPECT_EQ(tensor.at("data_offsets")[1], begin + 24);
  float second = 0;
  std::memcpy(&second, bytes.data() + 8 + length + begin + 4, 4);
  EXPECT_EQ(second, 1.0f);
  EXPECT_TRUE(header.contains("momentum.first.bias"));
  EXPECT_FALSE(header.contains("momentum.norm.mean"));
  for (const auto& [key, value] : header.at("__metadata__").items())
    EXPECT_TRUE(value.is_string()) << key;
}

TEST_F(CheckpointTest, ResumeIsByNameNotByPlace) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  using store::ParameterKind;
  const auto other_layout =
      store::MakeParameterLayout({{"last.weight", {5}, ParameterKind::kWeight},
                                  {"norm.mean", {3}, ParameterKind::kStatistic},
                                  {"first.weight", {2, 3}, ParameterKind::kWeight},
                                  {"first.bias", {3}, ParameterKind::kUndecayed}});
  store::ParameterStore other(other_layout.size, kChunk);
  ASSERT_TRUE(Load(file, other_layout, other).ok());
  const auto weights = Weights(other);
  for (const auto& entry : other_layout.entries) {
    for (const auto& was : layout_.entries) {
      if (was.name != entry.name) continue;
      for (size_t i = 0; i < entry.size; ++i) {
        EXPECT_EQ(weights[entry.offset + i], static_cast<float>(was.offset + i)) << entry.name;
      }
    }
  }
}

TEST_F(CheckpointTest, AnotherModelsFileIsRefusedAndTheStoreUntouched) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  using store::ParameterKind;
  const std::vector<std::pair<store::ParameterLayout, std::string>> others = {
      {store::MakeParameterLayout({{"first.weight", {3, 2}, ParameterKind::kWeight}}), "[2, 3]"},
      {store::MakeParameterLayout({{"second.weight", {6}, ParameterKind::kWeight}}), "missing"},
      {store::MakeParameterLayout({{"first.weight", {2, 3}, ParameterKind::kWeight}}),
       "not the model's"}};
  for (const auto& [layout, message] : others) {
    store::ParameterStore other(layout.size, kChunk);
    Fill(other, 7);
    const auto loaded = Load(file, layout, other);
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(message));
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(file));
    EXPECT_EQ(Weights(other)[0], 7);
  }
}

TEST_F(CheckpointTest, AMissingFileIsNotFound) {
  EXPECT_EQ(ReadManifest(Path("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Load(Path("none"), layout_, store_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CheckpointTest, AFolderOrAPipeIsNoCheckpoint) {
  EXPECT_FALSE(ReadManifest(folder_.string()).ok());
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadManifest(Path("pipe")).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckpointTest, AFileCutAtAnyByteIsRefused) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  const auto size = fs::file_size(file);
  store::ParameterStore other(layout_.size, kChunk);
  for (auto left = size; left-- > 0;) {
    fs::resize_file(file, left);
    ASSERT_EQ(ReadManifest(file).status().code(), absl::StatusCode::kInvalidArgument) << left;
    ASSERT_FALSE(Load(file, layout_, other).ok());
  }
  EXPECT_EQ(Weights(other), std::vector<float>(layout_.size));
}

TEST_F(CheckpointTest, AHeaderLengthThatLiesIsRefusedWithoutMemoryForIt) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  const std::string bytes = ReadBytes(file);
  for (uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{bytes.size()}, kMaxHeaderBytes + 1,
                          uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string changed = bytes;
    std::memcpy(changed.data(), &length, 8);
    WriteBytes(file, changed);
    EXPECT_EQ(ReadManifest(file).status().code(), absl::StatusCode::kInvalidArgument) << length;
  }
}

// Whatever a byte of the header becomes, reading ends in a status and stays within the file.
TEST_F(CheckpointTest, NoChangedByteIsBelievedBlindly) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(), layout_, store_).ok());
  const std::string bytes = ReadBytes(file);
  std::mt19937 random(1);
  store::ParameterStore other(layout_.size, kChunk);
  for (int round = 0; round < 3000; ++round) {
    std::string changed = bytes;
    for (uint32_t i = 0; i <= random() % 3; ++i) {
      changed[random() % (bytes.size() - layout_.size * 8)] = static_cast<char>(random());
    }
    WriteBytes(file, changed);
    (void)Load(file, layout_, other);
  }
}

TEST_F(CheckpointTest, MetadataIsChecked) {
  const std::string file = Path("one.safetensors");
  const std::string good_progress = R"({"samples":1,"dataEpoch":0,"done":[[0,1,2]]})";
  const auto read = [&](const std::string& uid, const std::string& hash,
                        const std::string& progress) {
    WriteBytes(file,
               EncodeFileHeader(
                   {.metadata = {{"jobUid", uid}, {"layoutHash", hash}, {"progress", progress}}}));
    return ReadManifest(file).status().code();
  };
  const std::string hash = "00000000000000ff";
  EXPECT_EQ(read("u", hash, good_progress), absl::StatusCode::kOk);
  EXPECT_EQ(read("", hash, good_progress), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read("u", "ff", good_progress), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read("u", "00000000000000fg", good_progress), absl::StatusCode::kInvalidArgument);
  for (const char* progress :
       {"", "[]", "{}", R"({"samples":-1,"dataEpoch":0,"done":[]})",
        R"({"samples":1.5,"dataEpoch":0,"done":[]})", R"({"samples":1,"dataEpoch":"0","done":[]})",
        R"({"samples":1,"dataEpoch":0,"done":{}})", R"({"samples":1,"dataEpoch":0,"done":[[0,1]]})",
        R"({"samples":1,"dataEpoch":0,"done":[[0,2,2]]})",
        R"({"samples":1,"dataEpoch":3,"done":[[2,0,1]]})",
        R"({"samples":1,"dataEpoch":0,"done":[[0,0,18446744073709551615]]})",
        R"({"samples":18446744073709551615,"dataEpoch":0,"done":[]})"}) {
    EXPECT_EQ(read("u", hash, progress), absl::StatusCode::kInvalidArgument) << progress;
  }
}

TEST_F(CheckpointTest, MomentumThatIsNotInTheFileIsZero) {
  const std::string file = Path("one.safetensors");
  FileHeader header{.metadata = {{"jobUid", "u"},
                                 {"layoutHash", "0000000000000000"},
                                 {"progress", R"({"samples":1,"dataEpoch":0,"done":[]})"}}};
  for (const auto& entry : layout_.entries) {
    header.tensors.push_back({entry.name, entry.shape, entry.offset * 4, entry.size * 4});
  }
  WriteBytes(file, EncodeFileHeader(header) + std::string(layout_.size * 4, '\0'));
  ASSERT_TRUE(Load(file, layout_, store_).ok());
  EXPECT_EQ(Momentum(store_), std::vector<float>(layout_.size));
}

// A limit on the size of files stands in for a full disk; in a child, since it cannot be lifted
// again.
TEST_F(CheckpointTest, AFullDiskLeavesTheLastCheckpointWhole) {
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(1), layout_, store_).ok());
  const auto size = fs::file_size(file);
  Fill(store_, 100);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{100}, static_cast<rlim_t>(size - 1)}) {
    const pid_t child = fork();
    if (child == 0) {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit bound{limit, limit};
      setrlimit(RLIMIT_FSIZE, &bound);
      const absl::Status status = Write(file, SomeManifest(2), layout_, store_);
      _exit(status.code() == absl::StatusCode::kResourceExhausted ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << limit;
    EXPECT_EQ(ReadManifest(file).value().samples, 1);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "a temporary file is left";
  }
}

TEST_F(CheckpointTest, AWriterThatIsKilledLeavesTheLastCheckpointWhole) {
  const auto big = store::MakeParameterLayout({{"w", {1 << 20}, store::ParameterKind::kWeight}});
  store::ParameterStore store(big.size, 1 << 12);
  const std::string file = Path("one.safetensors");
  ASSERT_TRUE(Write(file, SomeManifest(1), big, store).ok());
  for (int round = 0; round < 10; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t samples = 2;; ++samples) (void)Write(file, SomeManifest(samples), big, store);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(3 + 5 * round));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    store::ParameterStore other(big.size, 1 << 12);
    EXPECT_TRUE(Load(file, big, other).ok());
  }
}

TEST_F(CheckpointTest, AFolderThatCannotBeMadeIsAnError) {
  WriteBytes(Path("file"), "x");
  EXPECT_FALSE(Write(Path("file/one.safetensors"), SomeManifest(), layout_, store_).ok());
}

TEST_F(CheckpointTest, TrainingGoesOnWhileItIsWritten) {
  const auto big = store::MakeParameterLayout({{"w", {1 << 21}, store::ParameterKind::kWeight}});
  store::ParameterStore store(big.size, 1 << 14);
  store::ParameterStore other(big.size, 1 << 14);
  // Some of the weights are in the file and some are not.
  const auto is_half_written = [&] {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_, error)) {
      const auto size = entry.file_size(error);
      if (error || entry.path().extension() != ".tmp") continue;
      return size > sizeof(float) << 14 && size < sizeof(float) << 21;
    }
    return false;
  };
  std::atomic<bool> stepped = false;
  std::jthread trainer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const bool before = is_half_written();
      store.Apply(0, [](size_t, std::span<float> weights, std::span<float>) { ++weights[0]; });
      if (before && is_half_written()) stepped = true;
    }
  });
  const std::string file = Path("one.safetensors");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!stepped && std::chrono::steady_clock::now() < deadline) {
    ASSERT_TRUE(Write(file, SomeManifest(), big, store).ok());
    ASSERT_TRUE(Load(file, big, other).ok());
  }
  EXPECT_TRUE(stepped);
}

}  // namespace
}  // namespace grapevine::checkpoint
