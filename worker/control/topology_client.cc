#include "worker/control/topology_client.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <random>
#include <thread>

#include "operator/api/topology.grpc.pb.h"
#include "operator/base/backoff.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"

namespace grapevine::control {
namespace {

constexpr int kKeepaliveMs = 2000;
constexpr int kReconnectMs = 100;
constexpr BackoffOptions kBackoff{.initial = 50ms, .factor = 2, .max = 2s, .jitter = 0.2};

using Stream = ::grpc::ClientAsyncReaderWriter<proto::WorkerMessage, proto::HubMessage>;

// gRPC's deadlines are of the system's clock.
std::chrono::system_clock::time_point After(Duration duration) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(duration);
}

std::shared_ptr<::grpc::Channel> MakeChannel(const std::string& address) {
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 10 * kReconnectMs);
  return ::grpc::CreateCustomChannel(address, ::grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

// The control thread and all that only it touches, but for the box of posted work.
class TopologyClient::Thread {
 public:
  Thread(const TopologyClientOptions& options, Parts& parts, const Clock& clock)
      : clock_(clock),
        stub_(topology::v1::Topology::NewStub(MakeChannel(options.hub_address))),
        session_(options.session, parts,
                 [this](const proto::WorkerMessage& message) { outbox_.push_back(message); }) {}

  ~Thread() { Stop(Time{}); }

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  void Post(std::function<void(Session&)> work) {
    MutexLock lock(mutex_);
    if (!ending_) posted_.push_back(std::move(work));
    WakeLocked();
  }

  void Stop(Time deadline) {
    {
      MutexLock lock(mutex_);
      if (!ending_) end_by_ = deadline;
      ending_ = true;
      WakeLocked();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  enum class State { kIdle, kConnecting, kOpen, kClosing };
  enum Tag : intptr_t { kConnected = 1, kRead, kWritten, kFinished, kWoken };

  static void* ToTag(Tag tag) { return reinterpret_cast<void*>(tag); }

  void WakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (alarm_set_ || ended_) return;
    alarm_set_ = true;
    alarm_.Set(&queue_, After(Duration::zero()), ToTag(kWoken));
  }

  void Run();
  bool Ending(Time now);
  void RunPosted();
  void Dial();
  void WriteNext();
  void OnEvent(Tag tag, bool ok);
  void Break();
  void OnFinished();
  void Drain();

  const Clock& clock_;
  const std::unique_ptr<topology::v1::Topology::Stub> stub_;
  ::grpc::CompletionQueue queue_;
  ::grpc::Alarm alarm_;
  Session session_;
  std::deque<proto::WorkerMessage> outbox_;  // the first is being written while writing_
  State state_ = State::kIdle;
  std::unique_ptr<::grpc::ClientContext> call_;
  std::unique_ptr<Stream> stream_;
  proto::HubMessage read_;
  ::grpc::Status status_;
  bool reading_ = false;
  bool writing_ = false;
  bool half_closed_ = false;  // nothing is written any more
  int attempt_ = 0;
  Time retry_at_{};
  std::mt19937_64 rng_{std::random_device()()};

  Mutex mutex_;
  std::deque<std::function<void(Session&)>> posted_ ABSL_GUARDED_BY(mutex_);
  bool alarm_set_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // no more alarms
  Time end_by_ ABSL_GUARDED_BY(mutex_){};

  std::thread thread_;
};

void TopologyClient::Thread::Run() {
  while (true) {
    RunPosted();
    const Time now = clock_.Now();
    if (Ending(now)) break;
    if (state_ == State::kIdle && now >= retry_at_) Dial();
    if (state_ == State::kOpen && !half_closed_) session_.Tick(now);
    WriteNext();
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, After(Session::kTickInterval)) ==
        ::grpc::CompletionQueue::GOT_EVENT) {
      OnEvent(static_cast<Tag>(reinterpret_cast<intptr_t>(tag)), ok);
    }
  }
  Drain();
}

// Ends once what was said has arrived, or nobody is there to hear it, or it takes too long. A
// cancelled stream loses what the hub has not read yet, so it is the hub that ends it.
bool TopologyClient::Thread::Ending(Time now) {
  MutexLock lock(mutex_);
  if (!ending_) return false;
  if (stream_ == nullptr || state_ == State::kConnecting || now >= end_by_) return true;
  if (state_ == State::kOpen && outbox_.empty() && !half_closed_) {
    half_closed_ = true;
    writing_ = true;
    stream_->WritesDone(ToTag(kWritten));
  }
  return false;
}

void TopologyClient::Thread::RunPosted() {
  std::deque<std::function<void(Session&)>> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work(session_);
}

void TopologyClient::Thread::Dial() {
  state_ = State::kConnecting;
  call_ = std::make_unique<::grpc::ClientContext>();
  stream_ = stub_->AsyncSession(call_.get(), &queue_, ToTag(kConnected));
}

void TopologyClient::Thread::WriteNext() {
  if (state_ != State::kOpen || writing_ || half_closed_ || outbox_.empty()) return;
  writing_ = true;
  stream_->Write(outbox_.front(), ToTag(kWritten));
}

void TopologyClient::Thread::OnEvent(Tag tag, bool ok) {
  switch (tag) {
    case kWoken: {
      MutexLock lock(mutex_);
      alarm_set_ = false;
      return;
    }
    case kConnected:
      if (!ok) return Break();
      state_ = State::kOpen;
      outbox_.clear();
      session_.OnConnected();
      reading_ = true;
      return stream_->Read(&read_, ToTag(kRead));
    case kRead:
      reading_ = false;
      if (!ok || state_ != State::kOpen) return Break();
      attempt_ = 0;  // somebody answers
      session_.OnMessage(read_);
      reading_ = true;
      return stream_->Read(&read_, ToTag(kRead));
    case kWritten:
      writing_ = false;
      if (!half_closed_) outbox_.pop_front();
      // Also one that came through: a stream that is breaking waits for it.
      if (!ok || state_ != State::kOpen) Break();
      return;
    case kFinished:
      return OnFinished();
  }
}

// The stream is of no more use: its status may be asked for once nothing else is under way.
void TopologyClient::Thread::Break() {
  if (state_ == State::kOpen) session_.OnDisconnected();
  if (state_ != State::kClosing) {
    state_ = State::kClosing;
    if (reading_ || writing_) call_->TryCancel();
  }
  if (!reading_ && !writing_) stream_->Finish(&status_, ToTag(kFinished));
}

void TopologyClient::Thread::OnFinished() {
  if (attempt_ == 0) {
    LogWarn("the hub is away: {}", status_.ok() ? "stream closed" : status_.error_message());
  }
  stream_.reset();
  call_.reset();
  outbox_.clear();
  state_ = State::kIdle;
  retry_at_ = clock_.Now() + Backoff(kBackoff, attempt_++, rng_);
}

void TopologyClient::Thread::Drain() {
  {
    MutexLock lock(mutex_);
    ended_ = true;
  }
  alarm_.Cancel();
  if (call_ != nullptr) call_->TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
  stream_.reset();
  call_.reset();
}

TopologyClient::TopologyClient(const TopologyClientOptions& options, Parts& parts,
                               const Clock& clock)
    : thread_(std::make_unique<Thread>(options, parts, clock)) {}

TopologyClient::~TopologyClient() = default;

void TopologyClient::Start() { thread_->Start(); }

void TopologyClient::Post(std::function<void(Session&)> work) { thread_->Post(std::move(work)); }

void TopologyClient::Stop(Time deadline) { thread_->Stop(deadline); }

}  // namespace grapevine::control
