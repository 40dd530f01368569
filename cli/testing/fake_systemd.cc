// A made-up service manager on the bus of DBUS_SYSTEM_BUS_ADDRESS, as far as
// `vmsilo` speaks to one. What a job leads to follows from the unit's name;
// prints "ready" when it is on the bus. With an argument, its generator has met
// a broken configuration while the silo "work" was running.

#include <fnmatch.h>
#include <stdio.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::cli {
namespace {

constexpr char kPath[] = "/org/freedesktop/systemd1";

struct Unit {
  std::string name;
  std::string load = "loaded";
  std::string active = "inactive";
  std::string sub = "dead";
  std::string result = "success";
  int32_t code = 0;
  int32_t status = 0;
  uint32_t pid = 0;
  std::string path;
};

struct World {
  sd_bus* bus = nullptr;
  std::map<std::string, Unit> units;
  uint32_t next_job = 1;
};

Unit& Add(World* world, const char* name) {
  Unit& unit = world->units[name];
  unit.name = name;
  unit.path = absl::StrCat(kPath, "/unit/u", world->units.size());
  return unit;
}

int ListFiles(sd_bus_message* call, void* data, sd_bus_error*) {
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(call, &reply);
  sd_bus_message_open_container(reply, 'a', "(ss)");
  sd_bus_message_skip(call, "as");
  sd_bus_message_enter_container(call, 'a', "s");
  const char* pattern = "";
  sd_bus_message_read(call, "s", &pattern);
  for (const auto& [name, unit] : static_cast<World*>(data)->units) {
    if (fnmatch(pattern, name.c_str(), 0) != 0) continue;
    sd_bus_message_append(reply, "(ss)",
                          absl::StrCat("/etc/systemd/system/", name).c_str(),
                          "enabled");
  }
  sd_bus_message_close_container(reply);
  return sd_bus_send(nullptr, reply, nullptr);
}

void AppendUnit(sd_bus_message* reply, const Unit& unit) {
  sd_bus_message_append(reply, "(ssssssouso)", unit.name.c_str(), "description",
                        unit.load.c_str(), unit.active.c_str(),
                        unit.sub.c_str(), "", unit.path.c_str(), 0, "", "/");
}

int ListByNames(sd_bus_message* call, void* data, sd_bus_error*) {
  World* world = static_cast<World*>(data);
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(call, &reply);
  sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
  sd_bus_message_enter_container(call, 'a', "s");
  const char* name = nullptr;
  while (sd_bus_message_read(call, "s", &name) > 0) {
    const auto it = world->units.find(name);
    AppendUnit(reply, it != world->units.end()
                          ? it->second
                          : Unit{.name = name,
                                 .load = "not-found",
                                 .path = absl::StrCat(kPath, "/unit/none")});
  }
  sd_bus_message_close_container(reply);
  return sd_bus_send(nullptr, reply, nullptr);
}

// The instances of the proxy, of which nothing has a file.
int ListByPatterns(sd_bus_message* call, void*, sd_bus_error*) {
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(call, &reply);
  sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
  sd_bus_message_skip(call, "as");
  sd_bus_message_enter_container(call, 'a', "s");
  const char* pattern = nullptr;
  if (sd_bus_message_read(call, "s", &pattern) > 0 &&
      strcmp(pattern, "vmsilo-work@?*.service") == 0) {
    AppendUnit(reply, Unit{.name = "vmsilo-work@1-2-1000.service",
                           .active = "active",
                           .path = absl::StrCat(kPath, "/unit/proxy")});
  }
  sd_bus_message_close_container(reply);
  return sd_bus_send(nullptr, reply, nullptr);
}

int LoadUnit(sd_bus_message* call, void* data, sd_bus_error*) {
  World* world = static_cast<World*>(data);
  const char* name = nullptr;
  sd_bus_message_read(call, "s", &name);
  const auto it = world->units.find(name);
  return sd_bus_reply_method_return(
      call, "o",
      it == world->units.end() ? absl::StrCat(kPath, "/unit/none").c_str()
                               : it->second.path.c_str());
}

int RunJob(sd_bus_message* call, void* data, sd_bus_error* error) {
  World* world = static_cast<World*>(data);
  const char* name = nullptr;
  const char* mode = nullptr;
  sd_bus_message_read(call, "ss", &name, &mode);
  const auto it = world->units.find(name);
  if (it == world->units.end()) {
    return sd_bus_error_setf(error, "org.freedesktop.systemd1.NoSuchUnit",
                             "Unit %s not found.", name);
  }
  Unit& unit = it->second;
  if (absl::StrContains(unit.name, "forbidden")) {
    return sd_bus_error_set(
        error, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        "Interactive authentication required.");
  }
  const std::string job = absl::StrCat(kPath, "/job/", world->next_job++);
  const std::string verb = sd_bus_message_get_member(call);
  sd_bus_reply_method_return(call, "o", job.c_str());
  if (absl::StrContains(unit.name, "hanging")) {
    fprintf(stderr, "hanging\n");
    return 1;
  }
  std::string result = "done";
  if (absl::StrContains(unit.name, "broken")) {
    result = "failed";
    unit.active = "failed";
    unit.sub = "failed";
    unit.result = "exit-code";
    unit.code = CLD_EXITED;
    unit.status = 3;
  } else if (absl::StrContains(unit.name, "needy")) {
    result = "dependency";
  } else {
    unit.active = verb == "StopUnit" ? "inactive" : "active";
    unit.sub = verb == "StopUnit" ? "dead" : "running";
  }
  // Others' jobs end as well.
  sd_bus_emit_signal(world->bus, kPath, "org.freedesktop.systemd1.Manager",
                     "JobRemoved", "uoss", 9999, "/org/freedesktop/systemd1/x",
                     "other.service", "failed");
  sd_bus_emit_signal(world->bus, kPath, "org.freedesktop.systemd1.Manager",
                     "JobRemoved", "uoss", 1, job.c_str(), name,
                     result.c_str());
  return 1;
}

int Subscribe(sd_bus_message* call, void*, sd_bus_error*) {
  return sd_bus_reply_method_return(call, "");
}

const sd_bus_vtable kManagerTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("ListUnitFilesByPatterns", "asas", "a(ss)", ListFiles,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListUnitsByPatterns", "asas", "a(ssssssouso)",
                  ListByPatterns, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListUnitsByNames", "as", "a(ssssssouso)", ListByNames,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("LoadUnit", "s", "o", LoadUnit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StartUnit", "ss", "o", RunJob, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StopUnit", "ss", "o", RunJob, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RestartUnit", "ss", "o", RunJob, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", Subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
    SD_BUS_VTABLE_END,
};

int GetText(sd_bus*, const char*, const char*, const char* property,
            sd_bus_message* reply, void* data, sd_bus_error*) {
  const Unit* unit = static_cast<Unit*>(data);
  const absl::string_view name = property;
  const std::string& value = name == "LoadState"     ? unit->load
                             : name == "ActiveState" ? unit->active
                             : name == "SubState"    ? unit->sub
                                                     : unit->result;
  return sd_bus_message_append(reply, "s", value.c_str());
}

int GetInt(sd_bus*, const char*, const char*, const char* property,
           sd_bus_message* reply, void* data, sd_bus_error*) {
  const Unit* unit = static_cast<Unit*>(data);
  return sd_bus_message_append(reply, "i",
                               absl::string_view(property) == "ExecMainCode"
                                   ? unit->code
                                   : unit->status);
}

int GetPid(sd_bus*, const char*, const char*, const char*,
           sd_bus_message* reply, void* data, sd_bus_error*) {
  return sd_bus_message_append(reply, "u", static_cast<Unit*>(data)->pid);
}

int GetMemory(sd_bus*, const char*, const char*, const char*,
              sd_bus_message* reply, void*, sd_bus_error*) {
  return sd_bus_message_append(reply, "t", UINT64_MAX);
}

int GetList(sd_bus*, const char*, const char*, const char*,
            sd_bus_message* reply, void*, sd_bus_error*) {
  return sd_bus_message_append(reply, "a(sasbttttuii)", 0);
}

const sd_bus_vtable kUnitTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("LoadState", "s", GetText, 0, 0),
    SD_BUS_PROPERTY("ActiveState", "s", GetText, 0, 0),
    SD_BUS_PROPERTY("SubState", "s", GetText, 0, 0),
    SD_BUS_VTABLE_END,
};
const sd_bus_vtable kServiceTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Result", "s", GetText, 0, 0),
    SD_BUS_PROPERTY("ExecMainCode", "i", GetInt, 0, 0),
    SD_BUS_PROPERTY("ExecMainStatus", "i", GetInt, 0, 0),
    SD_BUS_PROPERTY("MainPID", "u", GetPid, 0, 0),
    SD_BUS_PROPERTY("MemoryCurrent", "t", GetMemory, 0, 0),
    SD_BUS_PROPERTY("ExecStart", "a(sasbttttuii)", GetList, 0, 0),
    SD_BUS_VTABLE_END,
};

int Main(bool is_configuration_broken) {
  World world;
  Unit& work = Add(&world, "vmsilo-work-vm.service");
  work.active = "active";
  work.sub = "running";
  if (is_configuration_broken) {
    work.load = "not-found";
    Add(&world, "vmsilo-configuration-error.service").active = "failed";
  } else {
    Unit& socket = Add(&world, "vmsilo-work.socket");
    socket.active = "active";
    socket.sub = "listening";
    Add(&world, "vmsilo-work-console-relay.service");
  }
  for (const char* name :
       {"vmsilo-idle-vm.service", "vmsilo-broken-vm.service",
        "vmsilo-forbidden-vm.service", "vmsilo-hanging-vm.service",
        "vmsilo-needy-vm.service"}) {
    Add(&world, name);
  }
  Unit none{.load = "not-found"};

  int r = sd_bus_open_system(&world.bus);
  if (r >= 0) {
    r = sd_bus_add_object_vtable(world.bus, nullptr, kPath,
                                 "org.freedesktop.systemd1.Manager",
                                 kManagerTable, &world);
  }
  const auto add = [&](const std::string& path, Unit* unit) {
    for (const auto& [interface, table] :
         {std::pair("org.freedesktop.systemd1.Unit", kUnitTable),
          std::pair("org.freedesktop.systemd1.Service", kServiceTable)}) {
      if (r >= 0) {
        r = sd_bus_add_object_vtable(world.bus, nullptr, path.c_str(),
                                     interface, table, unit);
      }
    }
  };
  for (auto& [name, unit] : world.units) add(unit.path, &unit);
  add(absl::StrCat(kPath, "/unit/none"), &none);
  if (r >= 0) r = sd_bus_request_name(world.bus, "org.freedesktop.systemd1", 0);
  if (r < 0) {
    fprintf(stderr, "fake_systemd: %s\n", strerror(-r));
    return 71;
  }
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    r = sd_bus_process(world.bus, nullptr);
    if (r < 0) return 71;
    if (r == 0 && sd_bus_wait(world.bus, UINT64_MAX) < 0) return 71;
  }
}

}  // namespace
}  // namespace vmsilo::cli

int main(int argc, char**) { return vmsilo::cli::Main(argc > 1); }
