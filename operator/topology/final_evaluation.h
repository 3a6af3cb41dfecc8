#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "operator/api/member.h"

namespace grapevine::topology {

using api::MemberId;

// The evaluation of a job's final weights, cut into slices of the test set that members take one
// after the other until none is left: a fast member takes more of them than a slow one, and one
// that still copies the weights takes one.
//
// Guarantees: all slices are of one model, the finalizer's weights with the statistics that it
// estimated anew; each sample counts once; and as long as the finalizer lives the result comes, no
// later than about when it would have come from the finalizer alone. For when nothing is free any
// more, the finalizer is given what others are still about, and the first answer counts: a peer
// that is lost, slow or hangs costs its slice's time and nothing else. Without the finalizer nobody
// has the weights, and another begins anew.
//
// Pure. Thread-compatible. A step costs O(slices).
class FinalEvaluation {
 public:
  struct Slice {
    int64_t first = 0;
    int64_t end = 0;  // exclusive
    friend bool operator==(const Slice&, const Slice&) = default;
  };

  // `members`, the finalizer among them, take part. REQUIRES: samples >= 1.
  FinalEvaluation(MemberId finalizer, int64_t samples, const std::set<MemberId>& members);

  // What `member` shall evaluate next, until it answers; nullopt when it has one already, takes no
  // part, or there is nothing left that it could do.
  std::optional<Slice> Take(MemberId member);

  // The answer to what it took last. False when it took nothing.
  bool Answer(MemberId member, double loss_sum, int64_t correct);

  // It is gone, or cannot: what it took is free again, and it takes no more.
  void Remove(MemberId member);

  MemberId finalizer() const { return finalizer_; }
  const std::set<MemberId>& members() const { return members_; }
  std::optional<Slice> TakenBy(MemberId member) const;

  bool finished() const { return evaluated_ == samples_; }
  int64_t samples() const { return samples_; }
  // REQUIRES: finished().
  double loss() const { return loss_ / static_cast<double>(samples_); }
  double accuracy() const { return static_cast<double>(correct_) / static_cast<double>(samples_); }

  // Enough for slow and fast members to end together; not so many that asking costs.
  static constexpr int64_t kSlicesPerMember = 4;
  static constexpr int64_t kLeastSlice = 64;  // samples: a few batches

 private:
  const MemberId finalizer_;
  const int64_t samples_;
  std::set<MemberId> members_;
  std::deque<Slice> free_;
  std::map<MemberId, Slice> taken_;  // two have the same one where the finalizer makes sure
  std::set<int64_t> done_;           // by their first sample
  int64_t evaluated_ = 0;            // samples
  double loss_ = 0;
  int64_t correct_ = 0;
};

}  // namespace grapevine::topology
