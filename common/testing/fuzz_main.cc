// Runs a libFuzzer target without libFuzzer: every file named on the command
// line, then a fixed number of mutations of each from a fixed seed, so that an
// ordinary test run exercises the target's properties, and the same way each
// time. A failure prints how to get the input back.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutationsPerFile = 2000;
constexpr size_t kMaxInputBytes = 1 << 16;

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

// One to four small edits: flip, insert, delete, repeat or splice.
std::string Mutate(const std::string& seed, const std::string& other,
                   std::mt19937& random) {
  std::string out = seed;
  const auto below = [&random](size_t n) {
    return n == 0 ? size_t{0} : static_cast<size_t>(random()) % n;
  };
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    const size_t at = below(out.size() + 1);
    switch (below(5)) {
      case 0:
        if (at < out.size()) out[at] ^= static_cast<char>(1 << below(8));
        break;
      case 1:
        out.insert(at, 1, static_cast<char>(random()));
        break;
      case 2:
        out.erase(at, 1 + below(8));
        break;
      case 3:
        out.insert(at, out.substr(at, 1 + below(16)));
        break;
      default:
        out = out.substr(0, at) + other.substr(below(other.size() + 1));
        break;
    }
    if (out.size() > kMaxInputBytes) out.resize(kMaxInputBytes);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      fprintf(stderr, "%s: cannot be read\n", argv[i]);
      return 1;
    }
    corpus.emplace_back(std::istreambuf_iterator<char>(file),
                        std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    fprintf(stderr, "no corpus given\n");
    return 1;
  }
  RunOne("");
  for (size_t i = 0; i < corpus.size(); ++i) {
    fprintf(stderr, "%s and %d mutations\n", argv[i + 1], kMutationsPerFile);
    RunOne(corpus[i]);
    std::mt19937 random(static_cast<uint32_t>(i));
    for (int round = 0; round < kMutationsPerFile; ++round) {
      RunOne(Mutate(corpus[i], corpus[random() % corpus.size()], random));
    }
  }
  return 0;
}
