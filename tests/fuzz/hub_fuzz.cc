#include <iterator>
#include <memory>

#include "google/protobuf/message.h"
#include "google/protobuf/stubs/logging.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/targets.h"
#include "tests/operator/training_job/job_rig.h"

namespace grapevine::fuzz {
namespace {

using topology::WorkerMessage;
using training_job::FakeWorker;
using training_job::JobRig;

constexpr std::string_view kTokens[] = {"default",      "digits", "digits-0-0",
                                        "digits-1-0",   "uid-1",  "uid-of-digits-0-0",
                                        "digits-0-0:1", "/c/1"};
constexpr int kWorkers = 3;
constexpr size_t kMostOperations = 24;

// An input is operations, each one byte that says who does it, and for a message two bytes of its
// length and itself: by one of the job's workers on its own stream, or by whoever has opened one.
enum Operation : uint8_t {
  kTimePasses = kWorkers + 2,
  kOpens = kWorkers + 1,
  kStranger = kWorkers
};

// The other job of the same hub: one member, which trains its three batches at the end.
class OtherJob {
 public:
  explicit OtherJob(topology::Hub& hub) : hub_(hub) {
    hub_.EnsureJob(kKey, {.uid = "o", .spec_json = "{}", .batch_size = 10, .data_epochs = 1});
    session_ = hub_.Connect(worker_);
    WorkerMessage message;
    message.mutable_register_()->set_namespace_(kKey.name_space);
    message.mutable_register_()->set_job(kKey.name);
    message.mutable_register_()->set_pod("o-0-0");
    Say(message);
    message.mutable_built()->set_samples(30);
    Say(message);
    hub_.Apply(kKey, {.start = membership::Start::kSeed,
                      .assign = {{.id = 1, .role = membership::Role::kSeed}}});
    message.mutable_ready()->set_from(topology::v1::Start::FROM_SEED);
    Say(message);
    hub_.Apply(kKey, {.publish = topology::Publication{.graph = *graph::Graph::Make({{1}}, {})},
                      .grant_leases = true});
  }

  void RequireUnharmed() {
    Require(!worker_->closed, "the other job's member lost its stream");
    for (size_t i = 0; i < worker_->inbox.size(); ++i) {
      const topology::HubMessage sent = worker_->inbox[i];
      Require(!sent.has_stop() && !sent.has_refused(), "the other job's member was stopped");
      if (sent.has_lease()) Report(sent.lease());
    }
    const topology::Snapshot seen = hub_.Observe(kKey);
    Require(seen.registrants.size() == 1 && seen.epoch == 1, "the other job has another roster");
    Require(seen.samples == 30 && seen.samples_used_up, "the other job lost samples");
  }

 private:
  inline static const topology::JobKey kKey{"default", "other"};

  void Report(const topology::v1::Lease& lease) {
    WorkerMessage message;
    topology::v1::LeaseProgress& done = *message.mutable_report()->add_leases();
    done.set_lease(lease.lease());
    for (const topology::v1::BatchRange& range : lease.ranges()) {
      done.set_batches_done(done.batches_done() + range.end_batch() - range.first_batch());
    }
    Say(message);
  }
  void Say(const WorkerMessage& message) { hub_.OnMessage(session_, message); }

  topology::Hub& hub_;
  const std::shared_ptr<FakeWorker> worker_ = std::make_shared<FakeWorker>("o-0-0");
  topology::SessionId session_ = 0;
};

// An answer to what the hub asked for, so that it is one: its id cannot be guessed.
void FillIds(const FakeWorker& worker, WorkerMessage& message) {
  if (message.has_finalized() && !worker.finalizes.empty()) {
    message.mutable_finalized()->set_id(worker.finalizes.back().id());
  }
  if (message.has_slice_evaluated() && !worker.slices.empty()) {
    message.mutable_slice_evaluated()->set_id(worker.slices.back().id());
  }
  if (message.has_checkpoint_written() && !worker.checkpoints.empty()) {
    message.mutable_checkpoint_written()->set_id(worker.checkpoints.back().id());
  }
}

class HubInput {
 public:
  explicit HubInput(std::string_view input) : input_(input) {}

  bool empty() const { return input_.empty(); }
  uint8_t Byte() {
    if (input_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(input_.front());
    input_.remove_prefix(1);
    return byte;
  }
  bool Message(WorkerMessage& message) {
    const size_t low = Byte();
    const size_t length = std::min<size_t>(low | size_t{Byte()} << 8, input_.size());
    const bool parses = message.ParseFromArray(input_.data(), static_cast<int>(length));
    input_.remove_prefix(length);
    return parses;
  }

 private:
  std::string_view input_;
};

void Fill(google::protobuf::Message& message, Mutator& mutator);

void FillField(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
               Mutator& mutator) {
  using google::protobuf::FieldDescriptor;
  constexpr int64_t kNumbers[] = {0,   1,  2,          3,         5,         10,       20,
                                  320, -1, 2147483648, INT64_MIN, INT64_MAX, 1LL << 61};
  constexpr double kReals[] = {0, 1, -1, 640, 1e300, -1e300, 5e-324, 1e18};
  const int64_t number = kNumbers[mutator.Below(std::size(kNumbers))];
  double real = kReals[mutator.Below(std::size(kReals))];
  if (mutator.OneIn(6))
    real = mutator.OneIn(2) ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL;
  const std::string text(kTokens[mutator.Below(std::size(kTokens))]);
  const auto* reflection = message.GetReflection();
  const bool list = field.is_repeated();
  const auto set = [&](auto add, auto put, const auto& value) {
    list ? (reflection->*add)(&message, &field, value)
         : (reflection->*put)(&message, &field, value);
  };
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return set(&R::AddInt64, &R::SetInt64, number);
    case FieldDescriptor::CPPTYPE_UINT64:
      return set(&R::AddUInt64, &R::SetUInt64, static_cast<uint64_t>(number));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return set(&R::AddDouble, &R::SetDouble, real);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(&message, &field, mutator.OneIn(2));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(&message, &field, static_cast<int>(mutator.Below(6)));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(&message, &field, text);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Fill(list ? *reflection->AddMessage(&message, &field)
                       : *reflection->MutableMessage(&message, &field),
                  mutator);
    default:
      return;
  }
}

void Fill(google::protobuf::Message& message, Mutator& mutator) {
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    for (size_t times = mutator.Below(type.field(i)->is_repeated() ? 4 : 3); times > 0; --times) {
      FillField(message, *type.field(i), mutator);
    }
  }
}

// One that a worker would send, then some fields anew.
WorkerMessage MakeMessage(Mutator& mutator) {
  WorkerMessage message;
  const auto& kinds = *message.GetDescriptor();
  FillField(message, *kinds.field(static_cast<int>(mutator.Below(kinds.field_count()))), mutator);
  if (message.has_register_()) {
    topology::v1::Register& registration = *message.mutable_register_();
    registration.set_namespace_("default");
    registration.set_job("digits");
    if (mutator.OneIn(2)) registration.set_job_uid("uid-1");
    if (mutator.OneIn(2)) {
      registration.mutable_built()->set_layout_hash(7);
      registration.mutable_built()->set_samples(JobRig::kSamples);
    }
  }
  if (message.has_built() && mutator.OneIn(2))
    message.mutable_built()->set_samples(JobRig::kSamples);
  return message;
}

}  // namespace

void FuzzHub(std::string_view bytes) {
  const google::protobuf::LogSilencer silencer;
  HubInput input(bytes);
  JobRig rig(kWorkers);
  rig.job.spec.checkpoint = {.path = "/c", .every_seconds = 1};
  rig.clock.Advance(1s);
  OtherJob other(rig.hub);
  const auto stranger = std::make_shared<FakeWorker>("digits-0-0");
  topology::SessionId session = rig.hub.Connect(stranger);
  for (auto& worker : rig.workers) worker->answers_finalize = input.Byte() % 2 == 0;
  for (size_t i = 0; i < kMostOperations && !input.empty(); ++i) {
    const uint8_t byte = input.Byte();
    const int operation = byte % (kTimePasses + 1);
    if (operation == kTimePasses) {
      rig.Run(byte < 16 ? 2000ms : 60ms);
      continue;
    }
    if (operation == kOpens) {
      rig.hub.OnDisconnect(session);
      session = rig.hub.Connect(stranger);
      continue;
    }
    WorkerMessage message;
    if (!input.Message(message)) continue;
    if (message.has_register_() && message.register_().job() == "other") continue;  // is one of it
    if (operation == kStranger) {
      rig.hub.OnMessage(session, message);
    } else if (static_cast<size_t>(operation) < rig.workers.size()) {
      FakeWorker& worker = *rig.workers[operation];
      FillIds(worker, message);
      if (worker.session != 0) rig.hub.OnMessage(worker.session, message);
    }
  }
  rig.hub.OnDisconnect(session);
  rig.Run(200ms);
  static_cast<void>(rig.Stats());
  Require(rig.problems.empty(), rig.problems.empty() ? "" : rig.problems[0]);
  const topology::JobRecord record = rig.hub.Record(rig.key());
  Require(rig.hub.Observe(rig.key()).samples <= 2 * JobRig::kSamples, "a sample counted twice");
  Require(!record.progress || record.progress->samples >= 0, "fewer than no samples");
  other.RequireUnharmed();
}

std::string MakeHub(uint64_t number) {
  Mutator mutator(number, kTokens);
  std::string input;
  const auto add = [&](size_t byte) { input += static_cast<char>(byte); };
  for (int i = 0; i < kWorkers; ++i) add(mutator.Below(2));
  for (size_t left = 1 + mutator.Below(kMostOperations); left > 0; --left) {
    const size_t operation = mutator.Below(kTimePasses + 2) % (kTimePasses + 1);
    const bool long_time = operation == kTimePasses && mutator.OneIn(6);
    add(operation + (long_time ? 0 : 18));
    if (operation > kStranger) continue;
    std::string message = MakeMessage(mutator).SerializeAsString();
    if (mutator.OneIn(8)) message = mutator.Bytes(message, input);
    add(message.size() & 0xFF);
    add(message.size() >> 8);
    input += message;
  }
  return input;
}

}  // namespace grapevine::fuzz
