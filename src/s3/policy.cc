#include "s3/policy.h"

#include "s3/versions.h"
#include "wire/s3_access.h"
#include "wire/s3_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hr::s3 {
namespace {

using codec::PolicyDecision;
using object::Setting;
using wire::S3Code;
using wire::S3Op;
using wire::S3Result;

constexpr std::size_t kPoliciesMax = 1'000;
constexpr std::string_view kArn = "arn:aws:s3:::";

// What an operation asks leave for ("Actions, resources, and condition keys for Amazon S3" in the Service
// Authorization Reference). Those that are not here are the owner's alone.
struct Leave {
  S3Op op;
  std::string_view action;
  std::string_view of_version = {};  // where a version is named
};
constexpr Leave kLeaves[] = {
    {S3Op::kGetObject, "GetObject", "GetObjectVersion"},
    {S3Op::kHeadObject, "GetObject", "GetObjectVersion"},
    {S3Op::kGetObjectAttributes, "GetObjectAttributes", "GetObjectVersionAttributes"},
    {S3Op::kGetObjectAcl, "GetObjectAcl", "GetObjectVersionAcl"},
    {S3Op::kGetObjectTagging, "GetObjectTagging", "GetObjectVersionTagging"},
    {S3Op::kPutObjectTagging, "PutObjectTagging", "PutObjectVersionTagging"},
    {S3Op::kDeleteObjectTagging, "DeleteObjectTagging", "DeleteObjectVersionTagging"},
    {S3Op::kPutObject, "PutObject"},
    {S3Op::kPostObject, "PutObject"},
    {S3Op::kCopyObject, "PutObject"},
    {S3Op::kCreateMultipartUpload, "PutObject"},
    {S3Op::kUploadPart, "PutObject"},
    {S3Op::kUploadPartCopy, "PutObject"},
    {S3Op::kCompleteMultipartUpload, "PutObject"},
    {S3Op::kAbortMultipartUpload, "AbortMultipartUpload"},
    {S3Op::kListParts, "ListMultipartUploadParts"},
    {S3Op::kDeleteObject, "DeleteObject", "DeleteObjectVersion"},
    {S3Op::kListObjects, "ListBucket"},
    {S3Op::kListObjectsV2, "ListBucket"},
    {S3Op::kHeadBucket, "ListBucket"},
    {S3Op::kListObjectVersions, "ListBucketVersions"},
    {S3Op::kListMultipartUploads, "ListBucketMultipartUploads"},
    {S3Op::kGetBucketLocation, "GetBucketLocation"},
    {S3Op::kGetBucketAcl, "GetBucketAcl"},
    {S3Op::kGetBucketVersioning, "GetBucketVersioning"},
    {S3Op::kPutBucketVersioning, "PutBucketVersioning"},
    {S3Op::kGetBucketTagging, "GetBucketTagging"},
    {S3Op::kPutBucketTagging, "PutBucketTagging"},
    {S3Op::kDeleteBucketTagging, "PutBucketTagging"},
    {S3Op::kGetBucketCors, "GetBucketCORS"},
    {S3Op::kPutBucketCors, "PutBucketCORS"},
    {S3Op::kDeleteBucketCors, "PutBucketCORS"},
    {S3Op::kGetBucketNotificationConfiguration, "GetBucketNotification"},
    {S3Op::kPutBucketNotificationConfiguration, "PutBucketNotification"},
    {S3Op::kGetBucketLifecycleConfiguration, "GetLifecycleConfiguration"},
    {S3Op::kPutBucketLifecycleConfiguration, "PutLifecycleConfiguration"},
    {S3Op::kDeleteBucketLifecycle, "PutLifecycleConfiguration"},
    {S3Op::kGetPublicAccessBlock, "GetBucketPublicAccessBlock"},
    {S3Op::kPutPublicAccessBlock, "PutBucketPublicAccessBlock"},
    {S3Op::kDeletePublicAccessBlock, "PutBucketPublicAccessBlock"},
    {S3Op::kGetBucketOwnershipControls, "GetBucketOwnershipControls"},
    {S3Op::kPutBucketOwnershipControls, "PutBucketOwnershipControls"},
    {S3Op::kDeleteBucketOwnershipControls, "PutBucketOwnershipControls"},
    {S3Op::kGetBucketPolicyStatus, "GetBucketPolicyStatus"},
    {S3Op::kGetBucketPolicy, "GetBucketPolicy"},
    {S3Op::kPutBucketPolicy, "PutBucketPolicy"},
    {S3Op::kDeleteBucketPolicy, "DeleteBucketPolicy"},
    {S3Op::kDeleteBucket, "DeleteBucket"},
};

constexpr codec::PolicyKey kKeys[] = {{"s3:prefix"}, {"s3:delimiter"}, {"s3:max-keys"}, {"s3:VersionId"}};

std::vector<std::string_view> known_actions() {
  std::vector<std::string_view> out;
  for (const Leave& leave : kLeaves) {
    for (const std::string_view name : {leave.action, leave.of_version}) {
      if (!name.empty() && std::ranges::find(out, name) == out.end()) out.push_back(name);
    }
  }
  return out;
}

const codec::PolicyRules& rules() {
  static const std::vector<std::string_view> actions = known_actions();
  static const codec::PolicyRules all{.service = "s3", .actions = actions, .keys = kKeys};
  return all;
}

// The owner can always mend a policy that shuts him out, as an account's root user can at AWS.
bool is_about_policy(std::string_view action) {
  return action == "GetBucketPolicy" || action == "PutBucketPolicy" || action == "DeleteBucketPolicy";
}

// Kept from one request to the next while the text stays the same.
const codec::Policy* policy_of(Services& services, const object::Bucket& bucket) {
  const auto text = bucket.settings.find(Setting::kPolicy);
  if (text == bucket.settings.end()) return nullptr;
  if (services.policies.size() > kPoliciesMax) services.policies.clear();  // of buckets that are gone
  auto& kept = services.policies[bucket.name];
  if (kept.first != text->second) {
    auto policy = codec::parse_policy(text->second, rules());
    if (!policy) {
      services.diary.error("s3.policy_corrupt", {{"bucket", bucket.name}});
      services.policies.erase(bucket.name);
      return nullptr;
    }
    kept = {text->second, std::move(*policy)};
  }
  return &kept.second;
}

wire::S3AccessBlock access_block_of(const object::Bucket& bucket) {
  const auto text = bucket.settings.find(Setting::kPublicAccessBlock);
  if (text == bucket.settings.end()) return {};
  const auto block = wire::parse_access_block(text->second);
  return block ? *block : wire::S3AccessBlock{true, true, true, true};
}

PolicyDecision decision_of(Services& services, const Request& request, const object::Bucket& bucket,
                           std::string_view action, std::string_view key) {
  const codec::Policy* policy = policy_of(services, bucket);
  if (!policy) {
    const bool corrupt = bucket.settings.contains(Setting::kPolicy);
    return corrupt ? PolicyDecision::kDeny : PolicyDecision::kNone;
  }
  const std::string resource =
      key.empty() ? fmt::format("{}{}", kArn, bucket.name) : fmt::format("{}{}/{}", kArn, bucket.name, key);
  const std::string name = fmt::format("s3:{}", action);
  std::vector<codec::PolicyFact> facts = {{"aws:SecureTransport", "false"}};
  if (!request.head.peer.unix_socket) facts.push_back({"aws:SourceIp", request.head.peer.address});
  constexpr std::pair<std::string_view, std::string_view> kFromHeaders[] = {{"aws:UserAgent", "user-agent"},
                                                                            {"aws:Referer", "referer"}};
  for (const auto& [fact, header] : kFromHeaders) {
    if (const auto value = wire::header(request.headers, header)) facts.push_back({fact, *value});
  }
  constexpr std::pair<std::string_view, std::string_view> kFromQuery[] = {{"s3:prefix", "prefix"},
                                                                          {"s3:delimiter", "delimiter"},
                                                                          {"s3:max-keys", "max-keys"},
                                                                          {"s3:VersionId", "versionId"}};
  for (const auto& [fact, parameter] : kFromQuery) {
    if (const Bytes* value = codec::find(request.target.query, parameter)) facts.push_back({fact, *value});
  }
  return codec::evaluate(*policy, {.account = request.identity.account,
                                   .service = {},
                                   .action = name,
                                   .resource = resource,
                                   .facts = facts});
}

// Every resource of a bucket's policy is that bucket, or keys of it.
bool stays_within(const codec::Policy& policy, const std::string& bucket) {
  const std::string arn = std::string(kArn) + bucket;
  return std::ranges::all_of(policy.statements, [&](const codec::PolicyStatement& statement) {
    return std::ranges::all_of(statement.resources, [&](const Bytes& resource) {
      return resource == arn || resource.starts_with(arn + "/");
    });
  });
}

}  // namespace

S3Result<void> may(Services& services, const Request& request, const object::Bucket& bucket,
                   std::string_view action, std::string_view key) {
  const bool owner = request.identity.account == bucket.account;
  if (owner && is_about_policy(action)) return {};
  const PolicyDecision decision = decision_of(services, request, bucket, action, key);
  if (decision == PolicyDecision::kDeny) return wire::s3_fail(S3Code::kAccessDenied);
  if (owner) return {};
  if (decision != PolicyDecision::kAllow) return wire::s3_fail(S3Code::kAccessDenied);
  const codec::Policy* policy = policy_of(services, bucket);
  const bool restricted = access_block_of(bucket).restrict_public_buckets;
  if (restricted && codec::allows_anyone(*policy)) return wire::s3_fail(S3Code::kAccessDenied);
  return {};
}

S3Result<void> may(Services& services, const Request& request, const object::Bucket& bucket) {
  const auto leave = std::ranges::find(kLeaves, request.op, &Leave::op);
  if (leave == std::end(kLeaves)) {  // DeleteObjects asks for each key
    const bool each = request.op == S3Op::kDeleteObjects && policy_of(services, bucket) != nullptr;
    if (each || request.identity.account == bucket.account) return {};
    return wire::s3_fail(S3Code::kAccessDenied);
  }
  const bool version = codec::find(request.target.query, "versionId") && !leave->of_version.empty();
  return may(services, request, bucket, version ? leave->of_version : leave->action, request.target.key);
}

wire::S3Error hide_absence(Services& services, const Request& request, wire::S3Error error) {
  if (error.code != S3Code::kNoSuchKey && error.code != S3Code::kNoSuchVersion) return error;
  const object::Bucket* bucket = services.store.objects().bucket(request.target.bucket);
  if (!bucket || bucket->account == request.identity.account) return error;
  if (may(services, request, *bucket, "ListBucket", {})) return error;
  return {S3Code::kAccessDenied, {}, {}};
}

Answer get_bucket_policy_status(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  const codec::Policy* policy = policy_of(services, *bucket);
  if (!policy) return wire::s3_fail(S3Code::kNoSuchBucketPolicy, {}, {{"BucketName", bucket->name}});
  return xml_response(wire::write_policy_status(codec::allows_anyone(*policy)));
}

S3Result<void> check_policy(const object::Bucket& bucket, const std::string& text) {
  const auto policy = codec::parse_policy(text, rules());
  if (!policy) {
    const bool ours = policy.error().code == Errc::kUnsupported;
    return wire::s3_fail(ours ? S3Code::kNotImplemented : S3Code::kMalformedPolicy, policy.error().message);
  }
  if (!stays_within(*policy, bucket.name)) {
    return wire::s3_fail(S3Code::kMalformedPolicy, "Policy has invalid resource");
  }
  if (access_block_of(bucket).block_public_policy && codec::allows_anyone(*policy)) {
    return wire::s3_fail(S3Code::kAccessDenied,
                         "The policy is public, and the bucket's public access block (BlockPublicPolicy) "
                         "refuses public policies.");
  }
  return {};
}

std::string first_access_block() { return wire::write_access_block({true, true, true, true}); }
std::string first_ownership_controls() { return wire::write_ownership(); }

}  // namespace hr::s3
