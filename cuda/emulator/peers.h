// What a thread may do with the other blocks of its cluster.
#pragma once

#include "cuda/emulator/report.h"

namespace dehvf::simt {

unsigned cluster_rank();
unsigned cluster_size();
void cluster_arrive(const Site& site);
void cluster_wait(const Site& site);

/// Where block `rank` has what lies at `own` in this block's shared memory. The peer must not end before a
/// barrier of the cluster that comes after the last use.
void* cluster_map(const Site& site, const void* own, unsigned rank);

}  // namespace dehvf::simt
