#include <cstring>
#include <vector>

#include "benchmark/benchmark.h"
#include "worker/gossip/average.h"

namespace grapevine::gossip {
namespace {

// Far more than the caches hold, taken chunk by chunk as an exchange does. Rates are of model bytes
// (4 an element).
constexpr size_t kChunks = 64;
constexpr int64_t kModelBytes = kChunks * kChunkBytes;

struct Model {
  explicit Model(Encoding encoding)
      : x(kChunks * kChunkElements),
        payload_bytes(PayloadBytes(encoding, kChunkElements)),
        own(kChunks * payload_bytes),
        peer(kChunks * payload_bytes) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 1000) * 0.001f;
    for (size_t c = 0; c < kChunks; ++c) {
      Encode(encoding, Chunk(c), At(own, c));
      Encode(encoding, Chunk(c), At(peer, c));
    }
  }
  std::span<float> Chunk(size_t c) {
    return std::span(x).subspan(c * kChunkElements, kChunkElements);
  }
  std::span<std::byte> At(std::vector<std::byte>& bytes, size_t c) const {
    return std::span(bytes).subspan(c * payload_bytes, payload_bytes);
  }

  std::vector<float> x;
  size_t payload_bytes;
  std::vector<std::byte> own, peer;
};

void BM_Memcpy(benchmark::State& state) {
  std::vector<std::byte> from(kModelBytes, std::byte{1}), to(kModelBytes);
  for (auto _ : state) {
    for (size_t c = 0; c < kChunks; ++c) {
      std::memcpy(to.data() + c * kChunkBytes, from.data() + c * kChunkBytes, kChunkBytes);
    }
    benchmark::DoNotOptimize(to.data());
  }
  state.SetBytesProcessed(state.iterations() * kModelBytes);
}
BENCHMARK(BM_Memcpy);

void BM_Encode(benchmark::State& state) {
  const auto encoding = static_cast<Encoding>(state.range(0));
  Model model(encoding);
  for (auto _ : state) {
    for (size_t c = 0; c < kChunks; ++c) Encode(encoding, model.Chunk(c), model.At(model.own, c));
  }
  state.SetBytesProcessed(state.iterations() * kModelBytes);
}
BENCHMARK(BM_Encode)->DenseRange(0, 2)->ArgName("encoding");

void BM_Verify(benchmark::State& state) {
  const auto encoding = static_cast<Encoding>(state.range(0));
  Model model(encoding);
  for (auto _ : state) {
    for (size_t c = 0; c < kChunks; ++c) {
      const std::vector<std::span<const std::byte>> pieces{model.At(model.peer, c)};
      benchmark::DoNotOptimize(Verify(encoding, kChunkElements, 0, pieces));
    }
  }
  state.SetBytesProcessed(state.iterations() * kModelBytes);
}
BENCHMARK(BM_Verify)->DenseRange(0, 2)->ArgName("encoding");

void BM_MixInto(benchmark::State& state) {
  const auto encoding = static_cast<Encoding>(state.range(0));
  Model model(encoding);
  for (auto _ : state) {
    for (size_t c = 0; c < kChunks; ++c) {
      const std::vector<std::span<const std::byte>> pieces{model.At(model.peer, c)};
      benchmark::DoNotOptimize(MixInto(model.Chunk(c), encoding, model.At(model.own, c), pieces));
    }
  }
  state.SetBytesProcessed(state.iterations() * kModelBytes);
}
BENCHMARK(BM_MixInto)->DenseRange(0, 2)->ArgName("encoding");

}  // namespace
}  // namespace grapevine::gossip
