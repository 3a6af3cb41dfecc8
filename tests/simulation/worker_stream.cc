#include "tests/simulation/worker_stream.h"

#include <deque>

namespace grapevine::simulation {

struct WorkerStream::Inbox final : topology::Sink {
  bool Send(const topology::HubMessage& message) override {
    messages.push_back(message);
    return true;
  }
  void Close() override { closed = true; }

  std::deque<topology::HubMessage> messages;
  bool closed = false;
};

bool WorkerStream::closed() const { return inbox_ != nullptr && inbox_->closed; }

void WorkerStream::Connect(topology::Hub& hub) {
  inbox_ = std::make_shared<Inbox>();
  session_ = hub.Connect(inbox_);
  Say(hub, imitated.Register());
}

void WorkerStream::Disconnect(topology::Hub* hub) {
  if (connected() && hub != nullptr) hub->OnDisconnect(session_);
  session_ = 0;
}

void WorkerStream::Say(topology::Hub& hub, const topology::WorkerMessage& message) {
  hub.OnMessage(session_, message);
}

void WorkerStream::Answer(topology::Hub& hub,
                          const std::function<void(const topology::HubMessage&)>& on_heard) {
  for (auto& messages = inbox_->messages; !messages.empty(); messages.pop_front()) {
    if (on_heard) on_heard(messages.front());
    for (const auto& answer : imitated.OnMessage(messages.front())) Say(hub, answer);
  }
}

}  // namespace grapevine::simulation
