// Prints its arguments, and the variables VALUE_0, VALUE_1… up to the first
// that is not set, each with a NUL after it. See quote_probe.cc.

#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::fputs(argv[i], stdout);
    std::putchar('\0');
  }
  for (int i = 0;; ++i) {
    const std::string name = "VALUE_" + std::to_string(i);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) break;
    std::printf("%s=%s", name.c_str(), value);
    std::putchar('\0');
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
