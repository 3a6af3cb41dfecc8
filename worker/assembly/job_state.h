#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "operator/api/topology.pb.h"
#include "worker/assembly/job_parts.h"
#include "worker/checkpoint/retention.h"

namespace grapevine::assembly {

// Where a job's weights come from, other than from a donor, and where they go.

// Finds the checkpoint to announce, if there is one. Says why the job cannot run when it is another
// model's: it has the job's progress, which no start but from it would keep.
std::optional<Unfit> FindCheckpoint(const JobParts& job, const std::set<std::string>& unreadable,
                                    std::optional<checkpoint::Found>& found);

// As it is announced.
topology::v1::Checkpoint Describe(const checkpoint::Found& found);

// From the seed, a checkpoint, or what is in memory. REQUIRES: nobody trains.
absl::Status LoadStart(const topology::v1::Start& start, JobParts& job);

// Writes a checkpoint of `weights` and clears away older ones. Takes as long as the disk does.
absl::Status WriteCheckpoint(const JobParts& job, const std::string& path,
                             const topology::v1::JobProgress& progress,
                             const store::ParameterStore& weights);

}  // namespace grapevine::assembly
