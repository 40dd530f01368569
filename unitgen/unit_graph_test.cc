#include "unitgen/unit_graph.h"

#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Output Of(std::map<std::string, std::string> texts) {
  Output output;
  for (auto& [path, text] : texts) {
    output.files[path] = File{.content = std::move(text)};
  }
  return output;
}

TEST(UnitGraphTest, ReadsUnitsDropInsAndLinks) {
  Output output = Of({
      {"systemd/system/a.service",
       "[Unit]\nBindsTo=b.service\nAfter=b.service n.target\n"
       "[Install]\nRequiredBy=c.service\n"},
      {"systemd/system/a.service.d/50-own.conf", "[Unit]\nWants=d.service\n"},
      {"systemd/user/u.service", "[Unit]\nBefore=g.target\n"},
      {"systemd/network/50-br.netdev", "[NetDev]\nName=br\n"},
      {"tmpfiles.d/vmsilo.conf", "d /run/vmsilo\n"},
  });
  output.files["systemd/system/s.target.wants/a.service"] =
      File{.kind = File::Kind::kSymlink, .content = "../a.service"};
  output.files["systemd/system/c.service.requires/a.service"] =
      File{.kind = File::Kind::kSymlink, .content = "../a.service"};

  const auto graph = BuildGraph(output);
  ASSERT_THAT(graph.status(), IsOk());
  EXPECT_THAT(graph->units,
              ElementsAre(std::pair("a.service", "systemd/system/a.service"),
                          std::pair("u.service", "systemd/user/u.service")));
  EXPECT_THAT(
      graph->edges,
      UnorderedElementsAre(Edge{"a.service", "b.service", Relation::kBindsTo},
                           Edge{"a.service", "b.service", Relation::kAfter},
                           Edge{"a.service", "n.target", Relation::kAfter},
                           Edge{"a.service", "d.service", Relation::kWants},
                           Edge{"c.service", "a.service", Relation::kRequires},
                           Edge{"g.target", "u.service", Relation::kAfter},
                           Edge{"s.target", "a.service", Relation::kWants}));
}

TEST(UnitGraphTest, ASocketActivatesItsServiceOrTemplate) {
  const auto graph = BuildGraph(Of(
      {{"systemd/system/one.socket", "[Socket]\nAccept=no\n"},
       {"systemd/system/many.socket", "[Socket]\nAccept=yes\n"},
       {"systemd/system/other.socket", "[Socket]\nService=named.service\n"}}));
  ASSERT_THAT(graph.status(), IsOk());
  EXPECT_THAT(graph->edges,
              UnorderedElementsAre(
                  Edge{"one.socket", "one.service", Relation::kActivates},
                  Edge{"many.socket", "many@.service", Relation::kActivates},
                  Edge{"other.socket", "named.service", Relation::kActivates}));
}

TEST(UnitGraphTest, AUnitThatCannotBeReadIsOurBug) {
  EXPECT_THAT(
      BuildGraph(Of({{"systemd/system/a.service", "Type=simple\n"}})).status(),
      StatusIs(absl::StatusCode::kInternal, HasSubstr("a.service: line 1")));
}

TEST(OrderingCycleTest, FindsACycleThroughAfterAndBefore) {
  const auto graph = BuildGraph(
      Of({{"systemd/system/a.service", "[Unit]\nAfter=b.service x.target\n"},
          {"systemd/system/b.service", "[Unit]\nAfter=c.service\n"},
          {"systemd/system/c.service", "[Unit]\nAfter=y.target\n"},
          {"systemd/system/d.service",
           "[Unit]\nAfter=a.service\nBefore=c.service\n"}}));
  ASSERT_THAT(graph.status(), IsOk());
  EXPECT_THAT(FindOrderingCycle(*graph),
              ElementsAre("a.service", "b.service", "c.service", "d.service"));
}

TEST(OrderingCycleTest, ADiamondIsNoCycle) {
  const auto graph = BuildGraph(
      Of({{"systemd/system/a.service", "[Unit]\nAfter=b.service c.service\n"},
          {"systemd/system/b.service", "[Unit]\nAfter=d.service\n"},
          {"systemd/system/c.service",
           "[Unit]\nAfter=d.service\nRequires=a.service\n"}}));
  ASSERT_THAT(graph.status(), IsOk());
  EXPECT_THAT(FindOrderingCycle(*graph), IsEmpty());
}

TEST(OrderingCycleTest, AUnitAfterItselfIsOne) {
  const auto graph = BuildGraph(
      Of({{"systemd/system/a.service", "[Unit]\nAfter=a.service\n"}}));
  ASSERT_THAT(graph.status(), IsOk());
  EXPECT_THAT(FindOrderingCycle(*graph), ElementsAre("a.service"));
}

TEST(OrderingCycleTest, ALongChainNeedsNoStack) {
  std::map<std::string, std::string> texts;
  for (int i = 0; i < 50000; ++i) {
    texts[absl::StrCat("systemd/system/u", i, ".service")] =
        absl::StrCat("[Unit]\nAfter=u", i + 1, ".service\n");
  }
  const auto graph = BuildGraph(Of(std::move(texts)));
  ASSERT_THAT(graph.status(), IsOk());
  EXPECT_THAT(FindOrderingCycle(*graph), IsEmpty());
}

}  // namespace
}  // namespace vmsilo::unitgen
