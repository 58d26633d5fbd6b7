// A regular file behind os::File: pread, pwrite, fdatasync, fallocate.
#pragma once

#include "os/disk.h"
#include "os/linux/fd.h"

#include <string>

namespace hr::os {

class LinuxFile final : public File {
 public:
  LinuxFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out, Label label) override;
  Status write_at(std::uint64_t offset, ByteView data, Label label) override;
  Status sync(Label label) override;
  Status allocate(std::uint64_t bytes, Label label) override;
  Status truncate(std::uint64_t bytes, Label label) override;
  Result<std::uint64_t> size(Label label) override;
  Status drop_cache(Label label) override;
  int native_handle() const override { return fd_.get(); }

 private:
  Status write_zeros(std::uint64_t bytes, Label label);

  Fd fd_;
  std::string path_;
};

}  // namespace hr::os
