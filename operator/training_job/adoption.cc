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

json OwnersWith(const json& pod, const api::TrainingJob& job) {
  json owners = Child(Child(pod, "metadata"), "ownerReferences");
  if (!owners.is_array()) owners = json::array();
  owners.push_back(OwnerReference(job));
  return owners;
}

// The pod as it is afterwards; null when it is another by now, or somebody else's. `adopted`: it
// became the job's just now.
absl::StatusOr<json> Adopt(controller::ApiClient& client, const api::TrainingJob& job,
                           const std::string& name, const std::string& uid, bool& adopted) {
  auto pod = client.Get(kPods, job.metadata.name_space, name);
  if (absl::IsNotFound(pod.status())) return json();
  if (!pod.ok()) return pod.status();
  if (controller::UidOf(*pod) != uid || !WhyNotOurs(*pod, job).empty()) return json();
  const std::string owner = controller::ControllerUidOf(*pod);
  if (owner == job.metadata.uid) return pod;  // the cache is behind
  if (!owner.empty()) return json();
  const json patch = {{"metadata",
                       {{"uid", uid},
                        {"resourceVersion", controller::ResourceVersionOf(*pod)},
                        {"ownerReferences", OwnersWith(*pod, job)}}}};
  pod = client.Patch(kPods, job.metadata.name_space, name, patch);
  adopted = pod.ok();
  return pod;
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
    bool adopted = false;
    auto now = Adopt(client, job, name, uid, adopted);
    if (!now.ok()) {
      // The next decision tries again. Until then it is the job's by its uid: nobody loses a member
      // because a call has failed.
      LogWarn("pod {} cannot be adopted: {}", name, now.status().ToString());
      now = *pod;
      (*now)["metadata"]["ownerReferences"] = OwnersWith(*pod, job);
    }
    if (adopted) orphans.adopted.push_back(name);
    if (auto ours = ReadWorkerPod(*now, job.metadata.uid)) orphans.ours.push_back(*std::move(ours));
  }
  return orphans;
}

}  // namespace grapevine::training_job
