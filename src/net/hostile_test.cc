// Requests that could be read in two ways, or are meant to harm: each is answered with its own status and
// costs its connection, and no handler sees it. docs/http.md is the same list in words.
#include "net/test_server.h"

#include <gtest/gtest.h>

namespace hr::net {
namespace {

using testing::Client;
using testing::header_of;
using testing::status_of;
using testing::TestServer;

struct Hostile {
  const char* name;
  std::string bytes;
  int status;
};

// A POST to /echo with these header lines, and a body that one reading of them calls the next request.
std::string with(std::string_view headers, std::string_view body = "abc") {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n\r\n" + std::string(body);
}
std::string chunked(std::string_view body) { return with("Transfer-Encoding: chunked", body); }
std::string line(std::string_view request_line) { return std::string(request_line) + "\r\nHost: a\r\n\r\n"; }
std::string host(std::string_view headers) { return "GET / HTTP/1.1\r\n" + std::string(headers) + "\r\n"; }
std::string many_headers(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += "x-" + std::to_string(i) + ": 1\r\n";
  return host("Host: a\r\n" + out);
}

const std::vector<Hostile>& cases() {
  using std::string;
  static const std::vector<Hostile> all = {
      // C1: two lengths
      {"length_and_chunked", with("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400},
      {"chunked_and_length", with("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"), 400},
      {"two_different_lengths", with("Content-Length: 3\r\nContent-Length: 4"), 400},
      {"two_equal_lengths", with("Content-Length: 3\r\nContent-Length: 3"), 400},
      {"length_list", with("Content-Length: 3, 3"), 400},
      {"length_plus", with("Content-Length: +3"), 400},
      {"length_minus", with("Content-Length: -3"), 400},
      {"length_hex", with("Content-Length: 0x3"), 400},
      {"length_20_digits", with("Content-Length: 10000000000000000003"), 400},
      {"length_over_63_bits", with("Content-Length: 9223372036854775808"), 400},
      {"length_many_zeros", with("Content-Length: 00000000000000000003"), 400},
      {"length_empty", with("Content-Length: "), 400},
      {"length_space_inside", with("Content-Length: 3 3"), 400},
      {"length_tab", with("Content-Length:\t3"), 400},
      {"length_fraction", with("Content-Length: 3.0"), 400},
      {"length_exponent", with("Content-Length: 1e1"), 400},
      {"length_quoted", with("Content-Length: \"3\""), 400},
      // C2: transfer codings
      {"coding_xchunked", with("Transfer-Encoding: xchunked", "0\r\n\r\n"), 501},
      {"coding_chunked_identity", with("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), 501},
      {"coding_identity", with("Transfer-Encoding: identity"), 501},
      {"coding_gzip_chunked", with("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), 501},
      {"coding_chunked_twice_in_a_list", with("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), 501},
      {"coding_quoted", with("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), 501},
      {"coding_with_parameter", with("Transfer-Encoding: chunked;a=b", "0\r\n\r\n"), 501},
      {"coding_empty", with("Transfer-Encoding: "), 501},
      {"coding_tab", with("Transfer-Encoding:\tchunked", "0\r\n\r\n"), 400},
      {"coding_vertical_tab",
       with("Transfer-Encoding: \x0b"
            "chunked",
            "0\r\n\r\n"),
       400},
      {"coding_form_feed", with("Transfer-Encoding: chunked\x0c", "0\r\n\r\n"), 400},
      {"coding_twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400},
      {"coding_twice_one_unknown", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", "0\r\n\r\n"),
       400},
      {"coding_space_before_colon", with("Transfer-Encoding : chunked", "0\r\n\r\n"), 400},
      {"coding_folded", with("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), 400},
      {"coding_folded_tab", with("Transfer-Encoding:\r\n\tchunked", "0\r\n\r\n"), 400},
      {"coding_in_1_0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"folded_first_header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"folded_header", with("X: a\r\n b"), 400},
      // C3: chunks
      {"chunk_size_hex_prefix", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_overflow", chunked("10000000000000000\r\nabc"), 400},
      {"chunk_size_overflow_to_3", chunked("FFFFFFFFFFFFFFFF3\r\nabc"), 400},
      {"chunk_size_negative", chunked("-3\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_plus", chunked("+3\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_underscore", chunked("0_3\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_empty", chunked("\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_space_before", chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_space_after", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_bare_lf", chunked("3\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_size_bare_cr", chunked("3\rabc\r\n0\r\n\r\n"), 400},
      {"chunk_without_crlf", chunked("3\r\nabc0\r\n\r\n"), 400},
      {"chunk_with_bare_lf", chunked("3\r\nabc\n0\r\n\r\n"), 400},
      {"chunk_longer_than_its_size", chunked("3\r\nabcd\r\n0\r\n\r\n"), 400},
      {"chunk_extension_with_lf", chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_extension_with_cr", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk_extension_too_long", chunked("3;" + string(255, 'a') + "\r\nabc\r\n0\r\n\r\n"), 400},
      {"trailer_coding", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
      {"trailer_length", chunked("0\r\nContent-Length: 3\r\n\r\n"), 400},
      {"trailer_host", chunked("0\r\nHost: b\r\n\r\n"), 400},
      {"trailer_authorization", chunked("0\r\nAuthorization: x\r\n\r\n"), 400},
      {"trailer_bare_lf", chunked("0\r\nx: 1\n\r\n"), 400},
      {"last_chunk_bare_lf", chunked("0\r\n\n"), 400},
      // C4: bytes
      {"bare_lf_everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare_lf_after_request_line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
      {"bare_lf_at_the_end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
      {"bare_lf_in_value", with("X: a\nContent-Length: 3"), 400},
      {"bare_cr_in_value", with("X: a\rContent-Length: 3"), 400},
      {"bare_cr_in_request_line", line("GET /\r HTTP/1.1"), 400},
      {"cr_cr_lf", with("X: a\r"), 400},
      {"nul_in_value", with(string("X: a\0b", 6)), 400},
      {"nul_in_name", with(string("X\0: a", 5)), 400},
      {"nul_in_target", line(string("GET /\0 HTTP/1.1", 15)), 400},
      {"delete_in_value", with("X: \x7f"), 400},
      {"space_before_colon", with("X : a"), 400},
      {"space_in_name", with("X Y: a"), 400},
      {"empty_name", with(": a"), 400},
      {"no_colon", with("X"), 400},
      {"brackets_in_name", with("X[]: a"), 400},
      {"high_byte_in_name", with("X\xc3\xa9: a"), 400},
      // C5: host and target
      {"two_hosts", host("Host: a\r\nHost: b\r\n"), 400},
      {"two_equal_hosts", host("Host: a\r\nHost: a\r\n"), 400},
      {"no_host", host(""), 400},
      {"empty_host", host("Host:\r\n"), 400},
      {"host_with_user", host("Host: u@a\r\n"), 400},
      {"host_with_path", host("Host: a/b\r\n"), 400},
      {"host_list", host("Host: a, b\r\n"), 400},
      {"host_with_space", host("Host: a b\r\n"), 400},
      {"host_port_letters", host("Host: a:8o\r\n"), 400},
      {"host_port_empty", host("Host: a:\r\n"), 400},
      {"host_port_twice", host("Host: a:1:2\r\n"), 400},
      {"host_port_long", host("Host: a:123456\r\n"), 400},
      {"host_only_port", host("Host: :80\r\n"), 400},
      {"host_open_bracket", host("Host: [::1\r\n"), 400},
      {"host_bracket_junk", host("Host: [::1]x\r\n"), 400},
      {"two_hosts_in_1_0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"absolute_target_of_another_host", line("GET http://b/ HTTP/1.1"), 400},
      {"absolute_target_of_another_port", line("GET http://a:81/ HTTP/1.1"), 400},
      {"absolute_target_with_user", line("GET http://u@a/ HTTP/1.1"), 400},
      {"absolute_target_of_another_scheme", line("GET ftp://a/ HTTP/1.1"), 400},
      {"absolute_target_without_path", line("GET http://a HTTP/1.1"), 400},
      {"authority_target", line("CONNECT a:80 HTTP/1.1"), 501},
      {"asterisk_target", line("OPTIONS * HTTP/1.1"), 400},
      {"relative_target", line("GET x HTTP/1.1"), 400},
      {"empty_target", line("GET  HTTP/1.1"), 400},
      {"fragment_in_target", line("GET /a#b HTTP/1.1"), 400},
      {"space_in_target", line("GET /a b HTTP/1.1"), 400},
      {"tab_in_target", line("GET /a\tb HTTP/1.1"), 400},
      {"high_byte_in_target", line("GET /\xc0\xaf HTTP/1.1"), 400},
      {"double_space", line("GET  / HTTP/1.1"), 400},
      {"space_after_version", line("GET / HTTP/1.1 "), 400},
      {"space_before_method", line(" GET / HTTP/1.1"), 400},
      {"no_version", line("GET /"), 400},
      {"version_0_9", line("GET / HTTP/0.9"), 505},
      {"version_1_2", line("GET / HTTP/1.2"), 505},
      {"version_2", line("GET / HTTP/2.0"), 505},
      {"version_11", line("GET / HTTP/11"), 400},
      {"version_lower_case", line("GET / http/1.1"), 400},
      {"version_of_another_protocol", line("GET / RTSP/1.0"), 400},
      {"http_2_preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"method_with_colon", line("GE:T / HTTP/1.1"), 400},
      {"method_too_long", line(string(33, 'A') + " / HTTP/1.1"), 501},
      {"two_empty_lines_first", "\r\n\r\n" + line("GET / HTTP/1.1"), 400},
      {"tls_hello", string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
      {"nothing_but_noise", string("\x00\xff\x00\xff\r\n\r\n", 8), 400},
      {"proxy_protocol", "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + line("GET / HTTP/1.1"), 400},
      // C6: limits
      {"target_64_kib", line("GET /" + string(65'536, 'a') + " HTTP/1.1"), 414},
      {"target_one_over", line("GET /" + string(8'192, 'a') + " HTTP/1.1"), 414},
      {"header_9_kib", host("Host: a\r\nX: " + string(9'216, 'a') + "\r\n"), 431},
      {"header_1_mib", host("Host: a\r\nX: " + string(1'048'576, 'a') + "\r\n"), 431},
      {"headers_1000", many_headers(1'000), 431},
      {"headers_101", many_headers(100), 431},
      {"expect_something", with("Content-Length: 3\r\nExpect: 200-ok"), 417},
      {"expect_twice", with("Content-Length: 3\r\nExpect: 100-continue\r\nExpect: 100-continue"), 417},
  };
  return all;
}

class HostileRequest : public ::testing::TestWithParam<std::size_t> {
 protected:
  static TestServer& server() {
    static TestServer one;
    return one;
  }
};

TEST_P(HostileRequest, is_refused_and_costs_its_connection) {
  const Hostile& hostile = cases()[GetParam()];
  for (const bool local : {false, true}) {
    Client client = local ? server().local() : server().tcp();
    client.try_send(hostile.bytes);
    client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = client.rest();
    EXPECT_EQ(status_of(answer), hostile.status) << answer;
    EXPECT_EQ(header_of(answer, "Connection"), "close");
    EXPECT_EQ(answer.find("/smuggled"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "more than one answer";
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostileRequest, ::testing::Range<std::size_t>(0, cases().size()),
                         [](const auto& info) { return cases()[info.param].name; });

TEST(HostileRequest, byte_by_byte_is_refused_the_same) {
  TestServer server;
  for (const Hostile& hostile : cases()) {
    if (hostile.bytes.size() > 400) continue;
    Client client = server.tcp();
    for (const char c : hostile.bytes) {
      if (!client.try_send(std::string_view(&c, 1))) break;
    }
    EXPECT_EQ(status_of(client.response()), hostile.status) << hostile.name;
  }
}

TEST(StrangeButLegal, requests_pass) {
  TestServer server;
  const std::vector<Hostile> fine = {
      {"underscore", with("Content-Length: 3\r\nx-amz-meta-foo_bar: 1"), 200},
      {"leading_zero", with("Content-Length: 003"), 200},
      {"spaces_around_length", with("Content-Length:   3  "), 200},
      {"no_space_after_colon", with("Content-Length:3"), 200},
      {"chunked_upper_case", with("TRANSFER-ENCODING: CHUNKED", "3\r\nabc\r\n0\r\n\r\n"), 200},
      {"utf8_value", with("Content-Length: 3\r\nX: \xc3\xa9"), 200},
      {"empty_value", with("Content-Length: 3\r\nX:"), 200},
      {"ipv6_host", host("Host: [::1]:9324\r\n"), 200},
      {"bucket_host", host("Host: my_bucket.s3.localhost:9324\r\n"), 200},
      {"one_empty_line_first", "\r\n" + line("GET / HTTP/1.1"), 200},
      {"absolute_target", line("GET http://a/x HTTP/1.1"), 200},
      {"another_method", line("PROPFIND / HTTP/1.1"), 200},
      {"encoded_nul_and_dots", line("GET /%00/..%2f/%c0%af HTTP/1.1"), 200},
      {"expect_of_1_0", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", 200},
      {"headers_100", many_headers(99), 200},
      {"target_8192", line("GET /" + std::string(8'191, 'a') + " HTTP/1.1"), 200},
  };
  for (const Hostile& request : fine) {
    Client client = server.tcp();
    client.send(request.bytes);
    EXPECT_EQ(status_of(client.response()), request.status) << request.name;
  }
}

}  // namespace
}  // namespace hr::net
