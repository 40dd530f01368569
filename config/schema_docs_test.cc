#include "config/schema_docs.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/json.h"
#include "common/testing/status_matchers.h"
#include "common/value.h"
#include "config/schema.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// To mend a failure: bazel run //config:schema_docs -- --update
struct Document {
  const char* name;
  const char* path;
  std::string (*render)(const TableSchema&);
};
class CheckedInTest : public testing::TestWithParam<Document> {};

TEST_P(CheckedInTest, IsWhatTheTableSays) {
  EXPECT_THAT(ReadFile(GetParam().path, 1 << 20),
              IsOkAndHolds(GetParam().render(RootSchema())))
      << "run: bazel run //config:schema_docs -- --update";
}

INSTANTIATE_TEST_SUITE_P(
    All, CheckedInTest,
    testing::Values(
        Document{"Markdown", "docs/configuration.md", SchemaAsMarkdown},
        Document{"ManPage", "config/vmsilo.toml.5", SchemaAsManPage},
        Document{"JsonSchema", "config/vmsilo.schema.json",
                 SchemaAsJsonSchema}),
    [](const auto& test) { return std::string(test.param.name); });

// Every option of every table is complete.
void CheckTable(const TableSchema& table, int depth) {
  ASSERT_LT(depth, 10);
  for (const Option& option : table.options) {
    SCOPED_TRACE(absl::StrCat(table.path, ".", option.key));
    EXPECT_FALSE(option.doc.empty());
    EXPECT_EQ(option.doc.back(), '.');
    ASSERT_NE(option.shape, nullptr);
    EXPECT_TRUE(option.has_no_effect || option.read != nullptr);
    if (option.shape->table != nullptr) {
      CheckTable(*option.shape->table, depth + 1);
    }
  }
}

TEST(SchemaTest, EveryOptionIsDocumented) { CheckTable(RootSchema(), 0); }

TEST(SchemaTest, NoKeyIsThereTwice) {
  // As keys and as other names, in the table that has the most.
  const TableSchema& root = RootSchema();
  for (const Option& a : root.options) {
    for (const Option& b : root.options) {
      if (&a == &b) continue;
      EXPECT_NE(a.key, b.key);
      EXPECT_NE(a.alias, b.key);
    }
  }
}

TEST(SchemaDocsTest, DefaultsComeFromTheStructs) {
  const std::string text = SchemaAsMarkdown(RootSchema());
  EXPECT_THAT(text, HasSubstr("| `color` | colour | `\"red\"` |"));
  EXPECT_THAT(text,
              HasSubstr("| `psiCeiling` | percentage, 0 to 100 | `50` |"));
  EXPECT_THAT(text, HasSubstr("| `pollInterval` | duration | `\"2s\"` |"));
  EXPECT_THAT(text, HasSubstr("| `size` | size | `\"10G\"` |"));
  EXPECT_THAT(text, HasSubstr("| `dependsOn` | list of: name | `[]` |"));
  EXPECT_THAT(text, HasSubstr("| `path` | path | required |"));
}

TEST(SchemaDocsTest, TheSchemaIsJsonAndItsReferencesLead) {
  const std::string text = SchemaAsJsonSchema(RootSchema());
  const absl::StatusOr<Value> schema = ParseJson(text);
  ASSERT_THAT(schema, IsOk());
  const Value* definitions = schema->Find("$defs");
  ASSERT_NE(definitions, nullptr);
  constexpr absl::string_view kReference = "\"#/$defs/";
  for (size_t at = text.find(std::string(kReference)); at != std::string::npos;
       at = text.find(std::string(kReference), at + 1)) {
    const size_t begin = at + kReference.size();
    const std::string name = text.substr(begin, text.find('"', begin) - begin);
    EXPECT_NE(definitions->Find(name), nullptr) << name;
  }
}

TEST(SchemaDocsTest, TheManPageHasNoStrayRequests) {
  const std::string text = SchemaAsManPage(RootSchema());
  EXPECT_THAT(text, Not(HasSubstr("`")));
  EXPECT_THAT(text, HasSubstr(".B vms.NAME.memory\n"));
}

}  // namespace
}  // namespace vmsilo::config
