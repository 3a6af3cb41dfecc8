#include "operator/controller/workqueue.h"

#include "operator/base/check.h"

namespace grapevine::controller {

bool Workqueue::Add(const Request& request) {
  if (!dirty_.insert(request).second) return false;
  if (!taken_.contains(request)) order_.push_back(request);
  return true;
}

std::optional<Request> Workqueue::Take() {
  if (order_.empty()) return std::nullopt;
  Request request = order_.front();
  order_.pop_front();
  dirty_.erase(request);
  taken_.insert(request);
  return request;
}

bool Workqueue::Done(const Request& request) {
  GRAPEVINE_CHECK(taken_.erase(request) == 1);
  if (!dirty_.contains(request)) return false;
  order_.push_back(request);
  return true;
}

}  // namespace grapevine::controller
