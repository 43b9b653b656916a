#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace dehvf {
namespace {

// One parallel_for: workers take task numbers until none is left.
struct Job {
  const std::function<void(int64_t)>* task;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  int64_t failed = -1;
  std::exception_ptr error;

  void work() {
    for (int64_t i = next.fetch_add(1); i < tasks; i = next.fetch_add(1)) {
      try {
        (*task)(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (failed < 0 || i < failed) failed = i, error = std::current_exception();
      }
    }
  }
};

thread_local bool inside_task = false;

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { loop(); });
  }

  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    generation_.fetch_add(1);
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  int threads() const { return int(workers_.size()) + 1; }

  // Returns when every task is done. Workers that were asleep all the while are not waited for: on a busy
  // machine one may get its core only much later, and finds the job closed.
  void run(Job& job) {
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    inside_task = true;
    job.work();
    inside_task = false;
    {
      const std::lock_guard lock(mutex_);
      job_ = nullptr;
    }
    while (inside_.load() != 0) std::this_thread::yield();
  }

 private:
  // Kernels follow each other within microseconds, so a worker spins a little before it sleeps.
  static constexpr int kSpins = 2000;

  void loop() {
    inside_task = true;
    for (uint64_t seen = 0;;) {
      for (int spin = 0; spin < kSpins && generation_.load() == seen; ++spin) std::this_thread::yield();
      Job* job = nullptr;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load() != seen || stop_; });
        if (stop_) return;
        seen = generation_.load();
        job = job_;
        if (job) inside_.fetch_add(1);
      }
      if (!job) continue;
      job->work();
      inside_.fetch_sub(1);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> inside_{0};  // workers at the current job
  Job* job_ = nullptr;
  bool stop_ = false;
};

std::mutex pool_mutex;  // one parallel_for at a time; others run in line
std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> instance;
  return instance;
}

}  // namespace

void set_cpu_threads(int threads) {
  if (threads <= 0) threads = std::max(1u, std::thread::hardware_concurrency());
  const std::lock_guard lock(pool_mutex);
  pool().reset();
  if (threads > 1) pool() = std::make_unique<Pool>(threads);
}

int cpu_threads() { return pool() ? pool()->threads() : 1; }

void parallel_for(int64_t tasks, const std::function<void(int64_t)>& task) {
  Job job{.task = &task, .tasks = tasks};
  std::unique_lock lock(pool_mutex, std::defer_lock);
  if (tasks > 1 && !inside_task && lock.try_lock() && pool())
    pool()->run(job);
  else
    job.work();
  if (job.error) std::rethrow_exception(job.error);
}

void parallel_ranges(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= grain) {
    if (count > 0) body(0, count);
    return;
  }
  parallel_for((count + grain - 1) / grain,
               [&](int64_t i) { body(i * grain, std::min(count, (i + 1) * grain)); });
}

}  // namespace dehvf
