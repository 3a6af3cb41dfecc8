#include "operator/base/check.h"
#include "tests/conformance/transport_conformance.h"
#include "worker/transport/grpc/grpc_transport.h"

namespace grapevine::transport {
namespace {

TransportNetwork::MakeEndpoint OpenNetwork() {
  return [] {
    auto transport = GrpcTransport::Create({});
    GRAPEVINE_CHECK(transport.ok());
    return std::unique_ptr<Transport>(*std::move(transport));
  };
}

INSTANTIATE_TEST_SUITE_P(Grpc, TransportConformance,
                         ::testing::Values(TransportNetwork{.name = "Grpc", .open = OpenNetwork}));

}  // namespace
}  // namespace grapevine::transport
