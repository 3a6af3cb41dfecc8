#include "tests/conformance/transport_conformance.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "gmock/gmock.h"

namespace grapevine::transport {
namespace {

using gossip::Header;
using gossip::Kind;
using ::testing::Each;
using ::testing::IsEmpty;

constexpr Duration kPatience = 20s;

Time Now() { return std::chrono::steady_clock::now(); }

Identity Member(MemberId id) { return {.job_uid = "job", .member = id, .layout_hash = 7}; }

// An endpoint and all that Poll has told of it so far.
struct End {
  std::unique_ptr<Transport> transport;
  std::vector<Event> events;

  void Poll(Duration wait) { transport->Poll(Now() + wait, events); }
  size_t Count(Event::Kind kind, MemberId peer) const {
    return std::ranges::count_if(events,
                                 [&](const Event& e) { return e.kind == kind && e.peer == peer; });
  }
  size_t frames(MemberId peer) const { return Count(Event::Kind::kFrame, peer); }
  bool lost(MemberId peer) const { return Count(Event::Kind::kPeerLost, peer) > 0; }
};

End Make(const TransportNetwork::MakeEndpoint& make, MemberId id) {
  End end{.transport = make(), .events = {}};
  end.transport->SetIdentity(Member(id));
  return end;
}

// Polls the ends in turn until `done` holds; false when it never does.
bool PollUntil(const std::vector<End*>& ends, const std::function<bool()>& done) {
  const Time deadline = Now() + kPatience;
  while (!done()) {
    if (Now() > deadline) return false;
    for (End* end : ends) end->Poll(1ms);
  }
  return true;
}

void PollFor(const std::vector<End*>& ends, Duration duration) {
  const Time deadline = Now() + duration;
  while (Now() < deadline) {
    for (End* end : ends) end->Poll(1ms);
  }
}

using Bytes = std::vector<std::byte>;

std::shared_ptr<Bytes> Pattern(size_t size, uint32_t seed) {
  auto bytes = std::make_shared<Bytes>(size);
  uint32_t state = seed * 2654435761u + 1;
  for (std::byte& byte : *bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

Frame Control(Kind kind, uint64_t counter) {
  return {.header = {.kind = kind, .exchange = {.active = 1, .counter = counter}}, .payload = {}};
}

Frame Chunk(uint32_t chunk, const std::shared_ptr<Bytes>& bytes, size_t piece = SIZE_MAX) {
  Frame frame{.header = {.kind = Kind::kChunk,
                         .encoding = gossip::Encoding::kBFloat16,
                         .chunk = chunk,
                         .exchange = {.active = 1, .counter = 99},
                         .payload_bytes = static_cast<uint32_t>(bytes->size()),
                         .crc32c = 0xDEADBEEF},
              .payload = {.pieces = {}, .owner = bytes}};
  for (size_t at = 0; at < bytes->size(); at += std::min(piece, bytes->size() - at)) {
    frame.payload.pieces.push_back(
        std::span<const std::byte>(*bytes).subspan(at, std::min(piece, bytes->size() - at)));
  }
  return frame;
}

Bytes Joined(const Payload& payload) {
  Bytes bytes;
  for (const auto& piece : payload.pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

TEST_P(TransportConformance, AFrameArrivesWithHeaderAndPayloadWhole) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  for (size_t size :
       {size_t{1}, size_t{3}, size_t{4096}, size_t{65537}, gossip::kMaxPayloadBytes}) {
    b.events.clear();
    const auto bytes = Pattern(size, 1);
    const Frame sent = Chunk(5, bytes);
    a.transport->Send(2, sent);
    ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; })) << size;
    EXPECT_EQ(b.events[0].frame.header, sent.header);
    EXPECT_EQ(Joined(b.events[0].frame.payload), *bytes) << size;
  }
}

TEST_P(TransportConformance, APayloadMayBeSentInPieces) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  const auto bytes = Pattern(100'003, 3);
  a.transport->Send(2, Chunk(0, bytes, 7'001));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  EXPECT_EQ(Joined(b.events[0].frame.payload), *bytes);
}

TEST_P(TransportConformance, FramesArriveInTheOrderTheyWereSent) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  constexpr uint32_t kFrames = 100;
  const auto small = Pattern(10, 1), large = Pattern(200'000, 2);
  for (uint32_t i = 0; i < kFrames; ++i) a.transport->Send(2, Chunk(i, i % 3 == 0 ? large : small));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == kFrames; }));
  for (uint32_t i = 0; i < kFrames; ++i) EXPECT_EQ(b.events[i].frame.header.chunk, i);
}

TEST_P(TransportConformance, AnAnswerNeedsNoAddress) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  b.transport->Send(1, Control(Kind::kAccept, 1));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return a.frames(2) == 1; }));
  EXPECT_EQ(a.events[0].frame.header.kind, Kind::kAccept);
}

TEST_P(TransportConformance, BothEndsMayOpenAtOnce) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  b.transport->SetAddress(1, a.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  b.transport->Send(1, Control(Kind::kOffer, 2));
  EXPECT_TRUE(PollUntil({&a, &b}, [&] { return a.frames(2) == 1 && b.frames(1) == 1; }));
  EXPECT_FALSE(a.lost(2));
  EXPECT_FALSE(b.lost(1));
}

TEST_P(TransportConformance, OneEndSpeaksWithSeveralPeers) {
  End hub = Make(make_, 1);
  std::vector<End> rim;
  for (MemberId id = 2; id <= 5; ++id) rim.push_back(Make(make_, id));
  std::vector<End*> all{&hub};
  for (End& end : rim) {
    all.push_back(&end);
    end.transport->SetAddress(1, hub.transport->address());
    end.transport->Send(1, Control(Kind::kOffer, 1));
  }
  ASSERT_TRUE(PollUntil(all, [&] { return hub.events.size() == 4; }));
  for (MemberId id = 2; id <= 5; ++id) {
    EXPECT_EQ(hub.frames(id), 1u);
    hub.transport->Send(id, Control(Kind::kBusy, id));
  }
  ASSERT_TRUE(PollUntil(
      all, [&] { return std::ranges::all_of(rim, [](End& e) { return e.frames(1) == 1; }); }));
  for (MemberId id = 2; id <= 5; ++id) {
    EXPECT_EQ(rim[id - 2].events[0].frame.header.exchange.counter, id);
  }
}

TEST_P(TransportConformance, APeerWithoutAddressIsLostAtOnce) {
  End a = Make(make_, 1);
  a.transport->Send(2, Control(Kind::kOffer, 1));
  EXPECT_TRUE(PollUntil({&a}, [&] { return a.lost(2); }));
}

TEST_P(TransportConformance, APeerThatIsNotThereIsLost) {
  End a = Make(make_, 1);
  {
    End gone = Make(make_, 2);
    a.transport->SetAddress(2, gone.transport->address());
  }
  a.transport->Send(2, Control(Kind::kOffer, 1));
  EXPECT_TRUE(PollUntil({&a}, [&] { return a.lost(2); }));
}

TEST_P(TransportConformance, APeerThatDiesIsLostAtBothKindsOfEnd) {
  End a = Make(make_, 1), c = Make(make_, 3);
  {
    End b = Make(make_, 2);
    a.transport->SetAddress(2, b.transport->address());
    b.transport->SetAddress(3, c.transport->address());
    a.transport->Send(2, Control(Kind::kOffer, 1));
    b.transport->Send(3, Control(Kind::kOffer, 1));
    ASSERT_TRUE(PollUntil({&a, &b, &c}, [&] { return b.frames(1) == 1 && c.frames(2) == 1; }));
  }
  EXPECT_TRUE(PollUntil({&a, &c}, [&] { return a.lost(2) && c.lost(2); }));
}

TEST_P(TransportConformance, APeerThatCameBackIsDialledAgain) {
  End a = Make(make_, 1);
  {
    End b = Make(make_, 2);
    a.transport->SetAddress(2, b.transport->address());
    a.transport->Send(2, Control(Kind::kOffer, 1));
    ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  }
  ASSERT_TRUE(PollUntil({&a}, [&] { return a.lost(2); }));
  End b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 2));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  EXPECT_EQ(b.events[0].frame.header.exchange.counter, 2u);
}

TEST_P(TransportConformance, AStrangerIsRefusedAndCounted) {
  const Identity us = Member(2);
  std::vector<Identity> strangers(3, Member(1));
  strangers[0].job_uid = "another job";
  strangers[1].layout_hash = 8;
  strangers[2].member = 1;  // rightful itself, but it takes member 2 for member 3
  for (size_t i = 0; i < strangers.size(); ++i) {
    const MemberId dialled = i == 2 ? 3 : us.member;
    End a = Make(make_, 1), b = Make(make_, 2);
    a.transport->SetIdentity(strangers[i]);
    a.transport->SetAddress(dialled, b.transport->address());
    a.transport->Send(dialled, Control(Kind::kOffer, 1));
    const auto rejected = [](const Event& e) { return e.kind == Event::Kind::kRejected; };
    const auto both = [&] { return a.lost(dialled) && std::ranges::any_of(b.events, rejected); };
    ASSERT_TRUE(PollUntil({&a, &b}, both)) << i;
    EXPECT_EQ(b.frames(1), 0u) << i;
  }
}

TEST_P(TransportConformance, NobodyIsHeardBeforeTheFirstIdentity) {
  End a = Make(make_, 1);
  End b{.transport = make_(), .events = {}};
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  EXPECT_TRUE(PollUntil({&a, &b}, [&] { return a.lost(2); }));
  EXPECT_EQ(b.frames(1), 0u);
}

TEST_P(TransportConformance, ANewIdentityClosesEveryStream) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  b.transport->SetIdentity(Member(4));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return a.lost(2); }));
  EXPECT_FALSE(b.lost(1));

  // The old name is a stranger's now, the new one is answered.
  a.events.clear();
  a.transport->Send(2, Control(Kind::kOffer, 2));
  EXPECT_TRUE(PollUntil({&a, &b}, [&] { return a.lost(2); }));
  a.transport->SetAddress(4, b.transport->address());
  b.events.clear();
  a.transport->Send(4, Control(Kind::kOffer, 3));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
}

TEST_P(TransportConformance, ForgettingClosesWithoutAWordHere) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  a.transport->Forget(2);
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.lost(1); }));
  EXPECT_THAT(a.events, IsEmpty());
  a.transport->Send(2, Control(Kind::kOffer, 2));
  EXPECT_TRUE(PollUntil({&a, &b}, [&] { return a.lost(2); }));  // the address is forgotten too
}

TEST_P(TransportConformance, AChangedAddressClosesTheOldStream) {
  End a = Make(make_, 1), old_b = Make(make_, 2), new_b = Make(make_, 2);
  a.transport->SetAddress(2, old_b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  ASSERT_TRUE(PollUntil({&a, &old_b}, [&] { return old_b.frames(1) == 1; }));
  a.transport->SetAddress(2, old_b.transport->address());  // unchanged: nothing happens
  PollFor({&a, &old_b}, 20ms);
  EXPECT_FALSE(old_b.lost(1));
  a.transport->SetAddress(2, new_b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 2));
  EXPECT_TRUE(
      PollUntil({&a, &old_b, &new_b}, [&] { return old_b.lost(1) && new_b.frames(1) == 1; }));
}

TEST_P(TransportConformance, AFirstAddressLeavesTheStreamThatThePeerOpened) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  b.transport->Send(1, Control(Kind::kDone, 1));  // under way when the address comes
  b.transport->SetAddress(1, a.transport->address());
  b.transport->Send(1, Control(Kind::kOffer, 2));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return a.frames(2) == 2; }));
  EXPECT_EQ(a.events[0].frame.header.kind, Kind::kDone);
  EXPECT_FALSE(a.lost(2));
  EXPECT_FALSE(b.lost(1));
}

TEST_P(TransportConformance, PollReturnsAtItsDeadline) {
  End a = Make(make_, 1);
  const Time begin = Now();
  a.Poll(20ms);
  EXPECT_GE(Now() - begin, 19ms);
  EXPECT_THAT(a.events, IsEmpty());
  a.Poll(-1s);  // a deadline in the past only looks
}

TEST_P(TransportConformance, WakeReturnsThePollUnderWayOrTheNext) {
  End a = Make(make_, 1);
  a.transport->Wake();
  const Time begin = Now();
  a.Poll(kPatience);
  std::jthread waker([&] {
    std::this_thread::sleep_for(5ms);
    a.transport->Wake();
  });
  a.Poll(kPatience);
  EXPECT_LT(Now() - begin, kPatience);
}

TEST_P(TransportConformance, APayloadIsLetGoOnceItHasLeft) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  auto bytes = Pattern(300'000, 1);
  const std::weak_ptr<Bytes> watched = bytes;
  a.transport->Send(2, Chunk(0, bytes));
  bytes.reset();
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 1; }));
  b.events.clear();
  EXPECT_TRUE(PollUntil({&a, &b}, [&] { return watched.expired(); }));
}

TEST_P(TransportConformance, PayloadsToALostPeerAreLetGo) {
  End a = Make(make_, 1);
  std::weak_ptr<Bytes> watched;
  {
    End b = Make(make_, 2);
    a.transport->SetAddress(2, b.transport->address());
    const auto bytes = Pattern(gossip::kMaxPayloadBytes, 1);
    watched = bytes;
    for (uint32_t i = 0; i < 16; ++i) a.transport->Send(2, Chunk(i, bytes));
  }
  ASSERT_TRUE(PollUntil({&a}, [&] { return a.lost(2); }));
  EXPECT_TRUE(PollUntil({&a}, [&] { return watched.expired(); }));
}

TEST_P(TransportConformance, TrafficCountsHeadersAndPayloads) {
  End a = Make(make_, 1), b = Make(make_, 2);
  a.transport->SetAddress(2, b.transport->address());
  a.transport->Send(2, Control(Kind::kOffer, 1));
  a.transport->Send(2, Chunk(0, Pattern(1000, 1)));
  ASSERT_TRUE(PollUntil({&a, &b}, [&] { return b.frames(1) == 2; }));
  const auto due = static_cast<int64_t>(2 * gossip::kHeaderBytes + 1000);
  EXPECT_EQ(a.transport->traffic().bytes_sent, due);
  EXPECT_EQ(b.transport->traffic().bytes_received, due);
  EXPECT_EQ(b.transport->traffic().bytes_sent, 0);
}

TEST_P(TransportConformance, TwoThreadsStreamAtEachOther) {
  constexpr uint32_t kFrames = 200;
  constexpr uint32_t kAhead = 8;
  const auto left = make_(), right = make_();
  left->SetIdentity(Member(1));
  right->SetIdentity(Member(2));
  left->SetAddress(2, right->address());
  std::atomic<bool> left_done = false, right_done = false;

  const auto stream = [&](Transport& transport, MemberId peer, bool opens, std::atomic<bool>& mine,
                          std::atomic<bool>& other) {
    End end{.transport = nullptr, .events = {}};
    uint32_t sent = 0, received = 0;
    const Time deadline = Now() + kPatience;
    const auto bytes = Pattern(100'001, static_cast<uint32_t>(3 - peer));
    const auto expected = *Pattern(100'001, static_cast<uint32_t>(peer));
    while (!(mine && other) && Now() < deadline) {
      while (sent < kFrames && sent < received + kAhead && (opens || received > 0)) {
        transport.Send(peer, Chunk(sent++, bytes));
      }
      transport.Poll(Now() + 1ms, end.events);
      for (const Event& event : end.events) {
        ASSERT_EQ(event.kind, Event::Kind::kFrame) << event.reason;
        ASSERT_EQ(event.frame.header.chunk, received++);
        ASSERT_EQ(Joined(event.frame.payload), expected);
      }
      end.events.clear();
      if (sent == kFrames && received == kFrames) mine = true;
    }
  };
  {
    std::jthread one([&] { stream(*left, 2, true, left_done, right_done); });
    std::jthread two([&] { stream(*right, 1, false, right_done, left_done); });
  }
  EXPECT_TRUE(left_done && right_done);
}

}  // namespace
}  // namespace grapevine::transport
