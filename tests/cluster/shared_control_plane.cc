#include "tests/cluster/shared_control_plane.h"

#include <memory>

#include "gtest/gtest.h"
#include "operator/base/check.h"
#include "tests/cluster/places.h"

namespace grapevine::cluster {
namespace {

std::unique_ptr<ControlPlane>& Shared() {
  static std::unique_ptr<ControlPlane> shared;
  return shared;
}

class ControlPlaneEnvironment final : public testing::Environment {
 public:
  void SetUp() override {
    // ctest knows this text, see grapevine_cluster_test.
    if (!KubernetesPrograms()) GTEST_SKIP() << "no Kubernetes programs: ./dev tools provides them";
    absl::StatusOr<std::unique_ptr<ControlPlane>> started = ControlPlane::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    Shared() = *std::move(started);
    const absl::Status installed = Shared()->InstallCrds();
    ASSERT_TRUE(installed.ok()) << installed;
  }
  void TearDown() override { Shared().reset(); }
};

const testing::Environment* const kRegistered =
    testing::AddGlobalTestEnvironment(new ControlPlaneEnvironment);

}  // namespace

ControlPlane& SharedControlPlane() {
  GRAPEVINE_CHECK(kRegistered != nullptr && Shared() != nullptr);
  return *Shared();
}

}  // namespace grapevine::cluster
