#include "worker/store/parameter_layout.h"

#include <algorithm>
#include <utility>

namespace grapevine::store {
namespace {

// FNV-1a, byte by byte, so that neither endianness nor the standard library's std::hash shows.
class Fnv1a {
 public:
  void AddByte(uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3; }
  void AddNumber(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) AddByte(static_cast<uint8_t>(number >> shift));
  }
  void AddText(const std::string& text) {
    AddNumber(text.size());
    for (char c : text) AddByte(static_cast<uint8_t>(c));
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace

ParameterLayout MakeParameterLayout(std::vector<ParameterEntry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.kind < b.kind; });
  ParameterLayout layout;
  Fnv1a hash;
  hash.AddNumber(entries.size());
  for (ParameterEntry& entry : entries) {
    hash.AddText(entry.name);
    hash.AddNumber(entry.shape.size());
    hash.AddNumber(static_cast<uint64_t>(entry.kind));
    entry.offset = layout.size;
    entry.size = 1;
    for (int64_t extent : entry.shape) {
      hash.AddNumber(static_cast<uint64_t>(extent));
      entry.size *= static_cast<size_t>(extent);
    }
    layout.size += entry.size;
    if (entry.kind != ParameterKind::kStatistic) layout.trained_size = layout.size;
    if (entry.kind == ParameterKind::kWeight) layout.decayed_size = layout.size;
  }
  layout.entries = std::move(entries);
  layout.hash = hash.hash();
  return layout;
}

}  // namespace grapevine::store
