// The body of an object that was uploaded in parts, read as if it were one file. The blobs are opened as they
// are needed, one at a time, and stay until this ends, whatever becomes of the object meanwhile.
#pragma once

#include "object/object.h"
#include "os/disk.h"
#include "storage/blob/blob.h"

#include <memory>

namespace hr::s3 {

// Pins the manifest's blobs; whether they were still there then is the caller's to check. `blobs` must
// outlive the file.
std::unique_ptr<os::File> open_parts(storage::BlobStore& blobs, const object::Manifest& manifest);

}  // namespace hr::s3
