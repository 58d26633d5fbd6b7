#include "remote/aws_profile.h"

#include "codec/header_field.h"

#include <fmt/format.h>

namespace hr::remote {
namespace {

constexpr ByteView kSpace = " \t\r";

ByteView trimmed(ByteView text) {
  const auto from = text.find_first_not_of(kSpace);
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

enum class File : std::uint8_t { kConfig, kCredentials };

class Reader {
 public:
  Reader(File kind, const std::string& name, AwsFiles& out) : kind_(kind), name_(name), out_(out) {}

  Status read(ByteView text) {
    while (!text.empty()) {
      ++line_;
      const auto end = std::min(text.find('\n'), text.size());
      HR_TRY(take(text.substr(0, end)));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return {};
  }

 private:
  Status wrong(std::string_view what) const {
    return fail(Errc::kInvalid, fmt::format("{}:{}: {}", name_, line_, what));
  }

  Status take(ByteView line) {
    const bool indented = !line.empty() && kSpace.contains(line.front());
    const ByteView text = trimmed(line);
    if (text.empty() || text.front() == '#' || text.front() == ';') return {};
    if (text.front() == '[' && !indented) return section(text);
    const auto equals = text.find('=');
    if (equals == text.npos || equals == 0) {
      // A value may go on in an indented line, which no name here needs.
      return indented && !parent_.empty() ? Status() : wrong("neither a [section] nor NAME = VALUE");
    }
    const Bytes name = codec::lower_case(trimmed(text.substr(0, equals)));
    const ByteView value = trimmed(text.substr(equals + 1));
    if (!inside_) return ignored_ ? Status() : wrong("a value before the first [section]");
    if (indented && !parent_.empty()) {
      (*inside_)[parent_ + "." + name] = value;
      return {};
    }
    parent_ = name;
    (*inside_)[name] = value;
    return {};
  }

  Status section(ByteView text) {
    const auto close = text.find(']');
    if (close == text.npos) return wrong("a [section] without its ]");
    const ByteView title = trimmed(text.substr(1, close - 1));
    const auto space = title.find_first_of(kSpace);
    const ByteView kind = title.substr(0, space);
    ByteView name = space == title.npos ? ByteView() : trimmed(title.substr(space));
    if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front()) {
      name = name.substr(1, name.size() - 2);
    }
    parent_.clear();
    inside_ = nullptr;
    ignored_ = false;
    if (kind_ == File::kCredentials || title == "default") {
      inside_ = &out_.profiles[Bytes(title)];
    } else if (kind == "profile" && !name.empty()) {
      inside_ = &out_.profiles[Bytes(name)];
    } else if (kind == "services" && !name.empty()) {
      inside_ = &out_.services[Bytes(name)];
    } else {
      ignored_ = true;  // [sso-session ...], [plugins] and what is yet to come
    }
    return {};
  }

  const File kind_;
  const std::string& name_;
  AwsFiles& out_;
  ProfileValues* inside_ = nullptr;  // the section that is read
  bool ignored_ = false;
  Bytes parent_;
  int line_ = 0;
};

}  // namespace

const Bytes* AwsFiles::find(const Bytes& profile, const Bytes& name) const {
  const auto values = profiles.find(profile);
  if (values == profiles.end()) return nullptr;
  const auto value = values->second.find(name);
  return value == values->second.end() || value->second.empty() ? nullptr : &value->second;
}

Result<AwsFiles> parse_aws_files(ByteView config, const std::string& config_name, ByteView credentials,
                                 const std::string& credentials_name) {
  AwsFiles out;
  HR_TRY(Reader(File::kConfig, config_name, out).read(config));
  HR_TRY(Reader(File::kCredentials, credentials_name, out).read(credentials));
  return out;
}

}  // namespace hr::remote
