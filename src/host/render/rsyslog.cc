#include "host/render/rsyslog.h"

#include <fmt/format.h>

#include <string>

namespace hr::host {
namespace {

// The module imuxsock is loaded by the distribution's main file already: loading it again is an error. Its
// own parser for local sockets does not know RFC 5424, hence UseSpecialParser="off".
constexpr std::string_view kRecords = R"(
template(name="headrace_record" type="list" option.jsonf="on") {
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="pid" name="procid" format="jsonf")
  property(outname="event" name="msgid" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
template(name="headrace_access" type="list") {
  property(name="msg" position.from="2" droplastlf="on")
  constant(value="\n")
}
)";

std::string file_action(const Machine& machine, std::string_view name, std::string_view format) {
  return fmt::format(
      "    action(type=\"omfile\" file=\"{}/{}\" template=\"{}\" fileOwner=\"{}\" fileGroup=\"adm\"\n"
      "           fileCreateMode=\"0640\" dirCreateMode=\"0750\")\n",
      kLogFolder, name, format, machine.facts.ubuntu ? "syslog" : "root");
}

// A queue of its own, on disk when the other side is away: without one, it would hold up every other record.
std::string forward(const Config& config) {
  const std::string& to = config.host.logs_to;
  const std::size_t colon = to.rfind(':');
  return fmt::format(
      R"(  action(type="omfwd" target="{0}" port="{1}" protocol="tcp"
         template="RSYSLOG_SyslogProtocol23Format"
         StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
         StreamDriverPermittedPeers="{0}" StreamDriver.CAFile="{2}"
         queue.type="LinkedList" queue.filename="headrace_forward" queue.maxDiskSpace="1g"
         queue.saveOnShutdown="on" action.resumeRetryCount="-1" action.resumeInterval="10")
)",
      to.substr(0, colon), to.substr(colon + 1), config.host.logs_authority);
}

std::string rules(const Machine& machine) {
  const Config& config = machine.config;
  std::string out =
      fmt::format("# Made from {} by `headrace host apply`: a change here does not last.", config.file);
  out += kRecords;
  out += "ruleset(name=\"headrace\") {\n  if $programname == \"nginx_access\" then {\n";
  out += file_action(machine, "access.jsonl", "headrace_access");
  out += "  } else {\n";
  out += file_action(machine, "headrace.jsonl", "headrace_record");
  out += "  }\n";
  if (!config.host.logs_to.empty()) out += forward(config);
  out += "}\n";
  out += fmt::format(
      "input(type=\"imuxsock\" Socket=\"{}\" CreatePath=\"on\" UseSpecialParser=\"off\" "
      "ParseHostname=\"on\"\n"
      "      UseSysTimeStamp=\"off\" RateLimit.Interval=\"0\" ruleset=\"headrace\")\n",
      kLogSocket);
  // What the roles print themselves comes through the journal: to the same file, and not to syslog too.
  out += "if $programname startswith \"headrace-\" then {\n  call headrace\n  stop\n}\n";
  return out;
}

std::string rotation(const Machine& machine) {
  return fmt::format(R"(# Made from {0} by `headrace host apply`: a change here does not last.
{1}/*.jsonl {{
  su {2} adm
  daily
  maxsize 256M
  rotate 14
  missingok
  notifempty
  compress
  delaycompress
  create 0640 {2} adm
  sharedscripts
  postrotate
    /usr/lib/rsyslog/rsyslog-rotate
  endscript
}}
)",
                     machine.config.file, kLogFolder, machine.facts.ubuntu ? "syslog" : "root");
}

}  // namespace

std::vector<File> render_logging(const Machine& machine) {
  // The journal keeps what it is told in memory; what lasts is in rsyslog's files, once.
  const std::string journal = fmt::format(
      "# Made from {} by `headrace host apply`: a change here does not last.\n"
      "[Journal]\nStorage=volatile\nRuntimeMaxUse=128M\nForwardToSyslog=yes\n",
      machine.config.file);
  return {{.path = "/etc/rsyslog.d/30-headrace.conf", .text = rules(machine)},
          {.path = "/etc/systemd/journald.conf.d/headrace.conf", .text = journal},
          {.path = "/etc/logrotate.d/headrace", .text = rotation(machine)}};
}

}  // namespace hr::host
