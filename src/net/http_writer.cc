#include "net/http_writer.h"

#include "net/http_parser.h"

#include <charconv>

namespace hr::net {
namespace {

constexpr std::string_view kServer = "headrace";

void append_number(std::string& out, std::uint64_t value) {
  char text[20];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

// Headers that are the server's own: what a handler says about them is passed over.
bool servers_own(std::string_view name) {
  switch (name.size()) {
    case 4:
      return codec::same_name(name, "date");
    case 10:
      return codec::same_name(name, "connection") || codec::same_name(name, "keep-alive");
    case 12:
      return codec::same_name(name, "x-request-id");
    case 14:
      return codec::same_name(name, "content-length");
    case 17:
      return codec::same_name(name, "transfer-encoding");
    default:
      return false;
  }
}

std::uint64_t body_size(const Response& response) {
  if (const auto* text = std::get_if<std::string>(&response.body)) return text->size();
  return std::get<FileBody>(response.body).bytes;
}

void append_status_line(std::string& out, int status) {
  if (status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
    return;
  }
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(status));
  out.append(" ").append(reason_phrase(status)).append("\r\n");
}

void append_common(std::string& out, const HeadContext& context) {
  append_line(out, "Date", context.date);
  if (!context.request_id.empty()) append_line(out, "x-request-id", context.request_id);
  if (context.close) {
    out.append("Connection: close\r\n");
  } else if (context.http_1_0) {
    out.append("Connection: keep-alive\r\n");
  }
}

}  // namespace

Result<WrittenHead> append_head(std::string& out, const Response& response, const HeadContext& context) {
  if (response.status < 200 || response.status > 599) return fail(Errc::kInvalid, "status out of range");
  const std::size_t begin = out.size();
  append_status_line(out, response.status);
  bool server = false;
  for (const Header& h : response.headers) {
    if (!valid_header(h.name, h.value)) {
      out.resize(begin);
      return fail(Errc::kInvalid,
                  "a header that must not be sent: " + h.name.substr(0, h.name.find_first_of("\r\n")));
    }
    if (servers_own(h.name)) continue;
    if (h.name.size() == 6 && codec::same_name(h.name, "server")) server = true;
    append_line(out, h.name, h.value);
  }
  if (!server) append_line(out, "Server", kServer);
  append_common(out, context);

  const bool without_body = response.status == 204 || response.status == 304;
  const std::uint64_t bytes = body_size(response);
  const std::uint64_t announced =
      context.to_head || without_body ? response.announced_length.value_or(bytes) : bytes;
  const bool announce = response.status != 204 && (response.status != 304 || response.announced_length);
  if (announce) {
    out.append("Content-Length: ");
    append_number(out, announced);
    out.append("\r\n");
  }
  out.append("\r\n");
  return WrittenHead{.body_bytes = context.to_head || without_body ? 0 : bytes};
}

void append_refusal(std::string& out, int status, std::string_view reason, const HeadContext& context) {
  append_status_line(out, status);
  append_line(out, "Server", kServer);
  append_line(out, "Content-Type", "text/plain; charset=utf-8");
  append_common(out, context);
  out.append("Content-Length: ");
  append_number(out, reason.size() + 1);
  out.append("\r\n\r\n");
  if (!context.to_head) out.append(reason).append("\n");
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

}  // namespace hr::net
