#include "balloon/message.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "balloon/fields.h"
#include "balloon/limits.h"
#include "common/escape.h"
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"

namespace vmsilo::balloon {
namespace {

constexpr absl::string_view kAuto = "auto";

struct Word {
  absl::StatusCode code;
  absl::string_view word;
};
constexpr Word kWords[] = {
    {absl::StatusCode::kInvalidArgument, "invalid"},
    {absl::StatusCode::kNotFound, "not-found"},
    {absl::StatusCode::kPermissionDenied, "forbidden"},
    {absl::StatusCode::kFailedPrecondition, "refused"},
    {absl::StatusCode::kResourceExhausted, "busy"},
    {absl::StatusCode::kInternal, "failed"},
};

std::string RequestText(const StatusRequest&) {
  return R"({"request":"status"})";
}

std::string RequestText(const WatchRequest&) {
  return R"({"request":"watch"})";
}

std::string RequestText(const MetricsRequest&) {
  return R"({"request":"metrics"})";
}

std::string RequestText(const SetRequest& request) {
  std::string text;
  {
    TableWriter table(&text);
    table.Text("request", "set");
    table.Text("silo", request.vm);
    if (request.balloon) {
      table.Count("balloon", *request.balloon);
    } else {
      table.Text("balloon", kAuto);
    }
  }
  return text;
}

void WriteHost(const Status::Host& host, std::string* text) {
  TableWriter table(text);
  table.Count("total", host.total);
  table.Count("available", host.available);
  table.Count("free", host.free);
  table.Count("critical", host.critical);
  table.Real("pressure", host.pressure);
  table.Count("exposure", host.exposure);
}

void WriteVm(const Status::Vm& vm, std::string* text) {
  TableWriter table(text);
  table.Text("name", vm.name);
  table.Text("hypervisor", vm.hypervisor);
  table.Bool("managed", vm.is_managed);
  table.Text("reason", vm.reason);
  if (!vm.excluded.empty()) table.Text("excluded", vm.excluded);
  if (!vm.error.empty()) table.Text("error", vm.error);
  table.Count("memory", vm.memory);
  table.Count("guaranteed", vm.guaranteed);
  table.Count("balloon", vm.balloon);
  table.Count("target", vm.target);
  table.Count("fixed", vm.fixed);
  table.Count("free", vm.free);
  table.Count("caches", vm.caches);
  table.Count("available", vm.available);
  table.Count("resident", vm.resident);
  table.Count("oomKills", vm.oom_kills);
  table.Count("age", vm.age);
}

std::string AnswerText(const Status& status) {
  std::string text;
  {
    TableWriter table(&text);
    table.Text("answer", "status");
    table.Count("version", kVersion);
    table.Text("policy", status.policy);
    table.Bool("dryRun", status.is_dry_run);
    table.Count("rounds", status.rounds);
    table.Count("queries", status.queries);
    table.Count("resizes", status.resizes);
    table.Key("host");
    WriteHost(status.host, &text);
    table.Key("silos");
    text += '[';
    for (const Status::Vm& vm : status.vms) {
      if (&vm != &status.vms.front()) text += ',';
      WriteVm(vm, &text);
    }
    text += ']';
  }
  return text;
}

std::string AnswerText(const Metrics& metrics) {
  std::string text;
  {
    TableWriter table(&text);
    table.Text("answer", "metrics");
    table.Text("text", metrics.text);
  }
  return text;
}

std::string AnswerText(const Done&) { return R"({"answer":"done"})"; }

absl::StatusOr<Status::Host> ReadHost(const Value& value) {
  Fields fields(value, "host");
  Status::Host host;
  host.total = fields.RequiredCount("total");
  host.available = fields.RequiredCount("available");
  host.free = fields.RequiredCount("free");
  host.critical = fields.RequiredCount("critical");
  host.pressure = fields.Real("pressure").value_or(0);
  host.exposure = fields.RequiredCount("exposure");
  VMSILO_RETURN_IF_ERROR(fields.status());
  return host;
}

absl::StatusOr<Status::Vm> ReadVm(const Value& value) {
  Fields fields(value, "silos");
  Status::Vm vm;
  vm.name = fields.RequiredText("name", kMaxNameBytes);
  vm.hypervisor = fields.RequiredText("hypervisor", kMaxWordBytes);
  vm.is_managed = fields.Bool("managed").value_or(false);
  vm.reason = fields.RequiredText("reason", kMaxWordBytes);
  vm.excluded = fields.Text("excluded", kMaxWordBytes).value_or("");
  vm.error = fields.Text("error", kMaxWordBytes).value_or("");
  vm.memory = fields.RequiredCount("memory");
  vm.guaranteed = fields.RequiredCount("guaranteed");
  vm.balloon = fields.Count("balloon");
  vm.target = fields.Count("target");
  vm.fixed = fields.Count("fixed");
  vm.free = fields.Count("free");
  vm.caches = fields.Count("caches");
  vm.available = fields.Count("available");
  vm.resident = fields.Count("resident");
  vm.oom_kills = fields.Count("oomKills");
  vm.age = fields.Count("age");
  VMSILO_RETURN_IF_ERROR(fields.status());
  return vm;
}

absl::StatusOr<Answer> ReadStatus(const Value& value, Fields* fields) {
  Status status;
  status.policy = fields->RequiredText("policy", kMaxWordBytes);
  status.is_dry_run = fields->Bool("dryRun").value_or(false);
  status.rounds = fields->RequiredCount("rounds");
  status.queries = fields->RequiredCount("queries");
  status.resizes = fields->RequiredCount("resizes");
  VMSILO_RETURN_IF_ERROR(fields->status());
  const Value* host = value.Find("host");
  const Value* vms = value.Find("silos");
  if (host == nullptr || vms == nullptr || !vms->is_array()) {
    return absl::InvalidArgumentError("answer: host or silos missing");
  }
  VMSILO_ASSIGN_OR_RETURN(status.host, ReadHost(*host));
  if (vms->AsArray()->size() > kMaxVms) {
    return absl::InvalidArgumentError(
        absl::StrCat("answer: more than ", kMaxVms, " silos"));
  }
  for (const Value& element : *vms->AsArray()) {
    VMSILO_ASSIGN_OR_RETURN(Status::Vm vm, ReadVm(element));
    status.vms.push_back(std::move(vm));
  }
  return status;
}

absl::Status ReadError(Fields* fields) {
  const std::string word = fields->RequiredText("code", kMaxWordBytes);
  const std::string message = fields->RequiredText("message", kMaxWordBytes);
  VMSILO_RETURN_IF_ERROR(fields->status());
  const auto* const known =
      std::find_if(std::begin(kWords), std::end(kWords),
                   [&word](const Word& entry) { return entry.word == word; });
  return {known == std::end(kWords) ? absl::StatusCode::kInternal : known->code,
          message};
}

absl::StatusOr<Value> ReadLine(absl::string_view line, size_t max) {
  if (line.size() > max) {
    return absl::InvalidArgumentError(
        absl::StrCat("a line of more than ", max, " bytes"));
  }
  return ParseJson(line);
}

}  // namespace

std::string Encode(const Request& request) {
  return absl::StrCat(
      std::visit([](const auto& message) { return RequestText(message); },
                 request),
      "\n");
}

std::string Encode(const Answer& answer) {
  std::string text = std::visit(
      [](const auto& message) { return AnswerText(message); }, answer);
  text += '\n';
  return text;
}

std::string EncodeError(const absl::Status& error) {
  const auto* const known = std::find_if(
      std::begin(kWords), std::end(kWords),
      [&error](const Word& entry) { return entry.code == error.code(); });
  std::string text;
  {
    TableWriter table(&text);
    table.Text("answer", "error");
    table.Text("code", known == std::end(kWords) ? "failed" : known->word);
    table.Text("message", EscapedText(error.message()));
  }
  text += '\n';
  return text;
}

absl::StatusOr<Request> DecodeRequest(absl::string_view line) {
  VMSILO_ASSIGN_OR_RETURN(const Value value, ReadLine(line, kMaxRequestBytes));
  Fields fields(value, "request");
  const std::string word = fields.RequiredText("request", kMaxWordBytes);
  VMSILO_RETURN_IF_ERROR(fields.status());
  if (word == "status") return StatusRequest();
  if (word == "watch") return WatchRequest();
  if (word == "metrics") return MetricsRequest();
  if (word != "set") {
    return absl::InvalidArgumentError(absl::StrCat(
        "request: ", Quoted(word), " is none of status, watch, metrics, set"));
  }
  SetRequest set;
  set.vm = fields.RequiredText("silo", kMaxNameBytes);
  const Value* balloon = fields.Member("balloon");
  const bool is_auto = balloon != nullptr && balloon->AsString() != nullptr &&
                       *balloon->AsString() == kAuto;
  if (!is_auto) set.balloon = fields.RequiredCount("balloon");
  VMSILO_RETURN_IF_ERROR(fields.status());
  return set;
}

absl::StatusOr<Answer> DecodeAnswer(absl::string_view line) {
  VMSILO_ASSIGN_OR_RETURN(const Value value, ReadLine(line, kMaxAnswerBytes));
  Fields fields(value, "answer");
  const std::string word = fields.RequiredText("answer", kMaxWordBytes);
  VMSILO_RETURN_IF_ERROR(fields.status());
  if (word == "status") return ReadStatus(value, &fields);
  if (word == "done") return Done();
  if (word == "error") return ReadError(&fields);
  if (word != "metrics") {
    return absl::InvalidArgumentError(
        absl::StrCat("answer: ", Quoted(word), " is not known"));
  }
  // Has line ends, which the other texts have not.
  const Value* text = value.Find("text");
  if (text == nullptr || text->AsString() == nullptr) {
    return absl::InvalidArgumentError("answer.text: missing");
  }
  return Metrics{.text = *text->AsString()};
}

}  // namespace vmsilo::balloon
