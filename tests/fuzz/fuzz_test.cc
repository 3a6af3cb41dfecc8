#include <cstdio>
#include <fstream>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "operator/base/log.h"
#include "tests/fuzz/targets.h"
#include "tests/short_tests.h"

namespace grapevine::fuzz {
namespace {

// Gives a target its inputs number 0 to `count` - 1, a fifth of them where tests are short, until
// one fails. One that ends the process is left in the file <name>.input where the test was run.
void RunInputs(const std::string& name, void (*target)(std::string_view),
               std::string (*make)(uint64_t), uint64_t count) {
  // The log would be longer than all that it is about.
  ASSERT_TRUE(StartLog({.level = "off"}).ok());
  if (ShortTests()) count /= 5;
  const std::string path = name + ".input";
  for (uint64_t number = 0; number < count; ++number) {
    const std::string input = make(number);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << input;
    try {
      target(input);
    } catch (const std::exception& error) {
      FAIL() << "input " << number << ", " << path << ": " << error.what() << "\n"
             << absl::CHexEscape(input.substr(0, 4000));
    }
  }
  std::remove(path.c_str());
}

TEST(FuzzTest, AnyTextIsAKubeconfigOrAnErrorThatNamesTheFile) {
  RunInputs("kubeconfig", FuzzKubeconfig, MakeKubeconfig, 2'000);
}

TEST(FuzzTest, AnyBytesAreEventsOrAnErrorHoweverTheyWereCut) {
  RunInputs("watch", FuzzWatch, MakeWatch, 5'000);
}

TEST(FuzzTest, AnyBytesAreAListOrAnErrorHoweverTheyWereCut) {
  RunInputs("list", FuzzList, MakeList, 5'000);
}

TEST(FuzzTest, AnythingIsAJobThatReadsBackTheSameOrItIsSaidWhatIsWrong) {
  RunInputs("training_job", FuzzTrainingJob, MakeTrainingJob, 5'000);
}

TEST(FuzzTest, WhatIsKeptOfAnyPodAndNodeSaysTheSame) { RunInputs("pod", FuzzPod, MakePod, 10'000); }

TEST(FuzzTest, ANewLeaderGoesOnFromAnyGraphOrRefusesIt) {
  RunInputs("record", FuzzRecord, MakeRecord, 15'000);
}

TEST(FuzzTest, WhateverWorkersOfOneJobSayTheHubLivesAndOtherJobsGoOn) {
  RunInputs("hub", FuzzHub, MakeHub, 10'000);
}

}  // namespace
}  // namespace grapevine::fuzz
