#include "operator/grpc/topology_service.h"

#include <grpcpp/grpcpp.h>

#include <deque>

#include "fmt/format.h"
#include "operator/api/topology.grpc.pb.h"
#include "operator/base/mutex.h"

namespace grapevine::grpc_service {
namespace {

using topology::HubMessage;
using topology::WorkerMessage;

constexpr int kKeepaliveMs = 2000;
constexpr int kMinPingIntervalMs = 500;
constexpr Duration kShutdownGrace = 200ms;

// Counts the streams that live, so that the hub outlives them all. Thread-safe.
class StreamCount {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++streams_;
  }
  void Remove() {
    MutexLock lock(mutex_);
    if (--streams_ == 0) empty_.NotifyAll();
  }
  void WaitUntilEmpty() {
    MutexLock lock(mutex_);
    while (streams_ > 0) empty_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar empty_;
  int64_t streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

using Reactor = ::grpc::ServerBidiReactor<WorkerMessage, HubMessage>;

// The hub's end of one stream: a bounded queue that the stream empties. The hub may hold it for
// longer than the stream lives. Thread-safe.
class StreamSink final : public topology::Sink {
 public:
  StreamSink(::grpc::CallbackServerContext* call, Reactor* stream) : call_(call), stream_(stream) {}

  bool Send(const HubMessage& message) override {
    MutexLock lock(mutex_);
    if (stream_ == nullptr || closing_) return true;
    if (queue_.size() >= TopologyServer::kMaxQueued) return false;
    queue_.push_back(message);
    if (!writing_) WriteLocked();
    return true;
  }

  void Close() override {
    MutexLock lock(mutex_);
    closing_ = true;
    // The worker does not read, so the write under way would never end.
    if (stream_ != nullptr && queue_.size() >= TopologyServer::kMaxQueued) call_->TryCancel();
    FinishIfDrainedLocked();
  }

  void OnWritten(bool ok) {
    MutexLock lock(mutex_);
    writing_ = false;
    queue_.pop_front();
    if (!ok) {
      queue_.clear();
      closing_ = true;
    }
    if (!queue_.empty()) WriteLocked();
    FinishIfDrainedLocked();
  }

  // The worker's end is gone: what waits would reach nobody.
  void OnReadEnded() {
    MutexLock lock(mutex_);
    if (queue_.size() > 1) queue_.erase(queue_.begin() + 1, queue_.end());
    if (!writing_) queue_.clear();
    closing_ = true;
    FinishIfDrainedLocked();
  }

  void Detach() {
    MutexLock lock(mutex_);
    stream_ = nullptr;
  }

 private:
  void WriteLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    stream_->StartWrite(&queue_.front());
  }

  // One write at a time, and the status only after the last: the library allows no other order.
  void FinishIfDrainedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!closing_ || writing_ || finished_ || stream_ == nullptr) return;
    finished_ = true;
    stream_->Finish(::grpc::Status::OK);
  }

  Mutex mutex_;
  ::grpc::CallbackServerContext* const call_;             // lives as long as the stream
  Reactor* stream_ ABSL_GUARDED_BY(mutex_);               // null once it is done
  std::deque<HubMessage> queue_ ABSL_GUARDED_BY(mutex_);  // the first is being written, if any is
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// One worker's stream. Deletes itself when the library is done with it. Lives on the library's
// threads, which call one method at a time for reads and one for writes.
class SessionStream final : public Reactor {
 public:
  SessionStream(topology::Hub& hub, StreamCount& count, ::grpc::CallbackServerContext* call)
      : hub_(hub), count_(count), sink_(std::make_shared<StreamSink>(call, this)) {
    count_.Add();
    session_ = hub_.Connect(sink_);
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      sink_->OnReadEnded();
      return;
    }
    hub_.OnMessage(session_, message_);
    StartRead(&message_);
  }

  void OnWriteDone(bool ok) override { sink_->OnWritten(ok); }

  void OnDone() override {
    sink_->Detach();
    hub_.OnDisconnect(session_);
    StreamCount& count = count_;
    delete this;
    count.Remove();
  }

 private:
  topology::Hub& hub_;
  StreamCount& count_;
  const std::shared_ptr<StreamSink> sink_;
  topology::SessionId session_ = 0;
  WorkerMessage message_;
};

class Service final : public topology::v1::Topology::CallbackService {
 public:
  Service(topology::Hub& hub, StreamCount& count) : hub_(hub), count_(count) {}

  Reactor* Session(::grpc::CallbackServerContext* call) override {
    return new SessionStream(hub_, count_, call);  // deletes itself
  }

 private:
  topology::Hub& hub_;
  StreamCount& count_;
};

}  // namespace

class TopologyServer::Running {
 public:
  explicit Running(topology::Hub& hub) : service(hub, count) {}

  StreamCount count;
  Service service;
  int port = 0;
  std::unique_ptr<::grpc::Server> server;
};

absl::StatusOr<std::unique_ptr<TopologyServer>> TopologyServer::Start(
    topology::Hub& hub, const TopologyServerOptions& options) {
  auto running = std::make_unique<Running>(hub);
  ::grpc::ServerBuilder builder;
  // Without it a second server on the same port would silently share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddListeningPort(options.listen, ::grpc::InsecureServerCredentials(), &running->port);
  builder.RegisterService(&running->service);
  running->server = builder.BuildAndStart();
  if (running->server == nullptr || running->port == 0) {
    return absl::UnavailableError(
        fmt::format("topology address {}: cannot listen; is the port taken?", options.listen));
  }
  return std::unique_ptr<TopologyServer>(new TopologyServer(std::move(running)));
}

TopologyServer::TopologyServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}

TopologyServer::~TopologyServer() {
  running_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  running_->count.WaitUntilEmpty();
}

int TopologyServer::port() const { return running_->port; }

}  // namespace grapevine::grpc_service
