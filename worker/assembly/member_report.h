#pragma once

#include "operator/api/topology.pb.h"
#include "worker/gossip/gossip_counts.h"
#include "worker/train/trainer.h"
#include "worker/transport/transport.h"

namespace grapevine::assembly {

// What a worker's parts have counted since its start, whichever member it was.
struct PartCounts {
  train::TrainerCounts trainer;
  gossip::GossipCounts gossip;
  transport::Traffic traffic;
};

// Sets all of the report that is not about leases: the latest, and totals since `baseline`, which
// is what the report would have been when the present member id was taken.
void FillReport(const PartCounts& counts, const topology::v1::Report& baseline,
                topology::v1::Report& report);

}  // namespace grapevine::assembly
