#pragma once

namespace grapevine::api {

// Every name by which Grapevine's objects are found in an API server.

inline constexpr char kGroup[] = "grapevine.dev";
inline constexpr char kVersion[] = "v1alpha1";
inline constexpr char kApiVersion[] = "grapevine.dev/v1alpha1";

inline constexpr char kTrainingJobKind[] = "TrainingJob";
inline constexpr char kTrainingJobPlural[] = "trainingjobs";
inline constexpr char kCommunicationGraphKind[] = "CommunicationGraph";
inline constexpr char kCommunicationGraphPlural[] = "communicationgraphs";

// Labels of a worker pod. The UID of its controller reference, not these, says whose it is.
inline constexpr char kJobNameLabel[] = "grapevine.dev/job-name";
inline constexpr char kJobUidLabel[] = "grapevine.dev/job-uid";  // of a pod without an owner
inline constexpr char kSlotLabel[] = "grapevine.dev/slot";
inline constexpr char kIncarnationLabel[] = "grapevine.dev/incarnation";

// Of an operator's pod, "true" on the one that leads: the topology Service selects by it.
inline constexpr char kLeaderLabel[] = "grapevine.dev/leader";

// On a TrainingJob: "true" asks for an end in order, with consensus and a last checkpoint.
inline constexpr char kStopRequestedAnnotation[] = "grapevine.dev/stop-requested";
// On a pod: which template it was made from.
inline constexpr char kTemplateHashAnnotation[] = "grapevine.dev/template-hash";

// Kubernetes' own, read from a pod: the pod with the lower number is removed first.
inline constexpr char kPodDeletionCostAnnotation[] = "controller.kubernetes.io/pod-deletion-cost";
// The type of the pod condition that says that the cluster, not the program, ended the pod.
inline constexpr char kDisruptionTargetCondition[] = "DisruptionTarget";

// Kueue's, of a job: each of its pods is admitted to the queue by itself.
inline constexpr char kQueueNameLabel[] = "kueue.x-k8s.io/queue-name";
inline constexpr char kQueuePriorityLabel[] = "kueue.x-k8s.io/priority-class";

}  // namespace grapevine::api
