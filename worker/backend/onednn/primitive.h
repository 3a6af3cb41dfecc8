#pragma once

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "operator/base/check.h"
#include "worker/backend/onednn/memory.h"

// What the operations that run oneDNN primitives share. Included by sources of this folder alone.
namespace grapevine::backend::onednn {

struct Device {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  GradientPool pool;
  Buffer scratchpad;  // as large as the hungriest primitive needs: they run one after the other
};

inline dnnl::memory::desc NhwcDesc(const Shape& shape) {
  return {{shape.n, shape.c, shape.h, shape.w},
          dnnl::memory::data_type::f32,
          dnnl::memory::format_tag::nhwc};
}

inline dnnl::memory::desc AnyDesc(const dnnl::memory::dims& dims) {
  return {dims, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
}

inline dnnl::memory::desc PlainDesc(const dnnl::memory::dims& dims) {
  constexpr dnnl::memory::format_tag kTags[] = {
      dnnl::memory::format_tag::a, dnnl::memory::format_tag::ab, dnnl::memory::format_tag::abc,
      dnnl::memory::format_tag::abcd};
  return {dims, dnnl::memory::data_type::f32, kTags[dims.size() - 1]};
}

// Memory whose address is set before each use.
inline dnnl::memory Elsewhere(const dnnl::memory::desc& desc, const Device& device) {
  return {desc, device.engine, nullptr};
}

inline dnnl::primitive_attr UserScratchpad(bool relu = false) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (relu) {
    dnnl::post_ops post;
    post.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
    attributes.set_post_ops(post);
  }
  return attributes;
}

// A primitive with its arguments. Thread-compatible.
class Call {
 public:
  Call() = default;
  Call(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& desc, Device& device,
       std::unordered_map<int, dnnl::memory> arguments)
      : device_(&device), primitive_(primitive), arguments_(std::move(arguments)) {
    const dnnl::memory::desc scratchpad = desc.scratchpad_desc();
    const size_t needed = (scratchpad.get_size() + sizeof(float) - 1) / sizeof(float);
    if (needed > device.scratchpad.size()) device.scratchpad = Buffer(needed);
    arguments_[DNNL_ARG_SCRATCHPAD] = Elsewhere(scratchpad, device);
  }

  void Run() {
    arguments_[DNNL_ARG_SCRATCHPAD].set_data_handle(device_->scratchpad.get());
    primitive_.execute(device_->stream, arguments_);
  }

 private:
  Device* device_ = nullptr;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

// A copy from one layout to another. Thread-compatible.
inline Call MakeReorder(const dnnl::memory& from, const dnnl::memory& to, Device& device) {
  const dnnl::reorder::primitive_desc desc(from, to, UserScratchpad());
  return Call(dnnl::reorder(desc), desc, device, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

// Weights and bias of an operation in the layouts that its primitives chose, and their gradients.
// Thread-compatible.
class Weights {
 public:
  // `plain`: dimensions of the weights. Bias is absent where `outputs` is 0.
  Weights(const dnnl::memory::dims& plain, int outputs, const dnnl::memory::desc& forward,
          const dnnl::memory::desc& gradient, Device& device)
      : plain_(Elsewhere(PlainDesc(plain), device)),
        forward(forward, device.engine),
        gradient(gradient, device.engine),
        load_(MakeReorder(plain_, this->forward, device)),
        read_(MakeReorder(this->gradient, plain_, device)) {
    if (outputs > 0) {
      bias = dnnl::memory(PlainDesc({outputs}), device.engine);
      bias_gradient = dnnl::memory(PlainDesc({outputs}), device.engine);
    }
  }

  // The layout that the gradient of the input wants, where it is another one.
  void AddBackward(const dnnl::memory::desc& desc, Device& device) {
    if (desc == forward.get_desc()) {
      backward = forward;
      return;
    }
    backward = dnnl::memory(desc, device.engine);
    load_backward_ = MakeReorder(plain_, backward, device);
  }

  void Load(std::span<const std::span<const float>> parameters) {
    GRAPEVINE_CHECK(parameters.size() == (bias ? 2 : 1));
    plain_.set_data_handle(const_cast<float*>(parameters[0].data()));  // a source
    load_.Run();
    if (load_backward_) load_backward_->Run();
    if (bias) {
      std::copy(parameters[1].begin(), parameters[1].end(),
                static_cast<float*>(bias.get_data_handle()));
    }
  }

  void ReadGradients(std::span<const std::span<float>> gradients) {
    GRAPEVINE_CHECK(gradients.size() == (bias ? 2 : 1));
    plain_.set_data_handle(gradients[0].data());
    read_.Run();
    if (bias) {
      const float* from = static_cast<const float*>(bias_gradient.get_data_handle());
      std::copy_n(from, gradients[1].size(), gradients[1].begin());
    }
  }

 private:
  dnnl::memory plain_;

 public:
  dnnl::memory forward, backward, gradient, bias, bias_gradient;

 private:
  Call load_, read_;
  std::optional<Call> load_backward_;
};

}  // namespace grapevine::backend::onednn
