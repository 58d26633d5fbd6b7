// The search for credentials, in a host that is made up: what is asked, in which order, what an error says.
#include "remote/credentials.h"

#include "codec/time_text.h"
#include "remote/credential_calls.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace hr::remote {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Time kNow = *codec::parse_iso8601("2026-01-02T03:04:05Z");
constexpr const char* kLater = "2026-01-02T09:04:05Z";

codec::Response answer(int status, Bytes body, codec::Pairs headers = {}) {
  codec::Response out;
  out.status = status;
  out.body = std::move(body);
  out.headers = std::move(headers);
  return out;
}

Bytes document(const Bytes& key = "AKID") {
  return fmt::format(
      R"({{"Code":"Success","AccessKeyId":"{}","SecretAccessKey":"hush","Token":"tok","Expiration":"{}"}})",
      key, kLater);
}

Bytes sts_answer(const Bytes& action, const Bytes& key = "ASIA") {
  return fmt::format(
      "<{0}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{0}Result><Credentials>"
      "<AccessKeyId>{1}</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>"
      "<SessionToken>tok</SessionToken><Expiration>{2}</Expiration></Credentials></{0}Result>"
      "</{0}Response>",
      action, key, kLater);
}

class MadeUp final : public Outside {
 public:
  Bytes variable(const std::string& name) override {
    const auto found = variables.find(name);
    return found == variables.end() ? Bytes() : found->second;
  }
  Result<Bytes> read_file(const std::string& path) override {
    const auto found = files.find(path);
    if (found == files.end()) return fail(Errc::kNotFound, path + " cannot be read: no such file");
    return found->second;
  }
  Result<Bytes> run(const std::vector<Bytes>& command) override {
    commands.push_back(command);
    return output;
  }
  Result<codec::Response> http(const HttpAsk& ask) override {
    asked.push_back(ask);
    const auto found = answers.find(ask.method + " " + ask.url);
    if (found == answers.end()) return fail(Errc::kUnavailable, "nobody is there");
    return found->second(ask);
  }
  Time wall() override { return kNow; }

  void answers_with(const Bytes& what, int status, const Bytes& body) {
    answers[what] = [=](const HttpAsk&) { return answer(status, body); };
  }

  std::map<std::string, Bytes> variables = {{"HOME", "/home/u"}, {"AWS_REGION", "eu-west-1"}};
  std::map<std::string, Bytes> files;
  std::map<Bytes, std::function<Result<codec::Response>(const HttpAsk&)>> answers;
  Result<Bytes> output = document();
  std::vector<std::vector<Bytes>> commands;
  std::vector<HttpAsk> asked;
};

class Search : public ::testing::Test {
 protected:
  Result<Keys> find() {
    const auto settings = find_aws_settings(host, {});
    if (!settings) return std::unexpected(settings.error());
    return find_keys(host, *settings);
  }
  void config(const Bytes& text) { host.files["/home/u/.aws/config"] = text; }
  void credentials(const Bytes& text) { host.files["/home/u/.aws/credentials"] = text; }
  void instance() {
    const Bytes at = "http://169.254.169.254/latest/";
    host.answers_with("PUT " + at + "api/token", 200, "t0ken");
    host.answers_with("GET " + at + "meta-data/iam/security-credentials/", 200, "web-role\n");
    host.answers_with("GET " + at + "meta-data/iam/security-credentials/web-role", 200, document("ASIAMD"));
  }
  const Bytes sts = "POST https://sts.eu-west-1.amazonaws.com/";
  MadeUp host;
};

TEST_F(Search, nothing_anywhere_says_what_was_looked_at) {
  const auto found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::kNotFound);
  for (const char* place :
       {"environment: AWS_ACCESS_KEY_ID", "web identity: AWS_WEB_IDENTITY_TOKEN_FILE",
        "profile: there is no profile \"default\"", "container: AWS_CONTAINER_CREDENTIALS",
        "instance metadata: http://169.254.169.254 does not answer"}) {
    EXPECT_THAT(found.error().message, HasSubstr(place));
  }
}

TEST_F(Search, the_environment_comes_first) {
  host.variables["AWS_ACCESS_KEY_ID"] = "AK";
  host.variables["AWS_SECRET_ACCESS_KEY"] = "hush";
  host.variables["AWS_SESSION_TOKEN"] = "tok";
  credentials("[default]\naws_access_key_id = OTHER\naws_secret_access_key = s\n");
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->credentials, (codec::Credentials{"AK", "hush", "tok"}));
  EXPECT_FALSE(found->expires);
  host.variables.erase("AWS_ACCESS_KEY_ID");
  EXPECT_EQ(find().error().code, Errc::kInvalid) << "half a key is a mistake, not a reason to go on";
}

TEST_F(Search, a_profile_has_keys_of_its_own_and_the_credentials_file_counts_more) {
  config("[default]\naws_access_key_id = A\naws_secret_access_key = a\n[profile work]\nregion = us-west-2\n");
  credentials(
      "# mine\n[default]\naws_access_key_id = B\naws_secret_access_key = b\n\n[work]\n"
      "aws_access_key_id=W\naws_secret_access_key=w\naws_session_token=t\n");
  EXPECT_EQ(find()->credentials.access_key, "B");
  host.variables["AWS_PROFILE"] = "work";
  EXPECT_EQ(find()->credentials, (codec::Credentials{"W", "w", "t"}));
  host.variables["AWS_PROFILE"] = "play";
  EXPECT_THAT(find().error().message, HasSubstr("AWS_PROFILE names \"play\""));
}

TEST_F(Search, a_role_is_assumed_with_the_keys_of_another_profile) {
  config(
      "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = x y\n"
      "role_session_name = me\nduration_seconds = 900\n[profile base]\naws_access_key_id = B\n"
      "aws_secret_access_key = b\n");
  host.answers_with(sts, 200, sts_answer("AssumeRole"));
  const auto found = find();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->credentials, (codec::Credentials{"ASIA", "hush", "tok"}));
  EXPECT_EQ(found->expires, *codec::parse_iso8601(kLater));
  const HttpAsk& asked = host.asked.back();
  EXPECT_EQ(
      asked.body,
      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me&"
      "DurationSeconds=900&ExternalId=x%20y");
  EXPECT_THAT(*codec::find(asked.headers, "authorization"),
              HasSubstr("Credential=B/20260102/eu-west-1/sts/aws4_request"));
}

TEST_F(Search, a_role_may_be_assumed_with_the_keys_beside_it_but_not_through_itself) {
  const Bytes role = "[default]\nrole_arn = arn:r\nsource_profile = default\n";
  config(role + "aws_access_key_id = B\naws_secret_access_key = b\n");
  host.answers_with(sts, 200, sts_answer("AssumeRole"));
  EXPECT_TRUE(find());
  config(role);
  EXPECT_THAT(find().error().message, HasSubstr("comes back to itself"));
}

TEST_F(Search, roles_assumed_through_one_another_have_an_end) {
  const auto chain = [](int profiles) {
    Bytes out = "[default]\nrole_arn = arn:r\nsource_profile = p1\n";
    for (int i = 1; i < profiles - 1; ++i) {
      out += fmt::format("[profile p{}]\nrole_arn = arn:r\nsource_profile = p{}\n", i, i + 1);
    }
    return out +
           fmt::format("[profile p{}]\naws_access_key_id = B\naws_secret_access_key = b\n", profiles - 1);
  };
  host.answers_with(sts, 200, sts_answer("AssumeRole"));
  config(chain(kProfilesMax));
  EXPECT_TRUE(find());
  config(chain(kProfilesMax + 1));
  EXPECT_EQ(find().error().code, Errc::kLimit);
}

TEST_F(Search, a_refused_role_is_told_with_the_reason_of_sts) {
  config(
      "[default]\nrole_arn = arn:r\nsource_profile = b\n[profile b]\naws_access_key_id = B\n"
      "aws_secret_access_key = verysecret\n");
  host.answers_with(
      sts, 403,
      "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>");
  const auto found = find();
  EXPECT_EQ(found.error().code, Errc::kPermission);
  EXPECT_THAT(found.error().message, HasSubstr("AccessDenied: not you"));
  EXPECT_THAT(found.error().message, Not(HasSubstr("verysecret")));
}

TEST_F(Search, a_clock_that_is_wrong_is_told_by_sts_and_mended) {
  config(
      "[default]\nrole_arn = arn:r\nsource_profile = b\n[profile b]\naws_access_key_id = B\n"
      "aws_secret_access_key = b\n");
  host.answers[sts] = [](const HttpAsk& ask) -> Result<codec::Response> {
    if (*codec::find(ask.headers, "x-amz-date") == "20260102T040405Z")
      return answer(200, sts_answer("AssumeRole"));
    return answer(403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>",
                  {{"date", "Fri, 02 Jan 2026 04:04:05 GMT"}});
  };
  EXPECT_TRUE(find());
  EXPECT_EQ(host.asked.size(), 2U);
}

TEST_F(Search, web_identity_reads_its_token_anew_each_time) {
  host.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/token";
  EXPECT_THAT(find().error().message, HasSubstr("AWS_ROLE_ARN is not"));
  host.variables["AWS_ROLE_ARN"] = "arn:w";
  EXPECT_FALSE(find());
  host.answers_with(sts, 200, sts_answer("AssumeRoleWithWebIdentity"));
  for (const char* token : {"one", "two"}) {
    host.files["/token"] = Bytes(token) + "\n";
    ASSERT_TRUE(find());
    EXPECT_THAT(host.asked.back().body, HasSubstr(fmt::format("WebIdentityToken={}", token)));
    EXPECT_EQ(codec::find(host.asked.back().headers, "authorization"), nullptr);
  }
  host.files["/token"] = "a\nb";
  EXPECT_THAT(find().error().message, HasSubstr("/token does not hold one token"));
}

TEST_F(Search, a_process_is_started_without_a_shell) {
  config("[default]\ncredential_process = /opt/get 'a b' \"c\\\"d\" e\\ f ; rm\n");
  const auto found = find();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(host.commands.back(), (std::vector<Bytes>{"/opt/get", "a b", "c\"d", "e f", ";", "rm"}));
  host.output = Bytes(R"({"Version":1,"AccessKeyId":"P","SecretAccessKey":"hush\n"})");
  EXPECT_THAT(find().error().message, Not(HasSubstr("hush")));
  host.output = fail(Errc::kUnavailable, "it ended with 3");
  EXPECT_THAT(find().error().message, HasSubstr("it ended with 3"));
  config("[default]\ncredential_process = a 'b\n");
  EXPECT_THAT(find().error().message, HasSubstr("is no command"));
}

TEST_F(Search, what_needs_a_person_is_refused_with_what_to_do_instead) {
  for (const char* line : {"sso_session = s", "sso_start_url = u", "login_session = l"}) {
    config(fmt::format("[default]\n{}\n[sso-session s]\nx = y\n", line));
    const auto found = find();
    EXPECT_EQ(found.error().code, Errc::kUnsupported);
    EXPECT_THAT(found.error().message, HasSubstr("export-credentials"));
  }
  config("[default]\nrole_arn = a\nmfa_serial = m\nsource_profile = default\n");
  EXPECT_EQ(find().error().code, Errc::kUnsupported);
}

TEST_F(Search, a_container_asks_its_agent_with_a_token_read_anew) {
  host.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/x?id=1";
  host.answers_with("GET http://169.254.170.2/v2/x?id=1", 200, document("ASIAC"));
  EXPECT_EQ(find()->credentials.access_key, "ASIAC");
  host.variables.erase("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  host.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
  host.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/tok";
  host.files["/tok"] = "ey.J\n";
  host.answers_with("GET http://169.254.170.23/v1/credentials", 200, document("ASIAP"));
  EXPECT_EQ(find()->credentials.access_key, "ASIAP");
  EXPECT_EQ(*codec::find(host.asked.back().headers, "authorization"), "ey.J");
  host.answers_with("GET http://169.254.170.23/v1/credentials", 403, "no");
  EXPECT_EQ(find().error().code, Errc::kPermission) << "an agent that refuses ends the search";
}

TEST_F(Search, keys_over_plain_http_come_from_this_host_and_the_agents_only) {
  for (const char* url :
       {"http://169.254.169.254/", "http://example.com/", "http://10.0.0.1/", "http://[::2]/",
        "http://127.evil.example/", "http://0x7f000001/", "ftp://127.0.0.1/", "unix:/run/x",
        "http://127.0.0.1@evil.example/", "http://a b/"}) {
    host.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    const auto found = find();
    ASSERT_FALSE(found) << url;
    EXPECT_NE(found.error().code, Errc::kNotFound) << url;
    EXPECT_TRUE(host.asked.empty()) << url;
  }
  for (const char* url : {"http://127.0.0.1:51679/x", "http://[::1]:1/x", "http://localhost/x",
                          "https://example.com/x", "http://[fd00:ec2::23]/x"}) {
    host.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    host.answers_with(fmt::format("GET {}", url), 200, document());
    EXPECT_TRUE(find()) << url;
  }
}

TEST_F(Search, an_authorization_that_would_be_two_headers_is_not_sent) {
  host.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
  host.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "a\r\nhost: evil";
  EXPECT_EQ(find().error().code, Errc::kInvalid);
  EXPECT_TRUE(host.asked.empty());
}

TEST_F(Search, an_instance_is_asked_with_a_token_and_never_without) {
  instance();
  const auto found = find();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->credentials.access_key, "ASIAMD");
  EXPECT_TRUE(found->outlive);
  ASSERT_EQ(host.asked.size(), 3U);
  EXPECT_EQ(*codec::find(host.asked[0].headers, "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  EXPECT_EQ(*codec::find(host.asked[2].headers, "x-aws-ec2-metadata-token"), "t0ken");
  EXPECT_EQ(host.asked[0].timeout, 1s);
  host.answers_with("PUT http://169.254.169.254/latest/api/token", 403, "");
  host.asked.clear();
  EXPECT_FALSE(find());
  EXPECT_EQ(host.asked.size(), 1U);
  host.answers["PUT http://169.254.169.254/latest/api/token"] =
      [](const HttpAsk&) -> Result<codec::Response> { return fail(Errc::kTimeout, "no answer in time"); };
  EXPECT_THAT(find().error().message, HasSubstr("hop limit of 2"));
  host.variables["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  host.asked.clear();
  EXPECT_FALSE(find());
  EXPECT_TRUE(host.asked.empty());
}

TEST_F(Search, a_metadata_service_that_lies_yields_no_keys) {
  instance();
  const Bytes role = "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/";
  for (const char* name : {"", "a/../../b", "a b", "a\r\nx: y", "<html>\n<body>"}) {
    host.answers_with(role, 200, name);
    EXPECT_FALSE(find()) << name;
  }
  instance();
  for (const char* body :
       {"", "null", "[]", "{}", R"({"Code":"AssumeRoleUnauthorizedAccess"})", R"({"AccessKeyId":"A"})",
        R"({"AccessKeyId":"A","SecretAccessKey":"b\r\nc"})",
        R"({"AccessKeyId":"A","SecretAccessKey":"b","Expiration":"soon"})", "{\"AccessKeyId\""}) {
    host.answers_with(role + "web-role", 200, body);
    const auto found = find();
    ASSERT_FALSE(found) << body;
    EXPECT_NE(found.error().code, Errc::kNotFound) << body;
  }
  host.answers_with(role, 404, "");
  EXPECT_THAT(find().error().message, HasSubstr("the instance has no role"));
}

TEST_F(Search, files_that_cannot_be_understood_are_named_without_what_they_hold) {
  credentials("[default]\naws_access_key_id = A\nTHESECRETALONE\n");
  const auto found = find();
  EXPECT_EQ(found.error().message, "/home/u/.aws/credentials:3: neither a [section] nor NAME = VALUE");
}

TEST_F(Search, settings_come_from_what_is_asked_the_environment_and_the_profile) {
  host.variables.erase("AWS_REGION");
  EXPECT_THAT(find_aws_settings(host, {}).error().message, HasSubstr("no region is said"));
  config(
      "[default]\nregion = us-gov-west-1\nuse_dualstack_endpoint = true\nservices = local\nca_bundle = /ca\n"
      "[services local]\ns3 =\n  endpoint_url = http://127.0.0.1:9000\n");
  auto found = find_aws_settings(host, {});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->sqs, "https://sqs.us-gov-west-1.api.aws");
  EXPECT_EQ(found->s3, "http://127.0.0.1:9000");
  EXPECT_EQ(found->authorities, "/ca");
  host.variables["AWS_ENDPOINT_URL"] = "http://all:1";
  host.variables["AWS_ENDPOINT_URL_SQS"] = "http://sqs:1";
  found = find_aws_settings(host, {});
  EXPECT_EQ((std::vector{found->sqs, found->s3, found->sts}),
            (std::vector<std::string>{"http://sqs:1", "http://all:1", "http://all:1"}));
  host.variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  found = find_aws_settings(host, {.region = "cn-north-1", .endpoint = {}});
  EXPECT_EQ(found->s3, "https://s3.dualstack.cn-north-1.amazonaws.com.cn");
  found = find_aws_settings(host, {.region = "eu-west-1", .endpoint = "http://mine:1"});
  EXPECT_EQ(found->sqs, "http://mine:1");
  EXPECT_EQ(found->sts, "https://sts.eu-west-1.api.aws");
}

TEST_F(Search, a_choice_among_amazons_endpoints_stands_beside_no_other_endpoint) {
  const AwsAsked fips{.region = "eu-west-1", .endpoint = "", .fips = true};
  EXPECT_EQ(find_aws_settings(host, fips)->s3, "https://s3-fips.eu-west-1.amazonaws.com");
  const AwsAsked both{.region = "eu-west-1", .endpoint = "", .fips = true, .dual_stack = true};
  EXPECT_EQ(find_aws_settings(host, both)->sqs, "https://sqs-fips.eu-west-1.api.aws");
  host.variables["AWS_ENDPOINT_URL_S3"] = "http://mine:1";
  EXPECT_THAT(find_aws_settings(host, fips).error().message, HasSubstr("http://mine:1 is named for s3"));
  const AwsAsked named{.region = "eu-west-1", .endpoint = "http://all:1", .dual_stack = true};
  EXPECT_THAT(find_aws_settings(host, named).error().message, HasSubstr("services.dual_stack chooses"));
  host.variables.clear();
  EXPECT_THAT(find_aws_settings(host, {.region = "cn-north-1", .endpoint = "", .fips = true}).error().message,
              HasSubstr("no FIPS endpoint in cn-north-1"));
}

}  // namespace
}  // namespace hr::remote
