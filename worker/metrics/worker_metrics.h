#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "operator/base/metrics_exposer.h"
#include "worker/gossip/gossip_counts.h"
#include "worker/train/trainer.h"
#include "worker/transport/transport.h"

namespace grapevine::metrics {

// Everything that is shown, as it is at the moment of a scrape.
struct WorkerCounts {
  train::TrainerCounts trainer;
  gossip::GossipCounts gossip;
  transport::Traffic traffic;
  train::Evaluation evaluation;  // of this worker's last one; of no samples before
};

// Serves the metrics at http://<address>/metrics. Nothing is recorded here: a scrape reads the
// counts that the parts keep anyway, so every series is there from the start and a step pays
// nothing for them. A gauge whose value is not known yet is not a number.
//
// Thread-safe.
class WorkerMetrics {
 public:
  // `address` is host:port; port 0 picks one. `read` is called on the server's threads until this
  // is destroyed. Unavailable when the port is taken.
  static absl::StatusOr<std::unique_ptr<WorkerMetrics>> Serve(const std::string& address,
                                                              std::function<WorkerCounts()> read);

  int port() const;

 private:
  explicit WorkerMetrics(std::unique_ptr<MetricsExposer> exposer);

  std::unique_ptr<MetricsExposer> exposer_;
};

}  // namespace grapevine::metrics
