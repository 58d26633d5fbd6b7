#include "host/apply.h"

#include "codec/digest.h"
#include "codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace hr::host {
namespace {

// In kKept:
//   applied.json    path -> digest of what the last apply wrote: the files that are ours
//   journal.json    the same list while a run is between "nothing written" and "settled": those it may have
//   touched previous.json   path -> whether it was there, and its mode, before that run; its text is in
//   previous/PATH previous-applied.json   applied.json as it was before that run
const std::string kApplied = std::string(kKept) + "/applied.json";
const std::string kJournal = std::string(kKept) + "/journal.json";
const std::string kPrevious = std::string(kKept) + "/previous.json";
const std::string kPreviousApplied = std::string(kKept) + "/previous-applied.json";
const std::string kPreviousFiles = std::string(kKept) + "/previous";

using Digests = std::map<std::string, std::string>;  // path -> digest of its text

struct Before {
  bool there = false;
  std::uint32_t mode = 0644;
};
using Befores = std::map<std::string, Before>;

Result<std::optional<codec::Json>> read_json(const Tree& host, const std::string& path) {
  HR_ASSIGN(const auto seen, host.read(path));
  if (!seen) return std::optional<codec::Json>();
  auto json = codec::parse_json(seen->text);
  if (!json) return fail(Errc::kCorrupt, fmt::format("{}: is damaged; remove it and apply again", path));
  return std::optional(std::move(*json));
}

Result<std::optional<Digests>> read_digests(const Tree& host, const std::string& path) {
  HR_ASSIGN(const auto json, read_json(host, path));
  if (!json) return std::optional<Digests>();
  Digests out;
  if (const auto* members = json->as_object()) {
    for (const auto& [name, value] : *members)
      if (const auto* digest = value.as_string()) out[name] = *digest;
  }
  return std::optional(std::move(out));
}

Status write_digests(const Tree& host, const std::string& path, const Digests& digests) {
  std::string text;
  codec::JsonWriter json(text);
  json.begin_object();
  for (const auto& [name, digest] : digests) json.field(name, digest);
  json.end_object();
  return host.write(path, text + "\n", 0600);
}

Result<std::optional<Befores>> read_befores(const Tree& host) {
  HR_ASSIGN(const auto digests, read_digests(host, kPrevious));
  if (!digests) return std::optional<Befores>();
  Befores out;
  for (const auto& [path, mode] : *digests) {
    Before before{.there = mode != "none"};
    if (before.there) {
      before.mode = 0;
      for (const char digit : mode) before.mode = before.mode * 8 + static_cast<std::uint32_t>(digit - '0');
    }
    out[path] = before;
  }
  return std::optional(std::move(out));
}

Status write_befores(const Tree& host, const Befores& befores) {
  Digests text;
  for (const auto& [path, before] : befores)
    text[path] = before.there ? fmt::format("{:o}", before.mode) : "none";
  return write_digests(host, kPrevious, text);
}

std::string digest_of(std::string_view text) { return codec::sha256_hex(text); }

// Files that an apply wrote, or may have: only these are ever removed.
Result<std::set<std::string>> ours(const Tree& host) {
  std::set<std::string> out;
  for (const std::string& path : {kApplied, kJournal}) {
    HR_ASSIGN(const auto digests, read_digests(host, path));
    if (!digests) continue;
    for (const auto& [name, digest] : *digests) out.insert(name);
  }
  return out;
}

const File* find(const std::vector<File>& files, std::string_view path) {
  const auto found = std::ranges::find(files, path, &File::path);
  return found == files.end() ? nullptr : &*found;
}

// What was there before the first of the runs that were not settled: a second one must not keep the first's
// work.
Status keep_before(const Tree& host, const std::set<std::string>& paths, const Reached& reached) {
  HR_ASSIGN(const auto journal, read_json(host, kJournal));
  Befores befores;
  if (journal) {
    HR_ASSIGN(auto old, read_befores(host));
    if (old) befores = std::move(*old);
  } else {
    reached("forget the previous");
    HR_TRY(host.remove(kPrevious));
    HR_TRY(host.remove_all(kPreviousFiles));
    HR_ASSIGN(const auto applied, read_digests(host, kApplied));
    HR_TRY(write_digests(host, kPreviousApplied, applied.value_or(Digests())));
  }
  for (const std::string& path : paths) {
    if (befores.contains(path)) continue;
    HR_ASSIGN(const auto seen, host.read(path));
    if (seen) {
      reached("keep a file");
      HR_TRY(host.write(kPreviousFiles + path, seen->text, 0600));
    }
    befores[path] = {.there = seen.has_value(), .mode = seen ? seen->mode : 0644};
  }
  reached("keep the list");
  return write_befores(host, befores);
}

}  // namespace

std::string_view name_of(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::kAdd:
      return "add";
    case Change::Kind::kChange:
      return "change";
    case Change::Kind::kRemove:
      break;
  }
  return "remove";
}

Result<Plan> plan(const Tree& host, const std::vector<File>& files) {
  Plan out;
  HR_ASSIGN(const auto applied, read_digests(host, kApplied));
  HR_ASSIGN(const auto journal, read_json(host, kJournal));
  out.interrupted = journal.has_value();
  const auto by_hand = [&](const std::string& path, const std::string& text) {
    if (!applied) return false;
    const auto found = applied->find(path);
    return found != applied->end() && found->second != digest_of(text);
  };
  for (const File& file : files) {
    HR_ASSIGN(auto seen, host.read(file.path));
    if (!seen) {
      out.changes.push_back({.path = file.path, .kind = Change::Kind::kAdd, .after = file.text});
    } else if (seen->text != file.text || seen->mode != file.mode) {
      const bool hand = by_hand(file.path, seen->text);
      out.changes.push_back({.path = file.path,
                             .kind = Change::Kind::kChange,
                             .before = std::move(seen->text),
                             .after = file.text,
                             .by_hand = hand});
    }
  }
  HR_ASSIGN(const auto known, ours(host));
  for (const std::string& path : known) {
    if (find(files, path) != nullptr) continue;
    HR_ASSIGN(auto seen, host.read(path));
    if (!seen) continue;
    const bool hand = by_hand(path, seen->text);
    out.changes.push_back(
        {.path = path, .kind = Change::Kind::kRemove, .before = std::move(seen->text), .by_hand = hand});
  }
  std::ranges::sort(out.changes, {}, &Change::path);
  return out;
}

Status apply(const Tree& host, const std::vector<File>& files, const Reached& reached) {
  HR_TRY(host.make_folder(kKept, 0700));
  HR_ASSIGN(std::set<std::string> touched, ours(host));
  for (const File& file : files) touched.insert(file.path);
  HR_TRY(keep_before(host, touched, reached));
  Digests wanted;
  for (const File& file : files) wanted[file.path] = digest_of(file.text);
  Digests journal = wanted;
  for (const std::string& path : touched) journal.emplace(path, "none");
  reached("begin");
  HR_TRY(write_digests(host, kJournal, journal));
  for (const File& file : files) {
    HR_ASSIGN(const auto seen, host.read(file.path));
    if (seen && seen->text == file.text && seen->mode == file.mode) continue;
    reached("write a file");
    HR_TRY(host.write(file.path, file.text, file.mode));
  }
  for (const std::string& path : touched) {
    if (wanted.contains(path)) continue;
    reached("remove a file");
    HR_TRY(host.remove(path));
  }
  reached("write down");
  return write_digests(host, kApplied, wanted);
}

Status settle(const Tree& host, const Reached& reached) {
  reached("settle");
  return host.remove(kJournal);
}

Status rollback(const Tree& host, const Reached& reached) {
  HR_ASSIGN(const auto befores, read_befores(host));
  if (!befores) return fail(Errc::kNotFound, "nothing was applied here that could be taken back");
  // A rollback that is killed is begun again by the next: the journal says that the files are neither one nor
  // other. One that is there already knows more than the list of what is applied, which may be the old one.
  HR_ASSIGN(const auto begun, read_json(host, kJournal));
  if (!begun) {
    HR_ASSIGN(const auto applied, read_digests(host, kApplied));
    Digests journal = applied.value_or(Digests());
    for (const auto& [path, before] : *befores) journal.emplace(path, "none");
    reached("begin to go back");
    HR_TRY(write_digests(host, kJournal, journal));
  }
  for (const auto& [path, before] : *befores) {
    reached("bring a file back");
    if (!before.there) {
      HR_TRY(host.remove(path));
      continue;
    }
    HR_ASSIGN(const auto kept, host.read(kPreviousFiles + path));
    if (!kept) return fail(Errc::kCorrupt, fmt::format("{}: what was there before is lost", path));
    HR_TRY(host.write(path, kept->text, before.mode));
  }
  reached("write down what is back");
  HR_ASSIGN(const auto former, read_digests(host, kPreviousApplied));
  return write_digests(host, kApplied, former.value_or(Digests()));
}

Status forget(const Tree& host, const Reached& reached) {
  reached("forget the journal");
  HR_TRY(host.remove(kJournal));
  reached("forget what was kept");
  return host.remove(kPrevious);
}

Result<std::vector<Change>> last_changes(const Tree& host) {
  std::vector<Change> out;
  HR_ASSIGN(const auto befores, read_befores(host));
  if (!befores) return out;
  HR_ASSIGN(auto digests, read_digests(host, kJournal));
  if (!digests) {
    HR_ASSIGN(digests, read_digests(host, kApplied));
  }
  for (const auto& [path, before] : *befores) {
    const auto found = digests ? digests->find(path) : Digests::iterator();
    const bool wanted = digests && found != digests->end() && found->second != "none";
    Change change{.path = path, .kind = Change::Kind::kAdd};
    if (before.there) {
      HR_ASSIGN(auto kept, host.read(kPreviousFiles + path));
      if (kept) change.before = std::move(kept->text);
      change.kind = wanted ? Change::Kind::kChange : Change::Kind::kRemove;
      if (wanted && found->second == digest_of(change.before)) continue;
    } else if (!wanted) {
      continue;
    }
    HR_ASSIGN(auto now, host.read(path));
    if (now) change.after = std::move(now->text);
    out.push_back(std::move(change));
  }
  return out;
}

}  // namespace hr::host
