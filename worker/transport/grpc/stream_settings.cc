#include "worker/transport/grpc/stream_settings.h"

#include <grpc/grpc.h>
#include <malloc.h>

#include <utility>

namespace grapevine::transport {
namespace {

using Setting = std::pair<const char*, int>;

// What either end advertises to the other.
constexpr Setting kBothEnds[] = {
    // A fixed window in place of one that starts at 64 KiB and is probed for with pings. The
    // connection's own window, which no setting reaches, still starts each message at 64 KiB until
    // its length is known.
    {GRPC_ARG_HTTP2_BDP_PROBE, 0},
    {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 20},
    // One frame per chunk in place of 64.
    {GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20},
    // Above a frame's length, so that this end can say what was wrong with a message that is too
    // long.
    {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 16 << 20},
    {GRPC_ARG_MAX_METADATA_SIZE, 8 << 10},
    // Only identity: weights do not compress, and a small message must not unfold into a large one.
    {GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1},
    // A peer that is frozen or cut off sends no RST: after 1 s of silence it is asked, 1 s later
    // given up.
    {GRPC_ARG_KEEPALIVE_TIME_MS, 1000},
    {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 1000},
    {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
    {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
};

constexpr Setting kDiallingEnd[] = {
    // A stream to a peer that came back must not wait for the back-off of the one before it.
    {GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1},
    {GRPC_ARG_ENABLE_HTTP_PROXY, 0},
    // How long one attempt to connect may take; there is no second one, see DialledLink.
    {GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000},
    {GRPC_ARG_ENABLE_RETRIES, 0},
};

constexpr Setting kListeningEnd[] = {
    {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 500},
    {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0},
    {GRPC_ARG_MAX_CONCURRENT_STREAMS, 1},
    {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5000},
    // Otherwise a second process may listen on the same port and take half of the connections.
    {GRPC_ARG_ALLOW_REUSEPORT, 0},
};

}  // namespace

grpc::ChannelArguments PeerChannelArguments() {
  grpc::ChannelArguments arguments;
  for (const auto& [name, value] : kBothEnds) arguments.SetInt(name, value);
  for (const auto& [name, value] : kDiallingEnd) arguments.SetInt(name, value);
  return arguments;
}

void ConfigurePeerServer(grpc::ServerBuilder& builder) {
  for (const auto& [name, value] : kBothEnds) builder.AddChannelArgument(name, value);
  for (const auto& [name, value] : kListeningEnd) builder.AddChannelArgument(name, value);
}

void KeepFreedMemory() {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace grapevine::transport
