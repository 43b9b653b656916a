// Work shared among the CPU's threads. Tasks must write disjoint results, and how work is cut into tasks must
// depend on shapes only: then no result depends on the number of threads.
#pragma once

#include <cstdint>
#include <functional>

namespace dehvf {

int cpu_threads();
void set_cpu_threads(int threads);  // 0 takes what the machine has; called by Runtime, not while work runs

/// task(i) for i in [0, tasks), on this thread and the pool's; returns when all are done. The first exception
/// (by task number) is rethrown. Nested calls run in line.
void parallel_for(int64_t tasks, const std::function<void(int64_t)>& task);

/// body(begin, end) over [0, count) in pieces of `grain`; one piece runs in line.
void parallel_ranges(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace dehvf
