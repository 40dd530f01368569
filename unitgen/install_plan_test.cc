#include "unitgen/install_plan.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// The ways a file can be: in the configuration, in the manifest, on the disk.
enum class State { kNone, kOld, kNew, kOther };

constexpr char kPath[] = "etc/systemd/system/vmsilo-work.socket";

File FileIn(State state) {
  switch (state) {
    case State::kOld:
      return File{.content = "old"};
    case State::kNew:
      return File{.content = "new"};
    default:
      return File{.content = "other"};
  }
}

Node NodeOf(const File& file) {
  return file.kind == File::Kind::kSymlink
             ? Node{Node::Kind::kSymlink, file.content, 0777}
             : Node{Node::Kind::kRegular, file.content, file.mode};
}

enum class Want { kNothing, kUnchanged, kCreate, kReplace, kRemove, kKeep };

struct Case {
  const char* name;
  State wanted;
  State recorded;
  State present;
  Want want;
  // Whether the manifest knows the file afterwards.
  bool stays_known;
  KeptFile::Why why = KeptFile::Why::kForeign;
};

class PlanInstallTest : public testing::TestWithParam<Case> {};

TEST_P(PlanInstallTest, Table) {
  const Case& test = GetParam();
  std::map<std::string, File> wanted;
  Manifest manifest;
  Nodes present = {{"etc", Node{Node::Kind::kDirectory}},
                   {"etc/systemd", Node{Node::Kind::kDirectory}},
                   {"etc/systemd/system", Node{Node::Kind::kDirectory}}};
  if (test.wanted != State::kNone) wanted[kPath] = FileIn(test.wanted);
  if (test.recorded != State::kNone) {
    manifest.files[kPath] = {FingerprintOf(FileIn(test.recorded))};
  }
  if (test.present != State::kNone) {
    present[kPath] = NodeOf(FileIn(test.present));
  }

  const InstallPlan plan = PlanInstall(wanted, manifest, present);
  EXPECT_EQ(plan.unchanged, test.want == Want::kUnchanged ? 1U : 0U);
  EXPECT_EQ(plan.create.size(), test.want == Want::kCreate ? 1U : 0U);
  EXPECT_EQ(plan.replace.size(), test.want == Want::kReplace ? 1U : 0U);
  EXPECT_EQ(plan.remove.size(), test.want == Want::kRemove ? 1U : 0U);
  if (test.want == Want::kKeep) {
    EXPECT_THAT(plan.kept, ElementsAre(KeptFile{kPath, test.why}));
  } else {
    EXPECT_THAT(plan.kept, IsEmpty());
  }
  EXPECT_EQ(plan.after.files.contains(kPath), test.stays_known);
  EXPECT_THAT(plan.make_directories, IsEmpty());

  // Whatever happens in between, what we made and what we are about to make
  // is known to be ours.
  if (test.recorded != State::kNone || test.want == Want::kCreate) {
    EXPECT_TRUE(plan.during.files.contains(kPath));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PlanInstallTest,
    testing::ValuesIn(std::vector<Case>{
        {"First", State::kNew, State::kNone, State::kNone, Want::kCreate, true},
        {"Again", State::kNew, State::kNew, State::kNew, Want::kUnchanged,
         true},
        {"Update", State::kNew, State::kOld, State::kOld, Want::kReplace, true},
        {"DeletedByHandComesBack", State::kNew, State::kNew, State::kNone,
         Want::kCreate, true},
        {"Foreign", State::kNew, State::kNone, State::kOther, Want::kKeep,
         false, KeptFile::Why::kForeign},
        {"ForeignButTheSameIsAdopted", State::kNew, State::kNone, State::kNew,
         Want::kUnchanged, true},
        {"ChangedByHand", State::kNew, State::kOld, State::kOther, Want::kKeep,
         true, KeptFile::Why::kChanged},
        {"ChangedByHandToWhatIsWanted", State::kNew, State::kOld, State::kNew,
         Want::kUnchanged, true},
        {"NoLongerWanted", State::kNone, State::kOld, State::kOld,
         Want::kRemove, false},
        {"NoLongerWantedAndGone", State::kNone, State::kOld, State::kNone,
         Want::kNothing, false},
        {"NoLongerWantedButChanged", State::kNone, State::kOld, State::kOther,
         Want::kKeep, false, KeptFile::Why::kChangedAndObsolete},
        {"ForeignAndNotWanted", State::kNone, State::kNone, State::kOther,
         Want::kNothing, false},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(InstallPlanTest, AfterAnInterruptionBothContentsAreOurs) {
  const std::map<std::string, File> wanted = {
      {kPath, File{.content = "newest"}}};
  Manifest manifest;
  manifest.files[kPath] = {FingerprintOf(FileIn(State::kOld)),
                           FingerprintOf(FileIn(State::kNew))};
  for (const State state : {State::kOld, State::kNew}) {
    const InstallPlan plan =
        PlanInstall(wanted, manifest, {{kPath, NodeOf(FileIn(state))}});
    EXPECT_THAT(plan.replace, ElementsAre(kPath));
    EXPECT_EQ(plan.during.files.at(kPath).size(), 3U);
    EXPECT_EQ(plan.after.files.at(kPath).size(), 1U);
  }
}

TEST(InstallPlanTest, FingerprintsOfManyInterruptionsAreBounded) {
  Manifest manifest;
  for (size_t i = 0; i < kMaxFingerprints; ++i) {
    manifest.files[kPath].push_back(
        FingerprintOf(File{.content = std::string(i, 'x')}));
  }
  const File last = File{.content = std::string(kMaxFingerprints - 1, 'x')};
  const InstallPlan plan = PlanInstall({{kPath, FileIn(State::kNew)}}, manifest,
                                       {{kPath, NodeOf(last)}});
  EXPECT_THAT(plan.replace, ElementsAre(kPath));
  const std::vector<Fingerprint>& during = plan.during.files.at(kPath);
  EXPECT_EQ(during.size(), kMaxFingerprints);
  EXPECT_EQ(during.back(), FingerprintOf(FileIn(State::kNew)));
}

TEST(InstallPlanTest, AnotherModeOrKindIsAChangeByHand) {
  const File ours = FileIn(State::kNew);
  Manifest manifest;
  manifest.files[kPath] = {FingerprintOf(ours)};
  const Node nodes[] = {
      {Node::Kind::kRegular, "new", 0600},
      {Node::Kind::kSymlink, "new", 0777},
      {Node::Kind::kDirectory, "", 0755},
      {Node::Kind::kOther, "", 0644},
  };
  for (const Node& node : nodes) {
    const InstallPlan plan =
        PlanInstall({{kPath, ours}}, manifest, {{kPath, node}});
    EXPECT_THAT(plan.kept,
                ElementsAre(KeptFile{kPath, KeptFile::Why::kChanged}));
  }
}

TEST(InstallPlanTest, MakesMissingDirectoriesAndRemembersThem) {
  const Nodes present = {{"etc", Node{Node::Kind::kDirectory}}};
  const InstallPlan plan =
      PlanInstall({{kPath, FileIn(State::kNew)}}, Manifest(), present);
  EXPECT_THAT(plan.make_directories,
              ElementsAre("etc/systemd", "etc/systemd/system"));
  EXPECT_THAT(plan.during.directories,
              UnorderedElementsAre("etc/systemd", "etc/systemd/system"));
  EXPECT_EQ(plan.after.directories, plan.during.directories);
}

TEST(InstallPlanTest, RemovesItsOwnUnusedDirectoriesDeepestFirst) {
  Manifest manifest;
  manifest.directories = {"etc/a", "etc/a/b", "etc/gone", "etc/systemd"};
  const Node directory = {Node::Kind::kDirectory};
  const InstallPlan plan = PlanInstall({{kPath, FileIn(State::kNew)}}, manifest,
                                       {{"etc", directory},
                                        {"etc/a", directory},
                                        {"etc/a/b", directory},
                                        {"etc/systemd", directory},
                                        {"etc/systemd/system", directory},
                                        {kPath, NodeOf(FileIn(State::kNew))}});
  EXPECT_THAT(plan.remove_directories, ElementsAre("etc/a/b", "etc/a"));
  EXPECT_THAT(plan.after.directories, UnorderedElementsAre("etc/systemd"));
}

TEST(InstallPlanTest, LooksAtEverythingThatItDecidesAbout) {
  Manifest manifest;
  manifest.directories = {"etc/a"};
  manifest.files["etc/b/c"] = {};
  EXPECT_THAT(PathsToLookAt({{"etc/d/e", File()}}, manifest),
              ElementsAre("etc", "etc/a", "etc/b/c", "etc/d", "etc/d/e"));
}

TEST(InstallPlanTest, FilesAreInstalledBelowEtc) {
  Output output;
  output.files["tmpfiles.d/vmsilo.conf"] = FileIn(State::kNew);
  EXPECT_THAT(
      InstalledFiles(output),
      ElementsAre(Pair("etc/tmpfiles.d/vmsilo.conf", FileIn(State::kNew))));
}

TEST(FingerprintTest, IsTheOneThatSha256sumPrints) {
  EXPECT_EQ(FingerprintOf(File{.content = "abc"}).sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace vmsilo::unitgen
