#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <set>

#include "operator/controller/reconciler.h"

namespace grapevine::controller {

// The order in which names are reconciled: first in, first out, with two promises. A name waits at
// most once, however often it is added; and it is never handed out again before Done, but one that
// was added meanwhile waits again from that moment. So nothing that changed is missed, and bursts
// are one call. Thread-compatible; DelayingQueue is the one to share.
class Workqueue {
 public:
  // False when the name was waiting already, or will once it is done.
  bool Add(const Request& request);
  // The oldest that waits, which is in the caller's hands until Done.
  std::optional<Request> Take();
  // REQUIRES: `request` was taken and is not done. True when it waits again.
  bool Done(const Request& request);

  size_t waiting() const { return order_.size(); }
  size_t taken() const { return taken_.size(); }

 private:
  std::deque<Request> order_;
  std::set<Request> dirty_;  // added since last taken; those also in taken_ are not in order_
  std::set<Request> taken_;
};

}  // namespace grapevine::controller
