// How long a boot waits for the configuration: a hundred silos with everything
// on. As a systemd generator vmsilo-unitgen has 20 ms in all, of which writing
// the files takes more than half.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "common/json.h"
#include "common/toml.h"
#include "common/value.h"
#include "config/load.h"

namespace vmsilo::config {
namespace {

std::string ManySilos(int count) {
  std::string text =
      "user = \"alice\"\n"
      "host = { uid = 1000, gid = 1000, group = \"a\", home = \"/home/a\" }\n"
      "[vms.net]\nnetwork.isNetvm = true\ngpu = false\n";
  for (int i = 1; i < count; ++i) {
    const std::string vm = absl::StrCat("vms.silo", i);
    absl::StrAppend(
        &text, "\n[", vm, "]\ncolor = \"steelblue\"\nmemory = \"4G\"\n",
        "memoryGuaranteed = \"1G\"\ncpus = 4\nkernel = \"/srv/vmlinuz\"\n",
        "initrd = \"/srv/initrd\"\nkernelParams = [\"quiet\", \"splash\"]\n",
        "rootDisk = \"/srv/root.img\"\ndisks = [\"/srv/data", i, ".img\"]\n",
        "rootOverlay = { type = \"raw\", size = \"20G\" }\n",
        "autoStart = true\ndependsOn = [\"net\"]\ntray.enable = true\n",
        "sound = { playback = true, capture = true }\n",
        "gpu = { wayland = true, opengl = true }\n",
        "usbDevices = [{ vendorId = \"1050\", productId = \"0407\", serial = "
        "\"",
        i, "\" }]\n[", vm, ".network]\nnetvm = \"net\"\n",
        "interfaces.wan.tap = { name = \"tap", i, "\", bridge = \"br0\" }\n",
        "[", vm, ".sharedDirectories.music]\npath = \"/srv/music\"\n",
        "readOnly = true\ncache = \"always\"\nxattr = true\n", "[", vm,
        ".units.vm.Service]\nCPUWeight = 200\n");
  }
  return text;
}

void BM_LoadHundredSilosFromToml(benchmark::State& state) {
  const std::vector<Source> sources = {
      {"t.toml", ManySilos(100), Source::Format::kToml}};
  for (auto _ : state) {
    LoadResult result = Compile(sources, {});
    if (!result.ok()) state.SkipWithError("the configuration is wrong");
    benchmark::DoNotOptimize(result);
  }
  state.SetBytesProcessed(
      static_cast<int64_t>(state.iterations() * sources.front().text.size()));
}
BENCHMARK(BM_LoadHundredSilosFromToml)->Unit(benchmark::kMicrosecond);

void BM_LoadHundredSilosFromJson(benchmark::State& state) {
  const std::vector<Source> sources = {
      {"t.json", ToJson(*ParseTomlText(ManySilos(100)).value),
       Source::Format::kJson}};
  for (auto _ : state) {
    LoadResult result = Compile(sources, {});
    if (!result.ok()) state.SkipWithError("the configuration is wrong");
    benchmark::DoNotOptimize(result);
  }
  state.SetBytesProcessed(
      static_cast<int64_t>(state.iterations() * sources.front().text.size()));
}
BENCHMARK(BM_LoadHundredSilosFromJson)->Unit(benchmark::kMicrosecond);

void BM_ParseTomlOnly(benchmark::State& state) {
  const std::string text = ManySilos(100);
  for (auto _ : state) {
    ParsedText parsed = ParseTomlText(text);
    benchmark::DoNotOptimize(parsed);
  }
}
BENCHMARK(BM_ParseTomlOnly)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace vmsilo::config

BENCHMARK_MAIN();
