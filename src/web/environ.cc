#include "web/environ.h"

#include "codec/header_field.h"

#include <algorithm>
#include <optional>

namespace hr::web {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decoded_path(ByteView path) {
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    if (path.size() - i < 3) return std::nullopt;
    const int high = hex_value(path[i + 1]);
    const int low = hex_value(path[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

ByteView trimmed(ByteView text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// "HTTP_X_REQUEST_ID"; the two that CGI names otherwise have no prefix.
std::string variable_name(ByteView header) {
  if (codec::same_name(header, "content-type")) return "CONTENT_TYPE";
  if (codec::same_name(header, "content-length")) return "CONTENT_LENGTH";
  std::string out = "HTTP_";
  for (const char c : header) {
    out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

// "Proxy" would become HTTP_PROXY, which HTTP clients take for their own configuration.
bool dropped(ByteView header) { return header.contains('_') || codec::same_name(header, "proxy"); }

class Builder {
 public:
  explicit Builder(std::vector<Variable>& out) : out_(out) {}

  void set(std::string name, ByteView value) { out_.push_back({std::move(name), std::string(value)}); }

  // A header that comes again continues the first one, but for a type, of which there is one.
  void header(ByteView name, ByteView value) {
    std::string variable = variable_name(name);
    const auto same = std::ranges::find(out_, variable, &Variable::name);
    if (same == out_.end()) {
      set(std::move(variable), value);
    } else if (variable != "CONTENT_TYPE") {
      same->value.append(variable == "HTTP_COOKIE" ? "; " : ", ").append(value);
    }
  }

  ByteView value(ByteView name) const {
    const auto found = std::ranges::find(out_, name, &Variable::name);
    return found == out_.end() ? ByteView() : ByteView(found->value);
  }

 private:
  std::vector<Variable>& out_;
};

// The proxy appends the address it sees; what stands before it is the client's word.
ByteView last_of_list(ByteView list) {
  const std::size_t comma = list.rfind(',');
  return trimmed(comma == ByteView::npos ? list : list.substr(comma + 1));
}

struct ServerName {
  ByteView name;
  ByteView port;
};

ServerName server_name(ByteView host, ByteView scheme) {
  ServerName out{host.empty() ? "localhost" : host, scheme == "https" ? "443" : "80"};
  const std::size_t colon = host.rfind(':');
  if (colon == ByteView::npos || host.ends_with(']')) return out;
  return {host.substr(0, colon), host.substr(colon + 1)};
}

}  // namespace

bool valid_request_id(std::string_view id) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return id.size() >= 8 && id.size() <= 64 && std::ranges::all_of(id, good);
}

Environ make_environ(const net::ParsedHead& head, const Peer& peer) {
  Environ out;
  out.variables.reserve(head.fields.size() + 12);
  Builder builder(out.variables);
  const std::size_t mark = head.target.find('?');
  const ByteView path = head.target.substr(0, mark);
  const auto decoded = decoded_path(path);
  if (!decoded) {
    out.refusal = {400, "a malformed escape in the path"};
    return out;
  }
  builder.set("REQUEST_METHOD", head.method);
  builder.set("SCRIPT_NAME", "");
  builder.set("PATH_INFO", *decoded);
  builder.set("QUERY_STRING", mark == ByteView::npos ? ByteView() : head.target.substr(mark + 1));
  builder.set("REQUEST_URI", head.target);
  builder.set("RAW_URI", head.target);
  builder.set("SERVER_PROTOCOL", head.http_1_0 ? "HTTP/1.0" : "HTTP/1.1");
  for (const codec::HeaderField& field : head.fields) {
    if (!dropped(field.name)) builder.header(field.name, field.value);
  }
  if (codec::same_name(builder.value("HTTP_UPGRADE"), "websocket")) {
    out.refusal = {501, "no websockets: a WSGI application cannot serve them, a server in web.command can"};
    return out;
  }

  const ByteView proto = peer.local ? builder.value("HTTP_X_FORWARDED_PROTO") : ByteView();
  out.scheme = proto == "https" ? "https" : "http";
  const ByteView from = peer.local ? last_of_list(builder.value("HTTP_X_FORWARDED_FOR")) : ByteView();
  const std::string address(peer.local ? from : ByteView(peer.address));
  const ServerName server = server_name(head.host, out.scheme);
  builder.set("SERVER_NAME", server.name);
  builder.set("SERVER_PORT", server.port);
  builder.set("REMOTE_ADDR", address);
  if (peer.port != 0) builder.set("REMOTE_PORT", std::to_string(peer.port));
  return out;
}

}  // namespace hr::web
