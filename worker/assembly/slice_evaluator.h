#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "operator/api/topology.pb.h"
#include "worker/assembly/job_parts.h"
#include "worker/control/session.h"

namespace grapevine::assembly {

// This member's part in the final evaluation: slices of the test set, with the finalizer's weights
// and nobody else's. Where it is not the finalizer itself, it copies that one's state beside its
// own store (as much memory as the store takes, until the next membership) before the first slice.
// A copy that fails is an answer: the hub then lets others evaluate the slice.
//
// Lives on the control thread; held by what it has begun.
class SliceEvaluator : public std::enable_shared_from_this<SliceEvaluator> {
 public:
  using Work = std::function<void(control::Session&)>;

  // `post` has work done on the control thread, from any thread.
  SliceEvaluator(uint64_t member, std::shared_ptr<JobParts> job,
                 std::function<void(const Work&)> post);

  // -> Session::OnSliceEvaluated. A slice of other weights takes the place of one that waits for
  // its copy: nobody waits for that one's answer any more.
  void Evaluate(const topology::v1::EvaluateSlice& request);

 private:
  void Copy();
  void OnCopied(const absl::Status& status, control::Session& session);
  void Begin(const topology::v1::EvaluateSlice& request,
             std::shared_ptr<const store::ParameterStore> weights);

  const uint64_t member_;
  const std::shared_ptr<JobParts> job_;
  const std::function<void(const Work&)> post_;
  std::shared_ptr<store::ParameterStore> copy_;  // whole once !waiting_
  uint64_t copy_of_ = 0;                         // its Finalize
  bool copying_ = false;
  topology::v1::EvaluateSlice waiting_;  // for the copy, while copying_
};

}  // namespace grapevine::assembly
