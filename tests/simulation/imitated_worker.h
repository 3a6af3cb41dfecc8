#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/topology.pb.h"

namespace grapevine::simulation {

// A worker as its hub sees one: it follows the protocol of topology.proto, and of a model and a
// data set it has only the sizes. Knows no stream and no time: whoever holds it carries the
// messages and says when it trains and reports. Thread-compatible.
class ImitatedWorker {
 public:
  static constexpr int64_t kSamples = 320;  // of the training set
  static constexpr int64_t kTestSamples = 100;

  struct Pod {
    std::string name_space;
    std::string job;
    std::string name;
    std::string uid;
  };

  explicit ImitatedWorker(Pod pod) : pod_(std::move(pod)) {}

  const Pod& pod() const { return pod_; }
  uint64_t member() const { return member_; }
  // The last one it was given, with epoch 0 before the first.
  const topology::v1::View& view() const { return view_; }
  bool stopped() const { return stopped_; }  // told to end
  bool refused() const { return refused_; }
  // The checkpoints that it has written whole.
  const std::vector<std::string>& written() const { return written_; }

  // The first message of each of its streams.
  topology::v1::WorkerMessage Register() const;
  // What it answers, in order.
  std::vector<topology::v1::WorkerMessage> OnMessage(const topology::v1::HubMessage& message);
  // Works on its leases, at most so many batches.
  void Train(int64_t batches);
  // nullopt while it has no id.
  std::optional<topology::v1::WorkerMessage> Report();
  topology::v1::WorkerMessage Leave() const;

 private:
  struct Held {
    std::vector<topology::v1::BatchRange> ranges;
    int64_t batches = 0;
    int64_t done = 0;
    uint64_t finished_in = 0;  // the number of the report that said so first
  };

  static topology::v1::Built Built();
  void OnAssign(const topology::v1::Assign& assign);
  void OnLease(const topology::v1::Lease& lease);
  topology::v1::LeaseReturn HandBack(uint64_t lease);
  // Finished leases that the report of this number told of: they are on record.
  void Forget(uint64_t report);

  const Pod pod_;
  uint64_t member_ = 0;
  std::string job_uid_;
  bool holds_state_ = false;
  bool admitted_ = false;
  bool finishing_ = false;
  bool stopped_ = false;
  bool refused_ = false;
  topology::v1::View view_;
  std::map<uint64_t, Held> leases_;
  int64_t batches_done_ = 0;
  uint64_t reports_ = 0;
  std::vector<std::string> written_;
};

}  // namespace grapevine::simulation
