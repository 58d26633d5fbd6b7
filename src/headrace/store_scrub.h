// The scrub of a running store: reads bodies on the pool when object::Scrub says so, logs what it finds, and
// keeps what is known of it in the data folder. Lives on the reactor; what reads is shared with the pool.
#pragma once

#include "base/log.h"
#include "net/runtime.h"
#include "object/scrub.h"
#include "os/clock.h"
#include "os/disk.h"
#include "storage/blob/blob.h"
#include "storage/index/index.h"

#include <functional>
#include <memory>
#include <string>

namespace hr {

class StoreScrub {
 public:
  struct Parts {
    os::Disk& disk;
    const storage::Index& index;
    storage::BlobStore& blobs;
    net::Runtime& runtime;
    const os::Clock& clock;
    hr::Log diary;
    std::function<object::StoreLoad()> load;
    object::ScrubLimits limits;
  };
  explicit StoreScrub(Parts parts);
  ~StoreScrub();
  StoreScrub(const StoreScrub&) = delete;
  StoreScrub& operator=(const StoreScrub&) = delete;

  // What an earlier run has noted. Before run().
  void load();
  net::Task<void> run();  // until stop()
  void stop();

  Status begin();  // a pass from the beginning, now
  // A read has met damage.
  void report(const object::Damage& damage);

  const object::DamageList& damage() const { return scrub_.damage(); }
  const object::Scrub& state() const { return scrub_; }
  std::string json() const;  // for operators

 private:
  struct Timer;

  net::Task<void> read_on(std::uint64_t budget);
  net::Task<void> save();
  void log(const object::Damage& damage) const;
  void wake();

  Parts parts_;
  object::Scrub scrub_;
  std::shared_ptr<object::BodyWalk> walk_;  // shared with the pool
  object::BodyPlace walked_;
  std::unique_ptr<Timer> timer_;
  bool stopping_ = false;
};

}  // namespace hr
