#include "worker/transport/grpc/link.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "operator/base/check.h"
#include "worker/transport/grpc/stream_settings.h"

namespace grapevine::transport {

Link::Link(bool is_dialled)
    : dialled(is_dialled),
      tags_{{this, Operation::kStart},
            {this, Operation::kRead},
            {this, Operation::kWrite},
            {this, Operation::kFinish}} {}

Link::Tag* Link::Begin(Operation operation) {
  ++under_way_;
  if (operation == Operation::kWrite) {
    GRAPEVINE_CHECK(!writing_);
    writing_ = true;
  }
  return &tags_[static_cast<int>(operation)];
}

void Link::Ended(Operation operation) {
  --under_way_;
  if (operation == Operation::kWrite) writing_ = false;
}

void Link::Read() { reader().Read(&received_, Begin(Operation::kRead)); }

void Link::Write(const grpc::ByteBuffer& message) {
  writer().Write(message, Begin(Operation::kWrite));
}

DialledLink::DialledLink(MemberId to, const std::string& address, grpc::CompletionQueue& queue)
    : Link(/*dialled=*/true) {
  peer = to;
  // A channel per link: gRPC's own reconnection would bring back a stream whose frames are gone.
  stub_ = std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), PeerChannelArguments()));
  stream_ = stub_->PrepareCall(&call_, kExchangeMethod, &queue);
}

void DialledLink::Start() { stream_->StartCall(Begin(Operation::kStart)); }

void DialledLink::Finish(const grpc::Status&) {
  stream_->Finish(&status_, Begin(Operation::kFinish));
}

AcceptedLink::AcceptedLink(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue)
    : Link(/*dialled=*/false), service_(service), completions_(queue), stream_(&call_) {}

void AcceptedLink::Start() {
  service_.RequestCall(&call_, &stream_, &completions_, &completions_, Begin(Operation::kStart));
}

void AcceptedLink::Finish(const grpc::Status& reason) {
  stream_.Finish(reason, Begin(Operation::kFinish));
}

}  // namespace grapevine::transport
