#include "headrace/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr {
namespace {

constexpr std::size_t kReceiptKeyBytes = 32;
constexpr std::size_t kFileBytesMax = 4U << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<Error> failed(const std::string& path, std::string_view what) {
  const Errc code = errno == EACCES ? Errc::kPermission : errno == ENOSPC ? Errc::kNoSpace : Errc::kIo;
  return fail(code, fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));
}

// Characters without a bias: bytes past the last whole multiple of the alphabet are thrown away.
std::string random_text(os::Entropy& entropy, std::size_t length, std::string_view alphabet) {
  std::string out;
  const std::size_t usable = 256 - 256 % alphabet.size();
  while (out.size() < length) {
    std::array<std::uint8_t, 64> random{};
    entropy.fill(random);
    for (const std::uint8_t byte : random) {
      if (byte < usable && out.size() < length) out.push_back(alphabet[byte % alphabet.size()]);
    }
  }
  return out;
}

wire::AccessKey new_key(std::string name, std::string account, os::Entropy& entropy) {
  constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  constexpr std::string_view kAny = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return {.id = "HR" + random_text(entropy, 18, kUpper),
          .secret = random_text(entropy, 40, kAny),
          .account = std::move(account),
          .name = std::move(name)};
}

std::string text_of(const wire::AccessKey& key) {
  return fmt::format("[[key]]\nname = \"{}\"\naccount = \"{}\"\nid = \"{}\"\nsecret = \"{}\"\n", key.name,
                     key.account, key.id, key.secret);
}

std::string new_file_text(const std::string& account, os::Entropy& entropy) {
  return fmt::format(
      "# Access keys of this store. Whoever reads this file may do everything to its queues and objects.\n"
      "# More keys, and what each may do: docs/keys.md.\n"
      "# Signs receipt handles; changing it makes those already given out invalid.\n"
      "receipt_secret = \"{}\"\n\n{}",
      random_text(entropy, 2 * kReceiptKeyBytes, "0123456789abcdef"),
      text_of(new_key("admin", account, entropy)));
}

// Whole or not at all: written beside, synced, and given its name. `owner`: of the file that it replaces.
Status write_whole(const std::string& folder, const std::string& path, const std::string& text,
                   const struct stat* owner = nullptr) {
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  {
    const Descriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return failed(draft, "be created");
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.get())) {
      return failed(draft, "be written");
    }
    const bool given = owner == nullptr || (owner->st_uid == ::geteuid() && owner->st_gid == ::getegid());
    if (!given && ::fchown(file.get(), owner->st_uid, owner->st_gid) != 0) {
      return failed(draft, "be given to its owner");
    }
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return failed(path, "be created");
  const Descriptor dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() < 0 || ::fsync(dir.get()) != 0) return failed(folder, "be synced");
  return {};
}

Result<std::string> read_private(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) {
    if (errno == ENOENT) return fail(Errc::kNotFound, path);
    return failed(path, "be read");
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return failed(path, "be read");
  if ((info.st_mode & 077) != 0) {
    return fail(Errc::kPermission,
                fmt::format("{}: others may read the store's keys; chmod 600 {}", path, path));
  }
  std::string text(std::min(static_cast<std::size_t>(info.st_size), kFileBytesMax), '\0');
  const ssize_t n = ::pread(file.get(), text.data(), text.size(), 0);
  if (n < 0) return failed(path, "be read");
  text.resize(static_cast<std::size_t>(n));
  return text;
}

// The pattern's own rules are those of the file; here it only must not end its quotes.
Result<std::string> quoted(const std::vector<Bytes>& patterns) {
  for (const auto& pattern : patterns) {
    if (pattern.find_first_of("\"\\\n\r") == pattern.npos) continue;
    return fail(Errc::kInvalid, "a pattern has no quotes, backslashes and line ends");
  }
  return patterns.empty() ? "[]" : fmt::format("[\"{}\"]", fmt::join(patterns, "\", \""));
}

Result<std::string> rule_text(const wire::KeyRule& rule) {
  std::vector<Bytes> may;
  if (rule.read) may.emplace_back("read");
  if (rule.write) may.emplace_back("write");
  if (rule.admin) may.emplace_back("admin");
  HR_ASSIGN(const auto queues, quoted(rule.queues));
  HR_ASSIGN(const auto buckets, quoted(rule.buckets));
  HR_ASSIGN(const auto words, quoted(may));
  return fmt::format("[[key.allow]]\nqueues = {}\nbuckets = {}\nmay = {}\n", queues, buckets, words);
}

std::string_view shown(std::string_view text) { return text.substr(0, 64); }

// Reads the file's tables. Whatever stands where nothing is known would be a rule that nobody keeps, so it is
// refused, with its place. No secret is ever part of a message.
class KeyReader {
 public:
  explicit KeyReader(const std::string& path) : path_(path) {}

  Result<Secrets> secrets(const toml::table& file) const;

 private:
  std::unexpected<Error> wrong(const toml::node& node, std::string_view what) const {
    return fail(Errc::kInvalid, fmt::format("{}:{}:{}: {}", path_, node.source().begin.line,
                                            node.source().begin.column, what));
  }
  Status only(const toml::table& table, std::initializer_list<std::string_view> known,
              std::string_view where) const;
  Result<std::string> text(const toml::table& table, std::string_view name) const;
  Result<const toml::array*> list(const toml::table& table, std::string_view name) const;
  Result<Bytes> receipt_key(const toml::table& file) const;
  Result<wire::AccessKey> key(const toml::node& node) const;
  Result<wire::KeyRules> rules(const toml::array& list) const;
  Result<wire::KeyRule> rule(const toml::node& node) const;
  Result<std::vector<Bytes>> patterns(const toml::table& table, std::string_view name) const;
  Status accesses(const toml::table& table, wire::KeyRule& out) const;

  const std::string& path_;
};

Status KeyReader::only(const toml::table& table, std::initializer_list<std::string_view> known,
                       std::string_view where) const {
  for (const auto& [name, value] : table) {
    if (std::ranges::find(known, name.str()) != known.end()) continue;
    return wrong(value, fmt::format("{} is nothing that {} has; it has: {}", name.str(), where,
                                    fmt::join(known, ", ")));
  }
  return {};
}

Result<std::string> KeyReader::text(const toml::table& table, std::string_view name) const {
  const toml::node* node = table.get(name);
  if (node == nullptr) return std::string();
  if (const auto value = node->value_exact<std::string>()) return *value;
  return wrong(*node, fmt::format("{} must be a string in quotes", name));
}

// Null: it is not there.
Result<const toml::array*> KeyReader::list(const toml::table& table, std::string_view name) const {
  const toml::node* node = table.get(name);
  if (node == nullptr) return nullptr;
  if (const auto* array = node->as_array()) return array;
  return wrong(*node, fmt::format("{} must be a list", name));
}

Result<Bytes> KeyReader::receipt_key(const toml::table& file) const {
  const auto hex = file["receipt_secret"].value<std::string>();
  if (!hex || hex->size() != 2 * kReceiptKeyBytes ||
      hex->find_first_not_of("0123456789abcdef") != hex->npos) {
    return fail(Errc::kInvalid,
                fmt::format("{}: receipt_secret must be {} hexadecimal digits", path_, 2 * kReceiptKeyBytes));
  }
  Bytes key;
  for (std::size_t i = 0; i < hex->size(); i += 2) {
    std::uint8_t byte = 0;
    std::from_chars(hex->data() + i, hex->data() + i + 2, byte, 16);
    key.push_back(static_cast<char>(byte));
  }
  return key;
}

Result<std::vector<Bytes>> KeyReader::patterns(const toml::table& table, std::string_view name) const {
  HR_ASSIGN(const toml::array* const array, list(table, name));
  std::vector<Bytes> out;
  if (array == nullptr) return out;
  if (array->size() > wire::kPatternsOfRuleMax)
    return wrong(*array, fmt::format("{} holds {} patterns at most", name, wire::kPatternsOfRuleMax));
  for (const auto& node : *array) {
    const auto pattern = node.value_exact<std::string>();
    if (!pattern) return wrong(node, fmt::format("{}: a pattern must be a string in quotes", name));
    const bool good = !pattern->empty() && pattern->size() <= wire::kPatternBytesMax &&
                      std::ranges::all_of(*pattern, [](char c) { return c > ' ' && c <= '~'; });
    if (!good) {
      return wrong(node, fmt::format("{}: \"{}\" is no pattern: 1 to {} characters of a name, with * for any "
                                     "number of them and ? for one",
                                     name, shown(*pattern), wire::kPatternBytesMax));
    }
    out.push_back(*pattern);
  }
  return out;
}

Status KeyReader::accesses(const toml::table& table, wire::KeyRule& out) const {
  HR_ASSIGN(const toml::array* const array, list(table, "may"));
  if (array == nullptr || array->empty()) {
    return wrong(
        table, "a rule must say what the key may do: may = [\"read\", \"write\", \"admin\"] or some of them");
  }
  for (const auto& node : *array) {
    const auto word = node.value_or(std::string());
    if (word != "read" && word != "write" && word != "admin") {
      return wrong(node, fmt::format("may: \"{}\" is none of \"read\", \"write\", \"admin\"", shown(word)));
    }
    out.read |= word == "read";
    out.write |= word == "write";
    out.admin |= word == "admin";
  }
  return {};
}

Result<wire::KeyRule> KeyReader::rule(const toml::node& node) const {
  const toml::table* table = node.as_table();
  if (table == nullptr) return wrong(node, "a rule must be a table: [[key.allow]]");
  HR_TRY(only(*table, {"queues", "buckets", "may"}, "a rule"));
  wire::KeyRule out;
  HR_ASSIGN(out.queues, patterns(*table, "queues"));
  HR_ASSIGN(out.buckets, patterns(*table, "buckets"));
  if (out.queues.empty() && out.buckets.empty()) {
    return wrong(node, "a rule must name queues or buckets: queues = [\"jobs-*\"]");
  }
  HR_TRY(accesses(*table, out));
  return out;
}

Result<wire::KeyRules> KeyReader::rules(const toml::array& list) const {
  if (list.size() > wire::kRulesOfKeyMax)
    return wrong(list, fmt::format("a key has {} rules at most", wire::kRulesOfKeyMax));
  wire::KeyRules out;
  for (const auto& node : list) {
    HR_ASSIGN(out.emplace_back(), rule(node));
  }
  return out;
}

Result<wire::AccessKey> KeyReader::key(const toml::node& node) const {
  const toml::table* table = node.as_table();
  if (table == nullptr) return wrong(node, "[[key]] must be a table");
  HR_TRY(only(*table, {"name", "account", "id", "secret", "allow"}, "a key"));
  wire::AccessKey out;
  HR_ASSIGN(out.id, text(*table, "id"));
  HR_ASSIGN(out.secret, text(*table, "secret"));
  HR_ASSIGN(out.account, text(*table, "account"));
  HR_ASSIGN(out.name, text(*table, "name"));
  HR_ASSIGN(const toml::array* const allow, list(*table, "allow"));
  if (allow != nullptr) {
    HR_ASSIGN(out.rules, rules(*allow));
  }
  if (auto good = wire::KeyRing::make({out}); !good) return wrong(node, good.error().message);
  return out;
}

Result<Secrets> KeyReader::secrets(const toml::table& file) const {
  HR_TRY(only(file, {"receipt_secret", "key"}, "a file of keys"));
  HR_ASSIGN(Bytes receipt, receipt_key(file));
  const toml::array* list = file["key"].as_array();
  if (list == nullptr || list->empty())
    return fail(Errc::kInvalid, fmt::format("{}: no [[key]] in it", path_));
  std::vector<wire::AccessKey> keys;
  for (const auto& node : *list) {
    HR_ASSIGN(keys.emplace_back(), key(node));
  }
  Bytes first = keys.front().id;
  auto ring = wire::KeyRing::make(std::move(keys));
  if (!ring) return std::unexpected(std::move(ring).error().in(path_));
  return Secrets{.keys = std::move(*ring), .first = std::move(first), .receipt_key = std::move(receipt)};
}

}  // namespace

Result<Secrets> parse_keys(const std::string& path, std::string_view text) {
  try {
    return KeyReader(path).secrets(toml::parse(text, path));
  } catch (const toml::parse_error& error) {
    return fail(Errc::kInvalid, fmt::format("{}:{}:{}: {}", path, error.source().begin.line,
                                            error.source().begin.column, error.description()));
  }
}

Result<Secrets> load_or_make_keys(const std::string& folder, const std::string& account,
                                  os::Entropy& entropy) {
  const std::string path = folder + "/keys.toml";
  auto text = read_private(path);
  if (!text && text.error().code == Errc::kNotFound) {
    HR_TRY(write_whole(folder, path, new_file_text(account, entropy)));
    text = read_private(path);
  }
  if (!text) return std::unexpected(text.error());
  return parse_keys(path, *text);
}

Result<wire::AccessKey> add_key(const std::string& path, const NewKey& key, os::Entropy& entropy) {
  HR_ASSIGN(const Secrets before, load_keys(path));
  HR_ASSIGN(std::string text, read_private(path));
  struct stat owner{};
  if (::stat(path.c_str(), &owner) != 0) return failed(path, "be read");
  const auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  if (key.name.empty() || key.name.size() > 64 || !std::ranges::all_of(key.name, good)) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is no name: 1 to 64 letters, digits, '-', '_' and '.'", shown(key.name)));
  }
  if (std::ranges::find(before.keys.keys(), key.name, &wire::AccessKey::name) != before.keys.keys().end()) {
    return fail(Errc::kExists, fmt::format("{}: a key is called {} already", path, key.name));
  }
  const std::string account = key.account.empty() ? before.keys.find(before.first)->account : key.account;
  auto made = new_key(key.name, account, entropy);
  text += fmt::format("{}\n{}", text.ends_with('\n') ? "" : "\n", text_of(made));
  if (key.rule) {
    HR_ASSIGN(const std::string rule, rule_text(*key.rule));
    text += rule;
  }
  HR_TRY(parse_keys(path, text));
  HR_TRY(write_whole(path.substr(0, path.rfind('/')), path, text, &owner));
  return made;
}

Result<Secrets> load_keys(const std::string& path) {
  auto text = read_private(path);
  if (!text && text.error().code == Errc::kNotFound) {
    return fail(Errc::kNotFound,
                fmt::format("{}: no such keys file; the store makes it when it starts", path));
  }
  if (!text) return std::unexpected(text.error());
  return parse_keys(path, *text);
}

}  // namespace hr
