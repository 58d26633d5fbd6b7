// Records of the log for a person to read. Bodies are told by their length, never shown.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <string>

namespace hr::commit {

// One line: the record's name and its fields. What is none of ours says so.
std::string text_of(std::uint8_t kind, ByteView payload);

// What a terminal may be given: control characters and bytes that are no text as \xNN.
std::string printable(ByteView text);

}  // namespace hr::commit
