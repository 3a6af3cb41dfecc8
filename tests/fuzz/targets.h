#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace grapevine::fuzz {

// A target does with one input what production does with it, and throws what Require of require.h
// throws where something does not hold; a crash is the other way to fail. Its Make gives the input
// of a number: good ones, slightly broken ones, and worse.

// Files of a kubeconfig, and the YAML in them.
void FuzzKubeconfig(std::string_view input);
std::string MakeKubeconfig(uint64_t number);

// The bytes of a watch, up to the store of an informer.
void FuzzWatch(std::string_view input);
std::string MakeWatch(uint64_t number);

// The bytes of a list.
void FuzzList(std::string_view input);
std::string MakeList(uint64_t number);

// A TrainingJob in JSON or YAML, up to the pods that are made for it.
void FuzzTrainingJob(std::string_view input);
std::string MakeTrainingJob(uint64_t number);

// A pod and its node: {"pod": ..., "node": ...}.
void FuzzPod(std::string_view input);
std::string MakePod(uint64_t number);

// A CommunicationGraph, up to the hub of a new leader.
void FuzzRecord(std::string_view input);
std::string MakeRecord(uint64_t number);

// What the workers of one job say to the hub: see hub_fuzz.cc for how it is written down.
void FuzzHub(std::string_view input);
std::string MakeHub(uint64_t number);

}  // namespace grapevine::fuzz
