#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace grapevine::metrics {

// What http://127.0.0.1:<port><path> answers, headers too.
inline std::string Scrape(int port, const std::string& path = "/metrics") {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[4096];
  for (ssize_t got; (got = read(fd, piece, sizeof(piece))) > 0;) answer.append(piece, got);
  close(fd);
  return answer;
}

// Of a series, named as a scrape names it, with its labels; 0 when there is none.
inline double ScrapedValue(int port, const std::string& series) {
  const std::string answer = Scrape(port);
  const std::string start = "\n" + series + " ";
  const size_t at = answer.find(start);
  return at == std::string::npos ? 0 : std::stod(answer.substr(at + start.size()));
}

// The sum of all series of the counter `name` that have all `labels`, as in `method="POST"`.
inline double ScrapedSum(int port, const std::string& name,
                         const std::vector<std::string>& labels) {
  const std::string answer = Scrape(port);
  const std::string start = "\n" + name + "{";
  double sum = 0;
  for (size_t at = 0; (at = answer.find(start, at)) != std::string::npos;) {
    const size_t end = answer.find('\n', ++at);
    const std::string line = answer.substr(at, end - at);
    const auto has = [&](const std::string& label) {
      return line.find(label) != std::string::npos;
    };
    if (std::ranges::all_of(labels, has)) sum += std::stod(line.substr(line.find("} ") + 2));
  }
  return sum;
}

}  // namespace grapevine::metrics
