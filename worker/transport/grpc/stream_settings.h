#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>

namespace grapevine::transport {

// The settings under which one gRPC stream moves weights about as fast as the socket below it. Each
// was measured; the reason stands beside it in the source.
grpc::ChannelArguments PeerChannelArguments();
void ConfigurePeerServer(grpc::ServerBuilder& builder);

// Keeps freed memory in the process: gRPC allocates every received slice, and a trimmed heap costs
// a page fault per 4 KiB received. Holds for the whole process; the first call counts.
void KeepFreedMemory();

}  // namespace grapevine::transport
