#pragma once

#include "absl/status/statusor.h"
#include "operator/api/communication_graph.h"
#include "operator/topology/job_record.h"

namespace grapevine::training_job {

// A record has more done ranges than this only while an extraordinary number of leases is out; it
// is then not written until they are fewer.
inline constexpr size_t kMostDoneRanges = 20'000;

// The hub's record of a job as its CommunicationGraph says it, and back. Since, spectral gap and
// reason are the writer's to fill in. Pure.
api::CommunicationGraph ToGraph(const topology::JobRecord& record);

// InvalidArgument when its edges are no graph.
absl::StatusOr<topology::JobRecord> ToRecord(const api::CommunicationGraph& graph);

}  // namespace grapevine::training_job
