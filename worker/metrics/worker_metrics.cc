#include "worker/metrics/worker_metrics.h"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "operator/api/exchange_histogram.h"

namespace grapevine::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Every fourth bucket of an ExchangeBuckets is shown: bounds that double.
constexpr int kBucketsPerBound = 4;
static_assert(api::kExchangeBuckets % kBucketsPerBound == 0);

MetricFamily Family(const char* name, const char* help, MetricType type) {
  return {fmt::format("grapevine_worker_{}", name), help, type, {}};
}

MetricFamily Gauge(const char* name, const char* help, double value) {
  MetricFamily family = Family(name, help, MetricType::Gauge);
  family.metric.emplace_back().gauge.value = value;
  return family;
}

struct Labelled {
  const char* value;
  double count;
};

MetricFamily Counter(const char* name, const char* help, const char* label,
                     const std::vector<Labelled>& series) {
  MetricFamily family = Family(name, help, MetricType::Counter);
  for (const Labelled& one : series) {
    ClientMetric& metric = family.metric.emplace_back();
    if (label != nullptr) metric.label = {{label, one.value}};
    metric.counter.value = one.count;
  }
  return family;
}

MetricFamily Counter(const char* name, const char* help, double count) {
  return Counter(name, help, nullptr, {{"", count}});
}

void AddBucket(ClientMetric::Histogram& histogram, double upper_bound) {
  histogram.bucket.push_back({histogram.sample_count, upper_bound});
}

MetricFamily Seconds(const char* name, const char* help, const api::ExchangeBuckets& buckets,
                     double sum) {
  MetricFamily family = Family(name, help, MetricType::Histogram);
  ClientMetric::Histogram& histogram = family.metric.emplace_back().histogram;
  for (int b = 0; b < api::kExchangeBuckets; ++b) {
    histogram.sample_count += buckets[b];
    if (b % kBucketsPerBound == 0) AddBucket(histogram, api::ExchangeBoundSeconds(b));
  }
  AddBucket(histogram, std::numeric_limits<double>::infinity());
  histogram.sample_sum = sum;
  return family;
}

MetricFamily Staleness(const train::TrainerCounts& trainer) {
  MetricFamily family = Family("staleness_steps",
                               "Exchanges mixed in between the read of the weights for a gradient "
                               "and its application.",
                               MetricType::Histogram);
  ClientMetric::Histogram& histogram = family.metric.emplace_back().histogram;
  for (int b = 0; b < train::kStalenessBuckets; ++b) {
    histogram.sample_count += trainer.staleness[b];
    const bool last = b == train::kStalenessBuckets - 1;
    AddBucket(histogram, last     ? std::numeric_limits<double>::infinity()
                         : b == 0 ? 0
                                  : std::exp2(b - 1));
  }
  histogram.sample_sum = trainer.staleness_sum;
  return family;
}

// The middle of a bucket stands for what is in it: right within 10 %.
double EstimatedSum(const api::ExchangeBuckets& buckets) {
  double sum = 0;
  for (int b = 0; b < api::kExchangeBuckets; ++b) {
    sum += static_cast<double>(buckets[b]) * api::ExchangeBoundSeconds(b) * std::exp2(-1.0 / 8);
  }
  return sum;
}

std::vector<MetricFamily> Describe(const WorkerCounts& counts) {
  const auto& [trainer, gossip, traffic, evaluation] = counts;
  const auto number = [](auto value) { return static_cast<double>(value); };
  const auto known = [](bool is_known, double value) {
    return is_known ? value : std::numeric_limits<double>::quiet_NaN();
  };
  return {
      Counter("steps_total", "Gradients applied.", number(trainer.steps)),
      Counter("skipped_steps_total", "Gradients not applied: they or their loss were not finite.",
              number(trainer.skipped_steps)),
      Counter("samples_total", "Samples trained on, leased or not.", number(trainer.samples)),
      Seconds("step_seconds", "Duration of a step.", trainer.step_seconds, trainer.trainer_seconds),
      Gauge("loss", "Mean loss of the last steps.", trainer.loss),
      Gauge("learning_rate", "Learning rate of the last step.",
            known(trainer.steps > 0, trainer.learning_rate)),
      Gauge("test_accuracy", "Fraction of the test set classified rightly at the last evaluation.",
            known(evaluation.samples > 0, evaluation.accuracy)),
      Gauge("test_loss", "Mean loss over the test set at the last evaluation.",
            known(evaluation.samples > 0, evaluation.loss)),
      Counter("exchanges_total", "Exchanges begun by this worker, by how they ended.", "result",
              {{"completed", number(gossip.begun.completed)},
               {"busy", number(gossip.begun.busy)},
               {"refused", number(gossip.begun.refused)},
               {"timed_out", number(gossip.begun.timed_out)},
               {"torn", number(gossip.begun.torn)}}),
      Seconds("exchange_seconds",
              "Duration of completed exchanges begun by this worker; the sum is an estimate.",
              gossip.begun.seconds, EstimatedSum(gossip.begun.seconds)),
      Counter("exchange_bytes_total", "Bytes on the links to other workers.", "direction",
              {{"sent", number(traffic.bytes_sent)}, {"received", number(traffic.bytes_received)}}),
      Staleness(trainer),
      Gauge("neighbours", "Neighbours in the view in force.", number(gossip.neighbours)),
      Gauge("epoch", "Epoch of the view in force.", number(gossip.view_epoch)),
      Gauge("peer_distance", "Distance of the two models in the last completed exchange.",
            known(gossip.completed > 0, gossip.peer_distance)),
  };
}

class Counts final : public prometheus::Collectable {
 public:
  explicit Counts(std::function<WorkerCounts()> read) : read_(std::move(read)) {}
  std::vector<MetricFamily> Collect() const override { return Describe(read_()); }

 private:
  const std::function<WorkerCounts()> read_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerMetrics>> WorkerMetrics::Serve(
    const std::string& address, std::function<WorkerCounts()> read) {
  auto exposer = MetricsExposer::Serve(address, {std::make_shared<Counts>(std::move(read))});
  if (!exposer.ok()) return exposer.status();
  return std::unique_ptr<WorkerMetrics>(new WorkerMetrics(*std::move(exposer)));
}

WorkerMetrics::WorkerMetrics(std::unique_ptr<MetricsExposer> exposer)
    : exposer_(std::move(exposer)) {}

int WorkerMetrics::port() const { return exposer_->port(); }

}  // namespace grapevine::metrics
