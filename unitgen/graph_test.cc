#include "unitgen/graph.h"

#include <string>
#include <vector>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

File Unit(const char* text, const char* key) {
  return File{.content = text, .keys = {key}};
}

Output Example() {
  Output output;
  output.files["systemd/system/vmsilo-a-vm.service"] = Unit(
      "[Unit]\nWants=vmsilo-net-vm.service\nAfter=network.target\n", "vms.a");
  output.files["systemd/system/vmsilo-a.socket"] =
      Unit("[Socket]\nAccept=yes\n", "vms.a");
  output.files["systemd/system/vmsilo-a@.service"] = Unit(
      "[Unit]\nBindsTo=vmsilo-a-vm.service\nRequires=vmsilo-a-vm.service\n"
      "After=vmsilo-a-vm.service\n",
      "vms.a");
  output.files["systemd/system/vmsilo-net-vm.service"] =
      Unit("[Unit]\nAfter=lonely.target\n", "vms.net.isNetvm");
  output.files["systemd/system/vmsilo-balloond.service"] =
      Unit("[Service]\nType=notify\n", "balloond");
  output.files["systemd/user/vmsilo-a-session-bind.service"] =
      Unit("[Service]\nType=oneshot\n", "vms.a.gpu");
  return output;
}

const std::vector<DrawnSilo>& Silos() {
  static const auto* const silos =
      new std::vector<DrawnSilo>{{"a", "#ff0000"}, {"net", "#00ff00"}};
  return *silos;
}

std::string Draw(const Output& output, const char* only) {
  const auto graph = BuildGraph(output);
  EXPECT_THAT(graph.status(), IsOk());
  return DrawGraph(output, *graph, Silos(), only);
}

TEST(GraphTest, DrawsWhatIsTiedToWhat) {
  EXPECT_EQ(Draw(Example(), ""),
            R"(digraph vmsilo {
  rankdir=LR;
  node [shape=box, fontname="sans-serif", fontsize=10];
  edge [fontname="sans-serif", fontsize=8];
  "vmsilo-balloond.service";
  subgraph cluster_0 {
    label="a";
    penwidth=3;
    color="#ff0000";
    "vmsilo-a-session-bind.service" [style=rounded];
    "vmsilo-a-vm.service";
    "vmsilo-a.socket";
    "vmsilo-a@.service";
  }
  subgraph cluster_1 {
    label="net";
    penwidth=3;
    color="#00ff00";
    "vmsilo-net-vm.service";
  }
  "lonely.target" [color="#7f7f7f", fontcolor="#7f7f7f"];
  "network.target" [color="#7f7f7f", fontcolor="#7f7f7f"];
  "vmsilo-a-vm.service" -> "network.target" [style=dotted, color="#7f7f7f", constraint=false];
  "vmsilo-a-vm.service" -> "vmsilo-net-vm.service" [style=dashed, arrowhead=empty];
  "vmsilo-a.socket" -> "vmsilo-a@.service" [arrowhead=diamond];
  "vmsilo-a@.service" -> "vmsilo-a-vm.service" [penwidth=2];
  "vmsilo-net-vm.service" -> "lonely.target" [style=dotted, color="#7f7f7f", constraint=false];
}
)");
}

TEST(GraphTest, OneSiloWithItsNeighbours) {
  const std::string dot = Draw(Example(), "a");
  EXPECT_THAT(dot, HasSubstr("\"vmsilo-net-vm.service\" [color=\"#7f7f7f\""));
  EXPECT_THAT(dot, Not(HasSubstr("balloond")));
  EXPECT_THAT(dot, Not(HasSubstr("lonely.target")));
}

TEST(GraphTest, NamesAreQuoted) {
  Output output;
  output.files["systemd/system/x\\x2d\"y.service"] = Unit("[Unit]\n", "a");
  EXPECT_THAT(Draw(output, ""), HasSubstr(R"("x\\x2d\"y.service";)"));
}

TEST(GraphTest, TheLongestSiloThatFitsOwnsAFile) {
  const std::vector<DrawnSilo> silos = {{"a", ""}, {"a.b", ""}};
  EXPECT_EQ(SiloOf(File{.keys = {"vms.a.gpu"}}, silos), "a");
  EXPECT_EQ(SiloOf(File{.keys = {"vms.a.b.gpu"}}, silos), "a.b");
  EXPECT_EQ(SiloOf(File{.keys = {"vms.ab"}}, silos), "");
  EXPECT_EQ(SiloOf(File{.keys = {"balloond"}}, silos), "");
}

}  // namespace
}  // namespace vmsilo::unitgen
