#pragma once

#include <cstdint>
#include <string>

namespace grapevine::api {

inline constexpr char kCheckpointExtension[] = ".safetensors";

// <path>/<job uid>/<samples>.safetensors, the samples with leading zeros: by name is by progress.
std::string CheckpointFile(const std::string& path, const std::string& job_uid, int64_t samples);

}  // namespace grapevine::api
