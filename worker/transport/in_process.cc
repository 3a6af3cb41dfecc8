#include "worker/transport/in_process.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::transport {
namespace {

Event Lost(MemberId peer, std::string reason) {
  return {.kind = Event::Kind::kPeerLost, .peer = peer, .frame = {}, .reason = std::move(reason)};
}

Event Rejected(MemberId peer, std::string reason) {
  return {.kind = Event::Kind::kRejected, .peer = peer, .frame = {}, .reason = std::move(reason)};
}

}  // namespace

InProcessTransport::InProcessTransport(Switch& network, std::string name)
    : network_(network), name_(std::move(name)) {
  MutexLock lock(network_.mutex_);
  const bool inserted = network_.endpoints_.emplace(name_, this).second;
  GRAPEVINE_CHECK(inserted);
}

InProcessTransport::~InProcessTransport() {
  MutexLock lock(network_.mutex_);
  BreakAll("the peer has gone");
  network_.endpoints_.erase(name_);
}

void InProcessTransport::SetIdentity(const Identity& identity) {
  Garbage garbage;
  MutexLock lock(network_.mutex_);
  BreakAll("the peer has taken a new identity");
  garbage.assign(std::make_move_iterator(inbox_.begin()), std::make_move_iterator(inbox_.end()));
  inbox_.clear();
  identity_ = identity;
}

void InProcessTransport::SetAddress(MemberId peer, const std::string& address) {
  Garbage garbage;
  MutexLock lock(network_.mutex_);
  auto [at, inserted] = addresses_.try_emplace(peer, address);
  if (inserted || at->second == address) return;
  at->second = address;
  Break(peer, "the peer has closed the stream");
  DropFrom(peer, garbage);
}

void InProcessTransport::Forget(MemberId peer) {
  Garbage garbage;
  MutexLock lock(network_.mutex_);
  addresses_.erase(peer);
  Break(peer, "the peer has closed the stream");
  DropFrom(peer, garbage);
}

void InProcessTransport::Send(MemberId peer, Frame frame) {
  const auto bytes = static_cast<int64_t>(gossip::kHeaderBytes + frame.payload.size());
  MutexLock lock(network_.mutex_);
  GRAPEVINE_CHECK(identity_.has_value());
  const auto link = links_.find(peer);
  InProcessTransport* remote = link != links_.end() ? link->second.remote : Dial(peer);
  if (remote == nullptr) return;
  Link& back = remote->links_.at(identity_->member);
  if (back.frames_waiting == kMaxFramesWaiting) {
    Break(peer, "more frames wait than may");
    Push(Lost(peer, "the peer does not read"));
    return;
  }
  ++back.frames_waiting;
  traffic_.bytes_sent += bytes;
  remote->traffic_.bytes_received += bytes;
  remote->Push({.kind = Event::Kind::kFrame,
                .peer = identity_->member,
                .frame = std::move(frame),
                .reason = {}});
}

InProcessTransport* InProcessTransport::Dial(MemberId peer) {
  const auto address = addresses_.find(peer);
  const auto found = address == addresses_.end() ? network_.endpoints_.end()
                                                 : network_.endpoints_.find(address->second);
  if (found == network_.endpoints_.end()) {
    Push(Lost(peer, "nobody is at the peer's address"));
    return nullptr;
  }
  InProcessTransport* remote = found->second;
  const Identity expected{
      .job_uid = identity_->job_uid, .member = peer, .layout_hash = identity_->layout_hash};
  if (remote == this || remote->identity_ != expected) {
    if (remote->identity_.has_value()) {
      remote->Push(Rejected(identity_->member, "a hello of another job, layout or receiver"));
    }
    Push(Lost(peer, "the peer refused the stream"));
    return nullptr;
  }
  links_[peer] = {.remote = remote};
  remote->links_[identity_->member] = {.remote = this};
  return remote;
}

void InProcessTransport::Poll(Time deadline, std::vector<Event>& events) {
  MutexLock lock(network_.mutex_);
  while (inbox_.empty() && !woken_) {
    if (!happened_.WaitUntil(network_.mutex_, deadline)) break;
  }
  woken_ = false;
  std::ranges::move(inbox_, std::back_inserter(events));
  inbox_.clear();
  for (auto& [peer, link] : links_) link.frames_waiting = 0;
}

void InProcessTransport::Wake() {
  MutexLock lock(network_.mutex_);
  woken_ = true;
  happened_.NotifyOne();
}

Traffic InProcessTransport::traffic() const {
  MutexLock lock(network_.mutex_);
  return traffic_;
}

void InProcessTransport::Push(Event event) {
  inbox_.push_back(std::move(event));
  happened_.NotifyOne();
}

void InProcessTransport::Break(MemberId peer, const char* reason) {
  const auto link = links_.find(peer);
  if (link == links_.end()) return;
  InProcessTransport* remote = link->second.remote;
  links_.erase(link);
  remote->links_.erase(identity_->member);
  remote->Push(Lost(identity_->member, reason));
}

void InProcessTransport::BreakAll(const char* reason) {
  while (!links_.empty()) Break(links_.begin()->first, reason);
}

void InProcessTransport::DropFrom(MemberId peer, Garbage& garbage) {
  const auto kept = std::ranges::stable_partition(
      inbox_, [peer](const Event& event) { return event.peer != peer; });
  garbage.assign(std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end()));
  inbox_.erase(kept.begin(), kept.end());
}

}  // namespace grapevine::transport
