// generator_bench UNITGEN [ROUNDS]
//
// What vmsilo-unitgen costs at a boot: the CPU time and the time from start to
// end of the program as systemd's generator, for 100 silos with everything on,
// on a tmpfs. In turn with it, in the same run: a process that only writes the
// same files from memory, and the program's start alone (--version).
// Prints medians. Build it with -c opt.

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "config/diagnostics.h"
#include "config/load.h"
#include "unitgen/generator_mode.h"
#include "unitgen/pipeline.h"

extern char** environ;

namespace vmsilo::unitgen {
namespace {

constexpr int kSilos = 100;

std::string Configuration() {
  std::string text =
      "user = \"desk\"\n"
      "host = { uid = 4200, gid = 4200, group = \"desk\", home = "
      "\"/home/desk\" "
      "}\n";
  for (int i = 0; i < kSilos; ++i) {
    absl::StrAppendFormat(
        &text,
        "[vms.silo%03d]\n"
        "hypervisor = \"crosvm\"\n"
        "color = \"#%02x8040\"\n"
        "memory = \"4G\"\n"
        "sound = { playback = true, capture = true }\n"
        "tray.enable = true\n"
        "usbDevices = [{ vendorId = \"1050\", productId = \"%04x\" }]\n"
        "network.interfaces.wan = { tap = { name = \"tap%d\", bridge = "
        "\"br%d\" } }\n"
        "sharedDirectories.music = { path = \"/srv/music/%d\" }\n"
        "sharedDirectories.docs = { path = \"/srv/docs/%d\", readOnly = true "
        "}\n",
        i, i, i, i, i / 10, i, i);
  }
  return text;
}

struct Cost {
  double cpu_ms = 0;
  double wall_ms = 0;
};

double Milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 +
         static_cast<double>(time.tv_usec) / 1e3;
}

// Starts a process, and waits for its end.
Cost Measure(const std::function<pid_t()>& start) {
  const absl::Time begin = absl::Now();
  const pid_t pid = start();
  int status = 0;
  rusage usage = {};
  if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
    fprintf(stderr, "a process failed with wait status %d\n", status);
    exit(1);
  }
  return {Milliseconds(usage.ru_utime) + Milliseconds(usage.ru_stime),
          absl::ToDoubleMilliseconds(absl::Now() - begin)};
}

pid_t Spawn(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
  pid_t pid = -1;
  if (posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) !=
      0) {
    pid = -1;
  }
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

Cost Median(std::vector<Cost> costs) {
  const size_t middle = costs.size() / 2;
  Cost median;
  std::sort(costs.begin(), costs.end(),
            [](const Cost& a, const Cost& b) { return a.cpu_ms < b.cpu_ms; });
  median.cpu_ms = costs[middle].cpu_ms;
  std::sort(costs.begin(), costs.end(),
            [](const Cost& a, const Cost& b) { return a.wall_ms < b.wall_ms; });
  median.wall_ms = costs[middle].wall_ms;
  return median;
}

int Run(const std::string& unitgen, int rounds) {
  // Where systemd's generators write is a tmpfs as well.
  std::string directory = "/dev/shm/vmsilo-bench.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    perror("mkdtemp");
    return 1;
  }
  const std::string file = directory + "/vmsilo.toml";
  const std::string units = directory + "/units";
  if (!WriteFileAtomically(file, Configuration(), 0644).ok()) return 1;
  const Generated generated =
      GenerateFrom({.file = file}, Mode{.is_generator = true});
  if (!generated.output.has_value()) {
    for (const auto& one : generated.diagnostics) {
      fprintf(stderr, "%s\n", config::ToString(one).c_str());
    }
    return 1;
  }

  std::vector<Cost> generator;
  std::vector<Cost> bare;
  std::vector<Cost> start;
  auto fresh = [&] {
    std::filesystem::remove_all(units);
    std::filesystem::create_directory(units);
  };
  for (int i = 0; i < rounds; ++i) {
    fresh();
    generator.push_back(Measure([&] {
      return Spawn({unitgen, "--config", file, "generator", units});
    }));
    fresh();
    bare.push_back(Measure([&] {
      const pid_t pid = fork();
      if (pid == 0) _exit(WriteUnits(units, *generated.output).ok() ? 0 : 1);
      return pid;
    }));
    start.push_back(Measure([&] { return Spawn({unitgen, "--version"}); }));
  }
  size_t bytes = 0;
  for (const auto& [path, one] : generated.output->files) {
    bytes += one.content.size();
  }
  std::filesystem::remove_all(directory);

  const Cost total = Median(generator);
  const Cost writing = Median(bare);
  const Cost starting = Median(start);
  printf("%d silos, %zu files, %zu KiB, median of %d rounds\n", kSilos,
         generated.output->files.size(), bytes / 1024, rounds);
  printf("                         CPU       wall\n");
  printf("generator            %6.2f ms  %6.2f ms\n", total.cpu_ms,
         total.wall_ms);
  printf("writing the files    %6.2f ms  %6.2f ms\n", writing.cpu_ms,
         writing.wall_ms);
  printf("starting the program %6.2f ms  %6.2f ms\n", starting.cpu_ms,
         starting.wall_ms);
  printf("ratio of generator to writing: %.2f (CPU)\n",
         total.cpu_ms / writing.cpu_ms);
  return 0;
}

}  // namespace
}  // namespace vmsilo::unitgen

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: generator_bench UNITGEN [ROUNDS]\n");
    return 64;
  }
  const auto rounds =
      argc == 3 ? vmsilo::ParseNumber<int>(argv[2], 1, 10000) : 31;
  if (!rounds.ok()) return 64;
  return vmsilo::unitgen::Run(argv[1], *rounds);
}
