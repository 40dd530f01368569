// Stands for a hypervisor: writes its arguments, each with a NUL, to the file
// `arguments` in the unit's runtime directory, and stays until it is killed.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
  const char* directory = getenv("RUNTIME_DIRECTORY");
  if (directory == nullptr) return 1;
  std::string text;
  for (int i = 1; i < argc; ++i) text.append(argv[i], strlen(argv[i]) + 1);
  const std::string path = std::string(directory) + "/arguments";
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text.data(), text.size()) !=
                    static_cast<ssize_t>(text.size())) {
    return 1;
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return 1;
  pause();
  return 0;
}
