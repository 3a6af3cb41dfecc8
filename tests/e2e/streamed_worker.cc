#include "tests/e2e/streamed_worker.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "operator/api/topology.grpc.pb.h"
#include "operator/base/clock.h"

namespace grapevine::e2e {
namespace {

using topology::v1::HubMessage;
using topology::v1::Topology;
using topology::v1::WorkerMessage;

constexpr Duration kReport = 50ms;
constexpr Duration kReconnect = 50ms;
constexpr std::chrono::seconds kLongest{120};

}  // namespace

StreamedWorker::StreamedWorker(simulation::ImitatedWorker::Pod pod, std::function<HubPlace()> place,
                               std::function<bool()> may_train)
    : place_(std::move(place)),
      may_train_(std::move(may_train)),
      worker_(std::move(pod)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

StreamedWorker::~StreamedWorker() {
  thread_.request_stop();
  thread_.join();
}

bool StreamedWorker::stopped() const {
  MutexLock lock(mutex_);
  return worker_.stopped();
}

void StreamedWorker::Run(const std::stop_token& stop) {
  while (!stop.stop_requested() && !stopped()) {
    if (const HubPlace place = place_(); !place.address.empty()) Session(place, stop);
    std::this_thread::sleep_for(kReconnect);
  }
}

void StreamedWorker::Session(const HubPlace& place, const std::stop_token& stop) {
  const auto stub =
      Topology::NewStub(::grpc::CreateChannel(place.address, ::grpc::InsecureChannelCredentials()));
  ::grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + kLongest);
  const auto stream = stub->Session(&call);
  {
    MutexLock lock(mutex_);
    if (!stream->Write(worker_.Register())) call.TryCancel();
  }
  std::atomic<bool> broken = false;
  std::thread reader([&] {
    HubMessage message;
    while (stream->Read(&message)) {
      MutexLock lock(mutex_);
      for (const WorkerMessage& answer : worker_.OnMessage(message)) stream->Write(answer);
    }
    broken = true;
  });
  while (!broken && !stop.stop_requested()) {
    std::this_thread::sleep_for(kReport);
    MutexLock lock(mutex_);
    if (worker_.stopped()) break;
    if (may_train_()) worker_.Train(1);
    if (const auto report = worker_.Report()) stream->Write(*report);
  }
  call.TryCancel();
  reader.join();
}

}  // namespace grapevine::e2e
