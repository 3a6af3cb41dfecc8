#include "worker/assembly/member_report.h"

namespace grapevine::assembly {
namespace {

namespace proto = topology::v1;

void FillTraining(const train::TrainerCounts& trainer, const proto::Report& baseline,
                  proto::Report& report) {
  report.set_steps(trainer.steps - baseline.steps());
  report.set_samples(trainer.samples - baseline.samples());
  report.set_unleased_samples(trainer.unleased_samples - baseline.unleased_samples());
  report.set_loss(trainer.loss);
  report.set_learning_rate(trainer.learning_rate);
  report.set_samples_per_second(trainer.samples_per_second);
  report.set_trainer_seconds(trainer.trainer_seconds - baseline.trainer_seconds());
  report.set_blocked_seconds(trainer.blocked_seconds - baseline.blocked_seconds());
  report.set_staleness_sum(trainer.staleness_sum - baseline.staleness_sum());
}

void FillExchanges(const gossip::GossipCounts& gossip, const proto::Report& baseline,
                   proto::Report& report) {
  const proto::ExchangeCounts& before = baseline.exchanges();
  proto::ExchangeCounts& exchanges = *report.mutable_exchanges();
  exchanges.set_completed(gossip.begun.completed - before.completed());
  exchanges.set_busy(gossip.begun.busy - before.busy());
  exchanges.set_refused(gossip.begun.refused - before.refused());
  exchanges.set_timed_out(gossip.begun.timed_out - before.timed_out());
  exchanges.set_torn(gossip.begun.torn - before.torn());
  for (int b = 0; b < api::kExchangeBuckets; ++b) {
    const bool had = b < baseline.exchange_seconds_buckets_size();
    const uint64_t counted = had ? baseline.exchange_seconds_buckets(b) : 0;
    report.add_exchange_seconds_buckets(gossip.begun.seconds[b] - counted);
  }
  report.set_exchange_seconds_max(gossip.begun.seconds_max);
  report.set_peer_distance(gossip.peer_distance);
  report.set_weights_norm(gossip.weights_norm);
  report.set_view_epoch(gossip.view_epoch);
  report.set_settled(gossip.settled);
  report.set_seen_exchanges(gossip.completed - baseline.seen_exchanges());
}

}  // namespace

void FillReport(const PartCounts& counts, const proto::Report& baseline, proto::Report& report) {
  FillTraining(counts.trainer, baseline, report);
  FillExchanges(counts.gossip, baseline, report);
  report.set_bytes_sent(counts.traffic.bytes_sent - baseline.bytes_sent());
  report.set_bytes_received(counts.traffic.bytes_received - baseline.bytes_received());
}

}  // namespace grapevine::assembly
