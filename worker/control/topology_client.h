#pragma once

#include <functional>
#include <memory>
#include <string>

#include "operator/base/clock.h"
#include "worker/control/session.h"

namespace grapevine::control {

struct TopologyClientOptions {
  std::string hub_address;  // host:port
  SessionOptions session;
};

// The control thread of a worker and its stream to the hub, opened again with backoff whenever it
// breaks. Thread-safe, except that the session and the parts live on its thread.
class TopologyClient {
 public:
  // `parts` and `clock` must outlive the client.
  TopologyClient(const TopologyClientOptions& options, Parts& parts, const Clock& clock);
  ~TopologyClient();  // stops first

  void Start();
  // Runs `work(session)` soon on the control thread, in order. From any thread; dropped after Stop.
  void Post(std::function<void(Session&)> work);
  // Waits until the hub has heard what the session has said, at most until `deadline`, and ends the
  // thread.
  void Stop(Time deadline);

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace grapevine::control
