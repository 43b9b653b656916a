#include "autograd/ops/rope.h"

#include <memory>

namespace dehvf {
namespace {

TurnedHeads turned(const Tensor& x) { return {x, Tensor(x.shape(), x.dtype(), x.device())}; }

}  // namespace

Variable rope(const Variable& x, const Tensor& positions, const RopeTable& table) {
  return record("rope", rope(x.value(), positions, table), {x},
                [positions, table](const Tensor& dy, const Wanted&) {
                  return Grads{rope(dy, positions, table, Turn::back)};
                });
}

std::pair<Variable, Variable> rope(const Variable& q, const Variable& k, const Tensor& positions,
                                   const RopeTable& table) {
  const TurnedHeads all[] = {turned(q.value()), turned(k.value())};
  rope_into(all, positions, table);
  // The gradient of k waits here for the node of q, recorded before its own and so visited after it.
  const auto dk = std::make_shared<Tensor>();
  const Variable turned_q = record(
      "rope", all[0].y, {q, k},
      [positions, table, dk](const Tensor& dq, const Wanted&) {
        Grads grads(2);
        std::vector<TurnedHeads> back;
        for (const Tensor& dy : {dq, *dk})
          if (dy.defined()) back.push_back(turned(dy));
        rope_into(back, positions, table, Turn::back);
        size_t next = 0;
        if (dq.defined()) grads[0] = back[next++].y;
        if (dk->defined()) grads[1] = back[next].y;
        return grads;
      },
      true);
  const Variable turned_k = record(
      "rope of k", all[1].y, {turned_q},
      [dk](const Tensor& dy, const Wanted&) {
        *dk = dy;
        return Grads(1);
      },
      true);
  return {turned_q, turned_k};
}

}  // namespace dehvf
