#include "models/pickle.h"

#include <set>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "models/pickle_machine.h"

namespace dehvf {
namespace {

constexpr int kMaxDepth = 32;
constexpr size_t kMaxVisits = 1'000'000, kMaxName = 4096;

// Walks nested dictionaries; a dictionary that stands in several places is walked in each, so visits are
// counted.
class Flattener {
 public:
  Flattener(const PickleMachine& machine, std::string_view what) : machine_(machine), what_(what) {}

  void walk(PickleId id, const std::string& name, int depth) {
    require<IoError>(++visits_ <= kMaxVisits && depth <= kMaxDepth && name.size() <= kMaxName, what_,
                     ": its dictionaries are nested too deeply or name too many values");
    const PickleValue& value = machine_.value(id);
    if (const auto* tensor = std::get_if<TorchTensor>(&value)) {
      require<IoError>(names_.insert(name).second, what_, ": tensor '", printable(name), "' stands twice");
      tensors.push_back(*tensor);
      tensors.back().name = name;
    } else if (const auto* dict = std::get_if<PickleDict>(&value)) {
      for (const auto& [key, item] : dict->items)
        if (const auto* part = std::get_if<std::string>(&machine_.value(key)))
          walk(item, name.empty() ? *part : name + "." + *part, depth + 1);
    }
  }

  std::vector<TorchTensor> tensors;

 private:
  const PickleMachine& machine_;
  std::string_view what_;
  size_t visits_ = 0;
  std::set<std::string> names_;
};

// What a command line can say; empty for other values.
std::string argument_text(const PickleValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<int64_t>(&value)) return concat(*number);
  if (const auto* number = std::get_if<double>(&value)) return Json(*number).dump();
  const auto* word = std::get_if<std::string>(&value);
  return word ? *word : "";
}

}  // namespace

std::vector<TorchTensor> parse_torch_pickle(std::string_view text, std::string_view what) {
  PickleMachine machine(text, what);
  const PickleId root = machine.run();
  require<IoError>(std::holds_alternative<PickleDict>(machine.value(root)), what,
                   ": wanted a dictionary of tensors, found another value");
  Flattener flattener(machine, what);
  flattener.walk(root, "", 0);
  return std::move(flattener.tensors);
}

std::map<std::string, std::string> parse_torch_arguments(std::string_view text, std::string_view what) {
  PickleMachine machine(text, what);
  std::map<std::string, std::string> arguments;
  const auto* root = std::get_if<PickleDict>(&machine.value(machine.run()));
  for (const auto& [key, item] : root ? root->items : decltype(root->items){}) {
    const auto* name = std::get_if<std::string>(&machine.value(key));
    const auto* given = std::get_if<PickleDict>(&machine.value(item));
    if (!name || *name != "args" || !given || !given->attributes) continue;
    for (const auto& [option, value] : given->items)
      if (const auto* word = std::get_if<std::string>(&machine.value(option)))
        arguments[*word] = argument_text(machine.value(value));
  }
  return arguments;
}

}  // namespace dehvf
