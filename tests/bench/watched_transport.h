#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "worker/transport/transport.h"

namespace grapevine::bench {

// Passes everything on and notes when each exchange ended at this end: the first Poll after its own
// Done was sent and the peer's was received, which is when the driver had dealt with both.
//
// Lives on the gossip thread; AwaitExchanges is Thread-safe.
class WatchedTransport final : public transport::Transport {
 public:
  explicit WatchedTransport(transport::Transport& real) : real_(real) {}

  // Waits until `count` exchanges have ended since the start, and returns when the last of them
  // did; Time::max() when that has not happened by `deadline`.
  Time AwaitExchanges(int count, Time deadline);

  const std::string& address() const override { return real_.address(); }
  void SetIdentity(const transport::Identity& identity) override { real_.SetIdentity(identity); }
  void SetAddress(transport::MemberId peer, const std::string& address) override {
    real_.SetAddress(peer, address);
  }
  void Forget(transport::MemberId peer) override { real_.Forget(peer); }
  void Send(transport::MemberId peer, transport::Frame frame) override;
  void Poll(Time deadline, std::vector<transport::Event>& events) override;
  void Wake() override { real_.Wake(); }
  transport::Traffic traffic() const override { return real_.traffic(); }

 private:
  transport::Transport& real_;
  int dones_ = 0;  // of the exchange under way; two make its end

  Mutex mutex_;
  CondVar ended_;
  int exchanges_ ABSL_GUARDED_BY(mutex_) = 0;
  Time last_end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grapevine::bench
