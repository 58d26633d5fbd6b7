#include "headrace/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <filesystem>
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

template <class T>
Key number(T StoreConfig::* field, std::int64_t low, std::int64_t high) {
  return {toml::node_type::integer, [=](const toml::node& node, Config& out) -> std::optional<std::string> {
            const std::int64_t value = *node.value<std::int64_t>();
            if (value < low || value > high) return fmt::format("{} is not in {} to {}", value, low, high);
            out.store.*field = static_cast<T>(value);
            return {};
          }};
}

Key text(std::string StoreConfig::* field,
         std::optional<std::string> (*check)(const std::string&) = nullptr) {
  return {toml::node_type::string, [=](const toml::node& node, Config& out) -> std::optional<std::string> {
            auto value = *node.value<std::string>();
            if (check != nullptr) {
              if (auto wrong = check(value)) return wrong;
            }
            out.store.*field = std::move(value);
            return {};
          }};
}

Key flag(bool StoreConfig::* field) {
  return {toml::node_type::boolean, [=](const toml::node& node, Config& out) -> std::optional<std::string> {
            out.store.*field = *node.value<bool>();
            return {};
          }};
}

Key unread(toml::node_type type) { return {type, nullptr}; }

std::optional<std::string> check_listen(const std::string& value) {
  auto parsed = parse_listen(value);
  return parsed ? std::nullopt : std::optional(parsed.error().message);
}

std::optional<std::string> check_account(const std::string& value) {
  const bool digits =
      value.size() == 12 && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::nullopt : std::optional(fmt::format("\"{}\" is not 12 digits", value));
}

std::optional<std::string> check_word(const std::string& value) {
  const bool word = !value.empty() && value.size() <= 253 && std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  return word ? std::nullopt
              : std::optional(fmt::format("\"{}\" may only hold a-z, 0-9, '-' and '.'", value));
}

std::optional<std::string> check_path(const std::string& value) {
  const bool clean = !value.empty() &&
                     std::ranges::none_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return clean ? std::nullopt : std::optional<std::string>("an empty path, or one with control characters");
}

std::optional<std::string> set_trusted_uids(const toml::node& node, Config& out) {
  for (const auto& item : *node.as_array()) {
    const auto uid = item.value_exact<std::int64_t>();
    if (!uid || *uid < 0 || *uid > std::numeric_limits<std::uint32_t>::max())
      return "every item is a user id";
    out.store.trusted_uids.push_back(static_cast<std::uint32_t>(*uid));
  }
  return {};
}

const std::map<std::string, Table>& schema() {
  using T = toml::node_type;
  static const std::map<std::string, Table> tables = {
      {"app",
       {{"name", unread(T::string)},
        {"root", unread(T::string)},
        {"python", unread(T::string)},
        {"user", unread(T::string)}}},
      {"web",
       {{"app", unread(T::string)},
        {"command", unread(T::array)},
        {"processes", unread(T::none)},
        {"threads", unread(T::integer)},
        {"timeout", unread(T::string)}}},
      {"worker.*",
       {{"modules", unread(T::array)},
        {"queues", unread(T::array)},
        {"processes", unread(T::none)},
        {"memory", unread(T::string)}}},
      {"services",
       {{"sqs", unread(T::string)},
        {"s3", unread(T::string)},
        {"region", unread(T::string)},
        {"endpoint", unread(T::string)}}},
      {"site", {{"names", unread(T::array)}, {"tls", unread(T::none)}}},
      {"host",
       {{"operators", unread(T::string)}, {"firewall", unread(T::boolean)}, {"time", unread(T::string)}}},
      {"store",
       {{"path", text(&StoreConfig::path, check_path)},
        {"listen", text(&StoreConfig::listen, check_listen)},
        {"socket", text(&StoreConfig::socket, check_path)},
        {"region", text(&StoreConfig::region, check_word)},
        {"account", text(&StoreConfig::account, check_account)},
        {"domain", text(&StoreConfig::domain, check_word)},
        {"allow_remote", flag(&StoreConfig::allow_remote)},
        {"trusted_uids", {T::array, set_trusted_uids}},
        {"segment_mib", number(&StoreConfig::segment_mib, 1, 1'024)},
        {"reserve_segments", number(&StoreConfig::reserve_segments, 1, 16)},
        {"object_bytes_max", number(&StoreConfig::object_bytes_max, 1LL << 20, 5LL << 30)},
        {"connections_max", number(&StoreConfig::connections_max, 16, 100'000)}}}};
  return tables;
}

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
  Config config{.file = name, .store = {}};
  try {
    const toml::table top = toml::parse(text, name);
    HR_TRY(read_top(name, top, config));
  } catch (const toml::parse_error& error) {
    return fail(Errc::kInvalid, fmt::format("{}: {}", at(name, error.source()), error.description()));
  }
  return config;
}

Result<Config> read_config(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(Errc::kNotFound, fmt::format("{}: no such configuration file", path));
  }
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return fail(Errc::kPermission, fmt::format("{}: cannot be read", path));
  std::string text;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  HR_ASSIGN(Config config, parse_config(text, path));
  // Relative paths are relative to the file.
  const auto folder = std::filesystem::absolute(path, error).parent_path();
  for (std::string* relative : {&config.store.path, &config.store.socket}) {
    if (!relative->empty() && relative->front() != '/')
      *relative = (folder / *relative).lexically_normal().string();
  }
  return config;
}

}  // namespace hr
