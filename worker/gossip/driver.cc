#include "worker/gossip/driver.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "worker/gossip/donor.h"
#include "worker/gossip/engine.h"
#include "worker/gossip/joiner.h"
#include "worker/store/chunk_pool.h"

namespace grapevine::gossip {
namespace {

// Snapshots that exist at once: those of the exchange under way, those that wait for peers that do
// not read, and those of the state that joiners have asked for.
constexpr size_t kMaxSnapshots = 64;
// What an exchange can need is out of a joiner's reach.
constexpr size_t kMaxStateSnapshots = 2 * Joiner::kAhead * Donor::kSlots;
constexpr Duration kLongestWait = 1s;
// For the last frames to leave, once nothing more is to be said.
constexpr Duration kFarewell = 20ms;
// From one line about a peer's stream to the next: who retries would fill the log.
constexpr Duration kSilence = 10s;

}  // namespace

// The thread and all that lives on it.
class Driver::Thread {
 public:
  Thread(const DriverOptions& options, transport::Transport& transport,
         store::ParameterStore& store, const Clock& clock)
      : transport_(transport),
        store_(store),
        clock_(clock),
        grid_{.elements = store.elements(), .chunk_elements = store.ChunkOffset(1)},
        engine_({.seed = options.seed,
                 .policy = options.policy,
                 .grid = grid_,
                 .least_patience = options.least_patience}),
        donor_(grid_),
        joiner_(grid_),
        snapshots_(BlockBytes(), kMaxSnapshots),
        state_snapshots_(BlockBytes(), kMaxStateSnapshots) {
    gathered_.resize(grid_.chunk_elements);
  }
  ~Thread() { Stop(clock_.Now()); }

  void Start() {
    GRAPEVINE_CHECK(!thread_.joinable());
    thread_ = std::thread([this] { Run(); });
  }

  void Stop(Time deadline) {
    if (!thread_.joinable()) return;
    Post([this, deadline] {
      stop_at_ = std::min(stop_at_, deadline);
      BeginNoMore();
    });
    thread_.join();
  }

  // Runs `task` on the thread; dropped once that has ended.
  void Post(std::function<void()> task) {
    {
      MutexLock lock(mutex_);
      if (ended_) return;
      tasks_.push_back(std::move(task));
    }
    transport_.Wake();
  }

  void NoteStep() {
    steps_.fetch_add(1);
    if (awaits_steps_.exchange(false)) transport_.Wake();
  }

  GossipCounts counts() const {
    MutexLock lock(mutex_);
    return counts_;
  }

  // On the thread alone.
  void Happened(const GossipEvent& event) { Carry(engine_.Step(clock_.Now(), event)); }
  void SetIdentity(const transport::Identity& identity);
  void BeginNoMore() {
    ending_ = true;
    Happened(StopBegun{});
  }
  void Idle(std::function<void()> done) {
    idle_done_.push_back(std::move(done));
    Happened(IdleBegun{});
  }
  void CopyState(std::vector<Neighbour> donors, store::ParameterStore& into,
                 std::function<void(absl::Status)> done);

 private:
  size_t BlockBytes() const {
    return std::max(PayloadBytes(Encoding::kFloat32, grid_.chunk_elements),
                    PayloadBytes(Encoding::kInt8, grid_.chunk_elements));
  }

  void Run();
  void TakeTasks();
  void Handle(const transport::Event& event);
  void HandleFrame(MemberId peer, const transport::Frame& frame);
  void SayWhy(const transport::Event& event);
  void Lost(MemberId peer);
  void Carry(const Effects& effects);
  void CarryState(const Effects& effects);
  void Carry(const Effect& effect);
  void SendChunk(const Effect& effect);
  void SendState(const Effect& effect);
  void Mix(const Effect& effect);
  void Load(const Effect& effect);
  void EndCopy(absl::Status status);
  void TellIdle();
  void Publish();

  transport::Transport& transport_;
  store::ParameterStore& store_;
  const Clock& clock_;
  const ChunkGrid grid_;

  mutable Mutex mutex_;
  std::vector<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  GossipCounts counts_ ABSL_GUARDED_BY(mutex_);

  // Steps not yet told to the engine, and whether the thread sleeps until there are some.
  std::atomic<uint64_t> steps_ = 0;
  std::atomic<bool> awaits_steps_ = false;

  // All below lives on the thread.
  Engine engine_;
  Donor donor_;
  Joiner joiner_;
  MemberId member_ = 0;
  std::function<void(absl::Status)> copy_done_;
  store::ParameterStore* copy_into_ = nullptr;
  std::vector<std::function<void()>> idle_done_;
  int64_t state_rejected_ = 0;
  bool ending_ = false;
  std::map<MemberId, Time> spoken_of_;  // when, of peers whose streams failed lately; 0: strangers
  Time stop_at_ = Time::max();
  Time wake_at_ = Time::max();
  std::vector<transport::Event> events_;
  const transport::Frame* frame_ = nullptr;  // the one being handled
  store::ChunkPool snapshots_;
  store::ChunkPool state_snapshots_;
  // Sent and not yet mixed, by chunk modulo the window.
  std::array<std::shared_ptr<store::ChunkPool::Block>, Exchange::kWindow> kept_;
  std::vector<float> gathered_;  // one chunk of a donor's

  std::thread thread_;
};

void Driver::Thread::Run() {
  while (true) {
    wake_at_ = Time::max();
    TakeTasks();
    Happened(StepsMade{steps_.exchange(0)});
    Effects state;
    donor_.OnTime(clock_.Now(), state);
    joiner_.OnTime(clock_.Now(), state);
    CarryState(state);
    if (!engine_.exchange()) TellIdle();
    Publish();

    const Time now = clock_.Now();
    if (stop_at_ != Time::max() && (!engine_.exchange() || stop_at_ <= now)) break;
    // Announced before the last look at `steps_`: a step in between finds it and wakes the Poll.
    awaits_steps_ = engine_.AwaitsSteps();
    if (awaits_steps_ && steps_ != 0) wake_at_ = now;
    transport_.Poll(std::min({wake_at_, stop_at_, now + kLongestWait}), events_);
    awaits_steps_ = false;
    for (transport::Event& event : events_) {
      Handle(event);
      event.frame.payload = {};
    }
    events_.clear();
  }
  EndCopy(absl::UnavailableError("this member stops"));
  if (engine_.exchange()) Happened(ExchangeBarred{});
  TellIdle();
  Publish();
  const Time farewell = clock_.Now() + kFarewell;
  while (clock_.Now() < farewell) transport_.Poll(farewell, events_);
  events_.clear();
  MutexLock lock(mutex_);
  ended_ = true;
  tasks_.clear();
}

void Driver::Thread::TakeTasks() {
  std::vector<std::function<void()>> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

void Driver::Thread::Handle(const transport::Event& event) {
  switch (event.kind) {
    case transport::Event::Kind::kFrame:
      return HandleFrame(event.peer, event.frame);
    case transport::Event::Kind::kPeerLost:
      SayWhy(event);
      Lost(event.peer);
      return Happened(PeerLost{event.peer});
    case transport::Event::Kind::kRejected:
      SayWhy(event);
      Lost(event.peer);
      return Happened(PeerRejected{event.peer});
  }
}

void Driver::Thread::HandleFrame(MemberId peer, const transport::Frame& frame) {
  frame_ = &frame;
  Effects effects;
  bool fine = true;
  switch (frame.header.kind) {
    case Kind::kStateOpen:
    case Kind::kStateRequest:
    case Kind::kStateClose:
      fine = donor_.OnFrame(clock_.Now(), peer, frame.header, effects);
      break;
    case Kind::kStateAccept:
    case Kind::kStateRefuse:
    case Kind::kStateChunk:
      fine = joiner_.OnFrame(clock_.Now(), peer, frame.header, effects);
      break;
    default:
      Happened(FrameArrived{.peer = peer, .header = frame.header});
  }
  if (!fine) ++state_rejected_;
  CarryState(effects);
  frame_ = nullptr;
}

void Driver::Thread::SayWhy(const transport::Event& event) {
  const bool rejected = event.kind == transport::Event::Kind::kRejected;
  // Those that have left close their streams, and so does everyone at the end of the job.
  const bool awaited = engine_.HasNeighbour(event.peer) || joiner_.active();
  if (!rejected && (ending_ || !awaited)) return;
  const Time now = clock_.Now();
  std::erase_if(spoken_of_, [now](const auto& each) { return each.second + kSilence <= now; });
  if (!spoken_of_.emplace(event.peer, now).second) return;
  if (!rejected) {
    LogWarn("member {} is out of reach: {}", event.peer, event.reason);
  } else if (event.peer == 0) {
    LogWarn("a stranger is rejected: {}", event.reason);
  } else {
    LogWarn("member {} is rejected: {}", event.peer, event.reason);
  }
}

void Driver::Thread::Lost(MemberId peer) {
  donor_.OnLost(peer);
  Effects effects;
  joiner_.OnLost(clock_.Now(), peer, effects);
  CarryState(effects);
}

void Driver::Thread::SetIdentity(const transport::Identity& identity) {
  member_ = identity.member;
  Happened(IdentityChanged{identity.member});
  transport_.SetIdentity(identity);
  donor_.Reset();
  if (joiner_.active()) {
    joiner_.Cancel();
    EndCopy(absl::UnavailableError("the member took a new identity"));
  }
}

void Driver::Thread::TellIdle() {
  for (const auto& done : std::exchange(idle_done_, {})) done();
}

void Driver::Thread::CopyState(std::vector<Neighbour> donors, store::ParameterStore& into,
                               std::function<void(absl::Status)> done) {
  GRAPEVINE_CHECK(!joiner_.active());
  GRAPEVINE_CHECK(into.elements() == store_.elements());
  copy_done_ = std::move(done);
  copy_into_ = &into;
  donor_.SetOpen(false);
  Effects effects;
  joiner_.Start(clock_.Now(), member_, std::move(donors), effects);
  CarryState(effects);
}

void Driver::Thread::EndCopy(absl::Status status) {
  donor_.SetOpen(true);
  if (auto done = std::exchange(copy_done_, nullptr)) done(std::move(status));
}

// What the engine answers last is the latest: it alone says when to step again.
void Driver::Thread::Carry(const Effects& effects) {
  wake_at_ = effects.wake_at;
  for (const Effect& effect : effects.list) Carry(effect);
}

void Driver::Thread::CarryState(const Effects& effects) {
  wake_at_ = std::min(wake_at_, effects.wake_at);
  for (const Effect& effect : effects.list) Carry(effect);
}

void Driver::Thread::Carry(const Effect& effect) {
  switch (effect.kind) {
    case Effect::Kind::kSend:
      return transport_.Send(effect.peer, {.header = effect.header, .payload = {}});
    case Effect::Kind::kSendChunk:
      return SendChunk(effect);
    case Effect::Kind::kMix:
      return Mix(effect);
    case Effect::Kind::kMixedAll:
      return store_.CountExchange();
    case Effect::Kind::kLetGo:
      kept_.fill(nullptr);
      return;
    case Effect::Kind::kSetAddress:
      return transport_.SetAddress(effect.peer, effect.address);
    case Effect::Kind::kForget:
      // A donor may be a neighbour as well.
      if (!engine_.HasNeighbour(effect.peer)) transport_.Forget(effect.peer);
      return;
    case Effect::Kind::kSendState:
      return SendState(effect);
    case Effect::Kind::kLoad:
      return Load(effect);
    case Effect::Kind::kCopied:
      return EndCopy(absl::OkStatus());
    case Effect::Kind::kCopyFailed:
      return EndCopy(absl::UnavailableError("no donor served all of its state"));
  }
}

void Driver::Thread::SendChunk(const Effect& effect) {
  std::shared_ptr<store::ChunkPool::Block> block = snapshots_.Take();
  if (!block) return Happened(ExchangeBarred{});
  Header header = effect.header;
  const auto bytes = block->bytes.first(header.payload_bytes);
  store_.Visit(header.chunk,
               [&](std::span<const float> weights) { Encode(header.encoding, weights, bytes); });
  header.crc32c = Crc32c(bytes);
  kept_[header.chunk % kept_.size()] = block;
  transport_.Send(effect.peer,
                  {.header = header, .payload = {.pieces = {bytes}, .owner = std::move(block)}});
}

void Driver::Thread::Mix(const Effect& effect) {
  const Header& header = effect.header;
  std::shared_ptr<store::ChunkPool::Block>& own = kept_[header.chunk % kept_.size()];
  if (!own) return;  // its snapshot was barred just now, and the exchange has ended by that
  const Pieces pieces(frame_->payload.pieces);
  const size_t elements = grid_.ElementsOf(header.chunk);
  if (Verify(header.encoding, elements, header.crc32c, pieces) != Soundness::kSound) {
    return Happened(ChunkSpoilt{});
  }
  MixResult sums;
  store_.Mix(header.chunk, [&](std::span<float> weights) {
    sums = MixInto(weights, header.encoding, own->bytes.first(header.payload_bytes), pieces);
  });
  own.reset();
  Happened(ChunkMixed{sums});
}

void Driver::Thread::SendState(const Effect& effect) {
  std::shared_ptr<store::ChunkPool::Block> block = state_snapshots_.Take();
  // The joiner asked for more than it may have out; it finds out by its own deadline.
  if (!block) return;
  Header header = effect.header;
  const uint32_t chunks = grid_.chunks();
  const std::span<float> values(reinterpret_cast<float*>(block->bytes.data()),
                                header.payload_bytes / sizeof(float));
  if (header.chunk < chunks) {
    store_.Snapshot(header.chunk, values);
  } else {
    store_.SnapshotMomentum(header.chunk - chunks, values);
  }
  const auto bytes = block->bytes.first(header.payload_bytes);
  header.crc32c = Crc32c(bytes);
  transport_.Send(effect.peer,
                  {.header = header, .payload = {.pieces = {bytes}, .owner = std::move(block)}});
}

void Driver::Thread::Load(const Effect& effect) {
  const Header& header = effect.header;
  const uint32_t chunk = header.chunk % grid_.chunks();
  const Pieces pieces(frame_->payload.pieces);
  const std::span<float> values = std::span(gathered_).first(grid_.ElementsOf(chunk));
  const bool sound =
      Verify(Encoding::kFloat32, values.size(), header.crc32c, pieces) == Soundness::kSound;
  if (sound) {
    Gather(pieces, std::as_writable_bytes(values));
    if (header.chunk < grid_.chunks()) {
      copy_into_->LoadWeights(chunk, values);
    } else {
      copy_into_->LoadMomentum(chunk, values);
    }
  } else {
    ++state_rejected_;
  }
  Effects effects;
  joiner_.OnLoaded(clock_.Now(), sound, effects);
  CarryState(effects);
}

void Driver::Thread::Publish() {
  MutexLock lock(mutex_);
  counts_ = engine_.counts();
  counts_.rejected += state_rejected_;
}

Driver::Driver(const DriverOptions& options, transport::Transport& transport,
               store::ParameterStore& store, const Clock& clock)
    : thread_(std::make_unique<Thread>(options, transport, store, clock)) {}

Driver::~Driver() = default;

void Driver::Start() { thread_->Start(); }

void Driver::Stop(Time deadline) { thread_->Stop(deadline); }

void Driver::SetIdentity(const transport::Identity& identity) {
  thread_->Post([this, identity] { thread_->SetIdentity(identity); });
}

void Driver::SetView(View view) {
  thread_->Post([this, view = std::move(view)] { thread_->Happened(ViewChanged{view}); });
}

void Driver::SetPolicy(const ExchangePolicy& policy) {
  thread_->Post([this, policy] { thread_->Happened(PolicyChanged{policy}); });
}

void Driver::NoteStep() { thread_->NoteStep(); }

void Driver::SetBackToBack(bool on) {
  thread_->Post([this, on] { thread_->Happened(BackToBackSet{on}); });
}

void Driver::Finish() {
  thread_->Post([this] { thread_->Happened(FinishBegun{}); });
}

void Driver::Idle(std::function<void()> done) {
  thread_->Post([this, done = std::move(done)] { thread_->Idle(done); });
}

void Driver::BeginNoMore() {
  thread_->Post([this] { thread_->BeginNoMore(); });
}

void Driver::CopyState(std::vector<Neighbour> donors, store::ParameterStore& into,
                       std::function<void(absl::Status)> done) {
  thread_->Post([this, donors = std::move(donors), &into, done = std::move(done)]() mutable {
    thread_->CopyState(std::move(donors), into, std::move(done));
  });
}

GossipCounts Driver::counts() const { return thread_->counts(); }

}  // namespace grapevine::gossip
