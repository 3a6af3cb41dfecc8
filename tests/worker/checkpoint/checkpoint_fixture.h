#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "worker/checkpoint/checkpoint.h"

namespace grapevine::checkpoint {

// A folder that is gone with the test, and a small model whose tensors straddle the store's chunks.
class CheckpointTest : public testing::Test {
 protected:
  static constexpr size_t kChunk = 4;

  CheckpointTest() : layout_(Layout()), store_(layout_.size, kChunk) {
    std::string name = (std::filesystem::temp_directory_path() / "grapevine-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    Fill(store_, 0);
  }
  ~CheckpointTest() override { std::filesystem::remove_all(folder_); }

  static store::ParameterLayout Layout() {
    using store::ParameterKind;
    return store::MakeParameterLayout({{"first.weight", {2, 3}, ParameterKind::kWeight},
                                       {"first.bias", {3}, ParameterKind::kUndecayed},
                                       {"norm.mean", {3}, ParameterKind::kStatistic},
                                       {"last.weight", {5}, ParameterKind::kWeight}});
  }

  // Weight i is base + i, momentum i is -(base + i).
  static void Fill(store::ParameterStore& store, float base) {
    for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
      std::vector<float> values;
      for (size_t i = 0; i < store.ChunkElements(chunk); ++i) {
        values.push_back(base + static_cast<float>(store.ChunkOffset(chunk) + i));
      }
      store.LoadWeights(chunk, values);
      for (float& value : values) value = -value;
      store.LoadMomentum(chunk, values);
    }
  }

  static std::vector<float> Weights(const store::ParameterStore& store) {
    std::vector<float> weights(store.elements());
    store.Read(weights);
    return weights;
  }
  static std::vector<float> Momentum(const store::ParameterStore& store) {
    std::vector<float> momentum;
    for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
      std::vector<float> part(store.ChunkElements(chunk));
      store.SnapshotMomentum(chunk, part);
      momentum.insert(momentum.end(), part.begin(), part.end());
    }
    return momentum;
  }

  Manifest SomeManifest(int64_t samples = 1000) const {
    return {.job_uid = "uid-1",
            .layout_hash = layout_.hash,
            .samples = samples,
            .data_epoch = 2,
            .done = {{2, 0, 5}, {2, 7, 9}, {3, 0, 1}}};
  }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  static std::string ReadBytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void WriteBytes(const std::string& path, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
  }

  const store::ParameterLayout layout_;
  store::ParameterStore store_;
  std::filesystem::path folder_;
};

}  // namespace grapevine::checkpoint
