#include "operator/training_job/adoption.h"

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/base/log.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/object_fields.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

// True when it became the job's just now.
absl::StatusOr<bool> Adopt(controller::ApiClient& client, const api::TrainingJob& job,
                           const std::string& name, const std::string& uid) {
  const auto pod = client.Get(kPods, job.metadata.name_space, name);
  if (!pod.ok()) return pod.status();
  // The cache is behind: another by now, or adopted already.
  if (controller::UidOf(*pod) != uid || !controller::ControllerUidOf(*pod).empty() ||
      !WhyNotOurs(*pod, job).empty()) {
    return false;
  }
  json owners = Child(Child(*pod, "metadata"), "ownerReferences");
  if (!owners.is_array()) owners = json::array();
  owners.push_back(OwnerReference(job));
  const json patch = {{"metadata",
                       {{"uid", uid},
                        {"resourceVersion", controller::ResourceVersionOf(*pod)},
                        {"ownerReferences", std::move(owners)}}}};
  const absl::Status status = client.Patch(kPods, job.metadata.name_space, name, patch).status();
  if (!status.ok()) return status;
  return true;
}

}  // namespace

std::string WhyNotOurs(const json& pod, const api::TrainingJob& job) {
  const api::ObjectMeta metadata = api::MetadataOf(pod);
  const auto label = [&](const char* key) {
    const auto found = metadata.labels.find(key);
    return found == metadata.labels.end() ? "" : found->second;
  };
  if (label(api::kJobUidLabel) != job.metadata.uid) return "not its uid";
  if (!metadata.deletion_timestamp.empty()) return "is being deleted";
  const std::string name = fmt::format("{}-{}-{}", job.metadata.name, label(api::kSlotLabel),
                                       label(api::kIncarnationLabel));
  return name == metadata.name ? "" : fmt::format("is not named {}", name);
}

Orphans AdoptOrphans(controller::ApiClient& client, const controller::ObjectStore& pods,
                     const api::TrainingJob& job) {
  Orphans orphans;
  for (const controller::Object& pod : pods.Orphans(job.metadata.name)) {
    const auto [name_space, name] = controller::KeyOf(*pod);
    const bool leaves = !api::MetadataOf(*pod).deletion_timestamp.empty();
    if (name_space != job.metadata.name_space || leaves) continue;
    const std::string uid = controller::UidOf(*pod);
    if (std::string why = WhyNotOurs(*pod, job); !why.empty()) {
      orphans.refused.push_back({name, uid, std::move(why)});
      continue;
    }
    const auto adopted = Adopt(client, job, name, uid);
    if (!adopted.ok()) {
      LogWarn("pod {} cannot be adopted: {}", name, adopted.status().ToString());
    } else if (*adopted) {
      orphans.adopted.push_back(name);
    }
  }
  return orphans;
}

}  // namespace grapevine::training_job
