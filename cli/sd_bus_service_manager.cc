#include "cli/sd_bus_service_manager.h"

#include <errno.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cli/service_manager.h"
#include "cli/unit_properties.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::cli {
namespace {

constexpr char kDestination[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kProperties[] = "org.freedesktop.DBus.Properties";
constexpr char kPrivateSocket[] = "unix:path=/run/systemd/private";

// Queries are answered from memory. A manager that is busy reloading units
// takes seconds, one that takes longer is not coming back.
constexpr absl::Duration kCallTimeout = absl::Seconds(25);

// A job's end is announced by a signal; should one get lost (the manager was
// re-executed), the job itself is asked for after so many quiet seconds.
constexpr int kJobCheckSeconds = 5;

struct BusUnref {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
struct MessageUnref {
  void operator()(sd_bus_message* message) const {
    sd_bus_message_unref(message);
  }
};
struct SlotUnref {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Bus = std::unique_ptr<sd_bus, BusUnref>;
using Message = std::unique_ptr<sd_bus_message, MessageUnref>;
using Slot = std::unique_ptr<sd_bus_slot, SlotUnref>;

struct BusError {
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&error); }
  sd_bus_error error = SD_BUS_ERROR_NULL;
};

const char* MethodOf(Verb verb) {
  switch (verb) {
    case Verb::kStart:
      return "StartUnit";
    case Verb::kStop:
      return "StopUnit";
    case Verb::kRestart:
      return "RestartUnit";
  }
  return "StartUnit";
}

class SdBusServiceManager : public ServiceManager {
 public:
  explicit SdBusServiceManager(Bus bus) : bus_(std::move(bus)) {}

  absl::StatusOr<std::vector<std::string>> FindUnits(
      absl::Span<const std::string> patterns) override {
    std::set<std::string> names;
    VMSILO_RETURN_IF_ERROR(
        Find("ListUnitFilesByPatterns", "(ss)", patterns, &names));
    VMSILO_RETURN_IF_ERROR(
        Find("ListUnitsByPatterns", "(ssssssouso)", patterns, &names));
    return std::vector<std::string>(names.begin(), names.end());
  }

  absl::StatusOr<UnitState> GetUnit(absl::string_view name) override {
    VMSILO_ASSIGN_OR_RETURN(Message call, NewCall("LoadUnit"));
    const std::string unit(name);
    if (const int r = sd_bus_message_append(call.get(), "s", unit.c_str());
        r < 0) {
      return ErrnoStatus(-r, "LoadUnit");
    }
    VMSILO_ASSIGN_OR_RETURN(Message reply, Call(call.get()));
    const char* path = nullptr;
    if (sd_bus_message_read(reply.get(), "o", &path) < 0)
      return MalformedAnswer();

    Message get;
    VMSILO_ASSIGN_OR_RETURN(get, NewCall(path, kProperties, "GetAll"));
    // An empty interface name asks for the properties of all of them: those
    // of every unit and those of its kind.
    if (const int r = sd_bus_message_append(get.get(), "s", ""); r < 0) {
      return ErrnoStatus(-r, "GetAll");
    }
    Message all;
    VMSILO_ASSIGN_OR_RETURN(all, Call(get.get()));
    return ReadUnitState(name, all.get());
  }

  absl::StatusOr<std::vector<UnitState>> GetUnits(
      absl::Span<const std::string> names) override {
    VMSILO_ASSIGN_OR_RETURN(Message call, NewCall("ListUnitsByNames"));
    VMSILO_RETURN_IF_ERROR(AppendStrings(call.get(), names));
    VMSILO_ASSIGN_OR_RETURN(Message reply, Call(call.get()));
    std::map<std::string, UnitState> found;
    if (sd_bus_message_enter_container(reply.get(), 'a', "(ssssssouso)") < 0) {
      return MalformedAnswer();
    }
    for (;;) {
      const char* name = nullptr;
      const char* load = nullptr;
      const char* active = nullptr;
      const char* sub = nullptr;
      const int more = sd_bus_message_read(
          reply.get(), "(ssssssouso)", &name, nullptr, &load, &active, &sub,
          nullptr, nullptr, nullptr, nullptr, nullptr);
      if (more < 0) return MalformedAnswer();
      if (more == 0) break;
      found[name] = UnitState{.name = name,
                              .load_state = load,
                              .active_state = active,
                              .sub_state = sub};
    }
    std::vector<UnitState> out;
    for (const std::string& name : names) {
      const auto it = found.find(name);
      out.push_back(it != found.end()
                        ? it->second
                        : UnitState{.name = name, .load_state = "not-found"});
    }
    return out;
  }

  absl::StatusOr<std::vector<JobOutcome>> RunJobs(
      Verb verb, absl::Span<const std::string> units,
      const std::function<void()>& tick) override {
    VMSILO_RETURN_IF_ERROR(Subscribe());
    std::vector<JobOutcome> outcomes;
    std::map<std::string, size_t> waiting;  // by the job's path
    for (const std::string& unit : units) {
      JobOutcome outcome{.unit = unit};
      absl::StatusOr<std::string> job = HandIn(verb, unit);
      if (job.ok()) {
        waiting[*job] = outcomes.size();
      } else {
        outcome.accepted = job.status();
      }
      outcomes.push_back(std::move(outcome));
    }
    int quiet_seconds = 0;
    while (true) {
      VMSILO_RETURN_IF_ERROR(Dispatch());
      Collect(&waiting, &outcomes);
      if (waiting.empty()) return outcomes;
      const int r = sd_bus_wait(bus_.get(), /*timeout_usec=*/1'000'000);
      if (r < 0 && r != -EINTR) return ErrnoStatus(-r, "system bus");
      if (r != 0) continue;
      tick();
      if (++quiet_seconds % kJobCheckSeconds == 0) {
        VMSILO_RETURN_IF_ERROR(CheckJobs(waiting, outcomes));
      }
    }
  }

 private:
  absl::StatusOr<Message> NewCall(const char* method) {
    return NewCall(kManagerPath, kManager, method);
  }

  absl::StatusOr<Message> NewCall(const char* path, const char* interface,
                                  const char* method) {
    sd_bus_message* message = nullptr;
    const int r = sd_bus_message_new_method_call(
        bus_.get(), &message, kDestination, path, interface, method);
    if (r < 0) return ErrnoStatus(-r, method);
    return Message(message);
  }

  absl::StatusOr<Message> Call(sd_bus_message* call) {
    BusError error;
    sd_bus_message* reply = nullptr;
    const int r =
        sd_bus_call(bus_.get(), call, absl::ToInt64Microseconds(kCallTimeout),
                    &error.error, &reply);
    if (r < 0) return BusErrorStatus(r, error.error);
    return Message(reply);
  }

  static absl::Status AppendStrings(sd_bus_message* message,
                                    absl::Span<const std::string> strings) {
    int r = sd_bus_message_open_container(message, 'a', "s");
    for (size_t i = 0; r >= 0 && i < strings.size(); ++i) {
      r = sd_bus_message_append(message, "s", strings[i].c_str());
    }
    if (r >= 0) r = sd_bus_message_close_container(message);
    if (r < 0) return ErrnoStatus(-r, "system bus");
    return absl::OkStatus();
  }

  // Adds the first string of each structure in the answer, which is a unit's
  // name or the path of its file.
  absl::Status Find(const char* method, const char* element,
                    absl::Span<const std::string> patterns,
                    std::set<std::string>* names) {
    VMSILO_ASSIGN_OR_RETURN(Message call, NewCall(method));
    VMSILO_RETURN_IF_ERROR(AppendStrings(call.get(), {}));  // any state
    VMSILO_RETURN_IF_ERROR(AppendStrings(call.get(), patterns));
    VMSILO_ASSIGN_OR_RETURN(Message reply, Call(call.get()));
    if (sd_bus_message_enter_container(reply.get(), 'a', element) < 0) {
      return MalformedAnswer();
    }
    const std::string inner(element + 1,
                            std::char_traits<char>::length(element) - 2);
    for (;;) {
      const int more =
          sd_bus_message_enter_container(reply.get(), 'r', inner.c_str());
      if (more < 0) return MalformedAnswer();
      if (more == 0) return absl::OkStatus();
      const char* name = nullptr;
      if (sd_bus_message_read(reply.get(), "s", &name) < 0 ||
          sd_bus_message_skip(reply.get(), inner.c_str() + 1) < 0 ||
          sd_bus_message_exit_container(reply.get()) < 0) {
        return MalformedAnswer();
      }
      const absl::string_view path = name;
      const size_t slash = path.rfind('/');
      names->insert(std::string(
          slash == absl::string_view::npos ? path : path.substr(slash + 1)));
    }
  }

  // Asks for JobRemoved signals, before the first job.
  absl::Status Subscribe() {
    if (job_removed_ != nullptr) return absl::OkStatus();
    sd_bus_slot* slot = nullptr;
    const int r =
        sd_bus_match_signal(bus_.get(), &slot, nullptr, kManagerPath, kManager,
                            "JobRemoved", OnJobRemoved, &removed_);
    if (r < 0) return ErrnoStatus(-r, "JobRemoved");
    job_removed_.reset(slot);
    VMSILO_ASSIGN_OR_RETURN(Message call, NewCall("Subscribe"));
    const absl::StatusOr<Message> reply = Call(call.get());
    // Another refusal than "already subscribed" leaves the periodic check.
    if (!reply.ok() &&
        reply.status().code() == absl::StatusCode::kUnavailable) {
      return reply.status();
    }
    return absl::OkStatus();
  }

  static int OnJobRemoved(sd_bus_message* message, void* userdata,
                          sd_bus_error* /*error*/) {
    const char* job = nullptr;
    const char* result = nullptr;
    if (sd_bus_message_read(message, "uoss", nullptr, &job, nullptr, &result) >=
        0) {
      (*static_cast<std::map<std::string, std::string>*>(userdata))[job] =
          result;
    }
    return 0;  // a malformed signal is nobody's
  }

  absl::StatusOr<std::string> HandIn(Verb verb, const std::string& unit) {
    VMSILO_ASSIGN_OR_RETURN(Message call, NewCall(MethodOf(verb)));
    int r = sd_bus_message_append(call.get(), "ss", unit.c_str(), "replace");
    if (r >= 0 && isatty(STDIN_FILENO) == 1) {
      // Somebody is there to answer polkit's question.
      r = sd_bus_message_set_allow_interactive_authorization(call.get(), 1);
    }
    if (r < 0) return ErrnoStatus(-r, MethodOf(verb));
    VMSILO_ASSIGN_OR_RETURN(Message reply, Call(call.get()));
    const char* job = nullptr;
    if (sd_bus_message_read(reply.get(), "o", &job) < 0)
      return MalformedAnswer();
    return std::string(job);
  }

  absl::Status Dispatch() {
    for (;;) {
      const int r = sd_bus_process(bus_.get(), nullptr);
      if (r < 0) return ErrnoStatus(-r, "system bus");
      if (r == 0) return absl::OkStatus();
    }
  }

  // Moves ended jobs from `waiting` to `outcomes`.
  void Collect(std::map<std::string, size_t>* waiting,
               std::vector<JobOutcome>* outcomes) {
    for (auto it = waiting->begin(); it != waiting->end();) {
      const auto removed = removed_.find(it->first);
      if (removed == removed_.end()) {
        ++it;
        continue;
      }
      (*outcomes)[it->second].result = removed->second;
      it = waiting->erase(it);
    }
  }

  // Enters jobs that are gone without a signal as removed; what became of
  // them is seen from the unit.
  absl::Status CheckJobs(const std::map<std::string, size_t>& waiting,
                         const std::vector<JobOutcome>& outcomes) {
    for (const auto& [path, index] : waiting) {
      Message call;
      VMSILO_ASSIGN_OR_RETURN(call, NewCall(path.c_str(), kProperties, "Get"));
      if (const int r = sd_bus_message_append(
              call.get(), "ss", "org.freedesktop.systemd1.Job", "State");
          r < 0) {
        return ErrnoStatus(-r, "Get");
      }
      const absl::StatusOr<Message> reply = Call(call.get());
      if (reply.ok() || removed_.contains(path)) continue;
      if (reply.status().code() != absl::StatusCode::kNotFound) {
        return reply.status();
      }
      VMSILO_ASSIGN_OR_RETURN(const UnitState unit,
                              GetUnit(outcomes[index].unit));
      removed_[path] = unit.active_state == "failed" ? "failed" : "done";
    }
    return absl::OkStatus();
  }

  // Declared before the slot, which writes to it.
  std::map<std::string, std::string> removed_;  // results by the job's path
  Bus bus_;
  Slot job_removed_;
};

absl::StatusOr<Bus> OpenPrivate() {
  sd_bus* raw = nullptr;
  int r = sd_bus_new(&raw);
  if (r < 0) return ErrnoStatus(-r, "system bus");
  Bus bus(raw);
  r = sd_bus_set_address(raw, kPrivateSocket);
  if (r >= 0) r = sd_bus_start(raw);
  if (r < 0) return ErrnoStatus(-r, "connect '/run/systemd/private'");
  return bus;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServiceManager>> ConnectServiceManager() {
  sd_bus* raw = nullptr;
  const int r = sd_bus_open_system(&raw);
  if (r >= 0) return std::make_unique<SdBusServiceManager>(Bus(raw));
  if (geteuid() == 0) {
    absl::StatusOr<Bus> bus = OpenPrivate();
    if (bus.ok()) return std::make_unique<SdBusServiceManager>(*std::move(bus));
  }
  return absl::UnavailableError(
      absl::StrCat("cannot reach the service manager: ",
                   ErrnoStatus(-r, "connect to the system bus").message(),
                   "; vmsilo needs a machine that runs systemd, with dbus"));
}

}  // namespace vmsilo::cli
