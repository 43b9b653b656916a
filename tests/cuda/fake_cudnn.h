// A cuDNN that computes nothing: it keeps what it is told, refuses what the real one would refuse too, and
// fails on demand.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cuda/vendor/cudnn.h"

namespace dehvf {

class FakeCudnn {
 public:
  struct Descriptor {
    cudnnBackendDescriptorType_t type;
    bool finished = false;
    std::map<int, std::string> attributes;  // the bytes that were set

    template <class T>
    std::vector<T> all(int name) const {
      const std::string& bytes = attributes.at(name);
      std::vector<T> values(bytes.size() / sizeof(T));
      std::memcpy(values.data(), bytes.data(), bytes.size());
      return values;
    }
    template <class T>
    T one(int name) const {
      T value;
      std::memcpy(&value, attributes.at(name).data(), sizeof value);
      return value;
    }
    const Descriptor& child(int name) const { return *static_cast<const Descriptor*>(one<void*>(name)); }
    bool has(int name) const { return attributes.contains(name); }
  };
  struct Engine {
    int64_t workspace = 0;
    std::vector<cudnnBackendNumericalNote_t> notes = {};
  };
  struct Execution {
    std::map<int64_t, const void*> data;  // by tensor
    const void* workspace;
    void* stream;
  };

  FakeCudnn() { current() = this; }
  ~FakeCudnn() { current() = nullptr; }
  FakeCudnn(const FakeCudnn&) = delete;
  FakeCudnn& operator=(const FakeCudnn&) = delete;

  /// Of the calls that come, the `call`-th, counted from 0, fails.
  void fail(int call, cudnnStatus_t status) { failing_ = calls_ + call, status_ = status; }
  int calls() const { return calls_; }
  size_t alive() const { return descriptors_.size(); }
  std::vector<const Descriptor*> of(cudnnBackendDescriptorType_t type) const {
    std::vector<const Descriptor*> found;
    for (const auto& [id, descriptor] : descriptors_)
      if (descriptor->type == type) found.push_back(descriptor.get());
    return found;
  }

  std::vector<Engine> engines{{}};         // that its estimate finds
  std::map<int, cudnnStatus_t> at_finish;  // by type of descriptor, where it is not success
  std::vector<Execution> executions;
  int handles = 0;

  const cuda::Cudnn table{.version = [] { return size_t(CUDNN_VERSION); },
                          .create = create,
                          .set_stream = set_stream,
                          .make = make,
                          .drop = drop,
                          .set = set,
                          .get = get,
                          .finish = finish,
                          .execute = execute,
                          .status_name = [](cudnnStatus_t) { return "CUDNN_STATUS_OF_A_FAKE"; },
                          .last_error = [](char* text, size_t size) { strncpy(text, "two\nlines", size); }};

 private:
  static FakeCudnn*& current() {
    static FakeCudnn* fake = nullptr;
    return fake;
  }
  static cudnnStatus_t called() {
    return current()->calls_++ == current()->failing_ ? current()->status_ : CUDNN_STATUS_SUCCESS;
  }
  static size_t size_of(cudnnBackendAttributeType_t type) {
    switch (type) {
      case CUDNN_TYPE_CHAR:
      case CUDNN_TYPE_BOOLEAN:
        return 1;
      case CUDNN_TYPE_INT64:
      case CUDNN_TYPE_VOID_PTR:
      case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
      default:
        return 4;
    }
  }
  static cudnnStatus_t create(cudnnHandle_t* handle) {
    *handle = reinterpret_cast<cudnnHandle_t>(uintptr_t(++current()->handles));
    return called();
  }
  static cudnnStatus_t set_stream(cudnnHandle_t, cudaStream_t stream) {
    current()->stream_ = stream;
    return called();
  }
  static cudnnStatus_t make(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* made) {
    if (const cudnnStatus_t status = called()) return status;
    auto descriptor = std::make_unique<Descriptor>(Descriptor{type});
    *made = descriptor.get();
    current()->descriptors_[current()->made_++] = std::move(descriptor);
    return CUDNN_STATUS_SUCCESS;
  }
  static cudnnStatus_t drop(cudnnBackendDescriptor_t dropped) {
    const size_t erased = std::erase_if(current()->descriptors_,
                                        [&](const auto& entry) { return entry.second.get() == dropped; });
    return erased == 1 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
  }
  static cudnnStatus_t set(cudnnBackendDescriptor_t raw, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    if (const cudnnStatus_t status = called()) return status;
    auto& descriptor = *static_cast<Descriptor*>(raw);
    if (descriptor.finished || descriptor.has(name)) return CUDNN_STATUS_BAD_PARAM;
    descriptor.attributes[name] = {static_cast<const char*>(values), size_t(count) * size_of(type)};
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
      for (void* child : descriptor.all<void*>(name))
        if (!static_cast<Descriptor*>(child)->finished && !current()->is_config(child))
          return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    return CUDNN_STATUS_SUCCESS;
  }
  static cudnnStatus_t finish(cudnnBackendDescriptor_t raw) {
    if (const cudnnStatus_t status = called()) return status;
    auto& descriptor = *static_cast<Descriptor*>(raw);
    const auto refused = current()->at_finish.find(descriptor.type);
    if (refused != current()->at_finish.end()) return refused->second;
    descriptor.finished = true;
    return CUDNN_STATUS_SUCCESS;
  }
  static cudnnStatus_t get(cudnnBackendDescriptor_t raw, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t, int64_t wanted, int64_t* found, void* values) {
    if (const cudnnStatus_t status = called()) return status;
    return current()->answer(*static_cast<Descriptor*>(raw), name, wanted, *found, values);
  }
  // Configs, engines and plans carry the number of their engine in the place of an attribute.
  static constexpr int kNumber = -1;
  cudnnStatus_t answer(const Descriptor& descriptor, int name, int64_t wanted, int64_t& found, void* values) {
    auto* const children = static_cast<Descriptor**>(values);
    const auto number = [](Descriptor& of, int value) {
      of.attributes[kNumber] = {reinterpret_cast<const char*>(&value), sizeof value};
    };
    found = 1;
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
      found = int64_t(engines.size());
      for (int i = 0; i < std::min(found, wanted); ++i) number(*children[i], i);
    } else if (name == CUDNN_ATTR_ENGINECFG_ENGINE) {
      number(*children[0], descriptor.one<int>(kNumber));
    } else if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
      const auto& notes = engines[size_t(descriptor.one<int>(kNumber))].notes;
      found = int64_t(notes.size());
      std::ranges::copy(notes, static_cast<cudnnBackendNumericalNote_t*>(values));
    } else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
      const auto& config = descriptor.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
      *static_cast<int64_t*>(values) = engines[size_t(config.one<int>(kNumber))].workspace;
    } else {
      return CUDNN_STATUS_BAD_PARAM;
    }
    return CUDNN_STATUS_SUCCESS;
  }
  static cudnnStatus_t execute(cudnnHandle_t, cudnnBackendDescriptor_t, cudnnBackendDescriptor_t raw) {
    if (const cudnnStatus_t status = called()) return status;
    const auto& pack = *static_cast<Descriptor*>(raw);
    const auto ids = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const auto data = pack.all<const void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    if (ids.size() != data.size() || !pack.finished) return CUDNN_STATUS_BAD_PARAM;
    Execution execution{{}, pack.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), current()->stream_};
    for (size_t i = 0; i < ids.size(); ++i) execution.data[ids[i]] = data[i];
    current()->executions.push_back(execution);
    return CUDNN_STATUS_SUCCESS;
  }
  bool is_config(const void* descriptor) const {
    return static_cast<const Descriptor*>(descriptor)->type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
  }

  std::map<int, std::unique_ptr<Descriptor>> descriptors_;  // in the order in which they were made
  int made_ = 0, calls_ = 0, failing_ = -1;
  cudnnStatus_t status_ = CUDNN_STATUS_SUCCESS;
  void* stream_ = nullptr;
};

}  // namespace dehvf
