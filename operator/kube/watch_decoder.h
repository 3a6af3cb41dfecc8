#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "operator/controller/api_client.h"

namespace grapevine::kube {

// Turns the bytes of a watch, however they were cut, into its events: one JSON object a line.
// Thread-compatible.
class WatchDecoder {
 public:
  // Above what etcd takes, 1.5 MB, as JSON with all escapes.
  static constexpr size_t kMaxLine = 8 << 20;

  explicit WatchDecoder(std::function<void(controller::WatchEvent)> on_event)
      : on_event_(std::move(on_event)) {}

  // Calls back for each event that is whole now. DataLoss for what is no event or too long; the
  // events before it were given, and nothing may follow.
  absl::Status Feed(std::string_view bytes);
  // Bytes of an event that has not ended yet; a stream that ends so was cut off.
  size_t pending() const { return line_.size(); }

 private:
  absl::Status Decode(std::string_view line);

  const std::function<void(controller::WatchEvent)> on_event_;
  std::string line_;
};

}  // namespace grapevine::kube
