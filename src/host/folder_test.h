// For tests only: a folder that is gone at the end, files in it, and golden files beside the tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace hr::host {

inline std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_file(const std::string& path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

// Equal to the file, or written to it where HEADRACE_WRITE_GOLDEN is set.
inline void expect_golden(const std::string& path, const std::string& text) {
  if (std::getenv("HEADRACE_WRITE_GOLDEN") != nullptr) write_file(path, text);
  EXPECT_EQ(text, file_text(path)) << path;
}

inline std::string path_variable() {
  const char* path = std::getenv("PATH");
  return path != nullptr ? path : "";
}

class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "hr-host-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path = name;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }

  std::string path;
};

}  // namespace hr::host
