// Values through systemd and back: the proof that what is quoted arrives.
//
//   quote_probe values SEED COUNT              random hostile values
//   quote_probe unit PROGRAM OUTPUT < VALUES   a unit that passes them on
//   quote_probe expect < VALUES                what OUTPUT must then hold
//
// Values have a NUL after each. PROGRAM is print_arguments. A value goes
// through ExecStart=, and through Environment= where systemd has a spelling
// for it.

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/systemd_quote.h"

namespace vmsilo {
namespace {

constexpr int kUsage = 64;

std::vector<std::string> ReadValues() {
  const std::string input((std::istreambuf_iterator<char>(std::cin)),
                          std::istreambuf_iterator<char>());
  std::vector<std::string> values = absl::StrSplit(input, '\0');
  values.pop_back();  // After the last NUL.
  return values;
}

void PrintRandomValues(uint32_t seed, int count) {
  // Bytes that mean something to systemd come more often than others.
  constexpr absl::string_view kSpecial =
      "\"'\\%$;{} \t\n\rnx041#=-@!:|&`*~+,<>()[]?/\xc3\xa9\xff";
  std::mt19937 random(seed);
  for (int i = 0; i < count; ++i) {
    std::string value;
    const size_t size = random() % 24;
    for (size_t k = 0; k < size; ++k) {
      value.push_back(random() % 4 != 0
                          ? kSpecial[random() % kSpecial.size()]
                          : static_cast<char>(1 + random() % 255));
    }
    std::cout << value << '\0';
  }
}

std::vector<std::string> Assignments(const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  for (const std::string& value : values) {
    const std::string name = absl::StrCat("VALUE_", quoted.size());
    std::optional<std::string> text = QuoteEnvironment(name, value);
    if (text.has_value()) quoted.push_back(*std::move(text));
  }
  return quoted;
}

bool PrintUnit(absl::string_view program, absl::string_view output,
               const std::vector<std::string>& values) {
  const std::optional<std::string> quoted_program = QuoteExecProgram(program);
  const std::optional<std::string> path = PlainValue(output);
  if (!quoted_program.has_value() || !path.has_value()) return false;
  std::string unit = absl::StrCat(
      "[Service]\nType=oneshot\nStandardOutput=truncate:", *path, "\n");
  for (const std::string& assignment : Assignments(values)) {
    absl::StrAppend(&unit, "Environment=", assignment, "\n");
  }
  absl::StrAppend(&unit, "ExecStart=", *quoted_program);
  for (const std::string& value : values) {
    absl::StrAppend(&unit, " ", QuoteExecArgument(value));
  }
  std::cout << unit << "\n";
  return true;
}

void PrintExpectation(const std::vector<std::string>& values) {
  for (const std::string& value : values) std::cout << value << '\0';
  int number = 0;
  for (const std::string& value : values) {
    const std::string name = absl::StrCat("VALUE_", number);
    if (!QuoteEnvironment(name, value).has_value()) continue;
    std::cout << name << "=" << value << '\0';
    ++number;
  }
}

int Main(const std::vector<std::string>& args) {
  const std::string command = args.empty() ? "" : args[0];
  if (command == "values" && args.size() == 3) {
    uint32_t seed = 0;
    int count = 0;
    if (!absl::SimpleAtoi(args[1], &seed) ||
        !absl::SimpleAtoi(args[2], &count)) {
      return kUsage;
    }
    PrintRandomValues(seed, count);
    return 0;
  }
  if (command == "unit" && args.size() == 3) {
    return PrintUnit(args[1], args[2], ReadValues()) ? 0 : kUsage;
  }
  if (command == "expect" && args.size() == 1) {
    PrintExpectation(ReadValues());
    return 0;
  }
  std::cerr << "usage: quote_probe values SEED COUNT\n"
               "       quote_probe unit PROGRAM OUTPUT < VALUES\n"
               "       quote_probe expect < VALUES\n";
  return kUsage;
}

}  // namespace
}  // namespace vmsilo

int main(int argc, char** argv) {
  return vmsilo::Main(std::vector<std::string>(argv + 1, argv + argc));
}
