#include "operator/controller/object_store.h"

#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

json Pod(const std::string& name, const std::string& owner = "", const std::string& label = "",
         const std::string& version = "1", const std::string& uid = "") {
  json pod = {{"metadata",
               {{"namespace", "default"},
                {"name", name},
                {"uid", uid.empty() ? "uid-" + name : uid},
                {"resourceVersion", version}}}};
  if (!owner.empty()) {
    pod["metadata"]["ownerReferences"] = {{{"uid", "bystander"}},
                                          {{"uid", owner}, {"controller", true}}};
  }
  if (!label.empty()) pod["metadata"]["labels"] = {{"job", label}};
  return pod;
}

std::vector<std::string> NamesOf(const std::vector<Object>& objects) {
  std::vector<std::string> names;
  for (const Object& object : objects) names.push_back(KeyOf(*object).name);
  return names;
}

TEST(ObjectStoreTest, FindsByNameAndOwner) {
  ObjectStore store("job");
  store.Put(Pod("b", "o1", "x"));
  store.Put(Pod("a", "o1", "y"));
  store.Put(Pod("c", "o2", "x"));
  store.Put(Pod("d"));
  EXPECT_EQ(UidOf(*store.Get({"default", "a"})), "uid-a");
  EXPECT_EQ(store.Get({"other", "a"}), nullptr);
  EXPECT_THAT(NamesOf(store.List()), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(NamesOf(store.OwnedBy("o1")), ElementsAre("a", "b"));
  EXPECT_THAT(store.OwnedBy("bystander"), IsEmpty());
  EXPECT_EQ(store.size(), 4u);
}

TEST(ObjectStoreTest, FindsOrphansByLabel) {
  ObjectStore store("job");
  for (const char* name : {"b", "a"}) store.Put(Pod(name, "", "x"));
  store.Put(Pod("c", "", "y"));
  store.Put(Pod("d", "o1", "x"));
  store.Put(Pod("e"));
  EXPECT_THAT(NamesOf(store.Orphans("x")), ElementsAre("a", "b"));
  EXPECT_THAT(store.Orphans(""), IsEmpty());
  store.Put(Pod("a", "o1", "x", "2"));
  EXPECT_THAT(NamesOf(store.Orphans("x")), ElementsAre("b"));
  store.Put(Pod("d", "", "x", "2"));
  EXPECT_THAT(NamesOf(store.Orphans("x")), ElementsAre("b", "d"));
}

TEST(ObjectStoreTest, MovesAnObjectBetweenIndexes) {
  ObjectStore store("job");
  store.Put(Pod("a", "o1", "x"));
  const ObjectChange change = store.Put(Pod("a", "o2", "y", "2"));
  EXPECT_EQ(ResourceVersionOf(*change.before), "1");
  EXPECT_EQ(ResourceVersionOf(*change.now), "2");
  EXPECT_THAT(store.OwnedBy("o1"), IsEmpty());
  EXPECT_THAT(NamesOf(store.OwnedBy("o2")), ElementsAre("a"));
  EXPECT_EQ(store.Erase({"default", "a"}).now, nullptr);
  EXPECT_THAT(store.OwnedBy("o2"), IsEmpty());
  EXPECT_EQ(store.Erase({"default", "a"}).before, nullptr);
}

TEST(ObjectStoreTest, ReplaceTellsWhatIsGoneFirstAndLeavesTheUnchangedOut) {
  ObjectStore store;
  store.Put(Pod("gone"));
  store.Put(Pod("same"));
  store.Put(Pod("newer"));
  store.Put(Pod("remade"));
  const std::vector<ObjectChange> changes = store.Replace(
      {Pod("added"), Pod("newer", "", "", "2"), Pod("same"), Pod("remade", "", "", "1", "uid-2")});
  ASSERT_THAT(changes, SizeIs(4));
  EXPECT_EQ(KeyOf(*changes[0].before).name, "gone");
  EXPECT_EQ(changes[0].now, nullptr);
  EXPECT_EQ(KeyOf(*changes[1].now).name, "added");
  EXPECT_EQ(changes[1].before, nullptr);
  EXPECT_EQ(KeyOf(*changes[2].now).name, "newer");
  EXPECT_EQ(UidOf(*changes[3].before), "uid-remade");
  EXPECT_EQ(UidOf(*changes[3].now), "uid-2");
  EXPECT_THAT(NamesOf(store.List()), ElementsAre("added", "newer", "remade", "same"));
}

TEST(ObjectStoreTest, ReplaceOfOneNamespaceLeavesTheOthers) {
  ObjectStore store;
  const auto in = [](const char* name_space, const char* name) {
    json pod = Pod(name);
    pod["metadata"]["namespace"] = name_space;
    return pod;
  };
  store.Put(in("a", "gone"));
  store.Put(in("b", "stays"));
  const std::vector<ObjectChange> changes = store.Replace({in("a", "added")}, "a");
  EXPECT_THAT(changes, SizeIs(2));
  EXPECT_THAT(NamesOf(store.List()), ElementsAre("added", "stays"));
  EXPECT_THAT(store.Replace({}, "c"), IsEmpty());
  EXPECT_EQ(store.size(), 2u);
}

TEST(ObjectStoreTest, ToleratesObjectsOfAnyShape) {
  ObjectStore store("job");
  for (const json& odd : {json::object(), json{{"metadata", 3}}, json{{"metadata", {{"name", 3}}}},
                          json{{"metadata", {{"name", "x"}, {"labels", 3}}}},
                          json{{"metadata", {{"name", "x"}, {"ownerReferences", {3, "y"}}}}},
                          json{{"metadata", {{"ownerReferences", {{{"controller", true}}}}}}}}) {
    store.Put(odd);
  }
  EXPECT_EQ(store.size(), 2u);
}

TEST(ObjectStoreTest, IndexesAgreeWithAScanAfterRandomChanges) {
  std::mt19937 rng(5);
  ObjectStore store("job");
  const auto any = [&](const char* prefix, unsigned count) {
    return prefix + std::to_string(rng() % count);
  };
  for (int i = 0; i < 3000; ++i) {
    switch (rng() % 8) {
      case 0: {
        std::map<std::string, json> fresh;
        for (int j = 0; j < 6; ++j) {
          const std::string name = any("p", 12);
          fresh[name] = Pod(name, any("o", 3), any("l", 3), any("", 3));
        }
        std::vector<json> list;
        for (const auto& [name, pod] : fresh) list.push_back(pod);
        store.Replace(std::move(list));
        break;
      }
      case 1:
      case 2:
        store.Erase({"default", any("p", 12)});
        break;
      default:
        store.Put(Pod(any("p", 12), rng() % 2 == 0 ? "" : any("o", 3), any("l", 3), any("", 3)));
    }
    for (const char* owner : {"o0", "o1", "o2"}) {
      std::vector<std::string> scanned;
      for (const Object& object : store.List()) {
        if (ControllerUidOf(*object) == owner) scanned.push_back(KeyOf(*object).name);
      }
      ASSERT_EQ(NamesOf(store.OwnedBy(owner)), scanned);
    }
    for (const char* label : {"l0", "l1", "l2"}) {
      std::vector<std::string> scanned;
      for (const Object& object : store.List()) {
        if ((*object)["metadata"]["labels"]["job"] == label && ControllerUidOf(*object).empty()) {
          scanned.push_back(KeyOf(*object).name);
        }
      }
      ASSERT_EQ(NamesOf(store.Orphans(label)), scanned);
    }
  }
}

}  // namespace
}  // namespace grapevine::controller
