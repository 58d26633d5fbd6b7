#include "host/render/cloud.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "host/render/nftables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace hr::host {
namespace {

using codec::JsonWriter;

bool on_aws(const Machine& machine) {
  return !machine.config.services.local_sqs || !machine.config.services.local_s3;
}

// An address as it may stand in a shell's single quotes.
Status check_address(const std::string& address, std::string_view option) {
  const bool known = address.starts_with("https://") || address.starts_with("s3://");
  const bool plain = std::ranges::all_of(address, [](char c) {
    return std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?&=%+@")
        .contains(c);
  });
  if (known && plain && address.size() <= 2'048) return {};
  return fail(Errc::kInvalid,
              fmt::format("{} \"{}\": an address, https://... or s3://BUCKET/KEY", option, address));
}

Status check_names(const std::vector<std::string>& names, std::string_view option) {
  for (const std::string& name : names) {
    const bool plain = !name.empty() && name.size() <= 80 && std::ranges::all_of(name, [](char c) {
      return std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
          .contains(c);
    });
    if (!plain)
      return fail(Errc::kInvalid, fmt::format("{} \"{}\": letters, digits, '-', '_', '.'", option, name));
  }
  return {};
}

std::vector<std::string> buckets_of(const Machine& machine, const CloudWishes& wishes) {
  std::vector<std::string> out = {"headrace-" + machine.config.app.name};
  for (const std::string& each : wishes.buckets)
    if (std::ranges::find(out, each) == out.end()) out.push_back(each);
  return out;
}

bool in_s3(const std::string& address) { return address.starts_with("s3://"); }

std::string fetch(const std::string& address, std::string_view to) {
  if (in_s3(address)) return fmt::format("aws s3 cp '{}' {}", address, to);
  return fmt::format("curl --fail --silent --show-error --location --output {} '{}'", to, address);
}

// A folder of its own, an environment where there is none, and what it says that it needs.
Result<std::string> bring_application(const Machine& machine, const CloudWishes& wishes) {
  if (wishes.application.empty()) return "";
  HR_TRY(check_address(wishes.application, "--application"));
  const Config& config = machine.config;
  constexpr std::string_view kPrograms = "/bin/python";
  const std::size_t at = config.app.python.rfind(kPrograms);
  if (!config.app.python.starts_with('/') || at == 0 || at == std::string::npos)
    return fail(
        Errc::kInvalid,
        fmt::format("{}: with --application it must be in an environment of its own, as {}/venv/bin/python",
                    place_of(config, "app.python"), config.app.root));
  return fmt::format(R"(
      {0}
      mkdir -p '{1}'
      tar -xzf /run/application.tar.gz --no-same-owner -C '{1}'
      rm /run/application.tar.gz
      test -e '{2}' || python3 -m venv '{3}'
      test ! -e '{1}/requirements.txt' || '{3}/bin/pip' install --requirement '{1}/requirements.txt')",
                     fetch(wishes.application, "/run/application.tar.gz"), config.app.root, config.app.python,
                     config.app.python.substr(0, at));
}

// --- the template, piece by piece: one function a resource

// "Fn::GetAtt" and "Ref" as they are written.
std::string reference(std::string_view name) { return fmt::format(R"({{"Ref":"{}"}})", name); }
std::string attribute(std::string_view name, std::string_view what) {
  return fmt::format(R"({{"Fn::GetAtt":["{}","{}"]}})", name, what);
}

std::string arn(std::string_view service, std::string_view resource) {
  const std::string_view where = service == "s3" ? ":::" : ":${AWS::Region}:${AWS::AccountId}:";
  return fmt::format(R"({{"Fn::Sub":"arn:${{AWS::Partition}}:{}{}{}"}})", service, where, resource);
}

class Template {
 public:
  Template(const Machine& machine, const CloudWishes& wishes, std::string user_data)
      : machine_(machine), wishes_(wishes), user_data_(std::move(user_data)) {}

  std::string text() {
    json_.begin_object()
        .field("AWSTemplateFormatVersion", "2010-09-09")
        .field("Description", "Headrace: " + machine_.config.app.name);
    parameters();
    json_.key("Resources").begin_object();
    network();
    role();
    if (on_aws(machine_)) {
      for (const std::string& bucket : buckets_of(machine_, wishes_)) this->bucket(bucket);
      queues();
    }
    hosts();
    balancer();
    json_.end_object();
    json_.key("Outputs").begin_object().key("Address").begin_object().key("Value").raw(
        attribute("LoadBalancer", "DNSName"));
    json_.end_object().end_object().end_object();
    return out_ + "\n";
  }

 private:
  void parameter(std::string_view name, std::string_view type, std::string_view what,
                 std::string_view value = "") {
    json_.key(name).begin_object().field("Type", type).field("Description", what);
    if (!value.empty()) json_.field("Default", value);
    json_.end_object();
  }

  void parameters() {
    json_.key("Parameters").begin_object();
    parameter("Vpc", "AWS::EC2::VPC::Id", "Where the hosts are");
    parameter("Subnets", "List<AWS::EC2::Subnet::Id>", "Public subnets of it, one in each zone to be used");
    parameter("Image", "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Debian 12 or Ubuntu 24.04",
              "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id");
    parameter("InstanceType", "String", "Of each host", "t3.small");
    parameter("SshFrom", "String", "The network that may use ssh", "10.0.0.0/8");
    if (on_aws(machine_)) parameter("Hosts", "Number", "How many", "2");
    json_.end_object();
  }

  JsonWriter& resource(std::string_view name, std::string_view type) {
    return json_.key(name).begin_object().field("Type", type).key("Properties").begin_object();
  }
  void end() { json_.end_object().end_object(); }

  std::vector<std::uint32_t> ssh() const { return machine_.config.host.ssh; }

  void rule(std::uint32_t port, std::string_view from) {
    json_.begin_object()
        .field("IpProtocol", "tcp")
        .field("FromPort", static_cast<std::int64_t>(port))
        .field("ToPort", static_cast<std::int64_t>(port))
        .key("CidrIp")
        .raw(from)
        .end_object();
  }

  void network() {
    resource("SecurityGroup", "AWS::EC2::SecurityGroup")
        .field("GroupDescription", "Headrace: what its firewall opens")
        .key("VpcId")
        .raw(reference("Vpc"))
        .key("SecurityGroupIngress")
        .begin_array();
    const auto ssh_ports = ssh();
    for (const std::uint32_t port : open_ports(machine_)) {
      const bool shell = std::ranges::find(ssh_ports, port) != ssh_ports.end();
      rule(port, shell ? reference("SshFrom") : "\"0.0.0.0/0\"");
    }
    json_.end_array();
    end();
  }

  void statement(std::initializer_list<const char*> actions, const std::vector<std::string>& resources) {
    json_.begin_object().field("Effect", "Allow").key("Action").begin_array();
    for (const char* each : actions) json_.string(each);
    json_.end_array().key("Resource").begin_array();
    for (const std::string& each : resources) json_.raw(each);
    json_.end_array().end_object();
  }

  void statements() {
    std::vector<std::string> queue_arns, bucket_arns, object_arns;
    for (const std::string& each : cloud_queues(machine_, wishes_)) queue_arns.push_back(arn("sqs", each));
    for (const std::string& each : buckets_of(machine_, wishes_)) {
      bucket_arns.push_back(arn("s3", each));
      object_arns.push_back(arn("s3", each + "/*"));
    }
    if (on_aws(machine_)) {
      statement({"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
                 "sqs:GetQueueAttributes", "sqs:GetQueueUrl"},
                queue_arns);
      statement({"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}, object_arns);
      statement({"s3:ListBucket", "s3:GetBucketNotification"}, bucket_arns);
    }
    std::vector<std::string> files;
    for (const std::string* each : {&wishes_.package, &wishes_.application})
      if (in_s3(*each)) files.push_back(arn("s3", std::string_view(*each).substr(5)));
    if (!files.empty()) statement({"s3:GetObject"}, files);
  }

  void role() {
    resource("Role", "AWS::IAM::Role")
        .key("AssumeRolePolicyDocument")
        .raw(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
             R"("Principal":{"Service":"ec2.amazonaws.com"}}]})");
    if (on_aws(machine_) || in_s3(wishes_.package) || in_s3(wishes_.application)) {
      json_.key("Policies").begin_array().begin_object().field("PolicyName", "headrace");
      json_.key("PolicyDocument")
          .begin_object()
          .field("Version", "2012-10-17")
          .key("Statement")
          .begin_array();
      statements();
      json_.end_array().end_object().end_object().end_array();
    }
    end();
    resource("InstanceProfile", "AWS::IAM::InstanceProfile")
        .key("Roles")
        .begin_array()
        .raw(reference("Role"));
    json_.end_array();
    end();
  }

  void bucket(const std::string& name) {
    // What holds results and uploads outlives the stack.
    json_.key(fmt::format("Bucket{}", ++buckets_))
        .begin_object()
        .field("Type", "AWS::S3::Bucket")
        .field("DeletionPolicy", "Retain")
        .field("UpdateReplacePolicy", "Retain")
        .key("Properties")
        .begin_object()
        .field("BucketName", name)
        .key("PublicAccessBlockConfiguration")
        .raw(R"({"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,)"
             R"("RestrictPublicBuckets":true})")
        .key("BucketEncryption")
        .raw(R"({"ServerSideEncryptionConfiguration":[)"
             R"({"ServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]})");
    end();
  }

  // Workers put dead letters aside themselves, with the reason; the redrive of SQS is for messages that no
  // worker ever gets to judge.
  void queues() {
    const auto names = cloud_queues(machine_, wishes_);
    for (std::size_t i = 0; i + 1 < names.size(); i += 2) {
      const std::string living = fmt::format("Queue{}", i / 2 + 1), dead = living + "Dead";
      resource(dead, "AWS::SQS::Queue")
          .field("QueueName", names[i + 1])
          .field("MessageRetentionPeriod", 1'209'600);
      json_.field("SqsManagedSseEnabled", true);
      end();
      resource(living, "AWS::SQS::Queue")
          .field("QueueName", names[i])
          .field("VisibilityTimeout", 60)
          .field("MessageRetentionPeriod", 1'209'600)
          .field("SqsManagedSseEnabled", true)
          .key("RedrivePolicy")
          .begin_object()
          .key("deadLetterTargetArn")
          .raw(attribute(dead, "Arn"))
          .field("maxReceiveCount", 1'000)
          .end_object();
      end();
    }
  }

  void launch() {
    resource("LaunchTemplate", "AWS::EC2::LaunchTemplate").key("LaunchTemplateData").begin_object();
    json_.key("ImageId").raw(reference("Image")).key("InstanceType").raw(reference("InstanceType"));
    json_.key("IamInstanceProfile")
        .begin_object()
        .key("Arn")
        .raw(attribute("InstanceProfile", "Arn"))
        .end_object();
    json_.key("SecurityGroupIds").begin_array().raw(attribute("SecurityGroup", "GroupId")).end_array();
    // Version 2 of the metadata service alone, and its answers do not leave the host.
    json_.key("MetadataOptions")
        .begin_object()
        .field("HttpTokens", "required")
        .field("HttpPutResponseHopLimit", 1)
        .field("HttpEndpoint", "enabled")
        .end_object();
    const bool stays = !on_aws(machine_);
    json_.key("BlockDeviceMappings")
        .raw(fmt::format(
            R"([{{"DeviceName":"/dev/sda1","Ebs":{{"VolumeSize":20,"VolumeType":"gp3","Encrypted":true,)"
            R"("DeleteOnTermination":{}}}}}])",
            stays ? "false" : "true"));
    json_.field("UserData", codec::base64_encode(user_data_)).end_object();
    end();
  }

  void use_launch() {
    json_.key("LaunchTemplate")
        .begin_object()
        .key("LaunchTemplateId")
        .raw(reference("LaunchTemplate"))
        .key("Version")
        .raw(attribute("LaunchTemplate", "LatestVersionNumber"))
        .end_object();
  }

  void hosts() {
    launch();
    if (!on_aws(machine_)) {
      resource("Host", "AWS::EC2::Instance");
      use_launch();
      json_.key("SubnetId").raw(R"({"Fn::Select":[0,{"Ref":"Subnets"}]})");
      end();
      return;
    }
    resource("HostGroup", "AWS::AutoScaling::AutoScalingGroup");
    use_launch();
    for (const char* each : {"MinSize", "MaxSize", "DesiredCapacity"})
      json_.key(each).raw(reference("Hosts"));
    json_.key("VPCZoneIdentifier").raw(reference("Subnets"));
    json_.field("HealthCheckType", "ELB").field("HealthCheckGracePeriod", 300);
    json_.key("TargetGroupARNs")
        .begin_array()
        .raw(reference("TargetHttp"))
        .raw(reference("TargetHttps"))
        .end_array();
    end();
  }

  // TLS ends at nginx, so the balancer hands connections on; who comes is seen by their own address. nginx
  // answers for its health under any name.
  void target(const std::string& name, std::uint16_t port) {
    resource(name, "AWS::ElasticLoadBalancingV2::TargetGroup")
        .field("Protocol", "TCP")
        .field("Port", port)
        .key("VpcId")
        .raw(reference("Vpc"))
        .field("HealthCheckProtocol", "HTTP")
        .field("HealthCheckPort", std::to_string(machine_.http.port))
        .field("HealthCheckPath", "/_headrace/nginx")
        .field("HealthCheckIntervalSeconds", 10)
        .field("HealthyThresholdCount", 2)
        .field("UnhealthyThresholdCount", 2)
        .key("Matcher")
        .raw(R"({"HttpCode":"204"})");
    if (!on_aws(machine_)) json_.key("Targets").begin_array().raw(R"({"Id":{"Ref":"Host"}})").end_array();
    end();
  }

  void listener(const std::string& name, int port, const std::string& to) {
    resource(name, "AWS::ElasticLoadBalancingV2::Listener")
        .key("LoadBalancerArn")
        .raw(reference("LoadBalancer"));
    json_.field("Port", port).field("Protocol", "TCP").key("DefaultActions").begin_array().begin_object();
    json_.field("Type", "forward").key("TargetGroupArn").raw(reference(to)).end_object().end_array();
    end();
  }

  void balancer() {
    target("TargetHttp", machine_.http.port);
    target("TargetHttps", machine_.https.port);
    resource("LoadBalancer", "AWS::ElasticLoadBalancingV2::LoadBalancer")
        .field("Type", "network")
        .field("Scheme", "internet-facing")
        .key("Subnets")
        .raw(reference("Subnets"));
    end();
    listener("ListenHttp", 80, "TargetHttp");
    listener("ListenHttps", 443, "TargetHttps");
  }

  const Machine& machine_;
  const CloudWishes& wishes_;
  const std::string user_data_;
  std::string out_;
  JsonWriter json_{out_};
  int buckets_ = 0;
};

}  // namespace

std::vector<std::string> cloud_queues(const Machine& machine, const CloudWishes& wishes) {
  std::vector<std::string> living;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(living, name) == living.end()) living.push_back(name);
  };
  for (const PoolConfig& pool : machine.config.pools)
    for (const std::string& name : pool.queues) add(name);
  for (const std::string& name : wishes.queues) add(name);
  std::vector<std::string> out;
  for (const std::string& name : living) {
    out.push_back(name);
    out.push_back(name + "-dead");
  }
  return out;
}

// The configuration travels encoded: no byte of it means something to YAML or to a shell.
Result<std::string> cloud_init(const Machine& machine, const CloudWishes& wishes) {
  HR_TRY(check_address(wishes.package, "--package"));
  HR_ASSIGN(const std::string application, bring_application(machine, wishes));
  const bool s3 = in_s3(wishes.package) || in_s3(wishes.application);
  const bool https = !in_s3(wishes.package) || (!wishes.application.empty() && !in_s3(wishes.application));
  std::string out = fmt::format(R"(#cloud-config
package_update: true
packages:
{}{}  - python3-venv
write_files:
  - path: /etc/headrace/headrace.toml
    permissions: "0644"
    encoding: b64
    content: {}
runcmd:
  - - bash
    - -ec
    - |
      {}
      apt-get install --yes --option Dpkg::Options::=--force-confold /run/headrace.deb
      rm /run/headrace.deb{}
      headrace host apply
)",
                                s3 ? "  - awscli\n" : "", https ? "  - curl\n" : "",
                                codec::base64_encode(machine.facts.config_text),
                                fetch(wishes.package, "/run/headrace.deb"), application);
  if (out.size() > kUserDataBytesMax)
    return fail(Errc::kLimit,
                fmt::format("user data of {} bytes; EC2 takes {}: put the configuration into a package "
                            "of your own",
                            out.size(), kUserDataBytesMax));
  return out;
}

Result<std::string> cloudformation(const Machine& machine, const CloudWishes& wishes) {
  HR_TRY(check_names(wishes.queues, "--queue"));
  HR_TRY(check_names(wishes.buckets, "--bucket"));
  HR_ASSIGN(std::string user_data, cloud_init(machine, wishes));
  return Template(machine, wishes, std::move(user_data)).text();
}

}  // namespace hr::host
