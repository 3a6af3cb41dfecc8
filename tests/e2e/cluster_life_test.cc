// What a cluster does to a job's pods, on a real API server; nothing runs in the pods.

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/test_kubelet.h"
#include "tests/e2e/cluster_fixture.h"

namespace grapevine::e2e {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const controller::Resource kPods = {"", "v1", "pods"};
const controller::Resource kNodes = {"", "v1", "nodes", /*cluster_wide=*/true};

class ClusterLifeTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    kubelet_ = std::make_unique<cluster::TestKubelet>(
        client_.get(), &clock_,
        cluster::TestKubeletOptions{.name_space = name_space_,
                                    .nodes = {name_space_ + "-a", name_space_ + "-b"}});
    ASSERT_TRUE(kubelet_->Start().ok());
    operator_ = StartOperator("operator");
  }

  void Apply(const std::string& name, const std::string& workers) {
    const auto applied = Kubectl({"apply"}, fmt::format(R"(
apiVersion: grapevine.dev/v1alpha1
kind: TrainingJob
metadata: {{name: {}}}
spec:
  training: {{model: mlp, dataset: {{name: digits}}}}
  workers: {}
)",
                                                        name, workers));
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  void Expect(const std::string& object, const std::string& what) {
    absl::Status waited = what == "delete" ? absl::OkStatus() : WaitFor(object, "create");
    if (waited.ok()) waited = WaitFor(object, what);
    EXPECT_TRUE(waited.ok()) << object << " " << what << waited << operator_->Log();
  }
  std::string NodeOf(const std::string& pod) {
    const auto object = client_->Get(kPods, name_space_, pod);
    EXPECT_TRUE(object.ok()) << object.status();
    return object.ok() ? object->value("/spec/nodeName"_json_pointer, "") : "";
  }

  std::unique_ptr<cluster::TestKubelet> kubelet_;
  std::unique_ptr<OperatorProcess> operator_;
};

TEST_F(ClusterLifeTest, PodsOfALostNodeAreReplacedWithoutWaitingForIt) {
  const char* const kTolerates = R"(
    replicas: 1
    template:
      spec:
        containers: [{{name: worker, image: w}}]
        tolerations:
          - key: node.kubernetes.io/unreachable
            operator: Exists
            effect: NoExecute
            tolerationSeconds: {})";
  Apply("short", fmt::format(fmt::runtime(kTolerates), 1));
  Expect("pod/short-0-0", "condition=Ready");
  Apply("long", fmt::format(fmt::runtime(kTolerates), 600));
  Expect("pod/long-0-0", "condition=Ready");
  const std::string lost = NodeOf("short-0-0");
  const std::string other = NodeOf("long-0-0");

  // Nobody answers there any more: not even deletions end.
  ASSERT_TRUE(kubelet_->LoseNode(lost).ok());
  Expect("pod/short-0-1", "condition=Ready");
  EXPECT_EQ(NodeOf("short-0-1"), other);
  EXPECT_TRUE(
      (*client_->Get(kPods, name_space_, "short-0-0"))["metadata"].contains("deletionTimestamp"));
  Expect("tj/short", "jsonpath={.status.workers.disrupted}=1");
  Expect("tj/short", "jsonpath={.status.workers.restarts}=0");

  // The other machine is gone for good: what a pod tolerates does not matter, and nobody is there
  // to end it in order.
  ASSERT_TRUE(kubelet_->LoseNode(other).ok());
  ASSERT_TRUE(client_->Delete(kNodes, "", other, {}).ok());
  Expect("pod/long-0-0", "delete");
  Expect("pod/long-0-1", "create");
  Expect("tj/long", "jsonpath={.status.workers.disrupted}=1");
}

TEST_F(ClusterLifeTest, ABudgetAndAServiceGoWithAJob) {
  Apply("job",
        "{replicas: 3, minReplicas: 1, template: {spec: {containers: "
        "[{name: worker, image: w}]}}}");
  Expect("pdb/job", "jsonpath={.spec.minAvailable}=1");
  Expect("service/job", "jsonpath={.spec.clusterIP}=None");
  Expect("pod/job-0-0", "jsonpath={.spec.subdomain}=job");
  const char* const kMore = R"({"spec":{"workers":{"minReplicas":2}}})";
  ASSERT_TRUE(Kubectl({"patch", "tj", "job", "--type=merge", "-p", kMore}).ok());
  Expect("pdb/job", "jsonpath={.spec.minAvailable}=2");
  for (const char* kind : {"pdb", "service"}) {
    const auto owner =
        Kubectl({"get", kind, "job", "-o", "jsonpath={.metadata.ownerReferences[0].kind}"});
    EXPECT_EQ(owner.value_or("none"), "TrainingJob") << kind;
  }
}

TEST_F(ClusterLifeTest, APodThatLostItsOwnerIsAdoptedAndAGatedOneIsPending) {
  kubelet_->Hold("job");
  Apply("job",
        "{replicas: 1, template: {spec: {schedulingGates: [{name: example.com/queue}], "
        "containers: [{name: worker, image: w}]}}}");
  Expect("pod/job-0-0", "create");
  Expect("tj/job", "jsonpath={.status.workers.active}=1");
  const char* const kNoOwner = R"({"metadata":{"ownerReferences":null}})";
  ASSERT_TRUE(Kubectl({"patch", "pod", "job-0-0", "--type=merge", "-p", kNoOwner}).ok());
  Expect("pod/job-0-0", "jsonpath={.metadata.ownerReferences[0].name}=job");
  EXPECT_EQ(*Kubectl({"get", "pods", "-o", "name"}), "pod/job-0-0\n");
}

TEST_F(ClusterLifeTest, APodThatCannotStartIsNamedByItsJob) {
  kubelet_->Hold("job");
  Apply("job", "{replicas: 1, template: {spec: {containers: [{name: worker, image: w}]}}}");
  Expect("pod/job-0-0", "create");
  auto pod = client_->Get(kPods, name_space_, "job-0-0");
  ASSERT_TRUE(pod.ok()) << pod.status();
  (*pod)["status"]["containerStatuses"] = {
      {{"name", "worker"},
       {"image", "w"},
       {"imageID", ""},
       {"ready", false},
       {"restartCount", 0},
       {"state", {{"waiting", {{"reason", "ErrImagePull"}, {"message", "no such image"}}}}}}};
  ASSERT_TRUE(client_->UpdateStatus(kPods, *pod).ok());
  std::string described;
  const auto says = [&](const char* text) { return described.find(text) != std::string::npos; };
  const Time deadline = clock_.Now() + 30s;
  do {
    described = Kubectl({"describe", "tj", "job"}).value_or("");
  } while (clock_.Now() < deadline && !says("PodWaiting"));
  EXPECT_THAT(described, HasSubstr("job-0-0: ImagePullBackOff: no such image"));
  EXPECT_THAT(described, HasSubstr("pod job-0-0 waits: ImagePullBackOff"));
  EXPECT_THAT(described, HasSubstr("1 pod created: job-0-0"));
}

}  // namespace
}  // namespace grapevine::e2e
