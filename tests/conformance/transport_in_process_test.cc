#include <atomic>
#include <memory>
#include <string>

#include "tests/conformance/transport_conformance.h"
#include "worker/transport/in_process.h"

namespace grapevine::transport {
namespace {

TransportNetwork::MakeEndpoint Open() {
  return [network = std::make_shared<Switch>(), next = std::make_shared<int>(0)] {
    return std::make_unique<InProcessTransport>(*network, "end-" + std::to_string((*next)++));
  };
}

INSTANTIATE_TEST_SUITE_P(InProcess, TransportConformance,
                         ::testing::Values(TransportNetwork{.name = "in_process", .open = Open}));

}  // namespace
}  // namespace grapevine::transport
