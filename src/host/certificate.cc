#include "host/certificate.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <memory>
#include <netinet/in.h>

namespace hr::host {
namespace {

constexpr auto kLife = std::chrono::days(365);  // browsers refuse more than 398
constexpr auto kSlack = std::chrono::hours(1);  // for a client whose clock is behind
constexpr auto kRenew = std::chrono::days(30);
constexpr std::size_t kNamesMax = 100;

template <auto Free>
struct Deleter {
  void operator()(auto* object) const { Free(object); }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using X509Cert = std::unique_ptr<X509, Deleter<X509_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Moment = std::unique_ptr<ASN1_TIME, Deleter<ASN1_TIME_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

bool is_address(const std::string& name) {
  std::array<unsigned char, 16> ignored{};
  return ::inet_pton(AF_INET, name.c_str(), ignored.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), ignored.data()) == 1;
}

std::vector<std::string> all_names(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(out, name) == out.end()) out.push_back(name);
  };
  for (const std::string& name : names) add(name);
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) add(name);
  return out;
}

Status check_names(const std::vector<std::string>& names) {
  if (names.size() > kNamesMax) return fail(Errc::kLimit, fmt::format("more than {} names", kNamesMax));
  for (const std::string& name : names) {
    const bool good = !name.empty() && name.size() <= 253 && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '.' || c == '*' || c == ':';
    });
    if (!good) return fail(Errc::kInvalid, fmt::format("\"{}\" is no host name", name));
  }
  return {};
}

std::unexpected<Error> refused(std::string_view what) {
  return fail(Errc::kIo, fmt::format("making a certificate: OpenSSL refused {}", what));
}

bool add_extension(X509* certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate, os::Entropy& entropy) {
  std::array<std::uint8_t, 16> random{};
  entropy.fill(random);
  random[0] = static_cast<std::uint8_t>((random[0] & 0x7f) | 0x40);  // positive, and never short
  const Number serial(BN_bin2bn(random.data(), random.size(), nullptr));
  return serial && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_life(X509* certificate, Time now) {
  const auto from = std::chrono::floor<std::chrono::seconds>(now - kSlack).time_since_epoch().count();
  const auto to = std::chrono::floor<std::chrono::seconds>(now + kLife).time_since_epoch().count();
  return ASN1_TIME_set(X509_getm_notBefore(certificate), from) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), to) != nullptr;
}

bool set_names(X509* certificate, const std::vector<std::string>& names) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const std::string common = names.front().size() <= 64 ? names.front() : "headrace";  // its limit in X.509
  const auto* text = reinterpret_cast<const unsigned char*>(common.c_str());
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0) != 1) return false;
  if (X509_set_issuer_name(certificate, subject) != 1) return false;
  std::string alternatives;
  for (const std::string& name : names)
    alternatives +=
        fmt::format("{}{}:{}", alternatives.empty() ? "" : ",", is_address(name) ? "IP" : "DNS", name);
  return add_extension(certificate, NID_subject_alt_name, alternatives);
}

bool set_uses(X509* certificate) {
  return add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         add_extension(certificate, NID_subject_key_identifier, "hash");
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_ctrl(bio, BIO_CTRL_INFO, 0, static_cast<void*>(&data));  // what BIO_get_mem_data is
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

X509Cert read_certificate(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(std::min<std::size_t>(pem.size(), 1 << 20))));
  return X509Cert(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
}

bool holds(X509* certificate, const std::string& name) {
  if (is_address(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  // A name with a star is asked for as what it stands for.
  const std::string asked = name.starts_with("*.") ? "x" + name.substr(1) : name;
  return X509_check_host(certificate, asked.c_str(), asked.size(), 0, nullptr) == 1;
}

}  // namespace

Result<Certificate> make_self_signed(const std::vector<std::string>& names, Time now, os::Entropy& entropy) {
  HR_TRY(check_names(names));
  const Key key(EVP_EC_gen("P-256"));
  const X509Cert certificate(X509_new());
  if (!key || !certificate || X509_set_version(certificate.get(), 2) != 1 ||
      X509_set_pubkey(certificate.get(), key.get()) != 1)
    return refused("a key");
  if (!set_serial(certificate.get(), entropy)) return refused("a serial number");
  if (!set_life(certificate.get(), now)) return refused("the dates");
  if (!set_names(certificate.get(), all_names(names))) return refused("the names");
  if (!set_uses(certificate.get())) return refused("the uses");
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) return refused("to sign");
  const Bio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  if (!certificate_text || !key_text || PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return refused("to write it");
  return Certificate{.certificate = text_of(certificate_text.get()), .key = text_of(key_text.get())};
}

std::optional<int> days_left(std::string_view pem, Time now) {
  const X509Cert certificate = read_certificate(pem);
  if (!certificate) return {};
  const auto today = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const Moment from(ASN1_TIME_set(nullptr, today));
  int days = 0, seconds = 0;
  if (!from || ASN1_TIME_diff(&days, &seconds, from.get(), X509_get0_notAfter(certificate.get())) != 1)
    return {};
  return seconds < 0 ? days - 1 : days;
}

bool still_serves(std::string_view pem, const std::vector<std::string>& names, Time now) {
  const X509Cert certificate = read_certificate(pem);
  if (!certificate) return false;
  auto last = std::chrono::floor<std::chrono::seconds>(now + kRenew).time_since_epoch().count();
  auto first = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  if (X509_cmp_time(X509_get0_notAfter(certificate.get()), &last) <= 0 ||
      X509_cmp_time(X509_get0_notBefore(certificate.get()), &first) >= 0)
    return false;
  return std::ranges::all_of(all_names(names),
                             [&](const std::string& name) { return holds(certificate.get(), name); });
}

std::vector<std::string> names_missing(std::string_view pem, std::vector<std::string> names) {
  const X509Cert certificate = read_certificate(pem);
  std::erase_if(names,
                [&](const std::string& name) { return certificate && holds(certificate.get(), name); });
  return names;
}

}  // namespace hr::host
