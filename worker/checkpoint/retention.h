#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "worker/checkpoint/checkpoint.h"

namespace grapevine::checkpoint {

struct Found {
  std::string file;
  Manifest manifest;
};

// The whole checkpoint of the job with the most samples. Broken, partial and foreign files are
// passed over, with a line in the log, and so are the files in `unreadable`, whose tensors could
// not be read although their headers can.
std::optional<Found> FindNewest(const std::string& path, const std::string& job_uid,
                                const std::set<std::string>& unreadable = {});

// Deletes all whole checkpoints of the job but `keep` (at least 1), namely `written`, the latest,
// and those with the most samples, and what writers that died have left under temporary names.
// Never deletes what it cannot read.
void Retain(const std::string& path, const std::string& job_uid, int32_t keep,
            const std::string& written);

}  // namespace grapevine::checkpoint
