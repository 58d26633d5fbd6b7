// What is made for the cloud, read again: the template's references lead somewhere, the role says as little
// as it must, user data brings the configuration byte for byte.
#include "host/render/cloud.h"

#include "codec/base64.h"
#include "codec/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace hr::host {
namespace {

using codec::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr const char* kShop = R"([app]
name = "shop"
root = "/srv/shop"
[worker.default]
modules = ["shop.tasks"]
queues = ["default", "mail"]
[site]
names = ["shop.example"]
[host]
ports = [8443]
)";

const CloudWishes kWishes{.package = "https://example.org/headrace.deb"};

// `here`: with a store of its own.
Machine machine(bool here, const std::string& text = kShop) {
  Machine out = *machine_of(*parse_config(text, "/etc/headrace/headrace.toml"), {.config_text = text});
  out.config.services.local_sqs = out.config.services.local_s3 = here;
  return out;
}

Json formation(bool here, const CloudWishes& wishes = kWishes) {
  return *codec::parse_json(*cloudformation(machine(here), wishes));
}

const Json& at(const Json& from, std::initializer_list<const char*> path) {
  const Json* found = &from;
  for (const char* name : path) {
    found = found->find(name);
    if (found == nullptr) throw std::runtime_error(name);
  }
  return *found;
}

// The type of each resource.
std::multiset<std::string> types(const Json& formed) {
  std::multiset<std::string> out;
  for (const auto& [name, of] : *at(formed, {"Resources"}).as_object())
    out.insert(*at(of, {"Type"}).as_string());
  return out;
}

void references(const Json& in, std::set<std::string>& out) {
  if (const auto* list = in.as_array())
    for (const Json& each : *list) references(each, out);
  if (const auto* members = in.as_object()) {
    for (const auto& [name, value] : *members) {
      if (name == "Ref") out.insert(*value.as_string());
      if (name == "Fn::GetAtt") out.insert(*value.as_array()->front().as_string());
      references(value, out);
    }
  }
}

TEST(Cloud, every_reference_of_a_template_leads_to_something_in_it) {
  for (const bool here : {true, false}) {
    const Json formed = formation(here);
    std::set<std::string> named;
    for (const char* part : {"Parameters", "Resources"})
      for (const auto& [name, of] : *at(formed, {part}).as_object()) named.insert(name);
    std::set<std::string> used;
    references(formed, used);
    EXPECT_THAT(named, IsSupersetOf(used));
  }
}

TEST(Cloud, with_services_of_amazon_the_queues_and_buckets_are_made_and_hosts_are_many) {
  const auto made =
      types(formation(false, {.package = kWishes.package, .queues = {"on-upload"}, .buckets = {"in"}}));
  EXPECT_EQ(made.count("AWS::SQS::Queue"), 6U);
  EXPECT_EQ(made.count("AWS::S3::Bucket"), 2U);
  EXPECT_EQ(made.count("AWS::AutoScaling::AutoScalingGroup"), 1U);
  EXPECT_EQ(made.count("AWS::EC2::Instance"), 0U);
}

TEST(Cloud, a_host_with_its_own_store_is_one_and_keeps_its_disk) {
  const Json formed = formation(true);
  const auto made = types(formed);
  EXPECT_EQ(made.count("AWS::SQS::Queue") + made.count("AWS::S3::Bucket"), 0U);
  EXPECT_EQ(made.count("AWS::EC2::Instance"), 1U);
  const Json& data = at(formed, {"Resources", "LaunchTemplate", "Properties", "LaunchTemplateData"});
  EXPECT_EQ(
      at(at(data, {"BlockDeviceMappings"}).as_array()->front(), {"Ebs", "DeleteOnTermination"}).as_bool(),
      false);
}

TEST(Cloud, credentials_are_given_to_no_one_who_did_not_ask_for_a_token) {
  const Json formed = formation(true);
  const Json& options =
      at(formed, {"Resources", "LaunchTemplate", "Properties", "LaunchTemplateData", "MetadataOptions"});
  EXPECT_EQ(*at(options, {"HttpTokens"}).as_string(), "required");
  EXPECT_EQ(at(options, {"HttpPutResponseHopLimit"}).as_int(), 1);
}

TEST(Cloud, the_role_names_every_queue_and_bucket_and_has_no_star_of_its_own) {
  const std::string text = *cloudformation(machine(false), kWishes);
  EXPECT_THAT(text, HasSubstr("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:mail-dead"));
  EXPECT_THAT(text, HasSubstr("arn:${AWS::Partition}:s3:::headrace-shop/*"));
  EXPECT_THAT(text, Not(HasSubstr("\"*\"")));
  for (const char* wide : {"sqs:*", "s3:*", "sqs:CreateQueue", "sqs:DeleteQueue", "s3:PutBucket"})
    EXPECT_THAT(text, Not(HasSubstr(wide)));
  const Json formed = formation(true);
  EXPECT_EQ(at(formed, {"Resources", "Role", "Properties"}).find("Policies"), nullptr)
      << "nothing to be allowed";
}

TEST(Cloud, only_the_firewalls_ports_are_open_and_ssh_only_to_its_network) {
  const Json formed = formation(true);
  std::set<std::int64_t> everybody, some;
  for (const Json& each :
       *at(formed, {"Resources", "SecurityGroup", "Properties", "SecurityGroupIngress"}).as_array())
    (at(each, {"CidrIp"}).as_string() != nullptr ? everybody : some).insert(*at(each, {"FromPort"}).as_int());
  EXPECT_THAT(everybody, ElementsAre(80, 443, 8443));
  EXPECT_THAT(some, ElementsAre(22));
}

TEST(Cloud, user_data_brings_the_configuration_byte_for_byte) {
  const std::string hostile = std::string(kShop) + "# '\"$(reboot)\n#\t: - {}\n";
  const std::string text = *cloud_init(machine(true, hostile), kWishes);
  EXPECT_TRUE(text.starts_with("#cloud-config\n"));
  EXPECT_THAT(text, HasSubstr("content: " + codec::base64_encode(hostile) + "\n"));
  EXPECT_THAT(text, Not(HasSubstr("reboot")));
}

TEST(Cloud, what_ec2_would_not_take_is_refused) {
  const std::string at_most = std::string(kShop) + "#" + std::string(11'000, 'x') + "\n";
  EXPECT_TRUE(cloud_init(machine(true, at_most), kWishes));
  const std::string more = std::string(kShop) + "#" + std::string(13'000, 'x') + "\n";
  EXPECT_EQ(cloud_init(machine(true, more), kWishes).error().code, Errc::kLimit);
}

TEST(Cloud, an_address_that_a_shell_could_take_for_more_is_refused) {
  for (const char* bad : {"", "headrace.deb", "http://example.org/x.deb", "https://x/'; reboot; '",
                          "https://x/$(id)", "s3://bucket/a b"})
    EXPECT_EQ(cloud_init(machine(true), {.package = bad}).error().code, Errc::kInvalid) << bad;
  EXPECT_THAT(*cloud_init(machine(true), {.package = "s3://bucket/h.deb"}),
              HasSubstr("aws s3 cp 's3://bucket/h.deb'"));
  for (const char* bad : {"shop.tar.gz", "https://x/'; reboot; '"})
    EXPECT_EQ(cloud_init(machine(true), {.package = kWishes.package, .application = bad}).error().code,
              Errc::kInvalid)
        << bad;
  const CloudWishes whole{.package = kWishes.package, .application = "s3://bucket/shop.tar.gz"};
  EXPECT_EQ(cloud_init(machine(true), whole).error().code, Errc::kInvalid)
      << "app.python is the distribution's own";
  EXPECT_EQ(cloudformation(machine(true), {.package = kWishes.package, .queues = {"a/*"}}).error().code,
            Errc::kInvalid);
}

}  // namespace
}  // namespace hr::host
