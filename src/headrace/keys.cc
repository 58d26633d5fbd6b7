#include "headrace/keys.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
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

std::string new_file_text(const std::string& account, os::Entropy& entropy) {
  constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  constexpr std::string_view kAny = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return fmt::format(
      "# Access keys of this store. Whoever reads this file may do everything to its queues and objects.\n"
      "# Signs receipt handles; changing it makes those already given out invalid.\n"
      "receipt_secret = \"{}\"\n\n"
      "[[key]]\nname = \"admin\"\naccount = \"{}\"\nid = \"HR{}\"\nsecret = \"{}\"\n",
      random_text(entropy, 2 * kReceiptKeyBytes, "0123456789abcdef"), account,
      random_text(entropy, 18, kUpper), random_text(entropy, 40, kAny));
}

// Whole or not at all: written beside, synced, and given its name; never over an existing file.
Status write_new(const std::string& folder, const std::string& path, const std::string& text) {
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  {
    const Descriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return failed(draft, "be created");
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.get())) {
      return failed(draft, "be written");
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

std::string place(const std::string& path, const toml::node& node) {
  return fmt::format("{}:{}:{}", path, node.source().begin.line, node.source().begin.column);
}

Result<Bytes> receipt_key_of(const std::string& path, const toml::table& file) {
  const auto hex = file["receipt_secret"].value<std::string>();
  if (!hex || hex->size() != 2 * kReceiptKeyBytes ||
      hex->find_first_not_of("0123456789abcdef") != hex->npos) {
    return fail(Errc::kInvalid,
                fmt::format("{}: receipt_secret must be {} hexadecimal digits", path, 2 * kReceiptKeyBytes));
  }
  Bytes key;
  for (std::size_t i = 0; i < hex->size(); i += 2) {
    std::uint8_t byte = 0;
    std::from_chars(hex->data() + i, hex->data() + i + 2, byte, 16);
    key.push_back(static_cast<char>(byte));
  }
  return key;
}

Result<Secrets> parse(const std::string& path, std::string_view text) {
  try {
    const toml::table file = toml::parse(text, path);
    HR_ASSIGN(Bytes receipt_key, receipt_key_of(path, file));
    std::vector<wire::AccessKey> keys;
    const toml::array* list = file["key"].as_array();
    if (list == nullptr || list->empty())
      return fail(Errc::kInvalid, fmt::format("{}: no [[key]] in it", path));
    for (const auto& item : *list) {
      const toml::table* key = item.as_table();
      if (key == nullptr)
        return fail(Errc::kInvalid, fmt::format("{}: [[key]] must be a table", place(path, item)));
      const auto text_of = [&](std::string_view name) { return (*key)[name].value_or(std::string()); };
      keys.push_back({text_of("id"), text_of("secret"), text_of("account"), text_of("name")});
    }
    auto ring = wire::KeyRing::make(std::move(keys));
    if (!ring) return std::unexpected(std::move(ring).error().in(path));
    return Secrets{std::move(*ring), std::move(receipt_key)};
  } catch (const toml::parse_error& error) {
    return fail(Errc::kInvalid, fmt::format("{}:{}:{}: {}", path, error.source().begin.line,
                                            error.source().begin.column, error.description()));
  }
}

}  // namespace

Result<Secrets> load_or_make_keys(const std::string& folder, const std::string& account,
                                  os::Entropy& entropy) {
  const std::string path = folder + "/keys.toml";
  auto text = read_private(path);
  if (!text && text.error().code == Errc::kNotFound) {
    HR_TRY(write_new(folder, path, new_file_text(account, entropy)));
    text = read_private(path);
  }
  if (!text) return std::unexpected(text.error());
  return parse(path, *text);
}

Result<Secrets> load_keys(const std::string& path) {
  auto text = read_private(path);
  if (!text && text.error().code == Errc::kNotFound) {
    return fail(Errc::kNotFound,
                fmt::format("{}: no such keys file; the store makes it when it starts", path));
  }
  if (!text) return std::unexpected(text.error());
  return parse(path, *text);
}

}  // namespace hr
