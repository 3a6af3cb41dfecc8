#pragma once

#include <cstdio>
#include <cstdlib>

// For bugs alone: prints file, line and condition and aborts. Whatever the world may do (input,
// peers, disks) is an absl::Status or an ordinary event instead.
#define GRAPEVINE_CHECK(condition)                                                       \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
