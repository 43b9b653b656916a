// Memory for files: by purpose, and a forecast beside what was measured.
#pragma once

#include "core/io/json.h"
#include "core/memory.h"

namespace dehvf {

size_t sum_of(const MemoryLedger::Table& table);
Json by_purpose(const MemoryLedger::Table& table);  // {weights: bytes, ...}

/// How much more was measured than was forecast, in percent of the forecast.
double percent_more(double measured, double forecast);

}  // namespace dehvf
