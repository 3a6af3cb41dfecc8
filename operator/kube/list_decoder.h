#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace grapevine::kube {

// Takes the items out of a List as its bytes come, so that neither its text nor its untrimmed
// objects are ever in memory whole. Thread-compatible.
class ListDecoder {
 public:
  static constexpr size_t kMaxItem = 8 << 20;
  static constexpr size_t kMaxRest = 1 << 20;  // of the List without its items

  explicit ListDecoder(std::function<void(nlohmann::json)> on_item)
      : on_item_(std::move(on_item)) {}

  // Calls back for each item that is whole now. DataLoss for what is no List or too long.
  absl::Status Feed(std::string_view bytes);
  // After the last byte: the List with an empty `items`. DataLoss when it has not ended.
  absl::StatusOr<nlohmann::json> Finish() const;
  // For another list.
  void Reset();

 private:
  absl::Status Take(char byte);
  absl::Status EndItem();
  bool AtItems() const;

  const std::function<void(nlohmann::json)> on_item_;
  std::string rest_;  // everything but the items
  std::string item_;
  int depth_ = 0;  // of brackets that are open
  bool in_items_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace grapevine::kube
