#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "worker/gossip/chunk_grid.h"
#include "worker/gossip/driver.h"
#include "worker/store/parameter_store.h"
#include "worker/transport/in_process.h"

namespace grapevine::gossip {

inline Time RealNow() { return std::chrono::steady_clock::now(); }

// Waits for other threads; false when `done` never came to hold.
inline bool Eventually(const std::function<bool()>& done) {
  const Time deadline = RealNow() + 60s;
  while (!done()) {
    if (RealNow() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// A member as a worker has one: a store and a gossip thread. Members of a test find each other on
// one switch. A machine that stands still for a while tears none of their exchanges.
struct MemberThread {
  MemberThread(transport::Switch& network, MemberId id, const ChunkGrid& grid,
               const ExchangePolicy& policy = {})
      : id(id),
        transport(network, fmt::format("member-{}", id)),
        store(grid.elements, grid.chunk_elements),
        driver({.seed = id, .policy = policy, .least_patience = 60s}, transport, store, clock) {
    driver.SetIdentity({.job_uid = "job", .member = id, .layout_hash = 1});
  }

  Neighbour as_neighbour() const { return {.member = id, .address = transport.address()}; }

  std::vector<float> Weights() const {
    std::vector<float> weights(store.elements());
    store.Read(weights);
    return weights;
  }

  MemberId id;
  RealClock clock;
  transport::InProcessTransport transport;
  store::ParameterStore store;
  Driver driver;
};

// The first half of `members` is active, the rest passive, each a neighbour of all on the other
// side.
inline void JoinCompletely(std::vector<std::unique_ptr<MemberThread>>& members, uint64_t epoch) {
  const size_t active = members.size() / 2;
  for (size_t i = 0; i < members.size(); ++i) {
    View view{
        .epoch = epoch, .side = i < active ? Side::kActive : Side::kPassive, .neighbours = {}};
    for (size_t j = 0; j < members.size(); ++j) {
      if ((i < active) != (j < active)) view.neighbours.push_back(members[j]->as_neighbour());
    }
    members[i]->driver.SetView(std::move(view));
  }
}

}  // namespace grapevine::gossip
