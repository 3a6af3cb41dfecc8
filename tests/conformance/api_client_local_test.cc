#include <memory>

#include "operator/local/api_server.h"
#include "tests/conformance/api_client_suite.h"

namespace grapevine::conformance {
namespace {

ApiClientFactory Local() {
  return {"Local", [] {
            auto server = std::make_shared<local::ApiServer>();
            return ServedClient{server, server.get()};
          }};
}

INSTANTIATE_TEST_SUITE_P(Servers, ApiClientSuite, ::testing::Values(Local()),
                         [](const auto& factory) { return factory.param.name; });

}  // namespace
}  // namespace grapevine::conformance
