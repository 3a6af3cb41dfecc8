#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "operator/base/clock.h"
#include "worker/gossip/exchange_policy.h"
#include "worker/gossip/gossip_counts.h"
#include "worker/gossip/patience.h"
#include "worker/gossip/view.h"
#include "worker/store/parameter_store.h"
#include "worker/transport/transport.h"

namespace grapevine::gossip {

struct DriverOptions {
  uint64_t seed = 0;
  ExchangePolicy policy;
  // With a silent peer, at least; more where threads may stand still for longer than that.
  Duration least_patience = Patience::kLeast;
};

// The gossip thread: feeds the engine with what the transport and the owner bring, and carries out
// what it decides. Owns the thread; borrows transport, store and clock, which must outlive it.
//
// Thread-safe: every method may be called from any thread and none waits for the network, except
// Stop.
class Driver {
 public:
  Driver(const DriverOptions& options, transport::Transport& transport,
         store::ParameterStore& store, const Clock& clock);
  ~Driver();  // stops first
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  void Start();

  // BeginNoMore, waits for the exchange under way, at most until `deadline`, then ends the thread.
  // Idempotent.
  void Stop(Time deadline);

  // Closes all streams: a member with a new id is a stranger to its peers.
  void SetIdentity(const transport::Identity& identity);

  // Holds from the next offer on. A view whose epoch is not newer is ignored (a new identity resets
  // that).
  void SetView(View view);

  // Holds from the next offer on; an offer says how it is encoded, so members may differ.
  void SetPolicy(const ExchangePolicy& policy);

  // The trainer made a step: the debt grows by per_step, capped at it. Cheap enough for every step.
  void NoteStep();

  // Exchanges run back to back while set: a member without a lease, and everyone after finish.
  void SetBackToBack(bool on);

  // Finish: back to back, Float32, and `settled` is watched from now on. Cannot be undone but by
  // SetIdentity.
  void Finish();

  // After finish, once the models have met: begins and accepts no exchange until SetIdentity, while
  // streams stay open and state is still served. `done` is called on the gossip thread once the
  // exchange under way has ended: from then on nothing is mixed into the store.
  void Idle(std::function<void()> done);

  // Begins and accepts no exchange from now on; the one under way goes on. Cannot be undone.
  void BeginNoMore();

  // Copies weights and momentum from the first donor that serves all of it into `into`: the store,
  // which nobody may train on meanwhile, or another of the same shape, which must live until
  // `done`. That is called on the gossip thread: OK, or Unavailable when every donor failed. One
  // copy at a time.
  void CopyState(std::vector<Neighbour> donors, store::ParameterStore& into,
                 std::function<void(absl::Status)> done);

  GossipCounts counts() const;

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace grapevine::gossip
