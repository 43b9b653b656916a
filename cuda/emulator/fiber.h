// A stack with a function on it that can be left and taken up again: one CUDA thread of the emulator.
#pragma once

#include "cuda/emulator/sanitizer.h"

namespace dehvf::simt {

class Fiber {
 public:
  using Body = void (*)(void* context);  // throws nothing

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start(Body body, void* context);  // a fiber that has ended, or a new one, can be started
  void resume();                         // runs the body until it suspends or ends
  void suspend();                        // called by the body: back to whoever resumed
  void hand_over(Fiber& next);           // suspends, and resumes `next` in the name of the same
  bool ended() const { return ended_; }

 private:
  static void entry();
  void arrive();

  Body body_ = nullptr;
  void* context_ = nullptr;
  bool ended_ = true;
  void* mapping_ = nullptr;
  void* saved_ = nullptr;
  void* host_saved_ = nullptr;
  sanitizer::Context self_, host_;
};

}  // namespace dehvf::simt
