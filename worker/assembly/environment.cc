#include "worker/assembly/environment.h"

#include <charconv>
#include <cstdlib>
#include <utility>

#include "fmt/format.h"

namespace grapevine::assembly {

absl::StatusOr<Environment> ReadEnvironment() {
  const auto get = [](const char* name, const char* fallback) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : fallback);
  };
  Environment found{.hub = get("GRAPEVINE_HUB", ""),
                    .name_space = get("GRAPEVINE_NAMESPACE", ""),
                    .job = get("GRAPEVINE_JOB", ""),
                    .pod = get("GRAPEVINE_POD", ""),
                    .pod_uid = get("GRAPEVINE_POD_UID", ""),
                    .listen = get("GRAPEVINE_LISTEN", "127.0.0.1:0"),
                    .advertise = get("GRAPEVINE_ADVERTISE", ""),
                    .metrics = get("GRAPEVINE_METRICS", "127.0.0.1:0")};
  std::string missing;
  for (const auto& [name, value] : {std::pair{"GRAPEVINE_HUB", &found.hub},
                                    {"GRAPEVINE_NAMESPACE", &found.name_space},
                                    {"GRAPEVINE_JOB", &found.job},
                                    {"GRAPEVINE_POD", &found.pod}}) {
    if (value->empty()) missing += fmt::format(" {}", name);
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(fmt::format("not set in the environment:{}", missing));
  }
  const std::string threads = get("GRAPEVINE_THREADS", "1");
  const char* end = threads.data() + threads.size();
  const auto [stop, error] = std::from_chars(threads.data(), end, found.threads);
  if (error != std::errc() || stop != end || found.threads < 1 || found.threads > 1024) {
    return absl::InvalidArgumentError(fmt::format(
        "GRAPEVINE_THREADS: found '{}', allowed is an integer from 1 to 1024", threads));
  }
  return found;
}

}  // namespace grapevine::assembly
