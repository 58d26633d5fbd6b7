#include "codec/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

namespace hr {
namespace {

// What a key may hold, and where a good value goes. `set` answers what is wrong with a value of the right
// type, or nothing. Keys of tables that no role of this version reads are checked for their type only.
struct Key {
  toml::node_type type;
  std::function<std::optional<std::string>(const toml::node&, Config&)> set;
};
using Table = std::map<std::string, Key>;

std::string at(const std::string& file, const toml::source_region& where) {
  return fmt::format("{}:{}:{}", file, where.begin.line, where.begin.column);
}

std::string_view type_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "another type";
  }
}

using Wrong = std::optional<std::string>;

// `place` is a function from Config& to the field.
template <class Place>
Key number(Place place, std::int64_t low, std::int64_t high) {
  return {toml::node_type::integer, [=](const toml::node& node, Config& out) -> Wrong {
            const std::int64_t value = *node.value<std::int64_t>();
            if (value < low || value > high) return fmt::format("{} is not in {} to {}", value, low, high);
            auto& field = place(out);
            field = static_cast<std::remove_reference_t<decltype(field)>>(value);
            return {};
          }};
}

template <class Place>
Key text(Place place, Wrong (*check)(const std::string&) = nullptr) {
  return {toml::node_type::string, [=](const toml::node& node, Config& out) -> Wrong {
            auto value = *node.value<std::string>();
            if (check != nullptr) {
              if (auto wrong = check(value)) return wrong;
            }
            place(out) = std::move(value);
            return {};
          }};
}

template <class Place>
Key flag(Place place) {
  return {toml::node_type::boolean, [=](const toml::node& node, Config& out) -> Wrong {
            place(out) = *node.value<bool>();
            return {};
          }};
}

// A list of strings, none of them empty.
template <class Place>
Key texts(Place place, Wrong (*check)(const std::string&) = nullptr) {
  return {toml::node_type::array, [=](const toml::node& node, Config& out) -> Wrong {
            std::vector<std::string> values;
            for (const auto& item : *node.as_array()) {
              const auto value = item.value_exact<std::string>();
              if (!value || value->empty()) return "every item is a string that is not empty";
              if (check != nullptr) {
                if (auto wrong = check(*value)) return wrong;
              }
              values.push_back(*value);
            }
            if (values.empty()) return "the list is empty";
            place(out) = std::move(values);
            return {};
          }};
}

// A string that `parse` turns into the field's value.
template <class Place, class Parse>
Key parsed(Place place, Parse parse) {
  return {toml::node_type::string, [=](const toml::node& node, Config& out) -> Wrong {
            auto value = parse(*node.value<std::string>());
            if (!value) return value.error().message;
            place(out) = *value;
            return {};
          }};
}

Wrong check_listen(const std::string& value) {
  auto parsed = parse_listen(value);
  return parsed ? std::nullopt : std::optional(parsed.error().message);
}

Wrong check_account(const std::string& value) {
  const bool digits =
      value.size() == 12 && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::nullopt : std::optional(fmt::format("\"{}\" is not 12 digits", value));
}

Wrong check_word(const std::string& value) {
  const bool word = !value.empty() && value.size() <= 253 && std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  return word ? std::nullopt
              : std::optional(fmt::format("\"{}\" may only hold a-z, 0-9, '-' and '.'", value));
}

// What other programs' configuration gives a meaning: no value of the file may hold it, since every value may
// end in theirs.
constexpr std::string_view kMeant = ";{}$%\"'`\\";

Wrong check_clean(const std::string& value) {
  if (value.empty()) return "is empty";
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "holds a control character";
    if (kMeant.contains(c))
      return fmt::format("\"{}\" holds {}, to which other programs give a meaning", value, c);
  }
  return {};
}

Wrong check_path(const std::string& value) { return check_clean(value); }

bool made_of(std::string_view value, std::string_view more, std::size_t bytes_max) {
  return !value.empty() && value.size() <= bytes_max && std::ranges::all_of(value, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || more.contains(c);
  });
}

Wrong check_app_name(const std::string& value) {
  const bool lower = std::ranges::none_of(value, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (made_of(value, "-", 32) && lower && value.front() != '-' && value.back() != '-') return {};
  return fmt::format("\"{}\" may only hold a-z, 0-9 and '-' inside, at most 32 of them", value);
}

// As systemd-sysusers(8) takes them: sysusers.d(5), "Name".
Wrong check_name(const std::string& value) {
  const bool begins = !value.empty() && value.front() != '-' && (value.front() < '0' || value.front() > '9');
  if (begins && made_of(value, "-_", 31)) return {};
  return fmt::format(
      "\"{}\" is no name of a user or group: letters, digits, '-' and '_', at most 31, and first a "
      "letter or '_'",
      value);
}

Wrong check_module(const std::string& value) {
  if (made_of(value, "_.", 255) && value.front() != '.' && value.back() != '.') return {};
  return fmt::format("\"{}\" is no module name, such as shop.tasks", value);
}

Wrong check_callable(const std::string& value) {
  const std::size_t colon = value.find(':');
  if (colon != value.npos && !check_module(value.substr(0, colon)) && !check_module(value.substr(colon + 1)))
    return {};
  return fmt::format("\"{}\" is not MODULE:ATTRIBUTE, such as shop.wsgi:app", value);
}

// SQS's rule, and short enough for the name of its dead-letter queue.
Wrong check_queue(const std::string& value) {
  if (made_of(value, "-_", 75)) return {};
  return fmt::format("\"{}\" is no queue name: a-z, A-Z, 0-9, '-' and '_', at most 75", value);
}

bool is_label(std::string_view label) {
  return made_of(label, "-", 63) && label.front() != '-' && label.back() != '-';
}

// Labels between dots; the first may be "*" where `wild`.
bool is_host_name(std::string_view name, bool wild) {
  if (name.size() > 253) return false;
  if (wild && name.starts_with("*.")) name.remove_prefix(2);
  for (;;) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == name.npos) return true;
    name.remove_prefix(dot + 1);
  }
}

Wrong check_site_name(const std::string& value) {
  if (is_host_name(value, true)) return {};
  return fmt::format("\"{}\" is no host name, such as shop.example or *.shop.example", value);
}

// Who runs the user's code must not own the host, nor what belongs to other parts of it.
Wrong check_user(const std::string& value) {
  if (auto wrong = check_name(value)) return wrong;
  const bool digits = std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
  if (value == "root" || digits)
    return fmt::format("\"{}\" may not run the user's code: name an ordinary user", value);
  for (const char* taken : {"headrace-store", "headrace-api", "www-data", "syslog", "_chrony"})
    if (value == taken) return fmt::format("\"{}\" belongs to another part of the host", value);
  return {};
}

Wrong check_group(const std::string& value) {
  if (auto wrong = check_name(value)) return wrong;
  if (value == "root" || value == "headrace") return fmt::format("\"{}\" is no group of people", value);
  return {};
}

Wrong check_network_range(const std::string& value) {
  if (is_network(value)) return {};
  return fmt::format("\"{}\" is no address or network, such as 10.0.0.0/8 or fd00::/8", value);
}

Wrong check_allow(const std::string& value) {
  if (value == "jit" || value == "proc" || value == "nice") return {};
  return fmt::format("\"{}\" is neither \"jit\", \"proc\" nor \"nice\"", value);
}

Wrong check_time(const std::string& value) {
  in6_addr v6{};
  if (is_host_name(value, false) || inet_pton(AF_INET6, value.c_str(), &v6) == 1) return {};
  return fmt::format("\"{}\" is neither \"auto\", \"ec2\", \"pool\", \"off\" nor the name of a server",
                     value);
}

Wrong check_target(const std::string& value) {
  const std::size_t colon = value.rfind(':');
  std::uint16_t port = 0;
  if (colon != value.npos) std::from_chars(value.data() + colon + 1, value.data() + value.size(), port);
  if (colon != value.npos && port != 0 && is_host_name(value.substr(0, colon), false) &&
      value.substr(colon + 1) == std::to_string(port))
    return {};
  return fmt::format("\"{}\" is no HOST:PORT, such as logs.example:6514", value);
}

template <class Place>
Key ports(Place place) {
  return {toml::node_type::array, [=](const toml::node& node, Config& out) -> Wrong {
            std::vector<std::uint32_t> values;
            for (const auto& item : *node.as_array()) {
              const auto port = item.value_exact<std::int64_t>();
              if (!port || *port < 1 || *port > 65'535) return "every item is a port, 1 to 65535";
              values.push_back(static_cast<std::uint32_t>(*port));
            }
            if (values.size() > 64) return "more than 64 ports";
            std::ranges::sort(values);
            values.erase(std::ranges::unique(values).begin(), values.end());
            place(out) = std::move(values);
            return {};
          }};
}

Result<Bounds> parse_bounds(const std::string& value, std::uint32_t most) {
  Bounds out;
  const std::size_t dots = value.find("..");
  const auto number = [](std::string_view digits, std::uint32_t& to) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
    return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
  };
  const std::string_view view = value;
  const bool read = dots == view.npos
                        ? number(view, out.least) && number(view, out.most)
                        : number(view.substr(0, dots), out.least) && number(view.substr(dots + 2), out.most);
  if (!read || out.least < 1 || out.most < out.least || out.most > most)
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not a number or range in 1 to {}, such as \"1..4\"", value, most));
  return out;
}

Wrong set_trusted_uids(const toml::node& node, Config& out) {
  for (const auto& item : *node.as_array()) {
    const auto uid = item.value_exact<std::int64_t>();
    if (!uid || *uid < 0 || *uid > std::numeric_limits<std::uint32_t>::max())
      return "every item is a user id";
    out.store.trusted_uids.push_back(static_cast<std::uint32_t>(*uid));
  }
  return {};
}

Wrong set_processes(const toml::node& node, Config& out) {
  constexpr std::uint32_t kMost = 256;
  Bounds bounds;
  if (const auto count = node.value_exact<std::int64_t>()) {
    if (*count < 1 || *count > kMost) return fmt::format("{} is not in 1 to {}", *count, kMost);
    bounds.least = bounds.most = static_cast<std::uint32_t>(*count);
  } else {
    const auto words = node.value_exact<std::string>();
    if (!words) return "must be a whole number, or a string such as \"1..4\"";
    const auto read = parse_bounds(*words, kMost);
    if (!read) return read.error().message;
    bounds = *read;
  }
  out.pools.back().processes = bounds;
  return {};
}

Wrong set_tls(const toml::node& node, Config&) {
  if (node.value_exact<std::string>() == "self-signed") return {};
  return "must be \"self-signed\"; for files of your own set site.certificate and site.key";
}

Result<bool> parse_service(const std::string& value) {
  if (value != "local" && value != "aws")
    return fail(Errc::kInvalid, fmt::format("\"{}\" is neither \"local\" nor \"aws\"", value));
  return value == "local";
}

Result<Duration> parse_timeout(const std::string& value) {
  HR_ASSIGN(const Duration duration, parse_duration(value));
  if (duration < 1s || duration > 1h)
    return fail(Errc::kInvalid, fmt::format("{} is not in 1s to 1h", value));
  return duration;
}

Result<std::uint64_t> parse_memory(const std::string& value) {
  HR_ASSIGN(const std::uint64_t bytes, parse_size(value));
  if (bytes < 16ULL << 20) return fail(Errc::kInvalid, fmt::format("{} is less than 16M", value));
  return bytes;
}

Result<std::uint32_t> parse_cpu(const std::string& value) {
  std::uint32_t percent = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, percent);
  if (error != std::errc() || std::string_view(stop, end) != "%" || percent < 1 || percent > 25'600)
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not in \"1%\" to \"25600%\" of one processor", value));
  return percent;
}

Result<Duration> parse_drain(const std::string& value) {
  HR_ASSIGN(const Duration duration, parse_duration(value));
  if (duration > 12h) return fail(Errc::kInvalid, fmt::format("{} is not in 0s to 12h", value));
  return duration;
}

Result<Duration> parse_lease(const std::string& value) {
  HR_ASSIGN(const Duration duration, parse_duration(value));
  if (duration < 15s || duration > 1h)
    return fail(Errc::kInvalid, fmt::format("{} is not in 15s to 1h", value));
  return duration;
}

Result<Duration> parse_kept(const std::string& value) {
  HR_ASSIGN(const Duration duration, parse_duration(value));
  if (duration != 0s && (duration < 1s || duration > std::chrono::days(366)))
    return fail(Errc::kInvalid, fmt::format("{} is not in 1s to 366d, nor 0s for ever", value));
  return duration;
}

Result<Network> parse_network(const std::string& value) {
  if (value == "internet") return Network::kInternet;
  if (value == "none") return Network::kNone;
  return fail(Errc::kInvalid, fmt::format("\"{}\" is neither \"internet\" nor \"none\"", value));
}

Result<std::optional<std::uint64_t>> parse_free(const std::string& value) {
  if (value == "auto") return std::nullopt;
  HR_ASSIGN(const std::uint64_t bytes, parse_size(value));
  if (bytes > 1ULL << 40)
    return fail(Errc::kInvalid, fmt::format("{} is not in 0 to 1024G, nor auto", value));
  return bytes;
}

Result<std::uint64_t> parse_rate(const std::string& value) {
  HR_ASSIGN(const std::uint64_t bytes, parse_size(value));
  if (bytes != 0 && (bytes < 64ULL << 10 || bytes > 1ULL << 30))
    return fail(Errc::kInvalid, fmt::format("{} is not in 64K to 1G, nor 0", value));
  return bytes;
}

Result<std::uint64_t> parse_body(const std::string& value) {
  HR_ASSIGN(const std::uint64_t bytes, parse_size(value));
  if (bytes < 1'024 || bytes > 1ULL << 40)
    return fail(Errc::kInvalid, fmt::format("{} is not in 1K to 1024G", value));
  return bytes;
}

// A function from Config& to one of its fields.
#define HR_FIELD(path) [](Config& c) -> auto& { return c.path; }

Table store_table() {
  return {{"path", text(HR_FIELD(store.path), check_path)},
          {"listen", text(HR_FIELD(store.listen), check_listen)},
          {"socket", text(HR_FIELD(store.socket), check_path)},
          {"region", text(HR_FIELD(store.region), check_word)},
          {"account", text(HR_FIELD(store.account), check_account)},
          {"domain", text(HR_FIELD(store.domain), check_word)},
          {"allow_remote", flag(HR_FIELD(store.allow_remote))},
          {"strict_aws", flag(HR_FIELD(store.strict_aws))},
          {"trusted_uids", {toml::node_type::array, set_trusted_uids}},
          {"segment_mib", number(HR_FIELD(store.segment_mib), 4, 1'024)},
          {"reserve_segments", number(HR_FIELD(store.reserve_segments), 1, 16)},
          {"object_bytes_max", number(HR_FIELD(store.object_bytes_max), 1LL << 20, 5LL << 30)},
          {"connections_max", number(HR_FIELD(store.connections_max), 16, 100'000)},
          {"keep_free", parsed(HR_FIELD(store.keep_free), parse_free)},
          {"scrub_rate", parsed(HR_FIELD(store.scrub_rate), parse_rate)}};
}

Table site_table() {
  return {{"names", texts(HR_FIELD(site.names), check_site_name)},
          {"tls", {toml::node_type::none, set_tls}},
          {"certificate", text(HR_FIELD(site.certificate), check_path)},
          {"key", text(HR_FIELD(site.key), check_path)},
          {"http", text(HR_FIELD(site.http), check_listen)},
          {"https", text(HR_FIELD(site.https), check_listen)},
          {"files", text(HR_FIELD(site.files), check_path)},
          {"store_names", texts(HR_FIELD(site.store_names), check_site_name)},
          {"trusted_proxies", texts(HR_FIELD(site.trusted_proxies), check_network_range)},
          {"console", texts(HR_FIELD(site.console), check_network_range)},
          {"rate", number(HR_FIELD(site.rate), 0, 100'000)},
          {"connections", number(HR_FIELD(site.connections), 0, 100'000)},
          {"body_max", parsed(HR_FIELD(site.body_bytes_max), parse_body)}};
}

Table host_table() {
  return {{"operators", text(HR_FIELD(host.operators), check_group)},
          {"firewall", flag(HR_FIELD(host.firewall))},
          {"time", text(HR_FIELD(host.time), check_time)},
          {"ssh", ports(HR_FIELD(host.ssh))},
          {"ports", ports(HR_FIELD(host.ports))},
          {"syn_rate", number(HR_FIELD(host.syn_rate), 1, 100'000)},
          {"logs_to", text(HR_FIELD(host.logs_to), check_target)},
          {"logs_authority", text(HR_FIELD(host.logs_authority), check_path)}};
}

const std::map<std::string, Table>& schema() {
  static const std::map<std::string, Table> tables = {
      {"app",
       {{"name", text(HR_FIELD(app.name), check_app_name)},
        {"root", text(HR_FIELD(app.root), check_path)},
        {"python", text(HR_FIELD(app.python), check_path)},
        {"user", text(HR_FIELD(app.user), check_user)},
        {"results_kept", parsed(HR_FIELD(app.results_kept), parse_kept)},
        {"writable", texts(HR_FIELD(app.writable), check_path)},
        {"allow", texts(HR_FIELD(app.allow), check_allow)}}},
      {"web",
       {{"app", text(HR_FIELD(web.app), check_callable)},
        {"command", texts(HR_FIELD(web.command))},
        {"processes", number(HR_FIELD(web.processes), 1, 64)},
        {"threads", number(HR_FIELD(web.threads), 1, 256)},
        {"timeout", parsed(HR_FIELD(web.timeout), parse_timeout)},
        {"network", parsed(HR_FIELD(web.network), parse_network)}}},
      {"worker.*",
       {{"modules", texts(HR_FIELD(pools.back().modules), check_module)},
        {"queues", texts(HR_FIELD(pools.back().queues), check_queue)},
        {"processes", {toml::node_type::none, set_processes}},
        {"memory", parsed(HR_FIELD(pools.back().memory_bytes), parse_memory)},
        {"cpu", parsed(HR_FIELD(pools.back().cpu_percent), parse_cpu)},
        {"lease", parsed(HR_FIELD(pools.back().lease), parse_lease)},
        {"drain", parsed(HR_FIELD(pools.back().drain), parse_drain)},
        {"network", parsed(HR_FIELD(pools.back().network), parse_network)},
        {"recycle", number(HR_FIELD(pools.back().recycle), 0, 1'000'000'000)},
        {"concurrency", number(HR_FIELD(pools.back().concurrency), 1, 10'000)}}},
      {"services",
       {{"sqs", parsed(HR_FIELD(services.local_sqs), parse_service)},
        {"s3", parsed(HR_FIELD(services.local_s3), parse_service)},
        {"region", text(HR_FIELD(services.region), check_word)},
        {"endpoint", text(HR_FIELD(services.endpoint), check_path)},
        {"fips", flag(HR_FIELD(services.fips))},
        {"dual_stack", flag(HR_FIELD(services.dual_stack))}}},
      {"site", site_table()},
      {"host", host_table()},
      {"store", store_table()}};
  return tables;
}

#undef HR_FIELD

std::vector<std::string> names_of(const auto& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

Error unknown(const std::string& where, std::string_view what, std::string_view word,
              const std::vector<std::string>& known) {
  const std::string near = nearest(word, known);
  const std::string mend = near.empty() ? fmt::format("known here: {}", fmt::join(known, ", "))
                                        : fmt::format("did you mean \"{}\"?", near);
  return {Errc::kInvalid, fmt::format("{}: unknown {} \"{}\"; {}", where, what, word, mend)};
}

Status read_table(const std::string& file, const std::string& name, const toml::table& table,
                  const Table& keys, Config& out) {
  for (const auto& [key, node] : table) {
    const std::string word(key.str());
    const auto known = keys.find(word);
    if (known == keys.end()) {
      return std::unexpected(
          unknown(at(file, key.source()), fmt::format("key in [{}]:", name), word, names_of(keys)));
    }
    const Key& rule = known->second;
    if (rule.type != toml::node_type::none && node.type() != rule.type) {
      return fail(Errc::kInvalid, fmt::format("{}: {}.{} is {}, but must be {}", at(file, node.source()),
                                              name, word, type_name(node.type()), type_name(rule.type)));
    }
    out.where[fmt::format("{}.{}", name, word)] = {node.source().begin.line, node.source().begin.column};
    if (!rule.set) continue;
    if (auto wrong = rule.set(node, out)) {
      return fail(Errc::kInvalid, fmt::format("{}: {}.{}: {}", at(file, node.source()), name, word, *wrong));
    }
  }
  return {};
}

Status read_top(const std::string& file, const toml::table& top, Config& out) {
  for (const auto& [key, node] : top) {
    const std::string word(key.str());
    const bool pools = word == "worker";
    const auto known = schema().find(pools ? "worker.*" : word);
    if (known == schema().end()) {
      return std::unexpected(unknown(at(file, key.source()), "table", word, names_of(schema())));
    }
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return fail(Errc::kInvalid,
                  fmt::format("{}: {} must be a table: [{}]", at(file, node.source()), word, word));
    }
    if (!pools) {
      HR_TRY(read_table(file, word, *table, known->second, out));
      continue;
    }
    for (const auto& [pool, settings] : *table) {
      const std::string name = fmt::format("worker.{}", pool.str());
      if (!settings.is_table()) {
        return fail(Errc::kInvalid,
                    fmt::format("{}: {} must be a table: [{}]", at(file, settings.source()), name, name));
      }
      out.pools.emplace_back().name = std::string(pool.str());
      if (auto wrong = check_app_name(out.pools.back().name))
        return fail(Errc::kInvalid, fmt::format("{}: [{}]: {}", at(file, pool.source()), name, *wrong));
      out.where[name] = {pool.source().begin.line, pool.source().begin.column};
      HR_TRY(read_table(file, name, *settings.as_table(), known->second, out));
    }
  }
  return {};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 2) + 1;
  for (const auto& candidate : known) {
    if (const std::size_t distance = edit_distance(word, candidate); distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

Result<Duration> parse_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, Duration> kUnits[] = {
      {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}, {"d", 24h}};
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, text.data() + text.size());
  for (const auto& [name, length] : kUnits) {
    if (error == std::errc() && unit == name) return length * count;
  }
  return fail(Errc::kInvalid, fmt::format("\"{}\" is not a time such as 500ms, 30s, 15m, 2h or 1d", text));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, text.data() + text.size());
  const std::string_view units = "KMG";
  unsigned shift = 0;
  const bool known = unit.empty() || (unit.size() == 1 && units.contains(unit.front()));
  if (known && !unit.empty()) shift = 10 * static_cast<unsigned>(units.find(unit.front()) + 1);
  if (error != std::errc() || !known || count > (std::numeric_limits<std::uint64_t>::max() >> shift))
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not a size such as 512M, 2G or 65536", text));
  return count << shift;
}

std::string place_of(const Config& config, const std::string& key) {
  const auto found = config.where.find(key);
  if (found == config.where.end()) return fmt::format("{}: {}", config.file, key);
  return fmt::format("{}:{}:{}: {}", config.file, found->second.line, found->second.column, key);
}

std::string address_text(const HostPort& address) {
  const bool v6 = address.host.contains(':');
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

bool is_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  in6_addr any{};
  const bool v4 = inet_pton(AF_INET, address.c_str(), &any) == 1;
  if (!v4 && inet_pton(AF_INET6, address.c_str(), &any) != 1) return false;
  if (slash == text.npos) return true;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  return error == std::errc() && end == digits.data() + digits.size() && bits <= (v4 ? 32U : 128U) &&
         digits == std::to_string(bits);
}

Result<HostPort> parse_listen(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const auto wrong = [&] {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not an address and port, such as 127.0.0.1:9324 or [::1]:9324", text));
  };
  if (colon == text.npos) return wrong();
  HostPort out;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size() || port.empty()) return wrong();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  out.host = host;
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, out.host.c_str(), &v4) == 1) {
    out.loopback = (ntohl(v4.s_addr) >> 24) == 127;
  } else if (inet_pton(AF_INET6, out.host.c_str(), &v6) == 1) {
    out.loopback = IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  } else {
    return wrong();
  }
  return out;
}

Result<Config> parse_config(std::string_view text, const std::string& name) {
  Config config;
  config.file = name;
  try {
    const toml::table top = toml::parse(text, name);
    HR_TRY(read_top(name, top, config));
  } catch (const toml::parse_error& error) {
    return fail(Errc::kInvalid, fmt::format("{}: {}", at(name, error.source()), error.description()));
  }
  if (config.site.certificate.empty() != config.site.key.empty())
    return fail(Errc::kInvalid, config.site.key.empty()
                                    ? place_of(config, "site.certificate") + " needs site.key beside it"
                                    : place_of(config, "site.key") + " needs site.certificate beside it");
  if (!config.web.app.empty() && !config.web.command.empty())
    return fail(Errc::kInvalid, place_of(config, "web.command") + " and web.app exclude each other");
  for (const PoolConfig& pool : config.pools) {
    if (pool.modules.empty())
      return fail(Errc::kInvalid, fmt::format("{}.modules is missing: which modules hold its tasks?",
                                              place_of(config, "worker." + pool.name)));
  }
  return config;
}

}  // namespace hr
