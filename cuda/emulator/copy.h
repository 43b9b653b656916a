// Copies from global to shared memory that a thread starts and waits for in groups.
#pragma once

#include "cuda/emulator/report.h"

namespace dehvf::simt {

void copy_async(const Site& site, void* shared, const void* global, int bytes, int valid_bytes);
void close_copies();
void wait_for_copies(size_t left);  // until at most so many closed groups are open

}  // namespace dehvf::simt
