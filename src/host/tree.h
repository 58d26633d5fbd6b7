// Files of a host, or of a folder that stands for one (--root): read, replaced whole, removed. Paths are
// absolute on the host. No link is followed below the root, and nothing outside of it is reached: a name that
// somebody else put there first is an error, never a detour. What was written is synced before it is visible.
#pragma once

#include "base/result.h"
#include "os/linux/fd.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

struct Seen {
  std::string text;
  std::uint32_t mode = 0644;
  std::uint32_t uid = 0;
};

class Tree {
 public:
  // `root` must be there. kNotFound, kPermission.
  static Result<Tree> open(const std::string& root);

  const std::string& root() const { return root_; }
  std::string at(std::string_view path) const {
    return root_ == "/" ? std::string(path) : root_ + std::string(path);
  }

  // None: there is no such file. kInvalid: it is a link, or no regular file; kLimit: over 16 MiB.
  Result<std::optional<Seen>> read(std::string_view path) const;
  // As read(), of a file that its owner keeps wherever links lead to, as certbot does. kInvalid: out of
  // root().
  Result<std::optional<Seen>> read_through_links(std::string_view path) const;
  // Whole or not at all; folders above it are made with mode 0755.
  Status write(std::string_view path, std::string_view text, std::uint32_t mode) const;
  Status make_folder(std::string_view path, std::uint32_t mode) const;
  Status remove(std::string_view path) const;      // fine if it is not there
  Status remove_all(std::string_view path) const;  // a folder with what is in it; fine if it is not there
  Status rename(std::string_view from, std::string_view to) const;
  // Names in a folder, in order; empty if it is not there.
  Result<std::vector<std::string>> list(std::string_view folder) const;

 private:
  Tree(std::string root, os::Fd fd) : root_(std::move(root)), fd_(std::move(fd)) {}

  std::string root_;
  os::Fd fd_;
};

}  // namespace hr::host
