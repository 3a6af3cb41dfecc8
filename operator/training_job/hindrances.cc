#include "operator/training_job/hindrances.h"

#include <string_view>

#include "fmt/format.h"
#include "operator/base/text.h"
#include "operator/training_job/object_fields.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

constexpr size_t kMostWords = 300;  // of a message: the rest is in the pod

std::string Shortened(const std::string& text) {
  constexpr std::string_view kMore = "...";
  if (text.size() <= kMostWords) return text;
  return std::string(Beginning(text, kMostWords - kMore.size())).append(kMore);
}

}  // namespace

Hindrance ReadHindrance(const json& status) {
  const json& scheduled = Entry(status, "conditions", "type", "PodScheduled");
  if (Text(scheduled, "status") == "False") {
    return {Text(scheduled, "reason"), Shortened(Text(scheduled, "message"))};
  }
  for (const char* containers : {"initContainerStatuses", "containerStatuses"}) {
    for (const json& container : Child(status, containers)) {
      const json& waiting = Child(Child(container, "state"), "waiting");
      std::string reason = Text(waiting, "reason");
      if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") continue;
      if (reason == "ErrImagePull") reason = "ImagePullBackOff";
      return {std::move(reason), Shortened(Text(waiting, "message"))};
    }
  }
  return {};
}

void TrimWaiting(json& state) {
  json* waiting = Inner(state, "waiting");
  if (waiting == nullptr) return;
  Keep(*waiting, {"reason", "message"});
  if (const std::string message = Text(*waiting, "message"); message.size() > kMostWords) {
    (*waiting)["message"] = Shortened(message);
  }
}

std::string DescribeHindrances(const Observed& observed) {
  const WorkerPod* first = nullptr;
  int others = 0;
  for (const WorkerPod& pod : observed.pods) {
    if (!pod.active() || pod.hindrance.reason.empty()) continue;
    if (first == nullptr) {
      first = &pod;
    } else {
      ++others;
    }
  }
  std::string text;
  if (first != nullptr) {
    text = fmt::format("pod {} waits: {}", first->name, first->hindrance.reason);
    if (others > 0) text += fmt::format(", and {} more", others);
  }
  if (observed.refusal) {
    text += fmt::format("{}pods are refused: {}", text.empty() ? "" : "; ",
                        Shortened(observed.refusal->message));
  }
  return text;
}

}  // namespace grapevine::training_job
