#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "worker/gossip/engine.h"

namespace grapevine::gossip {

// The production engines and kernels over a simulated network and clock: members with small models,
// links that delay, break and fall silent, gradients and views at any time. One seed gives one run.
//
// After every event it checks what must hold; the first violation is kept in violation().
//
// Thread-compatible.
class GossipWorld {
 public:
  struct Options {
    uint64_t seed = 0;
    size_t members = 2;
    ChunkGrid grid{.elements = 50, .chunk_elements = 4};
    ExchangePolicy policy;
    Duration least_delay = 50us;
    Duration most_delay = 2ms;
  };

  explicit GossipWorld(const Options& options);

  Time now() const { return now_; }
  size_t size() const { return members_.size(); }
  const Engine& engine(MemberId id) const { return members_.at(id).engine; }
  bool alive(MemberId id) const { return members_.at(id).alive; }
  const std::string& violation() const { return violation_; }
  std::mt19937_64& random() { return random_; }

  // Ids are 1..members.
  void Tell(MemberId id, const GossipEvent& event);
  void SetView(MemberId id, Side side, const std::vector<MemberId>& neighbours);
  void SetBipartite(const std::vector<MemberId>& active, const std::vector<MemberId>& passive);
  void ApplyGradient(MemberId id);
  void BreakLink(MemberId a, MemberId b);  // what is on the way is lost, both are told
  void Kill(MemberId id);                  // for good; its links break
  void Freeze(MemberId id, bool frozen);   // silent, but its links hold, and frames wait

  void RunFor(Duration duration);

  // The sum over members and elements of what the initial models and all gradients make up, and of
  // what the models are now. Equal up to rounding unless an exchange was torn or a member died.
  double expected_sum() const { return expected_sum_; }
  double sum() const;
  // The greatest distance between two members' values of one element.
  double Spread() const;
  int64_t Completed() const;  // as the active sides count
  int64_t Torn() const;       // on either side

 private:
  struct Wire {
    Header header;
    std::vector<std::byte> payload;
  };
  struct Member {
    Engine engine;
    std::vector<float> weights;
    std::map<uint32_t, std::vector<std::byte>> kept;
    std::vector<std::pair<MemberId, Wire>> waiting;  // while frozen
    Time wake_at = Time::max();
    uint64_t epoch = 0;
    bool alive = true;
    bool frozen = false;
  };
  struct Delivery {
    Time at;
    uint64_t order;
    MemberId from, to;
    uint64_t link_life;
    std::optional<Wire> wire;  // none: the peer is lost
    bool operator>(const Delivery& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };
  struct Link {
    uint64_t life = 0;              // grows when it breaks
    std::map<MemberId, Time> last;  // to whom: the latest delivery, since a link keeps order
  };

  Link& LinkOf(MemberId a, MemberId b) { return links_[std::minmax(a, b)]; }
  void Send(MemberId from, MemberId to, std::optional<Wire> wire);
  void Deliver(const Delivery& delivery);
  void Step(MemberId id, const GossipEvent& event, const Wire* wire);
  void Mix(MemberId id, const Effect& effect, const Wire& wire);
  void Check(MemberId id);
  void Fail(const std::string& what);

  const Options options_;
  std::mt19937_64 random_;
  Time now_{};
  uint64_t order_ = 0;
  std::map<MemberId, Member> members_;
  std::map<std::pair<MemberId, MemberId>, Link> links_;
  std::priority_queue<Delivery, std::vector<Delivery>, std::greater<>> deliveries_;
  double expected_sum_ = 0;
  // Who has mixed how many chunks of which exchange.
  std::map<std::pair<MemberId, uint64_t>, std::map<MemberId, uint32_t>> mixed_;
  std::string violation_;
};

}  // namespace grapevine::gossip
