#include "worker/transport/grpc/grpc_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "worker/transport/grpc/frame_bytes.h"
#include "worker/transport/grpc/stream_settings.h"

namespace grapevine::transport {
namespace {

// gRPC's monotonic clock and the steady clock are both CLOCK_MONOTONIC.
gpr_timespec ToTimespec(Time time) {
  const int64_t ns = std::max<int64_t>(0, time.time_since_epoch().count());
  return {ns / 1'000'000'000, static_cast<int32_t>(ns % 1'000'000'000), GPR_CLOCK_MONOTONIC};
}

Time Now() { return std::chrono::steady_clock::now(); }

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcTransport>> GrpcTransport::Create(const GrpcOptions& options) {
  const size_t colon = options.listen.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("listen address '{}' is not host:port", options.listen));
  }
  KeepFreedMemory();
  std::unique_ptr<GrpcTransport> transport(new GrpcTransport(options.greeting_timeout));
  grpc::ServerBuilder builder;
  ConfigurePeerServer(builder);
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&transport->service_);
  transport->completions_ = builder.AddCompletionQueue();
  transport->server_ = builder.BuildAndStart();
  if (transport->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        fmt::format("cannot listen on {}: is the port taken?", options.listen));
  }
  const std::string host =
      options.advertised_host.empty() ? options.listen.substr(0, colon) : options.advertised_host;
  transport->address_ = fmt::format("{}:{}", host, port);
  transport->AwaitLink();
  return transport;
}

GrpcTransport::~GrpcTransport() {
  ending_ = true;
  if (server_ != nullptr) {
    CloseAll();
    server_->Shutdown(std::chrono::system_clock::now());
  }
  if (completions_ == nullptr) return;
  void* tag = nullptr;
  bool ok = false;
  // Links whose operations are under way start no others now, but gRPC may still ask for one to be
  // ended.
  while (!links_.empty() && completions_->Next(&tag, &ok)) {
    if (tag != &alarm_set_) Handle(*static_cast<Link::Tag*>(tag), ok);
  }
  completions_->Shutdown();
  while (completions_->Next(&tag, &ok)) {
  }
}

void GrpcTransport::SetIdentity(const Identity& identity) {
  CloseAll();
  identity_ = identity;
  has_identity_ = true;
}

void GrpcTransport::SetAddress(MemberId member, const std::string& address) {
  Peer& peer = peers_[member];
  if (peer.address == address) return;
  // A stream that the peer opened while it had no address here stays as it is.
  const bool changed = !peer.address.empty();
  peer.address = address;
  if (!changed) return;
  CloseBoth(member);
  DropEventsOf(member);
}

void GrpcTransport::Forget(MemberId member) {
  const auto it = peers_.find(member);
  if (it == peers_.end()) return;
  it->second.address.clear();
  CloseBoth(member);
  DropEventsOf(member);
  peers_.erase(member);
}

void GrpcTransport::Send(MemberId member, Frame frame) {
  const auto it = peers_.find(member);
  if (it == peers_.end() || !has_identity_) {
    Report(Event::Kind::kPeerLost, member, "no address is known");
    return;
  }
  Peer& peer = it->second;
  if (peer.sender == nullptr) {
    if (peer.accepted == nullptr && peer.address.empty()) {
      Report(Event::Kind::kPeerLost, member, "no address is known");
      return;
    }
    peer.sender = peer.accepted != nullptr ? peer.accepted : Dial(member, peer);
  }
  Link& link = *peer.sender;
  if (link.queue.size() >= kMaxQueuedFrames) {
    Lose(member, fmt::format("more than {} frames wait for it", kMaxQueuedFrames));
    return;
  }
  link.queue.push_back(std::move(frame));
  if (link.state == Link::State::kOpen && !link.writing()) WriteNext(link);
}

void GrpcTransport::Poll(Time deadline, std::vector<Event>& events) {
  bool woken = false;
  while (pending_.empty() && !woken) {
    void* tag = nullptr;
    bool ok = false;
    const Time greeted_by = EarliestGreetingDeadline();
    // Looked at before each event: the queue does not time out while events keep coming.
    if (greeted_by != Time::max() && greeted_by <= Now()) {
      ExpireGreetings();
      continue;
    }
    const Time until = std::min(deadline, greeted_by);
    const auto next = completions_->AsyncNext(&tag, &ok, ToTimespec(until));
    if (next == grpc::CompletionQueue::TIMEOUT) {
      if (until == deadline) break;
    } else if (tag == &alarm_set_) {
      alarm_set_.store(false);
      woken = true;
    } else {
      Handle(*static_cast<Link::Tag*>(tag), ok);
    }
  }
  for (Event& event : pending_) events.push_back(std::move(event));
  pending_.clear();
}

void GrpcTransport::Wake() {
  if (alarm_set_.exchange(true)) return;
  alarm_.Set(completions_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &alarm_set_);
}

Traffic GrpcTransport::traffic() const {
  return {.bytes_sent = bytes_sent_.load(std::memory_order_relaxed),
          .bytes_received = bytes_received_.load(std::memory_order_relaxed)};
}

void GrpcTransport::Handle(const Link::Tag& tag, bool ok) {
  Link& link = *tag.link;
  link.Ended(tag.operation);
  if (link.state == Link::State::kClosed) {
    Release(link);
    return;
  }
  switch (tag.operation) {
    case Link::Operation::kStart:
      OnStarted(link, ok);
      break;
    case Link::Operation::kRead:
      OnRead(link, ok);
      break;
    case Link::Operation::kWrite:
      // A failed write leaves the stream dead, which the read under way reports.
      if (ok && link.state == Link::State::kOpen) WriteNext(link);
      break;
    case Link::Operation::kFinish:
      OnFinished(link);
      break;
  }
}

void GrpcTransport::OnStarted(Link& link, bool ok) {
  if (!link.dialled) {
    if (!ok || ending_) {
      Close(link);
      return;
    }
    AwaitLink();
    OnAccepted(static_cast<AcceptedLink&>(link));
    return;
  }
  if (!ok) {
    Broken(link);
    return;
  }
  link.state = Link::State::kGreeting;
  Greet(link);
  link.Read();
}

void GrpcTransport::OnAccepted(AcceptedLink& link) {
  grpc::Status refusal;
  if (link.method() != kExchangeMethod) {
    refusal = {grpc::StatusCode::UNIMPLEMENTED, "only members' exchanges are served here"};
  } else if (!has_identity_) {
    refusal = {grpc::StatusCode::UNAVAILABLE, "not a member of a job yet"};
  } else if (CountStrangers() >= kMaxStrangers) {
    refusal = {grpc::StatusCode::UNAVAILABLE, "too many streams without a Hello"};
  }
  if (!refusal.ok()) {
    link.state = Link::State::kClosed;
    link.Finish(refusal);
    return;
  }
  link.state = Link::State::kGreeting;
  link.greeting_deadline = Now() + greeting_timeout_;
  ++greeting_;
  link.Read();
}

void GrpcTransport::OnRead(Link& link, bool ok) {
  if (!ok) {
    Broken(link);
    return;
  }
  if (link.state == Link::State::kGreeting) {
    OnHello(link);
    return;
  }
  absl::StatusOr<Frame> frame = ToFrame(link.received());
  if (!frame.ok()) {
    Reject(link, frame.status());
    return;
  }
  bytes_received_.fetch_add(gossip::kHeaderBytes + frame->header.payload_bytes,
                            std::memory_order_relaxed);
  pending_.push_back(
      {.kind = Event::Kind::kFrame, .peer = link.peer, .frame = *std::move(frame), .reason = {}});
  link.Read();
}

void GrpcTransport::OnFinished(Link& link) {
  const MemberId peer = link.peer;
  const grpc::Status status = link.status();
  Close(link);
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
    CloseBoth(peer);
    Report(Event::Kind::kRejected, peer, status.error_message());
    return;
  }
  Lose(peer, status.ok() ? "the peer closed the stream" : status.error_message());
}

void GrpcTransport::AwaitLink() {
  auto link = std::make_unique<AcceptedLink>(service_, *completions_);
  Link* raw = link.get();
  links_[raw] = std::move(link);
  raw->Start();
}

Link* GrpcTransport::Dial(MemberId to, Peer& peer) {
  auto link = std::make_unique<DialledLink>(to, peer.address, *completions_);
  Link* raw = link.get();
  links_[raw] = std::move(link);
  peer.dialled = raw;
  raw->greeting_deadline = Now() + greeting_timeout_;
  ++greeting_;
  raw->Start();
  return raw;
}

void GrpcTransport::Greet(Link& link) {
  const Hello hello{.sender = identity_, .receiver = link.peer};
  link.Write(ToByteBuffer(EncodeHello(hello)));
}

void GrpcTransport::OnHello(Link& link) {
  // One byte more than the longest, so that a longer one is seen to be too long.
  const std::vector<std::byte> bytes = FirstBytes(link.received(), kMaxHelloBytes + 1);
  const absl::StatusOr<Hello> hello = DecodeHello(bytes);
  absl::Status verdict = hello.ok() ? CheckHello(*hello, identity_) : hello.status();
  if (verdict.ok() && link.dialled && hello->sender.member != link.peer) {
    verdict = absl::FailedPreconditionError(
        fmt::format("dialled member {}, member {} answered", link.peer, hello->sender.member));
  }
  if (!verdict.ok()) {
    Reject(link, verdict);
    return;
  }
  if (!link.dialled) {
    const MemberId member = hello->sender.member;
    const auto it = peers_.find(member);
    // Whoever opens a second stream has given up the first.
    if (it != peers_.end() && it->second.accepted != nullptr) {
      Lose(member, "the peer opened a new stream");
    }
    link.peer = member;
    peers_[member].accepted = &link;
    Greet(link);
  }
  --greeting_;
  link.state = Link::State::kOpen;
  link.Read();
  if (!link.writing()) WriteNext(link);
}

void GrpcTransport::WriteNext(Link& link) {
  if (link.queue.empty()) return;
  Frame frame = std::move(link.queue.front());
  link.queue.pop_front();
  bytes_sent_.fetch_add(gossip::kHeaderBytes + frame.payload.size(), std::memory_order_relaxed);
  link.Write(ToByteBuffer(std::move(frame)));
}

void GrpcTransport::Broken(Link& link) {
  if (!link.dialled) {
    const MemberId peer = link.peer;
    Close(link);
    if (peer != 0) Lose(peer, "the peer closed the stream");
    return;
  }
  if (link.Greets()) --greeting_;
  link.state = Link::State::kEnding;
  link.Cancel();
  link.Finish(grpc::Status());
}

void GrpcTransport::Lose(MemberId member, const std::string& reason) {
  CloseBoth(member);
  Report(Event::Kind::kPeerLost, member, reason);
}

void GrpcTransport::Reject(Link& link, const absl::Status& reason) {
  const MemberId member = link.peer;
  if (!link.dialled && !link.writing()) {
    Detach(link);
    link.Finish({grpc::StatusCode::FAILED_PRECONDITION, std::string(reason.message())});
  } else {
    Close(link);
  }
  CloseBoth(member);
  Report(Event::Kind::kRejected, member, std::string(reason.message()));
}

void GrpcTransport::Close(Link& link) {
  if (link.state == Link::State::kClosed) return;
  Detach(link);
  if (link.idle()) {
    Release(link);
  } else {
    link.Cancel();
  }
}

void GrpcTransport::Detach(Link& link) {
  if (link.Greets()) --greeting_;
  link.state = Link::State::kClosed;
  link.queue.clear();
  const auto it = peers_.find(link.peer);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  if (peer.dialled == &link) peer.dialled = nullptr;
  if (peer.accepted == &link) peer.accepted = nullptr;
  if (peer.sender == &link) peer.sender = nullptr;
  const bool linked = peer.dialled != nullptr || peer.accepted != nullptr;
  if (!linked && peer.address.empty()) peers_.erase(it);
}

void GrpcTransport::CloseBoth(MemberId member) {
  const auto it = peers_.find(member);
  if (it == peers_.end()) return;
  // The first Close may erase the peer.
  for (Link* link : {it->second.dialled, it->second.accepted}) {
    if (link != nullptr) Close(*link);
  }
}

void GrpcTransport::CloseAll() {
  std::vector<Link*> links;
  for (const auto& [link, owned] : links_) {
    // The one that waits for a stranger serves the next identity as well.
    if (link->dialled || link->state != Link::State::kStarting) links.push_back(link);
  }
  for (Link* link : links) Close(*link);
  pending_.clear();
}

void GrpcTransport::Release(Link& link) {
  if (link.idle()) links_.erase(&link);
}

Time GrpcTransport::EarliestGreetingDeadline() const {
  Time earliest = Time::max();
  if (greeting_ == 0) return earliest;
  for (const auto& [link, owned] : links_) {
    if (link->Greets()) earliest = std::min(earliest, link->greeting_deadline);
  }
  return earliest;
}

void GrpcTransport::ExpireGreetings() {
  if (greeting_ == 0) return;
  const Time now = Now();
  std::vector<Link*> late;
  for (const auto& [link, owned] : links_) {
    if (link->Greets() && link->greeting_deadline <= now) late.push_back(link);
  }
  for (Link* link : late) {
    if (link->dialled) {
      Lose(link->peer, "no answer");
    } else {
      Reject(*link, absl::DeadlineExceededError("no Hello came"));
    }
  }
}

int GrpcTransport::CountStrangers() const {
  return static_cast<int>(std::count_if(links_.begin(), links_.end(), [](const auto& entry) {
    return !entry.first->dialled && entry.first->state == Link::State::kGreeting;
  }));
}

void GrpcTransport::DropEventsOf(MemberId member) {
  std::erase_if(pending_, [member](const Event& event) { return event.peer == member; });
}

void GrpcTransport::Report(Event::Kind kind, MemberId peer, std::string reason) {
  pending_.push_back({.kind = kind, .peer = peer, .frame = {}, .reason = std::move(reason)});
}

}  // namespace grapevine::transport
