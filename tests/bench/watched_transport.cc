#include "tests/bench/watched_transport.h"

#include <utility>

namespace grapevine::bench {

Time WatchedTransport::AwaitExchanges(int count, Time deadline) {
  MutexLock lock(mutex_);
  while (exchanges_ < count) {
    if (!ended_.WaitUntil(mutex_, deadline)) return Time::max();
  }
  return last_end_;
}

void WatchedTransport::Send(transport::MemberId peer, transport::Frame frame) {
  if (frame.header.kind == gossip::Kind::kDone) ++dones_;
  real_.Send(peer, std::move(frame));
}

void WatchedTransport::Poll(Time deadline, std::vector<transport::Event>& events) {
  if (dones_ == 2) {
    dones_ = 0;
    MutexLock lock(mutex_);
    ++exchanges_;
    last_end_ = std::chrono::steady_clock::now();
    ended_.NotifyAll();
  }
  real_.Poll(deadline, events);
  for (const transport::Event& event : events) {
    if (event.kind == transport::Event::Kind::kFrame &&
        event.frame.header.kind == gossip::Kind::kDone) {
      ++dones_;
    }
  }
}

}  // namespace grapevine::bench
