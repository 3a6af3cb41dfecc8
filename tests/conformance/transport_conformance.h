#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "worker/transport/transport.h"

namespace grapevine::transport {

// The contract of transport.h as tests, the same for every implementation. List
// transport_conformance.cc among the sources of the test and instantiate it:
//
//   INSTANTIATE_TEST_SUITE_P(Grpc, TransportConformance, ::testing::Values(TransportNetwork{...}));
//
// `open` makes a network of its own for each test and returns the maker of its endpoints; the
// network lives as long as the maker.
struct TransportNetwork {
  using MakeEndpoint = std::function<std::unique_ptr<Transport>()>;
  std::string name;
  std::function<MakeEndpoint()> open;
};

class TransportConformance : public ::testing::TestWithParam<TransportNetwork> {
 protected:
  TransportNetwork::MakeEndpoint make_ = GetParam().open();
};

}  // namespace grapevine::transport
