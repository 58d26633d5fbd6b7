// What operators' commands share: one reactor, the services of an application, and the control sockets of its
// pools on this host. Made by a command, used until that ends.
#pragma once

#include "codec/json.h"
#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/role_source.h"
#include "net/runtime.h"
#include "os/clock.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

struct PoolSays {
  std::string pool, socket;
  bool answers = false;
  int status = 0;     // of HTTP
  codec::Json says;   // an object; null when it does not answer
  std::string error;  // why it does not, or what it refused

  bool good() const { return answers && status == 200; }
};

class Operator {
 public:
  // kNotFound and others: as find_services().
  static Result<std::unique_ptr<Operator>> make(const ClientFlags& flags);
  ~Operator();

  const ClientSettings& settings() const { return settings_; }
  net::Runtime& runtime() { return *runtime_; }
  RoleSource& source() { return *source_; }
  remote::Sqs& sqs() { return source_->sqs(); }
  remote::S3& s3() { return source_->s3(); }
  Time now() const { return clock_->wall(); }
  Bytes bucket() const;  // the application's own

  // Runs it on the reactor until it has ended.
  int run(net::Task<int> command);

  // The pools of the configuration, or the one named. kNotFound: there is none of that name.
  Result<std::vector<std::string>> pools(const std::string& only) const;
  // All at once, in the order of `pools`.
  net::Task<std::vector<PoolSays>> ask(std::vector<std::string> pools, std::string method, std::string target,
                                       std::string body = {});
  // Says on standard error that none of them runs; the exit code.
  int none_runs(const std::vector<PoolSays>& answers) const;

 private:
  explicit Operator(ClientSettings settings);
  net::Task<void> ask_one(PoolSays& out, std::string method, std::string target, std::string body);
  net::Task<void> end_with(net::Task<int> command, int& exit_code);

  const ClientSettings settings_;
  std::unique_ptr<LogSink> sink_;
  std::unique_ptr<os::Clock> clock_;
  std::unique_ptr<net::Runtime> runtime_;
  std::unique_ptr<RoleSource> source_;
};

// Members of answers that are known to be there; else "" and 0.
std::string text_member(const codec::Json& from, std::string_view name);
std::int64_t number_member(const codec::Json& from, std::string_view name);
const std::vector<codec::Json>& list_member(const codec::Json& from, std::string_view name);

// Adds --config, --endpoint and --keys.
void add_client_options(CLI::App& command, ClientFlags& flags);

// Rows under their headings, each column as wide as it must be; the last one as long as it is.
std::string table(const std::vector<std::vector<std::string>>& rows);
std::string ago(std::int64_t since_ms, Time now);  // "12s", "3m", "5h", "2d"; "-" for 0
std::string size_text(std::int64_t bytes);         // "12M"

// On standard error: "headrace: ..."; gives back the exit code.
int say_error(int exit_code, std::string_view message);

}  // namespace hr
